"""A real nats-server for one test, and what talks through it in this process."""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path

from runtime.broker import Bus
from runtime.nats_server import find_server, free_port, write_configuration
from runtime.settings import Settings


@contextlib.contextmanager
def a_nats_server(home: Path) -> Iterator[Settings]:
    """Configured as the network's own; gives the settings to connect with."""
    port, password = free_port(), home / "keys" / "nats.password"
    configuration = write_configuration(home, port, "tsunagu", password)
    server = subprocess.Popen(
        [find_server(), "-c", str(configuration)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Settings(
            home=home,
            nats_url=f"nats://127.0.0.1:{port}",
            nats_user="tsunagu",
            nats_password_file=password,
        )
    finally:
        server.terminate()
        server.wait()


@contextlib.asynccontextmanager
async def connected(settings: Settings, name: str) -> AsyncIterator[Bus]:
    bus = Bus(settings, name)
    await bus.connect()
    try:
        yield bus
    finally:
        await bus.close()


@contextlib.asynccontextmanager
async def meanwhile(*works: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run coroutines beside the block; a fault in one of them is a fault of the test."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait for something to become true; that it does is the proof, how soon is not."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it did not come true in time"
        await asyncio.sleep(0.01)
