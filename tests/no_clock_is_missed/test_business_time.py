"""A deadline falls when somebody is there, on the days on which Japan works, and stays where it fell."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.codes import AgencyKind, ClockKind
from schemas.due import Due
from schemas.outside import JAPAN
from services.referral.clocks import due, recomputed
from wards import Agency, WardFileError, bundled_ward, load_ward
from wards.agencies import WEEKDAYS, ClosedPeriod, Hours, Span
from wards.holidays import NationalHolidays, RecordedHolidays
from wards.load import read_ward
from wards.opening import (
    Standing,
    add_days,
    add_minutes,
    is_open_at,
    next_opening,
    standing,
    stays_open,
)
from wards.terms import Deadline

SAMPLE = Path(__file__).parents[1] / "ward_is_data" / "sample.toml"

# 国民の祝日に関する法律 (昭和23年法律第178号). Article 2 names the days; the equinoxes are those that the
# National Astronomical Observatory announces or computes (国立天文台 暦要項). Article 3(2): a holiday on
# a Sunday gives the next day that is none (振替休日). Article 3(3): a day between two holidays is one
# (国民の休日).
NAMED_BY_LAW = {
    2026: "01-01 01-12 02-11 02-23 03-20 04-29 05-03 05-04 05-05 07-20 08-11 09-21 09-23 10-12 11-03 11-23",
    2027: "01-01 01-11 02-11 02-23 03-21 04-29 05-03 05-04 05-05 07-19 08-11 09-20 09-23 10-11 11-03 11-23",
    2028: "01-01 01-10 02-11 02-23 03-20 04-29 05-03 05-04 05-05 07-17 08-11 09-18 09-22 10-09 11-03 11-23",
}  # fmt: skip
FOLLOWING_FROM_IT = {
    date(2026, 5, 6),  # 振替休日: 5/3 is a Sunday, 5/4 and 5/5 are holidays themselves
    date(2026, 9, 22),  # 国民の休日: between 敬老の日 and 秋分の日
    date(2027, 3, 22),  # 振替休日: 春分の日 is a Sunday
}
LAW = FOLLOWING_FROM_IT | {
    date.fromisoformat(f"{year}-{day}")
    for year, days in NAMED_BY_LAW.items()
    for day in days.split()
}
HOLIDAYS = RecordedHolidays(LAW, "the law")
NONE_AT_ALL = RecordedHolidays((), "none")


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=JAPAN)


def span(days: Sequence[str], opens: str, closes: str, **validity: date) -> Span:
    fields: dict[str, Any] = {"days": tuple(days), "open": opens, "close": closes, **validity}
    return Span(**fields)


def office(*week: Span, holidays: bool = False, closed: tuple[ClosedPeriod, ...] = ()) -> Hours:
    return Hours(week=week, holidays=holidays, closed=closed)


def agency(hours: Hours) -> Agency:
    return Agency(
        id="hub-motofuji",
        kind=AgencyKind.HUB,
        name="拠点",
        name_en="Hub",
        hours=hours,
        valid_from=date(2019, 4, 1),
    )


YEAR_END = ClosedPeriod(first="12-29", last="01-03")
HUB = office(span(WEEKDAYS[:5], "10:00", "17:30"), closed=(YEAR_END,))
HOSPITAL = office(span(WEEKDAYS, "00:00", "24:00"), holidays=True)
LUNCH = office(span(["mon", "wed"], "09:00", "12:00"), span(["mon", "wed"], "13:00", "17:00"))
NIGHT = office(
    span(["fri"], "20:00", "24:00"),
    span(["sat"], "00:00", "06:00"),
    span(["sun"], "00:00", "24:00"),
)


# The calendar


def test_every_day_of_three_years_is_a_holiday_exactly_if_the_law_says_so() -> None:
    calendar = NationalHolidays()
    first = date(2026, 1, 1)
    days = [first + timedelta(days=n) for n in range((date(2029, 1, 1) - first).days)]
    assert len(LAW) == 18 + 17 + 16
    assert {day for day in days if day in calendar} == LAW


def test_the_calendar_says_of_which_edition_it_is() -> None:
    name, edition, country = NationalHolidays().source.split()
    assert (name, country) == ("holidays", "JP")
    assert edition[0].isdigit()


# Minutes


@pytest.mark.parametrize("holidays", [NationalHolidays(), HOLIDAYS], ids=["package", "law"])
@pytest.mark.parametrize(
    ("start", "minutes", "until"),
    [
        pytest.param("2026-09-18 16:30", 120, "2026-09-24 11:00", id="the five days of September"),
        pytest.param("2026-12-28 17:00", 60, "2027-01-04 10:30", id="the turn of the year"),
        pytest.param("2026-05-01 17:00", 60, "2026-05-07 10:30", id="the golden week"),
        pytest.param("2026-11-20 17:29", 240, "2026-11-24 13:59", id="one minute before closing"),
        pytest.param("2027-03-19 17:00", 60, "2027-03-23 10:30", id="the equinox on a Sunday"),
        pytest.param("2026-11-18 11:00", 0, "2026-11-18 11:00", id="no time at all"),
        pytest.param("2026-11-18 08:00", 30, "2026-11-18 10:30", id="before opening"),
        pytest.param("2026-11-18 17:00", 30, "2026-11-19 10:00", id="ends at closing time"),
    ],
)
def test_minutes_run_only_while_the_hub_is_open(
    start: str, minutes: int, until: str, holidays: NationalHolidays | RecordedHolidays
) -> None:
    assert add_minutes(HUB, local(start), minutes, holidays) == local(until)


def test_the_hubs_of_bunkyo_keep_these_hours() -> None:
    hub = load_ward(bundled_ward()).agency("hub-motofuji")
    assert hub is not None
    until = add_minutes(hub.hours, local("2026-09-18 16:30"), 120, NationalHolidays())
    assert until == local("2026-09-24 11:00")
    assert until.tzinfo is UTC


def test_half_past_five_sharp_is_closed() -> None:
    assert is_open_at(HUB, local("2026-11-18 10:00"), HOLIDAYS)
    assert is_open_at(HUB, local("2026-11-18 17:29:59.999999"), HOLIDAYS)
    assert not is_open_at(HUB, local("2026-11-18 17:30"), HOLIDAYS)
    assert not is_open_at(HUB, local("2026-11-18 09:59:59"), HOLIDAYS)
    assert next_opening(HUB, local("2026-11-18 17:30"), HOLIDAYS) == local("2026-11-19 10:00")


@pytest.mark.parametrize(
    ("moment", "is_open", "until"),
    [
        pytest.param("2026-11-18 10:00", True, "2026-11-18 17:30", id="from the first instant"),
        pytest.param("2026-11-18 17:30", False, "2026-11-19 10:00", id="half past five sharp"),
        pytest.param("2026-11-20 20:00", False, "2026-11-24 10:00", id="before a long weekend"),
        pytest.param("2026-12-28 17:29", True, "2026-12-28 17:30", id="the last minute of a year"),
        pytest.param("2026-12-29 12:00", False, "2027-01-04 10:00", id="the turn of the year"),
        pytest.param("2026-09-21 12:00", False, "2026-09-24 10:00", id="three holidays on end"),
    ],
)
def test_people_are_told_whether_a_hub_is_open_and_until_when(
    moment: str, is_open: bool, until: str
) -> None:
    assert standing(HUB, local(moment), HOLIDAYS) == Standing(is_open, local(until))


def test_a_desk_that_never_closes_is_open_without_an_until() -> None:
    assert standing(HOSPITAL, local("2027-01-01 00:00"), HOLIDAYS) == Standing(True, None)


def test_a_night_desk_is_open_until_morning_and_not_until_midnight() -> None:
    assert standing(NIGHT, local("2026-11-20 23:59"), NONE_AT_ALL) == Standing(
        True, local("2026-11-21 06:00")
    )


def test_a_desk_on_its_last_day_closes_and_that_is_no_fault() -> None:
    last = office(span(["wed"], "10:00", "17:00", valid_to=date(2026, 11, 18)))
    closes = standing(last, local("2026-11-18 16:00"), HOLIDAYS)
    assert closes == Standing(True, local("2026-11-18 17:00"))


def test_opening_hours_are_those_of_japan_wherever_the_moment_was_written() -> None:
    assert is_open_at(HUB, datetime(2026, 11, 18, 1, 0, tzinfo=UTC), HOLIDAYS)
    assert not is_open_at(HUB, datetime(2026, 11, 18, 10, 0, tzinfo=UTC), HOLIDAYS)
    until = add_minutes(HUB, datetime(2026, 9, 18, 7, 30, tzinfo=UTC), 120, HOLIDAYS)
    assert until == datetime(2026, 9, 24, 2, 0, tzinfo=UTC)


def test_a_hospital_is_open_at_midnight_on_new_years_day_and_its_minutes_are_minutes() -> None:
    new_year = local("2027-01-01 00:00")
    assert is_open_at(HOSPITAL, new_year, HOLIDAYS)
    assert stays_open(HOSPITAL, new_year, new_year + timedelta(days=900), HOLIDAYS)
    for minutes in (0, 1, 1440, 1_600_000):
        until = add_minutes(HOSPITAL, new_year, minutes, HOLIDAYS)
        assert until == new_year + timedelta(minutes=minutes)
    assert add_days(HOSPITAL, new_year, 3, HOLIDAYS) == local("2027-01-04 00:00")


def test_nobody_is_there_at_lunch() -> None:
    assert add_minutes(LUNCH, local("2026-11-16 11:30"), 45, NONE_AT_ALL) == local(
        "2026-11-16 13:15"
    )
    assert add_minutes(LUNCH, local("2026-11-16 11:30"), 30, NONE_AT_ALL) == local(
        "2026-11-16 13:00"
    )
    assert add_minutes(LUNCH, local("2026-11-16 16:00"), 90, NONE_AT_ALL) == local(
        "2026-11-18 09:30"
    )
    assert stays_open(LUNCH, local("2026-11-16 10:00"), local("2026-11-16 11:59"), NONE_AT_ALL)
    assert not stays_open(LUNCH, local("2026-11-16 10:00"), local("2026-11-16 12:00"), NONE_AT_ALL)
    assert not stays_open(LUNCH, local("2026-11-16 10:00"), local("2026-11-16 14:00"), NONE_AT_ALL)


def test_a_night_desk_stays_open_over_midnight() -> None:
    late, early = local("2026-11-20 23:00"), local("2026-11-21 05:59")
    assert stays_open(NIGHT, late, early, NONE_AT_ALL)
    assert not stays_open(NIGHT, late, local("2026-11-21 06:00"), NONE_AT_ALL)
    assert add_minutes(NIGHT, late, 60, NONE_AT_ALL) == local("2026-11-21 00:00")
    assert add_minutes(NIGHT, late, 90, NONE_AT_ALL) == local("2026-11-21 00:30")
    assert not stays_open(NIGHT, local("2026-11-22 23:00"), local("2026-11-23 00:00"), NONE_AT_ALL)


def test_a_holiday_interrupts_a_desk_that_is_otherwise_always_open() -> None:
    desk = office(span(WEEKDAYS, "00:00", "24:00"))
    eve = local("2026-11-22 23:00")
    assert not stays_open(desk, eve, local("2026-11-23 00:00"), HOLIDAYS)
    assert stays_open(desk, eve, local("2026-11-23 00:00"), NONE_AT_ALL)
    assert add_minutes(desk, eve, 90, HOLIDAYS) == local("2026-11-24 00:30")


# Days


@pytest.mark.parametrize(
    ("hours", "start", "days", "until"),
    [
        pytest.param(HUB, "2026-11-18 11:20", 1, "2026-11-19 11:20", id="the next day"),
        pytest.param(HUB, "2026-09-18 16:30", 1, "2026-09-24 16:30", id="over five closed days"),
        pytest.param(HUB, "2026-12-25 11:00", 3, "2027-01-05 11:00", id="over the year's end"),
        pytest.param(HUB, "2026-11-20 17:30", 1, "2026-11-25 10:00", id="from the next opening"),
        pytest.param(HUB, "2026-11-19 09:00", 1, "2026-11-20 10:00", id="before opening"),
        pytest.param(HUB, "2026-11-18 17:30", 0, "2026-11-19 10:00", id="no day at all"),
        pytest.param(NIGHT, "2026-11-20 21:00", 1, "2026-11-22 00:00", id="closed at that time"),
        pytest.param(NIGHT, "2026-11-21 03:00", 1, "2026-11-22 03:00", id="at night"),
        pytest.param(LUNCH, "2026-11-16 10:00", 3, "2026-11-30 10:00", id="two days a week"),
        pytest.param(
            office(span(["mon"], "09:00", "17:00"), span(["tue"], "09:00", "12:00"),
                   span(["tue"], "13:00", "14:00")),
            "2026-11-16 12:15", 1, "2026-11-17 13:00", id="at lunch",
        ),
    ],
)  # fmt: skip
def test_days_are_counted_by_those_on_which_somebody_comes(
    hours: Hours, start: str, days: int, until: str
) -> None:
    assert add_days(hours, local(start), days, HOLIDAYS) == local(until)


# Hours that change


def test_hours_change_on_the_day_they_say_and_no_earlier() -> None:
    hours = office(
        span(["mon"], "10:00", "17:30", valid_to=date(2027, 3, 31)),
        span(["mon"], "09:00", "12:00", valid_from=date(2027, 4, 1)),
        closed=(ClosedPeriod(first="04-12", last="04-12", valid_from=date(2028, 1, 1)),),
    )
    assert add_minutes(hours, local("2027-03-29 17:00"), 60, NONE_AT_ALL) == local(
        "2027-04-05 09:30"
    )
    assert not is_open_at(hours, local("2027-04-05 12:00"), NONE_AT_ALL)
    assert is_open_at(hours, local("2027-04-12 09:00"), NONE_AT_ALL)
    # In 2032 the 12th of April is a Monday again.
    assert not is_open_at(hours, local("2032-04-12 09:00"), NONE_AT_ALL)
    bounded = span(
        ["mon"], "10:00", "12:00", valid_from=date(2027, 4, 5), valid_to=date(2027, 4, 12)
    )
    held = [day for day in range(1, 31) if bounded.holds_on(date(2027, 4, day))]
    assert held == list(range(5, 13))


def test_new_hours_may_follow_old_ones_at_the_same_time_of_day() -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    old = '{ days = ["mon"], open = "13:00", close = "24:00"'
    one_day = f"{old}, valid_to = 2027-01-04 }},\n{old}, valid_from = 2027-01-04"
    follow = f"{old}, valid_to = 2027-01-03 }},\n{old}, valid_from = 2027-01-04"
    read_ward(text.replace(old, follow), "follow.toml")
    with pytest.raises(WardFileError, match="overlap"):
        read_ward(text.replace(old, one_day), "overlap.toml")


@pytest.mark.parametrize(
    "hours",
    [
        office(),
        office(span(WEEKDAYS, "10:00", "17:30", valid_to=date(2026, 3, 31))),
        office(
            span(WEEKDAYS, "10:00", "17:30"), closed=(ClosedPeriod(first="01-01", last="12-31"),)
        ),
    ],
    ids=["no hours", "hours that ended", "closed all year"],
)
def test_where_nobody_ever_comes_the_search_ends_with_a_fault(hours: Hours) -> None:
    moment = local("2026-11-18 11:00")
    with pytest.raises(ValueError, match="two years"):
        next_opening(hours, moment, HOLIDAYS)
    with pytest.raises(ValueError, match="two years"):
        add_days(hours, moment, 1, HOLIDAYS)
    assert not is_open_at(hours, moment, HOLIDAYS)
    assert not stays_open(hours, moment, moment, HOLIDAYS)


def test_hours_until_the_end_of_the_calendar_do_not_end() -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    opens = 'open = "09:00", close = "17:00"'
    read_ward(text.replace(opens, f"{opens}, valid_to = 9999-12-31"), "for_ever.toml")
    with pytest.raises(WardFileError, match="not open on any day"):
        read_ward(text.replace(opens, f"{opens}, valid_to = 2030-12-31"), "ending.toml")


def test_a_moment_without_an_offset_and_a_negative_time_are_faults() -> None:
    naive = datetime.fromisoformat("2026-11-18 11:00")
    with pytest.raises(ValueError, match="offset"):
        add_minutes(HUB, naive, 1, HOLIDAYS)
    with pytest.raises(ValueError, match="offset"):
        due(Deadline(clock=ClockKind.WALL, days=1), "answer.urgent", naive, agency(HUB), HOLIDAYS)
    with pytest.raises(ValueError, match="backwards"):
        add_minutes(HUB, local("2026-11-18 11:00"), -1, HOLIDAYS)
    with pytest.raises(ValueError, match="backwards"):
        add_days(HUB, local("2026-11-18 11:00"), -1, HOLIDAYS)


# What is recorded


def test_a_wall_clock_runs_day_and_night_and_needs_no_calendar() -> None:
    start = local("2026-09-18 23:50")
    quarter = Deadline(clock=ClockKind.WALL, minutes=15)
    asked = due(quarter, "E01.acknowledge", start, agency(HUB), HOLIDAYS)
    assert asked.at == local("2026-09-19 00:05")
    assert (asked.rule, asked.clock, asked.minutes, asked.days) == (
        "E01.acknowledge",
        ClockKind.WALL,
        15,
        None,
    )
    assert (asked.hours_of, asked.holidays, asked.calendar) == (None, (), None)
    two_days = due(
        Deadline(clock=ClockKind.WALL, days=2), "E13.acknowledge", start, agency(HUB), HOLIDAYS
    )
    assert two_days.at == local("2026-09-20 23:50")
    assert recomputed(asked, start, HUB) == asked.at
    assert recomputed(two_days, start, HUB) == two_days.at


@pytest.mark.parametrize(
    ("hours", "start", "length", "passed_over"),
    [
        pytest.param(HUB, "2026-09-18 16:30", {"minutes": 120},
                     ["2026-09-21", "2026-09-22", "2026-09-23"], id="three in a row"),
        pytest.param(HUB, "2026-09-18 16:30", {"days": 1},
                     ["2026-09-21", "2026-09-22", "2026-09-23"], id="counted in days"),
        pytest.param(HUB, "2026-12-28 17:00", {"minutes": 60}, [],
                     id="New Year's Day lies within the days on which it is closed anyway"),
        pytest.param(HUB, "2026-05-01 17:00", {"minutes": 60},
                     ["2026-05-04", "2026-05-05", "2026-05-06"], id="not the one on a Sunday"),
        pytest.param(HUB, "2026-11-23 18:00", {"minutes": 60}, [], id="after hours on a holiday"),
        pytest.param(HUB, "2026-11-23 17:00", {"minutes": 60}, ["2026-11-23"], id="on a holiday"),
        pytest.param(HUB, "2026-11-20 10:00", {"minutes": 60}, [], id="none reached"),
        pytest.param(HOSPITAL, "2026-09-18 16:30", {"days": 7}, [], id="open on holidays"),
    ],
)  # fmt: skip
def test_a_deadline_records_exactly_the_holidays_it_passed_over(
    hours: Hours, start: str, length: dict[str, int], passed_over: list[str]
) -> None:
    deadline = Deadline(clock=ClockKind.BUSINESS, **length)
    asked = due(deadline, "answer.urgent", local(start), agency(hours), HOLIDAYS)
    assert [day.isoformat() for day in asked.holidays] == passed_over
    assert (asked.hours_of, asked.calendar) == ("hub-motofuji", "the law")
    assert (asked.minutes, asked.days) == (deadline.minutes, deadline.days)


def test_a_later_edition_of_the_calendar_moves_no_deadline_that_was_given() -> None:
    start = local("2026-09-18 16:30")
    urgent = Deadline(clock=ClockKind.BUSINESS, minutes=120)
    given_then = due(urgent, "answer.urgent", start, agency(HUB), HOLIDAYS)
    later = RecordedHolidays(LAW - {date(2026, 9, 22)} | {date(2026, 9, 24)}, "a later edition")
    assert due(urgent, "answer.urgent", start, agency(HUB), later).at == local("2026-09-22 11:00")
    on_disk = Due.model_validate_json(given_then.model_dump_json())
    assert recomputed(on_disk, start, HUB) == given_then.at == local("2026-09-24 11:00")


# Whatever the hours

half_hours = st.lists(st.integers(0, 48), unique=True, max_size=6).map(sorted)
# Any minute of 2026 to 2028.
moments = st.integers(0, 3 * 365 * 1440).map(
    lambda minute: local("2026-01-01 00:00") + timedelta(minutes=minute)
)
calendars = st.sampled_from(
    [HOLIDAYS, NONE_AT_ALL, RecordedHolidays({date(2026, 9, d) for d in range(1, 30)}, "a strike")]
)


def clock_time(half_hour: int) -> str:
    return f"{half_hour // 2:02}:{half_hour % 2 * 30:02}"


@st.composite
def weekly_hours(draw: st.DrawFn) -> Hours:
    """Any week: none to three openings a day, some of them meeting at midnight."""
    week = [
        span([weekday], clock_time(opens), clock_time(closes))
        for weekday in WEEKDAYS
        for opens, closes in zip(*[iter(draw(half_hours))] * 2, strict=False)
    ]
    week = week or [span(["wed"], "10:00", "17:30")]
    closed = draw(st.sampled_from([(), (YEAR_END,)]))
    return office(*week, holidays=draw(st.booleans()), closed=closed)


some_hours = st.sampled_from([HUB, HOSPITAL, LUNCH, NIGHT]) | weekly_hours()


@given(some_hours, moments, st.integers(0, 3000), st.integers(0, 3000), calendars)
def test_waiting_and_waiting_on_is_waiting_for_the_sum(
    hours: Hours, start: datetime, one: int, other: int, holidays: RecordedHolidays
) -> None:
    between = add_minutes(hours, start, one, holidays)
    assert add_minutes(hours, between, other, holidays) == add_minutes(
        hours, start, one + other, holidays
    )


@given(some_hours, moments, st.integers(0, 3000), st.integers(0, 9), calendars)
def test_a_deadline_lies_within_opening_hours_and_never_before_its_start(
    hours: Hours, start: datetime, minutes: int, days: int, holidays: RecordedHolidays
) -> None:
    for until in (
        next_opening(hours, start, holidays),
        add_minutes(hours, start, minutes, holidays),
        add_days(hours, start, days, holidays),
    ):
        assert is_open_at(hours, until, holidays)
        assert until >= start


@given(some_hours, moments, st.integers(0, 3000), st.integers(1, 3000), calendars)
def test_who_has_longer_has_until_later(
    hours: Hours, start: datetime, minutes: int, more: int, holidays: RecordedHolidays
) -> None:
    assert add_minutes(hours, start, minutes, holidays) < add_minutes(
        hours, start, minutes + more, holidays
    )


@given(some_hours, moments, st.integers(0, 200), calendars)
@example(NIGHT, local("2026-11-20 23:00"), 120, NONE_AT_ALL)
def test_as_many_open_minutes_pass_as_were_given(
    hours: Hours, start: datetime, minutes: int, holidays: RecordedHolidays
) -> None:
    """Counted one minute at a time; the first two days of the wait are enough to count."""
    until = min(add_minutes(hours, start, minutes, holidays), start + timedelta(days=2))
    counted = _open_minutes(hours, start, until, holidays)
    assert counted <= minutes
    if until < start + timedelta(days=2):
        assert counted == minutes


@given(some_hours, moments, st.integers(0, 2000), calendars)
@example(NIGHT, local("2026-11-20 23:00"), 120, NONE_AT_ALL)
def test_who_stays_is_there_every_minute(
    hours: Hours, start: datetime, minutes: int, holidays: RecordedHolidays
) -> None:
    until = start + timedelta(minutes=minutes)
    there = _open_minutes(hours, start, until + timedelta(minutes=1), holidays)
    assert stays_open(hours, start, until, holidays) == (there == minutes + 1)


def _open_minutes(
    hours: Hours, start: datetime, until: datetime, holidays: RecordedHolidays
) -> int:
    length = int((until - start).total_seconds()) // 60
    each = (start + timedelta(minutes=n) for n in range(length))
    return sum(is_open_at(hours, minute, holidays) for minute in each)


@given(some_hours, moments, st.integers(1, 3000), st.booleans(), calendars)
def test_what_was_recorded_is_enough_to_work_a_deadline_out_again(
    hours: Hours, start: datetime, length: int, by_day: bool, holidays: RecordedHolidays
) -> None:
    unit = {"days": length % 9 + 1} if by_day else {"minutes": length}
    deadline = Deadline(clock=ClockKind.BUSINESS, **unit)
    asked = due(deadline, "answer.routine", start, agency(hours), holidays)
    assert recomputed(asked, start, hours) == asked.at
    lost = {
        day
        for day in holidays.days
        for opening in hours.on(day, is_holiday=False)
        if not hours.holidays
        if start.date() <= day <= asked.at.astimezone(JAPAN).date()
        if local(f"{day} 00:00") + opening.close > start
    }
    assert set(asked.holidays) == lost
