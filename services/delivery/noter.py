"""Writes down what became of the events of all agencies, many at a time: a transaction for each would
be more work than the carrying.

What cannot be noted, though the database is there, holds up its own referral and nobody else: it is
neither sent nor forgotten until it can be.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import sqlalchemy as sa

from runtime.observability import log
from services.delivery.notes import Noted, Notes, Tried

_LINGER = 0.05  # seconds in which more may come; nobody waits for a note of success
_MOST = 500
_AGAIN = 0.5  # seconds
_LATER = 60.0  # seconds until what could not be noted is noted again

_Told = tuple[Tried, "asyncio.Future[None]"]


class Noter:
    def __init__(self, notes: Notes, after: Callable[[Noted], Awaitable[None]]) -> None:
        self._notes = notes
        self._after = after
        self._told: list[_Told] = []
        self._woken = asyncio.Event()

    def tell(self, tried: Tried) -> "asyncio.Future[None]":
        """Done when it is on the disk."""
        written = asyncio.get_running_loop().create_future()
        self._take((tried, written))
        return written

    async def run(self) -> None:
        try:
            while True:
                await self._woken.wait()
                await asyncio.sleep(_LINGER)
                batch, self._told = self._told[:_MOST], self._told[_MOST:]
                if not self._told:
                    self._woken.clear()
                await self._write(batch)
        finally:
            await self._write_last()

    async def _write_last(self) -> None:
        """What was told in the last moment, once: what cannot be noted now is sent again after the
        start, under the same id."""
        if self._told:
            with contextlib.suppress(Exception):
                await asyncio.to_thread(self._notes.note, [tried for tried, _ in self._told])

    def _take(self, told: _Told) -> None:
        self._told.append(told)
        self._woken.set()

    async def _write(self, batch: list[_Told]) -> None:
        try:
            noted = await self._noted([tried for tried, _ in batch])
        except Exception:
            if len(batch) > 1:
                # The others do not wait for the one that is at fault.
                for told in batch:
                    await self._write([told])
                return
            row = batch[0][0].row
            log("delivery_not_noted", fault=True, agency=row.agency, number=row.number)
            asyncio.get_running_loop().call_later(_LATER, self._take, batch[0])
            return
        for _, written in batch:
            if not written.done():
                written.set_result(None)
        await self._after(noted)

    async def _noted(self, batch: list[Tried]) -> Noted:
        """However long the database is away: what arrived must not be sent for ever."""
        while True:
            try:
                return await asyncio.to_thread(self._notes.note, batch)
            except sa.exc.SQLAlchemyError:
                log("noting_deliveries_failed", fault=True, deliveries=len(batch))
                await asyncio.sleep(_AGAIN)
