"""What was heard of a referral (聞いた経過): its events as an agency is told them, in order. Pure.

A reader may not be told all of them: events of a restricted call, or of a protected address's district, are
left out, so versions have holes and the referral's state cannot be folded from here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from schemas import events as e
from schemas.journal import JournalEntry
from schemas.telling import Names, sentence


@dataclass(frozen=True, slots=True)
class Heard:
    """One event. ``words``: the free words that came with it, where they were opened."""

    id: UUID
    version: int
    occurred_at: datetime
    actor: str
    event: e.Event
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Telling:
    """Whom each hand-off asked, and why each call was made, by what was heard."""

    handoffs: Mapping[UUID, e.HandoffOffered] = field(default_factory=dict)
    calls: Mapping[UUID, e.EscalationRaised] = field(default_factory=dict)

    @classmethod
    def of(cls, heard: Iterable[Heard]) -> "Telling":
        told = [each.event for each in heard]
        return cls(
            {event.handoff: event for event in told if isinstance(event, e.HandoffOffered)},
            {event.escalation: event for event in told if isinstance(event, e.EscalationRaised)},
        )

    def handoff(self, handoff_id: UUID) -> e.HandoffOffered | None:
        return self.handoffs.get(handoff_id)

    def escalation(self, escalation_id: UUID) -> e.EscalationRaised | None:
        return self.calls.get(escalation_id)


def heard_of(items: Iterable[Mapping[str, Any]]) -> tuple[Heard, ...]:
    """From the ``items`` of a history (CloudEvents). An event of a kind that a later release has is left
    out: the list beside the picture would have no words for it either."""
    found: list[Heard] = []
    for item in items:
        data = item["data"]
        try:
            event = e.event_adapter.validate_python(data)
        except ValidationError:
            continue
        found.append(
            Heard(
                UUID(item["id"]),
                int(data["version"]),
                datetime.fromisoformat(item["time"]),
                str(data["actor"]),
                event,
                tuple(_words(data.get("opened", {}))),
            )
        )
    return tuple(found)


def heard_in(entries: Iterable[JournalEntry]) -> tuple[Heard, ...]:
    """From a journal, or the ledger."""
    return tuple(
        Heard(each.id, each.version, each.occurred_at, each.actor, each.event) for each in entries
    )


def until(heard: Iterable[Heard], at: datetime | None) -> tuple[Heard, ...]:
    """What had happened by a moment (None: everything)."""
    return tuple(each for each in heard if at is None or each.occurred_at <= at)


def _words(opened: Mapping[str, Any]) -> Iterable[str]:
    # Beside a step there is one text; with the submission there are objects, which the page shows itself.
    return (opened[name] for name in ("text", "note") if isinstance(opened.get(name), str))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the list beside the picture: what happened, in both languages."""

    heard: Heard
    ja: str
    en: str


def lines(heard: Iterable[Heard], names: Names) -> tuple[Line, ...]:
    """The same as the picture, in words."""
    told = tuple(heard)
    known = Telling.of(told)
    return tuple(Line(each, *sentence(each, known, names)) for each in told)
