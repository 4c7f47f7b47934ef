"""A played agency: posts, listens, and answers by its rules, until its time is over."""

import heapq
import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from partners.client import Client, Gap, Problem, Unreachable, models
from partners.listener import GOOD, Manners, listening
from partners.play.rules import Accept, Answer, Decline, Rules, Silence
from partners.play.samples import case
from partners.play.telling import Telling
from partners.receiver import Receiver, Reply

_LOOK = 0.2
"""Seconds between looks at what is due."""
_WORRY = 5.0
"""Seconds after which a number that did not come is told."""
_ACCEPTED = ("受諾した", "accepted")
_DECLINED = ("辞退した", "declined")
_POSTING = ("依頼を出す", "post")


@dataclass(frozen=True, slots=True)
class Part:
    """What the agency does. ``secrets``: of its webhook; without one it follows its inbox.
    ``lasts``: seconds; None: until it is stopped."""

    agency: str
    rules: Rules = field(default_factory=Rules)
    cases: Sequence[str] = ("emergency",)
    count: int = 0
    rate: float = 1.0
    secrets: Sequence[str] = ()
    host: str = "127.0.0.1"
    port: int = 0
    manners: Manners = GOOD
    lasts: float | None = None


class Player:
    def __init__(self, client: Client, part: Part, telling: Telling) -> None:
        self._client = client
        self._part = part
        self._tell = telling
        self._came: queue.SimpleQueue[tuple[int | None, Mapping[str, Any]]] = queue.SimpleQueue()
        self._due: list[tuple[float, UUID, Answer]] = []
        self._asked: set[UUID] = set()
        self._ended = threading.Event()
        self._receiver = Receiver(list(part.secrets), self._take_webhook) if part.secrets else None

    def play(self) -> None:
        began = time.monotonic()
        head = self._client.read_inbox(limit=1).head
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(8))
            stack.callback(self._ended.set)
            if self._receiver is not None:
                manners, port = self._part.manners, self._part.port
                url = stack.enter_context(
                    listening(self._receive, host=self._part.host, port=port, manners=manners)
                )
                self._tell.say("Webhook を待ち受けます", "listening for webhooks", url)
            else:
                self._tell.say("受信箱を読みます", "following the inbox", f"after {head}")
                threading.Thread(target=self._follow, args=(head,), daemon=True).start()
            for offer in self._standing():
                self._consider(*offer)
            if self._part.count:
                pool.submit(self._post)
            while not self._over(began):
                self._look(pool)
            self._ended.set()

    def stop(self) -> None:
        self._ended.set()

    def _over(self, began: float) -> bool:
        lasts = self._part.lasts
        return self._ended.is_set() or (lasts is not None and time.monotonic() - began > lasts)

    # -- what comes ------------------------------------------------------------------------------

    def _receive(self, headers: Mapping[str, str], body: bytes) -> Reply:
        assert self._receiver is not None  # noqa: S101
        reply = self._receiver.receive(headers, body)
        if reply.why == "known already":
            self._tell.came_again()
        elif reply.status == 401:
            self._tell.forged()
        return reply

    def _take_webhook(self, event: Mapping[str, Any]) -> None:
        number = event.get("agencynumber")
        self._came.put((number if isinstance(number, int) else None, event))

    def _follow(self, after: int) -> None:
        while not self._ended.is_set():
            try:
                for item in self._client.follow_inbox(after):
                    after = item.number
                    self._came.put((item.number, item.event.model_dump(mode="json")))
                    if self._ended.is_set():
                        return
            except Gap as gap:
                self._tell.missing([gap.expected])
                return
            except Exception as error:
                # At the end the line is closed under it, which is no news.
                if not self._ended.is_set():
                    self._tell.refused(("受信箱", "the inbox"), type(error).__name__)
                    self._ended.wait(2)

    def _standing(self) -> Iterator[tuple[UUID, str]]:
        """Offers that were made before it began to play."""
        for referral in self._client.list_referrals(limit=100).items:
            for offer in referral.handoffs:
                if offer.to == self._part.agency and offer.state is models.HandoffState.OFFERED:
                    yield offer.id, offer.function

    def _look(self, pool: ThreadPoolExecutor) -> None:
        waiting = self._due[0][0] - time.monotonic() if self._due else _LOOK
        try:
            number, event = self._came.get(timeout=max(0.0, min(waiting, _LOOK)))
        except queue.Empty:
            self._worry()
        else:
            self._tell.came(event, number)
            data = event.get("data", {})
            if data.get("type") == "handoff_offered" and data["receiver"] == self._part.agency:
                self._consider(UUID(data["handoff"]), str(data["function"]))
        while self._due and self._due[0][0] <= time.monotonic():
            _, offer, answer = heapq.heappop(self._due)
            pool.submit(self._answer, offer, answer)

    _worried_at = 0.0
    _worried_about: tuple[int, ...] = ()

    def _worry(self) -> None:
        """Numbers that are missing for a while are told once."""
        if self._receiver is None:
            return
        missing = tuple(self._receiver.numbers.missing)
        if missing != self._worried_about:
            self._worried_about, self._worried_at = missing, time.monotonic()
        elif missing and 0 < self._worried_at < time.monotonic() - _WORRY:
            self._tell.missing(list(missing))
            self._worried_at = 0.0

    # -- what it says ----------------------------------------------------------------------------

    def _consider(self, offer: UUID, function: str) -> None:
        answer = self._part.rules.answer(function)
        if offer not in self._asked and not isinstance(answer, Silence):
            self._asked.add(offer)
            heapq.heappush(self._due, (time.monotonic() + self._part.rules.after, offer, answer))

    def _answer(self, offer: UUID, answer: Answer) -> None:
        what = _DECLINED if isinstance(answer, Decline) else _ACCEPTED
        # The offer's own key: whoever is played again gives the same answer, not a second one.
        key = f"play-{offer}"
        try:
            match answer:
                case Accept():
                    given = self._client.accept_handoff(offer, idempotency_key=key)
                case Decline(reason):
                    body = models.Decline(said_by=models.SaidBy.AGENCY, reason=reason)
                    given = self._client.decline_handoff(offer, body, idempotency_key=key)
                case Silence():
                    return
        except (Problem, Unreachable) as error:
            self._tell.refused(what, str(error))
        else:
            self._tell.answered(what, given.id, str(given.stage))

    def _post(self) -> None:
        """``count`` cases at ``rate`` a second, however long the answers take."""
        began = time.monotonic()
        with ThreadPoolExecutor(16) as posting:
            for which in range(self._part.count):
                if self._ended.wait(max(0.0, began + which / self._part.rate - time.monotonic())):
                    return
                posting.submit(self._post_one, self._part.cases[which % len(self._part.cases)])

    def _post_one(self, name: str) -> None:
        try:
            given = self._client.submit_referral(case(name))
        except (Problem, Unreachable) as error:
            self._tell.refused(_POSTING, str(error))
        else:
            self._tell.posted(given.id, given.number, str(given.stage))

    @property
    def numbers(self) -> tuple[int, list[int]] | None:
        """Of webhooks: up to which number all came, and which are missing."""
        if self._receiver is None:
            return None
        return self._receiver.numbers.whole_to, self._receiver.numbers.missing
