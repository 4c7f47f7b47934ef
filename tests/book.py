"""The audit service's ledger on a real database, without the bus."""

import json
from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.engine import Engine

from runtime.clock import Clock
from runtime.database import reading, writing
from runtime.reading import Entry
from runtime.signed_note import verifier_key
from schemas.journal import AnyEntry
from services.audit.ledger import (
    Ledger,
    bodies,
    origin,
    stored_checkpoints,
    stored_entries,
)
from services.audit.verify import Report, StoredCheckpoint, StoredEntry, verify
from tests.builders import BUNKYO

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
VKEY = verifier_key(origin(BUNKYO.code), KEY).encode()


def as_read(entry: AnyEntry) -> Entry:
    """A journal entry as the reader hands it on."""
    body = entry.to_json()
    return Entry(entry.producer, entry.number, json.loads(body), body)


class Book:
    """``append`` takes one batch in, as the reader's transaction does; ``reopen`` is a new process."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock
        self.reopen()

    def reopen(self) -> None:
        self.ledger = Ledger(self.engine, BUNKYO.code, KEY, self.clock)

    def append(self, entries: Iterable[AnyEntry]) -> None:
        with writing(self.engine) as connection:
            self.ledger.append(connection, [as_read(entry) for entry in entries])
        self.ledger.settle()

    def entries(self) -> list[StoredEntry]:
        with reading(self.engine) as connection:
            return list(stored_entries(connection))

    def checkpoints(self) -> list[StoredCheckpoint]:
        with reading(self.engine) as connection:
            return list(stored_checkpoints(connection))

    def bodies(self) -> list[bytes]:
        with reading(self.engine) as connection:
            return list(bodies(connection))

    def verified(self) -> Report:
        with reading(self.engine) as connection:
            return verify(stored_entries(connection), stored_checkpoints(connection), VKEY)
