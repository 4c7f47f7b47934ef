"""The queue kept in order (配送待ちの手入れ): what is no longer sent, what is done, and how much there is."""

from collections.abc import Callable
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from runtime.clock import Clock, utc_text
from runtime.database import reading, writing
from services.delivery import tables as t
from services.delivery.queue import is_sent
from wards.model import Ward

KEEP = timedelta(days=30)
"""How long what was delivered is kept in the queue; in the inbox it stays."""
_PAGE = 1000  # rows looked at at once when cleaning up


class Upkeep:
    def __init__(
        self, engine: Engine, guard: Callable[[Connection], None], ward: Ward, clock: Clock
    ) -> None:
        self._engine = engine
        self._guard = guard
        self._ward = ward
        self._clock = clock

    def set_aside(self) -> int:
        """What waits for agencies that, by the ward file of now, are sent nothing: they find it in
        their inboxes. How many rows that are."""
        d, p = t.deliveries, t.endpoints
        waiting = sa.select(d.c.agency).where(d.c.next_at.is_not(None)).distinct()
        disabled = sa.select(p.c.agency).where(p.c.disabled_at.is_not(None))
        with writing(self._engine) as connection:
            self._guard(connection)
            agencies = set(connection.execute(waiting.union(disabled)).scalars())
            fetching = [agency for agency in agencies if not is_sent(self._ward, agency)]
            rows = sa.update(d).where(d.c.agency.in_(fetching), d.c.next_at.is_not(None))
            aside = connection.execute(rows.values(next_at=None)).rowcount
            enabled = sa.update(p).where(p.c.agency.in_(fetching)).values(disabled_at=None)
            connection.execute(enabled)
            return aside

    def clean_up(self, agency: str, after: int) -> int | None:
        """Forget what was delivered long ago, a page at a time. Gives the number to go on after; none:
        this agency is done. What was given up stays: an operator may want to carry it again."""
        d = t.deliveries
        long_ago = utc_text(self._clock.now() - KEEP)
        query = (
            sa.select(d.c.number, d.c.queued_at, d.c.next_at, d.c.given_up_at)
            .where(d.c.agency == agency, d.c.number > after)
            .order_by(d.c.number)
            .limit(_PAGE)
        )
        with reading(self._engine) as connection:
            page = connection.execute(query).all()
        old = [row for row in page if row.queued_at < long_ago]
        done = [row.number for row in old if row.next_at is None and row.given_up_at is None]
        if done:
            with writing(self._engine) as connection:
                self._guard(connection)
                delete = sa.delete(d).where(d.c.agency == agency, d.c.number.in_(done))
                connection.execute(delete)
        return old[-1].number if len(old) == _PAGE else None

    def figures(self) -> dict[str, float]:
        d, p = t.deliveries, t.endpoints
        waiting = d.c.next_at.is_not(None)
        first = (
            sa.select(d.c.agency, sa.func.min(d.c.number).label("number"))
            .where(waiting)
            .group_by(d.c.agency)
            .subquery()
        )
        oldest = sa.select(sa.func.min(d.c.queued_at)).join_from(
            first, d, (d.c.agency == first.c.agency) & (d.c.number == first.c.number)
        )
        count = sa.func.count()
        with reading(self._engine) as connection:
            since = connection.scalar(oldest)
            age = self._clock.now() - datetime.fromisoformat(since) if since else timedelta(0)
            counted = {
                "deliveries_waiting": waiting,
                "deliveries_given_up": d.c.given_up_at.is_not(None),
                "endpoints_disabled": p.c.disabled_at.is_not(None),
            }
            figures = {
                name: float(connection.scalar(sa.select(count).where(which)) or 0)
                for name, which in counted.items()
            }
        return {**figures, "deliveries_oldest_seconds": max(age.total_seconds(), 0.0)}
