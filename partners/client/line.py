"""The line to the network (回線): repeats what may be repeated, waits for what was only taken, and
turns a refusal into ``Problem``."""

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from .problem import NotDecidedYet, Problem, Unreachable, problem_of
from .streams import StreamEvent, events

Given = TypeVar("Given", bound=BaseModel)

AGAIN = frozenset({429, 500, 503})
"""Answers after which the same call may succeed; nothing was promised yet."""
_LONGEST_PAUSE = 30.0


class Line:
    """``patience``: for how many seconds a call is repeated, and a 202 is waited for."""

    def __init__(
        self, http: httpx.Client, patience: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.http = http
        self.patience = patience
        self._sleep = sleep

    def asked(self, method: str, where: str, gives: type[Given], **how: Any) -> Given:
        answer = self._decided(method, where, **how)
        # What this client does not know yet is passed over; what it sends is held to the contract.
        return gives.model_validate_json(answer.content, extra="ignore")

    def asked_for_json(self, method: str, where: str, **how: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._decided(method, where, **how).json()
        return found

    def asked_for_text(self, method: str, where: str, **how: Any) -> str:
        return self._decided(method, where, **how).text

    def asked_for_bytes(self, method: str, where: str, **how: Any) -> bytes:
        return self._decided(method, where, **how).content

    def stream(
        self, where: str, query: dict[str, Any], last_event_id: int | None
    ) -> Iterator[StreamEvent]:
        """Until the network ends it, or the reader stops."""
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = str(last_event_id)
        # The network says something at least every 15 seconds.
        with self.http.stream(
            "GET", where, params=_said(query), headers=headers, timeout=httpx.Timeout(20, read=45)
        ) as answer:
            if answer.is_error:
                answer.read()
                raise _problem(answer)
            yield from events(answer.iter_lines())

    def _decided(self, method: str, where: str, **how: Any) -> httpx.Response:
        """The final answer: what was taken only (202) is read at its Location until it is decided."""
        until = time.monotonic() + self.patience
        answer = self._answered(method, where, until, **how)
        while answer.status_code == 202 and "location" in answer.headers:
            where = _within(answer.headers["location"])
            if time.monotonic() > until:
                raise NotDecidedYet(where.rpartition("/")[2])
            self._sleep(_pause(answer, 1))
            answer = self._answered("GET", where, until)
        return answer

    def _answered(
        self,
        method: str,
        where: str,
        until: float,
        *,
        query: dict[str, Any] | None = None,
        body: BaseModel | None = None,
        content: bytes | Iterable[bytes] | None = None,
        content_type: str = "application/json",
        headed: dict[str, str | None] | None = None,
        key: str | None = None,
        keyed: bool = False,
        open_to_all: bool = False,
    ) -> httpx.Response:
        headers = {"Accept": "application/json, */*;q=0.5"}
        headers |= {name: value for name, value in (headed or {}).items() if value is not None}
        if keyed:
            # Made once: every repetition is the same request to the network.
            key = key or str(uuid.uuid4())
            headers["Idempotency-Key"] = key
        if body is not None:
            content = body.model_dump_json(by_alias=True, exclude_none=True).encode()
        if content is not None:
            headers["Content-Type"] = content_type
        request = self.http.build_request(
            method, where, params=_said(query or {}), content=content, headers=headers
        )
        # A body that is read while it is sent cannot be sent twice.
        repeatable = (method == "GET" or keyed) and (content is None or isinstance(content, bytes))
        auth = None if open_to_all else httpx.USE_CLIENT_DEFAULT
        tries = 0
        failure: Problem | Unreachable
        while True:
            tries += 1
            try:
                answer = self.http.send(request, auth=auth)
            except httpx.TransportError as error:
                pause, failure = _growing(tries), Unreachable(type(error).__name__, key)
            else:
                if not answer.is_error:
                    return answer
                pause, problem = _pause(answer, _growing(tries)), _problem(answer)
                if answer.status_code not in AGAIN or not repeatable:
                    raise problem
                failure = problem
            if not repeatable or time.monotonic() + pause > until:
                raise failure
            self._sleep(pause)


def path(template: str, **values: object) -> str:
    """A path with its values in it, escaped."""
    return template.format(**{name: quote(str(value), safe="") for name, value in values.items()})


def _within(location: str) -> str:
    """A place on this network, whatever host is named: the key goes nowhere else."""
    return httpx.URL(location).raw_path.decode("ascii")


def _said(query: dict[str, Any]) -> dict[str, Any] | None:
    return {name: str(value) for name, value in query.items() if value is not None} or None


def _growing(tries: int) -> float:
    return min(0.25 * 2.0**tries, _LONGEST_PAUSE)


def _pause(answer: httpx.Response, otherwise: float) -> float:
    """What the network asks to wait (Retry-After, in seconds)."""
    asked: str = answer.headers.get("retry-after", "")
    return min(float(asked), _LONGEST_PAUSE) if asked.isdigit() else otherwise


def _problem(answer: httpx.Response) -> Problem:
    try:
        document = json.loads(answer.content)
    except ValueError:
        document = None
    return problem_of(answer.status_code, document)
