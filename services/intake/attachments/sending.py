"""A file on its way out, to a reader who may take it slowly, or not at all."""

import asyncio
from collections.abc import Callable
from typing import Any

from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Message, Receive, Scope, Send

from runtime.streams import TRANSPORT
from services.intake.attachments.file_name import disposition
from services.intake.attachments.reader import Found

PATIENCE = 30.0
"""Seconds that a reader may take nothing in the middle of a file."""

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}


class Sending(Response[bytes]):
    """``over`` is called when the file has gone out, or never will."""

    def __init__(self, found: Found, over: Callable[[], None]) -> None:
        headers = {
            **_HEADERS,
            "Content-Length": str(found.size),
            "Content-Disposition": disposition(found.name),
        }
        super().__init__(b"", status_code=200, media_type=found.media_type.value, headers=headers)
        self._found = found
        self._over = over

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        return _Sending(
            self._over,
            iterator=self._found.chunks,
            media_type=self.media_type,
            headers={str(name): value for name, value in self.headers.items()},
            status_code=200,
        )


class _Sending(ASGIStreamingResponse):
    def __init__(self, over: Callable[[], None], **as_usual: Any) -> None:
        super().__init__(**as_usual)
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def patiently(message: Message) -> None:
            try:
                async with asyncio.timeout(PATIENCE):
                    await send(message)
            except TimeoutError:
                # To close would wait until the reader took what is left, which may be never. Then
                # the server says that the reader has gone, and this ends as if it had gone by itself.
                extensions: dict[str, Any] = scope.get("extensions") or {}
                transport: asyncio.WriteTransport | None = extensions.get(TRANSPORT, {}).get(
                    "transport"
                )
                if transport is None:
                    raise
                transport.abort()
                await asyncio.sleep(PATIENCE)

        try:
            await super().__call__(scope, receive, patiently)
        finally:
            await self.iterator.aclose()  # type: ignore[union-attr]
            self._over()
