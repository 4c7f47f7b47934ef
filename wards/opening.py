"""Opening hours as time (開所時間): is somebody there, until when, and when so much of it has passed.

Pure: nothing here reads a clock, and the calendar of holidays (祝日) is an argument. Moments are aware
and come back in UTC. Opening hours are times of day in Japan, which has kept one offset since 1952,
so within these functions a day is simply a day of Japan and arithmetic on it is exact.

An opening includes its first instant and not its last. A moment that would fall on closing time is
therefore the next opening; where one opening meets the next (24:00 and 00:00), that is no wait at all.

Every function raises ``ValueError`` for a moment without an offset; whatever looks for an opening also
for hours that do not open for two years on end, which ``wards.check`` lets nobody have.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from schemas.outside import JAPAN
from wards.agencies import Hours
from wards.holidays import Calendar

_DAY = timedelta(days=1)
_GIVE_UP_AFTER = timedelta(days=731)
_NEVER_CLOSES = timedelta(days=31)


class Standing(NamedTuple):
    """Whether somebody is there now. ``until``: open, when it closes, None for hours that do not end
    within a month (day and night); closed, when it opens next."""

    open: bool
    until: datetime | None


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


def standing(hours: Hours, moment: datetime, holidays: Calendar) -> Standing:
    """Open or closed at a moment (開所中・閉所中), and until when. One opening that meets the next is one."""
    at = end = _local(moment)
    try:
        for first, close in _openings(hours, at, holidays):
            if first > end:
                break
            end = close
            if end - at > _NEVER_CLOSES:
                return Standing(True, None)
    except ValueError:
        if end == at:
            raise
        # These hours end for good: nothing opens after this.
    if end == at:
        return Standing(False, next_opening(hours, moment, holidays))
    return Standing(True, _utc(end))


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
