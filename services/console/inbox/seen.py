"""How far somebody has seen an inbox (どこまで見たか), so that what came since can be marked."""

import asyncio

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from runtime.database import upsert, writing
from services.console import tables as t
from services.console.person import Person


class Seen:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def mark(self, person: Person, newest: int) -> int:
        """They are shown everything up to ``newest``. Gives what they had seen before this session:
        within one, what is new stays marked."""
        return await asyncio.to_thread(self._mark, person, newest)

    def _mark(self, person: Person, newest: int) -> int:
        s = t.inboxes_seen
        with writing(self._engine) as connection:
            row = connection.execute(sa.select(s).where(s.c.account == str(person.id))).first()
            if row is None:
                before = newest  # whoever comes for the first time is told of no heap of news
            elif row.session == person.session:
                before = row.before
            else:
                before = row.newest
            new = {"account": str(person.id), "session": person.session, "before": before}
            if row is None or row.newest != newest or row.session != person.session:
                upsert(connection, s, [{**new, "newest": newest}])
        return int(before)
