"""The console: what it is made of, and how it runs. Its pages are rooms (部屋); each has handlers."""

import asyncio
from pathlib import Path
from typing import Any

from litestar import Litestar, Response, get
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from runtime.broker import ensure_stream, journals_stream
from runtime.clock import Clock
from runtime.journal import Publisher
from runtime.keys import secret_bytes
from runtime.observability import log
from runtime.service import Service, running
from runtime.settings import Settings
from runtime.streams import Streams
from runtime.web import serve, web_server
from schemas import queries as q
from schemas import subjects
from services.console import tables as t
from services.console.board.pages import Board
from services.console.deeds import Deeds
from services.console.inbox.pages import Inbox
from services.console.inbox.seen import Seen
from services.console.line import Line
from services.console.looks import Looks
from services.console.metrics import Metrics
from services.console.pages import Pages
from services.console.people.pages import SignIn
from services.console.people.people import People
from services.console.reception import Reception
from services.console.refer.drafts import Drafts
from services.console.refer.pages import Refer
from services.console.referral.pages import ReferralRoom
from services.console.replay.pages import Replay
from services.console.ward.pages import WardRoom
from wards.model import Ward

SERVICE = "console"
MIGRATIONS = Path(__file__).with_name("migrations")
LARGEST_FORM = 1_048_576


async def run(settings: Settings, ward: Ward, clock: Clock) -> None:
    """Serve until cancelled."""
    async with running(settings, SERVICE, ward.code, MIGRATIONS, t.writer) as service:
        await Console(settings, ward, clock, service).run()


class Console:
    def __init__(self, settings: Settings, ward: Ward, clock: Clock, service: Service) -> None:
        self._settings = settings
        self._ward = ward
        self._bus = service.bus
        self._publisher = Publisher(
            service.bus,
            service.engine,
            t.journal,
            lambda kind: subjects.journal(ward.code, SERVICE, kind),
            self._provision,
        )
        secret = secret_bytes(settings.keys / "console.key")
        metrics = Metrics()
        self._metrics = metrics
        self._line = line = Line(service.bus, ward.code)
        self._streams = streams = Streams(line, metrics.streams_open)
        line.when_heard(streams.heard)
        pages = Pages(ward, settings)
        self._people = people = People(service.engine, ward, clock)
        self._reception = reception = Reception(
            settings, ward, clock, people, pages, metrics, secret
        )
        self._looks = looks = Looks(
            service.engine, service.sole.guard, ward, clock, self._publisher.nudge
        )
        drafts = Drafts(service.engine, clock, secret_bytes(settings.keys / "drafts.key"))
        # The rooms.
        self._handlers: list[HTTPRouteHandler] = [
            *pages.handlers(),
            *SignIn(settings, ward, clock, reception, pages, people).handlers(),
            *Board(ward, clock, reception, pages, line, streams, people, looks).handlers(),
            *Refer(reception, pages, line, drafts).handlers(),
            *Deeds(reception, pages, line).handlers(),
            *Inbox(ward, reception, pages, line, streams, people, Seen(service.engine)).handlers(),
            *ReferralRoom(service.engine, ward, clock, reception, pages, line, looks).handlers(),
            *WardRoom(ward, clock, reception, pages, line, looks).handlers(),
            *Replay(ward, clock, reception, pages, line, looks).handlers(),
            *self._open_pages(),
            reception.nowhere(),
        ]

    def app(self) -> Litestar:
        return Litestar(
            self._handlers,
            openapi_config=None,
            logging_config=None,
            request_max_body_size=LARGEST_FORM,
            exception_handlers={
                HTTPException: self._reception.on_http_exception,
                Exception: self._reception.on_fault,
            },
        )

    async def run(self) -> None:
        code = self._ward.code
        self._bus.answer(subjects.query(code, SERVICE, "status"), q.AskStatus, self._status)
        self._publisher.answer_readers(code, SERVICE)
        await self._bus.start()
        await self._line.open()
        log("service_started", ward=code)
        server = web_server(self.app(), self._settings.host, self._settings.console_port)
        publishing = asyncio.create_task(self._publisher.run())
        watching = asyncio.create_task(self._people.watching(self._streams.look_again))
        try:
            async with self._streams.looking():
                await serve(server, self._streams)
        finally:
            for task in (publishing, watching):
                task.cancel()
            await asyncio.gather(publishing, watching, return_exceptions=True)

    async def _provision(self) -> None:
        facts = journals_stream(
            subjects.JOURNALS_STREAM, subjects.all_journals(), self._settings.replicas
        )
        await ensure_stream(self._bus.js, facts)

    def _status(self, _: q.AskStatus) -> q.ServiceStatus:
        return q.ServiceStatus(service=SERVICE, ready=True)

    def _open_pages(self) -> list[HTTPRouteHandler]:
        @get("/healthz", name="healthz")
        async def healthz() -> Response[Any]:
            return Response(b'{"alive":true}', media_type="application/json")

        @get("/readyz", name="readyz")
        async def readyz() -> Response[Any]:
            ready = self._line.is_open
            body = b'{"ready":true}' if ready else b'{"ready":false}'
            return Response(body, status_code=200 if ready else 503, media_type="application/json")

        @get("/metrics", name="metrics")
        async def metrics() -> Response[Any]:
            return Response(self._metrics.page(), media_type="text/plain; version=0.0.4")

        return [healthz, readyz, metrics]
