"""Business time (開所時間で数える時間): until when an answer is due, in somebody's opening hours.

Pure: nothing here reads a clock, and the calendar of holidays (祝日) is an argument. Moments are aware
and come back in UTC. Opening hours are times of day in Japan, which has kept one offset since 1952,
so within these functions a day is simply a day of Japan and arithmetic on it is exact.

An opening includes its first instant and not its last. A moment that would fall on closing time is
therefore the next opening; where one opening meets the next (24:00 and 00:00), that is no wait at all.

Every function raises ``ValueError`` for a moment without an offset; whatever looks for an opening also
for hours that do not open for two years on end, which ``wards.check`` lets nobody have.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from schemas.codes import ClockKind
from schemas.due import Due
from schemas.outside import JAPAN
from wards.agencies import Agency, Hours
from wards.holidays import Calendar, RecordedHolidays
from wards.terms import Deadline

_DAY = timedelta(days=1)
_GIVE_UP_AFTER = timedelta(days=731)


def is_open_at(hours: Hours, moment: datetime, holidays: Calendar) -> bool:
    """Whether somebody is there (開所中). At closing time itself nobody is."""
    at = _local(moment)
    today = _of_day(hours, _midnight(at), at, holidays)
    return any(first <= at for first, _ in today)


def stays_open(hours: Hours, start: datetime, until: datetime, holidays: Calendar) -> bool:
    """Whether somebody is there at every instant from ``start`` to ``until``, both included."""
    at, last = _local(start), _local(until)
    midnight = _midnight(at)
    while midnight <= at <= last:
        for first, close in _of_day(hours, midnight, at, holidays):
            if at < first:
                break
            at = close
        midnight += _DAY
    return last < at


def next_opening(hours: Hours, moment: datetime, holidays: Calendar) -> datetime:
    """When somebody is there next (次の開所); the moment itself if somebody is."""
    return add_minutes(hours, moment, 0, holidays)


def add_minutes(hours: Hours, start: datetime, minutes: int, holidays: Calendar) -> datetime:
    """The moment when ``minutes`` of opening hours have passed since ``start``, always an open one."""
    return _utc(_after(hours, _local(start), timedelta(minutes=minutes), holidays))


def add_days(hours: Hours, start: datetime, days: int, holidays: Calendar) -> datetime:
    """The same time of day on the ``days``-th following day that is open at all (営業日).

    Counted from the next opening if ``start`` is closed. If the time lies outside the hours of that
    day, the next opening after it.
    """
    if days < 0:
        raise ValueError("time is not counted backwards")
    begin = _after(hours, _local(start), timedelta(), holidays)
    midnight = _midnight(begin)
    for _ in range(days):
        first, _close = next(_openings(hours, midnight + _DAY, holidays))
        midnight = _midnight(first)
    same_time = midnight + (begin - _midnight(begin))
    return _utc(_after(hours, same_time, timedelta(), holidays))


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
    _local(start)
    return start.astimezone(UTC) + timedelta(minutes=minutes or 0, days=days or 0)


def _in_hours(
    hours: Hours, start: datetime, minutes: int | None, days: int | None, holidays: Calendar
) -> datetime:
    if days is not None:
        return add_days(hours, start, days, holidays)
    return add_minutes(hours, start, minutes or 0, holidays)


def _after(hours: Hours, start: datetime, wait: timedelta, holidays: Calendar) -> datetime:
    if wait < timedelta():
        raise ValueError("time is not counted backwards")
    for first, close in _openings(hours, start, holidays):
        begin = max(first, start)
        if wait < close - begin:
            return begin + wait
        wait -= close - begin
    raise AssertionError("openings never run out")


Opening = tuple[datetime, datetime]


def _openings(hours: Hours, start: datetime, holidays: Calendar) -> Iterator[Opening]:
    """Every opening that ends after ``start``, the first of them perhaps begun, without end."""
    midnight = _midnight(start)
    give_up = start + _GIVE_UP_AFTER
    while midnight < give_up:
        openings = _of_day(hours, midnight, start, holidays)
        midnight += _DAY
        if openings:
            yield from openings
            give_up = midnight + _GIVE_UP_AFTER
    raise ValueError("no opening hours within two years")


def _of_day(hours: Hours, midnight: datetime, start: datetime, holidays: Calendar) -> list[Opening]:
    """The openings of a day that end after ``start``. Asks the calendar only where the answer matters:
    what it was asked and affirmed is what was passed over."""
    day = midnight.date()
    openings = [
        (midnight + span.open, close)
        for span in hours.on(day, is_holiday=False)
        if (close := midnight + span.close) > start
    ]
    if openings and not hours.holidays and day in holidays:
        return []
    return openings


def _midnight(local: datetime) -> datetime:
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


def _local(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a moment has an offset")
    return moment.astimezone(JAPAN).replace(tzinfo=None)


def _utc(local: datetime) -> datetime:
    return local.replace(tzinfo=JAPAN).astimezone(UTC)
