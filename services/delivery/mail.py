"""Sending what the outbox holds to the desks that are called (窓口への通知), by the ward's mail server.

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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import sqlalchemy as sa

from runtime.observability import log
from runtime.settings import Settings, SettingsError
from services.delivery.letter import Mail, NoAddress, checked_address, letter
from services.delivery.notice import notice
from services.delivery.outbox import Outbox
from wards.model import Ward

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
        except sa.exc.SQLAlchemyError:
            log("looking_for_mails_failed", fault=True)
            return []

    async def _clean_up(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._cleaned_up < _CLEAN_UP_EVERY:
            return
        self._cleaned_up = now
        try:
            await asyncio.to_thread(self._outbox.clean_up)
        except sa.exc.SQLAlchemyError:
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
            sender = self._server.sender
            if mail.given_up is None:
                written = letter(mail, self._ward, sender)
            else:
                written = notice(mail, mail.given_up, self._ward, sender)
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
            except sa.exc.SQLAlchemyError:
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
