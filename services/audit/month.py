"""A month in figures (月次), for the council that settles the ward's policy (自立支援協議会). Pure.

Everything is as it was on record at the end of the month, in Japan's time: so the sheet of a month that
is over never changes. *Submitted* cases are those of the month; *happened* is what took place in it, to
whichever case. No agency's coordinator and no person is named anywhere in the ledger.
"""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from schemas import events as e
from schemas.codes import AgencyKind, HandoffKind, HandoffState, Stage, Urgency
from schemas.journal import JournalEntry
from schemas.outside import JAPAN, local_day
from schemas.referral import Handoff, Referral, evolve
from services.audit.replay import ReplayError
from wards.model import Ward

T = TypeVar("T")

NO_HUB = "none"
_BED_ACTIONS = frozenset({"short_stay", "admission"})
_SHORT_STAY = "24"
_TAKEN = (HandoffState.ACCEPTED, HandoffState.COMPLETED)

NOT_COUNTED = (
    (
        "コーディネーター別の件数: 台帳には機関だけがあり、人の名はありません"
        "（加算は一人につき月100件まで）。拠点ごとに数えています。",
        "Counts per coordinator: the ledger names agencies, never people (the fee counts at most 100 a "
        "month each). Counted per hub.",
    ),
    (
        "事前登録した世帯への連絡: この仕組みには記録がありません。",
        "Contacts with registered households: this network has no record of them.",
    ),
    (
        "電話・窓口だけで終わった相談: 依頼として入力されたものだけを数えています。",
        "What was settled by telephone or at the counter: only what was entered as a referral is counted.",
    ),
)


@dataclass(frozen=True, slots=True)
class Took:
    """How long it took, in minutes by the wall clock, in ``n`` cases. By the month's end it had not come
    for those still ``waiting``, and for those that ended ``without``. None where there is no case."""

    n: int
    waiting: int
    without: int
    median: float | None
    p90: float | None


@dataclass(frozen=True, slots=True)
class HubMonth:
    """The cases of one hub: the one that took the case; before anyone did, the one that serves its
    district; ``none`` while the district is undecided."""

    hub: str
    submitted: int
    by_function: dict[str, int]
    by_urgency: dict[str, int]


@dataclass(frozen=True, slots=True)
class Beds:
    """Emergencies that needed a bed: asked for as short stay or admission, or by a request to an
    agency. ``found``: somebody with beds took it on; ``not_found``: the case is over or was called in
    for want of a bed; the rest were ``still_looking`` at the month's end."""

    needed: int
    found: int
    not_found: int
    still_looking: int


