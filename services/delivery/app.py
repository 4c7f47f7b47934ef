"""The delivery service: what it is made of, and how it runs."""

import asyncio
import contextlib
from pathlib import Path

import nats.errors
from sqlalchemy.engine import Connection

from runtime import dead_letters
from runtime.broker import Bus
from runtime.clock import Clock
from runtime.observability import log
from runtime.reading import Entry, JournalReader
from runtime.service import running
from runtime.settings import Settings
from schemas import queries as q
from schemas import subjects
from services.delivery import tables as t
from services.delivery.inbox import Inboxes, check_entry
from services.delivery.mail import Mailer, Server
from services.delivery.outbox import Outbox
from wards.model import Ward

SERVICE = "delivery"
MIGRATIONS = Path(__file__).with_name("migrations")
_NUDGE = 1.0  # seconds that telling of new events may take


async def run(settings: Settings, ward: Ward, clock: Clock) -> None:
    """Serve until cancelled."""
    server = Server.named_in(settings)
    async with running(settings, SERVICE, ward.code, MIGRATIONS, t.journals.writer) as service:
        engine, bus = service.engine, service.bus
        inboxes = Inboxes(engine)
        outbox = Outbox(engine, service.sole.guard, ward, clock, sends=server is not None)
        mailer = Mailer(server, outbox, ward) if server else None

        def take_in(connection: Connection, entries: list[Entry]) -> None:
            inboxes.take_in(connection, entries)
            outbox.take_in(connection, entries)

        async def after(entries: list[Entry]) -> None:
            if mailer:
                mailer.wake()
            await tell_of_new_events(bus, ward.code, entries)

        reader = JournalReader(
            service,
            t.journals,
            clock,
            name=SERVICE,
            ward=ward.code,
            replicas=settings.replicas,
            check=check_entry,
            knows=inboxes.known_events,
            take_in=take_in,
            after=after,
        )

        def status(_: q.AskStatus) -> q.ServiceStatus:
            figures: dict[str, float] = {f"read_{name}": n for name, n in reader.read.items()}
            figures["dead_letters"] = dead_letters.count(engine, t.journals.dead_letters)
            figures |= outbox.figures()
            return q.ServiceStatus(service=SERVICE, ready=reader.whole, figures=figures)

        bus.answer(subjects.query(ward.code, SERVICE, "inbox"), q.ReadInbox, inboxes.read)
        bus.answer(subjects.query(ward.code, SERVICE, "status"), q.AskStatus, status)
        await bus.start()
        log("service_started", ward=ward.code)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(reader.run())
            if mailer:
                tasks.create_task(mailer.run())


async def tell_of_new_events(bus: Bus, ward: str, entries: list[Entry]) -> None:
    """A word to whoever waits for an agency's inbox. Nobody may hear it: they look again anyway."""
    grown = sorted({agency for entry in entries for agency in entry.value["concerns"]})
    with contextlib.suppress(nats.errors.Error, OSError):  # a TimeoutError is one
        async with asyncio.timeout(_NUDGE):
            for agency in grown:
                await bus.nc.publish(subjects.grew(ward, f"inbox.{agency}"), b"")
