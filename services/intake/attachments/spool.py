"""Files on their way in (届きつつあるファイル): sealed already, not yet anybody's.

A process that is killed leaves them behind. Each is locked by whoever writes it, so what nobody holds
any more is swept without guessing how long an upload may take.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO


class Part:
    """A file that is being written: only sealed bytes. ``finish`` makes it durable."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file
        self._hash = hashlib.sha256()

    def write(self, sealed: bytes) -> None:
        self._hash.update(sealed)
        self._file.write(sealed)

    def finish(self) -> str:
        """SHA-256 of what was written; on the disk when this returns."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._hash.hexdigest()


class Spool:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextlib.contextmanager
    def part(self) -> Iterator[Part]:
        """A new file; gone afterwards, unless somebody moved it away."""
        path, file = self._locked()
        try:
            yield Part(path, file)
        finally:
            path.unlink(missing_ok=True)
            file.close()

    def sweep(self) -> int:
        """Remove what a process that is no more has left behind; how many."""
        swept = 0
        for path in self._folder.glob("*.part"):
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                if _lock(file):
                    path.unlink()
                    swept += 1
        return swept

    def _locked(self) -> tuple[Path, IO[bytes]]:
        while True:
            path = self._folder / f"{secrets.token_hex(16)}.part"
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            file = open(made, "wb")  # noqa: SIM115  # closed by ``part``
            # Between making and locking it, a sweeper may have taken it for left behind.
            if _lock(file) and os.fstat(made).st_nlink:
                return path, file
            file.close()


def _lock(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
