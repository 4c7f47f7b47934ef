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


async def flood(port: int, key: str, stretch: str) -> None:
    """Until killed. Prints what it was answered, once a second."""
    answered: Counter[int] = Counter()

    async def connection(place: int) -> None:
        line = Connection("127.0.0.1", port)
        await line.open()
        count = 0
        while True:
            count += 1
            headers = f"Authorization: Bearer {key}\r\nIdempotency-Key: flood-{stretch}-{place}-{count}\r\n"
            body = sample(count, f"flood {stretch} {place}")
            status, _, _ = await line.post("/v1/referrals", body, headers)
            answered[status] += 1

    async def tell() -> None:
        while True:
            await asyncio.sleep(1)
            print(json.dumps(answered), flush=True)

    await asyncio.gather(tell(), *map(connection, range(FLOODING)))


@contextlib.contextmanager
def flooded(port: int, key: str, stretch: int, answered: Counter[str]) -> Iterator[None]:
    """A process of its own, which does not slow the one that measures but by its share of the
    machine."""
    arguments = ["--flood", str(port), str(stretch)]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.fairness", *arguments],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "FLOODERS_KEY": key},
    )  # fmt: skip
    try:
        time.sleep(5)  # its burst is over, and it is at its rate
        yield
    finally:
        process.terminate()
        lines, _ = process.communicate()
        answered.update(json.loads(lines.strip().splitlines()[-1]))


def measure(pairs: int, seconds: float, limits: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        ward = a_ward_file(home, limits.replace(",", "\n")) if limits else None
        settings = Settings(home=home, port=free_port(), ward=ward)
        with network(settings):
            keys = tomllib.loads((home / "keys.toml").read_text())
            asyncio.run(others(settings.port, keys, 5, 0))  # warm
            quiet: list[list[float]] = []
            loud: list[list[float]] = []
            answered: Counter[str] = Counter()
            for pair in range(1, pairs + 1):
                quiet.append(asyncio.run(others(settings.port, keys, seconds, 2 * pair)))
                with flooded(settings.port, keys[FLOODER], pair, answered):
                    loud.append(asyncio.run(others(settings.port, keys, seconds, 2 * pair + 1)))
                ratio = p95(loud[-1]) / p95(quiet[-1])
                print(
                    f"pair {pair}: quiet {percentiles(quiet[-1])}  flooded "
                    f"{percentiles(loud[-1])} ms (p50/p95/p99)  p95 x{ratio:.2f}",
                    flush=True,
                )
                time.sleep(3)
    ratios = [p95(b) / p95(a) for a, b in zip(quiet, loud, strict=True)]
    print(f"all quiet   {percentiles([x for part in quiet for x in part])} ms")
    print(f"all flooded {percentiles([x for part in loud for x in part])} ms")
    print(f"others' p95, flooded / quiet: median of pairs x{statistics.median(ratios):.2f}")
    told = ", ".join(f"{status}: {count}" for status, count in sorted(answered.items()))
    print(f"the flooder was answered {told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20)
    tried = "other limits than the bundled ward's: requests_per_second=50,burst=100,at_once=2"
    parser.add_argument("--limits", default="", help=tried)
    parser.add_argument("--flood", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.flood:
        port, stretch = given.flood
        asyncio.run(flood(int(port), os.environ["FLOODERS_KEY"], stretch))
    else:
        measure(given.pairs, given.seconds, given.limits.replace("=", " = "))


if __name__ == "__main__":
    main()
