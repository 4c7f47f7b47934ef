"""The deciding service without a database: a journal and a table of answers that last, and a memory
that does not. It asks ``decide`` and folds what happened."""

import heapq
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid5

from runtime.clock import utc_text
from schemas import commands as c
from schemas import events as e
from schemas.base import NETWORK
from schemas.journal import JournalEntry
from schemas.outside import JAPAN
from schemas.problems import ProblemCode, Refusal
from schemas.referral import LiveClock, Referral, fold
from services.referral.deciding import Context, Decision, written_down
from services.referral.policy import Remembered
from tests.builders import HOLIDAYS
from wards.model import Ward

Decide = Callable[[Referral | None, c.Command, Context], Decision]
Written = list[tuple[JournalEntry, Referral]]


@dataclass(frozen=True, slots=True)
class Step:
    """A command was decided: what it met and what it led to."""

    command: c.Command
    before: Referral | None
    decision: Decision
    written: Written
    context: Context

    @property
    def after(self) -> Referral | None:
        return self.written[-1][1] if self.written else self.before


class Raised(Exception):
    """``decide`` raised, which it never may."""


@dataclass
class Decider:
    ward: Ward
    decide: Decide
    journal: list[JournalEntry] = field(default_factory=list)
    histories: dict[UUID, list[JournalEntry]] = field(default_factory=lambda: defaultdict(list))
    """The same journal, by referral."""
    answers: dict[UUID, tuple[str, Decision]] = field(default_factory=dict)
    # What follows is memory, built from the journal.
    states: dict[UUID, Referral] = field(default_factory=dict)
    rulings: dict[str, Remembered] = field(default_factory=dict)
    last_number: dict[int, int] = field(default_factory=dict)
    live: dict[UUID, LiveClock] = field(default_factory=dict)
    _due: list[tuple[datetime, UUID, UUID]] = field(default_factory=list)
    """Every clock ever set that has not struck: due, subject, referral. Also those stopped since."""

    def restart(self) -> None:
        """All that was remembered is forgotten, and read from the journal."""
        self.states, self.rulings, self.last_number = {}, {}, {}
        self.live, self._due = {}, []
        for entry in self.journal:
            self._remember(entry)
        for referral, entries in self.histories.items():
            state = fold(entries)
            assert state is not None
            self.states[referral] = state
            self._set_clocks(None, state)

    def seen(self, command: c.Command) -> Decision | None:
        """The answer recorded for it; also to whoever uses its key for something else."""
        known = self.answers.get(command.id)
        if known is None:
            return None
        return known[1] if known[0] == command.fingerprint else REUSED

    def ask(self, command: c.Command, referral: UUID, now: datetime) -> Step:
        """Decide a command that was not seen before, and let what was decided happen."""
        state = self.states.get(referral)
        context = Context(now, self.ward, HOLIDAYS, dict(self.rulings), self.last_number)
        try:
            decision = self.decide(state, command, context)
            events = [] if isinstance(decision, Refusal) else decision
            written = written_down(state, command, events, now)
        except Exception as error:
            raise Raised(f"{type(error).__name__}: {error}") from error
        self.answers[command.id] = (command.fingerprint, decision)
        for entry, _ in written:
            self.journal.append(entry)
            self.histories[entry.referral].append(entry)
            self._remember(entry)
        if written:
            after = written[-1][1]
            self.states[referral] = after
            self._set_clocks(state, after)
        return Step(command, state, decision, written, context)

    def next_due(self) -> datetime | None:
        return self._due[0][0] if self._due else None

    def pop_due(self) -> tuple[datetime, UUID, UUID]:
        """The clock that is due first, whether it still runs or was stopped."""
        due = heapq.heappop(self._due)
        running = self.live.get(due[1])
        if running is not None and running.due_at == due[0]:
            del self.live[due[1]]
        return due

    def runs(self, subject: UUID, due_at: datetime) -> bool:
        running = self.live.get(subject)
        return running is not None and running.due_at == due_at

    def _remember(self, entry: JournalEntry) -> None:
        event = entry.event
        if isinstance(event, e.ReferralSubmitted):
            year = entry.occurred_at.astimezone(JAPAN).year
            self.last_number[year] = self.last_number.get(year, 0) + 1
        elif isinstance(event, e.DistrictRuled) and event.remember and event.block_key:
            self.rulings[event.block_key] = Remembered(event.district, entry.id)

    def _set_clocks(self, before: Referral | None, after: Referral) -> None:
        was = set(before.clocks) if before is not None else set()
        runs = set(after.clocks)
        for stopped in was - runs:
            self.live.pop(stopped.subject, None)
        for clock in runs - was:
            self.live[clock.subject] = clock
            heapq.heappush(self._due, (clock.due_at, clock.subject, after.id))


REUSED = Refusal(ProblemCode.IDEMPOTENCY_KEY_REUSED)
_NOBODYS = "0" * 64


def strike(ward: Ward, due_at: datetime, subject: UUID, referral: UUID, now: datetime) -> c.Command:
    """A clock as a command of the network itself, named as the writer names it."""
    return c.Command(
        id=uuid5(subject, utc_text(due_at)),
        ward=ward.code,
        agency=NETWORK,
        issued_at=now,
        fingerprint=_NOBODYS,
        action=c.StrikeClock(referral=referral, subject=subject, due_at=due_at),
    )
