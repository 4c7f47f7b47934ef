"""A partner agency's own system, as far as the tests need one: ``partner("anshin-motofuji")
.posts(a_referral().by_address("本郷2-21-3"))``, and the like."""

import contextlib
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

Json = Any
_ONCE = "\x00once"  # a key of its own for every call


@dataclass(frozen=True)
class Answer:
    """What the network said."""

    status: int
    raw: bytes
    headers: httpx.Headers = field(repr=False)

    @property
    def body(self) -> Json:
        return json.loads(self.raw)

    @property
    def code(self) -> str | None:
        """The problem's code, None where there is no problem."""
        return self.body.get("code") if self.status >= 400 else None

    @property
    def pointers(self) -> list[str]:
        return [error["pointer"] for error in self.body.get("errors", [])]

    @property
    def id(self) -> str:
        return str(self.body["id"])

    @property
    def number(self) -> str:
        return str(self.body["number"])

    def handoff(self, to: str | None = None) -> str:
        """The newest hand-off that still stands (to an agency)."""
        standing = [
            h["id"]
            for h in self.body["handoffs"]
            if h["state"] == "offered" and to in (None, h["to"])
        ]
        return str(standing[-1])


@dataclass(frozen=True)
class Event:
    """One server-sent event; of a comment only ``comment``."""

    id: int | None = None
    name: str = ""
    data: Json = None
    comment: str = ""


