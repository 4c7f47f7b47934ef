"""The edge (窓口): every HTTP call of an agency comes through here: who calls, may it, how long did it
take. What a call does is a function of the request and the caller; the modules that have such
functions ask the edge for their handlers.
"""

import functools
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
from services.intake.access.turns import NoTurn, Turns
from services.intake.bodies import Bodies
from services.intake.desk import UNAVAILABLE, Posted
from services.intake.key_store import KeyStoreFailed
from services.intake.metrics import Metrics

Http = Request[Any, Any, Any]

_UNAUTHENTICATED = Refusal(ProblemCode.UNAUTHENTICATED)
_NOT_ALLOWED = Refusal(ProblemCode.INSUFFICIENT_SCOPE)
_TOO_MANY = Refusal(ProblemCode.RATE_LIMITED)


@dataclass(frozen=True, slots=True)
class Caller:
    """An agency, by one of its credentials (its id), and what it may do with it."""

    agency: str
    scopes: frozenset[Scope]
    credential: str = ""


Act = Callable[[Http, Caller], Awaitable[Response[bytes]]]
Work = Callable[[Caller], Awaitable[Response[bytes]]]


class Access(Protocol):
    async def caller(self, request: Http) -> Caller | None:
        """Who is calling; None when nobody whom we know."""

    def still(self, caller: Caller) -> bool:
        """May whoever was let in once still be here?"""

    def obstacle(self) -> str | None:
        """Why who may come in is not known as it is now; None when it is."""


class Edge:
    """``turns``: how much one agency may ask; none: as much as it likes."""

    def __init__(self, access: Access, metrics: Metrics, turns: Turns | None = None) -> None:
        self.access = access
        self.metrics = metrics
        self._turns = turns
        self._bodies = Bodies()
        self.scopes: dict[str, Scope] = {}
        """What each call that it was asked to make a handler for needs."""

    def posting(self, path: str, name: str, scope: Scope, act: Act) -> HTTPRouteHandler:
        """``name``: the call's ``operationId``, also its label in the metrics. ``act`` has the whole
        body."""
        self.scopes[name] = scope

        async def act_on_body(request: Http, caller: Caller) -> Response[bytes]:
            async with self._bodies.whole(request, caller.agency) as refusal:
                return await act(request, caller) if refusal is None else responses.refused(refusal)

        @post(path, name=name, status_code=200)
        async def handler(request: Http) -> Response[bytes]:
            return await self._as_agency(request, name, scope, act_on_body)

        return handler

    def uploading(self, path: str, name: str, scope: Scope, act: Act) -> HTTPRouteHandler:
        """A POST whose body is a file, as large as ``act`` lets it be. On a slow line that takes
        minutes, so it holds none of its agency's turns; ``act`` says how many there may be."""
        self.scopes[name] = scope

        @post(path, name=name, status_code=200, request_max_body_size=None)
        async def handler(request: Http) -> Response[bytes]:
            caller = await self.access.caller(request)
            work = functools.partial(act, request)
            return await self.let(caller, name, scope, work, in_turn=False)

        return handler

    def getting(self, path: str, name: str, scope: Scope, act: Act) -> HTTPRouteHandler:
        self.scopes[name] = scope

        @get(path, name=name)
        async def handler(request: Http) -> Response[bytes]:
            return await self._as_agency(request, name, scope, act)

        return handler

    def charge(self, caller: Caller, requests: int) -> None:
        """For more than the one request as which it came in."""
        if self._turns is not None:
            self._turns.charge(caller.agency, requests)

    async def _as_agency(self, request: Http, name: str, scope: Scope, act: Act) -> Response[bytes]:
        caller = await self.access.caller(request)
        return await self.let(caller, name, scope, functools.partial(act, request))

    async def let(
        self,
        caller: Caller | None,
        name: str,
        scope: Scope | None,
        act: Work,
        *,
        in_turn: bool = True,
    ) -> Response[bytes]:
        """May whoever calls do this? Then act; and count. By whichever door it came. ``scope``: none,
        for a call that there is not."""
        began = time.perf_counter()
        if caller is None:
            response = responses.refused(_UNAUTHENTICATED)
        else:
            response = await self._in_turn(caller, scope, act, in_turn)
        status = response.status_code or 200
        self.metrics.observe(name, status, time.perf_counter() - began)
        return response

    async def _in_turn(
        self, caller: Caller, scope: Scope | None, act: Work, in_turn: bool
    ) -> Response[bytes]:
        turns = self._turns
        wait = turns.take(caller.agency) if turns is not None else 0
        if turns is not None and wait:
            await turns.hold(caller.agency)
            return responses.refused(_TOO_MANY, retry_after=str(wait))
        # Only now: who asks for what it may not have has asked, too.
        if scope is not None and scope not in caller.scopes:
            return responses.refused(_NOT_ALLOWED)
        try:
            if turns is None or not in_turn:
                return await act(caller)
            async with turns.turn(caller.agency):
                return await act(caller)
        except NoTurn:
            return responses.refused(_TOO_MANY, retry_after="1")
        except (NoAnswer, KeyStoreFailed):
            return responses.refused(UNAVAILABLE)


def awaits(prefer: str | None) -> bool:
    """Whether the decision is waited for, by the header ``Prefer`` (RFC 7240)."""
    return "respond-async" not in (prefer or "")


async def posted_by(request: Http, caller: Caller) -> Posted | Refusal:
    """The body of a POST and what its headers ask for."""
    key = request.headers.get("idempotency-key")
    if key is not None:
        refusal = admission.refuse_header(key)
        if refusal is not None:
            return refusal
    wait = awaits(request.headers.get("prefer"))
    return Posted(caller.agency, key, await request.body(), wait)
