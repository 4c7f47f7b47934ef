"""Test events (通信試験): the day's own for each agency, and those that somebody asks for.

A test is an event like any other: numbered in the agency's inbox, signed, carried by its way. So a path
that has failed unseen is found before an emergency goes by it.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from runtime.clock import Clock, utc_text
from runtime.database import reading, writing
from runtime.ids import new_id
from schemas import queries as q
from schemas.base import NETWORK, JsonObject
from schemas.deliveries import DeliveryTested
from schemas.outside import local_text
from services.delivery import days
from services.delivery import tables as t
from services.delivery.inbox import Inboxes
from services.delivery.manifest import Write, seconds_left
from services.delivery.record import Fact
from wards.delivery import ByInbox
from wards.model import Ward

DAILY = "test"


class Peacetime:
    def __init__(self, engine: Engine, inboxes: Inboxes, ward: Ward, clock: Clock) -> None:
        self._engine = engine
        self._inboxes = inboxes
        self._ward = ward
        self._clock = clock

    def test_today(self, write: Write) -> int:
        """The day's own, once its time has come; how many. Of days that were missed only the newest:
        whether the path is good now is all that a test tells."""
        at = self._ward.delivery.test_at
        if days.up_to_date(self._engine, DAILY, self._clock.now(), at):
            return 0

        def decide(connection: Connection) -> list[Fact]:
            now = self._clock.now()
            missed = days.still_to_do(connection, DAILY, now, at)
            if not missed:
                return []
            days.note_done(connection, DAILY, missed[-1])
            return [
                self._fact(connection, new_id(now), agency.id, NETWORK, daily=True)
                for agency in self._ward.agencies
                if agency.active_on(missed[-1])
            ]

        return len(write(decide))

    def test_as_asked(self, write: Write) -> int:
        """Those that operators asked for on the command line; how many."""
        if not self._asked():
            return 0

        def decide(connection: Connection) -> list[Fact]:
            asked = connection.execute(_waiting().order_by(t.tests.c.asked_at)).all()
            facts: list[Fact] = []
            grown: dict[str, int] = {}
            for row in asked:
                number = self._next_number(connection, row.agency) + grown.get(row.agency, 0)
                grown[row.agency] = grown.get(row.agency, 0) + 1
                here = t.tests.c.id == row.id
                connection.execute(sa.update(t.tests).where(here).values(number=number))
                event = DeliveryTested(agency=row.agency, daily=False)
                facts.append(Fact(event, (row.agency,), NETWORK, id=UUID(row.id)))
            return facts

        return len(write(decide))

    def test(self, question: q.SendTest, write: Write) -> q.Told:
        """One that an agency asks for. The same key is the same test; another one too soon is told
        how long to wait."""
        wait = 0
        made: UUID | None = None

        def decide(connection: Connection) -> list[Fact]:
            nonlocal wait, made
            now = self._clock.now()
            made = self._same(connection, question)
            if made is not None:
                return []
            wait = self._wait(connection, question.agency, now)
            if wait:
                return []
            made = new_id(now)
            fact = self._fact(connection, made, question.agency, question.agency, question.key)
            return [fact]

        write(decide)
        if made is None:
            return q.Told(found=False, body={"retry_after": wait})
        return self.read(q.ReadTest(agency=question.agency, test=made))

    def read(self, question: q.ReadTest) -> q.Told:
        """What became of a test; only its own agency is told."""
        p, d = t.tests, t.deliveries
        carried = sa.and_(d.c.agency == p.c.agency, d.c.number == p.c.number)
        query = (
            sa.select(
                p, d.c.attempts, d.c.next_at, d.c.queued_at, d.c.delivered_at, d.c.reason, d.c.status
            )
            .join_from(p, d, carried, isouter=True)
            .where(p.c.id == str(question.test), p.c.agency == question.agency)
        )  # fmt: skip
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        if row is None:
            return q.Told(found=False)
        agency = self._ward.agency(question.agency)
        way = agency.delivery.way if agency is not None else ByInbox().way
        return q.Told(found=True, body=_document(row, way))

    # -- inside ----------------------------------------------------------------------------------

    def _asked(self) -> bool:
        with reading(self._engine) as connection:
            return connection.execute(_waiting().limit(1)).first() is not None

    def _fact(
        self,
        connection: Connection,
        test: UUID,
        agency: str,
        asked_by: str,
        key: str | None = None,
        *,
        daily: bool = False,
    ) -> Fact:
        row = {
            "id": str(test),
            "agency": agency,
            "daily": daily,
            "asked_at": utc_text(self._clock.now()),
            "number": self._next_number(connection, agency),
            "key": key,
        }
        connection.execute(sa.insert(t.tests), [row])
        return Fact(DeliveryTested(agency=agency, daily=daily), (agency,), asked_by, id=test)

    def _next_number(self, connection: Connection, agency: str) -> int:
        """Which it will get: whoever writes is alone."""
        return self._inboxes.head_in(connection, agency)[0] + 1

    @staticmethod
    def _same(connection: Connection, question: q.SendTest) -> UUID | None:
        if question.key is None:
            return None
        query = sa.select(t.tests.c.id).where(
            t.tests.c.agency == question.agency, t.tests.c.key == question.key
        )
        known = connection.scalar(query)
        return None if known is None else UUID(known)

    @staticmethod
    def _wait(connection: Connection, agency: str, now: datetime) -> int:
        """Whole seconds until it may ask for another; 0: now."""
        query = sa.select(sa.func.max(t.tests.c.asked_at)).where(
            t.tests.c.agency == agency, t.tests.c.daily.is_(False)
        )
        newest = connection.scalar(query)
        return 0 if newest is None else seconds_left(newest, now)


def ask_for_test(engine: Engine, agency: str, clock: Clock) -> UUID:
    """What an operator does: the running service makes the test within a second. Its id."""
    now = clock.now()
    test = new_id(now)
    row = {"id": str(test), "agency": agency, "daily": False, "asked_at": utc_text(now)}
    with writing(engine) as connection:
        connection.execute(sa.insert(t.tests), [row])
    return test


def _waiting() -> sa.Select[Any]:
    return sa.select(t.tests).where(t.tests.c.number.is_(None))


def _document(row: sa.Row[Any], way: str) -> JsonObject:
    document: JsonObject = {
        "id": row.id,
        "daily": row.daily,
        "way": way,
        "state": _state(row),
        "delivered": row.delivered_at is not None,
        "asked_at": local_text(datetime.fromisoformat(row.asked_at)),
    }
    if row.number is not None:
        document["number"] = row.number
    if row.attempts is not None:
        document["attempts"] = row.attempts
    if row.delivered_at is not None:
        at, since = map(datetime.fromisoformat, (row.delivered_at, row.queued_at))
        document["delivered_at"] = local_text(at)
        document["took_ms"] = max(0, (at - since) // timedelta(milliseconds=1))
    elif row.reason is not None:
        document["reason"] = row.reason
        if row.status is not None:
            document["status"] = row.status
    return document


def _state(row: sa.Row[Any]) -> str:
    if row.delivered_at is not None:
        return "delivered"
    if row.number is not None and row.attempts is None:
        return "in_inbox"
    return "pending" if row.number is None or row.next_at is not None else "failed"
