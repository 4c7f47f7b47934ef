"""The only writer of a ward's referrals: commands in batches, one transaction for events, state,
worklist and answers.

A command is seen before → its recorded answer; otherwise ``decide`` → events or a refusal, and either
is recorded. One command that cannot be read, or that makes the code fail, harms no neighbour.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from pydantic import ValidationError
from pydantic_core import to_json
from sqlalchemy.engine import Connection, Engine

from runtime import journal as journals
from runtime.clock import Clock, NeverBackwards
from runtime.database import reading, writing
from runtime.dead_letters import bury
from runtime.ids import derived_id
from runtime.observability import log
from runtime.sole_writer import SoleWriter
from schemas import commands as c
from schemas import events as e
from schemas.journal import JournalEntry
from schemas.problems import ProblemCode, Refusal
from schemas.referral import Referral, evolve, referral_adapter
from services.referral import tables as t
from services.referral.batch import Batch
from services.referral.involvement import concerned
from services.referral.lifecycle import Context, decide
from services.referral.policy import Remembered
from services.referral.views import referral_given
from wards.model import Ward

_CREATED = (c.SubmitReferral, c.OfferHandoff, c.RaiseEscalation, c.AddNote)
_GIVE_UP_AFTER = 5
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

    def __init__(self, engine: Engine, ward: Ward, clock: Clock, sole: SoleWriter) -> None:
        self._engine = engine
        self._ward = ward
        self._sole = sole
        self._states: OrderedDict[str, tuple[Referral, int]] = OrderedDict()
        self.decided = 0
        self.refused = 0
        self._in_doubt = False
        with reading(engine) as connection:
            self._load(connection)
            latest = self._latest(connection)
        self._clock = NeverBackwards(clock, latest)

    def work(self, messages: Sequence[Received]) -> list[Outcome]:
        """Decide ``messages`` in order. Raises ``sqlalchemy.exc.DBAPIError`` when the database
        cannot take them: then nothing was written and all must come again."""
        try:
            with writing(self._engine) as connection:
                self._sole.guard(connection)
                if self._in_doubt:
                    self._load(connection)
                outcomes, batch = self._decide_all(connection, messages)
                batch.write(connection)
                for subject, body, reason in batch.buried:
                    bury(connection, t.dead_letters, subject, body, reason, self._clock.now())
        except BaseException:
            # Whether it was committed is not known (the connection may have broken in between), so
            # what is kept in memory may be behind the database now.
            self._states.clear()
            self._in_doubt = True
            raise
        self._in_doubt = False
        self._remember(batch)
        return outcomes

    # -- reading what is known -------------------------------------------------------------------

    def _load(self, connection: Connection) -> None:
        self._head = journals.head(connection, t.journal)
        # Numbers are gapless, so the last one given is how many there are.
        year = t.referrals.c.year
        counts = sa.select(year, sa.func.count()).group_by(year)
        self._last_number = {row[0]: row[1] for row in connection.execute(counts)}
        rows = connection.execute(sa.select(t.rulings)).all()
        self._rulings = {r.block_key: Remembered(r.district, UUID(r.ruling)) for r in rows}

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
        ids = {str(command.id) for command in commands}
        rows = connection.execute(sa.select(t.answers).where(t.answers.c.id.in_(ids))).all()
        for row in rows:
            batch.answers[row.id] = (row.fingerprint, c.Answer(status=row.status, body=row.body))
        wanted: set[str] = set()
        handoffs: set[str] = set()
        numbers: set[str] = set()
        for command in commands:
            kind, ref = _reference(command.action)
            if kind == "id":
                wanted.add(ref)
            elif kind == "handoff":
                handoffs.add(ref)
            elif kind == "number":
                numbers.add(ref)
        if handoffs:
            query = sa.select(t.handoffs).where(t.handoffs.c.id.in_(handoffs))
            batch.places |= {row.id: row.referral for row in connection.execute(query)}
        if numbers:
            r = t.referrals
            query = sa.select(r.c.id, r.c.number).where(r.c.number.in_(numbers))
            batch.places |= {row.number: row.id for row in connection.execute(query)}
        wanted |= set(batch.places.values())
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

    def _decide_all(
        self, connection: Connection, messages: Sequence[Received]
    ) -> tuple[list[Outcome], Batch]:
        batch = Batch(
            rulings=dict(self._rulings), last_number=dict(self._last_number), head=self._head
        )
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
        return outcomes, batch

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
        context = Context(now, self._ward, batch.rulings, batch.last_number)
        decision = decide(state, command, context)
        if isinstance(decision, Refusal):
            self.refused += 1
            answer = _refused(decision)
        else:
            answer = self._happen(UUID(referral), state, command, decision, now, batch)
        batch.record_answer(command, answer)
        return answer

    def _happen(
        self,
        referral: UUID,
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
        for position, event in enumerate(events):
            draft = JournalEntry.model_construct(
                v=1,
                ward=self._ward.code,
                producer="referral",
                number=batch.head + 1 + position,
                id=derived_id(now, command.id, "event", str(position)),
                referral=referral,
                version=after.version + 1 if after is not None else 1,
                occurred_at=now,
                actor=command.agency,
                command=command.id,
                concerns=(),
                event=event,
            )
            after = evolve(after, draft)
            concerns = concerned(after, event, self._ward)
            entries.append(draft.model_copy(update={"concerns": concerns}))
        if after is None:
            raise ValueError("a command without events on a referral that does not exist")
        status = 201 if isinstance(command.action, _CREATED) else 200
        given = referral_given(after, command.agency, self._ward)
        answer = c.Answer(status=status, body=to_json(given).decode())
        batch.take_in(command, entries, state, after)
        self.decided += 1
        return answer

    def _remember(self, batch: Batch) -> None:
        self._head = batch.head
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
    """How an action names its referral: by ``id``, by ``number`` or by ``handoff``."""
    match action:
        case c.SubmitReferral():
            return "id", str(action.referral)
        case c.AcceptHandoff() | c.DeclineHandoff() | c.WithdrawHandoff() | c.CompleteHandoff():
            return "handoff", str(action.handoff)
        case c.ProbeWriting():
            return "none", ""
        case _:
            ref = action.referral
            return ("id" if isinstance(ref, UUID) else "number"), str(ref)
