"""Calls to the core centre and hand-offs meet: who may take back, what a taker leaves standing, and
that what has expired is over."""

from datetime import timedelta

import pytest

from schemas import commands as c
from schemas.codes import Disposition, HandoffState, SaidBy, Stage, WithdrawnBecause
from schemas.problems import ProblemCode
from tests.builders import ANSHIN, CORE, HUB, LIEN, STRANGER, Case, a_referral, a_strike

HOME = "sample-home"
HOSPITAL = "sample-hospital"
A_QUARTER = timedelta(minutes=15)


def states(case: Case) -> dict[str, HandoffState]:
    return {h.receiver: h.state for h in case.state.handoffs}


def types(case: Case) -> list[str]:
    return [event.type for event in case.happened]


# -- taking back ---------------------------------------------------------------------------------


def test_the_core_centre_takes_back_what_an_earlier_custodian_asked_for() -> None:
    case = a_referral().accepted_by(HUB).requested_from(LIEN)
    case.escalated_by(HUB, "E10").acknowledged_by(CORE)
    assert (case.state.custodian, states(case)[LIEN]) == (CORE, HandoffState.OFFERED)
    withdraw = c.WithdrawHandoff(handoff=case.handoff(LIEN).id)
    for agency in (ANSHIN, LIEN, STRANGER):
        assert case.no(agency, withdraw).code is ProblemCode.NOT_INVOLVED
    case.asks(CORE, withdraw)
    (gone,) = case.happened
    assert (gone.by, gone.because) == (CORE, WithdrawnBecause.BY_SENDER)
    answer = c.AcceptHandoff(handoff=withdraw.handoff)
    assert case.no(LIEN, answer).code is ProblemCode.NOT_OFFERED


def test_who_asked_takes_its_request_back_though_the_core_centre_has_the_case() -> None:
    case = a_referral().accepted_by(HUB).requested_from(LIEN)
    case.escalated_by(HUB, "E10").acknowledged_by(CORE).withdrawn_from(LIEN)
    assert states(case)[LIEN] is HandoffState.WITHDRAWN
    assert case.happened[0].by == HUB


def test_a_later_custodian_that_is_not_the_core_centre_takes_back_only_its_own() -> None:
    case = a_referral().accepted_by(HUB).requested_from(LIEN)
    case.offered_to(STRANGER).accepted_by(STRANGER)
    withdraw = c.WithdrawHandoff(handoff=case.handoff(LIEN).id)
    assert case.no(STRANGER, withdraw).code is ProblemCode.NOT_INVOLVED


# -- taking the case in hand ---------------------------------------------------------------------


def test_the_core_centre_takes_the_case_and_asks_anew_but_a_bed_stays_asked_for() -> None:
    case = a_referral().offered_to(HOME).requested_from(LIEN).escalated_by(ANSHIN, "E01")
    case.acknowledged_by(CORE)
    assert types(case) == ["escalation_acknowledged", "handoff_withdrawn", "handoff_withdrawn"]
    assert {x.because for x in case.happened[1:]} == {WithdrawnBecause.TAKEN_BY_CORE}
    assert states(case) == {
        HUB: HandoffState.WITHDRAWN,
        HOME: HandoffState.WITHDRAWN,
        LIEN: HandoffState.OFFERED,
    }
    assert (case.state.stage, case.state.custodian) == (Stage.IN_CARE, CORE)
    accept = c.AcceptHandoff(handoff=case.handoff(HUB).id)
    assert case.no(HUB, accept).code is ProblemCode.NOT_OFFERED
    case.accepted_by(LIEN)
    assert case.state.custodian == CORE


def test_who_only_advises_leaves_the_case_and_what_was_asked_as_they_were() -> None:
    case = a_referral().requested_from(LIEN).escalated_by(ANSHIN, "E01")
    case.acknowledged_by(CORE, advise_only=True)
    assert types(case) == ["escalation_acknowledged"]
    assert (case.state.stage, case.state.custodian) == (Stage.OFFERED, ANSHIN)
    assert case.accepted_by(HUB).state.custodian == HUB


def test_a_desk_of_another_agency_takes_the_call_and_not_the_case() -> None:
    case = a_referral().escalated_by(ANSHIN, "E02").acknowledged_by(HOSPITAL)
    assert types(case) == ["escalation_acknowledged"]
    assert case.happened[0].advise_only is True
    assert (case.state.stage, case.state.custodian) == (Stage.OFFERED, ANSHIN)


def test_the_core_centre_that_has_the_case_already_keeps_what_it_asked() -> None:
    case = a_referral().escalated_by(ANSHIN, "E01").acknowledged_by(CORE)
    case.offered_to(HOME).escalated_by(CORE, "E10").acknowledged_by(CORE, "E10")
    assert types(case) == ["escalation_acknowledged"]
    assert states(case)[HOME] is HandoffState.OFFERED


def test_between_accepting_and_taking_the_order_decides() -> None:
    first = a_referral().escalated_by(ANSHIN, "E01").accepted_by(HUB)
    assert first.acknowledged_by(CORE).state.custodian == CORE
    assert states(first) == {HUB: HandoffState.ACCEPTED}
    second = a_referral().escalated_by(ANSHIN, "E01").acknowledged_by(CORE)
    accept = c.AcceptHandoff(handoff=second.handoff(HUB).id)
    assert second.no(HUB, accept).code is ProblemCode.NOT_OFFERED
    assert second.state.custodian == CORE


