"""Attending (取次): a call that came by the bus, to the counter and back. What HTTP does for its own calls."""

from collections.abc import Callable, Iterable, Sequence

from litestar import Response

from runtime.observability import log
from schemas.problems import ProblemCode, Refusal
from services.intake import responses
from services.intake.counter import Said, Service
from services.intake.edge import Caller, Edge

LARGEST_BODY = 1_048_576

UNKNOWN = "unknown"
"""In the metrics, for what is no call, or was not looked at."""

TOO_LARGE = Refusal(ProblemCode.TOO_LARGE)
RATE_LIMITED = Refusal(ProblemCode.RATE_LIMITED)
_NOT_FOUND = Refusal(ProblemCode.NOT_FOUND)
_INTERNAL = Refusal(ProblemCode.INTERNAL)


class Attending:
    def __init__(self, edge: Edge, services: Iterable[Service]) -> None:
        self._edge = edge
        self._services = {service.name: service for service in services}

    async def answer(
        self,
        caller: Caller | None,
        name: str,
        ref: Sequence[str],
        size: int,
        said: Callable[[Service, str], Said | Refusal],
    ) -> Response[bytes]:
        """``ref``: one thing that the call is about, or none. ``size``: the body's, in bytes. ``said`` reads
        what was said once it is clear that the caller may say it. A fault of ours is a plain 500."""
        service = self._services.get(name)

        async def act(caller: Caller) -> Response[bytes]:
            if service is None or len(ref) != service.about:
                return responses.refused(_NOT_FOUND)
            if size > LARGEST_BODY:
                return responses.refused(TOO_LARGE)
            told = said(service, "".join(ref))
            if isinstance(told, Refusal):
                return responses.refused(told)
            return await service.answer(caller.agency, told)

        # What there is not is counted, too: otherwise it could be asked for without end.
        known = UNKNOWN if service is None else service.name
        scope = None if service is None else service.scope
        try:
            return await self._edge.let(caller, known, scope, act)
        except Exception as error:
            log("call_failed", fault=True, call=known, error=type(error).__name__)
            return responses.refused(_INTERNAL)
