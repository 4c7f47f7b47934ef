"""The ledger: every producer's journal bound into one append-only Merkle log (台帳).

Appending is one transaction: entries, the tree's right edge and how far each journal was read. A
checkpoint is signed over committed entries only and stored before anyone sees it, so that a crash
never gives two roots for one size.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.engine import Connection, Engine

from runtime.clock import Clock, utc_text
from runtime.database import insert_new, reading, upsert, writing
from runtime.keys import KeyFileError
from runtime.reading import Entry
from runtime.signed_note import (
    Checkpoint,
    NoteError,
    VerifierKey,
    open_checkpoint,
    sign_checkpoint,
    verifier_key,
)
from schemas.journal import JournalEntry, read_entry
from services.audit import tables as t
from services.audit.entry import entry_bytes, make_entry
from services.audit.merkle import Frontier, leaf_hash
from services.audit.verify_rows import StoredCheckpoint, StoredEntry

_KEPT_TAILS = 50_000
_FIELDS = JournalEntry.model_fields.keys()
_SOME_TIME, _SOME_LEAF = "2026-01-01T00:00:00.000000Z", "0" * 64  # as long as any


def check_entry(body: bytes, value: dict[str, Any]) -> None:
    """Raise ValueError unless this is a journal entry that the ledger can hold as it is."""
    read_entry(body, value)
    if value.keys() != _FIELDS:
        raise ValueError("not the fields of a journal entry, version 1")
    # Of no referral it follows none.
    prev = _SOME_LEAF if value["referral"] is not None else None
    make_entry(value, received_at=_SOME_TIME, prev=prev)


def _check_key(connection: Connection, key: VerifierKey) -> None:
    """Raise KeyFileError if the newest checkpoint was signed with another key: whoever holds the
    old one would find every later checkpoint forged."""
    newest = sa.select(t.checkpoints.c.note).order_by(t.checkpoints.c.size.desc()).limit(1)
    note = connection.execute(newest).scalar()
    try:
        if note is not None:
            open_checkpoint(note, key)
    except NoteError as error:
        raise KeyFileError("ledger.key is not the key that signed this ledger") from error


def known_events(connection: Connection, events: set[str]) -> set[str]:
    """Which of these events are in the ledger."""
    query = sa.select(t.entries.c.event_id).where(t.entries.c.event_id.in_(events))
    return set(connection.execute(query).scalars())


def origin(ward: str) -> str:
    """The ledger's name, which is also its key's."""
    return f"tsunagu/{ward}"


class Ledger:
    """Appends and signs. What it keeps in memory is only a copy of what the database says."""

    def __init__(self, engine: Engine, ward: str, key: Ed25519PrivateKey, clock: Clock) -> None:
        self._engine = engine
        self._origin = origin(ward)
        self._key = key
        self._clock = clock
        self._tails: OrderedDict[str, str] = OrderedDict()  # referral → newest leaf, in hex
        self._pending: tuple[Frontier, dict[str, str]] | None = None
        with reading(engine) as connection:
            self._frontier = stored_frontier(connection)
            self.signed = _newest_size(connection)
            _check_key(connection, verifier_key(self._origin, key))

    @property
    def size(self) -> int:
        return len(self._frontier)

    def append(self, connection: Connection, entries: list[Entry]) -> None:
        """Append journal entries that passed ``check_entry``, in the caller's transaction.
        ``settle`` follows its commit."""
        if self._pending is not None:
            # The last transaction broke at its end: whether it was committed, the database knows.
            self._frontier = stored_frontier(connection)
            self._tails.clear()
            self._pending = None
        if not entries:
            return
        received_at = utc_text(self._clock.now())
        frontier = Frontier.from_bytes(self._frontier.to_bytes())
        about = {e.value["referral"] for e in entries} - {None}
        tails = self._tails_of(connection, about)
        rows: list[dict[str, Any]] = []
        numbers: list[dict[str, Any]] = []
        for entry in entries:
            value = entry.value
            referral = value["referral"]
            body = entry_bytes(value, received_at=received_at, prev=tails.get(referral))
            leaf = leaf_hash(body)
            if referral is not None:
                tails[referral] = leaf.hex()
            rows.append(
                {
                    "idx": len(frontier),
                    "leaf": leaf,
                    "body": body,
                    "event_id": value["id"],
                    "producer": entry.producer,
                    "number": entry.number,
                    "referral": referral,
                }
            )
            frontier.append(leaf)
            number = value["event"].get("number")
            if number is not None and referral is not None:
                numbers.append({"number": number, "referral": referral})
        connection.execute(sa.insert(t.entries), rows)
        insert_new(connection, t.numbers, numbers)
        upsert(connection, t.frontier, [{"id": 1, "hashes": frontier.to_bytes()}])
        self._pending = (frontier, tails)

    def settle(self) -> None:
        """The transaction was committed."""
        if self._pending is None:
            return
        self._frontier, tails = self._pending
        self._pending = None
        self._tails.update(tails)
        while len(self._tails) > _KEPT_TAILS:
            self._tails.popitem(last=False)

    def sign(self) -> None:
        """Sign and store a checkpoint over all committed entries, if there are new ones."""
        frontier = self._frontier  # entries may be appended meanwhile
        if len(frontier) == self.signed:
            return
        checkpoint = Checkpoint(self._origin, len(frontier), frontier.root())
        row = {
            "size": checkpoint.size,
            "note": sign_checkpoint(checkpoint, self._key),
            "signed_at": utc_text(self._clock.now()),
        }
        with writing(self._engine) as connection:
            # It may be there: committed before, while the answer was lost.
            if _newest_size(connection) < checkpoint.size:
                connection.execute(sa.insert(t.checkpoints), [row])
        self.signed = checkpoint.size

    def _tails_of(self, connection: Connection, referrals: set[str]) -> dict[str, str]:
        known = {r: self._tails[r] for r in referrals if r in self._tails}
        unknown = referrals - known.keys()
        if unknown:
            e = t.entries
            newest = (
                sa.select(sa.func.max(e.c.idx))
                .where(e.c.referral.in_(unknown))
                .group_by(e.c.referral)
            )
            query = sa.select(e.c.referral, e.c.leaf).where(e.c.idx.in_(newest))
            known |= {row.referral: row.leaf.hex() for row in connection.execute(query)}
        return known


def _newest_size(connection: Connection) -> int:
    return connection.execute(sa.select(sa.func.max(t.checkpoints.c.size))).scalar() or 0


def stored_frontier(connection: Connection) -> Frontier:
    stored = connection.execute(sa.select(t.frontier.c.hashes)).scalar()
    return Frontier.from_bytes(stored) if stored is not None else Frontier()


def find_referral(connection: Connection, ref: str) -> str | None:
    """The referral's id for an id or the number that people say."""
    query = sa.select(t.numbers.c.referral).where(t.numbers.c.number == ref)
    found = connection.execute(query).scalar()
    if found is not None:
        return str(found)
    query = sa.select(t.entries.c.referral).where(t.entries.c.referral == ref).limit(1)
    return connection.execute(query).scalar()


