"""Mails to the desks that are called (窓口への通知): one for each change of a call.

A mail is noted in the transaction that takes the event in, and noted as sent only after the mail
server's 250. Whoever dies between the two sends it again, under the same Message-ID. What is noted is
sent, or superseded (it asked for an answer, and the call is resolved), or after three days, or where
the server knows no such mailbox, a dead letter. Mails about one call come to a desk in the order of
what happened.

Sending waits for nobody and nobody waits for it: tasks of its own, and threads of its own for looking
names up.
"""

import asyncio
import contextlib
import ipaddress
import logging
import re
import socket
import ssl
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from runtime import dead_letters
from runtime.clock import Clock, utc_text
from runtime.database import insert_new, reading, writing
from runtime.observability import log
from runtime.reading import Entry
from runtime.settings import Settings, SettingsError
from schemas import events as e
from schemas.journal import JournalEntry
from services.delivery import tables as t
from services.delivery.letter import (
    DEMANDS,
    HAPPENED,
    SETTLED,
    Mail,
    NoAddress,
    checked_address,
    letter,
)
from wards.model import Ward

RETRY_AFTER = (
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(hours=1),
)
"""After the first failure, the second, …; the last one again and again."""
GIVE_UP_AFTER = timedelta(days=3)
KEEP = timedelta(days=30)
"""How long what is done is kept, to be counted."""
PATIENCE = 10.0  # seconds for one attempt, from the connection to the server's 250

_AT_ONCE = 4  # one that hangs must not keep the others waiting
_LOOK_EVERY = 0.5  # seconds
_FAREWELL = 1.0  # seconds that a QUIT may take
_CLEAN_UP_EVERY = 3600.0  # seconds
_OF_THE_MAIL = (aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPDataError)
# RFC 3463 and RFC 7505: no such mailbox, it has moved, its domain takes no mail. Any other refusal may be
# of us (no relaying, not from this address, a blocklist), and somebody can mend it.
_NO_SUCH_MAILBOX = ("5.1.1", "5.1.6", "5.1.10")
_ENHANCED = re.compile(r"\s*(5\.\d{1,3}\.\d{1,3})(?!\S)")
_IN_WORDS = re.compile(
    r"(user|mailbox|recipient) (is )?(unknown|not found|does not exist)"
    r"|(unknown|no such) (local )?(user|mailbox|recipient)",
    re.IGNORECASE,
)


