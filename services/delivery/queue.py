"""What waits to be carried (配送待ち): one row for each event and agency that wants its events sent.

A row is made in the transaction that numbers the event, so what has a number is carried, whoever dies.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from runtime.clock import Clock, utc_text
from runtime.database import reading, writing
from schemas.base import JsonObject
from schemas.deliveries import DeliveryTested
from schemas.journal import read_entry
from schemas.outside import cloud_event, numbered
from services.delivery import tables as t
from services.delivery.inbox import Numbered
from services.delivery.schedule import longest_step
from wards.delivery import ByInbox
from wards.model import Ward


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event on its way to an agency. ``due_at``: when it was to be tried; ``give_up_at``: when it is
    a dead letter, once it has failed; ``event``: the CloudEvent, with the agency's number."""

    agency: str
    number: int
    thread: str
    test: bool
    attempts: int
    due_at: datetime
    first_tried_at: datetime | None
    give_up_at: datetime | None
    event: JsonObject


@dataclass(frozen=True, slots=True)
class Look:
    """``rows``: to be carried ``now``, of each referral in order. ``next_at``: when the next is due,
    where none is now; ``more``: there may be further ones that are due. ``whole_to``: of the agency's
    events up to this number nothing waits but ``rows`` and what is on its way; none: that is not so."""

    rows: Sequence[Waiting]
    now: datetime
    next_at: datetime | None
    more: bool
    whole_to: int | None


_MOST = 500  # rows at once
OF_ONE = 20
"""Rows of one referral at once: one that is long leaves room for the others."""


class Only(Enum):
    """Which of an agency's rows are looked for."""

    ALL = "all"
    TRIED = "tried"
    """Those that were tried before, and tests: while an agency is away the others need not be."""
    TESTS = "tests"
    """Tests that were not tried yet: nothing else is sent to an agency that was given up."""


_tried: sa.ColumnElement[bool] = sa.literal_column(t.TRIED, sa.Boolean())
_WHICH: dict[Only, sa.ColumnElement[bool]] = {
    Only.ALL: sa.true(),
    Only.TRIED: _tried,
    Only.TESTS: _tried & t.deliveries.c.test & (t.deliveries.c.attempts == 0),
}


