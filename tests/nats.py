"""A real nats-server for one test, and what talks through it in this process."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path

from runtime.broker import Bus
from runtime.nats_server import find_server, free_port
from runtime.settings import Settings
from schemas.logins import LOGINS, SERVICES, Login, Rights
from services.supervisor import nats_configuration

TESTER = Login("tester", SERVICES, Rights(publish=(">",), subscribe=(">",)))
"""Whom no network of ours has: it may say and hear everything that the services may."""


@contextlib.contextmanager
def a_nats_server(home: Path) -> Iterator[Settings]:
    """Configured as the network's own; gives the settings to connect with."""
    port = free_port()
    configuration = nats_configuration(home, port, (*LOGINS, TESTER))
    server = subprocess.Popen(
        # It goes when we do, however that is.
        [
            sys.executable,
            "-m",
            "runtime.tether",
            str(os.getpid()),
            find_server(),
            "-c",
            str(configuration),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Settings(
            home=home,
            nats_url=f"nats://127.0.0.1:{port}",
            nats_logins=home / "keys",
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
