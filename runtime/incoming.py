"""A body on its way in (届きつつある本文), as large as whoever takes it lets it be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from litestar import Request
from litestar.exceptions import InternalServerException

PATIENCE = 30.0
"""Seconds that a sender may send nothing in the middle of a body."""


class CutOff(Exception):
    """The body ended before its end, or stood still."""


class Incoming:
    """The body as it comes: ``announced`` how long it is said to be, 0 where that is not said; ``ended``
    when all of it has come."""

    def __init__(self, request: Request[Any, Any, Any]) -> None:
        length = request.headers.get("content-length", "")
        self.announced = int(length) if length.isdecimal() else 0
        self._asks_first = request.headers.get("expect", "").lower() == "100-continue"
        self.ended = False
        self._came = 0
        self._stream = request.stream()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises CutOff."""
        while True:
            try:
                async with asyncio.timeout(PATIENCE):
                    chunk = await anext(self._stream)
            except StopAsyncIteration:
                self.ended = True
                return
            except (InternalServerException, TimeoutError) as error:
                # The first is how the HTTP layer says that the sender has gone.
                raise CutOff from error
            self._came += len(chunk)
            yield chunk

    async def drain(self, most: int) -> None:
        """Read what is left of a refused body, for many clients hear no answer before they have sent
        everything: if it is not longer than ``most`` bytes, and if the sender did not ask first whether
        to send it (RFC 9110, 10.1.1)."""
        asked_in_vain = self._asks_first and self._came == 0
        if self.ended or asked_in_vain or self.announced > most:
            return
        with suppress(CutOff):
            async for _ in self.chunks():
                if self._came > most:
                    return
