"""What a re-drive would do (再配送の下見): how many, to whom, which, and what of it is known already. Nothing
is changed by looking."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from rich.console import Console
from sqlalchemy.engine import Connection, Engine

from runtime.database import reading
from schemas.base import JsonObject
from schemas.outside import local_text
from services.delivery import tables as t
from services.delivery.inbox import Inboxes
from services.delivery.selection import Selection, on_their_way, selected_rows
from wards.agencies import Agency
from wards.delivery import ByInbox, ByWebhook


class CannotRedrive(Exception):
    """The text, Japanese first, says why."""


@dataclass(frozen=True, slots=True)
class Asked:
    """On the command line. ``referral``: a number or an id."""

    agency: Agency
    first: int | None = None
    last: int | None = None
    referral: str | None = None
    reason: str | None = None
    given_up: bool = False
    per_second: int = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """``numbers`` as ranges. ``unknown``: numbers whose event is not there (any more); ``beyond``: asked
    for, but the inbox has not come to them; ``waiting``: the queue is still carrying them."""

    selection: Selection
    name: str
    way: str
    where: str
    disabled_since: str | None
    count: int
    numbers: str
    types: dict[str, int]
    referrals: int
    delivered: int
    delivered_from: str | None
    delivered_to: str | None
    given_up: int
    reasons: dict[str, int]
    unknown: int
    beyond: int
    waiting: int
    per_second: int

    @property
    def seconds(self) -> int:
        return math.ceil(self.count / self.per_second)

    def document(self, redrive: str | None) -> JsonObject:
        return {
            "agency": self.selection.agency,
            "way": self.way,
            "where": self.where,
            "disabled_since": self.disabled_since,
            "count": self.count,
            "numbers": self.numbers,
            "types": self.types,
            "referrals": self.referrals,
            "delivered_before": self.delivered,
            "delivered_from": self.delivered_from,
            "delivered_to": self.delivered_to,
            "given_up": self.given_up,
            "reasons": self.reasons,
            "unknown": self.unknown,
            "beyond": self.beyond,
            "still_on_their_way": self.waiting,
            "per_second": self.per_second,
            "seconds": self.seconds,
            "redrive": redrive,
        }

    def tell(self, out: Console) -> None:
        def say(ja: str, en: str, value: object) -> None:
            out.print(f"  {ja} / {en}: {value}", markup=False, highlight=False, soft_wrap=True)

        agency = self.selection.agency
        out.print(f"再配送の下見 / what a re-drive would do: {self.name} ({agency})", markup=False)
        say("件数", "events", self.count)
        say("番号", "numbers", self.numbers or "-")
        say("受け取り方", "way", f"{self.way} {self.where}".strip())
        say("種類", "types", _counts(self.types))
        say("案件の数", "referrals", self.referrals)
        span = f" ({self.delivered_from} … {self.delivered_to})" if self.delivered_from else ""
        say("届いたことがある", "delivered before", f"{self.delivered}{span}")
        say("不達のまま", "given up", f"{self.given_up} {_counts(self.reasons)}".strip())
        if self.waiting:
            say("配送中のため除く", "left to the queue, still on their way", self.waiting)
        if self.unknown:
            say("もうない出来事", "events that are not there any more", self.unknown)
        if self.beyond:
            say("まだない番号", "numbers that the inbox has not come to", self.beyond)
        if self.disabled_since:
            say("停止中", "disabled since", self.disabled_since)
        known_by = "Nats-Msg-Id" if self.way == "nats" else "webhook-id"
        say(
            "順序", "order",
            f"番号順に一件ずつ。同じ {known_by} なので、仕様に従う受け手では二重になりません / "
            f"one by one, by number; under the same {known_by}, so no second effect at a receiver that "
            "follows the spec",
        )  # fmt: skip
        say("かかる時間", "at this rate", f"{self.seconds} s ({self.per_second}/s)")


def plan_of(engine: Engine, asked: Asked) -> Plan:
    """Raises CannotRedrive."""
    agency = asked.agency
    if isinstance(agency.delivery, ByInbox):
        raise CannotRedrive(
            f"{agency.id} は自分で取りに来る機関です。GET /v1/inbox?after=番号 でいつでも読み直せます / "
            f"{agency.id} fetches its events itself: it reads them again with GET /v1/inbox?after=N"
        )
    with reading(engine) as connection:
        head, _ = Inboxes(engine).head_in(connection, agency.id)
        last = head if asked.last is None else min(asked.last, head)
        referral = None if asked.referral is None else _referral(connection, asked.referral)
        selection = Selection(
            agency.id, asked.first or 1, last, referral, asked.reason, asked.given_up
        )
        rows = selected_rows(connection, selection)
        waiting = on_their_way(connection, selection)
        p = t.endpoints
        disabled = connection.scalar(sa.select(p.c.disabled_at).where(p.c.agency == agency.id))
    delivered = sorted(row.delivered_at for row in rows if row.delivered_at)
    said = [json.loads(row.body) for row in rows if row.body is not None]
    where = urlsplit(agency.delivery.url).hostname if isinstance(agency.delivery, ByWebhook) else ""
    return Plan(
        selection=selection,
        name=agency.name,
        way=agency.delivery.way,
        where=where or "",
        disabled_since=_local(disabled),
        count=len(rows),
        numbers=ranges([row.number for row in rows]),
        types=dict(Counter(one["event"]["type"] for one in said).most_common()),
        referrals=len({one["referral"] for one in said if one["referral"] is not None}),
        delivered=len(delivered),
        delivered_from=_local(delivered[0] if delivered else None),
        delivered_to=_local(delivered[-1] if delivered else None),
        given_up=sum(row.given_up_at is not None for row in rows),
        reasons=dict(Counter(row.reason for row in rows if row.reason and row.given_up_at)),
        unknown=len(rows) - len(said),
        beyond=max(0, (asked.last or 0) - head),
        waiting=waiting,
        per_second=asked.per_second,
    )


def ranges(numbers: Sequence[int]) -> str:
    """``1-5, 9``."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    told = [f"{first}" if first == last else f"{first}-{last}" for first, last in spans]
    return ", ".join(told if len(told) <= 20 else [*told[:10], "…", *told[-10:]])


def _referral(connection: Connection, ref: str) -> str:
    r = t.referrals
    found = connection.scalar(sa.select(r.c.id).where(sa.or_(r.c.number == ref, r.c.id == ref)))
    if found is None:
        raise CannotRedrive(f"その案件は知られていません / no such referral: {ref}")
    return str(found)


def _local(text: str | None) -> str | None:
    return None if text is None else local_text(datetime.fromisoformat(text))


def _counts(counted: dict[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counted.items())
