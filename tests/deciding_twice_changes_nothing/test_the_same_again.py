"""Any message may come again: the answer is the same, and nothing new happens."""

import json

import pytest

from schemas import commands as c
from schemas.problems import ProblemCode
from services.referral import tables as t
from tests.builders import (
    ANSHIN,
    HUB,
    STRANGER,
    a_command,
    a_submission,
    an_id,
    between,
    words,
)
from tests.desk import Desk


def handoff_of(desk: Desk, submission: c.SubmitReferral) -> c.AcceptHandoff:
    return c.AcceptHandoff(handoff=desk.states()[submission.referral].handoffs[0].id)


def everything(desk: Desk) -> list[list[object]]:
    return [desk.rows(table) for table in t.metadata.sorted_tables if table is not t.writer]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_command_that_comes_again_gets_the_recorded_answer_and_nothing_happens(
    desk: Desk, restarted: bool
) -> None:
    submission = a_submission(sealed=(words("母が入院"),))
    submit = a_command(submission, key="once")
    first, in_the_same_batch = desk.tell(submit, submit)
    accept = a_command(handoff_of(desk, submission), HUB)
    refused = a_command(c.AddNote(referral=submission.referral), STRANGER)
    answers = [first, *desk.tell(accept, refused)]
    before = everything(desk)
    if restarted:
        desk.restart()
    again = desk.tell(submit, accept, refused)
    assert [in_the_same_batch, *again] == [first, *answers]
    assert [a.body.encode() for a in again] == [a.body.encode() for a in answers]
    assert [a.status for a in again] == [201, 200, 403]
    assert everything(desk) == before


def test_what_was_refused_stays_refused_though_it_would_be_possible_now(desk: Desk) -> None:
    submission = a_submission()
    note = a_command(c.AddNote(referral=submission.referral), HUB)
    (too_early,) = desk.tell(note)
    desk.tell(a_command(submission))
    desk.tell(a_command(handoff_of(desk, submission), HUB))
    (later,) = desk.tell(note)
    assert later == too_early
    assert desk.tell(a_command(note.action, HUB))[0].status == 201


@pytest.mark.parametrize("where", ["same batch", "later batch", "after a restart"])
def test_a_key_that_is_used_for_something_else_is_refused_and_the_first_answer_stays(
    desk: Desk, where: str
) -> None:
    first = a_command(a_submission(), key="key", meaning="one thing")
    other = a_command(a_submission(), key="key", meaning="another thing")
    if where == "same batch":
        _, answer = desk.tell(first, other)
    else:
        desk.tell(first)
        if where == "after a restart":
            desk.restart()
        (answer,) = desk.tell(other)
    assert answer.status == 409
    assert json.loads(answer.body)["code"] == ProblemCode.IDEMPOTENCY_KEY_REUSED
    assert desk.tell(first)[0].status == 201
    assert len(desk.states()) == 1


def test_the_same_words_from_another_agency_are_another_command(desk: Desk) -> None:
    one, other = (a_command(a_submission(), by, key="key") for by in (ANSHIN, HUB))
    assert [answer.status for answer in desk.tell(one, other)] == [201, 201]


def test_between_two_that_accept_in_one_batch_the_first_wins(desk: Desk) -> None:
    submission = a_submission(to_agency=HUB)
    desk.tell(a_command(submission))
    handoff = handoff_of(desk, submission)
    cancel = a_command(c.CancelReferral(referral=submission.referral))
    accepted, cancelled = desk.tell(a_command(handoff, HUB), cancel)
    assert (accepted.status, cancelled.status) == (200, 409)
    assert json.loads(cancelled.body)["code"] == ProblemCode.ALREADY_ANSWERED


def test_one_batch_may_hold_a_whole_story(desk: Desk) -> None:
    """Whoever comes later in a batch sees what came before: by id, by number, by hand-off."""
    submission = a_submission(finding=between("otsuka", "tomisaka"))
    by_number = "131059-2026-000001"
    answers = desk.tell(
        a_command(submission),
        a_command(c.RuleDistrict(referral=by_number, district="otsuka", remember=True), "core"),
        a_command(a_submission(finding=between("otsuka", "tomisaka"), referral=an_id("second"))),
        a_command(c.AddNote(referral=submission.referral)),
    )
    assert [answer.status for answer in answers] == [201, 200, 201, 201]
    assert desk.states()[an_id("second")].district.basis == "ruled"
    assert [(entry.version, entry.event.type) for entry in desk.journal()] == [
        (1, "referral_submitted"), (2, "ruling_requested"), (3, "escalation_raised"),
        (4, "escalation_acknowledged"), (5, "district_ruled"), (6, "escalation_resolved"),
        (7, "handoff_offered"),
        (1, "referral_submitted"), (2, "district_found"), (3, "handoff_offered"),
        (8, "note_added"),
    ]  # fmt: skip


def test_a_remembered_ruling_is_still_known_after_a_restart(desk: Desk) -> None:
    finding = between("otsuka", "tomisaka")
    submission = a_submission(finding=finding)
    rule = c.RuleDistrict(referral=submission.referral, district="tomisaka", remember=True)
    desk.tell(a_command(submission), a_command(rule, "core"))
    ruling = next(x.id for x in desk.journal() if x.event.type == "district_ruled")
    desk.restart()
    desk.tell(a_command(a_submission(finding=finding)))
    found = next(x.event for x in desk.journal() if x.event.type == "district_found")
    assert (found.district, found.basis, found.ruling) == ("tomisaka", "ruled", ruling)
