"""What must hold across a ward file, beyond the shape of each field.

Each rule looks at a whole ward and yields its mistakes; none stops at the first.
"""

from collections.abc import Callable, Iterator, Sequence

from schemas.codes import AgencyKind
from wards.agencies import Agency
from wards.check_calls import CALL_RULES
from wards.check_map import MAP_RULES
from wards.fault import Fault
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
            for value in values:
                if value not in allowed:
                    yield Fault(
                        (*at, key), f"「{value}」は知られていません", f"{value!r} is not known"
                    )
        if agency.valid_to is not None and agency.valid_to < agency.valid_from:
            yield Fault((*at, "valid_to"), "終了日が開始日より前です", "it ends before it begins")
        yield from _hours(agency, (*at, "hours", "week"))


def _hours(agency: Agency, at: Path) -> Iterator[Fault]:
    week = agency.hours.week
    for index, span in enumerate(week):
        if span.close <= span.open:
            yield Fault(
                (*at, index), "終了時刻が開始時刻以前です", "the hours end before they begin"
            )
        for other in week[:index]:
            both = set(span.days) & set(other.days)
            if both and span.open < other.close and other.open < span.close:
                yield Fault((*at, index), "開所時間が重なっています", "two opening hours overlap")


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
    _hubs,
    _actions,
    *CALL_RULES,
    *MAP_RULES,
)
