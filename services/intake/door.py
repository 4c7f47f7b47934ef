"""The door (NATS の窓口): the calls of the partner contract as requests on
``tsunagu.<ward>.door.<agency>.<call>[.<ref>]``.

Which agency it is nats-server answers for: it lets each publish on its own subjects only. What the
server does not look at is the reply subject that a request names, so the door answers nowhere but
beneath the agency's own: otherwise an agency could have us say things where it may not speak itself.

The same counter, edge and limits as HTTP: the same key by either door is the same request.

What is far beyond an agency's limits does not get as far as a refusal: nats-server would queue it for us
until it cuts us off, and everybody with us. So each agency has a subscription of its own, and while it
sends too much the door does not listen to it; nats-server tells it that nobody answers.
"""

import asyncio
import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import nats.errors
from litestar import Response
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from pydantic_core import from_json

from runtime.broker import Bus
from runtime.clock import Clock
from runtime.observability import Seldom, log
from runtime.settings import Settings
from schemas import subjects
from schemas.problems import ProblemCode, Refusal, invalid
from services.intake import responses
from services.intake.access.nats_clients import NatsClients
from services.intake.counter import Said, Service
from services.intake.edge import Caller, Edge, awaits
from wards.model import Ward

LARGEST_BODY = 1_048_576
_MOST = 256
"""So many of one agency's requests are in work at once; most of them wait (``access.turns``)."""
_BEYOND = 4
"""So many times its limits an agency may send, most of which is refused; then nobody listens."""
_PIECE = 16_384
"""A request counts once for each so many bytes."""
_PAUSE = 1.0
"""Seconds for which nobody listens."""

_TOLD = ("Content-Type", "Location", "Retry-After")
_NOT_FOUND = Refusal(ProblemCode.NOT_FOUND)
_TOO_LARGE = Refusal(ProblemCode.TOO_LARGE)
_RATE_LIMITED = Refusal(ProblemCode.RATE_LIMITED)


@dataclass(slots=True)
class _Agency:
    """``full``: the moment at which all that it may send is there again (as in ``access.turns``)."""

    id: str
    heard: Subscription | None = None
    full: float = -math.inf
    at_work: int = 0


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
        self._services = {service.name: service for service in services}
        self._clients = clients
        self._clock = clock
        self._agencies = {agency.id: _Agency(agency.id) for agency in ward.agencies}
        self._at_work: set[asyncio.Task[None]] = set()
        self._seldom = Seldom()

    async def run(self) -> None:
        """Until cancelled; what was begun is answered then, for as long as that is not long."""
        self._bus = bus = Bus(self._settings, "door")
        await bus.connect()
        self._edge.metrics.door.set_function(lambda: 1 if bus.nc.is_connected else 0)
        try:
            async with asyncio.TaskGroup() as pauses:
                self._pauses = pauses
                for agency in self._agencies.values():
                    await self._listen(agency)
                await asyncio.Event().wait()
        finally:
            if self._at_work:
                await asyncio.wait(self._at_work, timeout=5)
            with contextlib.suppress(Exception):  # the broker may be gone before us
                await bus.close()

    async def _listen(self, agency: _Agency) -> None:
        # Several intakes share the work.
        subject = subjects.door(self._ward.code, agency.id, ">")
        agency.heard = await self._bus.nc.subscribe(subject, queue="intake", cb=self._take)

    async def _pause(self, agency: _Agency, heard: Subscription) -> None:
        self._seldom.log("door_shut_for_a_moment", agency=agency.id)
        await heard.unsubscribe()
        await asyncio.sleep(_PAUSE)
        await self._listen(agency)

    async def _take(self, message: Msg) -> None:
        agency = self._agencies[message.subject.split(".")[3]]
        heard = agency.heard
        if heard is None:
            return  # it was on its way when we ceased to listen
        if not self._within(agency, len(message.data)):
            agency.heard = None
            self._pauses.create_task(self._pause(agency, heard))
            return
        if agency.at_work >= _MOST:
            await self._reply(message, responses.refused(_RATE_LIMITED, retry_after="1"))
            return
        # Beside, so that nobody waits for another's answer.
        agency.at_work += 1
        task = asyncio.create_task(self._serve(agency, message))
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)

    def _within(self, agency: _Agency, size: int) -> bool:
        limits, now = self._ward.limits, self._clock.ticks()
        begins = max(agency.full, now)
        if begins - now > limits.burst / limits.requests_per_second:
            return False
        agency.full = begins + (1 + size // _PIECE) / (_BEYOND * limits.requests_per_second)
        return True

    async def _serve(self, agency: _Agency, message: Msg) -> None:
        try:
            try:
                response = await self._answer(agency.id, message)
            except Exception as error:
                log("door_failed", fault=True, error=type(error).__name__)
                response = responses.refused(Refusal(ProblemCode.INTERNAL))
            await self._reply(message, response)
        finally:
            agency.at_work -= 1

    async def _answer(self, agency: str, message: Msg) -> Response[bytes]:
        _, _, _, _, name, *ref = message.subject.split(".")
        service = self._services.get(name)

        async def act(caller: Caller) -> Response[bytes]:
            if service is None or len(ref) != service.about:
                return responses.refused(_NOT_FOUND)
            if len(message.data) > LARGEST_BODY:
                return responses.refused(_TOO_LARGE)
            said = _said(service, "".join(ref), message)
            if isinstance(said, Refusal):
                return responses.refused(said)
            return await service.answer(caller.agency, said)

        # What there is not is counted, too: otherwise it could be asked for without end.
        known = "unknown" if service is None else service.name
        scope = None if service is None else service.scope
        return await self._edge.let(self._clients.caller(agency), known, scope, act)

    async def _reply(self, message: Msg, response: Response[bytes]) -> None:
        if not message.reply:
            return
        agency = message.subject.split(".")[3]
        if not _is_beneath(message.reply, subjects.agency_replies(agency)):
            self._seldom.log("door_reply_withheld", agency=agency)
            return
        body, headers = response.content, _headers(response)
        if len(body) > self._bus.nc.max_payload - 4096:  # room for the headers
            refused = responses.refused(_TOO_LARGE)
            body, headers = refused.content, _headers(refused)
        # Whoever asked may be gone; what was decided is on record.
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._bus.nc.publish(message.reply, body, headers=headers)


def _said(service: Service, ref: str, message: Msg) -> Said | Refusal:
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
