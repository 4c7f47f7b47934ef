"""Streams (流れ): server-sent events for whoever keeps looking (WHATWG HTML, 9.2).

A stream is a position: it asks the service that knows for what comes after it, sends that, and waits
for a word that there is more. So a slow reader costs no memory, and whoever comes back with
``Last-Event-ID`` goes on where it stopped. Words are not durable; every stream also looks again
every few seconds. What many readers ask at the same moment is asked once.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send
from prometheus_client import Gauge
from pydantic import BaseModel
from pydantic_core import to_json

from runtime.broker import NoAnswer
from runtime.observability import log

EVENT_STREAM = "text/event-stream"
TRANSPORT = "tsunagu.transport"
"""The extension of the ASGI scope that holds the connection's ``transport``."""

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_CHUNK = 16_384


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, but for ``per_reader``. ``look``: how often a stream looks without being told;
    ``look_again``: after a question without an answer. ``patience``: how long a reader may take
    nothing. ``farewell``: how long the end of a stream may take."""

    per_reader: int = 32
    look: float = 5.0
    look_again: float = 1.0
    keep_alive: float = 15.0
    patience: float = 30.0
    farewell: float = 0.2


class Asker(Protocol):
    async def ask(self, service: str, name: str, question: BaseModel) -> Any:
        """Raises NoAnswer."""


Ask = Callable[[str, str, Any], Awaitable[Any]]
"""A question to a service, by its name. Raises NoAnswer."""


class NotTold(Exception):
    """The service that knows does not tell this reader."""


class Beyond(Exception):
    """The reader stands at a number that was not come to: the number is wrong, or the database of the
    service that knows was put back. ``head``: the newest there is."""

    def __init__(self, head: int) -> None:
        self.head = head


class Ended(Exception):
    """The server is about to stop."""


class TooMany(Exception):
    """Whoever asks has as many streams open as it may have."""


@dataclass(frozen=True, slots=True)
class Page:
    """``events``: as they go out, in order. ``last``: there was nothing more when it was read."""

    events: list[bytes]
    last: bool


class Following(Protocol):
    """A position and a question: what a stream follows."""

    kind: str
    """Its label in the metrics."""
    what: str
    """The word that says there is more (``schemas.subjects.grew``)."""

    async def more(self, ask: Ask) -> Page:
        """What comes next. Raises NoAnswer, NotTold and Beyond; the position is where it was then."""


def event(name: str, number: int, data: object) -> bytes:
    """One server-sent event. JSON has no line break outside its strings, and escapes them inside."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, name.encode(), to_json(data))


class _Bell:
    """Wakes all who wait for one thing. ``rung`` tells one ringing from another."""

    def __init__(self, rung: int) -> None:
        self.rung = rung
        self.listeners = 0
        self._next = asyncio.Event()

    def ring(self, rung: int) -> None:
        self.rung = rung
        self._next.set()
        self._next = asyncio.Event()

    async def beyond(self, rung: int) -> None:
        """Until it was rung after ``rung``."""
        if self.rung == rung:
            await self._next.wait()