def bodies(connection: Connection, referral: str | None = None) -> Iterator[bytes]:
    """Entries in the ledger's order: one referral's, or all."""
    e = t.entries
    query = sa.select(e.c.body).order_by(e.c.idx).execution_options(yield_per=1000)
    if referral is not None:
        query = query.where(e.c.referral == referral)
    for row in connection.execute(query):
        yield bytes(row.body)


class Row(NamedTuple):
    """What a reader of the ledger needs of an entry, without its bytes being trusted."""

    idx: int
    leaf: bytes
    body: bytes
    producer: str
    referral: str | None


def rows(
    connection: Connection,
    *,
    start: int = 0,
    most: int | None = None,
    referrals: Sequence[str] | None = None,
    indexes: Sequence[int] | None = None,
) -> list[Row]:
    """Entries in the ledger's order, from the index ``start`` on: all, some referrals', or those of some
    indexes; at most so many."""
    e = t.entries
    query = sa.select(e.c.idx, e.c.leaf, e.c.body, e.c.producer, e.c.referral).order_by(e.c.idx)
    query = query.where(e.c.idx >= start).limit(most)
    if referrals is not None:
        query = query.where(e.c.referral.in_(referrals))
    if indexes is not None:
        query = query.where(e.c.idx.in_(indexes))
    return [
        Row(row.idx, bytes(row.leaf), bytes(row.body), row.producer, row.referral)
        for row in connection.execute(query)
    ]


def newest_checkpoint(connection: Connection) -> tuple[StoredCheckpoint, str] | None:
    """With when it was signed."""
    c = t.checkpoints.c
    query = sa.select(c.size, c.note, c.signed_at).order_by(c.size.desc()).limit(1)
    row = connection.execute(query).first()
    return (StoredCheckpoint(row.size, row.note), row.signed_at) if row is not None else None


def stored_entries(connection: Connection) -> Iterable[StoredEntry]:
    """All rows as the verifier wants them."""
    query = sa.select(t.entries).order_by(t.entries.c.idx).execution_options(yield_per=1000)
    for row in connection.execute(query):
        yield StoredEntry(
            row.idx, bytes(row.leaf), bytes(row.body), row.event_id, row.producer, row.number,
            row.referral,
        )  # fmt: skip


def stored_checkpoints(connection: Connection) -> Iterable[StoredCheckpoint]:
    query = sa.select(t.checkpoints.c.size, t.checkpoints.c.note).order_by(t.checkpoints.c.size)
    return [StoredCheckpoint(row.size, row.note) for row in connection.execute(query)]
