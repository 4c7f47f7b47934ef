"""J: whole journeys through the running network: POST → offered → accept → both in the ledger."""

import asyncio
import json
import sqlite3
import threading
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.bare import PARTNERS, sample
from benchmarks.load import Connection
from runtime.nats_server import free_port
from runtime.settings import Settings
from services.supervisor import network
from tests.wards import without_limits


@dataclass
class Measured:
    journeys: int = 0
    late: int = 0
    per_second: float = 0.0
    posts: list[float] = field(default_factory=list)
    accepts: list[float] = field(default_factory=list)
    to_ledger: list[float] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


class LedgerWatch(threading.Thread):
    """Notes when each acceptance is first seen in the ledger, reading its database as anyone may."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._path = path
        self.seen: dict[str, float] = {}
        self.done = threading.Event()

    def run(self) -> None:
        connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)
        query = "SELECT idx, referral, body FROM entries WHERE idx > ? ORDER BY idx"
        last = -1
        while not self.done.wait(0.01):
            now = time.perf_counter()
            for idx, referral, body in connection.execute(query, (last,)):
                last = idx
                if b'"type":"handoff_accepted"' in body:
                    self.seen[referral] = now
        connection.close()


async def measure(home: Path, seconds: float) -> Measured:
    """64 partners, each going through journeys for ``seconds``; the time counted ends when the last
    acceptance is in the ledger."""
    # Two agencies stand for a ward's many: what one may ask is measured by benchmarks.fairness.
    settings = Settings(home=home, port=free_port(), ward=without_limits(home))
    with network(settings) as running:
        keys = tomllib.loads((home / "keys.toml").read_text())
        watch = LedgerWatch(home / "data" / "audit.db")
        watch.start()
        measured = Measured()
        accepted_at: dict[str, float] = {}
        sender, receiver = (
            f"Authorization: Bearer {keys[agency]}\r\n"
            for agency in ("anshin-motofuji", "hub-motofuji")
        )
        connections = [Connection("127.0.0.1", settings.port) for _ in range(PARTNERS)]
        for connection in connections:
            await connection.open()
        before = _cpu(running)
        began = time.perf_counter()
        until = began + seconds

        async def partner(place: int, connection: Connection) -> None:
            count = 0
            while time.perf_counter() < until:
                count += 1
                key = f"Idempotency-Key: bench-{place}-{count}\r\n"
                body = sample(count, f"partner {place}")
                status, answer, spent = await connection.post("/v1/referrals", body, sender + key)
                assert status in (201, 202), (status, answer)
                if status == 202:
                    # Durable, but not decided within 2 s: this journey is not counted.
                    measured.late += 1
                    continue
                measured.posts.append(spent)
                referral = json.loads(answer)
                path = f"/v1/handoffs/{referral['handoffs'][0]['id']}/accept"
                status, answer, spent = await connection.post(path, b"{}", receiver)
                assert status in (200, 202), (status, answer)
                measured.late += status == 202
                accepted_at[referral["id"]] = time.perf_counter()
                measured.accepts.append(spent)

        await asyncio.gather(*(partner(n, c) for n, c in enumerate(connections)))
        deadline = time.perf_counter() + 120
        while len(watch.seen) < len(accepted_at) and time.perf_counter() < deadline:
            await asyncio.sleep(0.01)
        assert len(watch.seen) == len(accepted_at), "the ledger did not complete"
        end = max(watch.seen.values())
        watch.done.set()
        watch.join()
        measured.seconds = end - began
        measured.journeys = len(accepted_at)
        measured.per_second = measured.journeys / measured.seconds
        measured.to_ledger = [
            max(0.0, watch.seen[referral] - at) for referral, at in accepted_at.items()
        ]
        measured.cpu = {name: spent - before[name] for name, spent in _cpu(running).items()}
        for connection in connections:
            connection.close()
    return measured


def _cpu(running: object) -> dict[str, float]:
    """CPU seconds of each process so far."""
    ticks = 100
    spent = {}
    for name in ("nats-server", "intake", "referral", "audit", "delivery"):
        pid = running.pid(name)  # type: ignore[attr-defined]
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        spent[name] = (int(fields[11]) + int(fields[12])) / ticks
    return spent
