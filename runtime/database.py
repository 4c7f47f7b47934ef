"""One way to open a database, SQLite or PostgreSQL, and to write to it in one transaction."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine, make_url

_WRITES = "tsunagu_writes"
_PATIENCE = 10.0  # seconds that a lock, or a host, is waited for
_CREATING = 7_165_828  # any number, the same for all: the advisory lock held while creating


def open_database(url: str) -> Engine:
    """An engine for ``url``; creates the SQLite folder or the PostgreSQL database if missing.

    SQLite runs in WAL mode with ``synchronous=FULL``: a commit that returned is on the disk.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(
            parsed, connect_args={"timeout": _PATIENCE, "check_same_thread": False}
        )
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    _create_postgresql_database(parsed)
    # A host that has gone without a word is noticed (libpq's own names; milliseconds the second).
    patience = {"connect_timeout": int(_PATIENCE), "tcp_user_timeout": int(_PATIENCE * 1000)}
    return sa.create_engine(parsed, pool_pre_ping=True, connect_args=patience)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transaction handling is switched off: BEGIN is said below.
    connection.isolation_level = None
    cursor = connection.cursor()
    _write_ahead(cursor)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Switch to WAL, once in a file's life. While another process does so SQLite says "locked" at
    once, whatever the connection's timeout."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE takes the write lock at once; a deferred one could fail at the first write, with
    # everything read before it already out of date.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _create_postgresql_database(url: sa.URL) -> None:
    if not url.database:
        return
    admin = sa.create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    try:
        probe = sa.create_engine(url)
        try:
            with probe.connect():
                return
        except sa.exc.OperationalError:
            with admin.connect() as connection:
                # Processes that start together make it once; the lock goes with the connection.
                connection.execute(sa.select(sa.func.pg_advisory_lock(_CREATING)))
                name = sa.text("SELECT 1 FROM pg_database WHERE datname = :name")
                if connection.execute(name, {"name": url.database}).first() is None:
                    quoted = admin.dialect.identifier_preparer.quote(url.database)
                    connection.exec_driver_sql(f"CREATE DATABASE {quoted}")
        finally:
            probe.dispose()
    finally:
        admin.dispose()


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes: committed at the end, undone on any exception."""
    with engine.connect() as connection:
        connection = connection.execution_options(**{_WRITES: True})
        with connection.begin():
            yield connection


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that only reads."""
    with engine.connect() as connection, connection.begin():
        yield connection


def insert_new(connection: Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows, passing over those whose primary key is there already."""
    if not rows:
        return
    connection.execute(_insert(connection, table).on_conflict_do_nothing(), rows)


def upsert(connection: Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows; where the primary key is there already, overwrite the other columns."""
    if not rows:
        return
    keys = [column.name for column in table.primary_key]
    statement = _insert(connection, table)
    rest = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=rest), rows)


def _insert(connection: Connection, table: sa.Table) -> Any:
    """The dialect's own INSERT, which knows ON CONFLICT; both spell it alike."""
    own = postgresql if connection.dialect.name == "postgresql" else sqlite
    return own.insert(table)
