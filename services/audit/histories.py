"""One referral, and the whole ward, as they stood at a moment, in the form in which people are shown it
(``schemas.queries.ReplayReferral`` and ``ReplayWard``). Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas import events as e
from schemas.base import JsonObject
from schemas.codes import AddressKind
from schemas.journal import JournalEntry
from schemas.outside import local_text
from schemas.referral import Referral
from services.audit.entry import read_entry
from services.audit.replay import History, Names, ReplayError, replay, sentence
from services.audit.timeline import MOST_STEPS, Course, OpenClock, Step, Timeline, evenly

MOST_ENTRIES: Final = 1_000
MOST_SHOWN: Final = 500
_MASKED = ("地区は伏せています（秘匿）", "the district is masked (protected address)")


@dataclass(frozen=True, slots=True)
class Bound:
    """A journal entry where it is bound into the ledger. ``body``: its bytes there."""

    index: int
    entry: JournalEntry
    received_at: datetime
    body: bytes


def bound(rows: Iterable[tuple[int, bytes]], ref: str) -> list[Bound]:
    """The entries of the referral ``ref`` (an id, or the number that people say) by their index. Raises
    ReplayError when one cannot be read, or is another's."""
    told: list[Bound] = []
    for index, body in rows:
        try:
            received_at = datetime.fromisoformat(read_entry(body).received_at)
            told.append(Bound(index, JournalEntry.from_json(body), received_at, body))
        except ValueError as error:  # EntryError and ValidationError are such
            raise ReplayError(f"entry {index} cannot be read") from error
    first = told[0].entry if told else None
    if first is not None and (
        ref not in (str(first.referral), getattr(first.event, "number", None))
        or any(one.entry.referral != first.referral for one in told)
    ):
        raise ReplayError("the ledger's index leads to another case")
    return told


def tells_the_district(event: e.Event) -> bool:
    """What is masked of a case with a protected address (秘匿)."""
    if isinstance(event, e.ReferralSubmitted):
        return event.to_district is not None
    return isinstance(event, e.DistrictFound | e.RulingRequested | e.DistrictRuled)


def is_protected(entries: Iterable[Bound]) -> bool:
    return any(
        isinstance(one.entry.event, e.ReferralSubmitted)
        and one.entry.event.address_kind is AddressKind.PROTECTED
        for one in entries
    )


def referral_at(
    entries: list[Bound],
    *,
    at: datetime | None,
    size: int | None,
    now: datetime,
    names: Names,
    masked: bool,
) -> JsonObject:
    """One referral's way up to a moment, of what the ledger's first ``size`` entries told. ``masked``:
    the reader may not know the district of a protected address. Raises ReplayError."""
    known = [one for one in entries if size is None or one.index < size]
    history = replay((one.entry for one in known), at)
    moment = at if at is not None else now
    mask = masked and is_protected(entries)
    # Every step of the slider is there, whichever of them is shown.
    steps = list(dict.fromkeys(one.entry.occurred_at for one in entries))
    body: JsonObject = {
        "at": local_text(moment),
        "steps": [local_text(step) for step in evenly(steps, MOST_ENTRIES)],
        "entries": [],
        "earlier": 0,
        "withheld": 0,
        "custody": [],
        "offers": [],
        "calls": [],
        "last_index": None,
        "state": None,
    }
    if history is None:
        return body
    shown = known[: len(history.entries)]
    newest = shown[-MOST_ENTRIES:]
    hidden = [one for one in newest if mask and tells_the_district(one.entry.event)]
    return body | {
        "entries": [_told(one, history.state, names, one in hidden) for one in newest],
        "earlier": len(shown) - len(newest),
        "withheld": len(hidden),
        "custody": [
            {
                "custodian": span.custodian,
                "from": local_text(span.since),
                "until": local_text(span.until) if span.until is not None else None,
            }
            for span in history.custody
        ],
        "offers": _offers(history, moment),
        "calls": _calls(history, moment),
        "last_index": shown[-1].index,
        "state": _state(history.state, mask),
    }


def _told(one: Bound, state: Referral, names: Names, hidden: bool) -> JsonObject:
    entry = one.entry
    ja, en = _MASKED if hidden else sentence(entry, state, names)
    return {
        "index": one.index,
        "version": entry.version,
        "id": str(entry.id),
        "type": entry.event.type,
        "actor": entry.actor,
        "occurred_at": local_text(entry.occurred_at),
        "received_at": local_text(one.received_at),
        "ja": ja,
        "en": en,
    }


