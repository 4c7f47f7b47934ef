"""Business time (開所時間で数える時間): until when an answer is due, in somebody's opening hours.

Pure: nothing here reads a clock, and the calendar of holidays (祝日) is an argument. How opening hours
are counted, and what raises ``ValueError``: ``wards.opening``.
"""

from datetime import UTC, date, datetime, timedelta

from schemas.codes import ClockKind
from schemas.due import Due
from wards.agencies import Agency, Hours
from wards.holidays import Calendar, RecordedHolidays
from wards.opening import add_days, add_minutes
from wards.terms import Deadline


def due(deadline: Deadline, rule: str, start: datetime, whose: Agency, holidays: Calendar) -> Due:
    """Until when (期限) ``deadline`` runs from ``start``; a business clock runs in the hours of ``whose``.

    Records exactly the holidays on which ``whose`` would have been open between the two.
    """
    minutes, days = deadline.minutes, deadline.days
    if deadline.clock is ClockKind.WALL:
        at = _by_the_wall(start, minutes, days)
        return Due(at=at, rule=rule, clock=deadline.clock, minutes=minutes, days=days)
    noting = _Noting(holidays)
    at = _in_hours(whose.hours, start, minutes, days, noting)
    return Due(
        at=at,
        rule=rule,
        clock=deadline.clock,
        minutes=minutes,
        days=days,
        hours_of=whose.id,
        holidays=tuple(sorted(noting.passed_over)),
        calendar=holidays.source,
    )


def recomputed(due: Due, start: datetime, hours: Hours) -> datetime:
    """``due.at``, worked out anew from what was recorded: the holidays of then, not those of today's
    calendar. ``hours`` are those of ``due.hours_of``."""
    if due.clock is ClockKind.WALL:
        return _by_the_wall(start, due.minutes, due.days)
    recorded = RecordedHolidays(frozenset(due.holidays), due.calendar or "")
    return _in_hours(hours, start, due.minutes, due.days, recorded)


class _Noting:
    """A calendar that remembers the holidays it was asked about."""

    def __init__(self, holidays: Calendar) -> None:
        self.source = holidays.source
        self.passed_over: set[date] = set()
        self._holidays = holidays

    def __contains__(self, day: date, /) -> bool:
        is_holiday = day in self._holidays
        if is_holiday:
            self.passed_over.add(day)
        return is_holiday


def _by_the_wall(start: datetime, minutes: int | None, days: int | None) -> datetime:
    if start.tzinfo is None:
        raise ValueError("a moment has an offset")
    return start.astimezone(UTC) + timedelta(minutes=minutes or 0, days=days or 0)


def _in_hours(
    hours: Hours, start: datetime, minutes: int | None, days: int | None, holidays: Calendar
) -> datetime:
    if days is not None:
        return add_days(hours, start, days, holidays)
    return add_minutes(hours, start, minutes or 0, holidays)
