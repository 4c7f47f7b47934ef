"""Only one process writes a ward's record; a second one waits, or is told that it cannot.

Two fences: a lock that dies with its holder (a file lock beside SQLite, an advisory lock in
PostgreSQL), and an epoch that every transaction checks, so that a writer that lost its lock without
noticing cannot commit beside its successor.
"""

import contextlib
import fcntl
import hashlib
import os
import time
from typing import IO

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from runtime.database import upsert, writing


class AnotherWriter(RuntimeError):
    """Another process writes here."""


def writer_table(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "writer",
        metadata,
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("epoch", sa.BigInteger, nullable=False),
    )


class SoleWriter:
    """The right to write under ``name``. Raises AnotherWriter if someone else holds it and it does
    not become free within ``wait_seconds``."""

    def __init__(
        self, engine: Engine, table: sa.Table, name: str, wait_seconds: float = 0.0
    ) -> None:
        self._engine = engine
        self._table = table
        self._name = name
        self._file: IO[bytes] | None = None
        self._session: Connection | None = None
        deadline = time.monotonic() + wait_seconds
        while not self._lock():
            if time.monotonic() >= deadline:
                raise AnotherWriter(f"another process writes as {name}")
            time.sleep(0.1)
        with writing(engine) as connection:
            self.epoch = self._stored_epoch(connection) + 1
            upsert(connection, table, [{"name": name, "epoch": self.epoch}])

    def guard(self, connection: Connection) -> None:
        """To be called first in every transaction that writes; raises AnotherWriter."""
        if self._stored_epoch(connection) != self.epoch:
            raise AnotherWriter(f"another process has taken over writing as {self._name}")

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._session is not None:
            # The server would notice only some time after the session has gone.
            with contextlib.suppress(sa.exc.DBAPIError):
                self._session.execute(sa.select(sa.func.pg_advisory_unlock_all()))
            # Closed for good, not returned to the pool: the lock belongs to the session.
            self._session.invalidate()
            self._session.close()
            self._session = None

    def _stored_epoch(self, connection: Connection) -> int:
        query = sa.select(self._table.c.epoch).where(self._table.c.name == self._name)
        return connection.execute(query.with_for_update()).scalar() or 0

    def _lock(self) -> bool:
        if self._engine.dialect.name == "postgresql":
            return self._lock_postgresql()
        # The engine must point at a file: an in-memory database has no second process to fear.
        path = f"{self._engine.url.database}.{self._name}.lock"
        file = open(path, "ab")  # noqa: SIM115  # held open for as long as this process writes
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        os.set_inheritable(file.fileno(), False)
        self._file = file
        return True

    def _lock_postgresql(self) -> bool:
        key = int.from_bytes(hashlib.sha256(self._name.encode()).digest()[:8], "big", signed=True)
        session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        if session.execute(sa.select(sa.func.pg_try_advisory_lock(key))).scalar():
            self._session = session
            return True
        session.close()
        return False
