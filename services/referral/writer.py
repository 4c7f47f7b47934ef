"""The only writer of a ward's referrals: commands in batches, one transaction for events, state,
worklist, clocks and answers. A clock that has run out is a command like any other.

A command is seen before → its recorded answer; otherwise ``decide`` → events or a refusal, and either
is recorded. One command that cannot be read, or that makes the code fail, harms no neighbour.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa
from pydantic import ValidationError
from pydantic_core import to_json
from sqlalchemy.engine import Connection, Engine

from runtime import journal as journals
from runtime.clock import Clock, NeverBackwards, utc_text
from runtime.database import reading, writing
from runtime.dead_letters import bury
from runtime.observability import log
from runtime.sole_writer import SoleWriter
from schemas import commands as c
from schemas import events as e
from schemas.base import NETWORK
from schemas.journal import JournalEntry
from schemas.problems import ProblemCode, Refusal
from schemas.referral import LiveClock, Referral, referral_adapter
from services.referral import tables as t
from services.referral.batch import Batch
from services.referral.deciding import Context, written_down
from services.referral.involvement import concerned
from services.referral.lifecycle import decide
from services.referral.policy import Remembered
from services.referral.views import referral_given
from wards.holidays import Calendar
from wards.model import Ward

_CREATED = (c.SubmitReferral, c.OfferHandoff, c.RaiseEscalation, c.AddNote, c.AddAttachment)
_GIVE_UP_AFTER = 5
_MOST_STRUCK = 256  # clocks in one batch: no command waits longer than for one batch of them
_LOOK_AGAIN = timedelta(minutes=1)  # at a clock whose deciding failed
_NOBODYS = "0" * 64  # the fingerprint of what no body asked for
_KEPT_STATES = 20_000


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it came: ``deliveries`` counts how often it was tried."""

    subject: str
    body: bytes
    deliveries: int = 1


