"""The intake service: what it is made of, and how it runs. Stateless but for its key store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

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
from runtime.streams import Streams
from runtime.web import serve, web_server
from services.intake import responses
from services.intake.access.parts import open_door
from services.intake.api import Api
from services.intake.attachments.by_pieces import ByPieces
from services.intake.attachments.parts import open_attachments
from services.intake.by_nats import agencies_by_nats
from services.intake.checking import Checking
from services.intake.counter import Counter
from services.intake.desk import Desk
from services.intake.docs_page import docs_page
from services.intake.edge import Edge
from services.intake.fhir.handlers import Fhir
from services.intake.gateway import Gateway
from services.intake.identity import Names
from services.intake.inside import Inside
from services.intake.key_store import KeyStore
from services.intake.metrics import Metrics
from services.intake.openapi import openapi_document
from wards.model import Ward

SERVICE = "intake"
MIGRATIONS = Path(__file__).with_name("migrations")
LARGEST_BODY = 1_048_576


def build(settings: Settings, ward: Ward, clock: Clock) -> tuple[Litestar, Streams]:
    """The web application, and the streams that are to end before it does. Opens the key store;
    connects to the bus when it starts."""
    engine = open_database(settings.database_url("keys"))
    upgrade(engine, MIGRATIONS)
    keys = KeyStore(engine, secret_bytes(settings.keys / "key-encryption.key"))
    keys.check()
    names = Names(secret_bytes(settings.keys / "names.key"))
    bus = Bus(settings, SERVICE)
    gateway = Gateway(bus, ward.code)
    attachments = open_attachments(settings, ward, clock, engine, names, keys, gateway, bus)
    desk = Desk(ward, names, keys, gateway, clock, attachments.reader.scans_of)
    document = openapi_document()
    metrics = Metrics()
    attachments.tending.when_looked = metrics.unscanned.set
    door = open_door(settings, ward, clock, engine, metrics)
    edge = Edge(door.callers, metrics, door.turns)
    counter = Counter(desk, gateway, ward, clock)
    checking = Checking(edge, desk)
    calls = (*counter.services(), *checking.services())
    inside = Inside(bus, ward, door.callers, metrics, clock, calls)
    by_pieces = ByPieces(
        bus, ward.code, door.callers, inside.edge, attachments.keeper, attachments.reader
    )
    api = Api(
        edge,
        counter,
        desk,
        gateway,
        openapi=to_json(document),
        docs=docs_page(document).encode(),
    )
    streams = api.streams
    gateway.when_heard(streams.heard)
    door.watched.when_changed(streams.look_again)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        # In the background: the pages that say "not ready" must work before there is a broker.
        opening = asyncio.create_task(_open(gateway, inside, by_pieces))
        log("service_started", ward=ward.code)
        try:
            async with (
                streams.looking(),
                door.watched.watching(),
                attachments.tending.going_on(),
                agencies_by_nats(settings, ward, clock, door, edge, counter.services()),
            ):
                yield
        finally:
            opening.cancel()
            await by_pieces.close()
            await inside.close()
            await gateway.close()
            engine.dispose()

    app = Litestar(
        [
            *api.handlers(),
            *door.tokens.handlers(),
            *checking.handlers(),
            *Fhir(edge, desk, gateway, ward, clock).handlers(),
            *attachments.handlers(edge),
        ],
        lifespan=[lifespan],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=LARGEST_BODY,
        exception_handlers={
            HTTPException: responses.on_http_exception,
            Exception: responses.on_fault,
        },
    )
    return app, streams


async def _open(gateway: Gateway, inside: Inside, by_pieces: ByPieces) -> None:
    await gateway.open()
    await inside.open()
    await by_pieces.open()


async def run(settings: Settings, ward: Ward, clock: Clock) -> None:
    """Serve until cancelled; then answer what has come, and end."""
    app, streams = await asyncio.to_thread(build, settings, ward, clock)
    await serve(web_server(app, settings.host, settings.port, settings), streams)
