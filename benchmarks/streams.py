"""`make bench-streams`: an inbox's stream alone, and the same among 1,000 open ones.

The real delivery and intake, database and nats-server, a ward of 40 more agencies that read 25 streams
each. The events are put on the JOURNALS stream as the referral service does it. Late is what a reader
sees, in another process: its clock minus the event's own time. At the end every stream has had every
number of its agency's inbox, in order and once.
"""

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from benchmarks.journal import Journal, feed, publish
from benchmarks.load import Connection, percentiles
from benchmarks.processes import a_service, load_average, processor_time, resident, stop
from benchmarks.wards import a_ward_with
from runtime.broker import Bus, ensure_stream, journals_stream
from runtime.database import open_database, reading
from runtime.migrations import upgrade
from runtime.nats_server import free_port
from runtime.settings import Settings
from schemas import subjects
from services.delivery import tables as t
from tests.databases import migrations
from tests.nats import a_nats_server
from wards.load import load_ward

_FILES = 4096  # open at once: a stream is one


class Readers:
    """The agencies' systems."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.readers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def open(self, streams: list[tuple[str, int]]) -> float:
        """So many with each key. Gives the seconds until all are open."""
        return float(await self._told({"port": self._port, "open": streams}))

    async def told(self) -> dict[str, Any]:
        return dict(await self._told({}))

    async def _told(self, order: dict[str, Any]) -> Any:
        return await asyncio.to_thread(self._ask, json.dumps(order))

    def _ask(self, order: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class Bench:
    """What runs, and what is read of it. ``open``: the agency of each stream; ``medians``: how late, of
    each measurement."""

    def __init__(self, engine: Engine, journal: Journal, readers: Readers, intake: int) -> None:
        self._engine = engine
        self._journal = journal
        self._readers = readers
        self._intake = intake
        self._before = self._heads()
        self.open: list[str] = []
        self.medians: list[float] = []

    async def open_streams(self, keys: dict[str, str], streams: dict[str, int]) -> float:
        took = await self._readers.open([(keys[name], n) for name, n in streams.items()])
        self.open += [name for name, n in streams.items() for _ in range(n)]
        return took

    async def came(self, name: str, spent_before: float) -> None:
        """Wait until every stream has all, and tell how late it was."""
        late: list[float] = []
        give_up = time.monotonic() + 60
        while True:
            told = await self._readers.told()
            late += told["late"]
            heads = await asyncio.to_thread(self._heads)
            due = self._before + self._journal.concerned
            behind = [a for a, n in zip(self.open, told["last"], strict=True) if n != due[a]]
            if not behind and all(heads[a] == due[a] for a in self.open):
                break
            assert time.monotonic() < give_up, f"still waiting: {Counter(behind)}"
            await asyncio.sleep(0.2)
        assert told["wrong"] == 0, f"{told['wrong']} numbers did not follow the one before"
        spent = processor_time(self._intake) - spent_before
        if late and name:
            self.medians.append(statistics.median(late))
            print(
                f"{name}: {len(late)} events on {len(self.open)} streams, "
                f"p50/p95/p99 {percentiles(late)} ms, latest {max(late) * 1000:.0f} ms, "
                f"{spent / len(late) * 1000:.2f} ms of intake's processor each",
                flush=True,
            )

    def _heads(self) -> Counter[str]:
        i = t.inbox
        query = sa.select(i.c.agency, sa.func.max(i.c.number)).group_by(i.c.agency)
        with reading(self._engine) as connection:
            return Counter({row[0]: row[1] for row in connection.execute(query)})


async def measured(arguments: argparse.Namespace, folder: Path) -> None:
    names = [f"bench-{n:02d}" for n in range(arguments.agencies)]
    path = a_ward_with(folder, dict.fromkeys(names, ""))
    ward = load_ward(path)
    with a_nats_server(folder) as given:
        settings = Settings(
            home=folder,
            ward=path,
            port=free_port(),
            nats_url=given.nats_url,
            nats_logins=given.nats_logins,
        )
        engine = open_database(settings.database_url("delivery"))
        upgrade(engine, migrations("delivery"))
        delivery, intake = a_service(settings, "delivery"), a_service(settings, "intake")
        readers = Readers(settings.port)
        bus = Bus(settings, "referral")
        await bus.connect()
        await ensure_stream(
            bus.js, journals_stream(subjects.JOURNALS_STREAM, subjects.all_journals(), 1)
        )
        try:
            await answers(settings)
            keys = tomllib.loads((folder / "keys.toml").read_text())
            await asyncio.sleep(1)  # what delivery itself has to say at its start
            journal = Journal(ward)
            bench = Bench(engine, journal, readers, intake.pid)

            def spent() -> float:
                return processor_time(intake.pid)

            async def to(name: str, agencies: list[str]) -> None:
                """One referral after another, each of one event for these agencies."""
                before = spent()
                began = time.perf_counter()
                for n in range(round(arguments.rate * arguments.seconds)):
                    due = began + n / arguments.rate
                    await asyncio.sleep(max(0.0, due - time.perf_counter()))
                    await publish(bus, journal.referral(agencies, 1))
                await bench.came(name, before)

            only = names[0]
            await bench.open_streams(keys, {only: 1})
            await publish(bus, journal.referral(names, 5))  # warm
            await bench.came("", spent())
            await to("1 stream open, events for its agency", [only])
            before = resident(intake.pid)
            each = dict.fromkeys(names, arguments.streams)
            each[only] -= 1
            took = await bench.open_streams(keys, each)
            await bench.came("", spent())
            after = resident(intake.pid)
            count = len(bench.open)
            print(
                f"{count} streams open after {took:.2f} s; intake's memory {before:.0f} -> "
                f"{after:.0f} MB, {(after - before) / (count - 1) * 1000:.0f} kB a stream",
                flush=True,
            )
            at = spent()
            await asyncio.sleep(arguments.seconds)
            share = (spent() - at) / arguments.seconds
            print(f"nothing happens: {share:.0%} of one processor for intake", flush=True)
            await to(f"{count} open, events for one agency of {arguments.streams}", [only])
            at = spent()
            await feed(bus, journal, names, arguments.rate, arguments.seconds)
            await bench.came(
                f"{count} open, {arguments.rate:g} referrals/s of 3 events for 2 of "
                f"{len(names)} agencies",
                at,
            )
            at = spent()
            for _ in range(round(arguments.seconds / 2)):
                await publish(bus, journal.referral(names, 1))
                await asyncio.sleep(2)
            await bench.came(f"{count} open, one event for all agencies every 2 s", at)
            alone, among, *_ = bench.medians
            print(f"median among {count} / alone: x{among / alone:.2f}")
            print(
                f"every stream had every number once, in order; intake's memory at the end "
                f"{resident(intake.pid):.0f} MB"
            )
        finally:
            readers.close()
            stop(intake, delivery)
            await bus.close()
            engine.dispose()


async def answers(settings: Settings, seconds: float = 60) -> None:
    """Until intake knows an agency, and delivery answers it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            key = next(iter(tomllib.loads((settings.home / "keys.toml").read_text()).values()))
            connection = Connection("127.0.0.1", settings.port)
            await connection.open()
            headers = f"Authorization: Bearer {key}\r\n"
            status, _, _ = await connection.get("/v1/inbox?limit=1", headers)
            connection.close()
            if status == 200:
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, f"not ready; see {settings.home}"
        await asyncio.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agencies", type=int, default=40)
    parser.add_argument("--streams", type=int, default=25, help="of each agency; it may have 32")
    parser.add_argument("--rate", type=float, default=5.0, help="referrals a second")
    parser.add_argument("--seconds", type=float, default=15.0, help="for each measurement")
    arguments = parser.parse_args()
    print(f"load average at the start: {load_average()}", flush=True)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The processes started from here have the same.
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(_FILES, most), most))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        asyncio.run(measured(arguments, Path(folder)))


if __name__ == "__main__":
    main()
