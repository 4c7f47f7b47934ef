"""What came (受信箱の出来事), as sentences. Pure; what is known of a referral, of the list or of its own
reading, says whom a hand-off asked and why a call was made."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import ValidationError

from schemas import events as e
from schemas.partner import CloudEvent, ReferralGiven
from schemas.publishing.words import TITLES
from schemas.telling import Asked, Called, Names, sentence


@dataclass(frozen=True, slots=True)
class Item:
    """``number``: of the agency's own. ``referral``: its number as people say it, where it is known;
    ``ref``: its id, none where it is about no referral."""

    number: int
    at: datetime
    ja: str
    en: str
    ref: str | None
    referral: str | None


@dataclass(frozen=True, slots=True)
class _Receiver:
    receiver: str


class _Known:
    """For ``schemas.telling``."""

    def __init__(self, referral: ReferralGiven | None) -> None:
        self._handoffs = {h.id: _Receiver(h.to) for h in referral.handoffs} if referral else {}
        self._calls = {x.id: x for x in referral.escalations} if referral else {}

    def handoff(self, handoff_id: UUID, /) -> Asked | None:
        return self._handoffs.get(handoff_id)

    def escalation(self, escalation_id: UUID, /) -> Called | None:
        return self._calls.get(escalation_id)


@dataclass(frozen=True, slots=True)
class _Fact:
    event: e.Event
    occurred_at: datetime


def items(
    came: Iterable[tuple[int, CloudEvent]], known: Mapping[str, ReferralGiven], names: Names
) -> list[Item]:
    """Newest first. ``known``: referrals by id."""
    told = [_item(number, event, known.get(event.subject), names) for number, event in came]
    return sorted(told, key=lambda item: -item.number)


def _item(number: int, event: CloudEvent, referral: ReferralGiven | None, names: Names) -> Item:
    try:
        fact = _Fact(e.event_adapter.validate_python(event.data), event.time)
    except ValidationError:
        # Of the delivery itself: a test event, or one of a release to come.
        ja, en = _title(event.type)
        return Item(number, event.time, ja, en, None, None)
    ja, en = sentence(fact, _Known(referral), names)
    return Item(number, event.time, ja, en, event.subject, referral.number if referral else None)


def _title(kind: str) -> tuple[str, str]:
    """``tsunagu.delivery_tested.v1`` by the name of its type."""
    name = kind.removeprefix("tsunagu.").rpartition(".v")[0].title().replace("_", "")
    ja, slash, en = TITLES.get(name, kind).rpartition(" / ")
    return (ja, en) if slash else (kind, kind)
