"""Bring a service's database to the shape its code expects, step by step (Alembic)."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Engine

from runtime.database import reading, writing

_UPGRADING = 7_165_829  # any number, the same for all: the advisory lock held while upgrading


def upgrade(engine: Engine, folder: Path) -> None:
    """Run the migrations in ``folder`` that this database has not seen. Several processes may start
    at once: one does it, the others find it done."""
    script = ScriptDirectory(str(folder))
    newest = script.get_current_head()
    with reading(engine) as connection:
        if MigrationContext.configure(connection).get_current_revision() == newest:
            return

    def steps(revision: Any, _context: object) -> Any:
        return script._upgrade_revs("head", revision)

    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADING)))
        with EnvironmentContext(Config(), script, fn=steps, destination_rev="head") as environment:
            environment.configure(connection=connection)
            environment.run_migrations()
