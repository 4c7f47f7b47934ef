"""What the records add up to, at any moment, is what was live at that moment."""

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from schemas import commands as c
from schemas.problems import Refusal
from schemas.referral import Referral, fold
from services.audit.replay import ReplayError, fold_ward, read_entries, replay
from services.referral import tables as t
from tests.book import Book
from tests.builders import (
    ANSHIN,
    FRIDAY_AFTERNOON,
    HUB,
    Town,
    a_command,
    a_referral,
    a_submission,
    between,
)
from tests.databases import Databases, opened
from tests.desk import Desk, received
from tests.record import clocks_are_those_of, escalations_are_those_of
from tests.stories import Wish, command_of, moved, stories

HOUR = timedelta(hours=1)


def test_after_any_story_journal_ledger_and_memory_tell_the_same(databases: Databases) -> None:
    @settings(max_examples=12)
    @given(stories, st.lists(st.integers(1, 5), min_size=30, max_size=30), st.integers(0, 12))
    def holds(story: list[Wish], sizes: list[int], restart_after: int) -> None:
        clock = ManualClock(FRIDAY_AFTERNOON)
        with opened(databases, "referral") as engine, Desk(engine, clock) as desk:
            live = tell(desk, clock, story, sizes, restart_after)
            journal, states = desk.journal(), desk.states()

            # The journal adds up to the state, referral by referral, and has no hole.
            assert [entry.number for entry in journal] == list(range(1, len(journal) + 1))
            for referral, state in states.items():
                assert fold(x for x in journal if x.referral == referral) == state
            assert {entry.referral for entry in journal} == states.keys()
            rows = {row.id: row for row in desk.rows(t.referrals)}
            for state in states.values():
                row = rows[str(state.id)]
                assert (row.number, row.stage, row.custodian, row.version) == (
                    state.number, state.stage, state.custodian, state.version,
                )  # fmt: skip

        with opened(databases, "audit") as engine:
            book = Book(engine, clock)
            for start, size in zip(itertools.count(0, 4), sizes, strict=False):
                book.append(journal[start : start + 4])
                if size == 5:
                    book.reopen()
                if size % 2:
                    book.ledger.sign()
            book.append(journal[4 * len(sizes) :])
            book.ledger.sign()
            if journal:
                assert book.verified().kind is None
            bodies = book.bodies()

        # And so does the ledger, now and at every moment that was.
        assert by_id(fold_ward(bodies)) == states
        for at, then in live.items():
            assert by_id(fold_ward(bodies, at)) == then
            for referral, state in then.items():
                own = [x for x in read_entries(bodies) if x.referral == referral]
                history = replay(own, at)
                assert history.state == state
                if not state.ended:
                    assert (history.custody[-1].custodian, history.custody[-1].until) == (
                        state.custodian,
                        None,
                    )

    holds()


def test_what_is_kept_of_clocks_and_calls_follows_every_step_of_a_case(
    database_of: Callable[[str], Engine], clock: ManualClock
) -> None:
    with Desk(database_of("referral"), clock) as desk:
        follow_step_by_step(desk, clock)


def follow_step_by_step(desk: Desk, clock: ManualClock) -> None:
    town = Town(clock=clock)
    submission = a_submission(urgency="routine", finding=between("otsuka", "tomisaka"))

    def told(action: c.Action, by: str) -> Referral:
        command = a_command(action, by)
        town.ask(command)
        desk.tell(command)
        assert desk.states() == town.states
        clocks_are_those_of(desk.rows(t.clocks), town.states.values())
        escalations_are_those_of(desk.rows(t.escalations), town.entries)
        return town.states[submission.referral]

    state = told(submission, ANSHIN)
    undecided = state.escalations[0].id
    told(c.AcknowledgeEscalation(escalation=undecided), "core")
    state = told(c.RuleDistrict(referral=state.id, district="otsuka"), "core")
    assert [x.state for x in state.escalations] == ["resolved"]
    told(c.AcceptHandoff(handoff=state.handoffs[0].id), "hub-otsuka")
    state = told(c.RaiseEscalation(referral=state.id, reason="E10"), "hub-otsuka")
    call = state.escalations[1].id
    state = told(c.AcknowledgeEscalation(escalation=call), "core")
    assert state.custodian == "core"
    state = told(c.ResolveEscalation(escalation=call, disposition="returned"), "core")
    assert [clock.subject for clock in state.clocks] == [state.handoffs[-1].id]
    state = told(c.AcceptHandoff(handoff=state.handoffs[-1].id), "hub-otsuka")
    assert (state.custodian, state.clocks) == ("hub-otsuka", ())
    # A call that few know of goes on when the case has ended, and is raised again when it is forgotten.
    state = told(c.RaiseEscalation(referral=state.id, reason="E03"), ANSHIN)
    suspicion = state.escalations[-1].id
    told(c.AcknowledgeEscalation(escalation=suspicion), "ward-office")
    state = told(c.CloseReferral(referral=state.id, outcome="got_help"), "hub-otsuka")
    assert [clock.subject for clock in state.clocks] == [suspicion]
    clock.move(state.clocks[0].due_at - clock.now())
    town.strike()
    desk.strike()
    assert desk.states() == town.states
    clocks_are_those_of(desk.rows(t.clocks), town.states.values())
    escalations_are_those_of(desk.rows(t.escalations), town.entries)
    state = told(c.AcknowledgeEscalation(escalation=suspicion), "core")
    assert (state.stage, state.custodian) == ("closed", "hub-otsuka")
    state = told(c.ResolveEscalation(escalation=suspicion, disposition="advised"), "core")
    assert state.clocks == ()