class Streams:
    """All streams of this process. ``looking`` while it serves, ``end`` before it stops."""

    def __init__(self, asker: Asker, open_now: Gauge, limits: Limits | None = None) -> None:
        """``open_now``: by ``kind``, how many there are."""
        self.limits = limits or Limits()
        self._asker = asker
        self._open_now = open_now
        self._open: Counter[str] = Counter()
        self._bells: dict[str, _Bell] = {}
        self._rings = 0
        self._flying: dict[tuple[int, BaseModel], asyncio.Future[Any]] = {}
        self._unanswered = asyncio.Event()
        self._writing: set[asyncio.Task[None]] = set()
        self._ended = False

    async def open(
        self, reader: str, following: Following, allowed: Callable[[], bool]
    ) -> Response[bytes]:
        """A stream for ``reader``, for as long as it is ``allowed``. The first question is asked before
        it is promised, so that whoever is not told hears it as such; a service that does not answer
        stops nobody. Raises Ended, TooMany, NotTold, Beyond."""
        if self._ended:
            raise Ended
        if self._open[reader] >= self.limits.per_reader:
            raise TooMany
        stream = _Stream(self, reader, following, allowed)
        self._enter(stream)
        try:
            await stream.begin()
        except BaseException:
            self.leave(stream)
            raise
        if self._ended:  # meanwhile
            self.leave(stream)
            raise Ended
        return _StreamResponse(stream)

    def heard(self, what: str) -> None:
        """There is more of this."""
        bell = self._bells.get(what)
        if bell is not None:
            self._rings += 1
            bell.ring(self._rings)

    def look_again(self) -> None:
        """Somebody may no longer be here: every stream asks whether it is still allowed."""
        for what in list(self._bells):
            self.heard(what)

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """Looks again now and then, in case a word was missed; all at once, so that those who ask
        the same ask together."""
        looks = asyncio.create_task(self._look())
        try:
            yield
        finally:
            looks.cancel()

    def end(self) -> None:
        """All streams end, and there are no new ones."""
        self._ended = True
        for task in self._writing:
            task.cancel()

    # -- for a stream ----------------------------------------------------------------------------

    async def ask(self, what: str, service: str, name: str, question: BaseModel) -> Any:
        """Ask, together with whoever asks the same since the same word. Raises NoAnswer."""
        key = (self._bells[what].rung, question)
        flying = self._flying.get(key)
        if flying is None:
            flying = asyncio.ensure_future(self._asker.ask(service, name, question))
            flying.add_done_callback(lambda asked: self._landed(key, asked))
            self._flying[key] = flying
        return await asyncio.shield(flying)

    def bell(self, what: str) -> _Bell:
        return self._bells[what]

    @contextlib.contextmanager
    def written_by(self, task: asyncio.Task[None]) -> Any:
        """``end`` ends this task."""
        self._writing.add(task)
        if self._ended:
            task.cancel()
        try:
            yield
        finally:
            self._writing.discard(task)

    def _enter(self, stream: "_Stream") -> None:
        what = stream.following.what
        if what not in self._bells:
            self._rings += 1
            self._bells[what] = _Bell(self._rings)
        self._bells[what].listeners += 1
        self._open[stream.reader] += 1
        self._open_now.labels(stream.following.kind).inc()

    def leave(self, stream: "_Stream") -> None:
        what = stream.following.what
        self._bells[what].listeners -= 1
        if self._bells[what].listeners == 0:
            del self._bells[what]
        self._open[stream.reader] -= 1
        if self._open[stream.reader] == 0:
            del self._open[stream.reader]
        self._open_now.labels(stream.following.kind).dec()

    def _landed(self, key: tuple[int, BaseModel], asked: asyncio.Future[Any]) -> None:
        self._flying.pop(key, None)
        # Looked at here too: nobody may be left to hear it.
        if not asked.cancelled() and asked.exception() is not None:
            self._unanswered.set()

    async def _look(self) -> None:
        while True:
            self._unanswered.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.limits.look):
                    await self._unanswered.wait()
                    await asyncio.sleep(self.limits.look_again)
            self.look_again()


class _CutOff(Exception):
    """The reader took nothing for too long."""


