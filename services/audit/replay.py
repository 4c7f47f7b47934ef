"""Replay: who was responsible when, and every hand-off, from the ledger alone. Pure.

State at any moment is the fold of what had occurred by then; the fold is the same that the deciding
service uses, so a difference between the two is a difference in the records.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from schemas.journal import JournalEntry, read_entry
from schemas.referral import Referral, evolve
from schemas.telling import Names, sentence

__all__ = [
    "Custody",
    "History",
    "Names",
    "ReplayError",
    "fold_ward",
    "read_entries",
    "replay",
    "sentence",
]


class ReplayError(ValueError):
    """The entries cannot be replayed; run ``tsunagu verify``."""


@dataclass(frozen=True, slots=True)
class Custody:
    """``custodian`` was responsible from ``since`` until ``until`` (None: still)."""

    custodian: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class History:
    """One referral's way: its entries, who held it when, and the state they lead to."""

    entries: tuple[JournalEntry, ...]
    custody: tuple[Custody, ...]
    state: Referral


def read_entries(bodies: Iterable[bytes]) -> list[JournalEntry]:
    try:
        return [JournalEntry.from_json(body) for body in bodies]
    except ValidationError as error:
        raise ReplayError("an entry cannot be read") from error


def replay(entries: Iterable[JournalEntry], at: datetime | None = None) -> History | None:
    """One referral's history up to and including ``at`` (None: to the end). None when there was
    nothing yet. Raises ReplayError when entries are missing or out of order."""
    told: list[JournalEntry] = []
    spans: list[Custody] = []
    state: Referral | None = None
    for entry in entries:
        if at is not None and entry.occurred_at > at:
            break
        try:
            state = evolve(state, entry)
        except ValueError as error:
            raise ReplayError(str(error)) from error
        told.append(entry)
        if not spans or spans[-1].custodian != state.custodian:
            if spans:
                spans[-1] = Custody(spans[-1].custodian, spans[-1].since, entry.occurred_at)
            spans.append(Custody(state.custodian, entry.occurred_at, None))
    if state is None:
        return None
    if state.ended:
        spans[-1] = Custody(spans[-1].custodian, spans[-1].since, state.updated_at)
    return History(tuple(told), tuple(spans), state)


def fold_ward(bodies: Iterable[bytes], at: datetime | None = None) -> dict[str, Referral]:
    """The state of every referral of the ward at a moment, by id."""
    states: dict[str, Referral] = {}
    for body in bodies:
        entry = read_entry(body)
        if entry.referral is None or (at is not None and entry.occurred_at > at):
            continue
        key = str(entry.referral)
        try:
            states[key] = evolve(states.get(key), entry)
        except ValueError as error:
            raise ReplayError(str(error)) from error
    return states
