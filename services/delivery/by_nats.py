"""Carrying by NATS (NATS による配送): each event is a request to the agency's own client, and any answer to
it is the receipt.

A client that is not connected is not a failure of its own: nats-server says at once that nobody listens,
and it is looked for again soon, for when it comes back it should not wait for a step of a schedule that
is meant for broken systems.
"""

import asyncio
import contextlib

import nats.errors
from nats.aio.msg import Msg

from runtime.broker import Bus
from runtime.settings import Settings
from schemas import subjects
from schemas.base import JsonObject, json_object
from schemas.deliveries import Undelivered
from services.delivery.carrier import Delivered, Failed, Outcome, told_status

ANSWER_WITHIN = 10.0
"""Seconds that an agency's client has."""
_AWAY = Failed(Undelivered.NOT_CONNECTED, soon=True)


class ByNats:
    """Implements ``carrier.Carrier``. Connects when it first carries something."""

    def __init__(self, settings: Settings, ward: str) -> None:
        self._bus = Bus(settings, "carrier")
        self._ward = ward
        self._connecting: asyncio.Task[None] | None = None

    async def carry(self, agency: str, event: JsonObject) -> Outcome:
        body = json_object.dump_json(event)
        # What JetStream calls it too, so that a receiver can see what came before at a glance.
        headers = {"Nats-Msg-Id": str(event["id"]), "Content-Type": "application/cloudevents+json"}
        subject = subjects.carried(self._ward, agency)
        if not await self._is_connected():
            # Our own broker is away; nobody can say whether the client is there.
            return _AWAY
        nc = self._bus.nc
        try:
            answer = await nc.request(subject, body, timeout=ANSWER_WITHIN, headers=headers)
        except (TimeoutError, nats.errors.TimeoutError):
            # Unless the broker died under it: then nobody was asked.
            return Failed(Undelivered.HANGS) if nc.is_connected else _AWAY
        except (nats.errors.Error, OSError):  # nobody listens, or the broker has just gone
            return _AWAY
        return _outcome(answer)

    async def close(self) -> None:
        if self._connecting is None:
            return
        if not self._connecting.done():
            self._connecting.cancel()
            return
        with contextlib.suppress(Exception):  # the broker may be gone before us
            await self._bus.close()

    async def _is_connected(self) -> bool:
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._bus.connect())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                # Shielded: whoever loses patience must not end it for the others.
                await asyncio.shield(self._connecting)
        return self._connecting.done() and self._bus.nc.is_connected


def _outcome(answer: Msg) -> Outcome:
    """Any answer is a receipt, unless it bears a status that says otherwise, as HTTP's do."""
    status = {name.lower(): value for name, value in (answer.headers or {}).items()}.get(
        subjects.STATUS.lower()
    )
    if status is None or status.startswith("2"):
        return Delivered()
    told = told_status(int(status)) if status.isdecimal() and len(status) == 3 else None
    return Failed(Undelivered.REFUSED, status=told)
