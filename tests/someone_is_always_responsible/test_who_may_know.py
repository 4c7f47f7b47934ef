"""Who is told about whom, and from when: asked among several, or once abuse is suspected."""

from datetime import timedelta

import pytest

from schemas.codes import HandoffKind
from schemas.commands import OfferHandoff
from services.referral import views
from services.referral.involvement import (
    concerned,
    involved,
    may_know_escalation,
    may_open,
    may_open_address,
    may_see,
)
from tests.builders import (
    ANSHIN,
    AUDITOR,
    BUNKYO,
    CORE,
    HUB,
    LIEN,
    STRANGER,
    Case,
    a_referral,
)

HOME = "sample-home"
HOSPITAL = "sample-hospital"
WARD = "ward-office"
EVERYBODY = tuple(agency.id for agency in BUNKYO.agencies)


def openers(case: Case) -> set[str]:
    """Who may open the personal data."""
    return {a for a in EVERYBODY if may_open(case.state, a, BUNKYO)}


def codes_seen(case: Case, agency: str) -> list[str]:
    """The calls that an agency reads of in the case."""
    given = views.referral_given(case.state, agency, BUNKYO)
    return [x["code"] for x in given["escalations"]]


def codes_in_history(case: Case, agency: str) -> list[str]:
    return [
        entry.event.code
        for entry in case.town.entries
        if entry.event.type == "escalation_raised"
        and views.may_be_told(entry.event, case.state, agency, BUNKYO)
    ]


def told_of(case: Case, event_type: str) -> list[set[str]]:
    """Whose inboxes each event of a type comes to."""
    return [set(x.concerns) for x in case.town.entries if x.event.type == event_type]


def from_the_list(case: Case, function: str, by: str) -> Case:
    """A request that names nobody."""
    action = OfferHandoff(referral=case.id, kind=HandoffKind.REQUEST, function=function)
    return case.asks(by, action)


# -- about whom, before accepting ----------------------------------------------------------------


def test_whoever_alone_is_asked_learns_about_whom_at_once() -> None:
    case = a_referral().requested_from(LIEN)
    assert case.handoff(LIEN).withheld is False
    assert {HUB, LIEN} <= openers(case)


def test_whoever_is_asked_among_several_learns_about_whom_when_it_accepts() -> None:
    case = a_referral().accepted_by(HUB).requested_from(LIEN, HOSPITAL)
    assert [case.handoff(a).withheld for a in (LIEN, HOSPITAL)] == [True, True]
    for asked in (LIEN, HOSPITAL):
        assert may_see(case.state, asked, BUNKYO)
        assert not may_open(case.state, asked, BUNKYO)
        assert not may_open_address(case.state, asked, BUNKYO)
    case.accepted_by(LIEN)
    assert openers(case) == {ANSHIN, HUB, LIEN, CORE}
    case.completed_by(LIEN)
    assert LIEN in openers(case)


def test_the_view_says_that_it_is_withheld() -> None:
    case = a_referral().accepted_by(HUB).requested_from(LIEN, HOSPITAL).requested_from(HOME)
    given = views.referral_given(case.state, LIEN, BUNKYO)["handoffs"]
    withheld = {h["to"]: h.get("withheld") for h in given}
    assert withheld == {HUB: None, LIEN: True, HOSPITAL: True, HOME: None}


def test_to_be_asked_for_the_case_itself_is_to_be_told_about_whom() -> None:
    case = a_referral().offered_to(LIEN, HOME)
    assert {LIEN, HOME} <= openers(case)


def test_the_wards_list_is_asked_at_once_or_in_turn_and_told_nothing_before() -> None:
    case = from_the_list(a_referral().accepted_by(HUB), "emergency", HUB)
    assert {h.receiver for h in case.state.handoffs if h.withheld} == {LIEN, HOSPITAL}
    assert openers(case) == {ANSHIN, HUB, CORE}
    alone = from_the_list(a_referral(urgency="routine").accepted_by(HUB), "experience", HUB)
    assert alone.handoff(HOME).withheld is True
    assert not may_open(alone.state, HOME, BUNKYO)
    alone.accepted_by(HOME)
    assert may_open(alone.state, HOME, BUNKYO)


@pytest.mark.parametrize("how", ["declined", "expired", "withdrawn", "accepted elsewhere"])
def test_whoever_was_asked_and_does_not_help_never_learns_about_whom(how: str) -> None:
    case = a_referral().accepted_by(HUB).requested_from(LIEN, HOSPITAL)
    match how:
        case "declined":
            case.declined_by(LIEN)
        case "expired":
            case.later(timedelta(minutes=15))
        case "withdrawn":
            case.withdrawn_from(LIEN)
        case _:
            case.accepted_by(HOSPITAL)
    assert not case.handoff(LIEN).stands
    assert may_see(case.state, LIEN, BUNKYO)
    assert not may_open(case.state, LIEN, BUNKYO)


