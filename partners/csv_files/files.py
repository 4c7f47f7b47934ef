"""Files that hold what partners know of people: readable by their owner only, written so that a kill
at any instant leaves whole lines or none."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from schemas.base import JsonObject


def own(path: Path, *, append: bool = False) -> IO[bytes]:
    """Open for writing, mode 0600 also where the file was there before."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC)
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return open(descriptor, "ab" if append else "wb", buffering=0)


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
