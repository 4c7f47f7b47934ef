"""What happens again is called again, and what is being called is not called twice."""

from datetime import timedelta

from schemas import commands as c
from schemas.codes import Disposition, EscalationState, SaidBy
from schemas.problems import ProblemCode
from tests.builders import ANSHIN, CORE, HUB, LIEN, STRANGER, Case, a_referral
from tests.someone_is_always_responsible.editions import a_town, at

HOSPITAL = "sample-hospital"
HOME = "sample-home"
WARD = "ward-office"
QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)


def silent() -> Case:
    """The hub did not answer, and the core centre was called."""
    case = a_referral().later(QUARTER)
    assert case.codes() == ["E08"]
    return case


# -- silence ---------------------------------------------------------------------------------------


def test_a_second_silence_calls_anew_where_the_core_centre_only_advised_on_the_first() -> None:
    case = silent().acknowledged_by(CORE, "E08", advise_only=True).offered_to(LIEN).later(QUARTER)
    assert case.codes() == ["E08", "E08"]
    assert case.escalation("E08").handoff == case.handoff(LIEN).id
    assert [x.state for x in case.state.escalations] == ["acknowledged", "raised"]


def test_a_second_silence_does_not_call_twice_while_nobody_has_answered_the_first() -> None:
    case = silent().offered_to(LIEN).later(QUARTER)
    assert case.handoff(LIEN).state == "expired"
    assert case.codes() == ["E08"]


def test_a_second_silence_does_not_call_the_core_centre_that_has_the_case() -> None:
    case = silent().acknowledged_by(CORE, "E08").requested_from(LIEN).later(QUARTER)
    assert (case.state.custodian, case.handoff(LIEN).state) == (CORE, "expired")
    assert case.codes() == ["E08"]


def closed_hub() -> Case:
    """An emergency at night."""
    case = a_referral(town=a_town(at(18)))
    assert case.codes() == ["E07"]
    return case


def test_the_silence_of_a_closed_hub_calls_anew_where_the_core_centre_only_advised() -> None:
    case = closed_hub().acknowledged_by(CORE, "E07", advise_only=True).later(QUARTER)
    assert case.codes() == ["E07", "E08"]


def test_the_silence_of_a_closed_hub_is_called_once_while_that_call_waits() -> None:
    assert closed_hub().later(QUARTER).codes() == ["E07"]


def test_one_silence_about_a_case_of_the_core_centre_is_one_call_that_nobody_takes_it() -> None:
    case = a_referral().accepted_by(HUB).escalated_by(HUB, "E10").acknowledged_by(CORE)
    case.resolved(Disposition.KEPT).offered_to(LIEN).later(QUARTER)
    assert [x.event.type for x in case.town.entries[-2:]] == [
        "handoff_expired",
        "escalation_raised",
    ]
    assert case.codes() == ["E10", "E13"]
    assert case.escalation("E13").handoff == case.handoff(LIEN).id


def test_silence_about_a_request_of_the_core_centre_is_silence() -> None:
    case = a_referral().accepted_by(HUB).escalated_by(HUB, "E10").acknowledged_by(CORE)
    case.resolved(Disposition.KEPT).requested_from(LIEN).later(QUARTER)
    assert case.codes() == ["E10", "E08"]


# -- forgotten -------------------------------------------------------------------------------------


def test_a_call_that_was_acknowledged_and_forgotten_is_raised_again_and_nobodys() -> None:
    case = a_referral().accepted_by(HUB).escalated_by(HUB, "E02").acknowledged_by(HOSPITAL)
    case.later(DAY)
    call = case.escalation("E02")
    assert call.state is EscalationState.RAISED
    assert (call.acknowledged_by, call.acknowledged_at) == (None, None)
    resolve = c.ResolveEscalation(escalation=call.id, disposition=Disposition.ADVISED)
    assert case.no(HOSPITAL, resolve).code is ProblemCode.NOT_INVOLVED
    assert case.no(CORE, resolve).code is ProblemCode.NOT_ACKNOWLEDGED
    case.acknowledged_by(CORE, "E02")
    assert case.state.custodian == CORE
    assert case.escalation("E02").acknowledged_by == CORE


def test_whoever_forgot_a_call_may_take_it_again() -> None:
    case = a_referral().accepted_by(HUB).escalated_by(HUB, "E02").acknowledged_by(HOSPITAL)
    case.later(DAY).acknowledged_by(HOSPITAL).resolved(Disposition.ADVISED, by=HOSPITAL)
    assert case.escalation("E02").disposition is Disposition.ADVISED


def test_the_desk_that_is_called_after_the_core_centre_forgot_may_take_the_call() -> None:
    case = a_referral().accepted_by(HUB).escalated_by(HUB, "E01").later(QUARTER)
    case.acknowledged_by(CORE, advise_only=True)
    acknowledge = c.AcknowledgeEscalation(escalation=case.escalation().id)
    assert case.no(WARD, acknowledge).code is ProblemCode.NOT_INVOLVED
    case.later(DAY)
    call = case.escalation()
    assert (call.state, call.desk) == (EscalationState.RAISED, "ward-night")
    case.asks(WARD, acknowledge)
    assert (case.escalation().acknowledged_by, case.state.custodian) == (WARD, HUB)
    case.resolved(Disposition.ADVISED, by=WARD)


