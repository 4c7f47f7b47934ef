"""The whole ward through time (区の時間軸): how every referral stood at every moment. Pure.

Folding the ledger for one moment takes as long as the ledger is. Here it is folded once, entry by entry,
and of each step is kept what people look at: so any moment is found by bisection. What it says of a moment
is what ``replay`` says; a test holds it against ``fold_ward``.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, NamedTuple

from schemas.codes import AddressKind, EscalationState, Stage
from schemas.journal import JournalEntry
from schemas.referral import Referral, evolve
from services.audit.replay import ReplayError

MOST_STEPS: Final = 400
_ENDED: Final = (Stage.CLOSED, Stage.CANCELLED)


class OpenClock(NamedTuple):
    """A clock that ran: of an offer that stood, or of a call that was not resolved. ``agency`` had to
    answer: the receiver, or whose desk was called last."""

    kind: Literal["offer", "call"]
    id: str
    due_at: datetime
    agency: str | None
    code: str | None = None
    level: int | None = None
    desk: str | None = None
    state: EscalationState | None = None


class Step(NamedTuple):
    """How a referral stood from one entry to its next. ``district``: settled by then."""

    version: int
    stage: Stage
    since: datetime
    custodian: str
    district: str | None
    clocks: tuple[OpenClock, ...]

    @property
    def ended(self) -> bool:
        return self.stage in _ENDED


@dataclass(slots=True)
class Course:
    """One referral's steps. ``moments[i]`` is when ``steps[i]`` began."""

    state: Referral  # the newest; what never changes of a referral is read off it
    moments: list[datetime] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    @property
    def protected(self) -> bool:
        """Its address is, so its district is masked for most (秘匿)."""
        return self.state.address_kind is AddressKind.PROTECTED

    def at(self, moment: datetime | None) -> Step | None:
        """None before the submission."""
        if moment is None:
            return self.steps[-1]
        place = bisect_right(self.moments, moment)
        return self.steps[place - 1] if place else None


class Timeline:
    """``add`` every entry of a referral once, in the ledger's order. Not for two threads at a time."""

    def __init__(self) -> None:
        self._courses: dict[str, Course] = {}
        # Every moment at which anything happened, and the last index of all that had happened by then.
        self._moments: list[datetime] = []
        self._reach: list[int] = []

    def add(self, index: int, entry: JournalEntry) -> None:
        """Raises ReplayError when an entry of this referral is missing or out of order; nothing has
        changed then."""
        key = str(entry.referral)
        course = self._courses.get(key)
        try:
            state = evolve(course.state if course else None, entry)
        except ValueError as error:
            raise ReplayError(str(error)) from error
        if course is None:
            course = self._courses[key] = Course(state)
        course.state = state
        before = course.steps[-1] if course.steps else None
        # Moments of one referral never run backwards; were they to, what follows counts from then.
        moment = max(entry.occurred_at, course.moments[-1]) if before else entry.occurred_at
        course.moments.append(moment)
        course.steps.append(_step(state, before, moment))
        self._note(moment, index)

    def course(self, referral: str) -> Course | None:
        return self._courses.get(referral)

    def at(self, moment: datetime | None = None) -> Iterator[tuple[Course, Step]]:
        """Every referral that was there at a moment (None: now), and how it stood."""
        for course in self._courses.values():
            step = course.at(moment)
            if step is not None:
                yield course, step

    def touched(self, since: datetime, until: datetime) -> list[str]:
        """The referrals to which anything happened from ``since`` until before ``until``."""
        return [
            key
            for key, course in self._courses.items()
            if bisect_left(course.moments, since) < bisect_left(course.moments, until)
        ]

    def last_index(self, moment: datetime | None = None) -> int | None:
        """The ledger's index of the last entry that had occurred by a moment."""
        until = len(self._moments) if moment is None else bisect_right(self._moments, moment)
        return self._reach[until - 1] if until else None

    def moments(self, most: int = MOST_STEPS) -> list[datetime]:
        """Moments at which anything happened, in order, the first and the last among them: all, or so
        many of them, evenly."""
        return evenly(self._moments, most)

    def around(self, moment: datetime) -> tuple[datetime | None, datetime | None]:
        """The last moment before and the first after ``moment`` at which anything happened."""
        left, right = bisect_left(self._moments, moment), bisect_right(self._moments, moment)
        before = self._moments[left - 1] if left else None
        after = self._moments[right] if right < len(self._moments) else None
        return before, after

    def _note(self, moment: datetime, index: int) -> None:
        place = bisect_left(self._moments, moment)
        if place == len(self._moments) or self._moments[place] != moment:
            self._moments.insert(place, moment)
            self._reach.insert(place, self._reach[place - 1] if place else index)
        # Usually the last one only: what comes later in the ledger has seldom happened before.
        for later in range(place, len(self._reach)):
            self._reach[later] = max(self._reach[later], index)


def evenly(moments: list[datetime], most: int) -> list[datetime]:
    """At most so many of them, the first and the last among them."""
    if len(moments) <= most:
        return list(moments)
    return [moments[round(n * (len(moments) - 1) / (most - 1))] for n in range(most)]


def _step(state: Referral, before: Step | None, moment: datetime) -> Step:
    clocks = tuple(_clocks(state))
    if before is not None and before.clocks == clocks:
        clocks = before.clocks  # one copy of what many steps share
    return Step(
        state.version,
        state.stage,
        before.since if before is not None and before.stage is state.stage else moment,
        state.custodian,
        state.district.id if state.district is not None else None,
        clocks,
    )


def _clocks(state: Referral) -> Iterator[OpenClock]:
    for h in state.handoffs:
        if h.stands and h.due_at is not None:
            yield OpenClock("offer", str(h.id), h.due_at, h.receiver)
    for x in state.escalations:
        if x.open and x.due_at is not None:
            agency = x.acknowledged_by or (x.called[-1] if x.called else None)
            yield OpenClock(
                "call", str(x.id), x.due_at, agency, x.code, x.level, x.desk, x.state
            )  # fmt: skip
