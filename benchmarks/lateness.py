"""`make bench-clocks`: how late a clock strikes, and whether finding what is due grows with what runs.

Lateness is what the record itself says: when it was decided, minus since when it was overdue. Measured
on a running network in four cells: idle and under load, with few and with many clocks pending.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sqlite3
import statistics
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from benchmarks.bare import PARTNERS, sample
from benchmarks.load import Connection
from runtime.clock import ManualClock, ShiftedClock, shift, shifted
from runtime.database import open_database, reading, writing
from runtime.migrations import upgrade
from runtime.nats_server import free_port
from runtime.settings import Settings
from schemas import commands as c
from schemas.codes import HandoffKind, Urgency
from services.referral import tables as t
from services.supervisor import network
from tests.builders import BUNKYO, FRIDAY_AFTERNOON, HOLIDAYS, HUB, a_command, a_submission
from tests.databases import Databases, PostgresServer, SqliteFiles, migrations, opened
from tests.desk import Desk
from tests.wards import without_limits
from wards.opening import next_opening

CANDIDATES = ("hub-komagome", "hub-otsuka", "hub-tomisaka", "lien-bunkyo")
SIZES = (100, 10_000, 100_000, 1_000_000)
_SPREAD = 10.0  # seconds over which the measured clocks begin, and so run out
_QUARTER = 900.0  # seconds that an emergency may go unanswered
_HEADROOM = 5.0  # seconds between the jump of the clock and the first one to run out


# -- how late --------------------------------------------------------------------------------------


def fill(home: Path, file: Path, clocks: int) -> None:
    """As many clocks that run for a business day, written by the deciding service's own writer. Five
    for a referral (a hub is asked, and four more agencies), so that the ledger is whole sooner."""
    engine = open_database(Settings(home=home).database_url("referral"))
    upgrade(engine, migrations("referral"))
    clock = ShiftedClock(file)
    routine = {"urgency": Urgency.ROUTINE, "function": "consultation", "requested_action": None}
    each = 1 + len(CANDIDATES)
    with Desk(engine, clock) as desk:
        for begin in range(0, clocks, 250 * each):
            count = min(250, (clocks - begin) // each)
            submitted = [a_submission(**routine) for _ in range(count)]
            offers = [
                c.OfferHandoff(referral=x.referral, to=CANDIDATES, kind=HandoffKind.REQUEST)
                for x in submitted
            ]
            desk.tell(*map(a_command, submitted), *map(a_command, offers))
    with reading(engine) as connection:
        pending = connection.execute(sa.select(sa.func.count()).select_from(t.clocks)).scalar_one()
    assert pending == clocks, pending
    clock.close()
    engine.dispose()


class Running:
    """A running network that goes by a clock of ours, and partners of it."""

    def __init__(self, home: Path, file: Path, port: int) -> None:
        keys = tomllib.loads((home / "keys.toml").read_text())
        self.sender, self.hub = (
            f"Authorization: Bearer {keys[agency]}\r\n" for agency in ("anshin-motofuji", HUB)
        )
        self.home, self.file, self.port = home, file, port

    async def connections(self, count: int) -> list[Connection]:
        made = [Connection("127.0.0.1", self.port) for _ in range(count)]
        for connection in made:
            await connection.open()
        return made

    def rows(self, service: str, query: str) -> list[Any]:
        path = self.home / "data" / f"{service}.db"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()

    async def settle(self) -> None:
        """Until ledger and inboxes hold the whole journal: before that it is not idle."""
        while True:
            (head,) = self.rows("referral", "SELECT max(number) FROM journal")[0]
            (ledger,) = self.rows("audit", "SELECT count(*) FROM entries")[0]
            read = self.rows("delivery", "SELECT number FROM journals_read")
            if (head or 0) == ledger and (not head or (read and read[0][0] == head)):
                return
            await asyncio.sleep(0.5)

    async def emergencies(self, count: int) -> list[str]:
        """Submitted one after the other; gives the hand-offs that nobody is going to answer."""
        (connection,) = await self.connections(1)
        body = json.dumps(json.loads(sample(0, "clocks")) | {"urgency": "emergency"}).encode()
        asked, began = [], time.perf_counter()
        for number in range(count):
            key = f"Idempotency-Key: late-{os.urandom(8).hex()}\r\n"
            status, answer, _ = await connection.post("/v1/referrals", body, self.sender + key)
            assert status == 201, (status, answer)
            given = json.loads(answer)
            asked.append((given["id"], given["handoffs"][0]["id"]))
            await asyncio.sleep(max(0.0, began + _SPREAD * number / count - time.perf_counter()))
        connection.close()
        self.submitted = [referral for referral, _ in asked]
        return [handoff for _, handoff in asked]

    async def cancel(self) -> None:
        """The calls that the missed clocks made must not strike in another cell."""
        (connection,) = await self.connections(1)
        for referral in self.submitted:
            key = f"Idempotency-Key: cancel-{referral}\r\n"
            path = f"/v1/referrals/{referral}/cancel"
            status, answer, _ = await connection.post(path, b"{}", self.sender + key)
            assert status == 200, (status, answer)
        connection.close()

    async def load(self, seconds: float) -> int:
        """Partners that submit and accept, as in `benchmarks.journeys`; gives how many journeys."""
        until, journeys = time.perf_counter() + seconds, 0
        run = os.urandom(4).hex()

        async def partner(place: int, connection: Connection) -> None:
            nonlocal journeys
            count = 0
            while time.perf_counter() < until:
                count += 1
                key = f"Idempotency-Key: {run}-{place}-{count}\r\n"
                body = sample(count, f"partner {place}")
                status, answer, _ = await connection.post("/v1/referrals", body, self.sender + key)
                assert status in (201, 202), (status, answer)
                if status == 202:
                    continue
                path = f"/v1/handoffs/{json.loads(answer)['handoffs'][0]['id']}/accept"
                status, answer, _ = await connection.post(path, b"{}", self.hub)
                assert status in (200, 202), (status, answer)
                journeys += 1

        connections = await self.connections(PARTNERS)
        await asyncio.gather(*(partner(n, x) for n, x in enumerate(connections)))
        for connection in connections:
            connection.close()
        return journeys

    def lateness(self, handoffs: Sequence[str]) -> list[float]:
        """Of each of these, in seconds, as the record tells it."""
        late = {}
        query = "SELECT body FROM journal WHERE type = 'handoff_expired'"
        for (body,) in self.rows("referral", query):
            entry = json.loads(body)
            decided, due = (
                datetime.fromisoformat(x)
                for x in (entry["occurred_at"], entry["event"]["overdue_since"])
            )
            late[entry["event"]["handoff"]] = (decided - due).total_seconds()
        return [late[handoff] for handoff in handoffs if handoff in late]

    async def cell(self, count: int, loaded: bool) -> tuple[list[float], float, float]:
        """How late each was, journeys/s meanwhile, and the machine's load average of a minute."""
        handoffs = await self.emergencies(count)
        await self.settle()
        began = time.perf_counter()
        # All but what is left until the first of them runs out.
        (first,) = self.rows("referral", "SELECT min(due_at) FROM clocks")[0]
        now = datetime.now(UTC) + timedelta(seconds=shifted(self.file))
        left = (datetime.fromisoformat(first) - now).total_seconds()
        assert 0 < left <= _QUARTER
        shift(self.file, shifted(self.file) + left - _HEADROOM)
        seconds = _HEADROOM + _SPREAD + 2
        journeys = await self.load(seconds) if loaded else 0
        await asyncio.sleep(max(0.0, began + seconds - time.perf_counter()))
        machine = os.getloadavg()[0]
        deadline = time.perf_counter() + 60
        while len(late := self.lateness(handoffs)) < count and time.perf_counter() < deadline:
            await asyncio.sleep(0.2)
        assert len(late) == count, f"{count - len(late)} never struck"
        await self.cancel()
        await self.settle()
        return late, journeys / seconds, machine


