"""`make bench-delivery`: from the decision to the agency's own system.

The real delivery service, database and nats-server, a ward of 20 agencies with webhooks, of which 3 hang
and 2 refuse the connection. The events are put on the JOURNALS stream as the referral service does it,
three for a referral and each for two agencies: the whole path with its load generator would leave
delivery no processor of its own on two cores. Late is what the receiver sees: its clock minus the event's
own time. Then an agency that was away gets what waited for it.
"""

import argparse
import asyncio
import base64
import json
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from benchmarks.journal import Journal, feed, fill
from benchmarks.load import percentiles
from benchmarks.processes import a_service, load_average, processor_time, stop
from benchmarks.wards import a_ward_with
from runtime.broker import Bus, ensure_stream, journals_stream
from runtime.clock import SystemClock
from runtime.credentials import Credentials, Kind
from runtime.database import open_database, reading
from runtime.migrations import upgrade
from runtime.sealed_credentials import CredentialSeal
from runtime.settings import Settings
from schemas import subjects
from services.delivery import tables as t
from tests.databases import migrations
from tests.nats import a_nats_server
from wards.load import load_ward

HEALTHY, HANGING, REFUSING = 15, 3, 2
NAMES = [f"bench-{n:02d}" for n in range(HEALTHY + HANGING + REFUSING)]


class Endpoints:
    """The agencies' systems."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.endpoints"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ports = self._line()
        self.takes, self.hangs = ports["takes"], ports["hangs"]

    def came(self) -> list[float]:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return list(self._line())

    def _line(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def a_ward(folder: Path, endpoints: Endpoints) -> Path:
    ports = [endpoints.takes] * HEALTHY + [endpoints.hangs] * HANGING + [1] * REFUSING
    urls = {
        name: f"http://127.0.0.1:{port}/{name}" for name, port in zip(NAMES, ports, strict=True)
    }
    return a_ward_with(folder, urls)


def give_secrets(settings: Settings, engine: Engine, agencies: Iterable[str]) -> None:
    seal = CredentialSeal(settings.keys / "delivery.key")
    credentials = Credentials(engine, t.credentials, SystemClock())
    for name in agencies:
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        credentials.issue(
            name,
            Kind.WEBHOOK_SECRET,
            seal.seal(name, Kind.WEBHOOK_SECRET, secret.encode()),
        )


def waiting(engine: Engine) -> int:
    d = t.deliveries
    healthy = d.c.agency.in_(NAMES[:HEALTHY])
    query = sa.select(sa.func.count()).where(d.c.next_at.is_not(None), healthy)
    with reading(engine) as connection:
        return connection.execute(query).scalar_one()


async def measured(arguments: argparse.Namespace, folder: Path, endpoints: Endpoints) -> None:
    path = a_ward(folder, endpoints)
    ward = load_ward(path)
    with a_nats_server(folder) as given:
        settings = Settings(
            home=folder, ward=path, nats_url=given.nats_url, nats_logins=given.nats_logins
        )
        engine = open_database(settings.database_url("delivery"))
        upgrade(engine, migrations("delivery"))
        give_secrets(settings, engine, NAMES)
        journal = Journal(ward)
        service = a_service(settings, "delivery")
        bus = Bus(settings, "referral")
        await bus.connect()
        await ensure_stream(
            bus.js, journals_stream(subjects.JOURNALS_STREAM, subjects.all_journals(), 1)
        )
        try:
            await feed(bus, journal, NAMES, 5, 2)
            while not endpoints.came():  # until it is up
                await asyncio.sleep(0.2)
            await drained(engine, endpoints)
            for name, rate, seconds in (
                ("idle, 2 referrals/s", 2.0, arguments.seconds),
                (f"{arguments.rate} referrals/s", float(arguments.rate), arguments.seconds),
            ):
                before = processor_time(service.pid)
                await feed(bus, journal, NAMES, rate, seconds)
                late = await drained(engine, endpoints)
                spent = processor_time(service.pid) - before
                print(
                    f"{name}: {len(late)} webhooks to {HEALTHY} healthy agencies, "
                    f"p50/p95/p99 {percentiles(late)} ms, latest {max(late) * 1000:.0f} ms, "
                    f"{spent / len(late) * 1000:.2f} ms of delivery's processor each",
                    flush=True,
                )
        finally:
            stop(service)
            await bus.close()
        fill(engine, journal, NAMES[:1], arguments.events)
        began = time.perf_counter()
        service = a_service(settings, "delivery")
        try:
            came = 0
            while came < arguments.events:
                await asyncio.sleep(0.2)
                came += len(endpoints.came())
        finally:
            stop(service)
        took = time.perf_counter() - began
        print(f"catch-up by webhook: {came} events in {took:.1f} s, {came / took:.0f}/s")
        engine.dispose()


async def drained(engine: Engine, endpoints: Endpoints) -> list[float]:
    """Until nothing waits for a healthy agency. Gives how late what came meanwhile was."""
    late: list[float] = []
    quiet = 0
    while quiet < 5:
        await asyncio.sleep(0.2)
        came = await asyncio.to_thread(endpoints.came)
        late += came
        quiet = quiet + 1 if not came and not await asyncio.to_thread(waiting, engine) else 0
    return late


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=200, help="referrals a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each measurement")
    parser.add_argument("--events", type=int, default=100_000, help="that an agency missed")
    arguments = parser.parse_args()
    print(f"load average at the start: {load_average()}", flush=True)
    endpoints = Endpoints()
    try:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(measured(arguments, Path(folder), endpoints))
    finally:
        endpoints.close()


if __name__ == "__main__":
    main()
