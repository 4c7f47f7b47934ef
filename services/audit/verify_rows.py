"""What a ledger's row says by itself, without its neighbours.

This is most of a verifier's work.
"""

from hashlib import sha256
from typing import NamedTuple

from services.audit.entry import Entry, EntryError, read_entry


class StoredEntry(NamedTuple):
    """A row as it was found; a damaged row may hold values of any type."""

    idx: int
    leaf: bytes
    body: bytes
    event_id: str
    producer: str
    number: int
    referral: str | None


class StoredCheckpoint(NamedTuple):
    size: int
    note: str


class UnreadableError(Exception):
    """Raised by a source of rows that cannot go on."""


def judge(row: StoredEntry) -> Entry | str | None:
    """The entry; or why it is none; or None when it is not what its leaf hash says."""
    try:
        if sha256(b"\x00" + row[2]).digest() != row[1]:
            return None
        return read_entry(row[2])
    except TypeError:  # not bytes
        return None
    except EntryError as error:
        return str(error)
