"""The partner contract over HTTP: one handler a call, each as short as it can be."""

import time
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from pydantic_core import to_json

from runtime.broker import NoAnswer
from runtime.clock import Clock
from schemas.outside import JAPAN
from schemas.problems import ProblemCode, Refusal, invalid
from services.intake import admission, asked, responses
from services.intake.authentication import Agencies
from services.intake.calls import CALLS, Call
from services.intake.desk import NOT_INVOLVED, UNAVAILABLE, Desk, Posted
from services.intake.directory import directory
from services.intake.following import Board, Following, Inbox
from services.intake.gateway import Gateway
from services.intake.key_store import KeyStoreFailed
from services.intake.metrics import Metrics
from services.intake.streams import EVENT_STREAM, Streams
from wards.model import Ward

Http = Request[Any, Any, Any]
Act = Callable[[Http, str], Awaitable[Response[bytes]]]

_UNAUTHENTICATED = Refusal(ProblemCode.UNAUTHENTICATED)


class Api:
    """``openapi`` and ``docs`` are bodies that never change while the process runs."""

    def __init__(
        self,
        desk: Desk,
        agencies: Agencies,
        gateway: Gateway,
        metrics: Metrics,
        ward: Ward,
        clock: Clock,
        *,
        openapi: bytes,
        docs: bytes,
    ) -> None:
        self._desk = desk
        self._agencies = agencies
        self._gateway = gateway
        self._metrics = metrics
        self._ward = ward
        self._clock = clock
        self._openapi = openapi
        self._docs = docs
        self.streams = Streams(gateway, metrics)

    def handlers(self) -> list[HTTPRouteHandler]:
        return [
            self._posting("/v1/referrals", "submit_referral", self._submit),
            *(self._posting(call.path, call.name, self._acting(call)) for call in CALLS),
            self._getting("/v1/referrals", "list_referrals", self._list),
            self._getting("/v1/referrals/{ref:str}", "read_referral", self._read),
            self._getting("/v1/referrals/{ref:str}/history", "read_history", self._history),
            self._getting("/v1/requests/{ref:str}", "read_request", self._recorded),
            self._getting("/v1/escalations", "list_escalations", self._escalations),
            self._getting("/v1/inbox", "read_inbox", self._inbox),
            self._getting("/v1/directory", "read_directory", self._read_directory),
            *self._open_pages(),
        ]

    # -- who and how -----------------------------------------------------------------------------

    def _posting(self, path: str, name: str, act: Act) -> HTTPRouteHandler:
        @post(path, name=name, status_code=200)
        async def handler(request: Http) -> Response[bytes]:
            return await self._as_agency(request, name, act)

        return handler

    def _getting(self, path: str, name: str, act: Act) -> HTTPRouteHandler:
        @get(path, name=name)
        async def handler(request: Http) -> Response[bytes]:
            return await self._as_agency(request, name, act)

        return handler

    async def _as_agency(self, request: Http, name: str, act: Act) -> Response[bytes]:
        """Authenticate, act, count."""
        began = time.perf_counter()
        agency = self._agencies.authenticate(request.headers.get("authorization"))
        if agency is None or not self._is_member(agency):
            response = responses.refused(_UNAUTHENTICATED)
        else:
            try:
                response = await act(request, agency)
            except (NoAnswer, KeyStoreFailed):
                response = responses.refused(UNAVAILABLE)
        status = response.status_code or 200
        self._metrics.observe(name, status, time.perf_counter() - began)
        return response

    def _is_member(self, agency_id: str) -> bool:
        """On the network today: an agency that has left reads nothing any more."""
        agency = self._ward.agency(agency_id)
        return agency is not None and agency.active_on(self._today())

    def _today(self) -> date:
        return self._clock.now().astimezone(JAPAN).date()

    async def _posted(self, request: Http, agency: str) -> Posted | Refusal:
        key = request.headers.get("idempotency-key")
        if key is not None:
            refusal = admission.refuse_header(key)
            if refusal is not None:
                return refusal
        wait = "respond-async" not in request.headers.get("prefer", "")
        return Posted(agency, key, await request.body(), wait)

    # -- calls that change something -------------------------------------------------------------

    async def _submit(self, request: Http, agency: str) -> Response[bytes]:
        posted = await self._posted(request, agency)
        if isinstance(posted, Refusal):
            return responses.refused(posted)
        if posted.key is None:
            needed = "Idempotency-Key ヘッダーが要ります / the header Idempotency-Key is needed"
            return responses.refused(invalid("", needed))
        return responses.answered(await self._desk.submit(posted))

    def _acting(self, call: Call) -> Act:
        async def act(request: Http, agency: str) -> Response[bytes]:
            posted = await self._posted(request, agency)
            if isinstance(posted, Refusal):
                return responses.refused(posted)
            ref = request.path_params["ref"]
            return responses.answered(await self._desk.act(call, ref, posted))

        return act

    # -- calls that only read --------------------------------------------------------------------

    async def _read(self, request: Http, agency: str) -> Response[bytes]:
        body = await self._desk.read(agency, request.path_params["ref"])
        return _found(body)

    async def _history(self, request: Http, agency: str) -> Response[bytes]:
        body = await self._desk.history(agency, request.path_params["ref"])
        return _found(body)

    async def _list(self, request: Http, agency: str) -> Response[bytes]:
        question = asked.asked_of_list(agency, dict(request.query_params))
        if isinstance(question, Refusal):
            return responses.refused(question)
        told = await self._gateway.ask("referral", "list", question)
        return responses.json_response(to_json(told.body))

    async def _escalations(self, request: Http, agency: str) -> Response[bytes]:
        question = asked.asked_of_board(agency, dict(request.query_params))
        if isinstance(question, Refusal):
            return responses.refused(question)
        if _wants_stream(request):
            return await self._stream(request, agency, lambda last: Board(question, last))
        told = await self._gateway.ask("referral", "escalations", question)
        return _found(told.body if told.found else None)

    async def _inbox(self, request: Http, agency: str) -> Response[bytes]:
        question = asked.asked_of_inbox(agency, dict(request.query_params))
        if isinstance(question, Refusal):
            return responses.refused(question)
        if _wants_stream(request):
            after = question.after
            return await self._stream(
                request, agency, lambda last: Inbox(agency, after if last is None else last)
            )
        told = await self._gateway.ask("delivery", "inbox", question)
        if question.after > told.body["head"]:
            return responses.refused(asked.beyond_inbox(told.body["head"]))
        return responses.json_response(to_json(told.body))

    async def _stream(
        self, request: Http, agency: str, following: Callable[[int | None], Following]
    ) -> Response[bytes]:
        last = asked.last_event_id(request.headers.get("last-event-id"))
        if isinstance(last, Refusal):
            return responses.refused(last)
        key = request.headers.get("authorization")

        def allowed() -> bool:
            return self._agencies.authenticate(key) == agency and self._is_member(agency)

        return await self.streams.open(agency, following(last), allowed)

    async def _recorded(self, request: Http, agency: str) -> Response[bytes]:
        try:
            request_id = UUID(request.path_params["ref"])
        except ValueError:
            return responses.refused(NOT_INVOLVED)
        return responses.answered(await self._desk.recorded(agency, request_id))

    async def _read_directory(self, _: Http, __: str) -> Response[bytes]:
        return responses.json_response(to_json(directory(self._ward, self._today())))

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
            page = await self._metrics.page(self._gateway)
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
