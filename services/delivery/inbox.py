"""Each agency's inbox: the events that concern it, numbered 1, 2, 3 … without a hole, whichever way they
reach it.

The numbers follow the order in which entries were taken in, and this database is their record.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from runtime.database import reading
from runtime.reading import Entry
from schemas import queries as q
from schemas.base import JsonObject
from schemas.journal import AnyEntry, read_entry
from schemas.outside import cloud_event
from services.delivery import tables as t
from services.delivery.proof import EMPTY, event_hash, next_head


def check_entry(body: bytes, value: dict[str, Any]) -> None:
    """Raise ValueError unless this is a journal entry, its id written as its column holds it."""
    if str(read_entry(body, value).id) != value["id"]:
        raise ValueError("an id in another form")


@dataclass(frozen=True, slots=True)
class Numbered:
    """An entry that has got its number in an agency's inbox; ``event``: as it is told outside."""

    agency: str
    number: int
    entry: AnyEntry
    event: JsonObject


class Inboxes:
    """The numbering is kept in the database; only this process writes it, and whoever writes holds
    the writer's guard (``runtime.sole_writer``), so two threads do not give the same number."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def take_in(self, connection: Connection, entries: Iterable[Entry]) -> list[Numbered]:
        """Give every agency concerned its next number for each entry."""
        told = [(entry, read_entry(entry.body, entry.value)) for entry in entries]
        if not told:
            return []
        concerned = {agency for _, entry in told for agency in entry.concerns}
        heads = {agency: self.head_in(connection, agency) for agency in concerned}
        numbered: list[Numbered] = []
        rows = []
        for _, entry in told:
            event = cloud_event(entry)
            hashed = event_hash(event)
            for agency in entry.concerns:
                number, head = heads[agency]
                heads[agency] = number + 1, next_head(head, hashed)
                numbered.append(Numbered(agency, number + 1, entry, event))
                rows.append(
                    {
                        "agency": agency,
                        "number": number + 1,
                        "event": str(entry.id),
                        "head": heads[agency][1].hex(),
                    }
                )
        if rows:
            connection.execute(sa.insert(t.inbox), rows)
        events = [{"id": str(entry.id), "body": came.body.decode()} for came, entry in told]
        connection.execute(sa.insert(t.events), events)
        return numbered

    @staticmethod
    def known_events(connection: Connection, events: set[str]) -> set[str]:
        """Which of these events were taken in."""
        query = sa.select(t.events.c.id).where(t.events.c.id.in_(events))
        return set(connection.execute(query).scalars())

    def head(self, agency: str) -> tuple[int, bytes]:
        """How many events an agency has, and the hash over them all."""
        with reading(self._engine) as connection:
            return self.head_in(connection, agency)

    def head_in(self, connection: Connection, agency: str) -> tuple[int, bytes]:
        """The same, in the caller's transaction."""
        i = t.inbox
        query = (
            sa.select(i.c.number, i.c.head)
            .where(i.c.agency == agency)
            .order_by(i.c.number.desc())
            .limit(1)
        )
        newest = connection.execute(query).first()
        if newest is None:
            return 0, EMPTY
        if newest.head:
            return newest.number, bytes.fromhex(newest.head)
        return newest.number, self._worked_out(connection, agency)

    @staticmethod
    def _worked_out(connection: Connection, agency: str) -> bytes:
        """The head of an inbox that was numbered before there were heads."""
        i = t.inbox
        query = (
            sa.select(t.events.c.body)
            .join_from(i, t.events, i.c.event == t.events.c.id)
            .where(i.c.agency == agency)
            .order_by(i.c.number)
        )
        head = EMPTY
        for body in connection.execute(query).scalars():
            head = next_head(head, event_hash(cloud_event(read_entry(body))))
        return head

    def read(self, question: q.ReadInbox) -> q.Told:
        """The agency's events after a number, oldest first."""
        i = t.inbox
        query = (
            sa.select(i.c.number, t.events.c.body)
            .join_from(i, t.events, i.c.event == t.events.c.id)
            .where(i.c.agency == question.agency, i.c.number > question.after)
            .order_by(i.c.number)
            .limit(question.limit)
        )
        newest = sa.select(sa.func.max(i.c.number)).where(i.c.agency == question.agency)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
            head = connection.execute(newest).scalar() or 0
        items = [{"number": row.number, "event": cloud_event(read_entry(row.body))} for row in rows]
        return q.Told(found=True, body={"items": items, "head": head})
