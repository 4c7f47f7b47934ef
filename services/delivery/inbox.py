"""Each agency's inbox: the events that concern it, numbered 1, 2, 3 … without a hole.

The numbers follow the order of the journal, so the same journal always gives the same numbering.
"""

from collections import Counter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from runtime.database import reading
from runtime.reading import Entry
from schemas import queries as q
from schemas.journal import JournalEntry
from schemas.outside import cloud_event
from services.delivery import tables as t


def check_entry(body: bytes, value: dict[str, Any]) -> None:
    """Raise ValueError unless this is a journal entry, its id written as its column holds it."""
    if str(JournalEntry.from_json(body).id) != value["id"]:
        raise ValueError("an id in another form")


class Inboxes:
    """The numbering is kept in memory as the database has it; only this process writes it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def take_in(self, connection: Connection, entries: list[Entry]) -> None:
        """Give every agency concerned its next number for each entry."""
        if not entries:
            return
        concerned = {agency for entry in entries for agency in entry.value["concerns"]}
        heads = Counter(self._heads(connection, concerned))
        rows = []
        for entry in entries:
            for agency in entry.value["concerns"]:
                heads[agency] += 1
                rows.append({"agency": agency, "number": heads[agency], "event": entry.value["id"]})
        if rows:
            connection.execute(sa.insert(t.inbox), rows)
        events = [{"id": entry.value["id"], "body": entry.body.decode()} for entry in entries]
        connection.execute(sa.insert(t.events), events)

    @staticmethod
    def known_events(connection: Connection, events: set[str]) -> set[str]:
        """Which of these events were taken in."""
        query = sa.select(t.events.c.id).where(t.events.c.id.in_(events))
        return set(connection.execute(query).scalars())

    @staticmethod
    def _heads(connection: Connection, agencies: set[str]) -> dict[str, int]:
        i = t.inbox
        query = (
            sa.select(i.c.agency, sa.func.max(i.c.number))
            .where(i.c.agency.in_(agencies))
            .group_by(i.c.agency)
        )
        return {row[0]: row[1] for row in connection.execute(query)}

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
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
            head = self._heads(connection, {question.agency}).get(question.agency, 0)
        items = [
            {"number": row.number, "event": cloud_event(JournalEntry.from_json(row.body))}
            for row in rows
        ]
        return q.Told(found=True, body={"items": items, "head": head})
