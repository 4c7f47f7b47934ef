"""The ward at a glance (区のいま), as people see it: which hub is open, who has how much to do, where the
boundaries are undecided. Pure: ward, holidays, moment and what the referral service told are arguments."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from schemas.outside import local_day
from wards.agencies import WEEKDAYS, ClosedPeriod, Hours
from wards.escalation import Desk
from wards.holidays import Calendar
from wards.model import District, Ward
from wards.opening import Standing, standing


@dataclass(frozen=True, slots=True)
class Week:
    """Opening hours as people write them: for some weekdays, from and to. ``closed``: days of every year."""

    spans: tuple[tuple[tuple[str, ...], str, str], ...]
    holidays: bool
    closed: tuple[ClosedPeriod, ...]

    @property
    def always(self) -> bool:
        """Day and night, every day."""
        return (
            self.spans == ((tuple(WEEKDAYS), "00:00", "24:00"),)
            and self.holidays
            and not self.closed
        )


@dataclass(frozen=True, slots=True)
class Place:
    """A district (地区) and who serves it today: its hub, or the core centre until the hub opens for good.
    ``until_then``: the day of that."""

    district: str
    hub: str
    serves: str
    until_then: date | None
    standing: Standing
    week: Week
    phone: str | None


@dataclass(frozen=True, slots=True)
class DeskNow:
    """A desk that answers calls (窓口)."""

    desk: str
    agency: str
    standing: Standing
    week: Week


@dataclass(slots=True)
class Load:
    """What one agency is responsible for. ``awaiting``: a ruling; ``offered``: to another agency, whose
    answer is awaited. ``waiting_since``: when the oldest of these two was submitted. ``called``: for so many
    of all its cases a call is not resolved; None: that is not told."""

    agency: str
    awaiting: int = 0
    offered: int = 0
    in_care: int = 0
    waiting_since: datetime | None = None
    in_care_since: datetime | None = None
    called: int | None = None

    @property
    def waiting(self) -> int:
        return self.awaiting + self.offered


@dataclass(slots=True)
class Border:
    """Districts that share some chome (丁目), and what the core centre has to rule between them."""

    districts: tuple[str, ...]
    chome: list[str] = field(default_factory=list)
    awaiting: int = 0


def places(ward: Ward, now: datetime, holidays: Calendar) -> list[Place]:
    return [_place(district, ward, now, holidays) for district in ward.districts]


def _place(district: District, ward: Ward, now: datetime, holidays: Calendar) -> Place:
    today = local_day(now)
    serves = ward.agency(ward.hub_of(district.id, today))
    hub = ward.agency(district.hub)
    if serves is None or hub is None:
        raise ValueError(f"{district.id} has no hub")  # wards.check lets no ward be so
    opens = hub.valid_from if hub.id != serves.id and hub.valid_from > today else None
    return Place(
        district.id, hub.id, serves.id, opens, standing(serves.hours, now, holidays),
        week(serves.hours, today), serves.phone,
    )  # fmt: skip


def desks(all_desks: Iterable[Desk], now: datetime, holidays: Calendar) -> list[DeskNow]:
    today = local_day(now)
    return [
        DeskNow(desk.id, desk.agency, standing(desk.hours, now, holidays), week(desk.hours, today))
        for desk in all_desks
    ]


def week(hours: Hours, day: date) -> Week:
    """The hours that hold on a day, weekdays with the same ones together."""
    days: dict[tuple[str, str], list[str]] = defaultdict(list)
    for weekday in WEEKDAYS:
        for span in hours.week:
            if weekday in span.days and span.holds_on(day):
                days[_clock(span.open), _clock(span.close)].append(weekday)
    spans = tuple((tuple(names), *times) for times, names in days.items())
    return Week(spans, hours.holidays, tuple(c for c in hours.closed if c.holds_on(day)))


def _clock(since_midnight: timedelta) -> str:
    minutes = since_midnight // timedelta(minutes=1)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def loads(
    agencies: Iterable[dict[str, Any]], called: Iterable[dict[str, Any]] | None = None
) -> list[Load]:
    """Whose oldest has waited longest comes first; then whoever has had one in care longest."""
    of: dict[str, Load] = {}
    for told in agencies:
        load = of.setdefault(told["agency"], Load(told["agency"]))
        oldest = datetime.fromisoformat(told["oldest"])
        if told["stage"] == "in_care":
            load.in_care += told["n"]
            load.in_care_since = _earlier(load.in_care_since, oldest)
        else:
            if told["stage"] == "offered":
                load.offered += told["n"]
            else:
                load.awaiting += told["n"]
            load.waiting_since = _earlier(load.waiting_since, oldest)
    if called is not None:
        calls = {told["agency"]: told["n"] for told in called}
        for load in of.values():
            load.called = calls.get(load.agency, 0)
    never = datetime.max.replace(tzinfo=UTC)
    return sorted(
        of.values(),
        key=lambda x: (x.waiting_since or never, x.in_care_since or never, x.agency),
    )


def by_district(ward: Ward, told: Iterable[dict[str, Any]]) -> list[tuple[str | None, int, int]]:
    """Of each district how many wait and how many are in care; None: not decided yet. In the ward's order."""
    waiting: dict[str | None, int] = defaultdict(int)
    in_care: dict[str | None, int] = defaultdict(int)
    for row in told:
        (in_care if row["stage"] == "in_care" else waiting)[row["district"]] += row["n"]
    known = [district.id for district in ward.districts]
    others = sorted(name for name in {*waiting, *in_care} if name is not None and name not in known)
    rows: list[tuple[str | None, int, int]] = [
        (name, waiting[name], in_care[name]) for name in (*known, *others)
    ]
    if waiting[None] or in_care[None]:
        rows.append((None, waiting[None], in_care[None]))
    return rows


def borders(ward: Ward, between: Iterable[dict[str, Any]] = ()) -> list[Border]:
    """Every set of districts that share a chome, or between which something awaits a ruling."""
    of: dict[tuple[str, ...], Border] = {}
    for chome in ward.chomes:
        if len(chome.parts) > 1:
            districts = chome.districts()
            of.setdefault(districts, Border(districts)).chome.append(f"{chome.town}{chome.number}")
    for told in between:
        districts = tuple(sorted(told["candidates"]))
        of.setdefault(districts, Border(districts)).awaiting += told["n"]
    return sorted(of.values(), key=lambda border: (-border.awaiting, border.districts))


def calls(told: Iterable[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """Of each reason how many nobody has in hand yet, and how many somebody has."""
    raised: dict[str, int] = defaultdict(int)
    taken: dict[str, int] = defaultdict(int)
    for row in told:
        (raised if row["state"] == "raised" else taken)[row["code"]] += row["n"]
    return [(code, raised[code], taken[code]) for code in sorted({*raised, *taken})]


def _earlier(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else min(one, other)
