"""The edge (窓口): every HTTP call of an agency comes through here: who calls, may it, how long did it
take. What a call does is a function of the request and the caller; the modules that have such
functions ask the edge for their handlers.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from runtime.broker import NoAnswer
from schemas.codes import Scope
from schemas.problems import ProblemCode, Refusal
from services.intake import admission, responses
from services.intake.desk import UNAVAILABLE, Posted
from services.intake.key_store import KeyStoreFailed
from services.intake.metrics import Metrics

Http = Request[Any, Any, Any]

_UNAUTHENTICATED = Refusal(ProblemCode.UNAUTHENTICATED)
_NOT_ALLOWED = Refusal(ProblemCode.INSUFFICIENT_SCOPE)


@dataclass(frozen=True, slots=True)
class Caller:
    """An agency, by one of its credentials, and what it may do with it."""

    agency: str
    scopes: frozenset[Scope]
    credential: str = ""


Act = Callable[[Http, Caller], Awaitable[Response[bytes]]]


class Access(Protocol):
    async def caller(self, request: Http) -> Caller | None:
        """Who is calling; None when nobody whom we know."""

    def still(self, caller: Caller) -> bool:
        """May whoever was let in once still be here?"""


class Edge:
    def __init__(self, access: Access, metrics: Metrics) -> None:
        self.access = access
        self.metrics = metrics

    def posting(self, path: str, name: str, scope: Scope, act: Act) -> HTTPRouteHandler:
        """``name``: the call's ``operationId``, also its label in the metrics."""

        @post(path, name=name, status_code=200)
        async def handler(request: Http) -> Response[bytes]:
            return await self._as_agency(request, name, scope, act)

        return handler

    def getting(self, path: str, name: str, scope: Scope, act: Act) -> HTTPRouteHandler:
        @get(path, name=name)
        async def handler(request: Http) -> Response[bytes]:
            return await self._as_agency(request, name, scope, act)

        return handler

    async def _as_agency(self, request: Http, name: str, scope: Scope, act: Act) -> Response[bytes]:
        """Authenticate, act, count."""
        began = time.perf_counter()
        caller = await self.access.caller(request)
        if caller is None:
            response = responses.refused(_UNAUTHENTICATED)
        elif scope not in caller.scopes:
            response = responses.refused(_NOT_ALLOWED)
        else:
            try:
                response = await act(request, caller)
            except (NoAnswer, KeyStoreFailed):
                response = responses.refused(UNAVAILABLE)
        status = response.status_code or 200
        self.metrics.observe(name, status, time.perf_counter() - began)
        return response


async def posted_by(request: Http, caller: Caller) -> Posted | Refusal:
    """The body of a POST and what its headers ask for."""
    key = request.headers.get("idempotency-key")
    if key is not None:
        refusal = admission.refuse_header(key)
        if refusal is not None:
            return refusal
    wait = "respond-async" not in request.headers.get("prefer", "")
    return Posted(caller.agency, key, await request.body(), wait)
