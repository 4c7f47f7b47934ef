"""`make bench-fairness`: what other agencies notice while one floods the door.

Eight agencies post referrals at a steady pace, as partners do. In turns, nobody else is there, or one
agency with 64 connections posts as fast as it is answered and minds no Retry-After. Quiet and flooded
stretches alternate in one run on one network with the bundled ward's limits, so a slow spell of the
machine meets both. The promise: others' p95 is no worse than twice.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bare import sample
from benchmarks.load import Connection, percentiles
from runtime.nats_server import free_port
from runtime.settings import Settings
from services.supervisor import network
from tests.wards import a_ward_file

OTHERS = (
    "anshin-komagome", "anshin-tomisaka", "anshin-otsuka", "hub-komagome",
    "hub-tomisaka", "hub-otsuka", "ward-office", "lien-bunkyo",
)  # fmt: skip
FLOODER = "anshin-motofuji"
FLOODING = 64  # connections
EVERY = 0.25  # seconds between two posts of one agency
_BEGINS = 1.0  # seconds until a flood has begun, or is over


def p95(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.95)]


async def others(port: int, keys: dict[str, str], seconds: float, stretch: int) -> list[float]:
    """How long each post took. Each agency goes by the clock: one slow answer does not thin out
    those that follow, and waiting behind it counts."""
    took: list[float] = []

    async def agency(place: int, name: str) -> None:
        connection = Connection("127.0.0.1", port)
        await connection.open()
        began = time.perf_counter() + place * EVERY / len(OTHERS)
        for count in range(int(seconds / EVERY)):
            due = began + count * EVERY
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            headers = (
                f"Authorization: Bearer {keys[name]}\r\n"
                f"Idempotency-Key: polite-{stretch}-{count}\r\n"
            )
            body = sample(count, f"polite {name} {stretch}")
            status, answer, _ = await connection.post("/v1/referrals", body, headers)
            assert status in (201, 202), (status, answer)
            took.append(time.perf_counter() - due)
        connection.close()

    await asyncio.gather(*(agency(n, name) for n, name in enumerate(OTHERS)))
    return took


async def flood(port: int, key: str) -> None:
    """Until killed. Prints what it was answered, once a second."""
    answered: Counter[int] = Counter()

    async def connection(place: int) -> None:
        line = Connection("127.0.0.1", port)
        await line.open()
        count = 0
        while True:
            count += 1
            headers = f"Authorization: Bearer {key}\r\nIdempotency-Key: flood-{place}-{count}\r\n"
            body = sample(count, f"flood {place}")
            try:
                status, _, _ = await line.post("/v1/referrals", body, headers)
            except (asyncio.IncompleteReadError, ConnectionError):
                line.close()  # it was stopped for longer than intake keeps a line that is silent
                await line.open()
            else:
                answered[status] += 1

    async def tell() -> None:
        while True:
            await asyncio.sleep(1)
            print(json.dumps(answered), flush=True)

    await asyncio.gather(tell(), *map(connection, range(FLOODING)))


class Flood:
    """In a process of its own, stopped and let go by signals: stretches may be short then, and a slow
    spell of the machine meets quiet and flooded ones alike."""

    def __init__(self, port: int, key: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fairness", "--flood", str(port)],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "FLOODERS_KEY": key},
        )  # fmt: skip

    @contextlib.contextmanager
    def going(self) -> Iterator[None]:
        self._process.send_signal(signal.SIGCONT)
        time.sleep(_BEGINS)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGSTOP)
            time.sleep(_BEGINS)

    def end(self) -> dict[str, int]:
        """What it was answered."""
        self._process.send_signal(signal.SIGCONT)
        time.sleep(2)
        self._process.terminate()
        lines, _ = self._process.communicate()
        told: dict[str, int] = json.loads(lines.strip().splitlines()[-1])
        return told


def measure(pairs: int, seconds: float, limits: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        ward = a_ward_file(home, limits.replace(",", "\n")) if limits else None
        settings = Settings(home=home, port=free_port(), ward=ward)
        with network(settings):
            keys = tomllib.loads((home / "keys.toml").read_text())
            flood = Flood(settings.port, keys[FLOODER])
            quiet: list[list[float]] = []
            loud: list[list[float]] = []
            with flood.going():
                asyncio.run(others(settings.port, keys, 5, 0))  # warm
            for pair in range(1, pairs + 1):
                quiet.append(asyncio.run(others(settings.port, keys, seconds, 2 * pair)))
                with flood.going():
                    loud.append(asyncio.run(others(settings.port, keys, seconds, 2 * pair + 1)))
            answered = flood.end()
    ratios = [p95(b) / p95(a) for a, b in zip(quiet, loud, strict=True)]
    everything = [[x for part in parts for x in part] for parts in (quiet, loud)]
    print(f"quiet   {percentiles(everything[0])} ms (p50/p95/p99), {len(everything[0])} posts")
    print(f"flooded {percentiles(everything[1])} ms, {len(everything[1])} posts")
    print(
        f"others' p95, flooded / quiet: x{p95(everything[1]) / p95(everything[0]):.2f} of all, "
        f"median of {pairs} pairs x{statistics.median(ratios):.2f}"
    )
    told = ", ".join(f"{status}: {count}" for status, count in sorted(answered.items()))
    print(f"the flooder was answered {told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=5)
    tried = "other limits than the bundled ward's: requests_per_second=50,burst=100,at_once=2"
    parser.add_argument("--limits", default="", help=tried)
    parser.add_argument("--flood", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.flood:
        asyncio.run(flood(int(given.flood), os.environ["FLOODERS_KEY"]))
    else:
        measure(given.pairs, given.seconds, given.limits.replace("=", " = "))


if __name__ == "__main__":
    main()
