"""What of the picture is looked at (見方): filters, what burns first, how many. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from urllib.parse import urlencode

from schemas.codes import EscalationState, Urgency
from schemas.partner import BurningGiven
from wards.model import Ward

ROWS = 50
_NEVER = math.inf
UNDECIDED = "undecided"
"""In place of a district: those whose district is not decided."""
STANDING = (EscalationState.RAISED, EscalationState.ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class Filters:
    """Empty: all."""

    state: str = ""
    urgency: str = ""
    code: str = ""
    district: str = ""
    custodian: str = ""
    desk: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str], ward: Ward) -> tuple["Filters", bool]:
        """And whether all of it could be read; what is none of the ward's words is left out."""
        known = {
            "state": {str(state) for state in STANDING},
            "urgency": {str(urgency) for urgency in Urgency},
            "code": {reason.code for reason in ward.escalation_reasons},
            "district": {district.id for district in ward.districts} | {UNDECIDED},
            "custodian": {agency.id for agency in ward.agencies},
            "desk": {desk.id for desk in ward.desks},
        }
        asked = {name: query.get(name, "").strip() for name in known}
        read = {name: value for name, value in asked.items() if value in known[name]}
        return cls(**read), all(not asked[name] or name in read for name in asked)

    def fit(self, call: BurningGiven) -> bool:
        return (
            (not self.state or call.state == self.state)
            and (not self.urgency or call.urgency == self.urgency)
            and (not self.code or call.code == self.code)
            and (not self.district or self.district == (call.district or UNDECIDED))
            and (not self.custodian or call.custodian == self.custodian)
            and (not self.desk or call.desk == self.desk)
        )

    @property
    def any(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))

    def query(self, **more: str) -> str:
        """For an address, what is empty left out."""
        given = {field.name: getattr(self, field.name) for field in fields(self)} | more
        return urlencode({name: value for name, value in given.items() if value})


def is_overdue(call: BurningGiven, now: datetime) -> bool:
    return (
        call.state is not EscalationState.RESOLVED and call.due_at is not None
    ) and call.due_at <= now


@dataclass(frozen=True, slots=True)
class Placed:
    """A call with what its place follows from, in figures: to put thousands in order is then quick.
    ``due_at``: seconds since 1970."""

    call: BurningGiven
    due_at: float
    place: tuple[bool, float, bool, float, int]


def placed(call: BurningGiven) -> Placed:
    """Emergencies first, then whatever is due soonest, and what nobody has in hand before what
    somebody has."""
    due_at = call.due_at.timestamp() if call.due_at is not None else _NEVER
    place = (
        call.urgency is not Urgency.EMERGENCY,
        due_at,
        call.state is not EscalationState.RAISED,
        call.raised_at.timestamp(),
        call.change,
    )
    return Placed(call, due_at, place)


def in_place(calls: Iterable[Placed]) -> list[Placed]:
    """By their places; what is overdue is not looked at yet, for that changes with the time."""
    return sorted(calls, key=attrgetter("place"))


def burning_first(standing: Iterable[Placed], now: datetime) -> list[BurningGiven]:
    """Overdue ones, then the rest. ``standing``: in place."""
    at = now.timestamp()
    overdue: list[BurningGiven] = []
    others: list[BurningGiven] = []
    for each in standing:
        (overdue if each.due_at <= at else others).append(each.call)
    return overdue + others


@dataclass(frozen=True, slots=True)
class Counts:
    raised: int = 0
    acknowledged: int = 0
    overdue: int = 0
    emergencies: int = 0

    @classmethod
    def of(cls, standing: Iterable[Placed], now: datetime) -> "Counts":
        at = now.timestamp()
        raised = acknowledged = overdue = emergencies = 0
        for each in standing:
            not_emergency, due_at, in_hand, *_ = each.place
            if in_hand:
                acknowledged += 1
            else:
                raised += 1
            overdue += due_at <= at
            emergencies += not not_emergency
        return cls(raised, acknowledged, overdue, emergencies)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page of what is looked at. ``of``: how many fit, ``here`` of ``count`` pages."""

    calls: list[BurningGiven]
    of: int
    here: int
    count: int


def sheet(standing: list[Placed], filters: Filters, page: str, now: datetime) -> Sheet:
    """``standing``: in place. A page beyond the last one is the last one."""
    chosen = [each for each in standing if filters.fit(each.call)] if filters.any else standing
    fitting = burning_first(chosen, now)
    count = max(1, -(-len(fitting) // ROWS))
    wanted = int(page) if page.isdecimal() and page.isascii() and len(page) < 7 else 1
    here = min(max(1, wanted), count)
    return Sheet(fitting[(here - 1) * ROWS : here * ROWS], len(fitting), here, count)
