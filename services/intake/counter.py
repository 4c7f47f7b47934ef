"""The counter (応対): what each call does, by whichever door it came in: HTTP or NATS.

Whoever calls is known by then, and may do it. The answer is an HTTP response; the other door carries
its status, a few of its headers, and the same bytes.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from litestar import Response
from pydantic_core import to_json

from runtime.clock import Clock
from schemas.codes import Scope
from schemas.outside import local_day
from schemas.problems import Refusal, invalid
from services.intake import admission, asked, responses
from services.intake.calls import CALLS, Call
from services.intake.desk import NOT_INVOLVED, Desk, Posted
from services.intake.directory import directory
from services.intake.gateway import Gateway
from services.intake.proofs import Proofs
from wards.model import Ward


@dataclass(frozen=True, slots=True)
class Said:
    """A request without its door. ``ref``: what ``{ref}`` is in the path. ``key``: its idempotency
    key. ``wait``: for the decision, if it comes soon. ``accept``: the media type that is preferred."""

    ref: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    key: str | None = None
    wait: bool = True
    accept: str = ""


LOCATE = "/v1/addresses/locate"
Answer = Callable[[str, Said], Awaitable[Response[bytes]]]


@dataclass(frozen=True, slots=True)
class Service:
    """One call: ``path`` for HTTP, ``name`` for NATS and everybody else (its ``operationId``).
    ``answer`` takes the agency's id and what it said."""

    name: str
    path: str
    scope: Scope
    posts: bool
    answer: Answer

    @property
    def about(self) -> bool:
        """Whether it is about something that ``ref`` names."""
        return "{ref" in self.path


class Counter:
    def __init__(self, desk: Desk, gateway: Gateway, ward: Ward, clock: Clock) -> None:
        self._desk = desk
        self._gateway = gateway
        self._ward = ward
        self._clock = clock
        self._proofs = Proofs(gateway)

    def services(self) -> tuple[Service, ...]:
        referrals, read = "/v1/referrals", Scope.READ
        return (
            Service("submit_referral", referrals, Scope.POST, True, self._submit),
            *(Service(c.name, c.path, c.scope, True, self._acting(c)) for c in CALLS),
            Service("list_referrals", referrals, read, False, self._list),
            Service("read_referral", f"{referrals}/{{ref:str}}", read, False, self._read),
            Service("read_history", f"{referrals}/{{ref:str}}/history", read, False, self._history),
            Service("read_request", "/v1/requests/{ref:str}", read, False, self._recorded),
            Service("list_escalations", "/v1/escalations", read, False, self._escalations),
            Service("read_inbox", "/v1/inbox", read, False, self._inbox),
            Service("read_manifest", "/v1/inbox/manifest", read, False, self._proofs.manifest),
            Service("sign_manifest", "/v1/inbox/manifest", read, True, self._proofs.sign),
            Service("test_delivery", "/v1/inbox/test", read, True, self._proofs.test),
            Service("read_test", "/v1/inbox/test/{ref:str}", read, False, self._proofs.read_test),
            Service("locate_address", LOCATE, read, True, self._locate),
            Service("read_directory", "/v1/directory", read, False, self._directory),
        )

    # -- calls that change something -------------------------------------------------------------

    async def _submit(self, agency: str, said: Said) -> Response[bytes]:
        posted = _posted(agency, said)
        if isinstance(posted, Refusal):
            return responses.refused(posted)
        if posted.key is None:
            needed = "Idempotency-Key ヘッダーが要ります / the header Idempotency-Key is needed"
            return responses.refused(invalid("", needed))
        return responses.answered(await self._desk.submit(posted))

    def _acting(self, call: Call) -> Answer:
        async def act(agency: str, said: Said) -> Response[bytes]:
            posted = _posted(agency, said)
            if isinstance(posted, Refusal):
                return responses.refused(posted)
            return responses.answered(await self._desk.act(call, said.ref, posted))

        return act

    # -- calls that only read --------------------------------------------------------------------

    async def _read(self, agency: str, said: Said) -> Response[bytes]:
        return _found(await self._desk.read(agency, said.ref))

    async def _history(self, agency: str, said: Said) -> Response[bytes]:
        return _found(await self._desk.history(agency, said.ref))

    async def _list(self, agency: str, said: Said) -> Response[bytes]:
        question = asked.asked_of_list(agency, dict(said.query))
        if isinstance(question, Refusal):
            return responses.refused(question)
        told = await self._gateway.ask("referral", "list", question)
        return responses.json_response(to_json(told.body))

    async def _escalations(self, agency: str, said: Said) -> Response[bytes]:
        question = asked.asked_of_board(agency, dict(said.query))
        if isinstance(question, Refusal):
            return responses.refused(question)
        told = await self._gateway.ask("referral", "escalations", question)
        return _found(told.body if told.found else None)

    async def _inbox(self, agency: str, said: Said) -> Response[bytes]:
        question = asked.asked_of_inbox(agency, dict(said.query))
        if isinstance(question, Refusal):
            return responses.refused(question)
        told = await self._gateway.ask("delivery", "inbox", question)
        if question.after > told.body["head"]:
            return responses.refused(asked.beyond_inbox(told.body["head"]))
        return responses.json_response(to_json(told.body))

    async def _recorded(self, agency: str, said: Said) -> Response[bytes]:
        try:
            request = UUID(said.ref)
        except ValueError:
            return responses.refused(NOT_INVOLVED)
        return responses.answered(await self._desk.recorded(agency, request))

    async def _locate(self, agency: str, said: Said) -> Response[bytes]:
        located = await self._desk.locate(agency, said.body)
        if isinstance(located, Refusal):
            return responses.refused(located)
        return responses.json_response(to_json(located))

    async def _directory(self, _: str, __: Said) -> Response[bytes]:
        return responses.json_response(to_json(directory(self._ward, local_day(self._clock.now()))))


def _posted(agency: str, said: Said) -> Posted | Refusal:
    if said.key is not None:
        refusal = admission.refuse_header(said.key)
        if refusal is not None:
            return refusal
    return Posted(agency, said.key, said.body, said.wait)


def _found(body: dict[str, Any] | None) -> Response[bytes]:
    if body is None:
        return responses.refused(NOT_INVOLVED)
    return responses.json_response(to_json(body))