def test_who_asked_first_alone_and_then_among_several_knows_already() -> None:
    case = a_referral().accepted_by(HUB).requested_from(LIEN).accepted_by(LIEN)
    case.requested_from(LIEN, HOSPITAL)
    assert case.handoff(LIEN).withheld is True
    assert may_open(case.state, LIEN, BUNKYO)


# -- once abuse is suspected ---------------------------------------------------------------------


def suspected(by: str = HUB) -> Case:
    """HUB has the case and LIEN a part in it; HOSPITAL was asked; then abuse is suspected."""
    case = a_referral().accepted_by(HUB).requested_from(LIEN).accepted_by(LIEN)
    return case.requested_from(HOSPITAL).escalated_by(by, "E03")


def test_a_suspicion_calls_the_abuse_centre_and_no_desk_of_the_core_centre_first() -> None:
    call = suspected().escalation("E03")
    assert (call.restricted, call.desk, call.called) == (True, "abuse-centre", (WARD,))


def test_only_who_must_know_opens_a_case_once_abuse_is_suspected() -> None:
    before = a_referral().accepted_by(HUB).requested_from(LIEN).accepted_by(LIEN)
    assert LIEN in openers(before)
    case = suspected()
    # Sender and custodian, who called, the desk that was called, and the core centre.
    assert openers(case) == {ANSHIN, HUB, WARD, CORE}
    assert openers(suspected(by=LIEN)) == {ANSHIN, HUB, LIEN, WARD, CORE}
    for still_sees in (LIEN, HOSPITAL, AUDITOR):
        assert may_see(case.state, still_sees, BUNKYO)


def test_the_case_stays_closed_to_the_others_when_the_suspicion_was_resolved() -> None:
    case = suspected().acknowledged_by(WARD, "E03").resolved("advised", by=WARD, code="E03")
    assert openers(case) == {ANSHIN, HUB, WARD, CORE}
    assert WARD not in involved(case.state)


def test_each_desk_that_is_called_in_turn_may_open_it() -> None:
    case = suspected()
    assert CORE not in case.escalation("E03").called
    case.later(timedelta(minutes=30))
    assert case.escalation("E03").called == (WARD, CORE)
    assert openers(case) == {ANSHIN, HUB, WARD, CORE}


def test_whoever_takes_the_case_later_may_open_it_and_hears_nothing_of_the_suspicion() -> None:
    case = suspected(by=LIEN).offered_to(STRANGER)
    assert not may_open(case.state, STRANGER, BUNKYO)
    case.accepted_by(STRANGER)
    assert openers(case) == {ANSHIN, STRANGER, LIEN, WARD, CORE}
    assert "E03" not in codes_seen(case, STRANGER)


def test_a_suspicion_is_known_to_who_called_who_was_called_core_and_auditors() -> None:
    case = suspected(by=LIEN)
    call = case.escalation("E03")
    knowing = {LIEN, WARD, CORE, AUDITOR}
    assert {a for a in EVERYBODY if may_know_escalation(call, a, BUNKYO)} == knowing
    for agency in (*knowing, ANSHIN, HUB, HOSPITAL):
        expected = ["E03"] if agency in knowing else []
        assert codes_seen(case, agency) == expected, agency
        assert codes_in_history(case, agency) == expected, agency


def test_nobodys_inbox_brings_a_suspicion_but_theirs_who_may_know() -> None:
    case = suspected(by=LIEN).acknowledged_by(WARD, "E03")
    case.resolved("advised", by=WARD, code="E03")
    for event_type in ("escalation_raised", "escalation_acknowledged", "escalation_resolved"):
        assert told_of(case, event_type) == [{LIEN, WARD, CORE}], event_type
    case = suspected(by=LIEN).later(timedelta(minutes=30))
    passed_on = [x for x in case.town.entries if x.event.type == "escalation_passed_on"]
    assert [x.concerns for x in passed_on] == [(CORE, LIEN, WARD)]


def test_another_call_of_the_same_case_is_told_as_ever() -> None:
    case = suspected(by=LIEN).escalated_by(HUB, "E10")
    assert codes_seen(case, ANSHIN) == ["E10"]
    assert {ANSHIN, HUB, LIEN, CORE} <= told_of(case, "escalation_raised")[-1]


# -- desks that were called ----------------------------------------------------------------------


def test_a_desk_that_was_called_has_a_part_in_the_case_until_the_call_is_over() -> None:
    case = a_referral().accepted_by(HUB).escalated_by(HUB, "E02")
    assert case.escalation("E02").called == (HOSPITAL,)
    assert HOSPITAL in involved(case.state)
    assert may_open(case.state, HOSPITAL, BUNKYO)
    case.acknowledged_by(HOSPITAL, "E02").resolved("advised", by=HOSPITAL, code="E02")
    assert case.state.custodian == HUB
    assert HOSPITAL not in involved(case.state)
    assert may_see(case.state, HOSPITAL, BUNKYO)
    assert not may_open(case.state, HOSPITAL, BUNKYO)
    last = case.town.entries[-1]
    assert HOSPITAL in last.concerns == concerned(case.state, last.event, BUNKYO)
    case.closed()
    assert HOSPITAL not in case.town.entries[-1].concerns
