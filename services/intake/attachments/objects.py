"""Sealed files in JetStream's object store: chunks in a stream, so the broker's replicas are the files'."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO

import nats.errors
from nats.js.errors import DigestMismatchError, ObjectNotFoundError
from nats.js.object_store import ObjectStore

from runtime.broker import Bus
from schemas import subjects
from services.intake.attachments.store import NotKept, StoreFailed

_PATIENCE = 30.0
"""Seconds that one file may take to go in or to come out."""
_SWEEP_PATIENCE = 300.0
"""Seconds: all there is may have to be listed."""


class Objects:
    """``folder``: where what is read lies while it is read, in files without a name."""

    def __init__(self, bus: Bus, folder: Path) -> None:
        self._bus = bus
        self._folder = folder
        self._unnamed: set[str] = set()
        self._whole: set[str] = set()

    async def keep(self, name: str, sealed: Path) -> None:
        async with _broker():
            bucket = await self._open()
            with await asyncio.to_thread(sealed.open, "rb") as file:
                await bucket.put(name, file)

    async def fetch(self, name: str) -> IO[bytes]:
        # Gone with the process, however that ends.
        file = await asyncio.to_thread(_nameless, self._folder)
        try:
            async with _broker():
                # It wants something that can be written to; the annotation there is narrower.
                await (await self._open()).get(name, writeinto=file)  # type: ignore[arg-type]
        except (ObjectNotFoundError, DigestMismatchError) as error:
            file.close()
            raise NotKept from error
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return file

    async def delete(self, name: str) -> None:
        self._whole.clear()  # its chunks may stay behind, if this breaks off
        async with _broker():
            with suppress(ObjectNotFoundError):
                await (await self._open()).delete(name)

    async def sweep(self) -> int:
        """Chunks without an object: of a ``keep`` or a ``delete`` that was not finished. It may still
        be going on, so they are purged when the next sweep sees them too; and only where as many
        objects were told of as there are."""
        within, stream = f"$O.{subjects.ATTACHMENTS_BUCKET}.", subjects.ATTACHMENTS_STREAM
        async with _broker(_SWEEP_PATIENCE):
            info = await self._bus.js.stream_info(stream, subjects_filter=f"{within}>")
            there = set(info.state.subjects or {})
            chunks = {subject for subject in there if subject.startswith(f"{within}C.")}
            if chunks <= self._whole:
                return 0
            count = len(there) - len(chunks)
            objects = await (await self._open()).list() if count else []
            if len(objects) != count:
                return 0
            self._whole = {f"{within}C.{each.nuid}" for each in objects if not each.deleted}
            unnamed = chunks - self._whole
            left = unnamed & self._unnamed
            for subject in left:
                await self._bus.js.purge_stream(stream, subject=subject)
            self._unnamed = unnamed - left
        return len(left)

    async def _open(self) -> ObjectStore:
        # Made with the other streams, by whoever makes those.
        return await self._bus.js.object_store(subjects.ATTACHMENTS_BUCKET)


@asynccontextmanager
async def _broker(patience: float = _PATIENCE) -> AsyncIterator[None]:
    """What can go wrong with a broker, in one word; and never waits for ever."""
    try:
        async with asyncio.timeout(patience):
            yield
    except (ObjectNotFoundError, DigestMismatchError):
        raise
    except (nats.errors.Error, OSError, AttributeError) as error:
        # AttributeError: a connection that was never made has no JetStream yet.
        raise StoreFailed(type(error).__name__) from error


def _nameless(folder: Path) -> IO[bytes]:
    return tempfile.TemporaryFile(dir=folder)