@dataclass(frozen=True, slots=True)
class Done:
    """The message is dealt with for good. ``answer`` is for whoever waits, if it was readable."""

    answer: c.Answer | None


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The message must come again."""


Outcome = Done | TryAgain


class Writer:
    """Decides batches of commands. ``work`` is synchronous: it runs in a worker thread, one at a
    time. What it keeps in memory is only a copy of what the database says."""

    def __init__(
        self, engine: Engine, ward: Ward, holidays: Calendar, clock: Clock, sole: SoleWriter
    ) -> None:
        self._engine = engine
        self._ward = ward
        self._holidays = holidays
        self._sole = sole
        self._states: OrderedDict[str, tuple[Referral, int]] = OrderedDict()
        self.decided = 0
        self.refused = 0
        self.struck = 0
        self.latest = timedelta()
        """By how much the latest of all clocks was missed."""
        self.changed_escalations = False
        """Whether the last ``work`` changed any."""
        self._in_doubt = False
        self._head = self._change = 0
        self._next_strike: datetime | None = None
        self._last_number: dict[int, int] = {}
        self._rulings: dict[str, Remembered] = {}
        with reading(engine) as connection:
            self._load(connection)
            latest = self._latest(connection)
        self._clock = NeverBackwards(clock, latest)

    @property
    def strikes_in(self) -> timedelta | None:
        """How long until the next clock runs out; None when none runs. Nothing, as long as it is not
        known what was committed: there may be one that was not seen yet."""
        if self._in_doubt:
            return timedelta(0)
        if self._next_strike is None:
            return None
        return self._next_strike - self._clock.now()

    def work(self, messages: Sequence[Received], *, strike: bool = True) -> list[Outcome]:
        """Decide the clocks that have run out (unless they are to wait: ``strike``), the longest
        overdue first, then ``messages`` in order. Raises ``sqlalchemy.exc.DBAPIError`` when the
        database cannot take them: then nothing was written and all must come again."""
        self.changed_escalations = False
        try:
            return self._work(messages, _MOST_STRUCK if strike else 0)
        except (sa.exc.IntegrityError, sa.exc.DataError):
            # What the database will never take must not hold up its neighbours: each by itself.
            log("batch_rejected", fault=True, commands=len(messages))
            if strike:
                self._strike_one_by_one()
            return [self._work_alone(message) for message in messages]

    def _work_alone(self, message: Received) -> Outcome:
        try:
            return self._work([message], 0)[0]
        except (sa.exc.IntegrityError, sa.exc.DataError):
            log("command_rejected", fault=True, subject=message.subject)
            if message.deliveries < _GIVE_UP_AFTER:
                return TryAgain()
            with writing(self._engine) as connection:
                self._sole.guard(connection)
                reason = "the database rejects what it leads to"
                bury(
                    connection, t.dead_letters, message.subject, message.body, reason,
                    self._clock.now(),
                )  # fmt: skip
            return Done(None)

    def _strike_one_by_one(self) -> None:
        """As many as a batch would have; one that the database rejects is looked at again later."""
        for _ in range(_MOST_STRUCK):
            struck = self.struck
            try:
                self._work([], 1)
            except (sa.exc.IntegrityError, sa.exc.DataError):
                log("clock_rejected", fault=True)
                self._put_off_the_first()
            else:
                if self.struck == struck:
                    return

    def _put_off_the_first(self) -> None:
        now, k = self._clock.now(), t.clocks
        with writing(self._engine) as connection:
            self._sole.guard(connection)
            first = sa.select(k).order_by(k.c.strike_at, k.c.subject).limit(1)
            batch = self._new_batch()
            row = connection.execute(first).one()
            self._set_aside(row, "the database rejects a clock", now, batch)
            self._write(connection, batch)

    def _work(self, messages: Sequence[Received], most_struck: int) -> list[Outcome]:
        counted = self.decided, self.refused, self.struck, self.latest
        try:
            with writing(self._engine) as connection:
                self._sole.guard(connection)
                if self._in_doubt:
                    self._load(connection)
                batch = self._new_batch()
                if most_struck:
                    self._strike_all(connection, batch, most_struck)
                outcomes = self._decide_all(connection, messages, batch)
                self._write(connection, batch)
                next_strike = self._first_strike(connection) if batch.clocks else self._next_strike
        except BaseException:
            # Whether it was committed is not known (the connection may have broken in between), so
            # what is kept in memory may be behind the database now. It will be counted when it comes
            # again.
            self.decided, self.refused, self.struck, self.latest = counted
            self._states.clear()
            self._in_doubt = True
            raise
        self._in_doubt = False
        self._next_strike = next_strike
        self._remember(batch)
        return outcomes

    def _new_batch(self) -> Batch:
        return Batch(
            head=self._head,
            change=self._change,
            rulings=dict(self._rulings),
            last_number=dict(self._last_number),
        )

    def _write(self, connection: Connection, batch: Batch) -> None:
        batch.write(connection)
        for subject, body, reason in batch.buried:
            bury(connection, t.dead_letters, subject, body, reason, self._clock.now())

    # -- reading what is known -------------------------------------------------------------------

    def _load(self, connection: Connection) -> None:
        self._head = journals.head(connection, t.journal)
        self._change = (
            connection.execute(sa.select(sa.func.max(t.escalations.c.change))).scalar() or 0
        )
        self._next_strike = self._first_strike(connection)
        # Numbers are gapless, so the last one given is how many there are.
        year = t.referrals.c.year
        counts = sa.select(year, sa.func.count()).group_by(year)
        self._last_number = {row[0]: row[1] for row in connection.execute(counts)}
        rows = connection.execute(sa.select(t.rulings)).all()
        self._rulings = {r.block_key: Remembered(r.district, UUID(r.ruling)) for r in rows}

    @staticmethod
    def _first_strike(connection: Connection) -> datetime | None:
        first = connection.execute(sa.select(sa.func.min(t.clocks.c.strike_at))).scalar()
        return datetime.fromisoformat(first) if first is not None else None

    def _latest(self, connection: Connection) -> datetime | None:
        journal = t.journal.journal
        query = sa.select(journal.c.body).where(journal.c.number == self._head)
        body = connection.execute(query).scalar()
        return JournalEntry.from_json(body).occurred_at if body else None

    def _prefetch(
        self, connection: Connection, batch: Batch, commands: Iterable[c.Command]
    ) -> None:
        """Read at once what the whole batch needs."""
        commands = list(commands)
        sent = {str(command.id) for command in commands}
        rows = connection.execute(sa.select(t.answers).where(t.answers.c.id.in_(sent))).all()
        for row in rows:
            batch.answers[row.id] = (row.fingerprint, c.Answer(status=row.status, body=row.body))
        wanted: set[str] = set()
        handoffs: set[str] = set()
        escalations: set[str] = set()
        numbers: set[str] = set()
        for command in commands:
            kind, ref = _reference(command.action)
            if kind == "id":
                wanted.add(ref)
            elif kind == "handoff":
                handoffs.add(ref)
            elif kind == "escalation":
                escalations.add(ref)
            elif kind == "number":
                numbers.add(ref)
        for table, ids in ((t.handoffs, handoffs), (t.escalations, escalations)):
            if ids:
                query = sa.select(table.c.id, table.c.referral).where(table.c.id.in_(ids))
                batch.places |= {row.id: row.referral for row in connection.execute(query)}
        if numbers:
            r = t.referrals
            query = sa.select(r.c.id, r.c.number).where(r.c.number.in_(numbers))
            batch.places |= {row.number: row.id for row in connection.execute(query)}
        wanted |= set(batch.places.values())
        wanted -= batch.states.keys()
        for referral in list(wanted):
            known = self._states.get(referral)
            if known is not None:
                batch.states[referral], batch.seqs[referral] = known
                wanted.discard(referral)
        if wanted:
            r = t.referrals
            query = sa.select(r.c.id, r.c.seq, r.c.state).where(r.c.id.in_(wanted))
            for row in connection.execute(query):
                batch.states[row.id] = referral_adapter.validate_json(row.state)
                batch.seqs[row.id] = row.seq

    # -- deciding --------------------------------------------------------------------------------

    def _strike_all(self, connection: Connection, batch: Batch, most: int) -> None:
        """The clocks that have run out, as commands of the network itself. Which command a clock is
        follows from the clock, so one that is struck twice is the same command."""
        now = self._clock.now()
        if self._next_strike is None or self._next_strike > now:
            return
        k = t.clocks
        due = (
            sa.select(k)
            .where(k.c.strike_at <= utc_text(now))
            .order_by(k.c.strike_at, k.c.subject)
            .limit(most)
        )
        rows = connection.execute(due).all()
        commands = [self._struck(row, now) for row in rows]
        self._prefetch(connection, batch, commands)
        for row, command in zip(rows, commands, strict=True):
            # Whatever comes of it, this clock has struck: what runs from now on is set anew below.
            batch.clocks[row.subject] = None
            try:
                self._answer(command, batch)
            except Exception:
                # A fault of ours: kept aside with its reason, and looked at again, in case a newer
                # program is wiser. The clocks beside it are not held up.
                log("striking_failed", fault=True, subject=row.subject)
                self._set_aside(row, "deciding a clock failed", now, batch)
            else:
                self.struck += 1
                self.latest = max(self.latest, now - datetime.fromisoformat(row.due_at))

    def _set_aside(self, row: Any, reason: str, now: datetime, batch: Batch) -> None:
        """A clock that fails is kept with its reason the first time, not once a minute for as long as
        it fails, and looked at again later."""
        if row.strike_at == row.due_at:
            batch.buried.append(("", self._struck(row, now).to_json(), reason))
        batch.postpone(row, now + _LOOK_AGAIN)

    def _struck(self, row: Any, now: datetime) -> c.Command:
        return c.Command(
            id=uuid5(UUID(row.subject), row.due_at),
            ward=self._ward.code,
            agency=NETWORK,
            issued_at=now,
            fingerprint=_NOBODYS,
            action=c.StrikeClock(
                referral=row.referral,
                subject=row.subject,
                due_at=datetime.fromisoformat(row.due_at),
            ),
        )

    def _decide_all(
        self, connection: Connection, messages: Sequence[Received], batch: Batch
    ) -> list[Outcome]:
        read: list[c.Command | None] = [self._read(message, batch) for message in messages]
        self._prefetch(connection, batch, (command for command in read if command is not None))
        outcomes: list[Outcome] = []
        for message, command in zip(messages, read, strict=True):
            if command is None or isinstance(command.action, c.ProbeWriting):
                outcomes.append(Done(None))
                continue
            try:
                outcomes.append(Done(self._answer(command, batch)))
            except Exception:
                # A fault of ours, not of the message: it comes again, in case a newer program is
                # wiser, and is kept aside with its reason when it has failed often enough.
                log("deciding_failed", fault=True, command=str(command.id))
                if message.deliveries < _GIVE_UP_AFTER:
                    outcomes.append(TryAgain())
                else:
                    batch.buried.append((message.subject, message.body, "deciding failed"))
                    outcomes.append(Done(None))
        return outcomes

    def _read(self, message: Received, batch: Batch) -> c.Command | None:
        try:
            command = c.Command.from_json(message.body)
        except ValidationError as error:
            faults = sorted({str(x["type"]) for x in error.errors(include_input=False)})
            batch.buried.append((message.subject, message.body, f"unreadable: {', '.join(faults)}"))
            return None
        if command.ward != self._ward.code:
            batch.buried.append((message.subject, message.body, "another ward's command"))
            return None
        if isinstance(command.action, c.StrikeClock):
            # Clocks are read from the database; whoever sends one has no business to.
            batch.buried.append((message.subject, message.body, "only the network strikes clocks"))
            return None
        return command

    def _answer(self, command: c.Command, batch: Batch) -> c.Answer:
        seen = batch.answers.get(str(command.id))
        if seen is not None:
            fingerprint, answer = seen
            if fingerprint == command.fingerprint:
                return answer
            return _refused(Refusal(ProblemCode.IDEMPOTENCY_KEY_REUSED))
        kind, ref = _reference(command.action)
        referral = ref if kind == "id" else batch.places.get(ref, "")
        state = batch.states.get(referral)
        now = self._clock.now()
        context = Context(now, self._ward, self._holidays, batch.rulings, batch.last_number)
        decision = decide(state, command, context)
        if isinstance(decision, Refusal):
            self.refused += 1
            answer = _refused(decision)
        else:
            answer = self._happen(state, command, decision, now, batch)
        batch.record_answer(command, answer)
        return answer

    def _happen(
        self,
        state: Referral | None,
        command: c.Command,
        events: list[e.Event],
        now: datetime,
        batch: Batch,
    ) -> c.Answer:
        """Take the events into the batch; gives the answer: the state they lead to. Nothing of the
        batch is touched before everything that can fail has been computed."""
        entries: list[JournalEntry] = []
        after = state
        for entry, led_to in written_down(state, command, events, now):
            after = led_to
            known = {
                "number": batch.head + 1 + len(entries),
                "concerns": concerned(after, entry.event, self._ward),
            }
            entries.append(entry.model_copy(update=known))
        if after is None:
            raise ValueError("a command without events on a referral that does not exist")
        action = command.action
        if isinstance(action, c.StrikeClock):
            struck = LiveClock(action.subject, action.due_at)
            if struck in after.clocks:
                raise ValueError("a clock ran out, and nothing came of it")
        status = 201 if isinstance(command.action, _CREATED) else 200
        # Nobody waits for what becomes of a clock.
        given = (
            referral_given(after, command.agency, self._ward) if command.agency != NETWORK else {}
        )
        answer = c.Answer(status=status, body=to_json(given).decode())
        batch.take_in(command, entries, state, after)
        self.decided += 1
        return answer

    def _remember(self, batch: Batch) -> None:
        self._head = batch.head
        self._change = batch.change
        self.changed_escalations |= bool(batch.escalations)
        self._last_number = batch.last_number
        self._rulings = batch.rulings
        for key, state in batch.touched.items():
            self._states[key] = (state, batch.seqs[key])
            self._states.move_to_end(key)
        while len(self._states) > _KEPT_STATES:
            self._states.popitem(last=False)


def _refused(refusal: Refusal) -> c.Answer:
    return c.Answer(status=refusal.status, body=to_json(refusal.document()).decode())


def _reference(action: c.Action) -> tuple[str, str]:
    """How an action names its referral: by ``id``, ``number``, ``handoff`` or ``escalation``."""
    match action:
        case c.SubmitReferral():
            return "id", str(action.referral)
        case c.AcceptHandoff() | c.DeclineHandoff() | c.WithdrawHandoff() | c.CompleteHandoff():
            return "handoff", str(action.handoff)
        case c.AcknowledgeEscalation() | c.ResolveEscalation():
            return "escalation", str(action.escalation)
        case c.ProbeWriting():
            return "none", ""
        case _:
            ref = action.referral
            return ("id" if isinstance(ref, UUID) else "number"), str(ref)
