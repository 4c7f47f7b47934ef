"""The rules of api.md, one by one: who may do what, and what "no" is called."""

from datetime import UTC, datetime, timedelta

import pytest

from schemas import commands as c
from schemas.codes import (
    Basis,
    Disposition,
    HandoffKind,
    HandoffState,
    SaidBy,
    Stage,
    WithdrawnBecause,
)
from schemas.problems import ProblemCode, Refusal
from tests.builders import (
    ANSHIN,
    AUDITOR,
    BLOCK,
    BUNKYO,
    CORE,
    HUB,
    LIEN,
    STRANGER,
    Case,
    Town,
    a_command,
    a_referral,
    a_submission,
    an_id,
    between,
    settled_in,
    words,
)


def pointers(refusal: Refusal) -> list[str]:
    return [error.pointer for error in refusal.errors]


def states(case: Case) -> dict[str, HandoffState]:
    return {h.receiver: h.state for h in case.state.handoffs}


def offer(case: Case, *to: str, kind: HandoffKind = HandoffKind.TRANSFER) -> c.OfferHandoff:
    return c.OfferHandoff(referral=case.id, to=to, kind=kind)


def accept(case: Case, receiver: str) -> c.AcceptHandoff:
    return c.AcceptHandoff(handoff=case.handoff(receiver).id)


# -- submitting ----------------------------------------------------------------------------------


def test_the_sender_is_custodian_until_the_hub_of_the_district_accepts() -> None:
    case = a_referral(finding=settled_in("motofuji"))
    assert (case.state.stage, case.state.custodian) == (Stage.OFFERED, ANSHIN)
    assert states(case) == {HUB: HandoffState.OFFERED}
    case.accepted_by(HUB)
    assert (case.state.stage, case.state.custodian) == (Stage.IN_CARE, HUB)


@pytest.mark.parametrize("district", [d.id for d in BUNKYO.districts])
def test_each_district_has_its_hub_asked(district: str) -> None:
    case = a_referral(by="ward-office", finding=settled_in(district))
    assert case.state.handoffs[0].receiver == f"hub-{district}"
    assert (case.state.district.id, case.state.district.basis) == (district, Basis.WHOLE)


def test_a_hub_that_submits_for_its_own_district_asks_nobody_and_cares_itself() -> None:
    case = a_referral(by=HUB)
    assert case.state.handoffs == ()
    assert (case.state.stage, case.state.custodian) == (Stage.IN_CARE, HUB)


def test_before_a_hub_has_opened_the_core_centre_is_asked() -> None:
    town = Town()
    town.clock.move(datetime(2021, 3, 31, 14, 59, tzinfo=UTC) - town.clock.now())
    assert a_referral(town=town, finding=settled_in("tomisaka")).state.handoffs[0].receiver == CORE
    town.clock.move(timedelta(minutes=1))  # midnight in Japan: its first day
    case = a_referral(town=town, finding=settled_in("tomisaka"))
    assert case.state.handoffs[0].receiver == "hub-tomisaka"


def test_an_agency_that_is_named_is_asked_wherever_the_address_lies() -> None:
    case = a_referral(to_agency=LIEN, finding=settled_in("komagome"))
    assert states(case) == {LIEN: HandoffState.OFFERED}
    assert case.state.district.id == "komagome"


def test_an_agency_that_is_named_is_asked_though_the_district_is_undecided() -> None:
    case = a_referral(to_agency=LIEN, finding=between("otsuka", "tomisaka"))
    assert (states(case), case.state.district) == ({LIEN: HandoffState.OFFERED}, None)


def test_a_district_that_is_named_without_an_address_is_stated() -> None:
    case = a_referral(to_district="otsuka", finding=None)
    assert (case.state.district.basis, case.state.district.id) == (Basis.STATED, "otsuka")
    assert states(case) == {"hub-otsuka": HandoffState.OFFERED}


def test_without_an_address_and_without_a_name_every_district_is_possible() -> None:
    case = a_referral(finding=None)
    assert case.state.stage is Stage.AWAITING_RULING
    assert set(case.state.district.candidates) == {d.id for d in BUNKYO.districts}


