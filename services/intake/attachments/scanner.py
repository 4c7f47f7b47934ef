"""A virus scanner, by clamd's protocol (man clamd: INSTREAM), over TCP or a Unix socket.

Not by the library ``aioclamd``: it knows no Unix socket, and takes what it scans from a file, where the
plaintext never is.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

_TO_CONNECT = 5.0
_PATIENCE = 60.0
"""Seconds for one file: clamd unpacks what it is given."""


class ScannerFailed(RuntimeError):
    """The scanner cannot be reached."""


class ScanRefused(RuntimeError):
    """The scanner is there, and does not say of this file whether it is clean."""


class TooLarge(ScanRefused):
    """It will not say so of this file another time either."""


class Clamd:
    """``address``: ``host:port``, or the path of a Unix socket."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def is_clean(self, chunks: AsyncIterator[bytes]) -> bool:
        """Whether clamd finds nothing in the file. Raises ScannerFailed, ScanRefused, TooLarge, and whatever
        ``chunks`` raises."""
        try:
            async with asyncio.timeout(_TO_CONNECT):
                reader, writer = await self._connect()
        except (OSError, TimeoutError) as error:
            raise ScannerFailed(type(error).__name__) from error
        try:
            async with asyncio.timeout(_PATIENCE):
                answer = await _asked(reader, writer, chunks)
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError) as error:
            raise ScanRefused(type(error).__name__) from error
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        if answer == b"stream: OK":
            return True
        if answer.startswith(b"stream: ") and answer.endswith(b" FOUND"):
            return False
        if answer.startswith(b"INSTREAM size limit exceeded"):
            raise TooLarge("the scanner takes no file of this size")
        raise ScanRefused("no verdict")

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._address.startswith("/"):
            return await asyncio.open_unix_connection(self._address)
        host, _, port = self._address.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port))


async def _asked(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chunks: AsyncIterator[bytes]
) -> bytes:
    """It may answer, and hang up, before it has all: so its answer is listened for from the start."""
    answer = asyncio.create_task(reader.readuntil(b"\0"))
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(b"zINSTREAM\0")
            async for chunk in chunks:
                if answer.done():
                    break
                if chunk:
                    writer.write(len(chunk).to_bytes(4, "big") + chunk)
                    await writer.drain()
            writer.write(bytes(4))
            await writer.drain()
        return (await answer)[:-1]
    finally:
        answer.cancel()
