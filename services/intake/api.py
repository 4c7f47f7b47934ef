"""The partner contract over HTTP. What a call does is the counter's; here are its adapters, the two
streams, and the pages that are open to anyone."""

from collections.abc import Callable

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from runtime.streams import EVENT_STREAM, Beyond, Ended, Following, NotTold, Streams, TooMany
from schemas.problems import ProblemCode, Refusal
from services.intake import asked, responses
from services.intake.counter import Counter, Said, Service
from services.intake.desk import NOT_INVOLVED, UNAVAILABLE, Desk
from services.intake.edge import Act, Caller, Edge, Http, awaits
from services.intake.following import Board, Inbox
from services.intake.gateway import Gateway

_TOO_MANY = Refusal(ProblemCode.RATE_LIMITED)


class Api:
    """``openapi`` and ``docs`` are bodies that never change while the process runs."""

    def __init__(
        self,
        edge: Edge,
        counter: Counter,
        desk: Desk,
        gateway: Gateway,
        *,
        openapi: bytes,
        docs: bytes,
    ) -> None:
        self._edge = edge
        self._counter = counter
        self._desk = desk
        self._gateway = gateway
        self._openapi = openapi
        self._docs = docs
        self.streams = Streams(gateway, edge.metrics.streams_open)

    def handlers(self) -> list[HTTPRouteHandler]:
        streams: dict[str, Act] = {
            "list_escalations": self._follow_board,
            "read_inbox": self._follow_inbox,
        }
        return [
            *(self._handler(s, streams.get(s.name)) for s in self._counter.services()),
            *self._open_pages(),
        ]

    def _handler(self, service: Service, stream: Act | None) -> HTTPRouteHandler:
        async def act(request: Http, caller: Caller) -> Response[bytes]:
            if stream is not None and _wants_stream(request):
                return await stream(request, caller)
            said = Said(
                request.path_params.get("ref", ""),
                dict(request.query_params),
                await request.body() if service.posts else b"",
                request.headers.get("idempotency-key"),
                awaits(request.headers.get("prefer")),
                request.headers.get("accept", ""),
            )
            return await service.answer(caller.agency, said)

        make = self._edge.posting if service.posts else self._edge.getting
        return make(service.path, service.name, service.scope, act)

    # -- streams ---------------------------------------------------------------------------------

    async def _follow_board(self, request: Http, caller: Caller) -> Response[bytes]:
        question = asked.asked_of_board(caller.agency, dict(request.query_params))
        if isinstance(question, Refusal):
            return responses.refused(question)
        return await self._stream(request, caller, lambda last: Board(question, last))

    async def _follow_inbox(self, request: Http, caller: Caller) -> Response[bytes]:
        question = asked.asked_of_inbox(caller.agency, dict(request.query_params))
        if isinstance(question, Refusal):
            return responses.refused(question)
        after = question.after
        return await self._stream(
            request, caller, lambda last: Inbox(caller.agency, after if last is None else last)
        )

    async def _stream(
        self, request: Http, caller: Caller, following: Callable[[int | None], Following]
    ) -> Response[bytes]:
        last = asked.last_event_id(request.headers.get("last-event-id"))
        if isinstance(last, Refusal):
            return responses.refused(last)
        try:
            return await self.streams.open(
                caller.agency, following(last), lambda: self._edge.access.still(caller)
            )
        except Ended:
            return responses.refused(UNAVAILABLE)
        except TooMany:
            return responses.refused(_TOO_MANY, retry_after="5")
        except NotTold:
            return responses.refused(NOT_INVOLVED)
        except Beyond as beyond:
            return responses.refused(asked.beyond_inbox(beyond.head))

    # -- open to anyone --------------------------------------------------------------------------

    def _open_pages(self) -> list[HTTPRouteHandler]:
        @get("/healthz", name="healthz")
        async def healthz() -> Response[bytes]:
            return responses.json_response(b'{"alive":true}')

        @get("/readyz", name="readyz")
        async def readyz() -> Response[bytes]:
            obstacle = self._edge.access.obstacle() or await self._desk.obstacle()
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


def _wants_stream(request: Http) -> bool:
    best = request.accept.best_match([responses.JSON, EVENT_STREAM], responses.JSON)
    return best == EVENT_STREAM