def tell(
    desk: Desk, clock: ManualClock, story: list[Wish], sizes: list[int], restart_after: int
) -> dict[datetime, dict[UUID, Referral]]:
    """Tell the story to the writer in batches, beside the same without a database; gives what was
    live at the end of each moment."""
    town = Town(clock=clock)
    live: dict[datetime, dict[UUID, Referral]] = {}
    wishes = list(enumerate(story))
    for size in (*sizes, len(story)):
        batch, wishes = wishes[:size], wishes[size:]
        if not batch:
            break
        clock.move(moved(batch[0][1]))
        town.strike()  # as the writer does when a batch begins
        commands = []
        for number, wish in batch:
            command = command_of(wish, list(town.states.values()), number)
            refused = isinstance(town.ask(command), Refusal)
            commands.append((command, refused))
        outcomes = desk.work(*(received(command) for command, _ in commands))
        for (_, refused), outcome in zip(commands, outcomes, strict=True):
            assert refused == (outcome.answer.status >= 400)
        assert desk.states() == town.states
        assert desk.journal() == town.entries
        clocks_are_those_of(desk.rows(t.clocks), town.states.values())
        escalations_are_those_of(desk.rows(t.escalations), town.entries)
        live[clock.now()] = dict(town.states)
        if batch[0][0] == restart_after:
            desk.restart()
    return live


def by_id(states: dict[str, Referral]) -> dict[UUID, Referral]:
    return {UUID(key): state for key, state in states.items()}


def test_custody_is_told_as_spans_without_a_gap_or_an_overlap() -> None:
    case = a_referral(urgency="routine")
    moments = [case.town.clock.now()]
    for receiver in (HUB, ANSHIN, "core"):
        case.town.clock.move(HOUR)
        moments.append(case.town.clock.now())
        if receiver != HUB:
            case.offered_to(receiver)
        case.accepted_by(receiver)
    case.town.clock.move(HOUR)
    case.closed()
    history = replay(case.town.entries)
    assert [(span.custodian, span.since) for span in history.custody] == list(
        zip((ANSHIN, HUB, ANSHIN, "core"), moments, strict=True)
    )
    ends = [*moments[1:], case.town.clock.now()]
    assert [span.until for span in history.custody] == ends


def test_a_case_that_was_taken_by_a_call_that_few_know_of_has_one_span_more_and_not_two() -> None:
    case = a_referral().accepted_by(HUB).escalated_by(ANSHIN, "E03")
    case.town.clock.move(HOUR)
    case.acknowledged_by("core", "E03")
    history = replay(case.town.entries)
    assert [span.custodian for span in history.custody] == [ANSHIN, HUB, "core"]
    assert history.custody[1].until == history.custody[2].since == case.town.clock.now()
    # Between the two entries of that step the hub still had it.
    assert [fold(case.town.entries[:end]).custodian for end in (-1, None)] == [HUB, "core"]


def test_before_its_submission_there_was_nothing() -> None:
    case = a_referral()
    before = case.town.clock.now() - HOUR
    assert replay(case.town.entries, before) is None
    assert fold_ward([x.to_json() for x in case.town.entries], before) == {}


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_history_with_an_entry_missing_is_not_replayed(missing: int) -> None:
    entries = a_referral().accepted_by(HUB).town.entries
    with pytest.raises(ReplayError):
        replay(entries[:missing] + entries[missing + 1 :])
