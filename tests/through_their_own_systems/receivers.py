"""An agency's web server as the tests need one: a real one, that can behave as badly as it likes."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook

SECRET = "whsec_" + "c2FtcGxlLXNlY3JldC1vZi10aGUtdGVzdHMtb25seSE="  # a sample, of no real agency


@dataclass(frozen=True, slots=True)
class Came:
    """One post, its signature verified by the library that partners use."""

    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> Any:
        return json.loads(self.body)

    @property
    def number(self) -> int:
        return int(self.event["agencynumber"])

    @property
    def thread(self) -> str:
        return str(self.event["subject"])


Behaviour = Callable[[Came, asyncio.StreamWriter], Awaitable[None]]


def answers(status: int, *headers: str, body: bytes = b"") -> Behaviour:
    head = [f"HTTP/1.1 {status} Sample", f"Content-Length: {len(body)}", *headers, "", ""]
    said = "\r\n".join(head).encode() + body

    async def answer(_: Came, writer: asyncio.StreamWriter) -> None:
        writer.write(said)

    return answer


TAKES = answers(204)


async def hangs(_: Came, __: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def answers_and_closes(_: Came, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    writer.close()


async def resets(_: Came, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def talks_nonsense(_: Came, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP ready\r\n\r\n")


async def never_ends_its_headers(_: Came, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not writer.is_closing():
        writer.write(b"X-Padding: " + b"a" * 1000 + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0)


class Floods:
    """200, and then a gigabyte, or as much of it as is taken."""

    def __init__(self) -> None:
        self.sent = 0

    async def __call__(self, _: Came, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        while not writer.is_closing() and self.sent < 2**30:
            writer.write(bytes(65_536))
            await writer.drain()
            self.sent += 65_536


async def drips(_: Came, writer: asyncio.StreamWriter) -> None:
    """200 at once, and then a byte now and then, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b".")
        await asyncio.sleep(0.05)


@dataclass
class Receiver:
    """``behave`` may be changed at any time; ``came``: every post whose signature was good."""

    secret: str = SECRET
    behave: Behaviour = TAKES
    came: list[Came] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    scheme: str = "http"
    host: str = "127.0.0.1"
    more: Callable[[Came], None] = lambda came: None

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}/events?for=us"

    @property
    def numbers(self) -> list[int]:
        return [one.number for one in self.came]

    def first_of(self, thread: str) -> list[int]:
        """The numbers of one referral, in the order in which each came first."""
        return list(dict.fromkeys(one.number for one in self.came if one.thread == thread))

    @contextlib.asynccontextmanager
    async def open(self, trust: ssl.SSLContext | None = None) -> AsyncIterator["Receiver"]:
        self.scheme = "https" if trust else "http"
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=trust)
        self.port = server.sockets[0].getsockname()[1]
        self._tasks: set[asyncio.Task[Any]] = set()
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        mine = self.connections
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("ascii").split("\r\n")
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in lines[1:] if line)
                }
                body = await reader.readexactly(int(headers["content-length"]))
                one = Came(headers, body, mine)
                try:
                    Webhook(self.secret).verify(body, headers)
                except Exception as fault:
                    self.bad.append(str(fault))
                    writer.write(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
                    continue
                self.came.append(one)
                self.more(one)
                await self.behave(one, writer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()
