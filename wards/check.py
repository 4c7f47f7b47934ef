"""What must hold across a ward file, beyond the shape of each field.

Each rule looks at a whole ward and yields its mistakes; none stops at the first.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date

from schemas.codes import AgencyKind
from wards.agencies import Agency, Dated, Hours
from wards.check_calls import CALL_RULES
from wards.check_map import MAP_RULES
from wards.fault import Fault, unknown
from wards.model import VOCABULARIES, Ward
from wards.places import Path


def faults(ward: Ward) -> list[Fault]:
    """Everything that is wrong with a ward whose fields are well formed."""
    return [fault for rule in RULES for fault in rule(ward)]


def _code(ward: Ward) -> Iterator[Fault]:
    total = sum(
        int(digit) * weight for digit, weight in zip(ward.code, (6, 5, 4, 3, 2), strict=False)
    )
    if (11 - total % 11) % 10 != int(ward.code[5]):
        yield Fault(("code",), "団体コードの検査数字が合いません", "the check digit is wrong")


def _repeated(values: Sequence[str]) -> Iterator[tuple[int, str]]:
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            yield index, value
        seen.add(value)


def _unique(ward: Ward) -> Iterator[Fault]:
    names: dict[str, tuple[str, Sequence[str]]] = {
        "agencies": ("id", [a.id for a in ward.agencies]),
        "districts": ("id", [d.id for d in ward.districts]),
        "desks": ("id", [d.id for d in ward.desks]),
        "town_aliases": ("written", [a.written for a in ward.town_aliases]),
        **{k: ("code", [t.code for t in getattr(ward, k)]) for k in VOCABULARIES},
    }
    for table, (key, values) in names.items():
        for index, value in _repeated(values):
            yield Fault(
                (table, index, key), f"「{value}」が重複しています", f"{value!r} is used twice"
            )


def _one_core(ward: Ward) -> Iterator[Fault]:
    cores = [i for i, agency in enumerate(ward.agencies) if agency.kind is AgencyKind.CORE]
    if not cores:
        yield Fault(
            ("agencies",), "基幹相談支援センター(core)がありません", "there is no core centre"
        )
    for index in cores[1:]:
        yield Fault(
            ("agencies", index, "kind"),
            "基幹相談支援センター(core)は一つだけです",
            "there is more than one core centre",
        )


def _agencies(ward: Ward) -> Iterator[Fault]:
    ids = {agency.id for agency in ward.agencies}
    districts = {district.id for district in ward.districts}
    for index, agency in enumerate(ward.agencies):
        at = ("agencies", index)
        known: list[tuple[str, Sequence[str], set[str]]] = [
            ("functions", agency.functions, {t.code for t in ward.functions}),
            ("services", agency.services, {t.code for t in ward.service_codes}),
            ("district", [agency.district] if agency.district else [], districts),
            ("branch_of", [agency.branch_of] if agency.branch_of else [], ids - {agency.id}),
            ("assumed", agency.assumed, set(Agency.model_fields)),
        ]
        for key, values, allowed in known:
            yield from unknown((*at, key), values, allowed)
        if agency.valid_to is not None and agency.valid_to < agency.valid_from:
            yield Fault((*at, "valid_to"), "終了日が開始日より前です", "it ends before it begins")


OUR_LOGINS = ("intake", "referral", "delivery", "audit", "console", "door", "carrier", "warden")
"""Under these names our own services log in to NATS, so no agency's system could."""


def _no_login_of_ours(ward: Ward) -> Iterator[Fault]:
    for index, agency in enumerate(ward.agencies):
        if agency.id in OUR_LOGINS:
            yield Fault(
                ("agencies", index, "id"),
                f"「{agency.id}」はシステム自身の名前です",
                f"{agency.id!r} is a name of the system's own",
            )


def _opening_hours(ward: Ward) -> Iterator[Fault]:
    for index, agency in enumerate(ward.agencies):
        at: Path = ("agencies", index, "hours")
        since = max(agency.valid_from, ward.valid_from)
        yield from _well_formed(agency.hours, at)
        yield from _opens(agency.hours, since, at)
    for index, desk in enumerate(ward.desks):
        at = ("desks", index, "hours")
        yield from _well_formed(desk.hours, at)
        yield from _opens(desk.hours, ward.valid_from, at)


def _well_formed(hours: Hours, at: Path) -> Iterator[Fault]:
    held: list[tuple[str, Sequence[Dated]]] = [("week", hours.week), ("closed", hours.closed)]
    for key, all_of_them in held:
        for index, dated in enumerate(all_of_them):
            if dated.valid_from and dated.valid_to and dated.valid_to < dated.valid_from:
                yield Fault(
                    (*at, key, index), "終了日が開始日より前です", "it ends before it begins"
                )
    for index, span in enumerate(hours.week):
        here = (*at, "week", index)
        if span.close <= span.open:
            yield Fault(here, "終了時刻が開始時刻以前です", "the hours end before they begin")
        for other in hours.week[:index]:
            both = set(span.days) & set(other.days) and span.meets(other)
            if both and span.open < other.close and other.open < span.close:
                yield Fault(here, "開所時間が重なっています", "two opening hours overlap")


def _opens(hours: Hours, since: date, at: Path) -> Iterator[Fault]:
    """A clock that runs in these hours must come to an end: whenever they change, they open within a
    year, holidays aside. So hours that end must be followed by others, even those of an agency that
    leaves on the same day: somebody may still be waiting for it."""
    ends = [s.valid_to for s in hours.week if s.valid_to and s.valid_to < date.max]
    closures = [period.valid_from for period in hours.closed if period.valid_from]
    changes = {day.toordinal() for day in closures} | {day.toordinal() + 1 for day in ends}
    first = since.toordinal()
    for change in sorted({first, *(change for change in changes if change > first)}):
        if not _opens_within_a_year(hours, change):
            never_closed = hours.model_copy(update={"closed": ()})
            key = "closed" if _opens_within_a_year(never_closed, change) else "week"
            yield Fault(
                (*at, key), "一年を通して開所日がありません", "not open on any day for a year"
            )
            return


def _opens_within_a_year(hours: Hours, first: int) -> bool:
    year = range(first, min(first + 366, date.max.toordinal() + 1))
    return any(hours.on(date.fromordinal(day), is_holiday=False) for day in year)


def _hubs(ward: Ward) -> Iterator[Fault]:
    kinds = {agency.id: agency.kind for agency in ward.agencies}
    for index, district in enumerate(ward.districts):
        at: Path = ("districts", index, "hub")
        if district.hub not in kinds:
            yield Fault(at, f"機関「{district.hub}」がありません", f"no agency {district.hub!r}")
        elif kinds[district.hub] not in {AgencyKind.HUB, AgencyKind.CORE}:
            yield Fault(
                at, f"「{district.hub}」は拠点ではありません", f"{district.hub!r} is not a hub"
            )


def _actions(ward: Ward) -> Iterator[Fault]:
    known = {term.code for term in ward.functions}
    for index, action in enumerate(ward.requested_actions):
        if action.function not in known:
            yield Fault(
                ("requested_actions", index, "function"),
                f"機能「{action.function}」がありません",
                f"no function {action.function!r}",
            )


RULES: tuple[Callable[[Ward], Iterator[Fault]], ...] = (
    _code,
    _unique,
    _one_core,
    _agencies,
    _no_login_of_ours,
    _opening_hours,
    _hubs,
    _actions,
    *CALL_RULES,
    *MAP_RULES,
)
