"""Bodies on their way in (届きつつある本文): how long one may take to come, and how much of them we hold
for one party, an agency or all strangers together. So nobody fills our memory by sending slowly."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from litestar import Request

from schemas.problems import ProblemCode, Refusal, invalid

PATIENCE = 10.0
"""Seconds within which a whole body must have come."""
HELD = 4 * 1_048_576
"""Bytes of bodies held at once for one party: four of the largest, or some hundreds of the usual."""


class Bodies:
    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    @contextlib.asynccontextmanager
    async def whole(
        self, request: Request[Any, Any, Any], of: str
    ) -> AsyncIterator[Refusal | None]:
        """None: the body has come, ``request.body()`` has it, and it counts as held until the end.
        Raises what Litestar raises when it is too large or the sender has gone."""
        largest = request.route_handler.resolve_request_max_body_size() or HELD
        announced = request.content_length
        size = largest if announced is None else min(announced, largest)
        if self._held[of] and self._held[of] + size > HELD:
            yield Refusal(ProblemCode.RATE_LIMITED)
            return
        self._held[of] += size
        try:
            yield await _come(request)
        finally:
            self._held[of] -= size


async def _come(request: Request[Any, Any, Any]) -> Refusal | None:
    try:
        async with asyncio.timeout(PATIENCE):
            await request.body()
    except TimeoutError:
        late = f"本文が {PATIENCE:.0f} 秒以内に届きませんでした / the body took more than {PATIENCE:.0f} s"
        return invalid("", late)
    return None
