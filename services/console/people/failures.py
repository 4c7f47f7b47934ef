"""Wrong passwords are counted (ロック), for logins that exist and for those that do not alike: whoever is
locked out learns nothing. In the database, so that a restart forgets none."""

import hashlib
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from runtime.clock import Clock, utc_text
from runtime.database import writing
from services.console import tables as t

PATIENCE = 5  # wrong ones before the first pause
FIRST_PAUSE = timedelta(minutes=1)  # doubled with every wrong one that follows
LONGEST_PAUSE = timedelta(hours=1)
FORGOTTEN_AFTER = timedelta(hours=24)  # without another one


class Failures:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def begin(self, login: str) -> timedelta | None:
        """Count a try before it is made, so that many at once are counted as well. How long nobody is
        asked for this login's password; None: it may be tried now."""
        now = self._clock.now()
        key = _key(login)
        with writing(self._engine) as connection:
            _forget_old(connection, now)
            failed = _count(connection, key, now)
            if failed is None:
                until = connection.scalar(
                    sa.select(t.failures.c.locked_until).where(t.failures.c.login == key)
                )
                return datetime.fromisoformat(str(until)) - now
            if failed >= PATIENCE:
                pause = min(FIRST_PAUSE * 2 ** min(failed - PATIENCE, 16), LONGEST_PAUSE)
                connection.execute(
                    t.failures.update()
                    .where(t.failures.c.login == key)
                    .values(locked_until=utc_text(now + pause))
                )
        return None

    def forget(self, login: str) -> bool:
        """It was the right one, or somebody unlocks it. Whether there was something to forget."""
        with writing(self._engine) as connection:
            gone = connection.execute(t.failures.delete().where(t.failures.c.login == _key(login)))
        return bool(gone.rowcount)

    def locked_until(self, login: str) -> datetime | None:
        with self._engine.connect() as connection:
            until = connection.scalar(
                sa.select(t.failures.c.locked_until).where(t.failures.c.login == _key(login))
            )
        at = datetime.fromisoformat(until) if until is not None else None
        return at if at is not None and at > self._clock.now() else None


def _count(connection: Connection, key: str, now: datetime) -> int | None:
    """How many there were now; None where it is locked, and nothing was counted."""
    table = t.failures
    own = postgresql if connection.dialect.name == "postgresql" else sqlite
    at = utc_text(now)
    first = own.insert(table).values(login=key, failed=1, last_at=at, locked_until=None)
    counted = first.on_conflict_do_update(
        index_elements=[table.c.login],
        set_={"failed": table.c.failed + 1, "last_at": at},
        where=sa.or_(table.c.locked_until.is_(None), table.c.locked_until <= at),
    ).returning(table.c.failed)
    failed = connection.scalar(counted)
    return int(failed) if failed is not None else None


def _forget_old(connection: Connection, now: datetime) -> None:
    old = t.failures.c.last_at < utc_text(now - FORGOTTEN_AFTER)
    connection.execute(t.failures.delete().where(old))


def _key(login: str) -> str:
    return hashlib.sha256(login.encode("utf-8", "surrogatepass")).hexdigest()
