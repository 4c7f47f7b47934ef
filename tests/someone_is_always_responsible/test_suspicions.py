"""A suspicion of abuse (閲覧制限): it opens nothing, hinders nothing that would tell of it, and whoever
must not know of it learns only what it must."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from schemas import commands as c
from schemas.base import JsonObject
from schemas.codes import WithdrawnBecause
from schemas.problems import ProblemCode
from services.referral import views
from services.referral.involvement import may_know_escalation, may_open
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

HOSPITAL = "sample-hospital"
WARD = "ward-office"
EVERYBODY = tuple(agency.id for agency in BUNKYO.agencies)


def openers(case: Case) -> set[str]:
    return {a for a in EVERYBODY if may_open(case.state, a, BUNKYO)}


def types(case: Case) -> list[str]:
    return [event.type for event in case.happened]


def taken_by_lien() -> Case:
    """HUB has the case; LIEN helps."""
    return a_referral().accepted_by(HUB).requested_from(LIEN).accepted_by(LIEN)


# -- it opens nothing ------------------------------------------------------------------------------


def asked_among_several() -> Case:
    return a_referral().accepted_by(HUB).requested_from(LIEN, HOSPITAL)


def declined() -> Case:
    return a_referral().accepted_by(HUB).requested_from(LIEN).declined_by(LIEN)


def expired() -> Case:
    case = a_referral(urgency="routine").accepted_by(HUB).requested_from(LIEN)
    return case.later(timedelta(days=7))


def withdrawn() -> Case:
    return a_referral().accepted_by(HUB).requested_from(LIEN).withdrawn_from(LIEN)


@pytest.mark.parametrize("told", [asked_among_several, declined, expired, withdrawn])
def test_whoever_could_not_open_the_case_cannot_by_raising_a_suspicion(
    told: Callable[[], Case],
) -> None:
    case = told()
    before = openers(case)
    assert LIEN not in before
    case.escalated_by(LIEN, "E03")
    assert LIEN not in openers(case)
    # It only narrows, but for the desk that was called.
    assert openers(case) <= before | {WARD}
    assert may_know_escalation(case.escalation("E03"), LIEN, BUNKYO)


def test_whoever_suspected_while_asked_among_several_opens_it_once_it_accepts() -> None:
    case = asked_among_several().escalated_by(LIEN, "E03").accepted_by(LIEN)
    assert openers(case) == {ANSHIN, HUB, LIEN, WARD, CORE}


def test_the_desk_that_a_suspicion_calls_may_open_the_case() -> None:
    case = a_referral()
    assert WARD not in openers(case)
    assert WARD in openers(case.escalated_by(ANSHIN, "E03"))


# -- closing ---------------------------------------------------------------------------------------


def closing(case: Case) -> tuple[list[str], JsonObject]:
    """What the custodian sees of its closing, ids and counts aside."""
    by = case.state.custodian
    case.closed()
    seen = views.referral_given(case.state, by, BUNKYO)
    for field in ("id", "number", "version"):
        del seen[field]
    for handoff in seen["handoffs"]:
        del handoff["id"]
    return types(case), seen


def test_a_case_is_closed_alike_with_and_without_a_suspicion_that_its_custodian_may_not_know_of() -> (
    None
):
    assert closing(taken_by_lien().escalated_by(LIEN, "E03")) == closing(taken_by_lien())


def test_a_suspicion_that_the_custodian_knows_of_hinders_its_closing() -> None:
    own = taken_by_lien().escalated_by(HUB, "E03")
    cores = taken_by_lien().escalated_by(LIEN, "E03").acknowledged_by(CORE, "E03")
    for case, custodian in ((own, HUB), (cores, CORE)):
        assert case.state.custodian == custodian
        refusal = case.no(custodian, c.CloseReferral(referral=case.id, outcome="got_help"))
        assert refusal.code is ProblemCode.ESCALATION_OPEN


def test_a_case_of_the_desk_that_is_called_is_not_closed_over_the_suspicion() -> None:
    case = a_referral().accepted_by(HUB).escalated_by(HUB, "E03").offered_to(WARD)
    assert case.escalation("E03").called == (WARD,)
    case.accepted_by(WARD)
    refusal = case.no(WARD, c.CloseReferral(referral=case.id, outcome="got_help"))
    assert refusal.code is ProblemCode.ESCALATION_OPEN


# -- the core centre takes the case ------------------------------------------------------------------


def test_whoever_had_the_case_hears_that_the_core_centre_took_it_and_not_why() -> None:
    case = taken_by_lien().escalated_by(LIEN, "E03").offered_to(STRANGER)
    case.acknowledged_by(CORE, "E03")
    assert types(case) == ["escalation_acknowledged", "custody_taken", "handoff_withdrawn"]
    acknowledged, taken, withdrawn = case.happened
    assert (acknowledged.custodian, acknowledged.advise_only) == (HUB, False)
    assert (taken.by, taken.custodian) == (CORE, CORE)
    assert withdrawn.because is WithdrawnBecause.TAKEN_BY_CORE
    assert case.state.custodian == CORE
    told = {x.event.type: set(x.concerns) for x in case.town.entries[-3:]}
    assert told["escalation_acknowledged"] == {LIEN, WARD, CORE}
    assert {HUB, ANSHIN, CORE, LIEN} <= told["custody_taken"]


@pytest.mark.parametrize("agency", [HUB, ANSHIN])
def test_the_history_tells_that_the_case_was_taken_and_nothing_of_the_suspicion(
    agency: str,
) -> None:
    case = taken_by_lien().escalated_by(LIEN, "E03").acknowledged_by(CORE, "E03")
    history = [
        entry.event.type
        for entry in case.town.entries
        if views.may_be_told(entry.event, case.state, agency, BUNKYO)
    ]
    assert history[-1] == "custody_taken"
    assert not [x for x in history if x.startswith("escalation")]
    given = views.referral_given(case.state, agency, BUNKYO)
    assert (given["custodian"], given["escalations"]) == (CORE, [])


def test_who_may_know_reads_the_acknowledgement_before_the_case_moves() -> None:
    case = taken_by_lien().escalated_by(LIEN, "E03").acknowledged_by(CORE, "E03")
    for agency in (LIEN, WARD, CORE, AUDITOR):
        history = [
            entry.event.type
            for entry in case.town.entries
            if views.may_be_told(entry.event, case.state, agency, BUNKYO)
        ]
        assert history[-3:] == ["escalation_raised", "escalation_acknowledged", "custody_taken"]


def test_where_the_core_centre_only_advises_or_has_the_case_nothing_is_taken() -> None:
    advised = taken_by_lien().escalated_by(LIEN, "E03")
    advised.acknowledged_by(CORE, "E03", advise_only=True)
    assert (types(advised), advised.state.custodian) == (["escalation_acknowledged"], HUB)
    kept = taken_by_lien().escalated_by(HUB, "E10").acknowledged_by(CORE, "E10")
    kept.escalated_by(LIEN, "E03").acknowledged_by(CORE, "E03")
    assert (types(kept), kept.state.custodian) == (["escalation_acknowledged"], CORE)


def test_the_desk_of_another_agency_takes_a_suspicion_and_not_the_case() -> None:
    case = taken_by_lien().escalated_by(LIEN, "E03").acknowledged_by(WARD, "E03")
    assert (types(case), case.state.custodian) == (["escalation_acknowledged"], HUB)
