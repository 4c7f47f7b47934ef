"""An agency's own NATS client, plain nats-py, as the tests need one."""

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from runtime.clock import SystemClock
from runtime.credentials import Credential, Credentials, Kind, hashed, new_secret
from runtime.database import open_database
from schemas import subjects
from services.intake import tables as intake
from tests.builders import BUNKYO
from tests.network import RunningNetwork
from tests.partners import AReferral, a_referral
from wards.load import bundled_ward

WARD = BUNKYO.code


def ward_by_nats(folder: Path, agency: str) -> Path:
    """A ward file in ``folder`` in which the agency wants its events by NATS."""
    text = bundled_ward().read_text("utf-8")
    line = f'id = "{agency}"\n'
    assert text.count(line) == 1
    ward = folder / "ward.toml"
    ward.write_text(text.replace(line, f'{line}delivery = {{ way = "nats" }}\n'), "utf-8")
    return ward


@dataclass(frozen=True)
class Given:
    """A credential, and what was handed over with it."""

    credential: Credential
    password: str
    credentials: Credentials

    def revoke(self) -> None:
        assert self.credentials.revoke(self.credential.id)


def a_credential(
    network: RunningNetwork,
    agency: str,
    scopes: tuple[str, ...] | None = None,
    seconds: float | None = None,
) -> Given:
    """``seconds``: after which it ends."""
    engine = open_database(network.settings.database_url("keys"))
    clock = SystemClock()
    credentials = Credentials(engine, intake.credentials, clock)
    password = new_secret("tsunagu_nats_")
    ends = None if seconds is None else clock.now() + timedelta(seconds=seconds)
    made = credentials.issue(agency, Kind.NATS, hashed(password), scopes=scopes, valid_to=ends)
    return Given(made, password, credentials)


@dataclass(frozen=True)
class Told:
    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def code(self) -> str | None:
        return self.body.get("code") if self.status >= 400 else None


def told(message: Msg) -> Told:
    headers = dict(message.headers or {})
    return Told(int(headers[subjects.STATUS]), headers, message.data)


class NatsPartner:
    """``errors``: what nats-server told the client of its misbehaviour."""

    def __init__(self, client: Client, agency: str, errors: list[str]) -> None:
        self.client = client
        self.agency = agency
        self.errors = errors

    async def call(self, name: str, ref: str = "", body: Any = None, **headers: str) -> Told:
        content = b"" if body is None else json.dumps(body).encode()
        return await self.call_with(name, ref, content, **headers)

    async def call_with(self, name: str, ref: str, content: bytes, **headers: str) -> Told:
        given = {word.replace("_", "-"): value for word, value in headers.items()}
        subject = subjects.door(WARD, self.agency, name, ref)
        return told(await self.client.request(subject, content, timeout=10, headers=given or None))

    async def posts(self, referral: AReferral | None = None, key: str | None = None) -> Told:
        key = key or str(uuid.uuid4())
        return await self.call(
            "submit_referral", body=(referral or a_referral()).body, Idempotency_Key=key
        )

    async def denied(self, act: Callable[[], Coroutine[Any, Any, Any]]) -> str:
        """What nats-server says to this; fails when it says nothing."""
        before = len(self.errors)
        acting = asyncio.create_task(act())
        try:
            for _ in range(200):
                if len(self.errors) > before:
                    return self.errors[-1]
                await asyncio.sleep(0.01)
            raise AssertionError("nats-server let it pass")
        finally:
            acting.cancel()
            await asyncio.gather(acting, return_exceptions=True)


async def let_in(**given: Any) -> Client | None:
    """A connection, None when nats-server refuses it."""
    client = Client()
    try:
        await client.connect(**given)
    except nats.errors.Error:
        # The library leaves the socket of a connection that was refused to the garbage collector.
        if client._transport is not None:
            client._transport.close()
            await asyncio.sleep(0)
        return None
    return client


@contextlib.asynccontextmanager
async def connected_as(
    network: RunningNetwork, agency: str, password: str, **how: Any
) -> AsyncIterator[NatsPartner]:
    """Let in, once the network has seen the credential."""
    errors: list[str] = []

    async def note(error: Exception) -> None:
        errors.append(str(error))

    given = {
        "servers": network.nats()["servers"],
        "user": agency,
        "password": password,
        "inbox_prefix": subjects.agency_replies(agency).encode(),
        "error_cb": note,
        "allow_reconnect": False,
        **how,
    }
    until = time.monotonic() + 5
    while (client := await let_in(**given)) is None:
        assert time.monotonic() < until, errors
        await asyncio.sleep(0.05)
    errors.clear()
    try:
        yield NatsPartner(client, agency, errors)
    finally:
        with contextlib.suppress(Exception):
            await client.close()
