"""A real mail server on loopback, calls written by hand, and delivery's mails on a real database."""

import asyncio
import contextlib
import email
import email.policy
import itertools
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import sqlalchemy as sa
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy.engine import Engine

from runtime.clock import Clock
from runtime.database import reading, writing
from runtime.nats_server import free_port
from runtime.settings import Settings
from runtime.sole_writer import SoleWriter
from schemas import events as e
from schemas.codes import ClockKind, Disposition, Urgency
from schemas.due import Due
from schemas.journal import JournalEntry
from services.delivery import tables as t
from services.delivery.inbox import Inboxes
from services.delivery.mail import PATIENCE, Mailer, Server
from services.delivery.outbox import Outbox
from tests.book import as_read
from tests.nats import meanwhile
from wards import Ward, bundled_ward, load_ward

BUNKYO: Ward = load_ward(bundled_ward())
DESK, ON_CALL, NIGHT, ABUSE = "core-desk", "core-on-call", "ward-night", "abuse-centre"
SENDER = "tsunagu@bunkyo.example"


def address(desk: str, ward: Ward = BUNKYO) -> str:
    named = ward.desk(desk)
    assert named is not None
    assert named.mail is not None
    return named.mail


@dataclass(frozen=True)
class Received:
    to: str
    message: EmailMessage
    tls: bool

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def id(self) -> str:
        return str(self.message["Message-ID"])

    @property
    def text(self) -> str:
        return str(self.message.get_content())

    @property
    def whole(self) -> str:
        """Everything that was sent, decoded."""
        headers = "\n".join(f"{name}: {value}" for name, value in self.message.items())
        return f"{headers}\n\n{self.text}"


class _Listening(Controller):
    """Leaves no connection open behind it."""

    def factory(self) -> SMTP:
        session: SMTP = super().factory()
        self.sessions = [*getattr(self, "sessions", []), session]
        return session

    async def hang_up(self) -> None:
        for session in self.sessions:
            if session.transport is not None:
                session.transport.abort()
        for _ in range(3):
            await asyncio.sleep(0)


class PostOffice:
    """Keeps what it accepts. It refuses or leaves hanging whom a test names; ``on_data`` is called
    when a mail is here and its sender does not know yet."""

    def __init__(self, port: int | None = None, **how: Any) -> None:
        self.port = port or free_port()
        self.mails: list[Received] = []
        self.refused: dict[str, str] = {}
        self.refused_senders: str | None = None
        self.refused_data: str | None = None
        self.hanging: set[str] = set()
        self.knocked = 0
        self.on_data: Callable[[], None] = lambda: None
        self._how = how
        self._controller: _Listening | None = None

    def open(self) -> None:
        self._controller = _Listening(self, hostname="127.0.0.1", port=self.port, **self._how)
        self._controller.start()
        self.knocked = 0  # the controller's own first call

    def close(self) -> None:
        if self._controller is not None:
            hang_up = asyncio.run_coroutine_threadsafe(
                self._controller.hang_up(), self._controller.loop
            )
            hang_up.result(10)
            self._controller.stop()
            self._controller = None

    def settings(self, **more: Any) -> Settings:
        given: dict[str, Any] = {
            "smtp": f"127.0.0.1:{self.port}",
            "mail_from": SENDER,
            "smtp_tls": "none",
        }
        return Settings(**(given | more))

    def to(self, desk: str) -> list[Received]:
        return [mail for mail in self.mails if mail.to == address(desk)]

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, host: str, lines: list[str]
    ) -> list[str]:
        self.knocked += 1
        session.host_name = host
        return lines

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, sender: str, options: list[str]
    ) -> str:
        if self.refused_senders is not None:
            return self.refused_senders
        envelope.mail_from = sender
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, to: str, options: list[str]
    ) -> str:
        if to in self.hanging:
            await asyncio.Event().wait()
        if to in self.refused:
            return self.refused[to]
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.refused_data is not None:
            return self.refused_data
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        for to in envelope.rcpt_tos:
            self.mails.append(Received(to, message, session.ssl is not None))
        self.on_data()
        return "250 OK"


@contextlib.contextmanager
def open_post_office(**how: Any) -> Iterator[PostOffice]:
    office = PostOffice(**how)
    office.open()
    try:
        yield office
    finally:
        office.close()


@contextlib.contextmanager
def one_that_never_says_a_word() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port: int = silent.getsockname()[1]
        yield port


_numbers = itertools.count(1)


