"""`make bench-catch-up`: an agency that was away for 100,000 events gets them, each way in one run.

The events are written into delivery's database as delivery itself writes them, before it starts; each
concerns an agency that has a webhook and one that fetches. Then the real delivery and intake start: the
webhook is drained first, and then, in turns, the inbox is fetched by pages and by one stream. Whoever
fetches reads the JSON, as a partner does, and finds the numbers without a hole.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path

from pydantic_core import from_json

from benchmarks.delivery import Endpoints, give_secrets
from benchmarks.journal import Journal, fill
from benchmarks.load import Connection
from benchmarks.processes import a_service, load_average, processor_time, stop
from benchmarks.streams import answers
from benchmarks.wards import a_ward_with
from runtime.database import open_database
from runtime.migrations import upgrade
from runtime.nats_server import free_port
from runtime.settings import Settings
from tests.databases import migrations
from tests.nats import a_nats_server
from wards.load import load_ward

FETCHES, TAKES = "bench-fetches", "bench-takes"
_LIMIT = 1000
_LONGEST_LINE = 1_048_576


async def by_page(port: int, key: str, events: int) -> None:
    connection = Connection("127.0.0.1", port)
    await connection.open()
    last = 0
    while True:
        path = f"/v1/inbox?after={last}&limit={_LIMIT}"
        status, answer, _ = await connection.get(path, f"Authorization: Bearer {key}\r\n")
        assert status == 200, (status, answer)
        items = from_json(answer)["items"]
        if not items:
            break
        for item in items:
            assert item["number"] == last + 1, (item["number"], last)
            last = item["number"]
    connection.close()
    assert last >= events, last


async def by_stream(port: int, key: str, events: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_LONGEST_LINE)
    writer.write(
        f"GET /v1/inbox?after=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        "Accept: text/event-stream\r\n\r\n".encode()
    )
    status = await reader.readline()
    assert status.startswith(b"HTTP/1.1 200 "), status
    last = 0
    # A chunk holds whole events, so its frame stands on lines of its own.
    while last < events:
        line = await reader.readline()
        assert line, "the stream ended"
        if line.startswith(b"data: {"):
            number = from_json(line[6:])["number"]
            assert number == last + 1, (number, last)
            last = number
    writer.close()


async def by_webhook(endpoints: Endpoints, events: int) -> None:
    came = 0
    while came < events:
        await asyncio.sleep(0.1)
        came += len(await asyncio.to_thread(endpoints.came))


async def measured(arguments: argparse.Namespace, folder: Path, endpoints: Endpoints) -> None:
    url = f"http://127.0.0.1:{endpoints.takes}/{TAKES}"
    path = a_ward_with(folder, {FETCHES: "", TAKES: url})
    ward, events = load_ward(path), arguments.events
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
        give_secrets(settings, engine, [TAKES])
        began = time.perf_counter()
        fill(engine, Journal(ward), (FETCHES, TAKES), events)
        engine.dispose()
        print(f"{events} events for 2 agencies written in {time.perf_counter() - began:.0f} s")
        began = time.perf_counter()
        delivery = a_service(settings, "delivery")
        services = [delivery]
        try:
            await by_webhook(endpoints, events)
            drained = time.perf_counter() - began
            spent = processor_time(delivery.pid)
            print(
                f"webhook: {events} events in {drained:.1f} s, {events / drained:,.0f}/s, "
                f"{spent / events * 1000:.2f} ms of delivery's processor each, its start included",
                flush=True,
            )
            intake = a_service(settings, "intake")
            services.insert(0, intake)
            await answers(settings)
            key = tomllib.loads((folder / "keys.toml").read_text())[FETCHES]
            ways: dict[str, Callable[[int, str, int], Awaitable[None]]] = {
                f"page of {_LIMIT}": by_page,
                "stream": by_stream,
            }
            took: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(arguments.rounds):
                for name, fetch in ways.items():
                    before = [processor_time(s.pid) for s in (delivery, intake)]
                    began = time.perf_counter()
                    await fetch(settings.port, key, events)
                    seconds = time.perf_counter() - began
                    took[name].append(seconds)
                    cost = [
                        (processor_time(s.pid) - at) / events * 1000
                        for s, at in zip((delivery, intake), before, strict=True)
                    ]
                    print(
                        f"{name}: {events} events in {seconds:.1f} s, {events / seconds:,.0f}/s, "
                        f"{cost[0]:.3f} + {cost[1]:.3f} ms of delivery's and intake's processor each",
                        flush=True,
                    )
        finally:
            stop(*services)
        page, stream = (statistics.median(seconds) for seconds in took.values())
        print(f"events/s by page / webhook: x{drained / page:.1f}")
        print(
            f"events/s by stream / webhook: x{drained / stream:.1f}, / page: x{page / stream:.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"load average at the start: {load_average()}", flush=True)
    endpoints = Endpoints()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            asyncio.run(measured(arguments, Path(folder), endpoints))
    finally:
        endpoints.close()


if __name__ == "__main__":
    main()
