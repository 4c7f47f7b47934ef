"""Readers of inbox streams for `make bench-streams`, in a process of their own: so thin that they are not
what is measured. Each line on standard input is an order, answered with a line:

``{"port": 1, "open": [[key, how many], ...]}``: opens so many streams with each key, from the beginning
of the inbox; the answer is the seconds until the last of all said its first word.
``{}``: what came since: ``late``, seconds from the decision to here; ``last``, the newest number of each
stream, in the order of opening; ``wrong``, how many numbers did not follow the one before.
"""

import asyncio
import json
import re
import sys
from datetime import datetime
from time import perf_counter, time
from typing import Any

import uvloop

_EVENT = re.compile(rb"id: (\d+)\nevent: inbox\n")
_TIME = re.compile(rb'"time":"([^"]+)"')


class _Reader(asyncio.Protocol):
    late: list[float] = []  # noqa: RUF012  # of all streams together
    wrong = 0

    def __init__(self, key: str) -> None:
        self.last = 0
        self.opened = asyncio.get_running_loop().create_future()
        self._key = key
        self._headed = False
        self._read = b""

    def connection_made(self, transport: Any) -> None:
        transport.write(
            f"GET /v1/inbox?after=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self._key}\r\n"
            "Accept: text/event-stream\r\n\r\n".encode()
        )

    def connection_lost(self, _: Exception | None) -> None:
        _Reader.wrong += 1
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"no stream: {self._read[:200]!r}"))

    def data_received(self, data: bytes) -> None:
        now = time()
        self._read += data
        if not self._headed:
            head, found, rest = self._read.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 200 "):
                self.opened.set_exception(ConnectionError(f"no stream: {head[:200]!r}"))
                return
            self._headed, self._read = True, rest
        # Chunks (RFC 9112, 7.1), each of whole events.
        while (line := self._read.find(b"\r\n")) >= 0:
            end = line + 2 + int(self._read[:line], 16)
            if len(self._read) < end + 2:
                return
            self._take(self._read[line + 2 : end], now)
            self._read = self._read[end + 2 :]
            if not self.opened.done():
                self.opened.set_result(None)

    def _take(self, chunk: bytes, now: float) -> None:
        for event in _EVENT.finditer(chunk):
            number = int(event[1])
            _Reader.wrong += number != self.last + 1
            self.last = number
            decided = _TIME.search(chunk, event.end())
            assert decided is not None
            self.late.append(now - datetime.fromisoformat(decided[1].decode()).timestamp())


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    readers: list[_Reader] = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        if "open" in order:
            began = perf_counter()
            opening = [_Reader(key) for key, count in order["open"] for _ in range(count)]
            for reader in opening:
                await loop.create_connection(
                    lambda reader=reader: reader, "127.0.0.1", order["port"]
                )
            await asyncio.gather(*(reader.opened for reader in opening))
            readers += opening
            print(json.dumps(perf_counter() - began), flush=True)
            continue
        late, _Reader.late[:] = list(_Reader.late), []
        told = {"late": late, "last": [r.last for r in readers], "wrong": _Reader.wrong}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    uvloop.run(_serve())