class Journal:
    """One referral's entries, written by hand as the deciding service writes them."""

    def __init__(self, clock: Clock, name: str = "case", first: int = 1) -> None:
        self.clock = clock
        self.referral = uuid5(NAMESPACE_OID, name)
        self.count = next(_numbers)
        self.number = f"131059-2026-{self.count:06}"
        self.first = first
        self.entries: list[JournalEntry] = []

    def happens(self, event: e.Event, *concerns: str) -> JournalEntry:
        number = self.first + len(self.entries)
        entry = JournalEntry(
            ward=BUNKYO.code,
            producer="referral",
            number=number,
            id=uuid5(self.referral, f"{self.number} {number}"),
            referral=self.referral,
            version=len(self.entries) + 1,
            occurred_at=self.clock.now(),
            actor="network",
            command=uuid5(self.referral, f"command {number}"),
            concerns=concerns or ("core",),
            event=event,
        )
        self.entries.append(entry)
        return entry

    def submitted(self, **fields: Any) -> JournalEntry:
        given: dict[str, Any] = {
            "number": self.number,
            "sender": "anshin-motofuji",
            "function": "emergency",
            "urgency": Urgency.EMERGENCY,
            "consent_basis": "C2",
        }
        return self.happens(e.ReferralSubmitted(**(given | fields)), "anshin-motofuji")

    def call(self, name: str = "call") -> UUID:
        return uuid5(self.referral, name)

    def due(self, minutes: int = 15, rule: str = "E07.acknowledge") -> Due:
        at = self.clock.now() + timedelta(minutes=minutes)
        return Due(at=at, rule=rule, clock=ClockKind.WALL, minutes=minutes)

    def raised(
        self, desk: str | None = DESK, code: str = "E07", call: str = "call", **fields: Any
    ) -> JournalEntry:
        given: dict[str, Any] = {
            "escalation": self.call(call),
            "code": code,
            "by": "network",
            "desk": desk,
            "to": "core",
            "due": self.due(),
        }
        return self.happens(e.EscalationRaised(**(given | fields)), "core", "hub-motofuji")

    def passed_on(self, desk: str, level: int = 2) -> JournalEntry:
        return self.happens(
            e.EscalationPassedOn(
                escalation=self.call(),
                level=level,
                desk=desk,
                to="core",
                due=self.due(45),
                overdue_since=self.clock.now(),
            )
        )

    def acknowledged(self) -> JournalEntry:
        return self.happens(
            e.EscalationAcknowledged(
                escalation=self.call(), by="core", custodian="core", due=self.due(1440)
            )
        )

    def resolved(self) -> JournalEntry:
        return self.happens(
            e.EscalationResolved(
                escalation=self.call(), by="core", disposition=Disposition.REASSIGNED
            )
        )


class Delivery:
    """Delivery's mails without the bus. ``process`` runs one process that sends them."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        settings: Settings,
        *,
        ward: Ward = BUNKYO,
        patience: float = PATIENCE,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.engine, self.ward = engine, ward
        self._patience, self._trust = patience, trust
        self._server = Server.named_in(settings)
        self.sole = SoleWriter(engine, t.journals.writer, "delivery")
        self.outbox = Outbox(engine, self.sole.guard, ward, clock, sends=self._server is not None)

    def __enter__(self) -> "Delivery":
        return self

    def __exit__(self, *_: object) -> None:
        self.sole.release()

    def take_in(self, *entries: JournalEntry) -> None:
        """One batch, as the reader takes it in."""
        read = [as_read(entry) for entry in entries]
        with writing(self.engine) as connection:
            self.sole.guard(connection)
            Inboxes(self.engine).take_in(connection, read)
            self.outbox.take_in(connection, read)

    @contextlib.asynccontextmanager
    async def process(self) -> AsyncIterator[Mailer]:
        assert self._server is not None
        mailer = Mailer(
            self._server, self.outbox, self.ward, patience=self._patience, trust=self._trust
        )
        async with meanwhile(mailer.run()):
            yield mailer

    def rows(self, table: sa.Table) -> list[Any]:
        with reading(self.engine) as connection:
            return list(connection.execute(sa.select(table).order_by(*table.primary_key)))

    def dead_letters(self) -> list[tuple[str, str, bytes]]:
        rows = self.rows(t.journals.dead_letters)
        return [(row.subject, row.reason, bytes(row.body)) for row in rows]

    def counted(self) -> tuple[float, float, float]:
        """Waiting, sent, given up."""
        figures = self.outbox.figures()
        return figures["mails_waiting"], figures["mails_sent"], figures["mails_given_up"]

    def failures(self) -> list[int]:
        """How often each mail that waits was tried."""
        return sorted(row.attempts for row in self.rows(t.mails) if row.next_at is not None)
