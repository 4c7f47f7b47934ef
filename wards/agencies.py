"""An organisation on the network, and when somebody is there (関係機関・開所時間)."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from schemas.codes import AgencyKind, Scope
from wards.delivery import ByInbox, Way
from wards.frozen import Code, Frozen, Id, Words
from wards.times import ClockTime

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MonthDay = Annotated[str, Field(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]


class Dated(Frozen):
    """What holds for a time (適用期間), both days included; none: since ever, or until further notice."""

    valid_from: date | None = None
    valid_to: date | None = None

    def holds_on(self, day: date) -> bool:
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_to is None or day <= self.valid_to
        )

    def meets(self, other: "Dated") -> bool:
        """Whether there is a day on which both hold."""
        begins = max(self.valid_from or date.min, other.valid_from or date.min)
        return begins <= min(self.valid_to or date.max, other.valid_to or date.max)


class Span(Dated):
    """Opening hours on some weekdays (開所時間), as time since midnight; ``close`` itself is closed."""

    days: tuple[Weekday, ...]
    open: ClockTime
    close: ClockTime


class ClosedPeriod(Dated):
    """Days of every year on which nobody is there (年末年始), both ends included."""

    first: MonthDay
    last: MonthDay

    def contains(self, day: date) -> bool:
        if not self.holds_on(day):
            return False
        at = day.isoformat()[5:]
        if self.first <= self.last:
            return self.first <= at <= self.last
        return at >= self.first or at <= self.last


class Hours(Frozen):
    """When an agency is open (開所日・開所時間・休業日)."""

    week: tuple[Span, ...]
    holidays: bool
    """Whether it is open on national holidays (祝日)."""
    closed: tuple[ClosedPeriod, ...] = ()

    def on(self, day: date, *, is_holiday: bool) -> tuple[Span, ...]:
        """The opening hours that hold on one day, earliest first. Whether it is a 祝日 the caller
        knows."""
        weekday = WEEKDAYS[day.weekday()]
        spans = [span for span in self.week if weekday in span.days and span.holds_on(day)]
        if not spans or (is_holiday and not self.holidays):
            return ()
        for period in self.closed:
            if period.contains(day):
                return ()
        return tuple(sorted(spans, key=lambda span: span.open))


class Agency(Frozen):
    """An organisation on the network (関係機関)."""

    id: Id
    kind: AgencyKind
    name: Words
    name_en: Words
    public_name: Words | None = None
    """What people in the district call it (愛称)."""
    aliases: tuple[Words, ...] = ()
    functions: tuple[Code, ...] = ()
    services: tuple[Code, ...] = ()
    district: Id | None = None
    branch_of: Id | None = None
    hours: Hours
    phone: Words | None = None
    fax: Words | None = None
    mail: Words | None = None
    address: Words | None = None
    valid_from: date
    valid_to: date | None = None
    """The last day on the network; none: it stays."""
    sample: bool = False
    """Invented for trying out: the ward's documents name no such agency."""
    delivery: Way = ByInbox()
    """How its events reach it (受け取り方)."""
    scopes: tuple[Scope, ...] = (Scope.POST, Scope.ANSWER, Scope.READ)
    """What its systems may do (権限の範囲); each of its credentials may be narrower."""
    assumed: tuple[Words, ...] = ()
    """Fields that the ward's documents do not state and somebody still has to confirm."""

    def active_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)
