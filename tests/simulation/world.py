"""A year passes: messages travel, clocks strike, the decider goes down and comes back.

One heap of (moment, order) says what is next, so a seed is the same year every time.
"""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schemas import commands as c
from schemas.referral import Referral
from services.referral.lifecycle import decide as the_core
from tests.builders import an_id
from tests.simulation.checks import Broken, Checks
from tests.simulation.decider import Decide, Decider, Raised, Step, strike
from tests.simulation.figures import Figures
from tests.simulation.people import Life, People
from tests.simulation.scenario import (
    BEGINS,
    ENDS,
    MINUTE,
    Jitter,
    Outage,
    Scenario,
    Unsaid,
    outages,
)

_SECOND = timedelta(seconds=1)
_LOOK_AT_ALL_EVERY = 400  # steps


class _TooLongError(Exception):
    """The year's story is longer than wanted."""


@dataclass
class World:
    """``story``: every step so far, with the referral's name. ``failed``: the promise that broke.
    ``at_most``: steps after which the year is given up, for a shorter story was looked for."""

    scenario: Scenario
    decide: Decide = the_core
    at_most: int | None = None
    now: datetime = BEGINS
    story: list[tuple[str, Step]] = field(default_factory=list)
    figures: Figures = field(default_factory=Figures)
    failed: Broken | None = None

    def __post_init__(self) -> None:
        self._decider = Decider(self.scenario.ward, self.decide)
        self._people = People(self.scenario.seed, self.scenario.ward, self)
        self._outages = outages(self.scenario.disturbances)
        self._checks = Checks(self._decider, self._outages)
        self._jittery = {d.name for d in self.scenario.disturbances if isinstance(d, Jitter)}
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()
        seed = self.scenario.seed
        lives = [Life(seed, a.name, an_id(f"{seed}/{a.name}")) for a in self.scenario.arrivals]
        self._lives = {life.id: life for life in lives}
        self._waiting: list[tuple[Life, c.Command]] | None = None
        """Messages that came while the decider is down; None while it is up."""

    def run(self) -> "World":
        try:
            self._year()
        except Broken as broken:
            self.failed = broken
        except _TooLongError:
            pass
        return self

    def _year(self) -> None:
        by_name = {life.name: life for life in self._lives.values()}
        for arrival in self.scenario.arrivals:
            life = by_name[arrival.name]
            self.at(arrival.at, lambda life=life: self._people.arrive(life))  # type: ignore[misc]
        for outage in self._outages:
            self.at(outage.begins, lambda outage=outage: self._down(outage))  # type: ignore[misc]
        while self._agenda and self._agenda[0][0] < ENDS:
            moment = self._agenda[0][0]
            due = self._decider.next_due()
            if due is not None and due <= moment and self._waiting is None:
                self.now = max(self.now, due)
                self._strike()
                continue
            self.now, _, then = heapq.heappop(self._agenda)
            then()
        while (due := self._decider.next_due()) is not None and due < ENDS:
            self.now = max(self.now, due)
            self._strike()
        self._checks.whole(self.now, again_from_disk=self.scenario.seed % 10 == 0)
        self.figures.take_in(self._decider)

    def said(self) -> list[Unsaid]:
        """What was sent about each referral, in order, what was left unsaid too."""
        return [(life.name, said) for life in self._lives.values() for said in life.said]

    # -- what people can do ---------------------------------------------------------------------

    def state(self, life: Life) -> Referral | None:
        return self._decider.states.get(life.id)

    def at(self, when: datetime, then: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (max(when, self.now), next(self._order), then))

    def send(self, life: Life, agency: str, action: c.Action) -> None:
        """A message leaves. It may be held up, come twice, or be overtaken by the next."""
        rng, said = life.rng, life.says(agency, action.type)
        slow, fate = rng.random(), rng.random()
        delay, later = rng.randint(1, 4) * _SECOND, rng.randint(1, 9 * 60) * MINUTE
        if (life.name, said) in self.scenario.unsaid:
            return
        command = c.Command(
            id=an_id(f"{self.scenario.seed}/{life.name}/{said}"),
            ward=self.scenario.ward.code,
            agency=agency,
            issued_at=self.now,
            fingerprint="a" * 64,
            action=action,
        )
        if life.name not in self._jittery:
            slow = fate = 1.0
        if slow < 0.02:
            delay = later
        elif slow < 0.12:
            delay = later / 50
        self._post(self.now + delay, life, command)
        if fate < 0.08:
            self._post(self.now + later / 9, life, command)
        elif fate < 0.1:
            other = command.model_copy(update={"fingerprint": "b" * 64})
            self._post(self.now + later / 9, life, other)

    def _post(self, when: datetime, life: Life, command: c.Command) -> None:
        self.at(when, lambda: self._deliver(life, command))

    def _deliver(self, life: Life, command: c.Command) -> None:
        if self._waiting is not None:
            self._waiting.append((life, command))
        else:
            self._receive(life, command)

    # -- what the decider does ------------------------------------------------------------------

    def _down(self, outage: Outage) -> None:
        self._waiting = []
        self.at(outage.ends, self._up)

    def _up(self) -> None:
        """Back again: the memory is rebuilt, what is overdue strikes, and then come the messages."""
        waiting, self._waiting = self._waiting or [], None
        remembered = dict(self._decider.states), dict(self._decider.rulings)
        numbers, live = dict(self._decider.last_number), dict(self._decider.live)
        self._decider.restart()
        self._checks.remembers_the_same(remembered, numbers, live)
        self.figures.restarts += 1
        self._strike()
        for life, command in waiting:
            self._receive(life, command)

    def _strike(self) -> None:
        """All that has run out by now, the longest overdue first."""
        while (due := self._decider.next_due()) is not None and due <= self.now:
            due_at, subject, referral = self._decider.pop_due()
            command = strike(self.scenario.ward, due_at, subject, referral, self.now)
            life = self._lives[referral]
            step = self._ask(life, command)
            if step is not None and step.written:
                self.figures.struck += 1

    def _receive(self, life: Life, command: c.Command) -> None:
        if self._decider.seen(command) is None:
            self._ask(life, command)
        else:
            self.figures.repeated += 1

    def _ask(self, life: Life, command: c.Command) -> Step | None:
        if self._decider.seen(command) is not None:
            self._checks.a_clock_that_struck_is_stopped(life.name, command)
            return None
        try:
            step = self._decider.ask(command, life.id, self.now)
        except Raised as raised:
            state = self._decider.states.get(life.id)
            context = self._checks.context(self.now)
            self.story.append((life.name, Step(command, state, [], [], context)))
            raise Broken("deciding never raises", str(raised), life.name) from raised
        if step.written or not isinstance(command.action, c.StrikeClock):
            self.story.append((life.name, step))
            self.figures.step(step)
        if self.at_most is not None and len(self.story) > self.at_most:
            raise _TooLongError
        self._checks.step(life.name, step, again=len(self.story) % 24 == 0)
        if len(self.story) % _LOOK_AT_ALL_EVERY == 0 and self._waiting is None:
            self._checks.whole(self.now, still_striking=True)
        for entry, state in step.written:
            self._people.hear(life, entry, state)
        return step
