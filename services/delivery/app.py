"""The delivery service: what it is made of, and how it runs."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import nats.errors
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from runtime import dead_letters
from runtime.broker import Bus, ensure_stream, journals_stream
from runtime.clock import Clock, NeverBackwards
from runtime.credentials import Credentials
from runtime.database import writing
from runtime.journal import Publisher
from runtime.keys import KeyFileError
from runtime.observability import log
from runtime.reading import Entry, JournalReader
from runtime.sealed_credentials import CredentialSeal
from runtime.service import Service, running
from runtime.settings import Settings
from runtime.watched_credentials import WatchedCredentials
from schemas import queries as q
from schemas import subjects
from services.delivery import tables as t
from services.delivery.addresses import Destinations
from services.delivery.by_nats import ByNats
from services.delivery.carrier import Carrier
from services.delivery.dispatcher import Dispatcher
from services.delivery.inbox import Inboxes, check_entry
from services.delivery.mail import Mailer, Server
from services.delivery.manifest import Decide, Manifests
from services.delivery.manifest_keys import ManifestKeys
from services.delivery.notes import Noted, Notes
from services.delivery.outbox import Outbox
from services.delivery.peacetime import Peacetime
from services.delivery.queue import Queue, Waiting
from services.delivery.record import Record
from services.delivery.redriver import Redriver
from services.delivery.upkeep import Upkeep
from services.delivery.webhook import SealedSecrets, WebhookCarrier, trusted
from wards.delivery import ByWebhook
from wards.model import Ward

SERVICE = "delivery"
MIGRATIONS = Path(__file__).with_name("migrations")
_SWITCH = 0.0005  # seconds; the database's threads must not hold up a thousand posts a second
_NUDGE = 1.0  # seconds that telling of new events may take
_LOOK = 0.3  # seconds between looks at what a day or an operator asks for


async def run(settings: Settings, ward: Ward, clock: Clock) -> None:
    """Serve until cancelled."""
    sys.setswitchinterval(_SWITCH)
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
        self._keys = ManifestKeys(settings.keys, clock)
        self._manifests = Manifests(service.engine, self._inboxes, self._keys, ward, clock)
        self._peacetime = Peacetime(service.engine, self._inboxes, ward, clock)
        self._faults: dict[str, str] = {}
        self._loop = asyncio.get_running_loop()
        steady = NeverBackwards(clock)  # what is due stays due when the host's clock is set back
        self._queue = Queue(service.engine, self._guard, ward, steady)
        self._outbox = Outbox(service.engine, self._guard, ward, clock, sends=server is not None)
        self._mailer = Mailer(server, self._outbox, ward) if server else None
        self._record = Record(ward, clock, self._take_in)
        self._credentials = WatchedCredentials(Credentials(service.engine, t.credentials, clock))
        notes = Notes(service.engine, self._guard, ward, steady, self._record)
        self._upkeep = Upkeep(service.engine, self._guard, ward, steady)
        self.dispatcher = Dispatcher(
            ward, steady, self._queue, notes, self._upkeep, self._carriers(), self._after_noting
        )
        self._redriver = Redriver(
            service.engine, ward, steady, self._write, self.dispatcher.carry_again
        )
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
            producers=tuple(p for p in subjects.TOLD_TO_AGENCIES if p != SERVICE),
            check=check_entry,
            knows=self._inboxes.known_events,
            take_in=self._take_in_journals,
            after=self._after_journals,
        )

    async def run(self) -> None:
        code = self._ward.code
        self._bus.answer(subjects.query(code, SERVICE, "inbox"), q.ReadInbox, self._inboxes.read)
        self._bus.answer(subjects.query(code, SERVICE, "status"), q.AskStatus, self._status)
        self._answer_of_proofs()
        self._publisher.answer_readers(code, SERVICE)
        await self._try(self._manifests.hand_out)
        # Before anything new is taken in: what was missed while nobody took anything in then speaks
        # of the inboxes as they were.
        await self._try(self._manifests.sign_days, self._write)
        # Or what waits would find nothing to sign with, and be put off.
        await asyncio.to_thread(self._credentials.refresh)
        await self._bus.start()
        log("service_started", ward=code)
        async with self._credentials.watching(), asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reader.run())
            tasks.create_task(self._publisher.run())
            tasks.create_task(self.dispatcher.run())
            tasks.create_task(self._keep_days())
            tasks.create_task(self._redriver.run())
            if self._mailer:
                tasks.create_task(self._mailer.run())

    def _carriers(self) -> dict[str, Carrier]:
        """By the name of the way in the ward file."""
        ward, settings = self._ward, self._settings
        webhooks = sum(isinstance(agency.delivery, ByWebhook) for agency in ward.agencies)
        seal = CredentialSeal(settings.keys / "delivery.key")
        webhook = WebhookCarrier(
            ward,
            SealedSecrets(self._credentials, seal),
            Destinations(webhooks, ward.delivery.private_hosts),
            trust=trusted(settings.webhook_ca),
        )
        return {"webhook": webhook, "nats": ByNats(settings, ward.code)}

    async def _provision(self) -> None:
        facts = journals_stream(
            subjects.JOURNALS_STREAM, subjects.all_journals(), self._settings.replicas
        )
        await ensure_stream(self._bus.js, facts)

    # -- what comes in, and what happens here ----------------------------------------------------

    def _take_in(self, connection: Connection, entries: list[Entry]) -> list[Waiting]:
        waiting = self._queue.take_in(connection, self._inboxes.take_in(connection, entries))
        self._outbox.take_in(connection, entries)
        return waiting

    def _take_in_journals(self, connection: Connection, entries: list[Entry]) -> None:
        self.dispatcher.numbered(self._take_in(connection, entries))

    async def _after_journals(self, entries: list[Entry]) -> None:
        self.dispatcher.committed({entry.value["id"] for entry in entries})
        await self._tell(entries)

    async def _after(self, entries: list[Entry]) -> None:
        self.dispatcher.wake({agency for entry in entries for agency in entry.value["concerns"]})
        await self._tell(entries)

    async def _tell(self, entries: list[Entry]) -> None:
        if self._mailer:
            self._mailer.wake()
        await tell_of_new_events(self._bus, self._ward.code, entries)

    async def _after_noting(self, noted: Noted) -> None:
        self._publisher.nudge()
        await self._after(noted.entries)

    def _write(self, decide: Decide) -> list[Entry]:
        """The same of what is decided in the transaction that writes it. Called in a worker thread."""
        with writing(self._engine) as connection:
            self._guard(connection)
            entries = self._record.write(connection, decide(connection))
        if entries:
            self._loop.call_soon_threadsafe(self._publisher.nudge)
            asyncio.run_coroutine_threadsafe(self._after(entries), self._loop)
        return entries

    def _answer_of_proofs(self) -> None:
        """Manifests and tests that somebody asks for."""
        manifests, peacetime, write = self._manifests, self._peacetime, self._write
        for name, question, answer in (
            ("manifest", q.ReadManifest, manifests.read),
            ("sign_manifest", q.SignManifest, lambda asked: manifests.sign(asked, write)),
            ("test", q.SendTest, lambda asked: peacetime.test(asked, write)),
            ("read_test", q.ReadTest, peacetime.read),
        ):
            self._bus.answer(subjects.query(self._ward.code, SERVICE, name), question, answer)

    async def _keep_days(self) -> None:
        """What is due once a day, and what operators ask for on the command line."""
        while True:
            for act in (
                self._manifests.sign_days,
                self._peacetime.test_today,
                self._peacetime.test_as_asked,
            ):
                await self._try(act, self._write)
            await asyncio.sleep(_LOOK)

    async def _try(self, act: Callable[..., object], *arguments: object) -> None:
        """Evidence never stops service: what fails has written nothing, and is tried again at the next
        look. The log has a line for each fault, not for each look."""
        name, fault = act.__name__, ""
        try:
            await asyncio.to_thread(act, *arguments)
        except sa.exc.SQLAlchemyError as error:
            fault = type(error).__name__
        except KeyFileError as error:
            fault = str(error)
        if fault and self._faults.get(name) != fault:
            log("daily_work_failed", level=logging.ERROR, work=name, error=fault)
        self._faults[name] = fault

    def _status(self, _: q.AskStatus) -> q.ServiceStatus:
        figures: dict[str, float] = {f"read_{name}": n for name, n in self._reader.read.items()}
        figures["dead_letters"] = dead_letters.count(self._engine, t.journals.dead_letters)
        figures |= self._outbox.figures()
        figures |= self._upkeep.figures()
        return q.ServiceStatus(service=SERVICE, ready=self._reader.whole, figures=figures)


async def tell_of_new_events(bus: Bus, ward: str, entries: list[Entry]) -> None:
    """A word to whoever waits for an agency's inbox. Nobody may hear it: they look again anyway."""
    grown = sorted({agency for entry in entries for agency in entry.value["concerns"]})
    with contextlib.suppress(nats.errors.Error, OSError):  # a TimeoutError is one
        async with asyncio.timeout(_NUDGE):
            for agency in grown:
                await bus.nc.publish(subjects.grew(ward, f"inbox.{agency}"), b"")