def test_a_call_is_taken_once_by_who_was_called() -> None:
    case = a_referral().escalated_by(ANSHIN, "E02")
    acknowledge = c.AcknowledgeEscalation(escalation=case.escalation().id)
    for agency in (ANSHIN, HUB, STRANGER):
        assert case.no(agency, acknowledge).code is ProblemCode.NOT_INVOLVED
    case.asks(HOSPITAL, acknowledge)
    for agency in (HOSPITAL, CORE):
        assert case.no(agency, acknowledge).code is ProblemCode.ALREADY_ANSWERED


# -- handing it on -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("disposition", "to", "receiver"),
    [
        (Disposition.RETURNED, None, HUB),
        (Disposition.RETURNED, ANSHIN, ANSHIN),
        (Disposition.REASSIGNED, STRANGER, STRANGER),
    ],
)
def test_the_core_centre_is_responsible_until_whom_it_hands_the_case_to_accepts(
    disposition: Disposition, to: str | None, receiver: str
) -> None:
    case = a_referral().accepted_by(HUB).escalated_by(HUB, "E10").acknowledged_by(CORE)
    case.resolved(disposition, to)
    assert types(case) == ["escalation_resolved", "handoff_offered"]
    assert (case.state.stage, case.state.custodian) == (Stage.OFFERED, CORE)
    assert case.handoff(receiver).sender == CORE
    case.accepted_by(receiver)
    assert (case.state.stage, case.state.custodian) == (Stage.IN_CARE, receiver)


def test_what_the_core_centre_hands_on_and_nobody_takes_stays_with_it_and_is_called_again() -> None:
    case = a_referral(urgency="routine").accepted_by(HUB).escalated_by(HUB, "E10")
    case.acknowledged_by(CORE).resolved(Disposition.REASSIGNED, STRANGER).declined_by(STRANGER)
    assert (case.state.custodian, case.codes()) == (CORE, ["E10", "E13"])
    assert case.escalation("E13").handoff == case.handoff(STRANGER).id


def test_the_core_centre_that_has_the_case_does_not_merely_advise_and_others_do_not_keep_it() -> (
    None
):
    case = a_referral().escalated_by(ANSHIN, "E01")
    call = case.escalation().id
    advised = c.ResolveEscalation(escalation=call, disposition=Disposition.ADVISED)
    kept = c.ResolveEscalation(escalation=call, disposition=Disposition.KEPT)
    assert case.no(CORE, kept).code is ProblemCode.NOT_ACKNOWLEDGED
    case.acknowledged_by(CORE)
    assert case.no(CORE, advised).code is ProblemCode.INVALID_REQUEST
    case.asks(CORE, kept)
    assert case.no(CORE, kept).code is ProblemCode.ALREADY_ANSWERED
    other = a_referral().escalated_by(ANSHIN, "E01").acknowledged_by(CORE, advise_only=True)
    for disposition in (Disposition.KEPT, Disposition.RETURNED, Disposition.REASSIGNED):
        resolve = c.ResolveEscalation(
            escalation=other.escalation().id, disposition=disposition, to=STRANGER
        )
        assert other.no(CORE, resolve).code is ProblemCode.INVALID_REQUEST


# -- what has expired is over --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["transfer", "request"])
def test_nobody_answers_or_takes_back_what_has_expired(kind: str) -> None:
    case = a_referral() if kind == "transfer" else a_referral(to_agency=LIEN)
    receiver = HUB
    if kind == "request":
        receiver = HOME
        case.accepted_by(LIEN).requested_from(HOME)
    case.later(A_QUARTER)
    handoff = case.handoff(receiver)
    assert handoff.state is HandoffState.EXPIRED
    custodian = case.state.custodian
    for action in (
        c.AcceptHandoff(handoff=handoff.id),
        c.DeclineHandoff(handoff=handoff.id, said_by=SaidBy.AGENCY, reason="no_capacity"),
    ):
        assert case.no(receiver, action).code is ProblemCode.NOT_OFFERED
    for agency in (handoff.sender, CORE):
        withdraw = c.WithdrawHandoff(handoff=handoff.id)
        assert case.no(agency, withdraw).code is ProblemCode.NOT_OFFERED
    assert case.state.custodian == custodian


def test_one_instant_before_its_clock_runs_out_an_offer_is_accepted() -> None:
    case = a_referral().later(A_QUARTER - timedelta(microseconds=1)).accepted_by(HUB)
    assert (case.state.custodian, case.state.clocks) == (HUB, ())


def test_a_clock_that_was_stopped_strikes_nothing_and_one_that_runs_strikes_once() -> None:
    case = a_referral()
    (clock,) = case.state.clocks
    early = case.town.ask(a_strike(case.state, clock))
    assert early == []
    case.accepted_by(HUB)
    case.town.clock.move(A_QUARTER)
    assert case.town.ask(a_strike(case.state, clock)) == []
    silent = a_referral()
    (clock,) = silent.state.clocks
    silent.town.clock.move(A_QUARTER)
    assert silent.town.ask(a_strike(silent.state, clock)) != []
    assert silent.town.ask(a_strike(silent.state, clock)) == []
    assert states(silent) == {HUB: HandoffState.EXPIRED}


def test_who_stayed_silent_may_be_asked_again_and_takes_it_then() -> None:
    case = a_referral().later(A_QUARTER).offered_to(HUB).accepted_by(HUB)
    assert [h.state for h in case.state.handoffs] == ["expired", "accepted"]
    assert case.state.custodian == HUB


def test_only_the_network_strikes_clocks() -> None:
    case = a_referral()
    (clock,) = case.state.clocks
    case.town.clock.move(A_QUARTER)
    strike = a_strike(case.state, clock).action
    for agency in (ANSHIN, HUB, CORE, STRANGER):
        assert case.no(agency, strike).code is ProblemCode.NOT_INVOLVED
