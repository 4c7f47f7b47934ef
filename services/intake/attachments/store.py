"""Where sealed files are kept, each under the SHA-256 of its own bytes: a folder, or JetStream's object
store (``objects``). One suite of tests holds both to the same promises."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol


class StoreFailed(RuntimeError):
    """The store cannot be written or read now."""


class NotKept(LookupError):
    """There is no such file, or it is damaged beyond reading."""


class Store(Protocol):
    async def keep(self, name: str, sealed: Path) -> None:
        """Durable when this returns; ``sealed`` may be gone then. The same twice is kept once.
        Raises StoreFailed."""

    async def fetch(self, name: str) -> IO[bytes]:
        """Open for reading; whoever fetches closes it. Raises NotKept, StoreFailed."""

    async def delete(self, name: str) -> None:
        """Also where there is none. Raises StoreFailed."""

    async def sweep(self) -> int:
        """Remove what a process that died while keeping left behind; how much. Raises StoreFailed."""


class Folder:
    """One file each, in 256 folders. ``keep`` moves it in, so it lies on the spool's file system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def keep(self, name: str, sealed: Path) -> None:
        await _in_thread(self._keep, name, sealed)

    async def fetch(self, name: str) -> IO[bytes]:
        try:
            return await asyncio.to_thread(open, self._path(name), "rb")
        except FileNotFoundError as error:
            raise NotKept from error
        except OSError as error:
            raise StoreFailed(type(error).__name__) from error

    async def delete(self, name: str) -> None:
        await _in_thread(self._delete, name)

    async def sweep(self) -> int:
        return 0  # a file is there whole, or not at all

    def _keep(self, name: str, sealed: Path) -> None:
        path = self._path(name)
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _durable(self._folder)
        os.rename(sealed, path)
        _durable(path.parent)

    def _delete(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._path(name).unlink()
            _durable(self._path(name).parent)

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name


async def _in_thread(work: Callable[..., None], *arguments: object) -> None:
    try:
        await asyncio.to_thread(work, *arguments)
    except OSError as error:
        raise StoreFailed(type(error).__name__) from error


def _durable(folder: Path) -> None:
    """What was made, moved or removed in a folder is so on the disk too."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
