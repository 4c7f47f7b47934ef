"""One agency's way (配送路): its events, those of one referral one after the other, several referrals at
once. Each agency has a lane of its own with a bound of its own, so a slow one delays nobody else.

As long as nothing waits but what is in its hands, what is numbered is given to the lane and goes at once
(``give``). Otherwise it is found in the queue, which is the record: what is given is only never looked for.

An agency that does not answer is *away*: then only what was tried before is tried again, by the ward's
schedule, and now and then one new event. As soon as anything arrives, all that waited goes.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Iterable
from functools import partial
from itertools import groupby

import sqlalchemy as sa

from runtime.clock import Clock
from runtime.observability import log
from schemas.base import JsonObject
from schemas.deliveries import Undelivered
from services.delivery.carrier import Carrier, Failed, Outcome
from services.delivery.noter import Noter
from services.delivery.notes import Notes, Tried, of_the_way
from services.delivery.queue import OF_ONE, Only, Queue, Waiting

AT_ONCE = 16
"""Events of one agency that are being carried at the same moment."""
_TAKEN = 200  # rows of one agency in memory
_PAUSE = 0.2  # seconds between two looks at the queue: under load several events are found by one
_PAUSE_AWAY = 0.8  # seconds; while nothing new is sent, what is new needs no look
_GLANCE = 0.5  # seconds between two looks at the clock
_LOOK_EVERY = 10.0  # seconds; whatever happens, the queue is looked at so often
_AWAY_AFTER = 5  # referrals in a row whose events could not be brought
_NEW_ONE_EVERY = 300.0  # seconds between two new events that are tried while an agency is away
_BACK_AFTER = 60.0  # seconds without an arrival after which the next one means: it is back


class Lane:
    def __init__(
        self,
        agency: str,
        carrier: Carrier,
        queue: Queue,
        notes: Notes,
        noter: Noter,
        clock: Clock,
    ) -> None:
        self._agency = agency
        self._carrier = carrier
        self._queue = queue
        self._notes = notes
        self._noter = noter
        self._clock = clock
        self._disabled = False
        self._woken = asyncio.Event()
        self._freed = asyncio.Event()
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._numbers: set[int] = set()
        # What goes of each referral; none: one that is carried again, in the redriver's hands.
        self._threads: dict[str, deque[Waiting] | None] = {}
        # Up to this number nothing waits but what is in hand; none: nobody knows.
        self._whole_to: int | None = None
        self._lost = 0  # how often something went from hand back to the queue
        self._tasks: asyncio.TaskGroup | None = None
        # Of an agency that was away before we started nothing is known: what arrives first tells.
        self._failing: set[str] = set()
        self._away = self._back = self._more = False
        self._arrived_at = self._new_one_at = float("-inf")

    @property
    def sees_everything(self) -> bool:
        """Nothing waits but what is in hand."""
        return self._whole_to is not None

    def wake(self) -> None:
        """There may be something new; call it in the loop."""
        self._woken.set()

    def give(self, rows: Iterable[Waiting]) -> None:
        """What was numbered and committed just now, in order; call it in the loop."""
        for row in rows:
            if self._whole_to is not None and row.number <= self._whole_to:
                continue  # a look was quicker
            if row.number - 1 != self._whole_to or not self._take(row):
                self._whole_to = None
                self.wake()
                return
            self._whole_to = row.number

    def _take(self, row: Waiting) -> bool:
        if self._tasks is None or len(self._numbers) >= _TAKEN:
            return False
        if row.thread in self._threads:
            before = self._threads[row.thread]
            if before is None or len(before) >= OF_ONE:
                return False
            before.append(row)
        else:
            self._start(self._tasks, row.thread, [row], anyway=False)
        self._numbers.add(row.number)
        return True

    def found(self, *, disabled: bool) -> None:
        """How the database has it: to whom is disabled nothing but tests is sent. Call it in the loop."""
        if disabled is self._disabled:
            return
        self._disabled = disabled
        log("endpoint_disabled" if disabled else "endpoint_enabled", agency=self._agency)
        self._back = not disabled
        self._lose_sight()
        self.wake()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            while True:
                self._woken.clear()
                due = await self._look(tasks)
                await asyncio.sleep(_PAUSE_AWAY if self._away or self._disabled else _PAUSE)
                await self._rest(due)

    async def carry_again(self, number: int) -> Outcome | None:
        """Carry an event of the inbox once more, in turn with the others of its referral, whether or
        not the agency is disabled. None: there is no such number. Raises what the database raises."""
        event = await asyncio.to_thread(self._queue.one, self._agency, number)
        if event is None:
            return None
        thread = str(event["subject"])
        while thread in self._threads:
            self._freed.clear()
            await self._freed.wait()
        self._threads[thread] = None
        try:
            async with self._at_once:
                outcome = await self._carried(event)
            if not isinstance(outcome, Failed):
                # Before anybody looks whether it still waits.
                await asyncio.to_thread(self._notes.arrived_again, self._agency, number)
        finally:
            self._release(thread)
            self._woken.set()
        self._learn(thread, outcome)
        return outcome

    # -- looking ---------------------------------------------------------------------------------

    async def _look(self, tasks: asyncio.TaskGroup) -> float | None:
        """Take what is due. Gives the ticks at which something is due again; none: nobody knows of
        anything."""
        ticks = self._clock.ticks()
        room = _TAKEN - len(self._numbers)
        if room <= 0:
            self._more = True
            return None
        only, most = self._which(room)
        anyway = self._away and only is Only.ALL
        # What was on its way when the look began is not known to it, even if it is done by the end.
        busy = frozenset(self._threads)
        back, self._back = self._back, False
        self._whole_to, lost = None, self._lost
        try:
            if back:
                await asyncio.to_thread(self._notes.hurry, self._agency)
                back = False
            look = await asyncio.to_thread(
                self._queue.look, self._agency, most, only, frozenset(self._numbers), busy
            )
        except sa.exc.SQLAlchemyError:
            log("looking_for_deliveries_failed", fault=True, agency=self._agency)
            self._back = self._back or back
            return ticks + _GLANCE
        for thread, rows in groupby(sorted(look.rows, key=_order), key=lambda row: row.thread):
            if thread not in self._threads:
                taken = list(rows)
                self._numbers.update(row.number for row in taken)
                self._start(tasks, thread, taken, anyway=anyway)
            else:
                self._lose_sight()
        if self._lost == lost and not (self._away or self._disabled):
            self._whole_to = look.whole_to
        self._more = look.more
        if look.more and look.rows:
            self._woken.set()
        if look.next_at is None:
            return None
        return ticks + (look.next_at - look.now).total_seconds()

    def _start(
        self, tasks: asyncio.TaskGroup, thread: str, rows: list[Waiting], *, anyway: bool
    ) -> None:
        going = self._threads[thread] = deque(rows)
        tasks.create_task(self._carry(thread, going, anyway=anyway))

    def _lose_sight(self) -> None:
        self._whole_to = None
        self._lost += 1

    def _which(self, room: int) -> tuple[Only, int]:
        if self._disabled:
            return Only.TESTS, room
        if not self._away:
            return Only.ALL, room
        now = self._clock.ticks()
        if now - self._new_one_at >= _NEW_ONE_EVERY:
            self._new_one_at = now
            return Only.ALL, 1
        return Only.TRIED, room

    async def _rest(self, due: float | None) -> None:
        """Until there is something to do. The clock is asked again and again: it may be set."""
        until = self._clock.ticks() + _LOOK_EVERY
        while not self._woken.is_set():
            now = self._clock.ticks()
            if now >= until or (due is not None and now >= due):
                return
            left = _GLANCE if due is None else min(_GLANCE, max(due - now, 0.01))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._woken.wait()

    # -- carrying --------------------------------------------------------------------------------

    async def _carry(self, thread: str, left: deque[Waiting], *, anyway: bool) -> None:
        """One referral's events in order, also those that come meanwhile; after one that failed the
        others wait with it. ``anyway``: also while the agency is away."""
        try:
            while left:
                row = left[0]
                async with self._at_once:
                    if self._may_wait(row, anyway):
                        return
                    outcome = await self._carried(row.event)
                self._say(row, outcome)
                self._learn(thread, outcome)
                written = self._noter.tell(Tried(row, outcome))
                if isinstance(outcome, Failed):
                    await written
                    return
                left.popleft()
                written.add_done_callback(partial(self._noted, row.number))
        finally:
            if left:
                self._numbers.difference_update(row.number for row in left)
                self._lose_sight()
            self._release(thread)
            if self._whole_to is None:  # or nothing stands in the queue that this has held up
                self._woken.set()

    def _may_wait(self, row: Waiting, anyway: bool) -> bool:
        """What was taken before the agency was found to be away, or was disabled."""
        if row.test and not row.attempts:
            return False
        return self._disabled or (self._away and row.first_tried_at is None and not anyway)

    async def _carried(self, event: JsonObject) -> Outcome:
        try:
            return await self._carrier.carry(self._agency, event)
        except Exception:
            # Whatever a carrier stumbles over is told of this event alone.
            log("carrying_failed", fault=True, agency=self._agency, event=event["id"])
            return Failed(Undelivered.UNREACHABLE)

    def _noted(self, number: int, _: object) -> None:
        self._numbers.discard(number)
        if self._more and len(self._numbers) < _TAKEN // 2:
            self._woken.set()

    def _release(self, thread: str) -> None:
        self._threads.pop(thread, None)
        self._freed.set()

    def _learn(self, thread: str, outcome: Outcome) -> None:
        now = self._clock.ticks()
        if isinstance(outcome, Failed):
            if of_the_way(outcome):
                self._failing.add(thread)
                if not self._away and len(self._failing) >= _AWAY_AFTER:
                    self._away, self._new_one_at = True, now
                    self._lose_sight()
                    log("agency_found_away", agency=self._agency)
            return
        back = self._away or now - self._arrived_at > _BACK_AFTER
        self._away = False
        self._failing.clear()
        self._arrived_at = now
        if back:
            self._back = True
            self._woken.set()

    def _say(self, row: Waiting, outcome: Outcome) -> None:
        if isinstance(outcome, Failed):
            log(
                "delivery_failed", level=logging.WARNING, agency=self._agency, number=row.number,
                event=row.event["id"], reason=outcome.reason.value, status=outcome.status,
                attempts=row.attempts + (not outcome.soon),
            )  # fmt: skip


def _order(row: Waiting) -> tuple[str, int]:
    return row.thread, row.number
