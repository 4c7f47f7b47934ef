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
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from benchmarks.load import percentiles
from runtime.broker import Bus, ensure_stream, journals_stream
from runtime.clock import SystemClock
from runtime.credentials import Credentials, Kind
from runtime.database import open_database, reading, writing
from runtime.journal import MESSAGE_ID
from runtime.migrations import upgrade
from runtime.reading import Entry
from runtime.sealed_credentials import CredentialSeal
from runtime.settings import Settings
from schemas import events as e
from schemas import subjects
from schemas.journal import JournalEntry
from services.delivery import tables as t
from services.delivery.inbox import Inboxes
from services.delivery.queue import Queue
from tests.databases import migrations
from tests.nats import a_nats_server
from wards.load import bundled_ward, load_ward
from wards.model import Ward

HEALTHY, HANGING, REFUSING = 15, 3, 2
NAMES = [f"bench-{n:02d}" for n in range(HEALTHY + HANGING + REFUSING)]
_AGENCY = """
[[agencies]]
id = "{id}"
kind = "provider"
name = "計測 {id}"
name_en = "Bench {id}"
sample = true
valid_from = 2019-04-01
delivery = {{ way = "webhook", url = "{url}" }}
[agencies.hours]
week = [{{ days = ["mon"], open = "10:00", close = "17:30" }}]
holidays = false
"""


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
    agencies = "".join(
        _AGENCY.format(id=name, url=f"http://127.0.0.1:{port}/{name}")
        for name, port in zip(NAMES, ports, strict=True)
    )
    # Before the districts, which are tables of their own.
    text = bundled_ward().read_text("utf-8")
    path = folder / "bench.toml"
    path.write_text(text + agencies, "utf-8")
    return path


def give_secrets(settings: Settings, engine: Engine) -> None:
    seal = CredentialSeal(settings.keys / "delivery.key")
    credentials = Credentials(engine, t.credentials, SystemClock())
    for name in NAMES:
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        credentials.issue(
            name,
            Kind.WEBHOOK_SECRET,
            seal.seal(name, Kind.WEBHOOK_SECRET, secret.encode()),
        )


class Journal:
    """What the referral service would decide."""

    def __init__(self, ward: Ward) -> None:
        self._ward = ward
        self._number = 0

    def referral(self, concerns: Sequence[str], events: int = 3) -> Iterator[JournalEntry]:
        referral = uuid4()
        for version in range(1, events + 1):
            self._number += 1
            yield JournalEntry(
                ward=self._ward.code,
                producer="referral",
                number=self._number,
                id=uuid4(),
                referral=referral,
                version=version,
                occurred_at=datetime.now(UTC),
                actor="anshin-motofuji",
                command=uuid4(),
                concerns=tuple(sorted(concerns)),
                event=e.NoteAdded(note=uuid4(), by="anshin-motofuji"),
            )


def at_the_service(settings: Settings) -> subprocess.Popen[bytes]:
    log = (settings.home / "delivery.log").open("ab")
    return subprocess.Popen(
        [sys.executable, "-m", "services.cli", "serve", "delivery"],
        env={**os.environ, **settings.environment()},
        stderr=log,
    )


async def feed(bus: Bus, journal: Journal, rate: float, seconds: float) -> None:
    """So many referrals a second, each for two agencies."""
    ward = journal._ward.code
    chance = random.Random(1)
    began = time.perf_counter()
    for n in range(round(rate * seconds)):
        await asyncio.sleep(max(0.0, began + n / rate - time.perf_counter()))
        entries = journal.referral(chance.sample(NAMES, 2))
        await asyncio.gather(
            *(
                bus.publish(
                    subjects.journal(ward, "referral", entry.event.type),
                    entry.to_json(),
                    {MESSAGE_ID: str(entry.id)},
                )
                for entry in entries
            )
        )


def fill(engine: Engine, ward: Ward, journal: Journal, agency: str, events: int) -> None:
    """What waits for an agency that was away: rows as the service itself writes them."""
    queue = Queue(engine, lambda _: None, ward, SystemClock())
    inboxes = Inboxes(engine)
    for begin in range(0, events, 500):
        count = min(500, events - begin)
        entries = [entry for _ in range(count // 5) for entry in journal.referral((agency,), 5)]
        read = [
            Entry(entry.producer, entry.number, json.loads(body), body)
            for entry in entries
            for body in [entry.to_json()]
        ]
        with writing(engine) as connection:
            queue.take_in(connection, inboxes.take_in(connection, read))


def processor_time(pid: int) -> float:
    """Seconds that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
        give_secrets(settings, engine)
        journal = Journal(ward)
        service = at_the_service(settings)
        bus = Bus(settings, "referral")
        await bus.connect()
        await ensure_stream(
            bus.js, journals_stream(subjects.JOURNALS_STREAM, subjects.all_journals(), 1)
        )
        try:
            await feed(bus, journal, 5, 2)
            while not endpoints.came():  # until it is up
                await asyncio.sleep(0.2)
            await drained(engine, endpoints)
            for name, rate, seconds in (
                ("idle, 2 referrals/s", 2.0, arguments.seconds),
                (f"{arguments.rate} referrals/s", float(arguments.rate), arguments.seconds),
            ):
                before = processor_time(service.pid)
                await feed(bus, journal, rate, seconds)
                late = await drained(engine, endpoints)
                spent = processor_time(service.pid) - before
                print(
                    f"{name}: {len(late)} webhooks to {HEALTHY} healthy agencies, "
                    f"p50/p95/p99 {percentiles(late)} ms, latest {max(late) * 1000:.0f} ms, "
                    f"{spent / len(late) * 1000:.2f} ms of delivery's processor each",
                    flush=True,
                )
        finally:
            service.terminate()
            service.wait()
            await bus.close()
        fill(engine, ward, journal, NAMES[0], arguments.events)
        began = time.perf_counter()
        service = at_the_service(settings)
        try:
            came = 0
            while came < arguments.events:
                await asyncio.sleep(0.2)
                came += len(endpoints.came())
        finally:
            service.terminate()
            service.wait()
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
    endpoints = Endpoints()
    try:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(measured(arguments, Path(folder), endpoints))
    finally:
        endpoints.close()


if __name__ == "__main__":
    main()
