"""The intake service: what it is made of, and how it runs. Stateless but for its key store."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvicorn
from litestar import Litestar
from litestar.exceptions import HTTPException
from pydantic_core import to_json

from runtime.broker import Bus
from runtime.clock import Clock
from runtime.database import open_database
from runtime.keys import secret_bytes
from runtime.migrations import upgrade
from runtime.observability import log
from runtime.settings import Settings
from services.intake import responses
from services.intake.api import Api
from services.intake.authentication import Agencies, load_keys
from services.intake.desk import Desk
from services.intake.docs_page import docs_page
from services.intake.gateway import Gateway
from services.intake.identity import Names
from services.intake.key_store import KeyStore
from services.intake.metrics import Metrics
from services.intake.openapi import openapi_document
from wards.model import Ward

SERVICE = "intake"
MIGRATIONS = Path(__file__).with_name("migrations")
LARGEST_BODY = 1_048_576


def build(settings: Settings, ward: Ward, clock: Clock) -> Litestar:
    """The web application. Opens the key store; connects to the bus when it starts."""
    engine = open_database(settings.database_url("keys"))
    upgrade(engine, MIGRATIONS)
    keys = KeyStore(engine, secret_bytes(settings.keys / "key-encryption.key"))
    keys.check()
    names = Names(secret_bytes(settings.keys / "names.key"))
    gateway = Gateway(Bus(settings, SERVICE), ward.code)
    desk = Desk(ward, names, keys, gateway, clock)
    document = openapi_document()
    api = Api(
        desk,
        Agencies(load_keys(settings.home / "keys.toml", ward)),
        gateway,
        Metrics(),
        ward,
        clock,
        openapi=to_json(document),
        docs=docs_page(document).encode(),
    )

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        # In the background: the pages that say "not ready" must work before there is a broker.
        opening = asyncio.create_task(gateway.open())
        log("service_started", ward=ward.code)
        try:
            yield
        finally:
            opening.cancel()
            await gateway.close()
            engine.dispose()

    return Litestar(
        api.handlers(),
        lifespan=[lifespan],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=LARGEST_BODY,
        exception_handlers={
            HTTPException: responses.on_http_exception,
            Exception: responses.on_fault,
        },
    )


async def run(settings: Settings, ward: Ward, clock: Clock) -> None:
    """Serve until cancelled; then answer what has come, and end."""
    app = await asyncio.to_thread(build, settings, ward, clock)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals are the process's own affair (services.cli): they cancel ``run``.
        yield
