"""Writes down what became of the events of all agencies, many at a time: a transaction for each would
be more work than the carrying."""

import asyncio
from collections.abc import Awaitable, Callable

import sqlalchemy as sa

from runtime.observability import log
from services.delivery.notes import Noted, Notes, Tried

_LINGER = 0.05  # seconds in which more may come; nobody waits for a note of success
_MOST = 500
_AGAIN = 0.5  # seconds


class Noter:
    def __init__(self, notes: Notes, after: Callable[[Noted], Awaitable[None]]) -> None:
        self._notes = notes
        self._after = after
        self._told: list[tuple[Tried, asyncio.Future[None]]] = []
        self._woken = asyncio.Event()

    def tell(self, tried: Tried) -> "asyncio.Future[None]":
        """Done when it is on the disk."""
        written = asyncio.get_running_loop().create_future()
        self._told.append((tried, written))
        self._woken.set()
        return written

    async def run(self) -> None:
        while True:
            await self._woken.wait()
            await asyncio.sleep(_LINGER)
            batch, self._told = self._told[:_MOST], self._told[_MOST:]
            if not self._told:
                self._woken.clear()
            noted = await self._written([tried for tried, _ in batch])
            for _, written in batch:
                if not written.done():
                    written.set_result(None)
            await self._after(noted)

    async def _written(self, batch: list[Tried]) -> Noted:
        """However long the database is away: what arrived must not be sent for ever."""
        while True:
            try:
                return await asyncio.to_thread(self._notes.note, batch)
            except sa.exc.DBAPIError:
                log("noting_deliveries_failed", fault=True, deliveries=len(batch))
                await asyncio.sleep(_AGAIN)