def _state(state: Referral, mask: bool) -> JsonObject:
    district = state.district
    return {
        "id": str(state.id),
        "number": state.number,
        "version": state.version,
        "stage": state.stage.value,
        "custodian": state.custodian,
        "sender": state.sender,
        "function": state.function,
        "urgency": state.urgency.value,
        "requested_action": state.requested_action,
        "topics": list(state.topics),
        "reported_by": state.reported_by.value,
        "household": state.household.value,
        "consent_basis": state.consent_basis,
        "submitted_at": local_text(state.submitted_at),
        "updated_at": local_text(state.updated_at),
        "outcome": state.outcome,
        "protected": state.address_kind is AddressKind.PROTECTED,
        "district": district.id if district is not None and not mask else None,
        "candidates": list(district.candidates) if district is not None and not mask else [],
    }


def _offers(history: History, moment: datetime) -> list[JsonObject]:
    return [
        {
            "id": str(h.id),
            "kind": h.kind.value,
            "function": h.function,
            "sender": h.sender,
            "receiver": h.receiver,
            "offered_at": local_text(h.offered_at),
            **_due(h.due_at, moment),
        }
        for h in history.state.handoffs
        if h.stands
    ]


def _calls(history: History, moment: datetime) -> list[JsonObject]:
    return [
        {
            "id": str(x.id),
            "code": x.code,
            "state": x.state.value,
            "level": x.level,
            "desk": x.desk,
            "raised_at": local_text(x.raised_at),
            "raised_by": x.raised_by,
            "acknowledged_by": x.acknowledged_by,
            "restricted": x.restricted,
            **_due(x.due_at, moment),
        }
        for x in history.state.escalations
        if x.open
    ]


def _due(due_at: datetime | None, moment: datetime) -> JsonObject:
    return {
        "due_at": local_text(due_at) if due_at is not None else None,
        "overdue": due_at is not None and due_at <= moment,
    }


def ward_at(timeline: Timeline, at: datetime | None, now: datetime, masked: bool) -> JsonObject:
    """Everybody's cases at a moment (None: now)."""
    moment = at if at is not None else now
    stages: dict[str, Counter[str]] = defaultdict(Counter)
    waiting: list[tuple[Course, Step]] = []
    clocks: list[tuple[OpenClock, Course]] = []
    for course, step in timeline.at(at):
        stages[step.custodian][step.stage.value] += 1
        if not step.ended:
            waiting.append((course, step))
        clocks += [(clock, course) for clock in step.clocks]
    waiting.sort(key=lambda one: (one[0].state.submitted_at, one[0].state.number))
    clocks.sort(key=lambda one: (one[0].due_at, one[0].id))
    still = Counter(step.custodian for _, step in waiting)
    moments = timeline.moments(MOST_STEPS)
    before, after = timeline.around(moment)
    return {
        "at": local_text(moment),
        "first": _text(moments[0] if moments else None),
        "last": _text(moments[-1] if moments else None),
        "steps": [local_text(one) for one in moments],
        "previous": _text(before),
        "next": _text(after),
        "custodians": [
            {"custodian": who, "open": still[who], "stages": dict(sorted(counted.items()))}
            for who, counted in sorted(stages.items())
        ],
        "referrals": [_stands(course, step, masked) for course, step in waiting[:MOST_SHOWN]],
        "more": max(0, len(waiting) - MOST_SHOWN),
        "clocks": [_runs(clock, course, moment) for clock, course in clocks[:MOST_SHOWN]],
        "more_clocks": max(0, len(clocks) - MOST_SHOWN),
        "overdue": sum(clock.due_at <= moment for clock, _ in clocks),
        "last_index": timeline.last_index(at),
    }


def _stands(course: Course, step: Step, masked: bool) -> JsonObject:
    state = course.state
    return {
        "id": str(state.id),
        "number": state.number,
        "stage": step.stage.value,
        "since": local_text(step.since),
        "custodian": step.custodian,
        "urgency": state.urgency.value,
        "function": state.function,
        "district": None if masked and course.protected else step.district,
        "submitted_at": local_text(state.submitted_at),
    }


def _runs(clock: OpenClock, course: Course, moment: datetime) -> JsonObject:
    return {
        "kind": clock.kind,
        "id": clock.id,
        "referral": str(course.state.id),
        "number": course.state.number,
        "agency": clock.agency,
        "code": clock.code,
        "level": clock.level,
        "desk": clock.desk,
        "state": clock.state.value if clock.state is not None else None,
        **_due(clock.due_at, moment),
    }


def _text(moment: datetime | None) -> str | None:
    return local_text(moment) if moment is not None else None
