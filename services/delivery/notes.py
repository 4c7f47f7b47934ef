"""What became of the events that were carried (配送の結果), written down many at a time.

Who dies between the receiver's answer and the note carries the event once more, under the same id.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from runtime.clock import Clock, utc_text
from runtime.database import reading, upsert, writing
from runtime.reading import Entry
from schemas.deliveries import DeliveryGivenUp, EndpointEnabled, Undelivered
from services.delivery import tables as t
from services.delivery.carrier import Delivered, Failed, Outcome
from services.delivery.queue import Waiting
from services.delivery.record import Fact, Record
from services.delivery.schedule import SOON, wait_after
from wards.model import Ward

_OF_THE_WAY = tuple(reason.value for reason in Undelivered if reason is not Undelivered.REFUSED)
"""Reasons that say nothing of the single event: when another one arrives, they are over."""
_BUSY = (429, 502, 503, 504)
"""Answers that are of the way too (RFC 9110; RFC 6585)."""
_LEAST_TRIES = 6  # of what is given up, whatever clocks say
_PAGE = 1000  # rows of one transaction
_BREATH = 0.02  # seconds between two of them


@dataclass(frozen=True, slots=True)
class Tried:
    """One try and what came of it."""

    row: Waiting
    outcome: Outcome


@dataclass(slots=True)
class Noted:
    """What noting has changed. ``entries``: put on record. ``disabled``: the agencies to which nothing
    is sent now, as the database has it, for what a transaction did can be lost on the way."""

    entries: list[Entry] = field(default_factory=list)
    disabled: set[str] = field(default_factory=set)


class Notes:
    def __init__(
        self,
        engine: Engine,
        guard: Callable[[Connection], None],
        ward: Ward,
        clock: Clock,
        record: Record,
    ) -> None:
        self._engine = engine
        self._guard = guard
        self._ward = ward
        self._clock = clock
        self._record = record
        self._give_up_after = timedelta(hours=ward.delivery.give_up_after_hours)

    def disabled(self) -> set[str]:
        """The agencies to which nothing is sent until a test event arrives."""
        with reading(self._engine) as connection:
            return self._disabled(connection)

    def note(self, tried: Sequence[Tried]) -> Noted:
        """In one transaction."""
        noted, facts = Noted(), list[Fact]()
        with writing(self._engine) as connection:
            self._guard(connection)
            now = self._clock.now()
            arrived = [one.row for one in tried if isinstance(one.outcome, Delivered)]
            self._arrived(connection, arrived, now)
            noted.disabled = self._disabled(connection)
            for row in arrived:
                if row.test and row.agency in noted.disabled:
                    noted.disabled.remove(row.agency)
                    facts.append(self._enable(connection, row, now))
            for one in tried:
                if isinstance(one.outcome, Failed):
                    self._failed(connection, one.row, one.outcome, now, noted.disabled, facts)
            noted.entries = self._record.write(connection, facts)
        return noted

    def hurry(self, agency: str) -> None:
        """Whoever is back gets at once what waits because it was away; what it has asked to be given
        time for, only then. A page at a time: others write too."""
        while self._hurry(agency) == _PAGE:
            time.sleep(_BREATH)

    def _hurry(self, agency: str) -> int:
        d = t.deliveries
        with writing(self._engine) as connection:
            self._guard(connection)
            now = utc_text(self._clock.now())
            away = d.c.reason.in_(_OF_THE_WAY) | d.c.reason.is_(None) | d.c.status.in_(_BUSY)
            asked = d.c.not_before.is_not(None) & (d.c.not_before > now)
            page = (
                sa.select(d.c.number)
                .where(d.c.agency == agency, d.c.next_at > now, away, ~asked)
                .order_by(d.c.next_at, d.c.number)
                .limit(_PAGE)
            )
            late = sa.update(d).where(d.c.agency == agency, d.c.number.in_(page))
            return connection.execute(late.values(next_at=now)).rowcount

    def arrived_again(self, agency: str, number: int) -> None:
        """A dead letter that was carried once more, and arrived, is none any longer."""
        d = t.deliveries
        with writing(self._engine) as connection:
            self._guard(connection)
            now = utc_text(self._clock.now())
            row = sa.update(d).where(
                d.c.agency == agency, d.c.number == number, d.c.delivered_at.is_(None)
            )
            arrived = {"delivered_at": now, "next_at": None, "given_up_at": None}
            connection.execute(row.values(**arrived, reason=None, status=None))

    @staticmethod
    def _disabled(connection: Connection) -> set[str]:
        p = t.endpoints
        query = sa.select(p.c.agency).where(p.c.disabled_at.is_not(None))
        return set(connection.execute(query).scalars())

    @staticmethod
    def _arrived(connection: Connection, rows: Sequence[Waiting], now: datetime) -> None:
        if not rows:
            return
        d = t.deliveries
        update = (
            sa.update(d)
            .where(
                d.c.agency == sa.bindparam("to"),
                d.c.number == sa.bindparam("which"),
                d.c.next_at.is_not(None),
            )
            .values(
                attempts=sa.bindparam("tries"), next_at=None, delivered_at=utc_text(now),
                first_tried_at=sa.bindparam("first"), reason=None, status=None,
            )
        )  # fmt: skip
        values = [
            {
                "to": row.agency,
                "which": row.number,
                "tries": row.attempts + 1,
                "first": utc_text(row.first_tried_at or now),
            }
            for row in rows
        ]
        connection.execute(update, values)
        agencies = sorted({row.agency for row in rows})
        stands = [{"agency": agency, "last_delivered_at": utc_text(now)} for agency in agencies]
        upsert(connection, t.endpoints, stands)

    def _enable(self, connection: Connection, test: Waiting, now: datetime) -> Fact:
        """What was tried goes on, and has its three days anew; so does the dead letter that disabled
        the endpoint, or what stands behind it would come before it. What was not tried needs nothing."""
        d, p, agency = t.deliveries, t.endpoints, test.agency
        since = sa.select(p.c.disabled_at).where(p.c.agency == agency).scalar_subquery()
        tried = d.c.next_at.is_not(None) & sa.text(t.TRIED)
        fresh = dict.fromkeys(("first_tried_at", "give_up_at", "not_before", "given_up_at"))
        for which in (tried, d.c.given_up_at == since):
            goes_on = sa.update(d).where(d.c.agency == agency, which)
            connection.execute(goes_on.values(next_at=utc_text(now), attempts=0, **fresh))
        upsert(connection, p, [{"agency": agency, "disabled_at": None}])
        enabled = EndpointEnabled(agency=agency, test=test.event["id"])
        return Fact(enabled, concerns=self._concerned(agency))

    def _failed(
        self,
        connection: Connection,
        row: Waiting,
        failed: Failed,
        now: datetime,
        disabled: set[str],
        facts: list[Fact],
    ) -> None:
        attempts = row.attempts + (not failed.soon)
        since = row.first_tried_at or now
        give_up_at = self._give_up_at(row, now)
        values: dict[str, Any] = {
            "attempts": attempts,
            "first_tried_at": utc_text(since),
            "give_up_at": utc_text(give_up_at),
            "next_at": utc_text(now + self._wait(row, failed, attempts)),
            "not_before": utc_text(now + failed.not_before) if failed.not_before else None,
            "reason": failed.reason.value,
            "status": failed.status,
        }
        over = failed.for_good or now >= give_up_at
        # One dead letter and one alert: what else was on its way waits with the rest.
        if over and row.agency not in disabled:
            values |= {"next_at": None, "given_up_at": utc_text(now)}
            disabled.add(row.agency)
            facts.append(self._given_up(row, failed, max(attempts, 1), since))
            stand = {"agency": row.agency, "disabled_at": utc_text(now)}
            upsert(connection, t.endpoints, [stand])
        d = t.deliveries
        connection.execute(
            sa.update(d)
            .where(d.c.agency == row.agency, d.c.number == row.number, d.c.next_at.is_not(None))
            .values(**values)
        )

    def _give_up_at(self, row: Waiting, now: datetime) -> datetime:
        """Time in which we carried nothing is not the receiver's: of two tries that lie far apart only
        a part of what lies between them counts."""
        if row.give_up_at is None:
            return now + self._give_up_after
        ours = now - row.due_at - self._give_up_after / _LEAST_TRIES
        return min(row.give_up_at + max(ours, timedelta(0)), now + self._give_up_after)

    def _wait(self, row: Waiting, failed: Failed, attempts: int) -> timedelta:
        if failed.soon:
            return SOON
        step = wait_after(self._ward.delivery, row.agency, row.number, attempts)
        return max(step, failed.not_before or step)

    def _given_up(self, row: Waiting, failed: Failed, attempts: int, since: datetime) -> Fact:
        given_up = DeliveryGivenUp(
            agency=row.agency,
            sender=row.event["data"]["actor"],
            event=row.event["id"],
            inbox_number=row.number,
            reason=failed.reason,
            status=failed.status,
            attempts=attempts,
            since=since,
        )
        return Fact(given_up, concerns=self._concerned(row.agency))

    def _concerned(self, agency: str) -> tuple[str, ...]:
        return tuple({agency, self._ward.core})


def of_the_way(failed: Failed) -> bool:
    """Whether another event would have fared no better."""
    return failed.reason.value in _OF_THE_WAY or failed.status in _BUSY
