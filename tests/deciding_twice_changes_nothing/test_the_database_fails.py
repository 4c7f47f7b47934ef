"""A transaction that fails leaves nothing behind: neither rows nor thoughts."""

import pytest
import sqlalchemy as sa

from schemas import commands as c
from services.referral import tables as t
from tests.builders import HUB, a_command, a_submission, an_id, between
from tests.databases import losing_the_answer_to_commit, refusing
from tests.desk import Desk, received

TABLES = [
    t.journal.journal, t.answers, t.referrals, t.worklist, t.handoffs, t.rulings, t.dead_letters,
]  # fmt: skip


def everything(desk: Desk) -> list[list[object]]:
    return [desk.rows(table) for table in t.metadata.sorted_tables]


def numbers(desk: Desk) -> list[str]:
    return sorted(state.number for state in desk.states().values())


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_batch_that_cannot_be_written_is_undone_whole_and_can_come_again(
    desk: Desk, table: sa.Table
) -> None:
    finding = between("otsuka", "tomisaka")
    old, new = a_submission(finding=finding), a_submission()
    desk.tell(a_command(old), a_command(a_submission(referral=an_id("another"))))
    offered = desk.states()[an_id("another")].handoffs[0].id
    batch = [
        received(a_command(new)),
        received(a_command(c.RuleDistrict(referral=old.referral, district="otsuka", remember=True), "core")),
        received(a_command(c.AcceptHandoff(handoff=offered), HUB)),
        received(a_command(a_submission(), ward="131199")),
    ]  # fmt: skip
    before = everything(desk)
    for _ in range(2):
        with refusing(desk.engine, table), pytest.raises(sa.exc.DBAPIError):
            desk.work(*batch)
        assert everything(desk) == before

    # What comes first now is numbered as if nothing had been tried; the rest finds the old state.
    (other,) = desk.tell(a_command(a_submission(finding=finding, referral=an_id("first now"))))
    assert (other.status, desk.states()[an_id("first now")].district.id) == (201, None)
    assert [outcome.answer.status for outcome in desk.work(*batch)[:3]] == [201, 200, 200]
    assert numbers(desk) == [f"131059-2026-00000{n}" for n in (1, 2, 3, 4)]
    assert desk.states()[an_id("first now")].number == "131059-2026-000003"
    assert [x.number for x in desk.journal()] == list(range(1, len(desk.journal()) + 1))
    assert len(desk.dead_letters()) == 1


def test_a_commit_whose_answer_was_lost_is_found_done(desk: Desk) -> None:
    submission = a_command(a_submission(), key="once")
    with losing_the_answer_to_commit(desk.engine), pytest.raises(sa.exc.DBAPIError):
        desk.tell(submission)
    journal = desk.journal()
    assert len(journal) == 3
    first, second = desk.tell(submission, a_command(a_submission()))
    assert (first.status, second.status) == (201, 201)
    assert desk.journal()[:3] == journal
    assert [x.number for x in desk.journal()] == [1, 2, 3, 4, 5, 6]
    assert numbers(desk) == ["131059-2026-000001", "131059-2026-000002"]


def test_a_remembered_ruling_whose_commit_was_lost_is_remembered(desk: Desk) -> None:
    finding = between("otsuka", "tomisaka")
    submission = a_submission(finding=finding)
    desk.tell(a_command(submission))
    rule = c.RuleDistrict(referral=submission.referral, district="otsuka", remember=True)
    with losing_the_answer_to_commit(desk.engine), pytest.raises(sa.exc.DBAPIError):
        desk.tell(a_command(rule, "core"))
    desk.tell(a_command(a_submission(finding=finding, referral=an_id("next"))))
    assert desk.states()[an_id("next")].district.id == "otsuka"


def test_a_case_that_moved_on_in_a_commit_that_was_lost_goes_on_from_there(desk: Desk) -> None:
    submission = a_submission()
    desk.tell(a_command(submission))
    accept = c.AcceptHandoff(handoff=desk.states()[submission.referral].handoffs[0].id)
    with losing_the_answer_to_commit(desk.engine), pytest.raises(sa.exc.DBAPIError):
        desk.tell(a_command(accept, HUB))
    note = c.AddNote(referral=submission.referral)
    by_sender, by_hub = desk.tell(a_command(note), a_command(note, HUB))
    assert (by_sender.status, by_hub.status) == (409, 201)
    assert [entry.version for entry in desk.journal()] == [1, 2, 3, 4, 5]