def test_a_call_that_is_raised_again_has_as_long_as_any_later_desk() -> None:
    case = a_referral().accepted_by(HUB).escalated_by(HUB, "E01").acknowledged_by(CORE)
    case.later(DAY)
    assert case.escalation().due_at == case.town.clock.now() + timedelta(minutes=45)


# -- passed round ----------------------------------------------------------------------------------


def passed_round() -> Case:
    """Refused by two."""
    case = a_referral(urgency="routine").declined_by(HUB).offered_to(LIEN).declined_by(LIEN)
    assert case.codes() == ["E09"]
    return case.later(QUARTER)


def test_what_the_core_centre_hands_on_itself_is_no_passing_round() -> None:
    case = passed_round().acknowledged_by(CORE, "E09")
    case.resolved(Disposition.REASSIGNED, STRANGER, code="E09").accepted_by(STRANGER)
    assert (case.state.custodian, case.codes()) == (STRANGER, ["E09"])


def test_who_refuses_what_the_core_centre_offered_passes_nothing_round() -> None:
    case = a_referral(urgency="routine").declined_by(HUB)
    case.offered_to(LIEN, by=CORE).declined_by(LIEN)
    assert case.codes() == []
    case.offered_to(HOME).declined_by(HOME)
    assert case.codes() == ["E09"]


def test_passing_round_is_counted_anew_since_the_core_centre_had_it_in_hand() -> None:
    case = passed_round().acknowledged_by(CORE, "E09")
    case.resolved(Disposition.REASSIGNED, STRANGER, code="E09").accepted_by(STRANGER)
    case.later(QUARTER).offered_to(HOME).declined_by(HOME)
    assert case.codes() == ["E09"]
    case.offered_to(HOSPITAL).declined_by(HOSPITAL)
    assert case.codes() == ["E09", "E09"]


def test_passing_round_that_was_only_advised_on_is_counted_anew_too() -> None:
    case = passed_round().acknowledged_by(CORE, "E09", advise_only=True)
    case.resolved(Disposition.ADVISED, code="E09").later(QUARTER)
    case.offered_to(HOME).declined_by(HOME)
    assert case.codes() == ["E09"]


# -- by hand ---------------------------------------------------------------------------------------


def test_who_called_already_does_not_call_again_for_the_same_reason() -> None:
    case = a_referral().accepted_by(HUB).escalated_by(HUB, "E01")
    again = c.RaiseEscalation(referral=case.id, reason="E01")
    refusal = case.no(HUB, again)
    assert (refusal.code, refusal.status) == (ProblemCode.ESCALATION_OPEN, 409)
    case.acknowledged_by(CORE, advise_only=True)
    assert case.no(HUB, again).code is ProblemCode.ESCALATION_OPEN
    # For another reason it does, and so does somebody else for this one.
    case.escalated_by(HUB, "E10").escalated_by(ANSHIN, "E01")
    assert case.codes() == ["E01", "E10", "E01"]


def test_who_called_calls_again_when_that_call_is_over() -> None:
    case = a_referral().accepted_by(HUB).escalated_by(HUB, "E01")
    case.acknowledged_by(CORE, advise_only=True).resolved(Disposition.ADVISED)
    case.escalated_by(HUB, "E01")
    assert case.codes() == ["E01", "E01"]


# -- emergencies and the count of refusals -----------------------------------------------------------


def test_the_silence_after_the_core_centre_handed_an_emergency_on_waits_for_no_opening_hours() -> (
    None
):
    case = silent().acknowledged_by(CORE, "E08")
    case.resolved(Disposition.REASSIGNED, STRANGER, code="E08").later(QUARTER)
    assert case.codes() == ["E08", "E13"]
    assert case.escalation("E13").due_at == case.town.clock.now() + QUARTER


def test_an_emergency_that_is_passed_round_waits_for_no_opening_hours() -> None:
    case = a_referral().declined_by(HUB).offered_to(STRANGER).declined_by(STRANGER)
    due = case.escalation("E09").due_at
    assert due == case.town.clock.now() + timedelta(minutes=30)


def test_advice_on_another_call_does_not_forget_a_refusal() -> None:
    case = a_referral(household="with_ageing_parents", topics=("not_seen", "housing", "loneliness"))
    case.declined_by(HUB).acknowledged_by(CORE, "E10", advise_only=True)
    case.later(timedelta(minutes=1)).offered_to(STRANGER).declined_by(STRANGER)
    assert case.codes() == ["E10", "E09"]


def test_one_agency_that_refuses_twice_is_not_two_agencies_running() -> None:
    case = a_referral().accepted_by(HUB)
    case.requested_from(LIEN).declined_by(LIEN).requested_from(LIEN).declined_by(LIEN)
    assert case.codes() == []
    case.requested_from(HOSPITAL).declined_by(HOSPITAL)
    assert case.codes() == ["E04"]


def test_the_persons_own_no_is_not_a_lack_of_beds() -> None:
    case = a_referral(urgency="routine", function="experience", requested_action=None)
    case.accepted_by(HUB).requested_from()
    no = c.DeclineHandoff(
        handoff=case.handoff(HOME).id, said_by=SaidBy.PERSON, reason="person_declined"
    )
    assert case.asks(HOME, no).codes() == []