class Outbox:
    """The mails in the database. Without a mail server (``sends`` is False) it only remembers what a
    later call has to name."""

    def __init__(
        self,
        engine: Engine,
        guard: Callable[[Connection], None],
        ward: Ward,
        clock: Clock,
        *,
        sends: bool,
    ) -> None:
        self._engine = engine
        self._guard = guard
        self._ward = ward
        self._clock = clock
        self._sends = sends

    def take_in(self, connection: Connection, entries: list[Entry]) -> None:
        """Note a mail to every desk concerned, in the transaction that takes the events in."""
        told = [
            JournalEntry.from_json(entry.body)
            for entry in entries
            if entry.value["event"]["type"] in HAPPENED
            or entry.value["event"]["type"] == "referral_submitted"
        ]
        referrals = [
            {
                "id": str(entry.referral),
                "number": entry.event.number,
                "urgency": entry.event.urgency.value,
            }
            for entry in told
            if isinstance(entry.event, e.ReferralSubmitted)
        ]
        insert_new(connection, t.referrals, referrals)
        for entry in told:
            match entry.event:
                case e.EscalationRaised() | e.EscalationPassedOn() as called:
                    self._called(connection, entry, called)
                case e.EscalationAcknowledged() as answered:
                    due = answered.due.at if answered.due else None
                    desks = self._desks_called(connection, str(answered.escalation))
                    self._note(connection, entry, str(answered.escalation), desks, due)
                case e.EscalationResolved() as resolved:
                    desks = self._desks_called(connection, str(resolved.escalation))
                    self._note(connection, entry, str(resolved.escalation), desks, None)

    def _called(
        self,
        connection: Connection,
        entry: JournalEntry,
        call: e.EscalationRaised | e.EscalationPassedOn,
    ) -> None:
        escalation = str(call.escalation)
        if isinstance(call, e.EscalationRaised):
            reason = self._ward.reason(call.code)
            restricted = call.restricted or (reason is not None and reason.restricted)
            row = {
                "escalation": escalation,
                "referral": str(entry.referral),
                "code": call.code,
                "restricted": restricted,
            }
            insert_new(connection, t.calls, [row])
        if call.desk is None:
            return
        insert_new(connection, t.desks_called, [{"escalation": escalation, "desk": call.desk}])
        due = call.due.at if call.due else None
        self._note(connection, entry, escalation, [call.desk], due)

    @staticmethod
    def _desks_called(connection: Connection, escalation: str) -> list[str]:
        d = t.desks_called
        query = sa.select(d.c.desk).where(d.c.escalation == escalation).order_by(d.c.desk)
        return list(connection.execute(query).scalars())

    def _note(
        self,
        connection: Connection,
        entry: JournalEntry,
        escalation: str,
        desks: Iterable[str],
        due: datetime | None,
    ) -> None:
        now = self._clock.now()
        if not self._sends:
            return
        desks = [
            desk_id
            for desk_id in desks
            if (desk := self._ward.desk(desk_id)) is not None and desk.mail is not None
        ]
        if now - entry.occurred_at > GIVE_UP_AFTER:
            # A journal that is read anew after long must not ring every desk with what is over; a
            # call that is still open is passed on again and again.
            for desk_id in desks:
                self._bury(connection, str(entry.id), desk_id, "too late when it was read", now)
            return
        rows: list[dict[str, Any]] = [
            {
                "event": str(entry.id),
                "desk": desk_id,
                "escalation": escalation,
                "happened": entry.event.type,
                "occurred_at": utc_text(entry.occurred_at),
                "due_at": utc_text(due) if due else None,
                "queued_at": utc_text(now),
                "attempts": 0,
                "next_at": utc_text(now),
                "sent_at": None,
                "number": entry.number,
            }
            for desk_id in desks
        ]
        insert_new(connection, t.mails, rows)

    def due(self, most: int, besides: set[tuple[str, str]]) -> list[Mail]:
        """What is to be tried now, and what is pointless by now; of each call and desk only the
        first that waits. Those first that were tried least, so that what fails again and again keeps
        nothing new waiting."""
        m, c, r = t.mails, t.calls, t.referrals
        now = self._clock.now()
        other = m.alias()
        earlier = sa.exists().where(
            other.c.escalation == m.c.escalation,
            other.c.desk == m.c.desk,
            other.c.next_at.is_not(None),
            other.c.number < m.c.number,
        )
        settled = sa.exists().where(
            other.c.escalation == m.c.escalation, other.c.happened == SETTLED
        )
        pointless = m.c.happened.in_(DEMANDS) & settled
        query = (
            sa.select(
                m, c.c.code, c.c.restricted, c.c.referral, r.c.number.label("name"), r.c.urgency,
                pointless.label("pointless"),
            )
            .join_from(m, c, m.c.escalation == c.c.escalation)
            .outerjoin(r, c.c.referral == r.c.id)
            .where(
                m.c.next_at.is_not(None),
                (m.c.next_at <= utc_text(now))
                # Further ahead than the longest step: the clock was set back meanwhile.
                | (m.c.next_at > utc_text(now + RETRY_AFTER[-1]))
                | pointless,
                ~earlier,
            )
            .order_by(m.c.attempts, m.c.number, m.c.desk)
            .limit(most + len(besides))
        )  # fmt: skip
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        mails = [
            Mail(
                event=row.event,
                desk=row.desk,
                happened=row.happened,
                code=row.code,
                restricted=row.restricted,
                number=row.name or row.referral,
                urgency=row.urgency,
                occurred_at=datetime.fromisoformat(row.occurred_at),
                due_at=datetime.fromisoformat(row.due_at) if row.due_at else None,
                queued_at=datetime.fromisoformat(row.queued_at),
                attempts=row.attempts,
                pointless=row.pointless,
            )
            for row in rows
        ]
        return [mail for mail in mails if mail.key not in besides][:most]

    def sent(self, mail: Mail) -> None:
        """The server has it."""
        with writing(self._engine) as connection:
            self._guard(connection)
            self._finish(connection, mail, sent_at=utc_text(self._clock.now()))

    def supersede(self, mail: Mail) -> None:
        """What it asks for is over."""
        with writing(self._engine) as connection:
            self._guard(connection)
            self._finish(connection, mail, superseded=True)

    def hurry(self) -> None:
        """What waits for a server that is back is tried now."""
        now = utc_text(self._clock.now())
        with writing(self._engine) as connection:
            self._guard(connection)
            update = sa.update(t.mails).where(t.mails.c.next_at > now)
            connection.execute(update.values(next_at=now))

    def clean_up(self) -> None:
        """What has been done for long is no longer kept. An event comes once, so nothing of it is
        noted again."""
        m = t.mails
        long_ago = utc_text(self._clock.now() - KEEP)
        with writing(self._engine) as connection:
            self._guard(connection)
            connection.execute(sa.delete(m).where(m.c.next_at.is_(None), m.c.queued_at < long_ago))

    def put_off(self, mail: Mail, reason: str) -> None:
        """Try again later, or give up after ``GIVE_UP_AFTER``."""
        now = self._clock.now()
        if now - mail.queued_at >= GIVE_UP_AFTER:
            self.give_up(mail, f"given up after {GIVE_UP_AFTER.days} days: {reason}")
            return
        step = RETRY_AFTER[min(mail.attempts, len(RETRY_AFTER) - 1)]
        with writing(self._engine) as connection:
            self._guard(connection)
            connection.execute(
                sa.update(t.mails)
                .where(self._waiting(mail))
                .values(attempts=mail.attempts + 1, next_at=utc_text(now + step))
            )

    def give_up(self, mail: Mail, reason: str) -> None:
        """Kept as a dead letter: which event, to which desk; neither address nor text."""
        with writing(self._engine) as connection:
            self._guard(connection)
            if self._finish(connection, mail):
                self._bury(connection, mail.event, mail.desk, reason, self._clock.now())

    @staticmethod
    def _bury(connection: Connection, event: str, desk: str, reason: str, now: datetime) -> None:
        table = t.journals.dead_letters
        dead_letters.bury(connection, table, f"mail to {desk}", event.encode(), reason, now)

    @staticmethod
    def _waiting(mail: Mail) -> sa.ColumnElement[bool]:
        m = t.mails
        return (m.c.event == mail.event) & (m.c.desk == mail.desk) & m.c.next_at.is_not(None)

    def _finish(self, connection: Connection, mail: Mail, **how: Any) -> bool:
        """Whether it was still waiting: noted once, however often it is tried."""
        update = sa.update(t.mails).where(self._waiting(mail))
        tried = mail.attempts + (0 if mail.pointless else 1)
        done = connection.execute(update.values(attempts=tried, next_at=None, **how))
        return bool(done.rowcount)

    def figures(self) -> dict[str, float]:
        """Of those that wait, and of those that were done in the last ``KEEP`` days."""
        m = t.mails
        superseded = sa.func.count().filter(m.c.superseded)
        query = sa.select(
            sa.func.count(), sa.func.count(m.c.next_at), sa.func.count(m.c.sent_at), superseded
        ).select_from(m)
        with reading(self._engine) as connection:
            every, waiting, sent, over = connection.execute(query).one()
        return {
            "mails_waiting": waiting,
            "mails_sent": sent,
            "mails_superseded": over,
            "mails_given_up": every - waiting - sent - over,
        }


