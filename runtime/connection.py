"""One connection (接続). Whoever is at its other end, known or not, can hold neither memory nor the
connection itself by never coming to the end of a request."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from runtime.streams import TRANSPORT

PATIENCE = 10.0
"""Seconds within which a head must have come, and after the answer what is left of a body."""
LONGEST_HEAD = 65_536
"""Bytes of a request that are not its body. The parser itself has no limit."""
_FRAME = 32  # bytes, not counted, that may stand around a chunk (RFC 9112, 7.1)


class Connection(HttpToolsProtocol):
    """Tells the application its transport, so that a reader who takes nothing can be cut off."""

    _not_body = 0
    _over: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._not_body += len(data)
        super().data_received(data)
        if self._not_body > LONGEST_HEAD:
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}
        self._expect()

    def on_headers_complete(self) -> None:
        self._expect_nothing()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._not_body = max(0, self._not_body - len(body) - _FRAME)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._not_body = 0
        super().on_message_complete()
        if self.cycle.response_complete:  # uvicorn does not wait for the next request by then
            self._expect()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body:  # not of one queued behind it
            self._expect()

    def _expect(self) -> None:
        self._expect_nothing()
        self._over = self.loop.call_later(PATIENCE, self.transport.close)

    def _expect_nothing(self) -> None:
        if self._over is not None:
            self._over.cancel()
            self._over = None
