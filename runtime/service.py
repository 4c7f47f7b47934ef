"""What every deciding or recording service has: a database of its own, the sole right to write to
it, and a connection to the bus."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from runtime.broker import Bus
from runtime.database import open_database
from runtime.migrations import upgrade
from runtime.settings import Settings
from runtime.sole_writer import AnotherWriter, SoleWriter


@dataclass(frozen=True, slots=True)
class Service:
    engine: sa.Engine
    sole: SoleWriter
    bus: Bus


@contextlib.asynccontextmanager
async def running(
    settings: Settings, name: str, ward: str, migrations: Path, writer: sa.Table
) -> AsyncIterator[Service]:
    """Open everything, in the order in which it is needed. A second process of the same service and
    ward waits here until the first is gone; the bus is connected last, by the caller's
    ``bus.start()``, when its handlers are registered."""
    engine = await asyncio.to_thread(open_database, settings.database_url(name))
    await asyncio.to_thread(upgrade, engine, migrations)
    sole = await _sole_writer(engine, writer, f"{name}-{ward}")
    bus = Bus(settings, name)
    try:
        await bus.connect()
        yield Service(engine, sole, bus)
    finally:
        with contextlib.suppress(Exception):  # the broker may be gone before us
            await bus.close()
        sole.release()
        engine.dispose()


async def _sole_writer(engine: sa.Engine, table: sa.Table, name: str) -> SoleWriter:
    """Waits here, not in a thread: whoever waits can be told to stop."""
    while True:
        try:
            return await asyncio.to_thread(SoleWriter, engine, table, name)
        except AnotherWriter:
            await asyncio.sleep(0.2)
