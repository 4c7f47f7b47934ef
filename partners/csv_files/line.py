"""The line to the network (回線), for many rows at once: what may be repeated is repeated, and when the
network asks one request to wait, all of them wait.

Not ``partners.client``: that waits for each call by itself, which is right for one call at a time.
"""

import asyncio
import ssl
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from partners.csv_files.faults import Stopped
from schemas.base import JsonObject

PARALLEL = 8
PATIENCE = 300.0
"""Seconds for which one request is repeated before the whole run stops, to be resumed."""
DECIDED_WITHIN = 60.0
"""Seconds that the answer to a 202 is waited for."""
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_LONGEST_PAUSE = 30.0
_LONGEST_RETRY_AFTER = 600.0


class Line:
    """One agency's connections. ``async with`` closes them. Every call raises Stopped where going on
    is hopeless: a key that is not known, a network that stays away."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        parallel: int = PARALLEL,
        patience: float = PATIENCE,
    ) -> None:
        """``url``: where the key may be sent (``runtime.network_url``)."""
        self._patience = patience
        self._open_at = 0.0
        # The key goes to nobody but the network: no proxy out of the environment.
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(30.0),
            limits=httpx.Limits(max_connections=parallel),
            trust_env=False,
            verify=ssl.create_default_context(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def directory(self) -> JsonObject:
        return _object(await self._ask("GET", "/v1/directory"))

    async def check(self, bodies: Sequence[JsonObject]) -> list[JsonObject]:
        """What each would be answered; nothing happens."""
        items = {"items": list(bodies)}
        told = _object(await self._ask("POST", "/v1/referrals/check/batch", json=items))
        found = told.get("items")
        if not isinstance(found, list) or len(found) != len(bodies):
            raise Stopped("接続先の答えが違います / the network gave an unexpected answer")
        return found

    async def submit(self, body: JsonObject, key: str) -> httpx.Response:
        """The answer; 202 where it is durable and was not decided in time."""
        answer = await self._ask(
            "POST", "/v1/referrals", json=body, headers={"Idempotency-Key": key}
        )
        until = time.monotonic() + DECIDED_WITHIN
        while answer.status_code == 202 and time.monotonic() < until:
            await asyncio.sleep(_pause(answer, 0))
            answer = await self._ask("GET", answer.headers["Location"])
        return answer

    async def page(self, asked: Mapping[str, str]) -> JsonObject:
        """One page of the agency's own referrals, newest first."""
        return _object(await self._ask("GET", "/v1/referrals", params=dict(asked)))

    async def read(self, ref: str) -> JsonObject:
        """One referral, with what this agency may open of it."""
        return _object(await self._ask("GET", f"/v1/referrals/{ref}"))

    async def inbox(self, after: int, limit: int) -> JsonObject:
        return _object(await self._ask("GET", "/v1/inbox", params={"after": after, "limit": limit}))

    async def _ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        until = time.monotonic() + self._patience
        tries = 0
        while True:
            left = self._open_at - time.monotonic()
            if left > 0:
                await asyncio.sleep(left)
                continue
            pause = min(_LONGEST_PAUSE, 0.5 * 2 ** min(tries, 10))
            try:
                answer = await self._client.request(method, path, **how)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code not in _AGAIN:
                _refuse_hopeless(answer)
                return answer
            tries += 1
            if time.monotonic() > until:
                raise Stopped(
                    "ネットワークが応じません。あとで --resume を付けて続けてください"
                    " / the network does not answer: go on later with --resume"
                )
            if answer is not None:
                pause = _pause(answer, tries)
                self._open_at = max(self._open_at, time.monotonic() + pause)
            else:
                await asyncio.sleep(pause)


def _refuse_hopeless(answer: httpx.Response) -> None:
    if answer.status_code == 401:
        raise Stopped("鍵が認められません（401） / the key was not recognised")
    if answer.status_code == 403 and _code(answer) == "insufficient_scope":
        raise Stopped("この鍵にはこの操作の権限がありません（403） / the key lacks the scope")


def _code(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("code", ""))
    except (ValueError, AttributeError):
        return ""


def _object(answer: httpx.Response) -> JsonObject:
    try:
        given = answer.json()
    except ValueError:
        given = None
    if answer.status_code != 200 or not isinstance(given, dict):
        raise Stopped(
            f"接続先の答えが違います（HTTP {answer.status_code}）"
            f" / unexpected answer: HTTP {answer.status_code} {_code(answer)}"
        )
    return given


def _pause(answer: httpx.Response, tries: int) -> float:
    """What the network asks for; where it says nothing, longer each time."""
    asked = answer.headers.get("Retry-After", "")
    if asked.isdecimal():
        return float(min(int(asked), _LONGEST_RETRY_AFTER))
    return float(min(_LONGEST_PAUSE, 0.5 * 2 ** min(tries, 10)))