@dataclass(frozen=True, slots=True)
class Server:
    """The ward's mail server, as the settings name it."""

    host: str
    port: int
    sender: str
    tls: str
    user: str
    password_file: Path | None

    @classmethod
    def named_in(cls, settings: Settings) -> "Server | None":
        """None where no mail is to be sent. Raises SettingsError."""
        if not settings.smtp:
            return None
        host, _, port = settings.smtp.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise SettingsError("TSUNAGU_SMTP must be host:port")
        try:
            sender = checked_address(settings.mail_from)
        except NoAddress:
            raise SettingsError("TSUNAGU_MAIL_FROM must be a mail address") from None
        if settings.smtp_tls == "none" and not _is_loopback(host):
            raise SettingsError("TSUNAGU_SMTP_TLS may be none only for a server on the same host")
        if settings.smtp_user and settings.smtp_password_file is None:
            raise SettingsError("TSUNAGU_SMTP_USER needs TSUNAGU_SMTP_PASSWORD_FILE")
        return cls(
            host=host,
            port=int(port),
            sender=sender,
            tls=settings.smtp_tls,
            user=settings.smtp_user,
            password_file=settings.smtp_password_file,
        )

    def password(self) -> str | None:
        if not self.user or self.password_file is None:
            return None
        return self.password_file.read_text(encoding="utf-8").strip()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Mailer:
    """Sends what the outbox holds. ``trust``: whose certificates are good; none: the system's."""

    def __init__(
        self,
        server: Server,
        outbox: Outbox,
        ward: Ward,
        *,
        patience: float = PATIENCE,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._server = server
        self._outbox = outbox
        self._ward = ward
        self._patience = patience
        self._trust = trust or ssl.create_default_context()
        # Not the loop's own threads: a name server that hangs would take them all, one by one.
        self._names = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="names")
        self._under_way: set[tuple[str, str]] = set()
        self._woken = asyncio.Event()
        # Whether the server may have been away: who starts does not know.
        self._away = True
        self._cleaned_up = -_CLEAN_UP_EVERY

    def wake(self) -> None:
        """There is something new; call it in the loop."""
        self._woken.set()

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    self._woken.clear()
                    await self._clean_up()
                    for mail in await self._due():
                        self._under_way.add(mail.key)
                        tasks.create_task(self._deliver(mail))
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_EVERY):
                            await self._woken.wait()
        finally:
            self._names.shutdown(wait=False, cancel_futures=True)

    async def _due(self) -> list[Mail]:
        room = _AT_ONCE - len(self._under_way)
        if room <= 0:
            return []
        try:
            return await asyncio.to_thread(self._outbox.due, room, set(self._under_way))
        except sa.exc.DBAPIError:
            log("looking_for_mails_failed", fault=True)
            return []

    async def _clean_up(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._cleaned_up < _CLEAN_UP_EVERY:
            return
        self._cleaned_up = now
        try:
            await asyncio.to_thread(self._outbox.clean_up)
        except sa.exc.DBAPIError:
            log("cleaning_up_mails_failed", fault=True)

    async def _deliver(self, mail: Mail) -> None:
        try:
            if mail.pointless:
                await self._noted(self._outbox.supersede, mail)
                log("mail_superseded", event=mail.event, desk=mail.desk, attempts=mail.attempts)
            else:
                await self._try(mail)
        finally:
            self._under_way.discard(mail.key)
            self._woken.set()

    async def _try(self, mail: Mail) -> None:
        try:
            written = letter(mail, self._ward, self._server.sender)
            await self._send(written)
        except NoAddress as fault:
            await self._noted(self._outbox.give_up, mail, str(fault))
        except Exception as fault:
            reason, for_good = _told(fault)
            log(
                "mail_refused", level=logging.WARNING,
                event=mail.event, desk=mail.desk, reason=reason, for_good=for_good,
            )  # fmt: skip
            if not isinstance(fault, (*_OF_THE_MAIL, aiosmtplib.SMTPRecipientsRefused)):
                self._away = True
            note = self._outbox.give_up if for_good else self._outbox.put_off
            await self._noted(note, mail, reason)
        else:
            await self._noted(self._outbox.sent, mail)
            log("mail_sent", event=mail.event, desk=mail.desk, attempts=mail.attempts + 1)
            if self._away:
                self._away = False
                await self._noted(self._outbox.hurry)

    async def _noted(self, note: Callable[..., None], *what: object) -> None:
        """However long the database is away: a mail that was sent must not be sent again."""
        while True:
            try:
                await asyncio.to_thread(note, *what)
                return
            except sa.exc.DBAPIError:
                log("noting_a_mail_failed", fault=True)
                await asyncio.sleep(_LOOK_EVERY)

    async def _send(self, written: EmailMessage) -> None:
        """Returns after the server's 250; raises whatever kept it from coming."""
        server = self._server
        password = server.password()
        async with asyncio.timeout(self._patience):
            line = await self._connected()
            client = aiosmtplib.SMTP(
                hostname=server.host,
                sock=line,
                local_hostname=server.sender.rpartition("@")[2],
                username=server.user or None,
                password=password,
                timeout=self._patience,
                use_tls=server.tls == "tls",
                # Never left to what the server offers: who stands between could take the offer out.
                start_tls=server.tls == "starttls",
                tls_context=self._trust,
            )
            try:
                await client.connect()
                await client.sendmail(server.sender, [written["To"]], written.as_bytes())
            except BaseException:
                client.close()
                # Not closed under the transport, which would then never hear of its end: a farewell
                # in TLS waits for the other side.
                with contextlib.suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
                raise
        try:
            with contextlib.suppress(Exception):  # the server has it, whatever comes now
                async with asyncio.timeout(_FAREWELL):
                    await client.quit()
        finally:
            client.close()

    async def _connected(self) -> socket.socket:
        """One address after the other, each with its share of the time."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._names, _addresses, self._server.host, self._server.port
        )
        failed: OSError = ConnectionError("no address")
        for family, kind, protocol, _, address in found:
            line = socket.socket(family, kind, protocol)
            try:
                line.setblocking(False)
                async with asyncio.timeout(self._patience / len(found)):
                    await loop.sock_connect(line, address)
                return line
            except OSError as fault:  # a TimeoutError is one
                line.close()
                failed = fault
            except BaseException:
                line.close()
                raise
        raise failed


def _addresses(host: str, port: int) -> list[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _told(fault: BaseException) -> tuple[str, bool]:
    """What kept a mail from being sent, and whether it will never be taken. Never the server's own
    words: they repeat the address."""
    if isinstance(fault, aiosmtplib.SMTPRecipientsRefused) and fault.recipients:
        fault = fault.recipients[0]
    name = type(fault).__name__
    if not isinstance(fault, aiosmtplib.SMTPResponseException):
        return name, False
    return f"{name} {fault.code}", isinstance(fault, _OF_THE_MAIL) and _no_such_mailbox(fault)


def _no_such_mailbox(refusal: aiosmtplib.SMTPResponseException) -> bool:
    """The server says so clearly: by its enhanced code, or where it gives none in words."""
    if not 500 <= refusal.code <= 599:
        return False
    enhanced = _ENHANCED.match(refusal.message)
    if enhanced is not None:
        return enhanced[1] in _NO_SUCH_MAILBOX
    about_us = "sender" in refusal.message.lower()
    return not about_us and _IN_WORDS.search(refusal.message) is not None
