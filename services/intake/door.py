"""The door (NATS の窓口): the calls of the partner contract as requests on
``tsunagu.<ward>.door.<agency>.<call>[.<ref>]``.

Which agency it is nats-server answers for: it lets each publish on its own subjects only. What the
server does not look at is the reply subject that a request names, so the door answers nowhere but
beneath the agency's own: otherwise an agency could have us say things where it may not speak itself.

The same counter, edge and limits as HTTP: the same key by either door is the same request.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from http import HTTPStatus

import nats.errors
from litestar import Response
from nats.aio.msg import Msg
from pydantic_core import from_json

from runtime.broker import Bus
from runtime.observability import log
from runtime.settings import Settings
from schemas import subjects
from schemas.problems import ProblemCode, Refusal, invalid
from services.intake import responses
from services.intake.access.nats_clients import NatsClients
from services.intake.counter import Said, Service
from services.intake.edge import Caller, Edge, awaits

LARGEST_BODY = 1_048_576
_MOST = 2000
"""So many requests are in work at once, each agency's in its turn (``access.turns``)."""

_TOLD = ("Content-Type", "Location", "Retry-After")
_NOT_FOUND = Refusal(ProblemCode.NOT_FOUND)
_TOO_LARGE = Refusal(ProblemCode.TOO_LARGE)
_RATE_LIMITED = Refusal(ProblemCode.RATE_LIMITED)


class Door:
    def __init__(
        self,
        settings: Settings,
        ward: str,
        edge: Edge,
        services: tuple[Service, ...],
        clients: NatsClients,
    ) -> None:
        self._bus = Bus(settings, "door")
        self._ward = ward
        self._edge = edge
        self._services = {service.name: service for service in services}
        self._clients = clients
        self._at_work: set[asyncio.Task[None]] = set()
        self._open = False

    async def run(self) -> None:
        """Until cancelled."""
        await self._bus.connect()
        self._open = True
        # Several intakes share the work.
        doors = subjects.door(self._ward, "*", ">")
        await self._bus.nc.subscribe(doors, queue="intake", cb=self._take)
        await asyncio.Event().wait()

    async def close(self) -> None:
        """What was begun is answered first, for as long as that is not long."""
        if self._at_work:
            await asyncio.wait(self._at_work, timeout=5)
        if self._open:
            with contextlib.suppress(Exception):  # the broker may be gone before us
                await self._bus.close()

    async def _take(self, message: Msg) -> None:
        # Beside, so that nobody waits for another's answer.
        if len(self._at_work) >= _MOST:
            await self._reply(message, responses.refused(_RATE_LIMITED, retry_after="1"))
            return
        task = asyncio.create_task(self._serve(message))
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)

    async def _serve(self, message: Msg) -> None:
        try:
            response = await self._answer(message)
        except Exception as error:
            log("door_failed", fault=True, error=type(error).__name__)
            response = responses.refused(Refusal(ProblemCode.INTERNAL))
        await self._reply(message, response)

    async def _answer(self, message: Msg) -> Response[bytes]:
        _, _, _, agency, name, *ref = message.subject.split(".")
        service = self._services.get(name)
        if service is None or len(ref) != service.about:
            return responses.refused(_NOT_FOUND)
        if len(message.data) > LARGEST_BODY:
            return responses.refused(_TOO_LARGE)
        said = _said(service, "".join(ref), message)
        if isinstance(said, Refusal):
            return responses.refused(said)

        async def act(caller: Caller) -> Response[bytes]:
            return await service.answer(caller.agency, said)

        return await self._edge.let(self._clients.caller(agency), name, service.scope, act)

    async def _reply(self, message: Msg, response: Response[bytes]) -> None:
        if not message.reply:
            return
        agency = message.subject.split(".")[3]
        if not _is_beneath(message.reply, subjects.agency_replies(agency)):
            log("door_reply_withheld", agency=agency)
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