@pytest.mark.parametrize(
    ("fields", "code", "expected"),
    [
        ({"function": "teleport"}, ProblemCode.INVALID_REQUEST, ["/function"]),
        ({"requested_action": "x"}, ProblemCode.INVALID_REQUEST, ["/requested_action"]),
        ({"topics": ("housing", "x")}, ProblemCode.INVALID_REQUEST, ["/topics/1"]),
        ({"consent_basis": "X9"}, ProblemCode.INVALID_REQUEST, ["/consent/basis"]),
        (
            {"function": "x", "consent_basis": "x"},
            ProblemCode.INVALID_REQUEST,
            ["/function", "/consent/basis"],
        ),
        ({"to_agency": "nobody-at-all"}, ProblemCode.UNKNOWN_AGENCY, ["/to/agency"]),
        ({"to_agency": AUDITOR}, ProblemCode.UNKNOWN_AGENCY, ["/to/agency"]),
        ({"to_district": "atlantis"}, ProblemCode.INVALID_REQUEST, ["/to/district"]),
        ({"to_district": "otsuka"}, ProblemCode.INVALID_REQUEST, ["/to/district"]),
        ({"finding": settled_in("atlantis")}, ProblemCode.INVALID_REQUEST, ["/address"]),
        ({"finding": between("atlantis", "otsuka")}, ProblemCode.INVALID_REQUEST, ["/address"]),
        ({"finding": between()}, ProblemCode.INVALID_REQUEST, ["/address"]),
        (
            {"finding": between("otsuka", "tomisaka"), "to_district": "komagome"},
            ProblemCode.INVALID_REQUEST,
            ["/to/district"],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_submission_is_said_with_its_place(
    fields: dict[str, object], code: ProblemCode, expected: list[str]
) -> None:
    town = Town()
    refusal = town.ask(a_command(a_submission(**fields)))
    assert isinstance(refusal, Refusal)
    assert (refusal.code, pointers(refusal)) == (code, expected)
    assert town.entries == []


@pytest.mark.parametrize("agency", ["nobody-at-all", AUDITOR])
def test_only_agencies_of_the_network_that_act_may_submit(agency: str) -> None:
    assert Town().ask(a_command(a_submission(), agency)) == Refusal(ProblemCode.NOT_INVOLVED)


def test_an_agency_that_is_not_on_the_network_yet_may_neither_act_nor_be_asked() -> None:
    town = Town()
    town.clock.move(datetime(2020, 6, 1, tzinfo=UTC) - town.clock.now())
    refusal = town.ask(a_command(a_submission(), "hub-otsuka"))
    assert refusal == Refusal(ProblemCode.NOT_INVOLVED)
    case = a_referral(town=town)
    assert case.no(ANSHIN, offer(case, "hub-otsuka")).code is ProblemCode.UNKNOWN_AGENCY


def test_an_id_that_is_taken_is_not_submitted_again() -> None:
    case = a_referral()
    refusal = case.no("ward-office", a_submission(referral=case.id))
    assert refusal.code is ProblemCode.IDEMPOTENCY_KEY_REUSED


def test_numbers_are_counted_by_year_in_japan() -> None:
    town = Town()
    town.clock.move(datetime(2026, 12, 31, 14, 59, 59, tzinfo=UTC) - town.clock.now())
    numbers = [a_referral(town=town).state.number for _ in range(2)]
    town.clock.move(timedelta(seconds=1))
    numbers.append(a_referral(town=town).state.number)
    assert numbers == ["131059-2026-000001", "131059-2026-000002", "131059-2027-000001"]


# -- offering ------------------------------------------------------------------------------------


def test_custodian_and_core_centre_may_offer_and_nobody_else() -> None:
    case = a_referral().offered_to(LIEN).offered_to("sample-home", by=CORE)
    assert case.no(HUB, offer(case, "ward-office")).code is ProblemCode.NOT_CUSTODIAN
    assert case.no(STRANGER, offer(case, "ward-office")).code is ProblemCode.NOT_INVOLVED
    case.accepted_by(LIEN)
    assert case.no(ANSHIN, offer(case, "ward-office")).code is ProblemCode.NOT_CUSTODIAN


def test_what_is_wrong_with_an_offer_is_said_with_the_receivers_place() -> None:
    case = a_referral()
    unknown = case.no(ANSHIN, offer(case, LIEN, LIEN, "nobody-at-all"))
    assert (unknown.code, pointers(unknown)) == (ProblemCode.UNKNOWN_AGENCY, ["/to/2"])
    assert case.no(ANSHIN, offer(case, AUDITOR)).code is ProblemCode.UNKNOWN_AGENCY
    for receiver in (ANSHIN, HUB):  # custodian already; asked already
        refusal = case.no(ANSHIN, offer(case, LIEN, receiver))
        assert (refusal.code, pointers(refusal)) == (ProblemCode.INVALID_REQUEST, ["/to/1"])
    foreign = offer(case, LIEN).model_copy(update={"function": "teleport"})
    assert pointers(case.no(ANSHIN, foreign)) == ["/function"]


def test_the_same_receiver_twice_is_asked_once() -> None:
    case = a_referral().offered_to(LIEN, "sample-home", LIEN)
    assert [h.receiver for h in case.state.handoffs] == [HUB, LIEN, "sample-home"]


def test_an_agency_that_declined_may_be_asked_again() -> None:
    case = a_referral().declined_by(HUB).offered_to(HUB).accepted_by(HUB)
    assert [h.state for h in case.state.handoffs] == ["declined", "accepted"]


def test_nobody_passes_a_case_on_while_its_district_is_undecided_but_a_bed_may_be_asked_for() -> (
    None
):
    case = a_referral(finding=between("otsuka", "tomisaka"))
    for agency in (ANSHIN, CORE):
        assert case.no(agency, offer(case, LIEN)).code is ProblemCode.AWAITING_RULING
    case.requested_from(LIEN).accepted_by(LIEN)
    assert (case.state.stage, case.state.custodian) == (Stage.AWAITING_RULING, ANSHIN)


# -- answering -----------------------------------------------------------------------------------


def test_the_first_acceptance_wins_and_the_others_are_withdrawn_in_the_same_step() -> None:
    case = a_referral().offered_to(LIEN, "sample-home").offered_to("ward-office", by=CORE)
    case.accepted_by("sample-home")
    assert [x.type for x in case.happened] == ["handoff_accepted"] + ["handoff_withdrawn"] * 3
    assert {x.because for x in case.happened[1:]} == {WithdrawnBecause.ACCEPTED_ELSEWHERE}
    assert (case.state.stage, case.state.custodian) == (Stage.IN_CARE, "sample-home")
    for late in (HUB, LIEN, "ward-office"):
        assert case.no(late, accept(case, late)).code is ProblemCode.NOT_OFFERED


def test_custody_stays_where_it_is_when_a_request_is_accepted() -> None:
    case = a_referral().accepted_by(HUB).requested_from(LIEN, "sample-hospital").accepted_by(LIEN)
    assert (case.state.stage, case.state.custodian) == (Stage.IN_CARE, HUB)
    assert states(case)["sample-hospital"] is HandoffState.WITHDRAWN


def test_a_bed_that_is_found_does_not_end_the_search_for_a_custodian() -> None:
    case = a_referral().requested_from(LIEN).requested_from("sample-hospital").accepted_by(LIEN)
    assert states(case) == {
        HUB: HandoffState.OFFERED,
        LIEN: HandoffState.ACCEPTED,
        "sample-hospital": HandoffState.OFFERED,
    }


def test_only_the_receiver_answers_and_only_once() -> None:
    case = a_referral()
    decline = c.DeclineHandoff(
        handoff=case.handoff(HUB).id, said_by=SaidBy.PERSON, reason="person_declined"
    )
    for agency in (ANSHIN, CORE, STRANGER, AUDITOR):
        assert case.no(agency, accept(case, HUB)).code is ProblemCode.NOT_INVOLVED
        assert case.no(agency, decline).code is ProblemCode.NOT_INVOLVED
    foreign = decline.model_copy(update={"reason": "bored"})
    assert pointers(case.no(HUB, foreign)) == ["/reason"]
    case.asks(HUB, decline)
    handoff = case.handoff(HUB)
    assert (handoff.said_by, handoff.reason) == (SaidBy.PERSON, "person_declined")
    for again in (decline, accept(case, HUB)):
        assert case.no(HUB, again).code is ProblemCode.ALREADY_ANSWERED
    assert (case.state.stage, case.state.custodian) == (Stage.IN_CARE, ANSHIN)


def test_only_the_asker_takes_an_offer_back_and_only_while_it_stands() -> None:
    case = a_referral().offered_to(LIEN, by=CORE)
    withdraw = c.WithdrawHandoff(handoff=case.handoff(LIEN).id)
    for agency in (ANSHIN, LIEN, STRANGER):
        assert case.no(agency, withdraw).code is ProblemCode.NOT_INVOLVED
    case.withdrawn_from(LIEN)
    assert case.no(LIEN, accept(case, LIEN)).code is ProblemCode.NOT_OFFERED
    assert case.no(CORE, withdraw).code is ProblemCode.NOT_OFFERED
    case.declined_by(HUB)
    answered = c.WithdrawHandoff(handoff=case.handoff(HUB).id)
    assert case.no(ANSHIN, answered).code is ProblemCode.ALREADY_ANSWERED


def test_whoever_took_a_request_reports_how_it_went_once() -> None:
    case = a_referral().accepted_by(HUB).requested_from(LIEN)
    complete = c.CompleteHandoff(handoff=case.handoff(LIEN).id, outcome="got_help")
    assert case.no(LIEN, complete).code is ProblemCode.NOT_OFFERED
    case.accepted_by(LIEN)
    assert case.no(HUB, complete).code is ProblemCode.NOT_INVOLVED
    foreign = complete.model_copy(update={"outcome": "bliss"})
    assert pointers(case.no(LIEN, foreign)) == ["/outcome"]
    case.asks(LIEN, complete)
    assert (case.handoff(LIEN).state, case.handoff(LIEN).outcome) == ("completed", "got_help")
    assert case.no(LIEN, complete).code is ProblemCode.ALREADY_ANSWERED
    transfer = c.CompleteHandoff(handoff=case.handoff(HUB).id, outcome="got_help")
    assert case.no(HUB, transfer).code is ProblemCode.INVALID_REQUEST


def test_who_declined_has_no_part_any_more_but_learns_nothing_new_by_asking() -> None:
    case = a_referral().declined_by(HUB)
    assert case.no(HUB, c.AddNote(referral=case.id)).code is ProblemCode.NOT_CUSTODIAN


# -- ruling --------------------------------------------------------------------------------------


def test_the_core_centre_rules_among_the_candidates_and_nobody_else_does() -> None:
    case = a_referral(finding=between("otsuka", "tomisaka"))
    rule = c.RuleDistrict(referral=case.state.number, district="tomisaka")
    assert case.no(ANSHIN, rule).code is ProblemCode.NOT_INVOLVED
    refusal = case.no(CORE, rule.model_copy(update={"district": "motofuji"}))
    assert (refusal.code, pointers(refusal)) == (ProblemCode.INVALID_REQUEST, ["/district"])
    case.asks(CORE, rule)
    assert (case.state.district.id, case.state.district.basis) == ("tomisaka", Basis.RULED)
    assert (case.state.stage, case.state.custodian) == (Stage.OFFERED, ANSHIN)
    assert case.handoff("hub-tomisaka").sender == ANSHIN
    assert case.no(CORE, rule).code is ProblemCode.NOT_AWAITING_RULING


def test_a_district_that_was_found_is_not_ruled() -> None:
    case = a_referral()
    rule = c.RuleDistrict(referral=case.id, district="motofuji")
    assert case.no(CORE, rule).code is ProblemCode.NOT_AWAITING_RULING


def test_the_hub_that_already_cares_is_not_asked_by_the_ruling() -> None:
    case = a_referral(by="hub-tomisaka", finding=between("otsuka", "tomisaka")).ruled("tomisaka")
    assert (case.state.handoffs, case.state.stage) == ((), Stage.IN_CARE)


def test_a_ruling_that_is_remembered_settles_the_next_address_in_that_block() -> None:
    town = Town()
    finding = between("otsuka", "tomisaka")
    a_referral(town=town, finding=finding).ruled("otsuka", remember=True)
    ruling = next(x.id for x in town.entries if x.event.type == "district_ruled")
    case = a_referral(town=town, finding=finding)
    assert (case.state.district.id, case.state.district.basis) == ("otsuka", Basis.RULED)
    assert states(case) == {"hub-otsuka": HandoffState.OFFERED}
    assert case.happened[1].ruling == ruling
    elsewhere = a_referral(town=town, finding=between("otsuka", "tomisaka", block="0c" * 32))
    assert elsewhere.state.stage is Stage.AWAITING_RULING


def test_a_ruling_that_is_not_to_be_remembered_settles_one_case_only() -> None:
    town = Town()
    finding = between("otsuka", "tomisaka", block=BLOCK)
    a_referral(town=town, finding=finding).ruled("otsuka")
    assert a_referral(town=town, finding=finding).state.stage is Stage.AWAITING_RULING


def test_an_address_without_a_block_leaves_nothing_to_remember() -> None:
    town = Town()
    finding = between("otsuka", "tomisaka", block=None)
    case = a_referral(town=town, finding=finding).ruled("otsuka", remember=True)
    (ruled,) = (x for x in case.happened if x.type == "district_ruled")
    assert ruled.remember is False
    assert town.rulings == {}


def test_a_remembered_ruling_that_is_no_candidate_is_not_followed() -> None:
    town = Town()
    a_referral(town=town, finding=between("otsuka", "tomisaka")).ruled("otsuka", remember=True)
    case = a_referral(town=town, finding=between("komagome", "tomisaka"))
    assert case.state.stage is Stage.AWAITING_RULING


# -- notes, escalations, the end -----------------------------------------------------------------


def test_only_the_custodian_writes_notes() -> None:
    case = a_referral()
    note = c.AddNote(referral=case.id, sealed=(words("様子を見に行きました"),))
    case.asks(ANSHIN, note)
    assert [x.commitment for x in case.happened[0].sealed] == [note.sealed[0].commitment]
    for agency in (HUB, CORE):
        assert case.no(agency, note).code is ProblemCode.NOT_CUSTODIAN


def test_anyone_with_a_part_may_call_the_core_centre_with_a_reason_of_the_ward() -> None:
    case = a_referral()
    call = c.RaiseEscalation(referral=case.id, reason="E01")
    case.asks(HUB, call).asks(ANSHIN, call).asks(CORE, call)
    assert [x.raised_by for x in case.state.escalations] == [HUB, ANSHIN, CORE]
    assert case.no(STRANGER, call).code is ProblemCode.NOT_INVOLVED
    assert pointers(case.no(HUB, call.model_copy(update={"reason": "E99"}))) == ["/reason"]


def test_closing_is_the_custodians_and_ends_what_stands() -> None:
    case = a_referral().requested_from(LIEN)
    close = c.CloseReferral(referral=case.id, outcome="moved_away")
    for agency in (HUB, CORE):
        assert case.no(agency, close).code is ProblemCode.NOT_CUSTODIAN
    assert pointers(case.no(ANSHIN, close.model_copy(update={"outcome": "x"}))) == ["/outcome"]
    case.asks(ANSHIN, close)
    assert (case.state.stage, case.state.outcome) == (Stage.CLOSED, "moved_away")
    assert {x.because for x in case.happened[:-1]} == {WithdrawnBecause.CLOSED}
    assert case.no(HUB, accept(case, HUB)).code is ProblemCode.NOT_OFFERED
    for action in (
        close,
        offer(case, "sample-home"),
        c.RaiseEscalation(referral=case.id, reason="E01"),
        c.CancelReferral(referral=case.id),
    ):
        assert case.no(ANSHIN, action).code is ProblemCode.ALREADY_CLOSED


def test_a_closed_case_is_reopened_by_its_custodian_and_a_cancelled_one_never() -> None:
    case = a_referral().accepted_by(HUB)
    reopen = c.ReopenReferral(referral=case.id)
    assert case.no(HUB, reopen).code is ProblemCode.INVALID_REQUEST
    case.closed()
    assert case.no(ANSHIN, reopen).code is ProblemCode.NOT_CUSTODIAN
    case.reopened()
    assert (case.state.stage, case.state.outcome) == (Stage.IN_CARE, None)
    gone = a_referral().cancelled()
    refusal = gone.no(ANSHIN, c.ReopenReferral(referral=gone.id))
    assert refusal.code is ProblemCode.INVALID_REQUEST


def test_a_case_is_not_closed_while_its_ruling_is_awaited_or_any_call_is_open() -> None:
    case = a_referral(finding=between("otsuka", "tomisaka"))
    close = c.CloseReferral(referral=case.id, outcome="got_help")
    assert case.no(ANSHIN, close).code is ProblemCode.ESCALATION_OPEN
    case.acknowledged_by(advise_only=True)
    assert case.no(ANSHIN, close).code is ProblemCode.ESCALATION_OPEN
    resolve = c.ResolveEscalation(escalation=case.escalation().id, disposition=Disposition.ADVISED)
    assert case.no(CORE, resolve).code is ProblemCode.AWAITING_RULING
    case.ruled("otsuka").escalated_by(ANSHIN, "E10")
    assert case.no(ANSHIN, close).code is ProblemCode.ESCALATION_OPEN
    case.acknowledged_by(advise_only=True).resolved(Disposition.ADVISED).asks(ANSHIN, close)
    rule = c.RuleDistrict(referral=case.id, district="tomisaka")
    assert case.no(CORE, rule).code is ProblemCode.ALREADY_CLOSED


def test_an_undecided_case_may_be_cancelled_and_nobody_need_come() -> None:
    case = a_referral(finding=between("otsuka", "tomisaka")).cancelled()
    assert case.escalation("E06").disposition is Disposition.CANCELLED
    assert case.state.clocks == ()
    rule = c.RuleDistrict(referral=case.id, district="otsuka")
    assert case.no(CORE, rule).code is ProblemCode.ALREADY_CLOSED


def test_the_sender_may_cancel_before_anybody_accepted() -> None:
    case = a_referral()
    cancel = c.CancelReferral(referral=case.id)
    for agency in (HUB, CORE, STRANGER):
        assert case.no(agency, cancel).code is ProblemCode.NOT_INVOLVED
    case.asks(ANSHIN, cancel)
    assert case.state.stage is Stage.CANCELLED
    assert case.no(HUB, accept(case, HUB)).code is ProblemCode.NOT_OFFERED
    assert case.no(ANSHIN, cancel).code is ProblemCode.ALREADY_CLOSED


def test_between_cancelling_and_accepting_the_order_decides() -> None:
    accepted = a_referral().accepted_by(HUB)
    cancel = c.CancelReferral(referral=accepted.id)
    assert accepted.no(ANSHIN, cancel).code is ProblemCode.ALREADY_ANSWERED
    cancelled = a_referral().cancelled()
    assert cancelled.no(HUB, accept(cancelled, HUB)).code is ProblemCode.NOT_OFFERED


def test_a_case_that_came_back_to_its_sender_was_accepted_all_the_same() -> None:
    case = a_referral().accepted_by(HUB).offered_to(ANSHIN).accepted_by(ANSHIN)
    assert case.state.custodian == ANSHIN
    cancel = c.CancelReferral(referral=case.id)
    assert case.no(ANSHIN, cancel).code is ProblemCode.ALREADY_ANSWERED


@pytest.mark.parametrize("agency", [ANSHIN, CORE, STRANGER, AUDITOR, "nobody-at-all"])
def test_what_does_not_exist_concerns_nobody(agency: str) -> None:
    nothing = an_id("no such thing")
    for action in (
        c.OfferHandoff(referral=nothing, to=(LIEN,), kind=HandoffKind.TRANSFER),
        c.AcceptHandoff(handoff=nothing),
        c.RuleDistrict(referral="131059-2026-000001", district="otsuka"),
        c.AddNote(referral=nothing),
        c.CancelReferral(referral=nothing),
    ):
        assert Town().ask(a_command(action, agency)) == Refusal(ProblemCode.NOT_INVOLVED)
