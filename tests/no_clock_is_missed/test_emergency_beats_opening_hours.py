"""An emergency does not wait for the hub to open; what can wait does."""

from datetime import date, datetime, timedelta

from schemas.outside import JAPAN
from tests.no_clock_is_missed.a_night import (
    CORE,
    DAY,
    HUB,
    Case,
    Night,
    after,
    is_working_day,
    minutes,
    moment_of,
)
from tests.partners import a_referral


def is_called_at_once(case: Case) -> None:
    """The hub is asked and has a quarter of an hour; the on-call desk is called in the same step, and
    has as long."""
    offered, raised = case.history()[-2:]
    assert (offered["data"]["receiver"], offered["data"]["due"]["clock"]) == (HUB, "wall")
    assert (offered["data"]["due"]["rule"], offered["data"]["due"]["minutes"]) == (
        "answer.emergency", 15,
    )  # fmt: skip
    handoff = case.handoff(HUB)
    assert handoff["state"] == "offered"
    assert moment_of(handoff["due_at"]) - moment_of(handoff["offered_at"]) == minutes(15)
    assert raised["time"] == offered["time"]
    case.has_called("E07", "core-on-call", minutes(15))
    assert case.call("E07")["handoff"] == handoff["id"]
    assert case.codes() == ["E07"]
    assert case.custodian == case.sender


def waits_until(case: Case, due: datetime) -> None:
    """The hub has until then, in its own hours, and nobody is called."""
    assert case.codes() == []
    (offered,) = case.history("handoff_offered")
    told = offered["data"]["due"]
    assert (told["rule"], told["clock"], told["hours_of"]) == ("answer.routine", "business", HUB)
    assert moment_of(case.handoff(HUB)["due_at"]) == moment_of(told["at"])
    assert timedelta(0) <= moment_of(told["at"]) - due < minutes(1)


def routine(night: Night) -> Case:
    return night.case(a_referral(), urgency="routine")


def emergency(night: Night) -> Case:
    return night.case(a_referral(), urgency="emergency")


def closes(*cases: Case) -> None:
    """The night is over."""
    for case in cases:
        for code in case.codes():
            if case.call(code)["state"] == "raised":
                case.acknowledged_by(CORE, code)
            case.resolved_by(CORE, code, "kept" if case.custodian == CORE else "advised")
        if case.handoff(HUB)["state"] == "offered":
            case.accepted_by(HUB)


def test_ten_minutes_before_the_hub_closes_an_emergency_calls_the_on_call_desk(
    night: Night,
) -> None:
    friday = night.comes("fri 17:20")
    urgent = emergency(night)
    is_called_at_once(urgent)
    other = routine(night)
    waits_until(other, after(friday, "mon 17:20"))
    # The hub's own silence is no second call: the core centre knows of this hand-off.
    urgent.nobody_answers("E07")
    assert urgent.handoff(HUB)["state"] == "expired"
    assert urgent.codes() == ["E07"]
    urgent.has_called("E07", "ward-night", minutes(15), level=2)
    assert other.codes() == []
    closes(urgent, other)


def test_while_the_hub_is_open_for_the_whole_quarter_of_an_hour_nobody_is_called(
    night: Night,
) -> None:
    night.comes("fri 17:10")
    case = emergency(night)
    assert case.codes() == []
    closes(case)


def test_on_a_sunday_an_emergency_calls_the_on_call_desk_and_the_rest_waits_for_monday(
    night: Night,
) -> None:
    sunday = night.comes("sun 14:00")
    urgent = emergency(night)
    is_called_at_once(urgent)
    other = routine(night)
    waits_until(other, after(sunday, "tue 10:00"))
    night.until(after(sunday, "tue 09:59"))
    assert (other.codes(), other.handoff(HUB)["state"]) == ([], "offered")
    night.until(after(sunday, "tue 10:00"))
    assert (other.codes(), other.handoff(HUB)["state"]) == (["E08"], "expired")
    closes(urgent, other)


def test_on_the_last_day_of_the_year_an_emergency_does_not_wait_for_the_new_year(
    night: Night,
) -> None:
    year = night.now().year
    night.until(datetime(year, 12, 31, 11, 0, tzinfo=JAPAN))
    urgent = emergency(night)
    is_called_at_once(urgent)
    other = routine(night)
    _, following = [
        day for day in (date(year + 1, 1, 4) + DAY * n for n in range(7)) if is_working_day(day)
    ][:2]
    waits_until(other, datetime(*following.timetuple()[:3], 10, 0, tzinfo=JAPAN))
    # 元日 lies within 年末年始: it is no holiday on which the hub would have been open.
    due = other.history("handoff_offered")[0]["data"]["due"]
    assert due.get("holidays", []) == []
    closes(urgent, other)


def test_a_routine_case_before_a_long_weekend_waits_over_the_holiday_and_says_which(
    night: Night,
) -> None:
    friday = night.comes_before_a_long_weekend("16:00")
    case = routine(night)
    waits_until(case, after(friday, "tue 16:00"))
    due = case.history("handoff_offered")[0]["data"]["due"]
    assert due["holidays"] == [(friday + 3 * DAY).date().isoformat()]
    closes(case)
