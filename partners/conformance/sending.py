"""The messages that an endpoint is tested with, sent as the network sends them."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

import httpx

from runtime.canonical import canonical_json
from runtime.webhook import signed_headers
from schemas.base import NETWORK, JsonObject
from schemas.codes import HandoffKind
from schemas.deliveries import DeliveryTested
from schemas.events import HandoffOffered, Happened
from schemas.journal import DeliveryEntry, JournalEntry
from schemas.outside import cloud_event, numbered

WARD: Final = "131059"
SENDER: Final = "sample-hospital"


@dataclass(frozen=True, slots=True)
class Seen:
    """What an endpoint did: a status, or ``error`` (a word) where there was no answer in time."""

    status: int | None
    seconds: float
    error: str = ""

    @property
    def took(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """With a 4xx: a forged message is not to be asked for again, as a 5xx would."""
        return self.status is not None and 400 <= self.status < 500

    def __str__(self) -> str:
        return self.error or f"{self.status}"


class Endpoint:
    """A partner's endpoint. ``after``: the number before the first that is sent. ``limit``: seconds
    within which it must answer."""

    def __init__(self, url: str, key: bytes, agency: str, after: int = 0, limit: float = 10.0):
        self.agency = agency
        self.key = key
        self.limit = limit
        self.slowest = 0.0
        self._number = after
        self._http = httpx.Client(timeout=limit, follow_redirects=False, trust_env=False)
        self._url = url

    def close(self) -> None:
        self._http.close()

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def forged(self) -> JsonObject:
        """An event that is to be refused: its number is still to come."""
        return self.event(self._number + 1)

    def event(self, number: int | None = None) -> JsonObject:
        """An offer to the agency, of nobody: all ids are new."""
        happened = HandoffOffered(
            handoff=uuid4(),
            offer=uuid4(),
            kind=HandoffKind.TRANSFER,
            function="consultation",
            sender=SENDER,
            receiver=self.agency,
        )
        return numbered(cloud_event(self._entry(happened)), number or self.next_number())

    def test_event(self) -> JsonObject:
        """The one that the network sends every day (通信試験)."""
        entry = DeliveryEntry(
            ward=WARD,
            number=1,
            id=uuid4(),
            occurred_at=datetime.now(UTC),
            actor=NETWORK,
            command=uuid4(),
            concerns=(self.agency,),
            event=DeliveryTested(agency=self.agency, daily=False),
        )
        return numbered(cloud_event(entry), self.next_number())

    def _entry(self, happened: Happened) -> JournalEntry:
        return JournalEntry.model_validate(
            {
                "ward": WARD,
                "producer": "referral",
                "number": 1,
                "id": uuid4(),
                "referral": uuid4(),
                "version": 1,
                "occurred_at": datetime.now(UTC),
                "actor": SENDER,
                "command": uuid4(),
                "concerns": (self.agency,),
                "event": happened.model_dump(),
            }
        )

    def signed(
        self,
        event: JsonObject,
        *,
        moment: datetime | None = None,
        keys: Sequence[bytes] | None = None,
    ) -> tuple[dict[str, str], bytes]:
        body = canonical_json(event)
        headers = signed_headers(
            str(event["id"]), moment or datetime.now(UTC), body, keys or (self.key,)
        )
        return headers, body

    def send(self, headers: dict[str, str], body: bytes) -> Seen:
        began = time.monotonic()
        content_type = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
        try:
            with self._http.stream(
                "POST", self._url, content=body, headers={**content_type, **headers}
            ) as answer:
                # What it says besides the status is not read, as the network does not read it.
                seen = Seen(answer.status_code, time.monotonic() - began)
        except httpx.TimeoutException:
            seen = Seen(None, time.monotonic() - began, "timeout")
        except httpx.TransportError as error:
            seen = Seen(None, time.monotonic() - began, type(error).__name__)
        if seen.took or seen.error == "timeout":
            self.slowest = max(self.slowest, seen.seconds)
        return seen

    def post(self, event: JsonObject) -> Seen:
        return self.send(*self.signed(event))


def another_key() -> bytes:
    return secrets.token_bytes(32)
