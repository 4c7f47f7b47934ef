"""A webhook endpoint as a partner's should be (受け口): verifies, takes each event once, and knows which
numbers are missing. Pure but for the clock within ``standardwebhooks``; ``listener`` puts it on a port.

Events of one referral come in order; those of different referrals may overtake one another, and what
failed comes again. So a number that is missing is no reason to refuse what came.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

REMEMBERED = 100_000
"""Ids of messages: for longer than the network repeats one."""


@dataclass(frozen=True, slots=True)
class Reply:
    """``why``: a word for people and tests; never what the body held."""

    status: int
    why: str


class Numbers:
    """An agency's numbers, 1, 2, 3 …: up to which they are whole, and which are still missing."""

    def __init__(self, after: int | None = None) -> None:
        """``after``: the last number known; None: begin with whichever comes first."""
        self._whole = after
        self._beyond: set[int] = set()

    def came(self, number: int) -> None:
        if self._whole is None:
            self._whole = number - 1
        if number > self._whole:
            self._beyond.add(number)
        while self._whole + 1 in self._beyond:
            self._whole += 1
            self._beyond.discard(self._whole)

    @property
    def whole_to(self) -> int:
        return self._whole or 0

    @property
    def missing(self) -> list[int]:
        """Numbers below the newest that have not come."""
        if not self._beyond:
            return []
        return [n for n in range(self.whole_to + 1, max(self._beyond)) if n not in self._beyond]


class Receiver:
    """``secrets``: one, or both while one is changed for the other. ``take``: what is done with an
    event; it must be quick, and is called once for each event."""

    def __init__(
        self,
        secrets: list[str],
        take: Callable[[Mapping[str, Any]], None],
        after: int | None = None,
    ) -> None:
        self._verifiers = [Webhook(secret) for secret in secrets]
        self._take = take
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()
        self.numbers = Numbers(after)

    def receive(self, headers: Mapping[str, str], body: bytes) -> Reply:
        if not self.is_authentic(headers, body):
            return Reply(401, "not signed by the network")
        try:
            event = json.loads(body)
            kind = event["type"]
        except (ValueError, KeyError, TypeError):
            return Reply(400, "not a CloudEvent")
        if not isinstance(kind, str):
            return Reply(400, "not a CloudEvent")
        message = {name.lower(): value for name, value in headers.items()}["webhook-id"]
        with self._lock:
            if message in self._seen:
                return Reply(204, "known already")
            number = event.get("agencynumber")
            if isinstance(number, int):
                self.numbers.came(number)
            # A type that we do not know is taken too: more may come, and refusing would stop them.
            self._take(event)
            self._seen[message] = None
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        return Reply(204, "taken")

    def is_authentic(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Signed with a secret of ours over these very bytes, less than five minutes ago."""
        for verifier in self._verifiers:
            try:
                verifier.verify(body, dict(headers), json_parse=False)
            except (WebhookVerificationError, ValueError):
                # ValueError: no UTF-8, or a signature that is none.
                continue
            return True
        return False
