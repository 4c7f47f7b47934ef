"""A small ledger to break: two producers, three referrals, entries of no referral, checkpoints."""

import uuid
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.signed_note import Checkpoint, sign_checkpoint, verifier_key
from services.audit.entry import make_entry
from services.audit.merkle import leaf_hash, root_of
from services.audit.verify import Report, StoredCheckpoint, StoredEntry, verify

ORIGIN = "tsunagu/131059"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
VKEY = verifier_key(ORIGIN, KEY).encode()
SIZE = 30
CHECKPOINTS = (0, 10, 20, 27)
LAST_SIGNED = CHECKPOINTS[-1]


def an_id(seed: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, seed))


def a_journal_entry(**fields: Any) -> dict[str, Any]:
    return {
        "v": 1,
        "ward": "131059",
        "producer": "referral",
        "number": 1,
        "id": an_id("event"),
        "referral": an_id("referral"),
        "version": 1,
        "occurred_at": "2026-09-01T01:20:30.123456Z",
        "actor": "hub-motofuji",
        "command": an_id("command"),
        "concerns": ["hub-motofuji", "hub-komagome"],
        "event": {"type": "handoff.offered", "to": "hub-komagome", "sealed": {"person": "ab" * 32}},
    } | fields


def an_entry(prev: str | None = None, **fields: Any) -> bytes:
    journal = a_journal_entry(**fields)
    return make_entry(journal, received_at="2026-09-01T01:20:30.223456Z", prev=prev)


@dataclass
class Story:
    """The journals, as they reach audit one after the other."""

    rows: list[StoredEntry] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    tails: dict[str, str] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)

    def append(self, producer: str, referral: str | None, *, versioned: bool = True) -> None:
        at = len(self.rows)
        number = self.numbers[producer] = self.numbers.get(producer, 0) + 1
        prev = version = None
        if referral is not None:
            prev = self.tails.get(referral)
            if versioned:
                version = self.versions[referral] = self.versions.get(referral, 0) + 1
        event_id = an_id(f"event {at}")
        body = an_entry(
            prev,
            producer=producer,
            number=number,
            id=event_id,
            referral=referral,
            version=version,
            command=an_id(f"command {at}"),
        )
        leaf = leaf_hash(body)
        if referral is not None:
            self.tails[referral] = leaf.hex()
        self.rows.append(StoredEntry(at, leaf, body, event_id, producer, number, referral))


@dataclass
class StoredLedger:
    rows: list[StoredEntry]
    checkpoints: list[StoredCheckpoint]

    def verified(self) -> Report:
        return verify(self.rows, self.checkpoints, VKEY)

    def renumber(self) -> None:
        self.rows = [row._replace(idx=at) for at, row in enumerate(self.rows)]


def a_checkpoint(rows: list[StoredEntry], size: int) -> StoredCheckpoint:
    root = root_of([row.leaf for row in rows[:size]])
    return StoredCheckpoint(size, sign_checkpoint(Checkpoint(ORIGIN, size, root), KEY))


def a_ledger() -> StoredLedger:
    rows, checkpoints = _told()
    return StoredLedger(list(rows), list(checkpoints))


@cache
def _told() -> tuple[list[StoredEntry], list[StoredCheckpoint]]:
    story = Story()
    people = [an_id(f"referral {n}") for n in range(3)]
    for at in range(SIZE):
        if at % 7 == 3:
            story.append("intake", None)  # someone read the audit trail
        elif at % 7 == 5:
            story.append("intake", people[at % 3], versioned=False)  # personal data was disclosed
        else:
            story.append("referral", people[at % 3])
    return story.rows, [a_checkpoint(story.rows, size) for size in CHECKPOINTS]