class Queue:
    def __init__(
        self,
        engine: Engine,
        guard: Callable[[Connection], None],
        ward: Ward,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._guard = guard
        self._ward = ward
        self._clock = clock
        self._longest = longest_step(ward.delivery)

    def take_in(self, connection: Connection, events: Iterable[Numbered]) -> list[Waiting]:
        """Whoever fetches its events itself is sent none. Gives what waits once this is committed."""
        now = self._clock.now()
        waiting = [
            Waiting(
                agency=one.agency,
                number=one.number,
                thread=str(one.entry.referral or one.entry.id),
                test=isinstance(one.entry.event, DeliveryTested),
                attempts=0,
                due_at=now,
                first_tried_at=None,
                give_up_at=None,
                event=numbered(one.event, one.number),
            )
            for one in events
            if is_sent(self._ward, one.agency)
        ]
        if waiting:
            rows = [
                {
                    "agency": row.agency,
                    "number": row.number,
                    "event": row.event["id"],
                    "thread": row.thread,
                    "test": row.test,
                    "queued_at": utc_text(now),
                    "attempts": 0,
                    "next_at": utc_text(now),
                }
                for row in waiting
            ]
            connection.execute(sa.insert(t.deliveries), rows)
        return waiting

    # -- what is due -----------------------------------------------------------------------------

    def look(
        self,
        agency: str,
        most: int,
        only: Only,
        besides: Collection[int] = (),
        busy: Collection[str] = (),
    ) -> Look:
        """What is due of one agency now, besides the numbers and the referrals that are on their way.
        A row behind one of its referral that has to wait waits with it."""
        d = t.deliveries
        wanted = most + len(besides)
        with reading(self._engine) as connection:
            # First: what is numbered after this is missing from neither question below.
            newest = connection.scalar(_newest(agency)) if only is Only.ALL else None
            now = self._clock.now()
            query = (
                sa.select(d.c.number, d.c.thread)
                .where(
                    _waiting(agency),
                    _WHICH[only],
                    d.c.next_at <= utc_text(now),
                    d.c.thread.not_in(busy),
                )
                .order_by(d.c.next_at, d.c.number)
                .limit(wanted)
            )
            page = connection.execute(query).all()
            numbers, blocked = self._in_turn(connection, agency, page, besides, utc_text(now))
            rows = self._with_events(connection, agency, numbers)
            next_at = None if page else self._next_at(connection, agency, only, now)
            more = len(page) == wanted
            whole_to = None
            if only is Only.ALL and not more and not blocked:
                known = {*besides, *numbers}
                others = sa.select(d.c.number).where(_waiting(agency), d.c.number.not_in(known))
                if connection.execute(others.limit(1)).first() is None:
                    whole_to = max([newest or 0, *numbers])
        if blocked:
            self._put_behind(agency, blocked)
            next_at = datetime.fromisoformat(min(blocked.values()))
        if next_at is not None and next_at > now + self._longest:
            self._bring_back(agency, now)
            next_at = now
        return Look(rows, now, next_at, more, whole_to)

    def one(self, agency: str, number: int) -> JsonObject | None:
        """The CloudEvent that an agency has under a number; none: it has no such one."""
        i = t.inbox
        query = (
            sa.select(t.events.c.body)
            .join_from(i, t.events, i.c.event == t.events.c.id)
            .where(i.c.agency == agency, i.c.number == number)
        )
        with reading(self._engine) as connection:
            body = connection.scalar(query)
        return None if body is None else numbered(cloud_event(read_entry(body)), number)

    def _next_at(
        self, connection: Connection, agency: str, only: Only, now: datetime
    ) -> datetime | None:
        """When the next is due; the latest, where that is further ahead than the longest step."""
        next_at = t.deliveries.c.next_at
        first = sa.select(sa.func.min(next_at)).where(_waiting(agency), _WHICH[only])
        last = sa.select(sa.func.max(next_at)).where(_waiting(agency))
        found, latest = connection.scalar(first), connection.scalar(last)
        if latest is not None and latest > utc_text(now + self._longest):
            found = latest
        return None if found is None else datetime.fromisoformat(found)

    @staticmethod
    def _in_turn(
        connection: Connection,
        agency: str,
        page: Sequence[Any],
        besides: Collection[int],
        now: str,
    ) -> tuple[list[int], dict[str, str]]:
        """The numbers whose turn it is, and which referrals have to wait until when. Of a referral in
        the page what waits is taken from the first on: what stands behind may bear a later time than
        what came after it."""
        d = t.deliveries
        threads = {row.thread for row in page if row.number not in besides}
        if not threads:
            return [], {}
        query = (
            sa.select(d.c.thread, d.c.number, d.c.next_at)
            .where(
                _waiting(agency),
                d.c.thread.in_(threads),
                d.c.number <= max(row.number for row in page),
            )
            .order_by(d.c.number)
        )
        blocked: dict[str, str] = {}
        numbers: list[int] = []
        taken: dict[str, int] = {}
        for row in connection.execute(query):
            if row.number in besides:
                continue
            if row.thread not in taken:
                taken[row.thread] = 0
                if row.next_at > now:
                    blocked[row.thread] = row.next_at
            if row.thread not in blocked and taken[row.thread] < OF_ONE:
                taken[row.thread] += 1
                numbers.append(row.number)
        return numbers[:_MOST], blocked

    def _put_behind(self, agency: str, blocked: dict[str, str]) -> None:
        """What stands behind one that has to wait is not looked at before that one's next try."""
        d = t.deliveries
        with writing(self._engine) as connection:
            self._guard(connection)
            for thread, until in blocked.items():
                behind = sa.update(d).where(
                    _waiting(agency), d.c.thread == thread, d.c.next_at < until
                )
                connection.execute(behind.values(next_at=until))

    def _bring_back(self, agency: str, now: datetime) -> None:
        """What is further ahead than the longest step: the clock was set back meanwhile."""
        d = t.deliveries
        with writing(self._engine) as connection:
            self._guard(connection)
            late = d.c.next_at > utc_text(now + self._longest)
            update = sa.update(d).where(_waiting(agency), late)
            connection.execute(update.values(next_at=utc_text(now)))

    def _with_events(
        self, connection: Connection, agency: str, numbers: Sequence[int]
    ) -> list[Waiting]:
        d = t.deliveries
        query = (
            sa.select(
                d.c.number,
                d.c.thread,
                d.c.test,
                d.c.attempts,
                d.c.next_at,
                d.c.first_tried_at,
                d.c.give_up_at,
                t.events.c.body,
            )
            .join_from(d, t.events, d.c.event == t.events.c.id)
            .where(_waiting(agency), d.c.number.in_(numbers))
            .order_by(d.c.number)
        )
        return [
            Waiting(
                agency=agency,
                number=row.number,
                thread=row.thread,
                test=row.test,
                attempts=row.attempts,
                due_at=datetime.fromisoformat(row.next_at),
                first_tried_at=_moment(row.first_tried_at),
                give_up_at=_moment(row.give_up_at),
                event=numbered(cloud_event(read_entry(row.body)), row.number),
            )
            for row in connection.execute(query)
        ]


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _newest(agency: str) -> sa.Select[Any]:
    return sa.select(sa.func.max(t.inbox.c.number)).where(t.inbox.c.agency == agency)


def _waiting(agency: str) -> sa.ColumnElement[bool]:
    return (t.deliveries.c.agency == agency) & t.deliveries.c.next_at.is_not(None)


def is_sent(ward: Ward, agency_id: str) -> bool:
    """Whether the agency wants its events sent."""
    agency = ward.agency(agency_id)
    return agency is not None and not isinstance(agency.delivery, ByInbox)
