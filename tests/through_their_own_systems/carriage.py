"""Delivery's carrying without the bus: real database, real HTTP, a clock that tests move."""

import contextlib
import itertools
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from standardwebhooks import Webhook

from runtime.clock import Clock, ManualClock
from runtime.database import reading, writing
from runtime.reading import Entry
from runtime.sole_writer import SoleWriter
from schemas import events as e
from schemas.deliveries import DeliveryTested
from schemas.journal import JournalEntry
from services.delivery import tables as t
from services.delivery.addresses import Destinations, Lookup, system_lookup
from services.delivery.dispatcher import Dispatcher
from services.delivery.inbox import Inboxes
from services.delivery.lane import Lane
from services.delivery.notes import Noted, Notes
from services.delivery.outbox import Outbox
from services.delivery.queue import Queue, Waiting
from services.delivery.record import Fact, Record
from services.delivery.upkeep import Upkeep
from services.delivery.webhook import WebhookCarrier, trusted
from tests.book import as_read
from tests.builders import BUNKYO, an_id
from tests.nats import meanwhile
from tests.through_their_own_systems.receivers import SECRET, Receiver
from wards.delivery import ByWebhook
from wards.model import Ward

HOME, HOSPITAL, LIEN = "sample-home", "sample-hospital", "lien-bunkyo"


def ward_with(urls: dict[str, str], **delivery: Any) -> Ward:
    """The sample ward, in which these agencies have webhooks."""
    agencies = tuple(
        agency.model_copy(update={"delivery": ByWebhook(way="webhook", url=urls[agency.id])})
        if agency.id in urls
        else agency
        for agency in BUNKYO.agencies
    )
    said = {name: getattr(BUNKYO, name) for name in Ward.model_fields}
    rules = BUNKYO.delivery.model_copy(update=delivery)
    return Ward(**{**said, "agencies": agencies, "delivery": rules})


class Secrets:
    """What each agency's posts are signed with."""

    def __init__(self) -> None:
        self.by_agency: dict[str, list[str]] = {}

    def of(self, agency: str) -> list[Webhook]:
        return [Webhook(secret) for secret in self.by_agency.get(agency, [SECRET])]


class Cases:
    """Referrals that go on and on: ``one("a", HOME)`` is the next event of case a."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._versions: dict[str, itertools.count[int]] = {}

    def one(self, case: str, *concerns: str) -> JournalEntry:
        number = next(self._numbers)
        versions = self._versions.setdefault(case, itertools.count(1))
        return JournalEntry(
            ward=BUNKYO.code,
            producer="referral",
            number=number,
            id=uuid5(thread_of(case), f"{number}"),
            referral=thread_of(case),
            version=next(versions),
            occurred_at=self._clock.now(),
            actor="anshin-motofuji",
            command=uuid5(thread_of(case), f"command {number}"),
            concerns=tuple(sorted(concerns)),
            event=e.NoteAdded(note=uuid5(thread_of(case), f"note {number}"), by="anshin-motofuji"),
        )


def thread_of(case: str) -> UUID:
    return an_id(f"case {case}")


class Carriage:
    def __init__(
        self,
        engine: Engine,
        clock: ManualClock,
        receivers: Mapping[str, Receiver | str],
        *,
        lookup: Lookup = system_lookup,
        trust: ssl.SSLContext | None = None,
        patience: float = 10.0,
        mails: bool = False,
        **delivery: Any,
    ) -> None:
        urls = {a: r.url if isinstance(r, Receiver) else r for a, r in receivers.items()}
        self.ward = ward_with(urls, **delivery)
        self.engine, self.clock = engine, clock
        self._lookup, self._trust, self._patience = lookup, trust, patience
        self.secrets = Secrets()
        self.sole = SoleWriter(engine, t.journals.writer, "delivery")
        self.queue = Queue(engine, self.sole.guard, self.ward, clock)
        self.upkeep = Upkeep(engine, self.sole.guard, self.ward, clock)
        self._inboxes = Inboxes(engine)
        self.outbox = Outbox(engine, self.sole.guard, self.ward, clock, sends=mails)
        self.record = Record(self.ward, clock, self._take_in)
        self.notes = Notes(engine, self.sole.guard, self.ward, clock, self.record)
        self.dispatcher = self._dispatcher()

    def _dispatcher(self) -> Dispatcher:
        webhook = WebhookCarrier(
            self.ward,
            self.secrets,
            Destinations(5, self.ward.delivery.private_hosts, self._lookup),
            trust=self._trust or trusted(None),
            patience=self._patience,
        )
        self.webhook = webhook
        carriers = {"webhook": webhook}
        return Dispatcher(
            self.ward, self.clock, self.queue, self.notes, self.upkeep, carriers, self._after
        )

    def __enter__(self) -> "Carriage":
        return self

    def __exit__(self, *_: object) -> None:
        self.sole.release()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Dispatcher]:
        """One process that carries."""
        async with meanwhile(self.dispatcher.run()):
            yield self.dispatcher
        self.dispatcher = self._dispatcher()

    def take_in(self, *entries: JournalEntry) -> None:
        """One batch, as the reader takes it in."""
        self.commit(*entries)
        self.dispatcher.committed({str(entry.id) for entry in entries})

    def commit(self, *entries: JournalEntry) -> None:
        """The same, without a word to the lanes."""
        with writing(self.engine) as connection:
            self.number(connection, *entries)

    def number(self, connection: sa.Connection, *entries: JournalEntry) -> None:
        self.sole.guard(connection)
        waiting = self._take_in(connection, [as_read(entry) for entry in entries])
        self.dispatcher.numbered(waiting)

    def lane(self, agency: str) -> Lane:
        return self.dispatcher.lanes[agency]

    def test(self, agency: str) -> None:
        """A test event for an agency."""
        tested = DeliveryTested(agency=agency, daily=False)
        with writing(self.engine) as connection:
            self.record.write(connection, [Fact(tested, concerns=(agency,))])
        self.dispatcher.wake([agency])

    def move(self, **by: float) -> None:
        self.clock.move(timedelta(**by))

    def rows(self, table: sa.Table = t.deliveries) -> list[Any]:
        with reading(self.engine) as connection:
            return list(connection.execute(sa.select(table).order_by(*table.primary_key)))

    def row(self, agency: str, number: int) -> Any:
        return next(r for r in self.rows() if (r.agency, r.number) == (agency, number))

    def delivered(self, agency: str) -> list[int]:
        return [r.number for r in self.rows() if r.agency == agency and r.delivered_at]

    def facts(self, kind: str) -> list[Any]:
        """What is on delivery's own record of one type."""
        rows = self.rows(t.journal.journal)
        return [row for row in rows if row.type == kind]

    def _take_in(self, connection: sa.Connection, entries: Sequence[Entry]) -> list[Waiting]:
        waiting = self.queue.take_in(connection, self._inboxes.take_in(connection, entries))
        self.outbox.take_in(connection, list(entries))
        return waiting

    async def _after(self, noted: Noted) -> None:
        agencies = {agency for entry in noted.entries for agency in entry.value["concerns"]}
        self.dispatcher.wake(agencies)
