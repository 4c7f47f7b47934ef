"""The line to the network: the stream of escalations, and what is said back. The partner contract."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from uuid import UUID, uuid4

import httpx
from pydantic import TypeAdapter, ValidationError

from runtime.clock import Clock
from schemas.codes import EscalationState
from schemas.partner import BurningGiven, HandoffGiven
from schemas.problems import ProblemCode
from watch.board import Names
from watch.event_stream import EventReader
from watch.watching import Acknowledge, Connected, Heard, Ready, Retrying, Unreadable

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 15.0
SILENCE = 40.0
"""Seconds without a sign of life after which a stream counts as lost: comments come far sooner."""
TRIES = 3
TRUSTED = timedelta(seconds=5)
"""How far this machine's clock may be from the network's: its ``Date`` is in whole seconds."""

_handoffs = TypeAdapter(tuple[HandoffGiven, ...])


class WatchError(RuntimeError):
    """Why there is no board; the text is for whoever asked for it, Japanese and English."""


class Lost(Exception):
    """The connection is gone, or the network cannot answer now: trying again may help."""


class Line:
    """One agency's connections to the network. Close it. ``clock``: to be compared with the
    network's; None where that may not be."""

    def __init__(self, url: str, agency: str, key: str, clock: Clock | None) -> None:
        """``url``: where the key may be sent (``runtime.network_url``)."""
        self._agency = agency
        self._clock = clock
        self._resume = ""
        self._pause = FIRST_PAUSE
        self._keys: dict[tuple[UUID, bool], str] = {}
        # The key goes to nobody but the network: no proxy out of the environment.
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=10.0,
            trust_env=False,
            verify=ssl.create_default_context(),
        )

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
            asked_at = self._clock.now() if self._clock else None
            directory = await self._client.get("/v1/directory")
            ahead = self._ahead(directory, asked_at)
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
                yield Connected(Names.of(directory.json()), not self._resume, ahead)
                async for chunk in answer.aiter_bytes():
                    for event in reader.feed(chunk):
                        heard = _understood(event.type, event.data)
                        if isinstance(heard, Ready) and (
                            complete or _restored(self._resume, event.id)
                        ):
                            # A second picture on the same line, or a smaller number than before.
                            self._resume = ""
                            raise Lost("restored")
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

    def _ahead(self, answer: httpx.Response, asked_at: datetime | None) -> timedelta:
        """How far the network's clock is ahead of ours, if that cannot be the way of the answer."""
        if self._clock is None or asked_at is None:
            return timedelta(0)
        now = self._clock.now()
        try:
            there = parsedate_to_datetime(answer.headers["Date"])
            fits = asked_at - TRUSTED <= there <= now + TRUSTED
        except (KeyError, ValueError, TypeError):
            return timedelta(0)
        return timedelta(0) if fits else there - now

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
                self._keys.pop(mode, None)
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
        pass
    try:
        call = json.loads(data)
        return Unreadable(str(call["id"]), call.get("state") == EscalationState.RESOLVED)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Unreadable(data, resolved=False)


def _restored(known: str, head: str) -> bool:
    """The network knows less than it knew: it was restored, and its numbers will come again."""
    return known.isdecimal() and head.isdecimal() and int(head) < int(known)


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
        return f"{number} はすでに応答済みです"
    return f"{number} 応答できません: {title or f'HTTP {answer.status_code}'}"