async def measure(
    home: Path, pending: int, count: int
) -> dict[str, tuple[list[float], float, float]]:
    """The cells idle and loaded with so many clocks pending."""
    home.mkdir(parents=True)
    file = home.resolve() / "clock_shift"
    hub = BUNKYO.agency(HUB)
    assert hub is not None
    # The hub has just opened, so that nobody else is called when an offer is made.
    now = datetime.now(UTC)
    opens = closed = now + timedelta(hours=12)
    while opens == closed:
        closed += timedelta(hours=8)
        opens = next_opening(hub.hours, closed, HOLIDAYS)
    shift(file, (opens + timedelta(minutes=10) - now).total_seconds())
    began = time.perf_counter()
    fill(home, file, pending)
    ward = without_limits(home)  # the load comes from two agencies
    settings = Settings(home=home, port=free_port(), clock_shift=file, ward=ward)
    with network(settings):
        running = Running(home, file, settings.port)
        filled = time.perf_counter() - began
        await running.settle()
        print(
            f"  {pending:,} clocks written in {filled:.0f} s, in the ledger after "
            f"{time.perf_counter() - began:.0f} s",
            flush=True,
        )
        return {
            "idle": await running.cell(count, loaded=False),
            "loaded": await running.cell(count, loaded=True),
        }


