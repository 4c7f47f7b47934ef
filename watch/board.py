"""The board's rows in words. Pure: escalations, the ward's names and the moment are arguments.

What stands out by its colour stands out by its words too.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from schemas.base import JsonObject
from schemas.codes import EscalationState, Urgency
from schemas.partner import BurningGiven, DirectoryGiven
from schemas.publishing.words import VALUES

NEAR = timedelta(minutes=5)


def word(value: StrEnum) -> str:
    """As the published contract words it."""
    return VALUES[type(value).__name__][value]


@dataclass(frozen=True, slots=True)
class Names:
    """The ward's words for its codes; a code without a word stands for itself."""

    agencies: dict[str, str] = field(default_factory=dict)
    districts: dict[str, str] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    decline_reasons: dict[str, str] = field(default_factory=dict)
    desks: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, document: JsonObject) -> "Names":
        """From ``GET /v1/directory``."""
        directory = DirectoryGiven.model_validate(document)
        return cls(
            agencies={a.id: a.name for a in directory.agencies},
            districts={d.id: d.name for d in directory.districts},
            functions={t.code: t.ja for t in directory.functions},
            reasons={t.code: t.ja for t in directory.escalation_reasons},
            decline_reasons={t.code: t.ja for t in directory.decline_reasons},
            desks={d.id: d.name for d in directory.desks},
        )

    def agency(self, agency: str | None) -> str:
        return "-" if agency is None else self.agencies.get(agency, agency)

    def district(self, call: BurningGiven) -> str:
        if call.district is not None:
            return self.districts.get(call.district, call.district)
        if not call.candidates:
            return "-"
        names = (self.districts.get(c, c).removesuffix("地区") for c in call.candidates)
        return f"未定 {'・'.join(names)}"

    def desk(self, call: BurningGiven) -> str:
        if call.desk is None:
            return f"{call.level}段目"
        return f"{self.desks.get(call.desk, call.desk)} {call.level}段目"


@dataclass(frozen=True, slots=True)
class Cell:
    """``style``: a Rich style."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One escalation, one line. The cells are named as the columns of ``drawing.COLUMNS``."""

    id: UUID
    cells: dict[str, Cell]


def rows(calls: Iterable[BurningGiven], names: Names, now: datetime) -> list[Row]:
    """Newest first."""
    newest_first = sorted(calls, key=lambda c: (c.raised_at, c.change), reverse=True)
    return [_row(call, names, now) for call in newest_first]


def _row(call: BurningGiven, names: Names, now: datetime) -> Row:
    gone = "dim" if call.state is EscalationState.RESOLVED else ""
    urgency = "bold" if call.urgency is Urgency.EMERGENCY else gone
    state = "bold" if call.state is EscalationState.RAISED else gone
    return Row(
        call.id,
        {
            "code": Cell(call.code, gone),
            "reason": Cell(names.reasons.get(call.code, call.code), gone),
            "agency": Cell(names.agency(call.custodian), gone),
            "district": Cell(names.district(call), gone),
            "urgency": Cell(word(call.urgency), urgency),
            "desk": Cell(names.desk(call), gone),
            "state": Cell(word(call.state), state),
            "age": Cell(span(now - call.raised_at), gone),
            "left": time_left(call, now),
        },
    )


def time_left(call: BurningGiven, now: datetime) -> Cell:
    """Until somebody must acknowledge, or whoever did must resolve."""
    if call.state is EscalationState.RESOLVED:
        return Cell("解決済み", "dim")
    return until(call.due_at, now)


def until(due_at: datetime | None, now: datetime) -> Cell:
    if due_at is None:
        return Cell("期限なし", "dim")
    left = due_at - now
    if left <= timedelta(0):
        return Cell(f"超過 {span(-left)}", "bold red")
    if left < NEAR:
        minutes, seconds = divmod(int(left.total_seconds()), 60)
        return Cell(f"間近 {minutes}分{seconds:02d}秒", "bold yellow")
    return Cell(f"残り {span(left)}", "green")


def span(length: timedelta) -> str:
    """How long, as people say it, rounded down; less than nothing is nothing."""
    seconds = max(0, int(length.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return f"{days}日{hours % 24}時間"
    if hours:
        return f"{hours}時間{minutes % 60:02d}分"
    if minutes:
        return f"{minutes}分"
    return f"{seconds}秒"


def summary(calls: Iterable[BurningGiven], now: datetime) -> str:
    """How many wait, how many are in hand, and how many are overdue."""
    standing = [c for c in calls if c.state is not EscalationState.RESOLVED]
    raised = sum(c.state is EscalationState.RAISED for c in standing)
    overdue = sum(c.due_at is not None and c.due_at <= now for c in standing)
    words = (
        f"{word(EscalationState.RAISED)} {raised}件"
        f"  {word(EscalationState.ACKNOWLEDGED)} {len(standing) - raised}件"
    )
    return f"{words}  期限超過 {overdue}件" if overdue else words
