"""The door (NATS の窓口): the calls of the partner contract as requests on
``tsunagu.<ward>.door.<agency>.<call>[.<ref>]``.

Which agency it is nats-server answers for: it lets each publish on its own subjects only. What the
server does not look at is the reply subject that a request names, so the door answers nowhere but
beneath the agency's own: otherwise an agency could have us say things where it may not speak itself.

The same counter, edge and limits as HTTP: the same key by either door is the same request.

Each agency has a connection of ours to itself: what one sends stands in nobody else's way, and when it
is more than nats-server will queue for us, that connection is cut and no other. What is far beyond an
agency's limits does not get as far as a refusal: for a moment the door does not listen to it, and
nats-server tells it that nobody answers.
"""

import asyncio
import contextlib
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import nats.errors
from litestar import Response
from nats.aio.msg import Msg
from pydantic_core import from_json

from runtime.broker import Bus
from runtime.clock import Clock
from runtime.observability import Seldom
from runtime.settings import Settings
from schemas import subjects
from schemas.problems import Refusal, invalid
from services.intake import responses
from services.intake.access.nats_clients import NatsClients
from services.intake.attending import RATE_LIMITED, TOO_LARGE, UNKNOWN, Attending
from services.intake.counter import Said, Service
from services.intake.edge import Edge, awaits
from wards.model import Ward

_MOST = 256
"""So many of one agency's requests are in work at once; most of them wait (``access.turns``)."""
_BEYOND = 4
"""So many times its limits an agency may send, most of which is refused; then nobody listens."""
_PIECE = 16_384
"""A request counts once for each so many bytes."""
_PAUSE = 1.0
"""Seconds for which nobody listens."""

_TOLD = ("Content-Type", "Location", "Retry-After")


@dataclass(slots=True)
class _Line:
    """To one agency. ``full``: the moment at which all that it may send is there again (as in
    ``access.turns``)."""

    agency: str
    bus: Bus
    full: float = -math.inf
    too_much: asyncio.Event = field(default_factory=asyncio.Event)
    at_work: set[asyncio.Task[None]] = field(default_factory=set)


class Door:
    def __init__(
        self,
        settings: Settings,
        ward: Ward,
        edge: Edge,
        services: tuple[Service, ...],
        clients: NatsClients,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._ward = ward
        self._edge = edge
        self._attending = Attending(edge, services)
        self._clients = clients
        self._clock = clock
        self._lines: dict[str, _Line] = {}
        self._seldom = Seldom()
        edge.metrics.door.set_function(self._open)

    async def run(self, agency: str) -> None:
        """For one agency, until cancelled; what was begun is answered then, for as long as that is not
        long."""
        line = self._lines[agency] = _Line(agency, Bus(self._settings, "door"))
        await line.bus.connect()
        subject = subjects.door(self._ward.code, agency, ">")
        take = functools.partial(self._take, line)
        try:
            while True:
                # Several intakes share the work.
                heard = await line.bus.nc.subscribe(subject, queue="intake", cb=take)
                await line.too_much.wait()
                self._seldom.log("door_shut_for_a_moment", agency=agency)
                await heard.unsubscribe()
                await asyncio.sleep(_PAUSE)
                line.too_much.clear()
        finally:
            if line.at_work:
                await asyncio.wait(line.at_work, timeout=5)
            with contextlib.suppress(Exception):  # the broker may be gone before us
                await line.bus.close()

    def _open(self) -> int:
        clients = [getattr(line.bus, "nc", None) for line in self._lines.values()]
        return sum(client is not None and client.is_connected for client in clients)

    async def _take(self, line: _Line, message: Msg) -> None:
        if line.too_much.is_set():
            return  # it was on its way when we ceased to listen
        if not self._within(line, len(message.data)):
            line.too_much.set()
        elif len(line.at_work) >= _MOST:
            self._edge.metrics.observe(UNKNOWN, HTTPStatus.TOO_MANY_REQUESTS, 0)
            await self._reply(line, message, responses.refused(RATE_LIMITED, retry_after="1"))
        else:
            # Beside, so that nobody waits for another's answer.
            task = asyncio.create_task(self._serve(line, message))
            line.at_work.add(task)
            task.add_done_callback(line.at_work.discard)

    def _within(self, line: _Line, size: int) -> bool:
        limits, now = self._ward.limits, self._clock.ticks()
        begins = max(line.full, now)
        if begins - now > limits.burst / limits.requests_per_second:
            return False
        line.full = begins + (1 + size // _PIECE) / (_BEYOND * limits.requests_per_second)
        return True

    async def _serve(self, line: _Line, message: Msg) -> None:
        _, _, _, _, name, *ref = message.subject.split(".")
        caller = self._clients.caller(line.agency)
        said = functools.partial(_said, message)
        response = await self._attending.answer(caller, name, ref, len(message.data), said)
        await self._reply(line, message, response)

    async def _reply(self, line: _Line, message: Msg, response: Response[bytes]) -> None:
        if not message.reply:
            return
        if not _is_beneath(message.reply, subjects.agency_replies(line.agency)):
            self._seldom.log("door_reply_withheld", agency=line.agency)
            return
        body, headers = response.content, _headers(response)
        if len(body) > line.bus.nc.max_payload - 4096:  # room for the headers
            refused = responses.refused(TOO_LARGE)
            body, headers = refused.content, _headers(refused)
        # Whoever asked may be gone; what was decided is on record.
        with contextlib.suppress(nats.errors.Error, OSError):
            await line.bus.nc.publish(message.reply, body, headers=headers)


def _said(message: Msg, service: Service, ref: str) -> Said | Refusal:
    given = {name.lower(): value for name, value in (message.headers or {}).items()}
    if service.posts:
        key = given.get("idempotency-key")
        return Said(ref, {}, message.data, key, awaits(given.get("prefer")))
    query = _query(message.data)
    return query if isinstance(query, Refusal) else Said(ref, query)


def _query(body: bytes) -> Mapping[str, str] | Refusal:
    """What HTTP has behind the question mark is a JSON object here; or nothing."""
    if not body:
        return {}
    try:
        given = from_json(body)
    except ValueError:
        return invalid("", "JSON として読めません / not valid JSON")
    if not isinstance(given, dict):
        return invalid("", "オブジェクトが要ります / an object is needed")
    query: dict[str, str] = {}
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, str | int):
            return invalid(f"/{name}", "文字列か整数が要ります / text or a whole number is needed")
        query[name] = str(value)
    return query


def _headers(response: Response[bytes]) -> dict[str, str]:
    status = response.status_code or HTTPStatus.OK
    headers = {subjects.STATUS: str(int(status))}
    if response.media_type:
        headers["Content-Type"] = str(response.media_type)
    given = {name.lower(): str(value) for name, value in response.headers.items()}
    return headers | {n: given[n.lower()] for n in _TOLD if n.lower() in given}


def _is_beneath(reply: str, prefix: str) -> bool:
    """Beneath it, and one subject: nothing that stands for several."""
    tokens = reply.removeprefix(f"{prefix}.").split(".")
    return reply.startswith(f"{prefix}.") and all(t and t not in ("*", ">") for t in tokens)
