"""Agencies by NATS: the warden and the door, put together. The services' own connection is the
gateway's; these are in the agencies' account, and in the server's own."""

import asyncio
import contextlib
import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from runtime.clock import Clock
from runtime.nats_issuer import KEY_FILE, Issuer
from runtime.observability import log
from runtime.settings import Settings
from services.intake.access.nats_clients import NatsClients
from services.intake.access.parts import Door as Access
from services.intake.counter import Service
from services.intake.door import Door
from services.intake.edge import Edge
from services.intake.warden import Warden
from wards.model import Ward


@contextlib.asynccontextmanager
async def agencies_by_nats(
    settings: Settings,
    ward: Ward,
    clock: Clock,
    access: Access,
    edge: Edge,
    services: tuple[Service, ...],
) -> AsyncIterator[None]:
    """While the service runs. Without logins there is nobody to tell agencies from one another, and
    no door."""
    if settings.nats_logins is None:
        yield
        return
    issuer = Issuer(settings.keys / KEY_FILE)
    if settings.nats_issuer_file is not None:
        await asyncio.to_thread(publish_issuer, settings.nats_issuer_file, issuer)
    calls = [(service.name, service.scope) for service in services]
    clients = NatsClients(ward, access.watched, access.callers, calls, clock)
    warden = Warden(settings, issuer, clients, ward.limits)
    door = Door(settings, ward, edge, services, clients, clock)
    access.watched.when_changed(warden.look_again)
    parts: list[Callable[[], Awaitable[None]]] = [warden.run]
    parts += [functools.partial(door.run, agency.id) for agency in ward.agencies]
    tasks = [asyncio.create_task(_kept(part)) for part in parts]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def publish_issuer(path: Path, issuer: Issuer) -> None:
    """For nats-server's configuration: written whole or not at all, and only when it is another."""
    if path.exists() and path.read_text(encoding="ascii").strip() == issuer.public:
        return
    made = path.with_name(f".{path.name}.{os.getpid()}")
    made.write_text(f"{issuer.public}\n", encoding="ascii")
    made.chmod(0o444)
    os.replace(made, path)


async def _kept(run: Callable[[], Awaitable[None]]) -> None:
    """A fault of ours must not shut the door until somebody starts the service again."""
    while True:
        try:
            await run()
        except Exception as error:
            log("nats_side_failed", fault=True, error=type(error).__name__)
            await asyncio.sleep(0.5)
