"""The line to the network: the stream of escalations, and what is said back. The partner contract."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from uuid import UUID, uuid4

import httpx
from pydantic import TypeAdapter, ValidationError

from schemas.partner import BurningGiven, HandoffGiven
from schemas.problems import ProblemCode
from watch.board import Names
from watch.event_stream import EventReader
from watch.watching import Acknowledge

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 15.0
SILENCE = 40.0
"""Seconds without a sign of life after which a stream counts as lost: comments come far sooner."""
TRIES = 3

_handoffs = TypeAdapter(tuple[HandoffGiven, ...])


class WatchError(RuntimeError):
    """Why there is no board; the text is for whoever asked for it, Japanese and English."""


class Lost(Exception):
    """The connection is gone, or the network cannot answer now: trying again may help."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The stream is open. ``names``: as the directory says them now."""

    names: Names


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something came that this program does not understand."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything up to now was told."""


@dataclass(frozen=True, slots=True)
class Retrying:
    """The connection is lost and will be tried again."""

    attempt: int
    pause: float


Heard = Connected | BurningGiven | Ready | Unreadable | Retrying


class Line:
    """One agency's connections to the network. Close it."""

    def __init__(self, url: str, agency: str, key: str) -> None:
        self._agency = agency
        self._resume = ""
        self._pause = FIRST_PAUSE
        self._keys: dict[tuple[UUID, bool], str] = {}
        try:
            self._client = httpx.AsyncClient(
                base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=10.0
            )
        except httpx.InvalidURL:
            raise WatchError(f"URL が読めません / not a URL: {url}") from None

    async def close(self) -> None:
        await self._client.aclose()

    # -- listening ---------------------------------------------------------------------------------

    async def follow(self, hear: Callable[[Heard], None]) -> None:
        """For ever; a lost connection is found again. Raises WatchError when that is hopeless."""
        attempt = 0
        while True:
            try:
                async with aclosing(self.listen()) as stream:
                    async for heard in stream:
                        if isinstance(heard, Ready):
                            attempt = 0
                        hear(heard)
            except Lost:
                pass
            pause = min(LONGEST_PAUSE, self._pause * 2 ** min(attempt, 10))
            attempt += 1
            hear(Retrying(attempt, pause))
            await asyncio.sleep(pause)

    async def listen(self) -> AsyncGenerator[Heard, None]:
        """One connection, to its end. Goes on where the last complete picture was left. Raises Lost
        and WatchError."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if self._resume:
            headers["Last-Event-ID"] = self._resume
        reader = EventReader()
        complete = False
        timeout = httpx.Timeout(10.0, read=SILENCE)
        try:
            directory = await self._client.get("/v1/directory")
            self._check(directory)
            async with self._client.stream(
                "GET", "/v1/escalations", headers=headers, timeout=timeout
            ) as answer:
                if answer.status_code != 200:
                    await answer.aread()
                self._check(answer)
                if not answer.headers.get("Content-Type", "").startswith("text/event-stream"):
                    raise WatchError(
                        "接続先は上申を配信していません / it does not stream escalations"
                    )
                yield Connected(Names.of(directory.json()))
                async for chunk in answer.aiter_bytes():
                    for event in reader.feed(chunk):
                        heard = _understood(event.type, event.data)
                        complete = complete or isinstance(heard, Ready)
                        if heard is not None:
                            yield heard
                        # Before the picture is complete, what comes may come in any order: a
                        # stream that broke off there is asked for all of it again.
                        if complete and event.id:
                            self._resume = event.id
                    if reader.retry_ms is not None:
                        self._pause = reader.retry_ms / 1000
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Lost(type(error).__name__) from None
        except ValueError:
            raise WatchError("名簿が読めません / the directory cannot be read") from None

    def _check(self, answer: httpx.Response) -> None:
        status = answer.status_code
        if status in (408, 429) or status >= 500:
            raise Lost(f"HTTP {status}")
        if status == 401:
            raise WatchError(
                f"{self._agency} の鍵が認められません（401）/ the key of {self._agency} was not"
                " recognised"
            )
        if status == 403:
            raise WatchError(
                f"{self._agency} は見張りを見られません（403）。基幹の鍵で開いてください"
                f" / {self._agency} may not see the board; use the core centre's key"
            )
        if status != 200:
            raise WatchError(f"接続先の答えが違います / unexpected answer: HTTP {status}")

    # -- saying ------------------------------------------------------------------------------------

    async def acknowledge(self, wish: Acknowledge) -> str:
        """Answer a call, and say in words what came of it. Until that is known, the same wish has
        the same idempotency key, so that it happens once however often it is sent."""
        mode = (wish.call.id, wish.advise_only)
        key = self._keys.setdefault(mode, f"watch-{uuid4()}")
        for attempt in range(TRIES):
            try:
                answer = await self._client.post(
                    f"/v1/escalations/{wish.call.id}/acknowledge",
                    json={"advise_only": wish.advise_only},
                    headers={"Idempotency-Key": key},
                )
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code < 500 and answer.status_code != 429:
                del self._keys[mode]
                return _told(wish, answer)
            if attempt + 1 < TRIES:
                await asyncio.sleep(min(LONGEST_PAUSE, 2.0**attempt))
        return f"{wish.call.number} の応答が届いたか分かりません。もう一度送ってください"

    async def handoffs(self, number: str) -> tuple[HandoffGiven, ...] | str:
        """Who was asked about a case; in words, why that could not be read."""
        try:
            answer = await self._client.get(f"/v1/referrals/{number}")
            if answer.status_code == 200:
                return _handoffs.validate_python(answer.json().get("handoffs", ()))
        except (httpx.HTTPError, ValueError):
            return "いま読めません"
        return f"読めません（HTTP {answer.status_code}）"


def _understood(kind: str, data: str) -> Heard | None:
    """None: an event that nobody here asked for; more may come in later versions."""
    if kind == "ready":
        return Ready()
    if kind != "escalation":
        return None
    try:
        return BurningGiven.model_validate_json(data)
    except ValidationError:
        return Unreadable()


def _told(wish: Acknowledge, answer: httpx.Response) -> str:
    number = wish.call.number
    if answer.status_code == 202:
        return f"{number} の応答を受け付けました。決まるとここに出ます"
    if answer.status_code < 300:
        did = "助言で応答しました" if wish.advise_only else "応答し、担当を引き受けました"
        return f"{number} に{did}"
    try:
        problem = answer.json()
        code, title = str(problem.get("code")), str(problem.get("title"))
    except (ValueError, AttributeError):
        code, title = "", ""
    if code == ProblemCode.ALREADY_ANSWERED:
        return f"{number} すでに他の窓口が応答しています"
    return f"{number} 応答できません: {title or f'HTTP {answer.status_code}'}"
