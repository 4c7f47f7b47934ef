"""Taking a paper back, or closing, ends the calls that nobody has in hand, and no other: what goes on is
acknowledged, passed on and resolved as ever."""

from datetime import timedelta

import pytest

from schemas import commands as c
from schemas.codes import Disposition, EscalationState, Stage
from schemas.problems import ProblemCode
from tests.builders import ANSHIN, CORE, HUB, LIEN, Case, a_referral

HOSPITAL = "sample-hospital"
WARD = "ward-office"
DAY = timedelta(days=1)


def calls(case: Case) -> dict[str, tuple[EscalationState, Disposition | None]]:
    return {x.code: (x.state, x.disposition) for x in case.state.escalations}


def cancelled() -> Case:
    """One call was raised, one is in hand, and one is a suspicion of abuse."""
    case = a_referral().escalated_by(ANSHIN, "E01").escalated_by(ANSHIN, "E02")
    case.acknowledged_by(HOSPITAL, "E02").escalated_by(ANSHIN, "E03")
    return case.cancelled()


def closed() -> Case:
    """Its custodian may not know that abuse is suspected."""
    case = a_referral().accepted_by(HUB).requested_from(LIEN).accepted_by(LIEN)
    return case.escalated_by(LIEN, "E03").closed()


def test_cancelling_ends_what_was_raised_and_neither_what_is_in_hand_nor_a_suspicion() -> None:
    case = cancelled()
    assert case.state.stage is Stage.CANCELLED
    assert calls(case) == {
        "E01": (EscalationState.RESOLVED, Disposition.CANCELLED),
        "E02": (EscalationState.ACKNOWLEDGED, None),
        "E03": (EscalationState.RAISED, None),
    }
    running = {case.escalation(code).id for code in ("E02", "E03")}
    assert {clock.subject for clock in case.state.clocks} == running


def test_a_suspicion_in_hand_is_not_ended_by_cancelling_either() -> None:
    case = a_referral().escalated_by(ANSHIN, "E03").acknowledged_by(WARD, "E03").cancelled()
    assert calls(case) == {"E03": (EscalationState.ACKNOWLEDGED, None)}


def test_what_is_in_hand_when_the_case_ends_is_resolved_by_whoever_has_it() -> None:
    case = cancelled().resolved(Disposition.ADVISED, by=HOSPITAL, code="E02")
    assert calls(case)["E02"] == (EscalationState.RESOLVED, Disposition.ADVISED)
    assert case.state.stage is Stage.CANCELLED


@pytest.mark.parametrize("ended", [cancelled, closed])
def test_a_suspicion_goes_on_after_the_end(ended: object) -> None:
    case: Case = ended()
    stage, custodian = case.state.stage, case.state.custodian
    case.later(timedelta(minutes=30))
    call = case.escalation("E03")
    assert (call.level, call.desk, call.called) == (2, "core-on-call", (WARD, CORE))
    case.acknowledged_by(CORE, "E03")
    assert [x.type for x in case.happened] == ["escalation_acknowledged"]
    assert case.happened[0].advise_only is True
    case.resolved(Disposition.ADVISED, code="E03")
    assert calls(case)["E03"] == (EscalationState.RESOLVED, Disposition.ADVISED)
    assert (case.state.stage, case.state.custodian) == (stage, custodian)


def test_what_was_in_hand_and_is_forgotten_is_passed_on_after_the_end() -> None:
    case = cancelled().acknowledged_by(WARD, "E03").resolved(
        Disposition.ADVISED, by=WARD, code="E03"
    )  # fmt: skip
    case.later(DAY)
    call = case.escalation("E02")
    assert (call.state, call.desk) == (EscalationState.RAISED, "core-on-call")
    case.acknowledged_by(CORE, "E02").resolved(Disposition.ADVISED, code="E02")
    assert case.state.clocks == ()


@pytest.mark.parametrize("disposition", [Disposition.RETURNED, Disposition.REASSIGNED])
def test_nobody_is_asked_to_take_a_case_that_has_ended(disposition: Disposition) -> None:
    # The core centre took its own referral back, while it had a call in hand.
    case = a_referral(by=CORE).escalated_by(CORE, "E10").acknowledged_by(CORE, "E10").cancelled()
    assert case.state.custodian == CORE
    resolve = c.ResolveEscalation(
        escalation=case.escalation("E10").id, disposition=disposition, to=LIEN
    )
    assert case.no(CORE, resolve).code is ProblemCode.ALREADY_CLOSED
    case.resolved(Disposition.ADVISED, code="E10")
    assert not [h for h in case.state.handoffs if h.stands]


def test_who_advised_on_a_case_that_has_ended_hands_nothing_on() -> None:
    case = closed().later(timedelta(minutes=30)).acknowledged_by(CORE, "E03")
    resolve = c.ResolveEscalation(
        escalation=case.escalation("E03").id, disposition=Disposition.REASSIGNED, to=LIEN
    )
    assert case.no(CORE, resolve).code is ProblemCode.ALREADY_CLOSED


def test_nobody_raises_a_call_about_a_case_that_has_ended() -> None:
    call = c.RaiseEscalation(referral=(case := cancelled()).id, reason="E01")
    assert case.no(ANSHIN, call).code is ProblemCode.ALREADY_CLOSED


def test_the_core_centre_reopens_a_closed_case_in_which_abuse_is_suspected_and_takes_it() -> None:
    case = closed().acknowledged_by(CORE, "E03")
    assert (case.state.stage, case.state.custodian) == (Stage.CLOSED, HUB)
    case.asks(CORE, c.ReopenReferral(referral=case.id))
    assert (case.state.stage, case.state.custodian) == (Stage.IN_CARE, CORE)
    case.resolved(Disposition.KEPT, code="E03")


def test_nobody_else_reopens_it_and_not_the_core_centre_without_a_call() -> None:
    case = closed()
    reopen = c.ReopenReferral(referral=case.id)
    assert case.no(LIEN, reopen).code is ProblemCode.NOT_CUSTODIAN
    quiet = a_referral().accepted_by(HUB).closed()
    reopen = c.ReopenReferral(referral=quiet.id)
    assert quiet.no(CORE, reopen).code is ProblemCode.NOT_CUSTODIAN


def test_of_a_closed_case_a_suspicion_of_abuse_may_be_raised_and_nothing_else() -> None:
    case = a_referral().accepted_by(HUB).closed()
    other = c.RaiseEscalation(referral=case.id, reason="E01")
    assert case.no(ANSHIN, other).code is ProblemCode.ALREADY_CLOSED
    case.escalated_by(ANSHIN, "E03")
    assert case.escalation("E03").id in {clock.subject for clock in case.state.clocks}
