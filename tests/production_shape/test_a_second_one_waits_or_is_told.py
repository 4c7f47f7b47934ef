"""Whoever comes second is told so, or waits, and can be stopped while waiting."""

import asyncio
import socket
from pathlib import Path

import pytest

from runtime.database import open_database
from runtime.migrations import upgrade
from runtime.service import running
from runtime.settings import Settings
from runtime.sole_writer import SoleWriter
from services.audit import tables as audit
from services.supervisor import AlreadyRunning, Network
from tests.databases import migrations
from tests.nats import until

WARD = "131059"


def test_a_network_whose_port_is_taken_refuses_to_start_and_starts_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        network = Network(Settings(home=tmp_path, host="127.0.0.1", port=port))
        try:
            with pytest.raises(AlreadyRunning, match=rf"\b{port}\b"):
                network.start()
            with pytest.raises(KeyError):
                network.pid("nats-server")
            assert not (tmp_path / "url").exists()
        finally:
            network.stop()


def test_a_service_that_waits_for_its_writers_lock_stops_when_it_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path)
    engine = open_database(settings.database_url("audit"))
    upgrade(engine, migrations("audit"))
    first = SoleWriter(engine, audit.journals.writer, f"audit-{WARD}")
    lock, tried = SoleWriter._lock, []

    def counting(sole: SoleWriter) -> bool:
        tried.append(lock(sole))
        return tried[-1]

    monkeypatch.setattr(SoleWriter, "_lock", counting)

    async def second() -> None:
        async with running(settings, "audit", WARD, migrations("audit"), audit.journals.writer):
            raise AssertionError("it runs beside the first")

    async def story() -> None:
        waiting = asyncio.create_task(second())
        await until(lambda: len(tried) >= 2)  # it was refused, and tries again
        waiting.cancel()
        await asyncio.wait([waiting], timeout=5)
        assert waiting.cancelled()

    try:
        asyncio.run(story())
        assert not any(tried)
    finally:
        first.release()
        engine.dispose()
