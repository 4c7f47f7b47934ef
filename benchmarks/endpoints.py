"""The agencies' systems for `make bench-delivery`, in a process of their own: so thin that they are not
what is measured. Ports are told on the first line; each line after it answers a line on standard input
with what came since: how many, and the seconds from the decision to here."""

import asyncio
import json
import re
import sys
from datetime import datetime
from time import time
from typing import Any

import uvloop

_TIME = re.compile(rb'"time":"([^"]+)"')


class _Takes(asyncio.Protocol):
    late: list[float] = []  # noqa: RUF012  # of all connections together

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport  # uvloop's own is no asyncio.Transport
        self._read = b""

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = self._read[:end].lower()
            at = head.index(b"content-length:") + 15
            length = int(head[at:].partition(b"\r")[0])
            if len(self._read) < end + 4 + length:
                return
            body = self._read[end + 4 : end + 4 + length]
            self._read = self._read[end + 4 + length :]
            decided = _TIME.search(body)
            assert decided is not None
            self.late.append(time() - datetime.fromisoformat(decided[1].decode()).timestamp())
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


class _Hangs(asyncio.Protocol):
    """Takes the connection and never says a word."""


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    takes = await loop.create_server(_Takes, "127.0.0.1", 0)
    hangs = await loop.create_server(_Hangs, "127.0.0.1", 0)
    ports = {
        "takes": takes.sockets[0].getsockname()[1],
        "hangs": hangs.sockets[0].getsockname()[1],
    }
    print(json.dumps(ports), flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        late, _Takes.late[:] = list(_Takes.late), []
        print(json.dumps(late), flush=True)


if __name__ == "__main__":
    uvloop.run(_serve())
