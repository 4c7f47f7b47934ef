"""The delivery service: what it is made of, and how it runs."""

from pathlib import Path

from runtime import dead_letters
from runtime.clock import Clock
from runtime.observability import log
from runtime.reading import JournalReader
from runtime.service import running
from runtime.settings import Settings
from schemas import queries as q
from schemas import subjects
from services.delivery import tables as t
from services.delivery.inbox import Inboxes, check_entry
from wards.model import Ward

SERVICE = "delivery"
MIGRATIONS = Path(__file__).with_name("migrations")


async def run(settings: Settings, ward: Ward, clock: Clock) -> None:
    """Serve until cancelled."""
    async with running(settings, SERVICE, ward.code, MIGRATIONS, t.journals.writer) as service:
        engine, bus = service.engine, service.bus
        inboxes = Inboxes(engine)
        reader = JournalReader(
            service,
            t.journals,
            clock,
            name=SERVICE,
            ward=ward.code,
            replicas=settings.replicas,
            check=check_entry,
            knows=inboxes.known_events,
            take_in=inboxes.take_in,
        )

        def status(_: q.AskStatus) -> q.ServiceStatus:
            figures: dict[str, float] = {f"read_{name}": n for name, n in reader.read.items()}
            figures["dead_letters"] = dead_letters.count(engine, t.journals.dead_letters)
            return q.ServiceStatus(service=SERVICE, ready=reader.whole, figures=figures)

        bus.answer(subjects.query(ward.code, SERVICE, "inbox"), q.ReadInbox, inboxes.read)
        bus.answer(subjects.query(ward.code, SERVICE, "status"), q.AskStatus, status)
        await bus.start()
        log("service_started", ward=ward.code)
        await reader.run()