class _Stream:
    """One reader's stream. ``allowed``: may the reader still read?"""

    def __init__(
        self, streams: Streams, reader: str, following: Following, allowed: Callable[[], bool]
    ) -> None:
        self.reader = reader
        self.following = following
        self._streams = streams
        self._allowed = allowed
        self._rung = 0
        self._first: Page | None = None
        self._started = False
        self._sent_at = 0.0

    async def begin(self) -> None:
        self._first = await self._more()

    async def serve(self, start: ASGIResponse, scope: Scope, receive: Receive, send: Send) -> None:
        """Until the reader has gone, may no longer read, takes nothing, or the server stops."""
        extensions: dict[str, Any] = scope.get("extensions") or {}
        transport: asyncio.WriteTransport | None = extensions.get(TRANSPORT, {}).get("transport")
        writing = asyncio.create_task(self._write(start, send))
        leaving = asyncio.create_task(_gone(receive))
        try:
            with self._streams.written_by(writing):
                await asyncio.wait((writing, leaving), return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                return
            ended = writing.cancelled() or writing.exception() is None
            ended = ended and self._started
            if not (ended and await self._said_goodbye(send, transport)) and transport is not None:
                # To close would wait until the reader took what is left, which may be never.
                transport.abort()
                await leaving
        finally:
            for task in (writing, leaving):
                task.cancel()
            await asyncio.gather(writing, leaving, return_exceptions=True)
            self._streams.leave(self)

    async def _said_goodbye(self, send: Send, transport: asyncio.WriteTransport | None) -> bool:
        """The reader has all of it, and the end."""
        farewell = self._streams.limits.farewell
        try:
            async with asyncio.timeout(farewell):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                # A transport tells nobody when it is empty.
                while transport is not None and transport.get_write_buffer_size() > 0:  # noqa: ASYNC110
                    await asyncio.sleep(farewell / 10)
        except TimeoutError:
            return False
        return True

    async def _write(self, start: ASGIResponse, send: Send) -> None:
        try:
            async with self._patience():
                await start.start_response(send)
            self._started = True
            await self._put(send, b"retry: 1000\n\n")
            page = self._first
            self._first = None
            while self._allowed():
                for chunk in _chunks(page.events if page else ()):
                    await self._put(send, chunk)
                    if not self._allowed():
                        return
                if page is None or page.last:
                    await self._rest(send)
                    if not self._allowed():
                        return
                page = await self._more()
        except (NotTold, Beyond):
            return  # whoever opens it again is told why
        except _CutOff:
            log("stream_cut_off", reader=self.reader, kind=self.following.kind)
            raise
        except Exception as error:
            # The reader comes back by itself, with the position that it has reached.
            log("stream_failed", fault=True, kind=self.following.kind, error=type(error).__name__)

    async def _more(self) -> Page | None:
        """None: nobody answered. Raises NotTold and Beyond."""
        what = self.following.what
        self._rung = self._streams.bell(what).rung
        try:
            return await self.following.more(
                lambda service, name, question: self._streams.ask(what, service, name, question)
            )
        except NoAnswer:
            return None

    async def _rest(self, send: Send) -> None:
        """Until there may be more; what is said meanwhile keeps the connection open."""
        bell = self._streams.bell(self.following.what)
        now = asyncio.get_running_loop().time
        while True:
            try:
                async with asyncio.timeout_at(self._sent_at + self._streams.limits.keep_alive):
                    await bell.beyond(self._rung)
                return
            except TimeoutError:
                if now() >= self._sent_at + self._streams.limits.keep_alive:
                    await self._put(send, b": keep-alive\n\n")

    async def _put(self, send: Send, chunk: bytes) -> None:
        async with self._patience():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        self._sent_at = asyncio.get_running_loop().time()

    @contextlib.asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._streams.limits.patience):
                yield
        except TimeoutError as error:
            raise _CutOff from error


class _StreamResponse(Response[bytes]):
    def __init__(self, stream: _Stream) -> None:
        super().__init__(b"", status_code=200, media_type=EVENT_STREAM, headers=_HEADERS)
        self._stream = stream

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        return _StreamSending(self._stream)


class _StreamSending(ASGIResponse):
    _should_set_content_length = False

    def __init__(self, stream: _Stream) -> None:
        super().__init__(media_type=EVENT_STREAM, headers=_HEADERS)
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._stream.serve(self, scope, receive, send)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _chunks(events: Iterable[bytes]) -> Iterable[bytes]:
    """Several events in one write, never so many that a slow reader has to hold much."""
    chunk = b""
    for event in events:
        chunk += event
        if len(chunk) >= _CHUNK:
            yield chunk
            chunk = b""
    if chunk:
        yield chunk
