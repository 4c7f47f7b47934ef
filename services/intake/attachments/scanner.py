"""A virus scanner, by clamd's protocol (man clamd: INSTREAM), over TCP or a Unix socket.

Not by the library ``aioclamd``: it knows no Unix socket, and takes what it scans from a file, where the
plaintext never is.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

_PATIENCE = 60.0
"""Seconds for one file: clamd unpacks what it is given."""


class ScannerFailed(RuntimeError):
    """The scanner cannot be reached, or broke off: ask again later."""


class ScanRefused(RuntimeError):
    """The scanner answers, but does not say of this file whether it is clean."""


class Clamd:
    """``address``: ``host:port``, or the path of a Unix socket."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def is_clean(self, chunks: AsyncIterator[bytes]) -> bool:
        """Whether clamd finds nothing in the file. Raises ScannerFailed, ScanRefused, and whatever
        ``chunks`` raises."""
        try:
            async with asyncio.timeout(_PATIENCE):
                answer = await self._ask(chunks)
        except (OSError, EOFError, TimeoutError) as error:
            raise ScannerFailed(type(error).__name__) from error
        if answer == b"stream: OK":
            return True
        if answer.startswith(b"stream: ") and answer.endswith(b" FOUND"):
            return False
        # "INSTREAM size limit exceeded. ERROR" and the like; nothing, where it was stopped meanwhile.
        raise ScanRefused("no verdict") if answer else ScannerFailed("no answer")

    async def _ask(self, chunks: AsyncIterator[bytes]) -> bytes:
        reader, writer = await self._connect()
        try:
            writer.write(b"zINSTREAM\0")
            # It may answer, and hang up, before it has all: then the answer is what counts.
            with contextlib.suppress(ConnectionError):
                async for chunk in chunks:
                    if chunk:
                        writer.write(len(chunk).to_bytes(4, "big") + chunk)
                        await writer.drain()
                writer.write(bytes(4))
                await writer.drain()
            return (await reader.read(4096)).rstrip(b"\0\n")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._address.startswith("/"):
            return await asyncio.open_unix_connection(self._address)
        host, _, port = self._address.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port))
