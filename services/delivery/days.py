"""What happens once a day (日々のこと): at a time of day in Japan, and afterwards where that time was
missed. The newest day that was dealt with is a row, so no day is dealt with twice."""

import logging
from datetime import date, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from runtime.database import reading, upsert
from runtime.observability import log
from schemas.outside import JAPAN
from services.delivery import tables as t

MOST_DAYS = 31
"""After a longer stop only the newest are made up."""
_AHEAD = timedelta(days=1)
"""So far a clock that is set back may leave the newest day behind it. Beyond that the day was none: the
clock had jumped, and nothing would be done until it came true."""


def due_until(now: datetime, at: timedelta) -> date:
    """The newest day whose time has come."""
    # Japan has no summer time, so a day's time of day is midnight and so much later.
    return (now.astimezone(JAPAN) - at).date()


def missed(done: date, due: date) -> list[date]:
    """The days after ``done`` up to ``due``, oldest first."""
    first = max(done + timedelta(days=1), due - timedelta(days=MOST_DAYS - 1))
    return [first + timedelta(days=n) for n in range((due - first).days + 1)]


def up_to_date(engine: Engine, what: str, now: datetime, at: timedelta) -> bool:
    """Nothing is to be done. Asked many times a day, so without the right to write."""
    with reading(engine) as connection:
        done = _done(connection, what)
    due = due_until(now, at)
    return done is not None and due <= done <= due + _AHEAD


def still_to_do(connection: Connection, what: str, now: datetime, at: timedelta) -> list[date]:
    """The days for which ``what`` is to be done; at the very first question,
    and after a day that was none, none has been missed."""
    due = due_until(now, at)
    done = _done(connection, what)
    if done is not None and done > due + _AHEAD:
        log("day_was_in_the_future", level=logging.WARNING, what=what, day=done, due=due)
        done = None
    if done is None:
        note_done(connection, what, due)
        return []
    return missed(done, due)


def note_done(connection: Connection, what: str, day: date) -> None:
    upsert(connection, t.days, [{"what": what, "day": day.isoformat()}])


def _done(connection: Connection, what: str) -> date | None:
    day = connection.scalar(sa.select(t.days.c.day).where(t.days.c.what == what))
    return None if day is None else date.fromisoformat(day)
