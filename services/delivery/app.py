"""The delivery service: what it is made of, and how it runs."""

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

import nats.errors
from sqlalchemy.engine import Connection

from runtime import dead_letters
from runtime.broker import Bus, ensure_stream, journals_stream
from runtime.clock import Clock
from runtime.database import writing
from runtime.journal import Publisher
from runtime.observability import log
from runtime.reading import Entry, JournalReader
from runtime.service import Service, running
from runtime.settings import Settings
from schemas import queries as q
from schemas import subjects
from services.delivery import tables as t
from services.delivery.inbox import Inboxes, check_entry
from services.delivery.mail import Mailer, Server
from services.delivery.outbox import Outbox
from services.delivery.queue import Queue
from services.delivery.record import Fact, Record
from wards.model import Ward

SERVICE = "delivery"
MIGRATIONS = Path(__file__).with_name("migrations")
_NUDGE = 1.0  # seconds that telling of new events may take


async def run(settings: Settings, ward: Ward, clock: Clock) -> None:
    """Serve until cancelled."""
    async with running(settings, SERVICE, ward.code, MIGRATIONS, t.journals.writer) as service:
        await _Delivery(settings, ward, clock, service).run()


class _Delivery:
    def __init__(self, settings: Settings, ward: Ward, clock: Clock, service: Service) -> None:
        self._settings = settings
        self._ward = ward
        self._engine = service.engine
        self._guard = service.sole.guard
        self._bus = service.bus
        server = Server.named_in(settings)
        self._inboxes = Inboxes(service.engine)
        self._queue = Queue(ward, clock)
        self._outbox = Outbox(service.engine, self._guard, ward, clock, sends=server is not None)
        self._mailer = Mailer(server, self._outbox, ward) if server else None
        self._record = Record(ward, clock, self._take_in)
        self._publisher = Publisher(
            service.bus,
            service.engine,
            t.journal,
            lambda kind: subjects.journal(ward.code, SERVICE, kind),
            self._provision,
        )
        self._reader = JournalReader(
            service,
            t.journals,
            clock,
            name=SERVICE,
            ward=ward.code,
            replicas=settings.replicas,
            # What it records itself is in the inboxes already.
            producers=tuple(p for p in subjects.PRODUCERS if p != SERVICE),
            check=check_entry,
            knows=self._inboxes.known_events,
            take_in=self._take_in,
            after=self._after,
        )

    async def run(self) -> None:
        code = self._ward.code
        self._bus.answer(subjects.query(code, SERVICE, "inbox"), q.ReadInbox, self._inboxes.read)
        self._bus.answer(subjects.query(code, SERVICE, "status"), q.AskStatus, self._status)
        self._publisher.answer_readers(code, SERVICE)
        await self._bus.start()
        log("service_started", ward=code)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reader.run())
            tasks.create_task(self._publisher.run())
            if self._mailer:
                tasks.create_task(self._mailer.run())

    async def _provision(self) -> None:
        facts = journals_stream(
            subjects.JOURNALS_STREAM, subjects.all_journals(), self._settings.replicas
        )
        await ensure_stream(self._bus.js, facts)

    # -- what comes in, and what happens here ----------------------------------------------------

    def _take_in(self, connection: Connection, entries: list[Entry]) -> None:
        self._queue.take_in(connection, self._inboxes.take_in(connection, entries))
        self._outbox.take_in(connection, entries)

    async def _after(self, entries: list[Entry]) -> None:
        if self._mailer:
            self._mailer.wake()
        await tell_of_new_events(self._bus, self._ward.code, entries)

    async def happened(self, facts: Sequence[Fact]) -> None:
        """Put facts of delivery's own on record, and tell whom they concern. Raises
        ``sqlalchemy.exc.DBAPIError``: then nothing is on record."""

        def write() -> list[Entry]:
            with writing(self._engine) as connection:
                self._guard(connection)
                return self._record.write(connection, facts)

        entries = await asyncio.to_thread(write)
        self._publisher.nudge()
        await self._after(entries)

    def _status(self, _: q.AskStatus) -> q.ServiceStatus:
        figures: dict[str, float] = {f"read_{name}": n for name, n in self._reader.read.items()}
        figures["dead_letters"] = dead_letters.count(self._engine, t.journals.dead_letters)
        figures |= self._outbox.figures()
        return q.ServiceStatus(service=SERVICE, ready=self._reader.whole, figures=figures)


async def tell_of_new_events(bus: Bus, ward: str, entries: list[Entry]) -> None:
    """A word to whoever waits for an agency's inbox. Nobody may hear it: they look again anyway."""
    grown = sorted({agency for entry in entries for agency in entry.value["concerns"]})
    with contextlib.suppress(nats.errors.Error, OSError):  # a TimeoutError is one
        async with asyncio.timeout(_NUDGE):
            for agency in grown:
                await bus.nc.publish(subjects.grew(ward, f"inbox.{agency}"), b"")