@dataclass(frozen=True, slots=True)
class Declines:
    reason: str
    said_by: str
    n: int


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls to the core centre of one reason, raised in the month. ``passed_on``: the first desk did not
    answer in time. ``acknowledged``: how long until somebody first had it in hand."""

    code: str
    raised: int
    passed_on: int
    acknowledged: Took
    by_disposition: dict[str, int]


@dataclass(frozen=True, slots=True)
class Undecided:
    """Addresses between the same ``candidates`` for which a ruling was asked in the month; ``ruled``: the
    districts that the core centre chose, ``open`` how many it had not ruled."""

    candidates: tuple[str, ...]
    asked: int
    ruled: dict[str, int]
    open: int


@dataclass(frozen=True, slots=True)
class Month:
    """``complete``: the month is over. Every ``by_…`` counts submitted cases by code, but ``outcomes``,
    ``declines``, ``expired``, ``calls``, ``undecided`` and ``cancelled``, which count what happened.
    ``first_answer``: from submission until somebody first accepted it or took a call about it in hand, of
    cases about which anybody was asked; ``between_desks``: from submission until somebody first took
    responsibility over from the sender, of cases that were to be handed over; both by urgency."""

    year: int
    month: int
    complete: bool
    submitted: int
    by_hub: tuple[HubMonth, ...]
    by_function: dict[str, int]
    by_urgency: dict[str, int]
    by_stage: dict[str, int]
    by_topic: dict[str, int]
    by_reported_by: dict[str, int]
    outcomes: dict[str, int]
    cancelled: int
    reopened: int
    declines: tuple[Declines, ...]
    expired: int
    beds: Beds
    first_answer: dict[str, Took]
    between_desks: dict[str, Took]
    calls: tuple[Calls, ...]
    undecided: tuple[Undecided, ...]
    not_counted: tuple[tuple[str, str], ...] = NOT_COUNTED


def bounds(year: int, month: int) -> tuple[datetime, datetime]:
    """The month's first instant in Japan, and that of the next."""
    first = datetime(year, month, 1, tzinfo=JAPAN)
    return first, datetime(year + month // 12, month % 12 + 1, 1, tzinfo=JAPAN)


def month_of(
    entries: Iterable[JournalEntry], year: int, month: int, ward: Ward, now: datetime
) -> Month:
    """``entries``: every referral's to which anything happened in the month, from its submission on, in
    order; others do no harm. Raises ReplayError when one is missing."""
    since, until = bounds(year, month)
    cases: dict[str, _Case] = {}
    for entry in entries:
        if entry.occurred_at < until:
            case = cases.setdefault(str(entry.referral), _Case())
            case.tell(entry, entry.occurred_at >= since)
    submitted = [case for case in cases.values() if case.state.submitted_at >= since]
    states = [case.state for case in submitted]
    happened = [event for case in cases.values() for event in case.happened]
    return Month(
        year=year,
        month=month,
        complete=now >= until,
        submitted=len(submitted),
        by_hub=_by_hub(states, ward),
        by_function=_count(state.function for state in states),
        by_urgency=_count(state.urgency.value for state in states),
        by_stage=_count(state.stage.value for state in states),
        by_topic=_count(topic for state in states for topic in state.topics),
        by_reported_by=_count(state.reported_by.value for state in states),
        outcomes=_count(x.outcome for x in happened if isinstance(x, e.ReferralClosed)),
        cancelled=sum(isinstance(x, e.ReferralCancelled) for x in happened),
        reopened=sum(isinstance(x, e.ReferralReopened) for x in happened),
        declines=_declines(happened),
        expired=sum(isinstance(x, e.HandoffExpired) for x in happened),
        beds=_beds(states, ward),
        first_answer=_took_by_urgency(
            (case for case in submitted if case.state.handoffs or case.state.escalations),
            lambda case: case.answered_at,
        ),
        between_desks=_took_by_urgency(
            (case for case in submitted if case.was_to_move), lambda case: case.taken_at
        ),
        calls=_calls(cases.values()),
        undecided=_undecided(cases.values()),
    )


class _Call:
    """One call that was raised in the month, as far as the month's end."""

    def __init__(self, code: str, raised_at: datetime) -> None:
        self.code = code
        self.raised_at = raised_at
        self.passed_on = False
        self.acknowledged_at: datetime | None = None
        self.disposition: str | None = None


class _Case:
    """What is gathered of one referral."""

    state: Referral

    def __init__(self) -> None:
        self.happened: list[e.Event] = []  # in the month
        self.calls: dict[object, _Call] = {}
        self.asked_between: tuple[str, ...] | None = None
        self.ruled: str | None = None
        self.answered_at: datetime | None = None
        self.taken_at: datetime | None = None

    @property
    def was_to_move(self) -> bool:
        """Somebody else was to become responsible for it."""
        transfers = any(h.kind is HandoffKind.TRANSFER for h in self.state.handoffs)
        return transfers or self.taken_at is not None or self.state.stage is Stage.AWAITING_RULING

    def tell(self, entry: JournalEntry, within: bool) -> None:
        before: Referral | None = getattr(self, "state", None)
        try:
            self.state = evolve(before, entry)
        except ValueError as error:
            raise ReplayError(str(error)) from error
        event, at = entry.event, entry.occurred_at
        if within:
            self.happened.append(event)
        if before is not None and before.custodian != self.state.custodian:
            self.taken_at = self.taken_at or at
        match event:
            case e.HandoffAccepted():
                self.answered_at = self.answered_at or at
            case e.EscalationRaised() if within:
                self.calls[event.escalation] = _Call(event.code, at)
            case e.EscalationPassedOn() if event.escalation in self.calls:
                self.calls[event.escalation].passed_on = True
            case e.EscalationAcknowledged():
                self.answered_at = self.answered_at or at
                if event.escalation in self.calls:
                    call = self.calls[event.escalation]
                    call.acknowledged_at = call.acknowledged_at or at
            case e.EscalationResolved() if event.escalation in self.calls:
                self.calls[event.escalation].disposition = event.disposition.value
            case e.RulingRequested() if within:
                self.asked_between = tuple(sorted(event.candidates))
            case e.DistrictRuled():
                self.ruled = event.district
            case _:
                pass


def _by_hub(states: list[Referral], ward: Ward) -> tuple[HubMonth, ...]:
    of: dict[str, list[Referral]] = defaultdict(list)
    for state in states:
        of[_hub(state, ward)].append(state)
    order = {agency.id: place for place, agency in enumerate(ward.agencies)}
    return tuple(
        HubMonth(
            hub,
            len(of[hub]),
            _count(state.function for state in of[hub]),
            _count(state.urgency.value for state in of[hub]),
        )
        for hub in sorted(of, key=lambda hub: (order.get(hub, len(order)), hub))
    )


def _hub(state: Referral, ward: Ward) -> str:
    hubs = {AgencyKind.HUB, AgencyKind.CORE}
    for handoff in state.handoffs:
        agency = ward.agency(handoff.receiver)
        if _moved_to(handoff) and agency is not None and agency.kind in hubs:
            return agency.id
    if state.district is None or state.district.id is None:
        return NO_HUB
    try:
        return ward.hub_of(state.district.id, local_day(state.submitted_at))
    except KeyError:  # a district that the ward had then and has no more
        return NO_HUB


def _moved_to(handoff: Handoff) -> bool:
    return handoff.kind is HandoffKind.TRANSFER and handoff.state in _TAKEN


def _declines(happened: list[e.Event]) -> tuple[Declines, ...]:
    said = Counter(
        (x.reason, x.said_by.value) for x in happened if isinstance(x, e.HandoffDeclined)
    )
    return tuple(Declines(*what, n) for what, n in _ordered(said))


def _beds(states: list[Referral], ward: Ward) -> Beds:
    functions = {
        action.function for action in ward.requested_actions if action.code in _BED_ACTIONS
    }

    def asks_for_bed(handoff: Handoff) -> bool:
        return handoff.kind is HandoffKind.REQUEST and handoff.function in functions

    def has_beds(agency_id: str) -> bool:
        agency = ward.agency(agency_id)
        return agency is not None and (
            agency.kind is AgencyKind.HOSPITAL or _SHORT_STAY in agency.services
        )

    needed = found = not_found = 0
    for state in states:
        asked = [h for h in state.handoffs if asks_for_bed(h)]
        if state.urgency is not Urgency.EMERGENCY or not (
            asked or state.requested_action in _BED_ACTIONS
        ):
            continue
        needed += 1
        if any(
            h.state in _TAKEN and (asks_for_bed(h) or has_beds(h.receiver)) for h in state.handoffs
        ):
            found += 1
        elif state.stage in (Stage.CLOSED, Stage.CANCELLED) or any(
            x.code == "E04" for x in state.escalations
        ):
            not_found += 1
    return Beds(needed, found, not_found, needed - found - not_found)


def _took_by_urgency(
    cases: Iterable["_Case"], when: Callable[["_Case"], datetime | None]
) -> dict[str, Took]:
    of: dict[str, list[_Case]] = defaultdict(list)
    for case in cases:
        of[case.state.urgency.value].append(case)
    return {
        urgency.value: took(
            [(case.state.submitted_at, when(case), case.state.ended) for case in of[urgency.value]]
        )
        for urgency in Urgency
        if urgency.value in of
    }


def took(cases: Iterable[tuple[datetime, datetime | None, bool]]) -> Took:
    """Of each case: from when, until when (None: it has not come), and whether it is over. The 90th
    percentile is the smallest time within which it came in at least nine of ten cases (nearest rank)."""
    minutes: list[float] = []
    waiting = without = 0
    for since, until, over in cases:
        if until is not None:
            minutes.append((until - since).total_seconds() / 60)
        elif over:
            without += 1
        else:
            waiting += 1
    if not minutes:
        return Took(0, waiting, without, None, None)
    minutes.sort()
    p90 = minutes[math.ceil(0.9 * len(minutes)) - 1]
    median = statistics.median(minutes)
    return Took(len(minutes), waiting, without, round(median, 1), round(p90, 1))


def _calls(cases: Iterable[_Case]) -> tuple[Calls, ...]:
    of: dict[str, list[_Call]] = defaultdict(list)
    for case in cases:
        for call in case.calls.values():
            of[call.code].append(call)
    return tuple(
        Calls(
            code,
            len(calls),
            sum(call.passed_on for call in calls),
            took((x.raised_at, x.acknowledged_at, x.disposition is not None) for x in calls),
            _count(call.disposition for call in calls if call.disposition is not None),
        )
        for code, calls in sorted(of.items())
    )


def _undecided(cases: Iterable[_Case]) -> tuple[Undecided, ...]:
    of: dict[tuple[str, ...], list[_Case]] = defaultdict(list)
    for case in cases:
        if case.asked_between is not None:
            of[case.asked_between].append(case)
    return tuple(
        Undecided(
            candidates,
            len(its),
            _count(case.ruled for case in its if case.ruled is not None),
            sum(case.ruled is None for case in its),
        )
        for candidates, its in sorted(of.items(), key=lambda one: (-len(one[1]), one[0]))
    )


def _count(of: Iterable[str]) -> dict[str, int]:
    """How many of each, the most first."""
    return dict(_ordered(Counter(of)))


def _ordered(counted: "Counter[T]") -> list[tuple[T, int]]:
    return sorted(counted.items(), key=lambda one: (-one[1], str(one[0])))
