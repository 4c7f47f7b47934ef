"""A clock that runs is a row beside the case that it belongs to, and it strikes once: whatever is
restarted, undone or sent again."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock, utc_text
from runtime.database import reading, upsert, writing
from runtime.ids import derived_id
from schemas import commands as c
from schemas import events as e
from schemas.base import NETWORK
from schemas.codes import Disposition, HandoffKind, HandoffState, SaidBy, Urgency
from schemas.journal import JournalEntry
from schemas.referral import Escalation, Handoff
from services.referral import tables as t
from services.referral import writer as writing_module
from services.referral.writer import Done, TryAgain
from tests.builders import (
    ANSHIN,
    CORE,
    FRIDAY_AFTERNOON,
    HUB,
    LIEN,
    a_command,
    a_submission,
)
from tests.databases import Databases, losing_the_answer_to_commit, opened, refusing
from tests.desk import Desk, received
from tests.someone_is_always_responsible.editions import without_reason
from tests.stories import Wish, command_of, moved, stories

QUARTER = timedelta(minutes=15)  # how long an emergency may go unanswered
INSTANT = timedelta(microseconds=1)
DAY = timedelta(days=1)


@pytest.fixture
def desk(database_of: Callable[[str], Engine], clock: ManualClock) -> Iterator[Desk]:
    with Desk(database_of("referral"), clock) as desk:
        yield desk


@dataclass
class Emergency:
    """One that was submitted on Friday at 16:50, so that the open hub has a quarter of an hour."""

    desk: Desk
    id: UUID

    @property
    def handoff(self) -> Handoff:
        return self.desk.states()[self.id].handoffs[0]

    @property
    def escalation(self) -> Escalation:
        return self.desk.states()[self.id].escalations[-1]

    def told(self, by: str, action: c.Action) -> int:
        """The status of the answer."""
        return self.desk.tell(a_command(action, by))[0].status


def an_emergency(desk: Desk) -> Emergency:
    submission = a_submission()
    assert desk.tell(a_command(submission))[0].status == 201
    return Emergency(desk, submission.referral)


def struck(desk: Desk) -> list[JournalEntry]:
    """What happened because a clock ran out: of each strike the first entry."""
    told: dict[UUID, JournalEntry] = {}
    for entry in desk.journal():
        if entry.actor == NETWORK:
            told.setdefault(entry.command, entry)
    return list(told.values())


def overdue_since(entry: JournalEntry) -> datetime:
    assert isinstance(entry.event, e.HandoffExpired | e.EscalationPassedOn)
    return entry.event.overdue_since


def rows(desk: Desk) -> set[tuple[str, str, str]]:
    return {(row.subject, row.referral, row.due_at) for row in desk.rows(t.clocks)}


def running(desk: Desk) -> set[tuple[str, str, str]]:
    return {
        (str(clock.subject), str(state.id), utc_text(clock.due_at))
        for state in desk.states().values()
        for clock in state.clocks
    }


# -- every clock that runs, and no other ------------------------------------------------------------


def test_every_clock_that_runs_is_a_row_and_no_other(databases: Databases) -> None:
    struck_in_all = 0

    @settings(max_examples=20)
    @given(stories, st.integers(0, 20))
    def holds(story: list[Wish], restarted: int) -> None:
        nonlocal struck_in_all
        clock = ManualClock(FRIDAY_AFTERNOON)
        with opened(databases, "referral") as engine, Desk(engine, clock) as desk:
            for number, wish in enumerate(story):
                clock.move(moved(wish))
                states = sorted(desk.states().values(), key=lambda state: state.number)
                if number == restarted:
                    desk.restart()
                desk.tell(command_of(wish, states, number))
                assert rows(desk) == running(desk)
                # What was due when the batch began has struck, and whatever is left is looked at
                # when it is due.
                left = desk.rows(t.clocks)
                assert all(utc_text(clock.now()) < row.due_at == row.strike_at for row in left)
            assert desk.dead_letters() == []
            struck_in_all += len(struck(desk))

    holds()
    assert struck_in_all > 5


# -- once -------------------------------------------------------------------------------------------


def test_a_clock_strikes_when_it_is_due_and_not_before(desk: Desk, clock: ManualClock) -> None:
    emergency = an_emergency(desk)
    due = emergency.handoff.due_at
    assert due == FRIDAY_AFTERNOON + QUARTER
    assert desk.writer.strikes_in == QUARTER
    clock.move(QUARTER - INSTANT)
    desk.strike()
    assert (struck(desk), desk.writer.strikes_in) == ([], INSTANT)
    clock.move(INSTANT)
    desk.strike()
    expired, raised = (entry for entry in desk.journal() if entry.actor == NETWORK)
    assert isinstance(expired.event, e.HandoffExpired)
    assert isinstance(raised.event, e.EscalationRaised)
    assert {expired.occurred_at, overdue_since(expired), raised.event.overdue_since} == {due}


@pytest.mark.parametrize("restarted", [False, True], ids=["the same process", "a new process"])
def test_a_clock_strikes_once(desk: Desk, clock: ManualClock, restarted: bool) -> None:
    emergency = an_emergency(desk)
    clock.move(QUARTER)
    for _ in range(3):
        if restarted:
            desk.restart()
        desk.strike()
    assert [entry.event.type for entry in struck(desk)] == ["handoff_expired"]
    assert len(emergency.desk.states()[emergency.id].escalations) == 1
    assert rows(desk) == running(desk) != set()


@pytest.mark.parametrize("restarted", [False, True], ids=["the same process", "a new process"])
@pytest.mark.parametrize("table", [t.journal.journal, t.clocks, t.referrals], ids=lambda x: x.name)
def test_a_strike_that_could_not_be_written_strikes_again_and_once(
    desk: Desk, clock: ManualClock, table: sa.Table, restarted: bool
) -> None:
    emergency = an_emergency(desk)
    before = [desk.rows(each) for each in t.metadata.sorted_tables]
    clock.move(QUARTER)
    for _ in range(2):
        with refusing(desk.engine, table), pytest.raises(sa.exc.DBAPIError):
            desk.strike()
    assert [desk.rows(each) for each in t.metadata.sorted_tables] == before
    if restarted:
        desk.restart()
    clock.move(QUARTER)
    desk.strike()
    (entry,) = struck(desk)
    assert overdue_since(entry) == FRIDAY_AFTERNOON + QUARTER
    assert entry.occurred_at == FRIDAY_AFTERNOON + 2 * QUARTER
    assert emergency.handoff.state is HandoffState.EXPIRED


@pytest.mark.parametrize("restarted", [False, True], ids=["the same process", "a new process"])
def test_a_strike_whose_commit_was_lost_is_found_done(
    desk: Desk, clock: ManualClock, restarted: bool
) -> None:
    emergency = an_emergency(desk)
    clock.move(QUARTER)
    with losing_the_answer_to_commit(desk.engine), pytest.raises(sa.exc.DBAPIError):
        desk.strike()
    if restarted:
        desk.restart()
    desk.strike()
    assert len(struck(desk)) == 1
    # The clock of the call that it made runs, and strikes in its turn.
    clock.move(QUARTER)
    desk.strike()
    assert [entry.event.type for entry in struck(desk)] == [
        "handoff_expired",
        "escalation_passed_on",
    ]
    assert emergency.escalation.level > 1


def test_a_clock_that_was_set_in_a_lost_commit_strikes_though_no_command_ever_comes(
    desk: Desk, clock: ManualClock
) -> None:
    with losing_the_answer_to_commit(desk.engine), pytest.raises(sa.exc.DBAPIError):
        desk.tell(a_command(a_submission()))
    # Whoever runs the writer asks it how long it may wait.
    assert desk.writer.strikes_in == timedelta(0)
    desk.strike()
    assert desk.writer.strikes_in == QUARTER
    clock.move(QUARTER)
    desk.strike()
    assert len(struck(desk)) == 1


def test_the_same_strike_decided_a_second_time_changes_nothing(
    desk: Desk, clock: ManualClock
) -> None:
    an_emergency(desk)
    (row,) = desk.rows(t.clocks)
    clock.move(QUARTER)
    desk.strike()
    journal, states, answers = desk.journal(), desk.states(), desk.rows(t.answers)
    with writing(desk.engine) as connection:
        upsert(connection, t.clocks, [dict(row._mapping)])
    desk.restart()
    desk.strike()
    assert (desk.journal(), desk.states(), desk.rows(t.answers)) == (journal, states, answers)
    assert rows(desk) == running(desk)
    assert desk.dead_letters() == []


# -- stopped ----------------------------------------------------------------------------------------


def accepted(case: Emergency) -> UUID:
    assert case.told(HUB, c.AcceptHandoff(handoff=case.handoff.id)) == 200
    return case.handoff.id


def declined(case: Emergency) -> UUID:
    decline = c.DeclineHandoff(handoff=case.handoff.id, said_by=SaidBy.AGENCY, reason="no_capacity")
    assert case.told(HUB, decline) == 200
    return case.handoff.id


def withdrawn(case: Emergency) -> UUID:
    assert case.told(ANSHIN, c.WithdrawHandoff(handoff=case.handoff.id)) == 200
    return case.handoff.id


def cancelled(case: Emergency) -> UUID:
    assert case.told(ANSHIN, c.CancelReferral(referral=case.id)) == 200
    return case.handoff.id


def closed(case: Emergency) -> UUID:
    accepted(case)
    offer = c.OfferHandoff(referral=case.id, to=(LIEN,), kind=HandoffKind.REQUEST)
    assert case.told(HUB, offer) == 201
    assert case.told(HUB, c.CloseReferral(referral=case.id, outcome="got_help")) == 200
    return case.desk.states()[case.id].handoffs[-1].id


def resolved(case: Emergency) -> UUID:
    call = raised_by_hand(case)
    assert case.told(CORE, c.AcknowledgeEscalation(escalation=call, advise_only=True)) == 200
    resolve = c.ResolveEscalation(escalation=call, disposition=Disposition.ADVISED)
    assert case.told(CORE, resolve) == 200
    return call


def raised_by_hand(case: Emergency) -> UUID:
    accepted(case)
    assert case.told(HUB, c.RaiseEscalation(referral=case.id, reason="E01")) == 201
    return case.escalation.id


@pytest.mark.parametrize("stopped", [accepted, declined, withdrawn, cancelled, closed, resolved])
def test_a_clock_that_was_stopped_never_strikes(
    desk: Desk, clock: ManualClock, stopped: Callable[[Emergency], UUID]
) -> None:
    an_emergency(desk)  # somebody else's, which runs out
    clock.move(QUARTER - INSTANT)
    subject = stopped(an_emergency(desk))
    assert str(subject) not in {row.subject for row in desk.rows(t.clocks)}
    for _ in range(3):
        clock.move(4 * DAY)
        desk.restart()
        desk.strike()
    about = {getattr(x.event, "handoff", None) for x in struck(desk)}
    about |= {getattr(x.event, "escalation", None) for x in struck(desk)}
    assert struck(desk)
    assert subject not in about


def test_a_call_that_was_acknowledged_is_not_passed_on_before_it_should_be_resolved(
    desk: Desk, clock: ManualClock
) -> None:
    case = an_emergency(desk)
    call = raised_by_hand(case)
    clock.move(QUARTER - INSTANT)
    assert case.told(CORE, c.AcknowledgeEscalation(escalation=call)) == 200
    answered_at = clock.now()
    clock.move(DAY - INSTANT)
    desk.strike()
    assert struck(desk) == []
    clock.move(INSTANT)
    desk.strike()
    (entry,) = struck(desk)
    assert overdue_since(entry) == answered_at + DAY


# -- answers at the last moment ---------------------------------------------------------------------


@pytest.mark.parametrize("told_before", [INSTANT, timedelta(0)], ids=["in time", "too late"])
def test_an_answer_in_the_batch_in_which_the_clock_runs_out(
    desk: Desk, clock: ManualClock, told_before: timedelta
) -> None:
    one, other = an_emergency(desk), an_emergency(desk)
    clock.move(QUARTER - told_before)
    accept = [a_command(c.AcceptHandoff(handoff=case.handoff.id), HUB) for case in (one, other)]
    statuses = [answer.status for answer in desk.tell(*accept)]
    in_time = told_before > timedelta(0)
    assert statuses == ([200, 200] if in_time else [409, 409])
    assert one.handoff.state is (HandoffState.ACCEPTED if in_time else HandoffState.EXPIRED)
    clock.move(told_before)
    desk.strike()
    assert len(struck(desk)) == (0 if in_time else 2)
    assert desk.states()[one.id].custodian == (HUB if in_time else ANSHIN)


def test_clocks_that_are_to_wait_find_what_was_answered_meanwhile(
    desk: Desk, clock: ManualClock
) -> None:
    answered, silent = an_emergency(desk), an_emergency(desk)
    clock.move(DAY)
    accept = a_command(c.AcceptHandoff(handoff=answered.handoff.id), HUB)
    (outcome,) = desk.writer.work([received(accept)], strike=False)
    assert isinstance(outcome, Done)
    assert outcome.answer is not None
    assert outcome.answer.status == 200
    assert struck(desk) == []
    desk.strike()
    assert silent.handoff.state is HandoffState.EXPIRED
    assert len(struck(desk)) == 1


# -- whoever pretends -------------------------------------------------------------------------------


@pytest.mark.parametrize("agency", [NETWORK, HUB, CORE])
def test_a_strike_that_comes_over_the_bus_is_set_aside_and_changes_nothing(
    desk: Desk, clock: ManualClock, agency: str
) -> None:
    case = an_emergency(desk)
    (row,) = desk.rows(t.clocks)
    strike = c.StrikeClock(
        referral=case.id, subject=case.handoff.id, due_at=datetime.fromisoformat(row.due_at)
    )
    command = a_command(strike, agency)
    tables = [x for x in t.metadata.sorted_tables if x is not t.dead_letters]
    before = [desk.rows(table) for table in tables]
    assert desk.work(received(command)) == [Done(None)]
    assert [desk.rows(table) for table in tables] == before
    assert desk.dead_letters() == [("only the network strikes clocks", command.to_json())]
    # Nor is it taken for the strike itself, when its time has come.
    clock.move(QUARTER)
    assert desk.work(received(command)) == [Done(None)]
    assert len(struck(desk)) == 1
    assert len(desk.dead_letters()) == 2


# -- a clock that cannot be decided -----------------------------------------------------------------


def failing_for(subject: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    decide = writing_module.decide

    def failing(state: Any, command: c.Command, context: Any) -> Any:
        action = command.action
        if isinstance(action, c.StrikeClock) and action.subject == subject:
            raise RuntimeError("a fault of ours")
        return decide(state, command, context)

    monkeypatch.setattr(writing_module, "decide", failing)


def test_a_clock_whose_deciding_fails_holds_up_no_other_and_is_looked_at_again_after_a_minute(
    desk: Desk, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    minute = timedelta(minutes=1)
    cases = []
    for _ in range(3):
        cases.append(an_emergency(desk))
        clock.move(timedelta(seconds=1))
    unlucky = cases[1]
    failing_for(unlucky.handoff.id, monkeypatch)
    clock.move(QUARTER)
    desk.strike()
    expired = HandoffState.EXPIRED
    assert [x.handoff.state for x in cases] == [expired, HandoffState.OFFERED, expired]
    # It is still known, since when it is due too, and kept aside with its reason.
    assert rows(desk) == running(desk)
    ((reason, body),) = desk.dead_letters()
    kept = c.Command.from_json(body).action
    assert reason == "deciding a clock failed"
    assert isinstance(kept, c.StrikeClock)
    assert (kept.subject, kept.due_at) == (unlucky.handoff.id, unlucky.handoff.due_at)
    assert desk.writer.strikes_in == minute

    desk.restart()
    clock.move(minute - INSTANT)
    desk.strike()
    assert len(desk.dead_letters()) == 1
    clock.move(INSTANT)
    desk.strike()  # it fails again, which is told once and not once a minute
    assert unlucky.handoff.state is HandoffState.OFFERED
    assert (len(desk.dead_letters()), desk.writer.strikes_in) == (1, minute)

    monkeypatch.undo()
    clock.move(minute)
    desk.strike()
    (entry,) = [x for x in struck(desk) if x.referral == unlucky.id]
    assert overdue_since(entry) == unlucky.handoff.due_at
    assert len(struck(desk)) == 3


def test_what_is_answered_while_its_clock_cannot_be_decided_is_answered(
    desk: Desk, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = an_emergency(desk)
    failing_for(case.handoff.id, monkeypatch)
    clock.move(QUARTER)
    # In the very batch in which it failed.
    assert case.told(HUB, c.AcceptHandoff(handoff=case.handoff.id)) == 200
    monkeypatch.undo()
    assert desk.rows(t.clocks) == []
    clock.move(DAY)
    desk.strike()
    assert struck(desk) == []


def test_a_call_whose_reason_the_ward_no_longer_has_is_passed_on_by_the_wards_own_desks(
    desk: Desk, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = an_emergency(desk)
    accepted(case)
    assert case.told(HUB, c.RaiseEscalation(referral=case.id, reason="E02")) == 201
    assert (case.escalation.desk, case.escalation.level) == ("hospital", 1)
    monkeypatch.setattr(desk.writer, "_ward", without_reason("E02"))
    clock.move(QUARTER)
    desk.strike()
    # Its own second desk would have been the core centre's by day, the ward's is the one on call;
    # how long it has is what any emergency may go unanswered.
    assert (case.escalation.desk, case.escalation.level) == ("core-on-call", 2)
    assert case.escalation.called == ("sample-hospital", CORE)
    assert case.escalation.due_at == clock.now() + QUARTER
    clock.move(QUARTER)
    desk.strike()
    assert (case.escalation.desk, case.escalation.level) == ("ward-night", 3)
    assert [entry.event.type for entry in struck(desk)] == ["escalation_passed_on"] * 2
    assert desk.dead_letters() == []
    assert rows(desk) == running(desk) != set()
    # It is taken and resolved like any other.
    acknowledge = c.AcknowledgeEscalation(escalation=case.escalation.id, advise_only=True)
    assert case.told(CORE, acknowledge) == 200
    resolve = c.ResolveEscalation(escalation=case.escalation.id, disposition=Disposition.ADVISED)
    assert case.told(CORE, resolve) == 200
    assert rows(desk) == set()


# -- what the database will never take --------------------------------------------------------------


@contextlib.contextmanager
def rejecting(engine: Engine, table: sa.Table, column: str, value: object) -> Iterator[None]:
    """Meanwhile a row of ``table`` with this ``value`` breaks a constraint."""
    create, drop = (
        (_REJECT_ON_POSTGRESQL, _ADMIT_ON_POSTGRESQL)
        if engine.dialect.name == "postgresql"
        else (_REJECT_ON_SQLITE, _ADMIT_ON_SQLITE)
    )
    for statement in (create, drop):
        with writing(engine) as connection:
            connection.exec_driver_sql(
                statement.format(table=table.name, column=column, value=value)
            )
        if statement is create:
            yield


_REJECT_ON_SQLITE = (
    "CREATE TRIGGER rejects BEFORE INSERT ON {table} WHEN NEW.{column} = '{value}' "
    "BEGIN SELECT RAISE(ABORT, 'never'); END"
)
_ADMIT_ON_SQLITE = "DROP TRIGGER rejects"
_REJECT_ON_POSTGRESQL = (
    "CREATE FUNCTION rejects() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "IF NEW.{column} = '{value}' THEN RAISE EXCEPTION 'never' USING ERRCODE = 'check_violation'; "
    "END IF; RETURN NEW; END $$; "
    "CREATE TRIGGER rejects BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION rejects()"
)
_ADMIT_ON_POSTGRESQL = "DROP TRIGGER rejects ON {table}; DROP FUNCTION rejects"


def rejecting_journal_of(desk: Desk, referral: UUID) -> contextlib.AbstractContextManager[None]:
    return rejecting(desk.engine, t.journal.journal, "thread", referral)


def test_a_command_that_the_database_rejects_harms_no_neighbour_and_comes_again(
    desk: Desk, clock: ManualClock
) -> None:
    silent = an_emergency(desk)
    clock.move(QUARTER)
    submissions = [a_submission() for _ in range(3)]
    one, unlucky, other = (a_command(submission) for submission in submissions)
    with rejecting_journal_of(desk, submissions[1].referral):
        first, again, last = desk.work(*map(received, (one, unlucky, other)))
        assert isinstance(again, TryAgain)
        for outcome in (first, last):
            assert isinstance(outcome, Done)
            assert outcome.answer is not None
            assert outcome.answer.status == 201
        # Nothing of it is there, and nothing has a hole.
        kept = {submissions[0].referral, submissions[2].referral, silent.id}
        assert desk.states().keys() == kept
        assert str(unlucky.id) not in {row.id for row in desk.rows(t.answers)}
        assert [x.number[-6:] for x in sorted(desk.states().values(), key=lambda x: x.number)] == [
            "000001", "000002", "000003",
        ]  # fmt: skip
        assert [x.number for x in desk.journal()] == list(range(1, len(desk.journal()) + 1))
        # The clock that ran out meanwhile has struck, once.
        assert silent.handoff.state is HandoffState.EXPIRED
        assert len(struck(desk)) == 1
        assert rows(desk) == running(desk)
        assert desk.work(received(unlucky, deliveries=4)) == [TryAgain()]
        assert desk.dead_letters() == []
    (outcome,) = desk.work(received(unlucky, deliveries=5))
    assert isinstance(outcome, Done)
    assert outcome.answer is not None
    assert outcome.answer.status == 201
    assert desk.tell(one)[0].status == 201
    assert len(desk.states()) == 4


def test_a_command_that_collides_with_what_is_there_is_set_aside_after_five_deliveries(
    desk: Desk, clock: ManualClock
) -> None:
    """No trigger here: the hand-off that it leads to has an id that is taken."""
    command = a_command(a_submission())
    taken = derived_id(clock.now(), command.id, "handoff", HUB)
    with writing(desk.engine) as connection:
        connection.execute(sa.insert(t.handoffs).values(id=str(taken), referral=str(taken)))
    neighbour = a_command(a_submission())
    for deliveries in range(1, 5):
        outcomes = desk.work(received(command, deliveries), received(neighbour, deliveries))
        assert [type(outcome) for outcome in outcomes] == [TryAgain, Done]
        desk.restart()
    assert desk.dead_letters() == []
    assert desk.work(received(command, deliveries=5)) == [Done(None)]
    assert desk.dead_letters() == [
        ("the database rejects what it leads to", command.to_json()),
    ]
    assert len(desk.states()) == 1
    # And it goes on.
    an_emergency(desk)
    clock.move(QUARTER)
    desk.strike()
    assert len(struck(desk)) == 2


@pytest.mark.parametrize("restarted", [False, True], ids=["the same process", "a new process"])
def test_a_clock_whose_strike_the_database_rejects_is_looked_at_again_and_holds_up_no_other(
    desk: Desk, clock: ManualClock, restarted: bool
) -> None:
    minute = timedelta(minutes=1)
    cases = []
    for _ in range(3):
        cases.append(an_emergency(desk))
        clock.move(timedelta(seconds=1))
    clock.move(QUARTER)
    unlucky, expired = cases[1], HandoffState.EXPIRED
    due = unlucky.handoff.due_at
    with rejecting_journal_of(desk, unlucky.id):
        desk.strike()
        assert [x.handoff.state for x in cases] == [expired, HandoffState.OFFERED, expired]
        # Since when it is due is still known; when it is looked at again, too.
        assert rows(desk) == running(desk)
        again = [row for row in desk.rows(t.clocks) if row.subject == str(unlucky.handoff.id)]
        assert [row.strike_at for row in again] == [utc_text(clock.now() + minute)]
        if restarted:
            desk.restart()
        assert desk.writer.strikes_in == minute
        # Commands are decided meanwhile.
        assert desk.tell(a_command(a_submission()))[0].status == 201
        clock.move(minute - INSTANT)
        desk.strike()
        assert desk.writer.strikes_in == INSTANT
        clock.move(INSTANT)
        assert desk.tell(a_command(a_submission()))[0].status == 201
        assert unlucky.handoff.state is HandoffState.OFFERED
        assert desk.writer.strikes_in == minute
        assert len(struck(desk)) == 2
    clock.move(minute)
    desk.strike()
    (entry,) = [x for x in struck(desk) if x.referral == unlucky.id]
    assert overdue_since(entry) == due
    assert rows(desk) == running(desk)


def test_what_the_database_rejects_beside_many_clocks_holds_up_none_of_them(
    desk: Desk, clock: ManualClock
) -> None:
    cases = [an_emergency(desk) for _ in range(6)]
    clock.move(QUARTER)
    unlucky = a_submission()
    with rejecting_journal_of(desk, unlucky.referral):
        assert desk.work(received(a_command(unlucky))) == [TryAgain()]
    assert {case.handoff.state for case in cases} == {HandoffState.EXPIRED}
    assert len(struck(desk)) == 6
    assert desk.writer.struck == 6


# -- many at once -----------------------------------------------------------------------------------


def many(desk: Desk, count: int, **fields: Any) -> None:
    for begin in range(0, count, 100):
        several = [a_submission(**fields) for _ in range(min(100, count - begin))]
        answers = desk.tell(*(a_command(submission) for submission in several))
        assert {answer.status for answer in answers} == {201}


def test_more_than_a_batch_strikes_in_order_of_due_time_over_several_batches(
    desk: Desk, clock: ManualClock
) -> None:
    # What came later is due earlier.
    for urgency in (Urgency.ROUTINE, Urgency.URGENT, Urgency.EMERGENCY):
        many(desk, 100, urgency=urgency, function="consultation", requested_action=None)
        clock.move(timedelta(seconds=1))
    many(desk, 300)
    due = sorted(row.due_at for row in desk.rows(t.clocks))
    assert len(due) == 600
    assert len(set(due)) == 4
    clock.move(7 * DAY)
    told = []
    while desk.writer.strikes_in is not None and desk.writer.strikes_in <= timedelta(0):
        before = len(struck(desk))
        # No command waits for all of them.
        assert desk.tell(a_command(a_submission(urgency=Urgency.ROUTINE)))[0].status == 201
        told.append(len(struck(desk)) - before)
    assert told == [256, 256, 88]
    assert [utc_text(overdue_since(entry)) for entry in struck(desk)] == due
    assert {entry.occurred_at for entry in struck(desk)} == {clock.now()}
    assert desk.writer.struck == 600
    assert rows(desk) == running(desk)


def test_what_ran_out_while_nobody_decided_strikes_at_once(desk: Desk, clock: ManualClock) -> None:
    an_emergency(desk)
    clock.move(DAY)
    desk.restart()
    assert desk.writer.strikes_in == QUARTER - DAY
    desk.strike()
    (entry,) = struck(desk)
    assert overdue_since(entry) == FRIDAY_AFTERNOON + QUARTER
    assert entry.occurred_at == FRIDAY_AFTERNOON + DAY
    assert desk.writer.latest == DAY - QUARTER


# -- found without looking at all of them -----------------------------------------------------------


@contextlib.contextmanager
def what_is_said(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """The statements about clocks, with their values, as the database gets them."""
    said: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, values: Any, _x: Any, many: bool) -> None:
        if "FROM clocks" in statement:
            said.append((statement, values[0] if many else values))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


def test_what_is_due_is_found_by_the_index(desk: Desk, clock: ManualClock) -> None:
    an_emergency(desk)
    far = utc_text(clock.now() + 30 * DAY)
    model = desk.rows(t.clocks)[0]._mapping
    pending = [
        {**model, "subject": f"{n:036d}", "due_at": far, "strike_at": far} for n in range(20_000)
    ]
    with writing(desk.engine) as connection:
        upsert(connection, t.clocks, pending)
        connection.exec_driver_sql("ANALYZE")
    clock.move(QUARTER)
    with what_is_said(desk.engine) as said:
        desk.strike()
    assert len(struck(desk)) == 1
    kinds = sorted(" ".join(statement.split()[:2]) for statement, _ in said)
    assert len(kinds) == 3
    assert kinds[0] == "DELETE FROM"
    sqlite = desk.engine.dialect.name == "sqlite"
    with reading(desk.engine) as connection:
        for statement, values in said:
            explain = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
            plan = [" ".join(map(str, row)) for row in
                    connection.exec_driver_sql(explain + statement, values)]  # fmt: skip
            whole = [line for line in plan if "SCAN clocks" in line or "Seq Scan" in line]
            assert not whole, (statement, plan)
            assert any("INDEX" in line or "Index" in line for line in plan), (statement, plan)
            assert not any("Sort" in line or "TEMP B-TREE" in line for line in plan), plan