# -- finding what is due ---------------------------------------------------------------------------

_MANY = {
    "sqlite": """
        WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM k WHERE n < {count})
        INSERT INTO clocks (subject, referral, due_at, strike_at)
        SELECT printf('%036d', n), referral, at, at FROM (
            SELECT n, 'r' AS referral,
                   strftime('%Y-%m-%dT%H:%M:%S.000000Z', '2027-01-01', n || ' seconds') AS at FROM k)
    """,
    "postgresql": """
        INSERT INTO clocks (subject, referral, due_at, strike_at)
        SELECT lpad(n::text, 36, '0'), 'r', at, at FROM (
            SELECT n, to_char(timestamp '2027-01-01' + n * interval '1 second',
                              'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at
            FROM generate_series(1, {count}) AS n) AS k
    """,
}


def due_statements(engine: Engine) -> list[tuple[str, Any]]:
    """What the writer itself asks the database when one clock has run out."""
    said: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and "FROM clocks" in statement:
            said.append((statement, values))

    clock = ManualClock(FRIDAY_AFTERNOON)
    with Desk(engine, clock) as desk:
        desk.tell(a_command(a_submission()))
        clock.move(timedelta(minutes=15))
        sa.event.listen(engine, "before_cursor_execute", note)
        desk.strike()
        sa.event.remove(engine, "before_cursor_execute", note)
        assert desk.writer.struck == 1
    assert len(said) == 2, said
    return said


def query_times(databases: Databases, sizes: Sequence[int], rounds: int) -> dict[int, float]:
    """The median seconds of the writer's questions with so many clocks pending, taken in turn."""
    with contextlib.ExitStack() as stack:
        engines = {}
        for size in sizes:
            engines[size] = engine = stack.enter_context(opened(databases, "referral"))
            with writing(engine) as connection:
                connection.exec_driver_sql(_MANY[engine.dialect.name].format(count=size))
                connection.exec_driver_sql("ANALYZE")
        asked = {size: due_statements(engine) for size, engine in engines.items()}
        times: dict[int, list[float]] = {size: [] for size in sizes}
        connections = {
            size: stack.enter_context(reading(engine)) for size, engine in engines.items()
        }
        for _ in range(rounds):
            for size, connection in connections.items():
                began = time.perf_counter()
                for statement, values in asked[size]:
                    connection.exec_driver_sql(statement, values).all()
                times[size].append(time.perf_counter() - began)
        return {size: statistics.median(taken) for size, taken in times.items()}


@contextlib.contextmanager
def both_databases(folder: Path) -> Iterator[list[Databases]]:
    server = PostgresServer()
    try:
        yield [SqliteFiles(folder), server]
    finally:
        server.stop()


# -- the table -------------------------------------------------------------------------------------


def told(late: Sequence[float]) -> str:
    """p50/p95/p99/max in milliseconds."""
    ordered = sorted(late)
    points = [ordered[min(len(ordered) - 1, int(len(ordered) * p))] for p in (0.5, 0.95, 0.99)]
    return " / ".join(f"{seconds * 1000:.0f}" for seconds in (*points, ordered[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pending", type=int, nargs="+", default=[100, 100_000])
    parser.add_argument("--clocks", type=int, default=200, help="measured in each cell")
    parser.add_argument("--rounds", type=int, default=300, help="of the queries")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="of the queries")
    options = parser.parse_args()

    print("finding what is due, and what is due next; µs, and as a multiple of the first")
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        both_databases(Path(folder)) as two,
    ):
        for databases in two:
            times = query_times(databases, options.sizes, options.rounds)
            first = times[options.sizes[0]]
            row = "  ".join(
                f"{size:,}: {1e6 * taken:.0f} ({taken / first:.2f})"
                for size, taken in times.items()
            )
            print(f"  {databases.name:10}  {row}", flush=True)

    print("\nlateness of clocks that strike, ms p50/p95/p99/max")
    worst = 0.0
    for pending in options.pending:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            cells = asyncio.run(measure(Path(folder) / "network", pending, options.clocks))
        for name, (late, per_second, machine) in cells.items():
            beside = f"{per_second:,.0f} journeys/s" if name == "loaded" else ""
            print(
                f"  {pending:>7,} pending, {name:6}  {told(late)}  {beside}  "
                f"(load average {machine:.1f})",
                flush=True,
            )
            worst = max(worst, sorted(late)[min(len(late) - 1, int(len(late) * 0.99))])
    print(f"\n  worst p99  {worst * 1000:.0f} ms   < 1,000")


if __name__ == "__main__":
    main()
