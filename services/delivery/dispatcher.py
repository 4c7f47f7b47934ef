"""Brings every agency its events by the way that the ward file names (配送): a lane for each agency.

1. What has a number waits in the queue (``queue``); its lane takes it from there, or is given it while
   nothing else waits (``lane``).
2. A carrier tries once (``carrier``).
3. What came of it is written down (``noter``, ``notes``): it is done, or tried again by the schedule, or
   after three days a dead letter; then the agency is disabled until a test event arrives.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from itertools import groupby
from typing import TypeVar

import sqlalchemy as sa

from runtime.clock import Clock
from runtime.observability import log
from services.delivery.carrier import Carrier, Outcome
from services.delivery.lane import Lane
from services.delivery.noter import Noter
from services.delivery.notes import Noted, Notes
from services.delivery.queue import Queue, Waiting
from services.delivery.upkeep import Upkeep
from wards.model import Ward

T = TypeVar("T")

_CLEAN_UP_EVERY = 3600.0  # seconds


class Dispatcher:
    """``carriers``: by the name of the way in the ward file. ``after`` is awaited with what was put on
    record (``Noted.entries``)."""

    def __init__(
        self,
        ward: Ward,
        clock: Clock,
        queue: Queue,
        notes: Notes,
        upkeep: Upkeep,
        carriers: Mapping[str, Carrier],
        after: Callable[[Noted], Awaitable[None]],
    ) -> None:
        self._upkeep = upkeep
        self._notes = notes
        self._carriers = carriers
        self._after = after
        self._numbered: dict[tuple[str, str], Waiting] = {}
        self._noter = Noter(notes, self._noted)
        self.lanes = {
            agency.id: Lane(agency.id, carrier, queue, notes, self._noter, clock)
            for agency in ward.agencies
            if (carrier := carriers.get(agency.delivery.way)) is not None
        }

    async def run(self) -> None:
        try:
            aside = await self._patiently(self._upkeep.set_aside)
            if aside:
                log("deliveries_set_aside", deliveries=aside)
            self._stand(await self._patiently(self._notes.disabled))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._noter.run())
                tasks.create_task(self._clean_up())
                for lane in self.lanes.values():
                    tasks.create_task(lane.run())
        finally:
            for carrier in self._carriers.values():
                await carrier.close()

    def wake(self, agencies: Iterable[str]) -> None:
        """There may be something new for these; call it in the loop, after the commit."""
        for agency in agencies:
            if agency in self.lanes:
                self.lanes[agency].wake()

    def numbered(self, rows: Iterable[Waiting]) -> None:
        """These are numbered in a transaction that may yet fail; then they may get another number."""
        self._numbered.update(((row.agency, row.event["id"]), row) for row in rows)

    def committed(self, events: Collection[str]) -> None:
        """Of what was numbered these events are on the disk; the rest is forgotten, for it is numbered
        anew or found in the queue. Call it in the loop, while nothing is being numbered."""
        rows = [row for (_, event), row in self._numbered.items() if event in events]
        self._numbered.clear()
        for agency, given in groupby(sorted(rows, key=_order), key=lambda row: row.agency):
            if agency in self.lanes:
                self.lanes[agency].give(given)

    async def carry_again(self, agency: str, number: int) -> Outcome | None:
        """Carry an event of an agency's inbox once more, by the carrier that brought it the first time
        and under the same id, also where the agency is disabled; in turn with its referral's other
        events. What had been given up and arrives is a dead letter no longer. None: the agency is sent
        nothing, or has no such number. Raises what the database raises."""
        lane = self.lanes.get(agency)
        return None if lane is None else await lane.carry_again(number)

    async def _noted(self, noted: Noted) -> None:
        self._stand(noted.disabled)
        if noted.entries:
            await self._after(noted)

    def _stand(self, disabled: set[str]) -> None:
        for agency, lane in self.lanes.items():
            lane.found(disabled=agency in disabled)

    async def _clean_up(self) -> None:
        while True:
            for agency in self.lanes:
                after: int | None = 0
                while after is not None:
                    after = await self._patiently(self._upkeep.clean_up, agency, after)
            await asyncio.sleep(_CLEAN_UP_EVERY)

    @staticmethod
    async def _patiently(work: Callable[..., T], *args: object) -> T:
        while True:
            try:
                return await asyncio.to_thread(work, *args)
            except sa.exc.SQLAlchemyError:
                log("tending_deliveries_failed", fault=True)
                await asyncio.sleep(1.0)


def _order(row: Waiting) -> tuple[str, int]:
    return row.agency, row.number
