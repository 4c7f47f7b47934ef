"""The partner contract over HTTP: one handler a call, each as short as it can be."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from pydantic_core import to_json

from runtime.clock import Clock
from schemas.codes import Scope
from schemas.outside import local_day
from schemas.problems import Refusal, invalid
from services.intake import asked, responses
from services.intake.calls import CALLS, Call
from services.intake.desk import NOT_INVOLVED, UNAVAILABLE, Desk
from services.intake.directory import directory
from services.intake.edge import Act, Caller, Edge, Http, posted_by
from services.intake.following import Board, Following, Inbox
from services.intake.gateway import Gateway
from services.intake.streams import EVENT_STREAM, Streams
from wards.model import Ward


class Api:
    """``openapi`` and ``docs`` are bodies that never change while the process runs."""

    def __init__(
        self,
        edge: Edge,
        desk: Desk,
        gateway: Gateway,
        ward: Ward,
        clock: Clock,
        *,
        openapi: bytes,
        docs: bytes,
    ) -> None:
        self._edge = edge
        self._desk = desk
        self._gateway = gateway
        self._ward = ward
        self._clock = clock
        self._openapi = openapi
        self._docs = docs
        self.streams = Streams(gateway, edge.metrics)

    def handlers(self) -> list[HTTPRouteHandler]:
        posting, getting = self._edge.posting, self._edge.getting
        return [
            posting("/v1/referrals", "submit_referral", Scope.POST, self._submit),
            *(posting(call.path, call.name, call.scope, self._acting(call)) for call in CALLS),
            getting("/v1/referrals", "list_referrals", Scope.READ, self._list),
            getting("/v1/referrals/{ref:str}", "read_referral", Scope.READ, self._read),
            getting("/v1/referrals/{ref:str}/history", "read_history", Scope.READ, self._history),
            getting("/v1/requests/{ref:str}", "read_request", Scope.READ, self._recorded),
            getting("/v1/escalations", "list_escalations", Scope.READ, self._escalations),
            getting("/v1/inbox", "read_inbox", Scope.READ, self._inbox),
            getting("/v1/directory", "read_directory", Scope.READ, self._read_directory),
            *self._open_pages(),
        ]

    # -- calls that change something -------------------------------------------------------------

    async def _submit(self, request: Http, caller: Caller) -> Response[bytes]:
        posted = await posted_by(request, caller)
        if isinstance(posted, Refusal):
            return responses.refused(posted)
        if posted.key is None:
            needed = "Idempotency-Key ヘッダーが要ります / the header Idempotency-Key is needed"
            return responses.refused(invalid("", needed))
        return responses.answered(await self._desk.submit(posted))

    def _acting(self, call: Call) -> Act:
        async def act(request: Http, caller: Caller) -> Response[bytes]:
            posted = await posted_by(request, caller)
            if isinstance(posted, Refusal):
                return responses.refused(posted)
            ref = request.path_params["ref"]
            return responses.answered(await self._desk.act(call, ref, posted))

        return act

    # -- calls that only read --------------------------------------------------------------------

    async def _read(self, request: Http, caller: Caller) -> Response[bytes]:
        body = await self._desk.read(caller.agency, request.path_params["ref"])
        return _found(body)

    async def _history(self, request: Http, caller: Caller) -> Response[bytes]:
        body = await self._desk.history(caller.agency, request.path_params["ref"])
        return _found(body)

    async def _list(self, request: Http, caller: Caller) -> Response[bytes]:
        question = asked.asked_of_list(caller.agency, dict(request.query_params))
        if isinstance(question, Refusal):
            return responses.refused(question)
        told = await self._gateway.ask("referral", "list", question)
        return responses.json_response(to_json(told.body))

    async def _escalations(self, request: Http, caller: Caller) -> Response[bytes]:
        question = asked.asked_of_board(caller.agency, dict(request.query_params))
        if isinstance(question, Refusal):
            return responses.refused(question)
        if _wants_stream(request):
            return await self._stream(request, caller, lambda last: Board(question, last))
        told = await self._gateway.ask("referral", "escalations", question)
        return _found(told.body if told.found else None)

    async def _inbox(self, request: Http, caller: Caller) -> Response[bytes]:
        question = asked.asked_of_inbox(caller.agency, dict(request.query_params))
        if isinstance(question, Refusal):
            return responses.refused(question)
        if _wants_stream(request):
            after = question.after
            return await self._stream(
                request, caller, lambda last: Inbox(caller.agency, after if last is None else last)
            )
        told = await self._gateway.ask("delivery", "inbox", question)
        if question.after > told.body["head"]:
            return responses.refused(asked.beyond_inbox(told.body["head"]))
        return responses.json_response(to_json(told.body))

    async def _stream(
        self, request: Http, caller: Caller, following: Callable[[int | None], Following]
    ) -> Response[bytes]:
        last = asked.last_event_id(request.headers.get("last-event-id"))
        if isinstance(last, Refusal):
            return responses.refused(last)
        return await self.streams.open(
            caller.agency, following(last), lambda: self._edge.access.still(caller)
        )

    async def _recorded(self, request: Http, caller: Caller) -> Response[bytes]:
        try:
            request_id = UUID(request.path_params["ref"])
        except ValueError:
            return responses.refused(NOT_INVOLVED)
        return responses.answered(await self._desk.recorded(caller.agency, request_id))

    async def _read_directory(self, _: Http, __: Caller) -> Response[bytes]:
        return responses.json_response(to_json(directory(self._ward, local_day(self._clock.now()))))

    # -- open to anyone --------------------------------------------------------------------------

    def _open_pages(self) -> list[HTTPRouteHandler]:
        @get("/healthz", name="healthz")
        async def healthz() -> Response[bytes]:
            return responses.json_response(b'{"alive":true}')

        @get("/readyz", name="readyz")
        async def readyz() -> Response[bytes]:
            obstacle = await self._desk.obstacle()
            if obstacle is None:
                return responses.json_response(b'{"ready":true}')
            response = responses.refused(UNAVAILABLE)
            response.headers["Tsunagu-Obstacle"] = obstacle
            return response

        @get("/metrics", name="metrics")
        async def metrics() -> Response[bytes]:
            page = await self._edge.metrics.page(self._gateway)
            return responses.json_response(page, media_type="text/plain; version=0.0.4")

        @get("/openapi.json", name="openapi")
        async def openapi() -> Response[bytes]:
            return responses.json_response(self._openapi)

        @get("/docs", name="docs")
        async def docs() -> Response[bytes]:
            return responses.json_response(self._docs, media_type="text/html; charset=utf-8")

        return [healthz, readyz, metrics, openapi, docs]


def _found(body: dict[str, Any] | None) -> Response[bytes]:
    if body is None:
        return responses.refused(NOT_INVOLVED)
    return responses.json_response(to_json(body))


def _wants_stream(request: Http) -> bool:
    best = request.accept.best_match([responses.JSON, EVENT_STREAM], responses.JSON)
    return best == EVENT_STREAM
