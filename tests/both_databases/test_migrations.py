"""Migrations, added up, are exactly the tables that the code expects."""

import importlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from runtime.database import open_database, reading, writing
from runtime.migrations import upgrade
from tests.databases import SERVICES, Databases, migrations


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    url = databases.url()
    yield url
    databases.drop(url)


def metadata_of(service: str) -> sa.MetaData:
    tables = importlib.import_module(f"services.{service}.tables")
    metadata: sa.MetaData = tables.metadata
    return metadata


def differences(engine: sa.Engine, service: str) -> list[object]:
    with reading(engine) as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return compare_metadata(context, metadata_of(service))


@pytest.mark.parametrize("service", SERVICES)
def test_the_migrations_add_up_to_the_tables_and_the_second_time_changes_nothing(
    service: str, url: str
) -> None:
    engine = open_database(url)
    for _ in range(2):
        upgrade(engine, migrations(service))
        assert differences(engine, service) == []
    engine.dispose()


def test_a_table_that_the_migrations_do_not_make_is_a_difference(url: str) -> None:
    engine = open_database(url)
    upgrade(engine, migrations("delivery"))
    with writing(engine) as connection:
        connection.execute(sa.text("ALTER TABLE inbox ADD COLUMN read_at TEXT"))
    assert len(differences(engine, "delivery")) == 1
    engine.dispose()


@pytest.mark.parametrize("service", SERVICES)
def test_processes_that_start_together_find_the_database_made_once(service: str, url: str) -> None:
    together, faults = threading.Barrier(3), []

    def start(folder: Path) -> None:
        try:
            together.wait()
            engine = open_database(url)
            together.wait()
            upgrade(engine, folder)
            engine.dispose()
        except BaseException as fault:
            faults.append(fault)
            together.abort()

    threads = [threading.Thread(target=start, args=(migrations(service),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    engine = open_database(url)
    assert differences(engine, service) == []
    engine.dispose()
