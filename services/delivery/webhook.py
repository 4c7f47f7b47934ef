"""Events posted to an agency's own system (Webhook), by the Standard Webhooks specification, as
CloudEvents.

``webhook-id`` is the event's id: the same whenever it comes again, so whoever remembers ids has one
effect. There is a signature for each secret that is good now, so nobody is cut off while a secret is
being changed. No redirect is followed, no proxy asked, and only an address that was checked is called.
"""

import asyncio
import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol

import httpx
from standardwebhooks import Webhook

from runtime.credentials import Kind
from runtime.keys import KeyFileError
from runtime.observability import log
from runtime.sealed_credentials import CredentialSeal
from runtime.settings import SettingsError
from runtime.watched_credentials import WatchedCredentials
from schemas.base import JsonObject, json_object
from schemas.deliveries import Undelivered
from services.delivery.addresses import Destinations, ForbiddenAddress
from services.delivery.carrier import Delivered, Failed, Outcome, told_status
from services.delivery.line import Answer, Broken, Line
from wards.delivery import ByWebhook
from wards.model import Ward

PATIENCE = 10.0
"""Seconds for one try, from looking up the name to the answer's headers."""
_REST = 1.0  # seconds that the rest of an answer may take before the connection is dropped
_KEPT = 4.0  # seconds; common servers close an idle connection after five
_LONGEST_PAUSE = timedelta(hours=1)  # that a receiver may ask for
_GONE = 410  # Standard Webhooks: the receiver wants no more


def trusted(more: Path | None) -> ssl.SSLContext:
    """Whose certificates are good: whom the system trusts, and who is in the file ``more``. Raises
    SettingsError."""
    trust = ssl.create_default_context()
    if more is not None:
        try:
            trust.load_verify_locations(more)
        except OSError:  # an SSLError is one
            raise SettingsError("TSUNAGU_WEBHOOK_CA must be a PEM file of certificates") from None
    return trust


class Secrets(Protocol):
    def of(self, agency: str) -> Sequence[Webhook]:
        """The secrets of an agency that are good now, newest first."""


class SealedSecrets:
    """The secrets of the database, opened with the key in delivery's home."""

    def __init__(self, watched: WatchedCredentials, seal: CredentialSeal) -> None:
        self._watched = watched
        self._seal = seal
        self._opened: dict[str, Webhook | None] = {}

    def of(self, agency: str) -> list[Webhook]:
        opened: list[Webhook] = []
        for credential in self._watched.live(agency, Kind.WEBHOOK_SECRET):
            if credential.id not in self._opened:
                try:
                    secret = self._seal.unseal(credential).decode("ascii")
                    self._opened[credential.id] = Webhook(secret)
                except (KeyFileError, RuntimeError, ValueError):
                    self._opened[credential.id] = None
                    log("secret_not_opened", level=logging.ERROR, credential=credential.id)
            signer = self._opened[credential.id]
            if signer is not None:
                opened.append(signer)
        return opened


@dataclass(slots=True)
class _Endpoint:
    """An agency's web server, and the connections that are idle now."""

    host: str
    port: int
    target: str
    authority: str
    tls: bool
    idle: list[tuple[Line, asyncio.TimerHandle]] = field(default_factory=list)

    @classmethod
    def at(cls, address: str) -> "_Endpoint":
        url = httpx.URL(address)  # a Japanese name in the form that DNS and TLS know
        tls = url.scheme == "https"
        return cls(
            host=url.raw_host.decode("ascii"),
            port=url.port or (443 if tls else 80),
            target=url.raw_path.decode("ascii"),
            authority=url.netloc.decode("ascii"),
            tls=tls,
        )

    def take(self) -> Line | None:
        while self.idle:
            line, timer = self.idle.pop()
            timer.cancel()
            if line.open:
                return line
            line.close()
        return None

    def keep_or_drop(self, line: Line, good: bool) -> None:
        if not good:
            line.abort()
            return
        timer = asyncio.get_running_loop().call_later(_KEPT, self._let_go, line)
        self.idle.append((line, timer))

    def _let_go(self, line: Line) -> None:
        self.idle[:] = [kept for kept in self.idle if kept[0] is not line]
        line.close()


