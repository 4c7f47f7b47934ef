"""Delivery's own journal (配送の記録): what it did that somebody may have to account for.

Like every producer's it is gapless and bound into the ledger. Its entries are numbered in the inboxes
of whom they concern in the same transaction.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from runtime import journal as journals
from runtime.clock import Clock
from runtime.ids import new_id
from runtime.reading import Entry
from schemas.base import NETWORK
from schemas.deliveries import DeliveryEvent
from schemas.journal import DeliveryEntry
from services.delivery import tables as t
from wards.model import Ward

TakeIn = Callable[[Connection, list[Entry]], object]


@dataclass(frozen=True, slots=True)
class Fact:
    """What happened, and whom it concerns. ``command``: what it follows from, where there is such a
    thing; ``actor``: who asked for it; ``id``: its own, where it was given one already."""

    event: DeliveryEvent
    concerns: tuple[str, ...] = ()
    actor: str = NETWORK
    command: UUID | None = None
    id: UUID | None = None


class Record:
    def __init__(self, ward: Ward, clock: Clock, take_in: TakeIn) -> None:
        self._ward = ward
        self._clock = clock
        self._take_in = take_in

    def write(self, connection: Connection, facts: Sequence[Fact]) -> list[Entry]:
        """In the caller's transaction, which has passed the writer's guard. The caller nudges the
        journal's publisher, and tells who waits for an inbox, after its commit."""
        number = journals.head(connection, t.journal)
        entries: list[Entry] = []
        rows = []
        now = self._clock.now()
        for fact in facts:
            number += 1
            entry = DeliveryEntry(
                ward=self._ward.code,
                number=number,
                id=fact.id or new_id(now),
                occurred_at=now,
                actor=fact.actor,
                command=fact.command or new_id(now),
                concerns=tuple(sorted(fact.concerns)),
                event=fact.event,
            )
            body = entry.to_json()
            entries.append(Entry(entry.producer, number, json.loads(body), body))
            rows.append(
                {
                    "number": number,
                    "id": str(entry.id),
                    "thread": str(entry.id),
                    "type": fact.event.type,
                    "body": body.decode(),
                }
            )
        if rows:
            connection.execute(sa.insert(t.journal.journal), rows)
            self._take_in(connection, entries)
        return entries
