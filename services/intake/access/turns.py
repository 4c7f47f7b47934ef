"""How much one agency may ask (利用の上限), so that one that floods the door holds up nobody else.

Three measures. A rate: a bucket that holds ``burst`` and is filled at ``requests_per_second``; when it is
empty the answer is 429. Turns: so many of an agency's requests are in work at once (``at_once``); the
next wait, in order, which the agency notices and nobody else does. And a share: while others ask too,
whoever asks without a break has the use of one turn for a part of the time only. So the busier the
network is, the less of it one agency gets, and at night an agency that is alone has all of it.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from runtime.clock import Clock
from wards.delivery import Limits

WAITING = 64
"""So many of one agency's requests wait for their turn; more are refused."""
PATIENCE = 5.0
"""Seconds that one waits for its turn."""
LONGEST_TURN = 0.25
"""Seconds after which a turn is over though the answer is not there: what takes longer waits for
somebody else (a service that is down), and is no load. Without this an agency could post no more than
two referrals a second while deciding takes its time."""
SHARE = 0.5
"""Of the time, while others ask too, an agency that asks without a break has the use of one turn. Measured
with eight others (``make bench-fairness``): their p95 is 1.4 times what it is without the flood; without a
share it was 2.5 times, with a quarter 1.1."""
AHEAD = 1.0
"""Seconds of turns that an agency may use before its share counts: a page that asks for ten things at
once, or a morning's few posts, is never slowed down."""
LONGEST_PAUSE = 1.0
"""Seconds between two turns, however much is owed: many turns end together when a service is back."""
OTHERS = 1.0
"""Seconds since another agency's last turn, for which it counts as asking too."""
HELD = 0.5
"""Seconds for which a refusal is held back, so that whoever asks again at once, as programs in a loop
do, asks twice a second on each connection and not as fast as the processor goes."""


def admit(due: float, now: float, rate: float, burst: int) -> tuple[float, float]:
    """The bucket as one number, the moment at which it is full again (GCRA, ITU-T I.371): what it is
    after this request, and the seconds to wait, 0 when the request is let in. Pure."""
    begins = max(due, now)
    wait = begins - now - (burst - 1) / rate
    # A part in a thousand million is rounding, not a request too many.
    if wait > 1e-9:
        return due, wait
    return begins + 1 / rate, 0.0


def pause(owed: float, now: float) -> float:
    """Seconds for which an agency's next turn waits. ``owed``: the moment by which what it has used is its
    share (``using``). Pure."""
    return max(0.0, owed - now - AHEAD / SHARE)


def using(owed: float, now: float, took: float) -> float:
    """What is owed after a turn of so many seconds. Pure."""
    return min(max(owed, now) + took / SHARE, now + AHEAD / SHARE + LONGEST_PAUSE)


@dataclass(slots=True)
class _Agency:
    slots: asyncio.Semaphore
    seen: float = field(default=-math.inf)
    owed: float = field(default=-math.inf)
    due: float = field(default=-math.inf)
    waiting: int = 0
    held: int = 0


class _Taken:
    """A turn, given back once."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots: asyncio.Semaphore | None = slots

    def give_back(self) -> None:
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.release()


class NoTurn(Exception):
    """It waited in vain, or too many of its agency wait."""


class Turns:
    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._agencies: dict[str, _Agency] = {}

    def take(self, agency: str) -> int:
        """0: it may come in. Otherwise whole seconds after which it would have been let in."""
        of = self._of(agency)
        limits = self._limits
        now = self._clock.ticks()
        of.due, wait = admit(of.due, now, limits.requests_per_second, limits.burst)
        return math.ceil(wait)

    def charge(self, agency: str, requests: int) -> None:
        """What was let in as one turned out to be as much work as so many more: they are owed, and
        what is asked next waits for them."""
        of = self._of(agency)
        of.due = max(of.due, self._clock.ticks()) + requests / self._limits.requests_per_second

    @contextlib.asynccontextmanager
    async def turn(self, agency: str) -> AsyncIterator[None]:
        """One of the agency's turns, for as long as it lasts. Raises NoTurn."""
        of = self._of(agency)
        if of.slots.locked():
            if of.waiting >= WAITING:
                raise NoTurn
            of.waiting += 1
            try:
                async with asyncio.timeout(PATIENCE):
                    await of.slots.acquire()
            except TimeoutError:
                raise NoTurn from None
            finally:
                of.waiting -= 1
        else:
            await of.slots.acquire()  # at once
        taken = _Taken(of.slots)
        try:
            if (wait := pause(of.owed, self._clock.ticks())) > 0:
                await asyncio.sleep(wait)
            began = self._clock.ticks()
            over = asyncio.get_running_loop().call_later(LONGEST_TURN, taken.give_back)
            try:
                yield
            finally:
                over.cancel()
                self._note(agency, of, began)
        finally:
            taken.give_back()

    def _note(self, agency: str, of: _Agency, began: float) -> None:
        of.seen = now = self._clock.ticks()
        if any(
            now - other.seen < OTHERS for name, other in self._agencies.items() if name != agency
        ):
            of.owed = using(of.owed, now, min(now - began, LONGEST_TURN))

    async def hold(self, agency: str) -> None:
        """Before a refusal is answered. Only so many are held: memory is not theirs to fill."""
        of = self._of(agency)
        if of.held >= WAITING:
            return
        of.held += 1
        try:
            await asyncio.sleep(HELD)
        finally:
            of.held -= 1

    def _of(self, agency: str) -> _Agency:
        known = self._agencies.get(agency)
        if known is None:  # of the ward file: there are not many
            known = self._agencies[agency] = _Agency(asyncio.Semaphore(self._limits.at_once))
        return known
