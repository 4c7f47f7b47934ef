"""The warden (門番): answers nats-server when an agency's client wants in, and ends connections of those
who may no longer be there, or who send so much that nats-server has no time for others.

nats-server asks once, when somebody connects, so whoever was let in stays: what was revoked is looked
for among the open connections, of every server of the cluster, and ended there.
"""

import asyncio
import contextlib
import json
import time
from datetime import datetime
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from runtime.broker import Bus
from runtime.nats_issuer import Issuer, NotAsked, asked
from runtime.observability import Seldom, log
from runtime.settings import Settings
from schemas.logins import AGENCIES, CALLOUT, CONNECTIONS, LEFT, kick
from services.intake.access.nats_clients import NatsClients
from services.intake.access.nats_connections import LONGEST, Connections, Listed, pieces
from wards.delivery import Limits

_ALL = 65_536
"""Of each server's connections as many as it may have."""
_LOOK_EVERY = 1.0
"""Seconds: finds who floods, whose agency left the ward at midnight, and what a lost message left."""
_LOOK_AGAIN = 0.4
"""Seconds after a change: finds who was being let in at that very moment."""


class Warden:
    def __init__(
        self, settings: Settings, issuer: Issuer, clients: NatsClients, limits: Limits
    ) -> None:
        self._settings = settings
        self._issuer = issuer
        self._clients = clients
        self._connections = Connections(limits)
        self._changed = asyncio.Event()
        self._seldom = Seldom()

    def look_again(self) -> None:
        """Others are good than before."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        self._bus = Bus(self._settings, "warden")
        await self._bus.connect()
        try:
            await self._keep(self._bus.nc)
        finally:
            with contextlib.suppress(Exception):  # the broker may be gone before us
                await self._bus.close()

    async def _keep(self, nc: Client) -> None:
        inbox = nc.new_inbox()
        await nc.subscribe(inbox, cb=self._listed)
        await nc.subscribe(LEFT, cb=self._left)
        # Several intakes share the work.
        await nc.subscribe(CALLOUT, queue="intake", cb=self._answer)
        while True:
            await self._look(inbox)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._changed.wait()
                self._changed.clear()
                await self._look(inbox)
                await asyncio.sleep(_LOOK_AGAIN)

    async def _answer(self, message: Msg) -> None:
        try:
            request = asked(message.data)
        except NotAsked:
            log("callout_not_read", fault=True)
            return
        credential = self._clients.admitted(request.user, request.password)
        now = time.monotonic()
        if credential is None or not self._connections.has_room(
            credential.agency, credential.id, now
        ):
            # Who is not known may call itself anything.
            self._seldom.log("nats_client_refused", agency=credential and credential.agency)
            await self._send(message.reply, self._issuer.refuse(request))
            return
        self._connections.let_in(request.server, request.number, credential.agency, now)
        rights = self._clients.rights(credential)
        self._seldom.log("nats_client_admitted", agency=credential.agency, credential=credential.id)
        token = self._issuer.admit(
            request,
            account=AGENCIES,
            name=f"{credential.agency}/{credential.id}",
            publish=rights.publish,
            subscribe=rights.subscribe,
            replies=rights.replies,
            seconds=min(LONGEST, self._clients.lasts(credential)),
        )
        await self._send(message.reply, token)

    async def _look(self, inbox: str) -> None:
        """Every server tells the connections that it has; ``_listed`` goes through them."""
        wanted = {"auth": True, "acc": AGENCIES, "limit": _ALL}
        await self._send(CONNECTIONS, json.dumps(wanted).encode(), inbox)

    async def _listed(self, message: Msg) -> None:
        try:
            told = json.loads(message.data)["data"]
            server = str(told["server_id"])
            at = datetime.fromisoformat(told["now"])
            listed = [_of_agency(one, at) for one in told["connections"]]
        except (ValueError, KeyError, TypeError):
            log("connections_not_read", fault=True)
            return
        agencies = [one for one in listed if one is not None]
        for one, why in self._connections.listed(server, agencies, time.monotonic()):
            await self._end(server, one, why)
        for one in agencies:
            if not self._clients.still(one.agency, one.credential):
                await self._end(server, one, "not good any more")

    async def _left(self, message: Msg) -> None:
        with contextlib.suppress(ValueError, KeyError, TypeError):  # then the next look tells it
            told = json.loads(message.data)
            self._connections.left(told["server"]["id"], told["client"]["id"])

    async def _end(self, server: str, one: Listed, why: str) -> None:
        log("nats_client_ended", agency=one.agency, credential=one.credential, why=why)
        # nats-server does nothing that it has nobody to tell of; nobody listens there.
        told_at = f"{self._bus.replies}.ended"
        await self._send(kick(server), json.dumps({"cid": one.number}).encode(), told_at)

    async def _send(self, subject: str, body: bytes, reply: str = "") -> None:
        # Not connected: nats-server asks again when it is back, and so do we.
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._bus.nc.publish(subject, body, reply=reply)


def _of_agency(told: dict[str, Any], at: datetime) -> Listed | None:
    """A connection of the list; None: it is one of ours."""
    agency, let_in, credential = told.get("authorized_user", "").partition("/")
    if not let_in:
        return None
    seconds = (at - datetime.fromisoformat(told["start"])).total_seconds()
    sent = pieces(told["in_msgs"], told["in_bytes"])
    return Listed(told["cid"], agency, credential, seconds, sent)
