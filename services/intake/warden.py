"""The warden (門番): answers nats-server when an agency's client wants in, and ends connections of those
who may no longer be there.

nats-server asks once, when somebody connects, so whoever was let in stays: what was revoked is looked
for among the open connections, of every server of the cluster, and ended there.
"""

import asyncio
import contextlib
import json

import nats.errors
from nats.aio.msg import Msg

from runtime.broker import Bus
from runtime.nats_issuer import Issuer, NotAsked, asked
from runtime.observability import log
from runtime.settings import Settings
from schemas.logins import AGENCIES, CALLOUT, CONNECTIONS, kick
from services.intake.access.nats_clients import NatsClients

_PAGE = 1024
_LOOK_EVERY = 5.0
"""Seconds: finds those whose agency left the ward at midnight, and what a lost message left behind."""
_LOOK_AGAIN = 0.4
"""Seconds after a change: finds who was being let in at that very moment."""


class Warden:
    def __init__(self, settings: Settings, issuer: Issuer, clients: NatsClients) -> None:
        self._bus = Bus(settings, "warden")
        self._issuer = issuer
        self._clients = clients
        self._changed = asyncio.Event()
        self._open = False

    def look_again(self) -> None:
        """Others are good than before."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        await self._bus.connect()
        self._open = True
        nc = self._bus.nc
        inbox = nc.new_inbox()
        await nc.subscribe(inbox, cb=self._listed)
        # Several intakes share the work.
        await nc.subscribe(CALLOUT, queue="intake", cb=self._answer)
        while True:
            await self._look(inbox, 0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._changed.wait()
                self._changed.clear()
                await self._look(inbox, 0)
                await asyncio.sleep(_LOOK_AGAIN)

    async def close(self) -> None:
        if self._open:
            with contextlib.suppress(Exception):  # the broker may be gone before us
                await self._bus.close()

    async def _answer(self, message: Msg) -> None:
        try:
            request = asked(message.data)
        except NotAsked:
            log("callout_not_read", fault=True)
            return
        credential = self._clients.admitted(request.user, request.password)
        if credential is None:
            log("nats_client_refused")  # its name may be anything
            await self._send(message.reply, self._issuer.refuse(request))
            return
        rights = self._clients.rights(credential)
        log("nats_client_admitted", agency=credential.agency, credential=credential.id)
        token = self._issuer.admit(
            request,
            account=AGENCIES,
            name=f"{credential.agency}/{credential.id}",
            publish=rights.publish,
            subscribe=rights.subscribe,
            replies=rights.replies,
        )
        await self._send(message.reply, token)

    async def _look(self, inbox: str, offset: int) -> None:
        """Every server tells the connections that it has; ``_listed`` goes through them."""
        page = {"auth": True, "acc": AGENCIES, "limit": _PAGE, "offset": offset}
        await self._send(CONNECTIONS, json.dumps(page).encode(), inbox)

    async def _listed(self, message: Msg) -> None:
        try:
            told = json.loads(message.data)["data"]
            server, offset, total = told["server_id"], told["offset"], told["total"]
            connections = [(c["cid"], c.get("authorized_user", "")) for c in told["connections"]]
        except (ValueError, KeyError, TypeError):
            log("connections_not_read", fault=True)
            return
        for number, user in connections:
            agency, among_agencies, credential = user.partition("/")
            if among_agencies and not self._clients.still(agency, credential):
                log("nats_client_ended", agency=agency, credential=credential)
                # nats-server does nothing that it has nobody to tell of; nobody listens there.
                told_at = f"{message.subject}.ended"
                await self._send(kick(server), json.dumps({"cid": number}).encode(), told_at)
        if connections and offset + len(connections) < total:
            await self._look(message.subject, offset + len(connections))

    async def _send(self, subject: str, body: bytes, reply: str = "") -> None:
        # Not connected: nats-server asks again when it is back, and so do we.
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._bus.nc.publish(subject, body, reply=reply)
