"""Verify a ledger that lies in a SQLite file, read-only, with the standard library's `sqlite3`."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, cast
from urllib.parse import quote

from services.audit.verify import verify
from services.audit.verify_report import Finding, Kind, Report
from services.audit.verify_rows import StoredCheckpoint, StoredEntry, UnreadableError

_ENTRIES: Final = (
    "SELECT idx, leaf, body, event_id, producer, number, referral FROM entries"
    " WHERE idx > ? ORDER BY idx"
)
_CHECKPOINTS: Final = "SELECT size, note FROM checkpoints ORDER BY size"


def verify_file(
    path: Path, vkey: str, progress: Callable[[int], None] = lambda entries: None
) -> Report:
    """Verify the tables ``entries`` and ``checkpoints`` as of one instant.

    That the file exists is the caller's to see; whatever is wrong inside it is a finding.
    """
    uri = f"file:{quote(str(path.resolve()))}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            connection.execute("BEGIN")  # one snapshot, though the writer appends meanwhile
            return verify(_entries(connection), _checkpoints(connection), vkey, progress)
    except sqlite3.DatabaseError as error:
        return Report(0, 0, 0, (Finding(Kind.UNVERIFIABLE, f"not readable: {error}"),), 0)


def _entries(connection: sqlite3.Connection) -> Iterator[StoredEntry]:
    # Text that is not UTF-8 stops sqlite3. Read on from there slowly, so that it becomes one wrong
    # row; a damaged page stops the second reading too.
    after, why = -(2**63), ""
    for decode, at_once in ((str, 1_000), (_decode_anything, 1)):
        connection.text_factory = decode
        try:
            cursor = connection.execute(_ENTRIES, (after,))
            while batch := cursor.fetchmany(at_once):
                yield from cast(list[StoredEntry], batch)  # plain tuples: quicker to make
                after = batch[-1][0]
            return
        except sqlite3.DatabaseError as error:
            why = str(error)
    raise UnreadableError(why)


def _checkpoints(connection: sqlite3.Connection) -> Iterator[StoredCheckpoint]:
    connection.text_factory = _decode_anything
    try:
        yield from map(StoredCheckpoint._make, connection.execute(_CHECKPOINTS))
    except sqlite3.DatabaseError as error:
        raise UnreadableError(str(error)) from error


def _decode_anything(text: bytes) -> str:
    return text.decode(errors="surrogateescape")
