"""The inside door (中の窓口): the calls of the partner contract, for people whom the console has signed in.

They come as ``schemas.queries.CallCounter`` within the services' own account, where only the console may
ask (``schemas.logins``). Which agency it is is the console's word; whether that agency is on the network
today, and what it may do, is looked at here, as at the other doors. The same counter: the same key by any
door is the same request.

An agency's people have limits of their own, as large as those of its own system, so that neither stands in
the other's way.
"""

import asyncio
import contextlib
from http import HTTPStatus

import nats.errors
from litestar import Response
from nats.aio.msg import Msg
from pydantic import ValidationError

from runtime.broker import Bus
from runtime.clock import Clock
from runtime.observability import log
from schemas import queries as q
from schemas import subjects
from schemas.problems import Refusal, invalid
from services.intake import responses
from services.intake.access.callers import Callers
from services.intake.access.turns import Turns
from services.intake.attending import RATE_LIMITED, TOO_LARGE, UNKNOWN, Attending
from services.intake.counter import Said, Service
from services.intake.edge import Edge
from services.intake.metrics import Metrics
from wards.model import Ward

_MOST = 256
"""So many requests of everybody's are in work at once; of one agency's, most wait (``access.turns``)."""


class Inside:
    """``bus``: the service's own connection, on which it answers. ``edge``: with the limits of people."""

    def __init__(
        self,
        bus: Bus,
        ward: Ward,
        callers: Callers,
        metrics: Metrics,
        clock: Clock,
        services: tuple[Service, ...],
    ) -> None:
        self._bus = bus
        self._subject = subjects.query(ward.code, "intake", "call")
        self._callers = callers
        self._metrics = metrics
        self.edge = Edge(callers, metrics, Turns(ward.limits, clock))
        self._attending = Attending(self.edge, services)
        self._at_work: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Answer from here on; the bus is connected."""
        # Several intakes share the work.
        await self._bus.nc.subscribe(self._subject, queue="intake", cb=self._take)

    async def close(self) -> None:
        """What was begun is answered, for as long as that is not long."""
        if self._at_work:
            await asyncio.wait(self._at_work, timeout=5)

    async def _take(self, message: Msg) -> None:
        if len(self._at_work) >= _MOST:
            self._metrics.observe(UNKNOWN, HTTPStatus.TOO_MANY_REQUESTS, 0)
            await self._reply(message, responses.refused(RATE_LIMITED))
            return
        # Beside, so that nobody waits for another's answer.
        task = asyncio.create_task(self._serve(message))
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)

    async def _serve(self, message: Msg) -> None:
        try:
            asked = q.CallCounter.from_json(message.data)
        except ValidationError as error:
            # By its faults alone: the values may be personal.
            faults = sorted({str(e["type"]) for e in error.errors(include_input=False)})
            log("question_refused", subject=self._subject, faults=faults)
            unreadable = invalid("", "読めません / cannot be read")
            await self._reply(message, responses.refused(unreadable))
            return
        body = (asked.body or "").encode()

        def said(service: Service, ref: str) -> Said | Refusal:
            if service.posts:
                return Said(ref, {}, body, asked.key, asked.wait)
            return Said(ref, asked.query)

        ref = (asked.ref,) if asked.ref else ()
        caller = self._callers.by_name(asked.agency)
        response = await self._attending.answer(caller, asked.call, ref, len(body), said)
        await self._reply(message, response)

    async def _reply(self, message: Msg, response: Response[bytes]) -> None:
        if not message.reply:
            return
        told = _told(response)
        if len(told) > self._bus.nc.max_payload:
            told = _told(responses.refused(TOO_LARGE))
        # Whoever asked may be gone; what was decided is on record.
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._bus.nc.publish(message.reply, told)


def _told(response: Response[bytes]) -> bytes:
    said = q.CounterSaid(
        status=response.status_code or HTTPStatus.OK,
        media_type=str(response.media_type or responses.JSON),
        location=response.headers.get("Location"),
        body=response.content.decode(),
    )
    return said.to_json()
