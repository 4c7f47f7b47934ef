"""Which desk is called: one where somebody is, and where those whose case it is do not sit, as long as
there is one; never a step back."""

from datetime import timedelta

from tests.builders import ANSHIN, CORE, HUB, Case, a_referral
from tests.someone_is_always_responsible.editions import a_town, at, calling

WARD = "ward-office"
QUARTER = timedelta(minutes=15)
HOUR = timedelta(hours=1)


def called(case: Case, code: str | None = None) -> tuple[int, str | None]:
    call = case.escalation(code)
    return call.level, call.desk


def of_the_ward_office(case: Case) -> Case:
    return case.offered_to(WARD).accepted_by(WARD)


# -- somebody is there -----------------------------------------------------------------------------


def test_a_desk_that_is_open_is_preferred_to_an_earlier_one_that_is_not() -> None:
    by_day = a_referral(town=a_town(at(12))).escalated_by(ANSHIN, "E01")
    by_night = a_referral(town=a_town(at(20))).escalated_by(ANSHIN, "E01")
    assert called(by_day) == (1, "core-desk")
    assert called(by_night, "E01") == (2, "core-on-call")


def test_at_night_the_desk_that_is_there_is_called_again_and_not_the_next_that_is_closed() -> None:
    ward = calling("core-on-call", "core-desk")
    case = a_referral(town=a_town(at(20), ward)).accepted_by(HUB).escalated_by(HUB, "E01")
    assert called(case, "E01") == (1, "core-on-call")
    for _ in range(3):
        case.later(HOUR)
        assert called(case, "E01") == (1, "core-on-call")
        assert case.escalation("E01").due_at > case.town.clock.now()


def test_a_call_never_goes_a_level_back() -> None:
    ward = calling("core-on-call", "core-desk")
    case = a_referral(town=a_town(at(14), ward)).accepted_by(HUB).escalated_by(HUB, "E01")
    assert called(case) == (1, "core-on-call")
    assert called(case.later(QUARTER)) == (2, "core-desk")
    # In the evening only the first is there.
    case.later(4 * HOUR)
    assert called(case) == (2, "core-on-call")
    assert case.escalation().called == (CORE,)


# -- their own desk --------------------------------------------------------------------------------


def test_a_case_of_the_ward_office_is_not_called_to_its_own_desks() -> None:
    case = of_the_ward_office(a_referral(town=a_town(at(12))))
    assert called(case.escalated_by(ANSHIN, "E03"), "E03") == (2, "core-on-call")
    # Nor when nobody answers: the next would be its own again.
    assert called(case.later(timedelta(minutes=30)), "E03") == (2, "core-on-call")
    assert WARD not in case.escalation("E03").called


def test_their_own_desk_is_called_when_nobody_else_is_there() -> None:
    ward = calling("core-desk", "ward-night")
    by_day = of_the_ward_office(a_referral(town=a_town(at(12), ward))).escalated_by(ANSHIN, "E01")
    assert called(by_day) == (1, "core-desk")
    by_night = of_the_ward_office(a_referral(town=a_town(at(20), ward))).escalated_by(WARD, "E01")
    assert called(by_night, "E01") == (2, "ward-night")


def test_their_own_desk_that_is_open_is_preferred_to_another_that_is_closed() -> None:
    ward = calling("ward-night", "core-desk")
    case = of_the_ward_office(a_referral(town=a_town(at(20), ward))).escalated_by(ANSHIN, "E01")
    assert called(case, "E01") == (1, "ward-night")


def test_when_the_open_desk_becomes_their_own_the_call_does_not_fall_back_to_a_closed_one() -> None:
    ward = calling("core-desk", "ward-night")
    case = a_referral(town=a_town(at(20), ward)).escalated_by(ANSHIN, "E01")
    assert called(case, "E01") == (2, "ward-night")
    of_the_ward_office(case).later(QUARTER)
    assert called(case, "E01") == (2, "ward-night")


def test_in_opening_hours_no_desk_need_be_open_for_a_clock_that_waits_for_them() -> None:
    case = a_referral(urgency="routine", town=a_town(at(20))).escalated_by(ANSHIN, "E10")
    assert called(case) == (1, "core-desk")