class Stream:
    """A stream that is being read. Waiting for an event fails when none comes for 20 seconds."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()

    @property
    def status(self) -> int:
        return self.response.status_code

    def everything(self) -> Iterator[Event]:
        """Events and comments, until the stream ends."""
        fields: dict[str, str] = {}
        for line in self._lines:
            name, _, value = line.partition(": ")
            if line.startswith(":"):
                yield Event(comment=value)
            elif line:
                fields[name] = value
            else:
                if "data" in fields:
                    data = json.loads(fields["data"])
                    yield Event(int(fields["id"]), fields["event"], data)
                fields = {}

    def events(self) -> Iterator[Event]:
        waiting_since = time.monotonic()
        for event in self.everything():
            if event.name:
                yield event
                waiting_since = time.monotonic()
            elif time.monotonic() - waiting_since > 20:
                raise AssertionError("nothing but comments for 20 s")

    def next(self) -> Event:
        return next(self.events())

    def take(self, count: int) -> list[Event]:
        return [self.next() for _ in range(count)]


@dataclass(frozen=True)
class AReferral:
    """A submission that is right, unless a test makes it wrong."""

    body: Json

    def having(self, **fields: Json) -> "AReferral":
        return replace(self, body={**self.body, **fields})

    def without(self, *names: str) -> "AReferral":
        return replace(self, body={k: v for k, v in self.body.items() if k not in names})

    def by_address(self, text: str, kind: str = "registered") -> "AReferral":
        return self.having(address={"text": text, "kind": kind})

    def to(self, agency: str) -> "AReferral":
        return self.having(to={"agency": agency})

    def to_district(self, district: str) -> "AReferral":
        return self.having(to={"district": district})


def a_referral() -> AReferral:
    """Of someone in 本郷二丁目, which lies in 本富士 as a whole."""
    return AReferral(
        {
            "function": "emergency",
            "urgency": "urgent",
            "requested_action": "short_stay",
            "person": {"name": "文京 太郎", "birth_date": "1980-04-01", "phone": "03-0000-0000"},
            "address": {"text": "文京区本郷二丁目21番3号 青木ビル1階", "kind": "registered"},
            "household": "nuclear",
            "summary": "母が急病で入院。今夜から介護者不在。",
            "consent": {"basis": "C2", "obtained_at": "2026-11-20T16:50:00+09:00"},
        }
    )


class Partner:
    """One agency's HTTP client. Every POST has an idempotency key of its own unless one is given;
    ``key=None`` sends none."""

    def __init__(self, url: str, agency: str, key: str, timeout: float = 20.0) -> None:
        self.agency = agency
        self.key = key
        self.http = httpx.Client(
            base_url=url, timeout=timeout, headers={"Authorization": f"Bearer {key}"}
        )

    def close(self) -> None:
        self.http.close()

    def get(self, path: str, **params: Any) -> Answer:
        return _answer(self.http.get(path, params=params or None))

    @contextlib.contextmanager
    def streams(self, path: str, last: object = None, **params: Any) -> Iterator[Stream]:
        """``last``: the Last-Event-ID it comes back with."""
        headers = {"Accept": "text/event-stream"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        with self.http.stream("GET", path, params=params or None, headers=headers) as response:
            yield Stream(response)

    def post(
        self, path: str, body: Json = None, *, key: str | None = _ONCE, prefer: str | None = None
    ) -> Answer:
        content = b"" if body is None else json.dumps(body).encode()
        return self.post_bytes(path, content, key=key, prefer=prefer)

    def post_bytes(
        self,
        path: str,
        content: bytes | Iterator[bytes],
        *,
        key: str | None = _ONCE,
        prefer: str | None = None,
    ) -> Answer:
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = str(uuid.uuid4()) if key == _ONCE else key
        if prefer is not None:
            headers["Prefer"] = prefer
        return _answer(self.http.post(path, content=content, headers=headers))

    # -- what an agency says ----------------------------------------------------------------------

    def posts(self, referral: AReferral, key: str | None = _ONCE, **how: Any) -> Answer:
        return self.post("/v1/referrals", referral.body, key=key, **how)

    def offers(self, ref: str, *to: str, kind: str = "transfer", **more: Any) -> Answer:
        return self._about(ref, "handoffs", {"to": to, "kind": kind}, more)

    def accepts(self, handoff: str, **more: Any) -> Answer:
        return self._to(handoff, "accept", {}, more)

    def declines(self, handoff: str, reason: str = "no_capacity", **more: Any) -> Answer:
        return self._to(handoff, "decline", {"said_by": "agency", "reason": reason}, more)

    def withdraws(self, handoff: str, **more: Any) -> Answer:
        return self._to(handoff, "withdraw", {}, more)

    def completes(self, handoff: str, outcome: str = "got_help", **more: Any) -> Answer:
        return self._to(handoff, "complete", {"outcome": outcome}, more)

    def rules(self, ref: str, district: str, **more: Any) -> Answer:
        return self._about(ref, "ruling", {"district": district}, more)

    def escalates(self, ref: str, reason: str = "E10", **more: Any) -> Answer:
        return self._about(ref, "escalations", {"reason": reason}, more)

    def acknowledges(self, escalation: str, **more: Any) -> Answer:
        return self._act(f"/v1/escalations/{escalation}/acknowledge", {}, **more)

    def resolves(self, escalation: str, disposition: str = "advised", **more: Any) -> Answer:
        body = {"disposition": disposition}
        return self._act(f"/v1/escalations/{escalation}/resolve", body, **more)

    def notes(self, ref: str, text: str = "電話した。", **more: Any) -> Answer:
        return self._about(ref, "notes", {"text": text}, more)

    def closes(self, ref: str, outcome: str = "got_help", **more: Any) -> Answer:
        return self._about(ref, "close", {"outcome": outcome}, more)

    def cancels(self, ref: str, **more: Any) -> Answer:
        return self._about(ref, "cancel", {}, more)

    def reopens(self, ref: str, **more: Any) -> Answer:
        return self._about(ref, "reopen", {}, more)

    # -- what an agency asks ----------------------------------------------------------------------

    def reads(self, ref: str) -> Answer:
        return self.get(f"/v1/referrals/{ref}")

    def lists(self, **filters: Any) -> Answer:
        return self.get("/v1/referrals", **filters)

    def history(self, ref: str) -> Answer:
        return self.get(f"/v1/referrals/{ref}/history")

    def inbox(self, **page: int) -> Answer:
        return self.get("/v1/inbox", **page)

    def escalations(self, **filters: Any) -> Answer:
        return self.get("/v1/escalations", **filters)

    def whole_inbox(self) -> list[Json]:
        """Every item, page by page."""
        items: list[Json] = []
        while page := self.inbox(after=len(items), limit=1000).body["items"]:
            items += page
        return items

    def _about(self, ref: str, what: str, body: Json, more: dict[str, Any]) -> Answer:
        return self._act(f"/v1/referrals/{ref}/{what}", body, **more)

    def _to(self, handoff: str, what: str, body: Json, more: dict[str, Any]) -> Answer:
        return self._act(f"/v1/handoffs/{handoff}/{what}", body, **more)

    def _act(self, path: str, body: Json, *, key: str | None = _ONCE, **fields: Json) -> Answer:
        return self.post(path, {**body, **fields}, key=key)


def _answer(response: httpx.Response) -> Answer:
    return Answer(response.status_code, response.content, response.headers)
