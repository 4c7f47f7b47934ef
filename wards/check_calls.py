"""What must hold of a ward's clocks and desks (上申の決まり), beyond the shape of each field."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from schemas.base import NETWORK
from schemas.codes import AgencyKind, ClockKind, Urgency
from wards.agencies import WEEKDAYS, Hours, Weekday
from wards.escalation import Desk, WhenCase, WhenNoCandidate, WhenSilent, WhenUndecided
from wards.fault import Fault, unknown
from wards.model import Vocabulary, Ward
from wards.places import Path


def _calls(ward: Ward) -> Iterator[Fault]:
    """Every clock has a length for every urgency, and every desk, agency and code is there."""
    agencies = {agency.id for agency in ward.agencies}
    desks = {desk.id for desk in ward.desks}
    for key, clocks in (("answer", ward.calls.answer), ("resolve", ward.calls.resolve)):
        if sorted(c.urgency for c in clocks) != sorted(Urgency):
            yield Fault(
                ("calls", key), "緊急度ごとに一つずつ要ります", "needs one for each urgency"
            )
    yield from unknown(("calls", "desks"), ward.calls.desks, desks)
    answering = {a.id for a in ward.agencies if a.kind is not AgencyKind.AUDITOR}
    for index, desk in enumerate(ward.desks):
        at: Path = ("desks", index)
        yield from unknown((*at, "agency"), [desk.agency], answering)
        yield from unknown((*at, "staffed_by"), desk.staffed_by, agencies)
        yield from unknown((*at, "assumed"), desk.assumed, set(Desk.model_fields))
    for index, asked in enumerate(ward.calls.candidates):
        at = ("calls", "candidates", index)
        yield from unknown((*at, "function"), [asked.function], {t.code for t in ward.functions})
        yield from unknown((*at, "agencies"), asked.agencies, agencies)
    for index, reason in enumerate(ward.escalation_reasons):
        at = ("escalation_reasons", index)
        yield from unknown((*at, "desks"), reason.desks, desks)
        for place, condition in enumerate(reason.when):
            if isinstance(condition, WhenCase):
                yield from _patterns(ward, condition, (*at, "when", place, "of"))


_PATTERN_CODES: tuple[Vocabulary, ...] = (
    "functions",
    "requested_actions",
    "topics",
    "consent_bases",
)


def _patterns(ward: Ward, condition: WhenCase, at: Path) -> Iterator[Fault]:
    for index, pattern in enumerate(condition.of):
        for key in _PATTERN_CODES:
            codes = {term.code for term in getattr(ward, key)}
            yield from unknown((*at, index, key), getattr(pattern, key), codes)


def _somebody_is_called(ward: Ward) -> Iterator[Fault]:
    """A call on the wall clock must find a desk that never closes, and the core centre's own branch a
    desk at which its people do not sit."""
    always = {desk.id for desk in ward.desks if _never_closes(desk.hours)}
    core = {agency.id for agency in ward.agencies if agency.kind is AgencyKind.CORE}
    branches = [agency.id for agency in ward.agencies if agency.branch_of in core]
    for index, reason in enumerate(ward.escalation_reasons):
        at: Path = ("escalation_reasons", index)
        desks = ward.desks_of(reason)
        clocks = (reason.acknowledge, *reason.by_urgency, reason.later)
        wall = any(c is not None and c.clock is ClockKind.WALL for c in clocks)
        if wall and not always & {d.id for d in desks}:
            yield Fault(
                (*at, "desks"),
                "いつでも応じる窓口が一つは要ります",
                "a call by the wall clock needs a desk that never closes",
            )
        needed = [desk for desk in desks if desk.id in always] if wall else desks
        for branch in branches:
            if needed and all(branch in desk.staff for desk in needed):
                yield Fault(
                    (*at, "desks"),
                    f"「{branch}」の件が自分自身に戻ります",
                    f"{branch!r} would call itself",
                )


def _named_once(ward: Ward) -> Iterator[Fault]:
    lists: list[tuple[Path, Sequence[str]]] = [(("calls", "desks"), ward.calls.desks)]
    for index, asked in enumerate(ward.calls.candidates):
        lists.append((("calls", "candidates", index, "agencies"), asked.agencies))
    for index, reason in enumerate(ward.escalation_reasons):
        lists.append((("escalation_reasons", index, "desks"), reason.desks))
    for place, values in lists:
        if len(set(values)) != len(values):
            yield Fault(place, "同じものが二度あります", "one is named twice")
    functions = [asked.function for asked in ward.calls.candidates]
    for index, function in enumerate(functions):
        if function in functions[:index]:
            yield Fault(
                ("calls", "candidates", index, "function"),
                f"「{function}」の候補が二度あります",
                f"{function!r} has a list already",
            )


def _nothing_goes_unheard(ward: Ward) -> Iterator[Fault]:
    """Silence, a district that nobody can decide, and a list with nobody left on it must each call
    somebody."""
    needed: tuple[tuple[type, str, str], ...] = (
        (WhenSilent, "無回答(silent)で上申する理由がありません", "nothing is raised by silence"),
        (WhenUndecided, "地区未定(undecided)で上申する理由がありません", "no reason for undecided"),
    )
    if ward.calls.candidates:
        needed += ((WhenNoCandidate, "空きなし(no_candidate)で上申する理由がありません",
                    "no reason for no_candidate"),)  # fmt: skip
    conditions = [c for reason in ward.escalation_reasons for c in reason.when]
    for kind, ja, en in needed:
        if not any(isinstance(condition, kind) for condition in conditions):
            yield Fault(("escalation_reasons",), ja, en)


def _network_is_nobodys_name(ward: Ward) -> Iterator[Fault]:
    for index, agency in enumerate(ward.agencies):
        if agency.id == NETWORK:
            yield Fault(
                ("agencies", index, "id"),
                "この名前はネットワーク自身のものです",
                "this name is the network's own",
            )


def _never_closes(hours: Hours) -> bool:
    return hours.holidays and not hours.closed and all(_whole(hours, day) for day in WEEKDAYS)


def _whole(hours: Hours, weekday: Weekday) -> bool:
    """Whether somebody is there from midnight to midnight."""
    until = timedelta(0)
    for span in sorted(hours.week, key=lambda span: span.open):
        lasts = span.valid_from is None and span.valid_to is None
        if lasts and weekday in span.days and span.open <= until:
            until = max(until, span.close)
    return until == timedelta(hours=24)


CALL_RULES: tuple[Callable[[Ward], Iterator[Fault]], ...] = (
    _calls,
    _named_once,
    _nothing_goes_unheard,
    _somebody_is_called,
    _network_is_nobodys_name,
)