class WebhookCarrier:
    def __init__(
        self,
        ward: Ward,
        secrets: Secrets,
        destinations: Destinations,
        *,
        trust: ssl.SSLContext,
        patience: float = PATIENCE,
    ) -> None:
        self._secrets = secrets
        self._destinations = destinations
        self._trust = trust
        self._patience = patience
        self._endpoints = {
            agency.id: _Endpoint.at(agency.delivery.url)
            for agency in ward.agencies
            if isinstance(agency.delivery, ByWebhook)
        }
        self._resting: set[asyncio.Task[None]] = set()

    async def carry(self, agency: str, event: JsonObject) -> Outcome:
        signers = self._secrets.of(agency)
        if not signers:
            return Failed(Undelivered.NO_SECRET, soon=True)
        endpoint = self._endpoints[agency]
        body = json_object.dump_json(event)
        headers = self._headers(endpoint, event, body, signers)
        try:
            async with asyncio.timeout(self._patience):
                line, answer = await self._post(agency, endpoint, headers, body)
        except TimeoutError:
            return Failed(Undelivered.HANGS)
        except ForbiddenAddress:
            return Failed(Undelivered.FORBIDDEN_ADDRESS)
        except ssl.SSLCertVerificationError:
            return Failed(Undelivered.UNTRUSTED)
        except OSError:
            return Failed(Undelivered.UNREACHABLE)
        # The event has arrived, or not; the rest only decides whether the line can be used again.
        ended = line.ended()
        if ended is None:
            resting = asyncio.create_task(self._rest(endpoint, line))
            self._resting.add(resting)
            resting.add_done_callback(self._resting.discard)
        else:
            endpoint.keep_or_drop(line, ended)
        return _outcome(answer)

    async def close(self) -> None:
        for resting in list(self._resting):
            resting.cancel()
        for endpoint in self._endpoints.values():
            while (line := endpoint.take()) is not None:
                line.abort()
        self._destinations.close()

    @staticmethod
    def _headers(
        endpoint: _Endpoint, event: JsonObject, body: bytes, signers: Sequence[Webhook]
    ) -> list[tuple[str, str]]:
        # The host's own clock: the receiver compares with its own, also where ours is moved for a
        # rehearsal.
        now = datetime.now(UTC)
        text = body.decode()
        signatures = " ".join(signer.sign(event["id"], now, text) for signer in signers)
        return [
            ("Host", endpoint.authority),
            ("User-Agent", "Tsunagu"),
            ("Content-Type", "application/cloudevents+json"),
            ("Content-Length", str(len(body))),
            ("webhook-id", event["id"]),
            ("webhook-timestamp", str(int(now.timestamp()))),
            ("webhook-signature", signatures),
        ]

    async def _post(
        self, agency: str, endpoint: _Endpoint, headers: list[tuple[str, str]], body: bytes
    ) -> tuple[Line, Answer]:
        kept = endpoint.take()
        if kept is not None:
            try:
                return kept, await self._ask(kept, endpoint, headers, body)
            except Broken as fault:
                # The server closed it while it was idle: nobody read what was sent on it.
                if not fault.early:
                    raise
        line = await self._connected(agency, endpoint)
        return line, await self._ask(line, endpoint, headers, body)

    @staticmethod
    async def _ask(
        line: Line, endpoint: _Endpoint, headers: list[tuple[str, str]], body: bytes
    ) -> Answer:
        try:
            return await line.post(endpoint.target, headers, body)
        except BaseException:
            line.abort()
            raise

    async def _connected(self, agency: str, endpoint: _Endpoint) -> Line:
        """One address after the other, each with its share of the time."""
        found = await self._destinations.addresses(agency, endpoint.host, endpoint.port)
        failed: OSError = ConnectionError("no address")
        for address in found:
            trust = self._trust if endpoint.tls else None
            try:
                async with asyncio.timeout(self._patience / len(found)):
                    return await Line.to(address, endpoint.port, trust, endpoint.host)
            except ssl.SSLCertVerificationError:
                raise
            except OSError as fault:  # a TimeoutError is one
                failed = fault
        raise failed

    @staticmethod
    async def _rest(endpoint: _Endpoint, line: Line) -> None:
        ended = False
        try:
            async with asyncio.timeout(_REST):
                ended = await line.ends_well()
        except TimeoutError:
            pass
        finally:
            endpoint.keep_or_drop(line, ended)


def _outcome(answer: Answer) -> Outcome:
    status = answer.status
    if 200 <= status <= 299:
        return Delivered()
    if 300 <= status <= 399:
        return Failed(Undelivered.REDIRECTS, status)
    pause = _pause(answer.retry_after) if status in (429, 503) else None
    told = told_status(status)
    return Failed(Undelivered.REFUSED, told, not_before=pause, for_good=status == _GONE)


def _pause(retry_after: str | None) -> timedelta | None:
    """RFC 9110, 10.2.3: seconds, or a date. What cannot be read asks for nothing."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdecimal():
        return min(timedelta(seconds=int(retry_after[:9])), _LONGEST_PAUSE)
    try:
        pause = parsedate_to_datetime(retry_after).astimezone(UTC) - datetime.now(UTC)
    except (ValueError, OverflowError, TypeError):
        return None
    return min(max(pause, timedelta(0)), _LONGEST_PAUSE)
