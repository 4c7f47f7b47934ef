"""A load generator thin enough not to be what is measured: raw HTTP/1.1 over asyncio, one
connection a partner."""

import asyncio
import time
from collections.abc import Sequence


class Connection:
    """One keep-alive connection."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    async def post(self, path: str, body: bytes, headers: str) -> tuple[int, bytes, float]:
        """Status, body and seconds."""
        return await self._ask(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            f"Content-Type: application/json\r\n{headers}\r\n".encode()
            + body
        )

    async def get(self, path: str, headers: str) -> tuple[int, bytes, float]:
        """The same."""
        return await self._ask(f"GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())

    async def _ask(self, request: bytes) -> tuple[int, bytes, float]:
        began = time.perf_counter()
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        at = head.lower().index(b"content-length:") + 15
        length = int(head[at : head.index(b"\r", at)])
        answer = await self._reader.readexactly(length)
        return status, answer, time.perf_counter() - began

    def close(self) -> None:
        self._writer.close()


def percentiles(seconds: Sequence[float]) -> str:
    """p50/p95/p99 in milliseconds."""
    ordered = sorted(seconds)
    return " / ".join(
        f"{ordered[min(len(ordered) - 1, int(len(ordered) * p))] * 1000:.1f}"
        for p in (0.50, 0.95, 0.99)
    )
