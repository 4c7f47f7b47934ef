"""Files that hold what partners know of people: readable by their owner only, written so that a kill
at any instant leaves whole lines or none."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from partners.csv_files.faults import Stopped
from schemas.base import JsonObject


def own(path: Path, *, append: bool = False) -> IO[bytes]:
    """Open for writing, mode 0600 also where the file was there before."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC)
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return open(descriptor, "ab" if append else "wb", buffering=0)


class Added:
    """A file that is only added to: its first ``size`` bytes, of this SHA-256, are there and whole. What
    a kill has left behind them is cut off when it is opened again."""

    def __init__(self, path: Path, size: int = 0, sha256: str = "") -> None:
        """Raises Stopped where somebody has changed it since (a spreadsheet, on saving)."""
        self._hash = hashlib.sha256()
        if size:
            whole = path.read_bytes()[:size] if path.exists() else b""
            self._hash.update(whole)
            if self._hash.hexdigest() != sha256:
                raise Stopped(
                    f"{path} は書いたときのままではないので続けられません。別の名前で始めからどうぞ"
                    f" / {path} was changed since it was written: begin anew under another name"
                )
            os.truncate(path, size)
        self._path = path
        self._size = size

    @property
    def place(self) -> tuple[int, str]:
        """What to open it with, to go on."""
        return self._size, self._hash.hexdigest()

    def add(self, content: bytes) -> None:
        with own(self._path, append=self._size > 0) as file:
            left = memoryview(content)
            while left:  # a disk that is nearly full takes a part
                left = left[file.write(left) :]
        self._hash.update(content)
        self._size += len(content)


def remember(file: IO[bytes], said: JsonObject) -> None:
    """One line, in one write: what a kill leaves of it is passed over by ``remembered``."""
    file.write(json.dumps(said, ensure_ascii=False).encode() + b"\n")


def remembered(path: Path) -> Iterator[JsonObject]:
    """Every whole line; nothing where there is no file."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict):
            yield said
