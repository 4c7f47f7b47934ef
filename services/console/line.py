"""The console's way to the other services (回線): questions, calls at intake's counter, and words that
something grew. It decides nothing and opens nothing itself."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from nats.aio.msg import Msg
from pydantic import BaseModel
from pydantic_core import from_json, to_json

from runtime.broker import Bus
from schemas import queries as q
from schemas import subjects
from schemas.base import JsonObject
from services.console.person import Person

_PATIENCE = 5.0
"""Seconds for a call at the counter, which itself waits for two until a decision."""


class Said:
    """What the counter answered: HTTP's status, and the body as a partner would have got it."""

    def __init__(self, status: int, body: str) -> None:
        self.status = status
        self.text = body

    @property
    def done(self) -> bool:
        return self.status < 400

    @property
    def pending(self) -> bool:
        """Durable, and not decided yet."""
        return self.status == 202

    @property
    def unsure(self) -> bool:
        """Nobody could say; it may have been taken all the same. With the same key it is the same deed."""
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR or (
            self.status == HTTPStatus.TOO_MANY_REQUESTS
        )

    @property
    def body(self) -> JsonObject:
        found: JsonObject = from_json(self.text)
        return found

    @property
    def code(self) -> str:
        """The problem's code; empty where there is none."""
        return str(self.body.get("code", "")) if not self.done else ""


class Line:
    def __init__(self, bus: Bus, ward: str) -> None:
        self._bus = bus
        self._ward = ward
        self._heard: list[Callable[[str], None]] = []

    def when_heard(self, heard: Callable[[str], None]) -> None:
        """``heard`` is told what grew (``escalations``, ``inbox.<agency>``). To be said before
        ``open``."""
        self._heard.append(heard)

    async def open(self) -> None:
        """Begin to hear; the bus is connected."""
        await self._bus.nc.subscribe(subjects.grew(self._ward, ">"), cb=self._hear)

    @property
    def is_open(self) -> bool:
        return self._bus.nc.is_connected

    async def ask(
        self, service: str, name: str, question: BaseModel, timeout: float = 2.0
    ) -> q.Told:
        """Ask a service. Raises NoAnswer."""
        subject = subjects.query(self._ward, service, name)
        return await self._bus.ask(subject, question, q.Told, timeout=timeout)

    async def call(
        self,
        person: Person,
        name: str,
        *,
        ref: str = "",
        query: Mapping[str, str] | None = None,
        body: Any = None,
        key: str | None = None,
    ) -> Said:
        """One call of the partner contract, for the person's agency: ``name`` is its
        ``operationId``, ``key`` its idempotency key. Raises NoAnswer."""
        asked = q.CallCounter(
            agency=person.agency,
            call=name,
            ref=ref,
            query=dict(query or {}),
            body=to_json(body).decode() if body is not None else None,
            key=key,
        )
        subject = subjects.query(self._ward, "intake", "call")
        said = await self._bus.ask(subject, asked, q.CounterSaid, timeout=_PATIENCE)
        return Said(said.status, said.body)

    async def about_file(
        self,
        question: q.OpenAttachment | q.BeginAttachment | q.MovePiece,
        *,
        at: str = "",
        timeout: float = _PATIENCE,
    ) -> q.FileSaid:
        """A question about a file (``services.console.files``). ``at``: to the process of intake that has
        it in hand. Raises NoAnswer."""
        match question:
            case q.OpenAttachment():
                subject = subjects.query(self._ward, "intake", "open_attachment")
            case q.BeginAttachment():
                subject = subjects.query(self._ward, "intake", "begin_attachment")
            case q.MovePiece():
                subject = subjects.pieces(self._ward, at)
        return await self._bus.ask(subject, question, q.FileSaid, timeout=timeout)

    async def _hear(self, message: Msg) -> None:
        what = message.subject.removeprefix(subjects.grew(self._ward, ""))
        for heard in self._heard:
            heard(what)
