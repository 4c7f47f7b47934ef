"""A file on its way out, to a reader who may take it slowly, or not at all."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any

from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Message, Receive, Scope, Send

from runtime.streams import TRANSPORT

PATIENCE = 30.0
"""Seconds that a reader may take nothing in the middle of a file."""

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}


class BrokenOff(Exception):
    """What is left of the file cannot be had: the reader must not take what came for all of it."""


class Sending(Response[bytes]):
    """A file to save, never a page to show. ``chunks`` may raise BrokenOff; it is read to its end or
    closed. ``disposition``: the header Content-Disposition. ``over`` is called when the file has gone
    out, or never will."""

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        media_type: str,
        size: int,
        disposition: str,
        over: Callable[[], None] = lambda: None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        headers = {
            **(more or {}),
            **_HEADERS,
            "Content-Length": str(size),
            "Content-Disposition": disposition,
        }
        super().__init__(b"", status_code=200, media_type=media_type, headers=headers)
        self._chunks = chunks
        self._over = over

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        return _Sending(
            self._over,
            iterator=self._chunks,
            media_type=self.media_type,
            headers={str(name): value for name, value in self.headers.items()},
            status_code=200,
        )


class _Sending(ASGIStreamingResponse):
    def __init__(self, over: Callable[[], None], **as_usual: Any) -> None:
        super().__init__(**as_usual)
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def cut_off() -> bool:
            # To close would wait until the reader took what is left, which may be never. Then the
            # server says that the reader has gone, and this ends as if it had gone by itself.
            extensions: dict[str, Any] = scope.get("extensions") or {}
            transport: asyncio.WriteTransport | None = extensions.get(TRANSPORT, {}).get(
                "transport"
            )
            if transport is None:
                return False
            transport.abort()
            await asyncio.sleep(PATIENCE)
            return True

        async def patiently(message: Message) -> None:
            try:
                async with asyncio.timeout(PATIENCE):
                    await send(message)
            except TimeoutError:
                if not await cut_off():
                    raise

        async def until_broken(chunks: Any) -> AsyncGenerator[bytes, None]:
            async with aclosing(chunks):
                try:
                    async for chunk in chunks:
                        yield chunk
                except BrokenOff:
                    if not await cut_off():
                        raise

        chunks = until_broken(self.iterator)
        self.iterator = chunks
        try:
            await super().__call__(scope, receive, patiently)
        finally:
            await chunks.aclose()
            self._over()
