"""What the core centre can do when it is called, and what nobody else can."""

from typing import Any

import pytest

from tests.no_clock_is_missed.a_night import (
    ANSHIN,
    CORE,
    HUB,
    OFFICE,
    Case,
    Night,
    at_once,
)
from tests.partners import Answer, a_referral


def called(night: Night, code: str = "E10", **fields: Any) -> Case:
    """Offered to the hub, which has not answered; and the sender has called the core centre."""
    case = night.case(a_referral(), **{"urgency": "routine", **fields})
    case.raised_by(ANSHIN, code)
    return case


def refused(answer: Answer) -> tuple[int, str | None, list[str]]:
    return answer.status, answer.code, answer.pointers


# -- acknowledging ----------------------------------------------------------------------------------


def test_the_core_centre_takes_the_case_and_what_was_asked_before_is_withdrawn(
    night: Night,
) -> None:
    case = called(night)
    assert (case.custodian, case.states()) == (ANSHIN, {HUB: "offered"})
    case.acknowledged_by(CORE, "E10")
    acknowledged, withdrawn = case.history()[-2:]
    assert acknowledged["data"]["custodian"] == CORE
    assert acknowledged["data"]["advise_only"] is False
    assert acknowledged["data"]["due"]["rule"] == "E10.resolve"
    assert withdrawn["data"]["because"] == "taken_by_core"
    assert acknowledged["time"] == withdrawn["time"]
    assert (case.custodian, case.states()) == (CORE, {HUB: "withdrawn"})
    # The hub cannot take it any more, and its clock does not call anybody.
    late = night.partner(HUB).accepts(case.handoff(HUB)["id"])
    assert refused(late)[:2] == (409, "not_offered")
    recorded = [entry["event"]["type"] for entry in case.ledger(len(case.history()))]
    assert recorded[-2:] == ["escalation_acknowledged", "handoff_withdrawn"]
    case.resolved_by(CORE, "E10", "kept")


def test_the_core_centre_only_advises_and_the_case_stays_where_it_is(night: Night) -> None:
    case = called(night)
    case.acknowledged_by(CORE, "E10", advise_only=True)
    assert (case.custodian, case.states()) == (ANSHIN, {HUB: "offered"})
    (told,) = case.history("escalation_acknowledged")
    assert (told["data"]["advise_only"], told["data"]["custodian"]) == (True, ANSHIN)
    case.resolved_by(CORE, "E10", "advised", text="まず訪問を。")
    assert case.history()[-1]["data"]["disposition"] == "advised"
    case.accepted_by(HUB)
    assert case.custodian == HUB


# -- resolving --------------------------------------------------------------------------------------


def in_hand(night: Night) -> Case:
    case = called(night)
    case.acknowledged_by(CORE, "E10")
    return case


def test_it_returns_the_case_and_is_responsible_until_it_is_taken_back(night: Night) -> None:
    case = in_hand(night)
    case.resolved_by(CORE, "E10", "returned")
    resolved, offered = case.history()[-2:]
    assert (resolved["data"]["type"], resolved["data"]["disposition"]) == (
        "escalation_resolved", "returned",
    )  # fmt: skip
    assert (offered["data"]["sender"], offered["data"]["receiver"]) == (CORE, ANSHIN)
    assert resolved["time"] == offered["time"]
    assert case.custodian == CORE
    case.accepted_by(ANSHIN)
    assert case.custodian == ANSHIN


def test_it_returns_the_case_to_the_hub_that_had_it(night: Night) -> None:
    case = night.case(a_referral(), urgency="routine")
    case.accepted_by(HUB)
    case.raised_by(HUB, "E10")
    case.acknowledged_by(CORE, "E10")
    assert case.custodian == CORE
    case.resolved_by(CORE, "E10", "returned")
    assert case.handoff(HUB)["state"] == "offered"
    assert case.history()[-1]["data"]["receiver"] == HUB


def test_it_hands_the_case_on_to_another_agency(night: Night) -> None:
    case = in_hand(night)
    case.resolved_by(CORE, "E10", "reassigned", to="hub-komagome")
    assert case.call("E10")["disposition"] == "reassigned"
    assert case.history()[-1]["data"]["receiver"] == "hub-komagome"
    assert (case.custodian, case.states()["hub-komagome"]) == (CORE, "offered")
    case.accepted_by("hub-komagome")
    assert case.custodian == "hub-komagome"


def test_it_keeps_the_case(night: Night) -> None:
    case = in_hand(night)
    case.resolved_by(CORE, "E10", "kept")
    told = case.history()[-1]["data"]
    assert (told["type"], told["by"], told["disposition"]) == ("escalation_resolved", CORE, "kept")
    assert (case.custodian, case.states()) == (CORE, {HUB: "withdrawn"})


def test_a_case_does_not_end_with_a_call_open(night: Night) -> None:
    case = in_hand(night)
    early = night.partner(CORE).closes(case.number)
    assert refused(early)[:2] == (409, "escalation_open")
    case.resolved_by(CORE, "E10", "kept")
    assert night.partner(CORE).closes(case.number).status == 200
    assert case.reads()["stage"] == "closed"


def test_whoever_takes_its_referral_back_ends_the_calls_that_nobody_has_in_hand(
    night: Night,
) -> None:
    case = called(night)
    case.raised_by(ANSHIN, "E01")
    assert night.partner(ANSHIN).cancels(case.number).status == 200
    assert case.reads()["stage"] == "cancelled"
    for code in ("E10", "E01"):
        assert (case.call(code)["state"], case.call(code)["disposition"]) == (
            "resolved", "cancelled",
        )  # fmt: skip
        assert "due_at" not in case.call(code)
    assert [x["data"]["type"] for x in case.history()][-4:] == [
        "handoff_withdrawn", "escalation_resolved", "escalation_resolved", "referral_cancelled",
    ]  # fmt: skip


# -- ruling -----------------------------------------------------------------------------------------


def posted_from(night: Night, address: str) -> Case:
    return night.case(a_referral().by_address(address), urgency="routine")


def rules(case: Case, district: str, **how: Any) -> str:
    """The core centre rules; gives the event of the ruling."""
    answer = case.night.partner(CORE).rules(case.number, district, **how)
    assert answer.status == 200, answer
    return str(case.history("district_ruled")[-1]["id"])


def test_a_ruling_answers_the_call_and_offers_the_case_to_that_districts_hub(night: Night) -> None:
    case = posted_from(night, "白山1-2")
    assert (case.reads()["stage"], case.codes()) == ("awaiting_ruling", ["E06"])
    theirs = night.partner(ANSHIN).rules(case.number, "tomisaka")
    assert refused(theirs)[:2] == (403, "insufficient_scope")
    rules(case, "tomisaka")
    assert [x["data"]["type"] for x in case.history()][-4:] == [
        "escalation_acknowledged", "district_ruled", "escalation_resolved", "handoff_offered",
    ]  # fmt: skip
    assert (case.custodian, case.states()) == (ANSHIN, {"hub-tomisaka": "offered"})
    assert (case.call("E06")["state"], case.call("E06")["disposition"]) == ("resolved", "advised")
    # It was for this case: the next address in the block asks again.
    assert posted_from(night, "白山1-2").codes() == ["E06"]


def test_the_next_address_in_a_block_follows_a_ruling_that_was_remembered(night: Night) -> None:
    ruling = rules(posted_from(night, "白山1-6-1"), "tomisaka", remember=True)
    following = posted_from(night, "文京区白山一丁目６番８号")
    assert following.codes() == []
    assert following.states() == {"hub-tomisaka": "offered"}
    assert following.reads()["district"]["basis"] == "ruled"
    (found,) = following.history("district_found")
    assert (found["data"]["basis"], found["data"]["ruling"]) == ("ruled", ruling)
    assert posted_from(night, "白山1-11").codes() == ["E06"]


def test_a_ruling_is_revised_the_next_address_follows_it_and_the_past_stays_as_it_was(
    night: Night,
) -> None:
    first = posted_from(night, "白山1-7")
    old = rules(first, "tomisaka", remember=True)
    second = posted_from(night, "白山1-7")
    assert second.states() == {"hub-tomisaka": "offered"}
    before = second.history()

    new = rules(first, "komagome", remember=True)
    (revised,) = (x for x in first.history("district_ruled") if x["id"] == new)
    assert (revised["data"]["revises"], revised["data"]["district"]) == (old, "komagome")
    assert first.states() == {"hub-tomisaka": "withdrawn", "hub-komagome": "offered"}
    third = posted_from(night, "白山1-7")
    assert third.states() == {"hub-komagome": "offered"}
    assert third.history("district_found")[0]["data"]["ruling"] == new
    assert second.history() == before
    assert second.reads()["district"]["id"] == "tomisaka"
    assert [x["data"]["district"] for x in first.history("district_ruled")] == [
        "tomisaka", "komagome",
    ]  # fmt: skip


# -- what is not possible -----------------------------------------------------------------------------


@pytest.mark.parametrize("agency", [ANSHIN, HUB, "hub-komagome", "auditor", OFFICE])
def test_nobody_acknowledges_whose_desk_was_not_called(night: Night, agency: str) -> None:
    case = called(night)
    answer = night.partner(agency).acknowledges(case.call("E10")["id"])
    # An auditor's credentials answer nothing at all.
    expected = "insufficient_scope" if agency == "auditor" else "not_involved"
    assert refused(answer)[:2] == (403, expected)
    assert case.call("E10")["state"] == "raised"


def test_the_ward_office_acknowledges_once_its_desk_was_called_and_takes_no_case(
    night: Night,
) -> None:
    night.comes("fri 16:00")
    case = night.case(urgency="routine")
    case.raised_by(ANSHIN, "E01")
    early = night.partner(OFFICE).acknowledges(case.call("E01")["id"])
    assert refused(early)[:2] == (403, "not_involved")
    case.nobody_answers("E01")
    case.nobody_answers("E01")
    assert case.call("E01")["desk"] == "ward-night"
    case.acknowledged_by(OFFICE, "E01")
    assert (case.custodian, case.call("E01")["acknowledged_by"]) == (ANSHIN, OFFICE)
    (told,) = case.history("escalation_acknowledged")
    assert told["data"]["advise_only"] is True
    second = night.partner(CORE).acknowledges(case.call("E01")["id"])
    assert refused(second)[:2] == (409, "already_answered")
    assert case.custodian == ANSHIN
    case.resolved_by(OFFICE, "E01", "advised")


@pytest.mark.parametrize("time", range(3))
def test_of_two_desks_that_acknowledge_at_the_same_instant_exactly_one_has_it(
    night: Night, time: int
) -> None:
    case = called(night, "E03")  # the ward office's desk is the first that is called
    call = case.call("E03")["id"]
    answers = at_once(
        lambda partner: partner.acknowledges(call), night.partner(CORE), night.partner(OFFICE)
    )
    assert sorted((a.status, a.code) for a in answers.values()) == [
        (200, None), (409, "already_answered"),
    ]  # fmt: skip
    (winner,) = (agency for agency, answer in answers.items() if answer.status == 200)
    assert case.call("E03")["acknowledged_by"] == winner
    assert case.custodian == (CORE if winner == CORE else ANSHIN)
    assert len(case.history("escalation_acknowledged")) == 1


def test_nothing_is_resolved_before_somebody_acknowledged_it(night: Night) -> None:
    case = called(night)
    early = night.partner(CORE).resolves(case.call("E10")["id"], "advised")
    assert refused(early)[:2] == (409, "not_acknowledged")
    assert case.call("E10")["state"] == "raised"


def test_nothing_is_resolved_twice(night: Night) -> None:
    case = in_hand(night)
    case.resolved_by(CORE, "E10", "kept")
    again = night.partner(CORE).resolves(case.call("E10")["id"], "returned")
    assert refused(again)[:2] == (409, "already_answered")
    assert case.call("E10")["disposition"] == "kept"
    acknowledged = night.partner(CORE).acknowledges(case.call("E10")["id"])
    assert refused(acknowledged)[:2] == (409, "already_answered")


@pytest.mark.parametrize("disposition", ["returned", "kept", "reassigned"])
def test_who_only_advises_has_no_case_to_return_keep_or_hand_on(
    night: Night, disposition: str
) -> None:
    case = called(night)
    case.acknowledged_by(CORE, "E10", advise_only=True)
    more = {"to": "hub-komagome"} if disposition == "reassigned" else {}
    answer = night.partner(CORE).resolves(case.call("E10")["id"], disposition, **more)
    assert refused(answer) == (422, "invalid_request", ["/disposition"])
    assert (case.call("E10")["state"], case.custodian) == ("acknowledged", ANSHIN)


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"disposition": "reassigned"}, "invalid_request", "/to"),
        ({"disposition": "reassigned", "to": CORE}, "invalid_request", "/to"),
        ({"disposition": "reassigned", "to": "nobody"}, "unknown_agency", "/to"),
        ({"disposition": "advised"}, "invalid_request", "/disposition"),
        ({"disposition": "cancelled"}, "invalid_request", "/disposition"),
        ({"disposition": "forgotten"}, "invalid_request", "/disposition"),
        ({}, "invalid_request", "/disposition"),
    ],
)
def test_a_resolution_that_cannot_be_is_told_where(
    night: Night, body: dict[str, str], code: str, pointer: str
) -> None:
    case = in_hand(night)
    answer = night.partner(CORE).post(f"/v1/escalations/{case.call('E10')['id']}/resolve", body)
    assert refused(answer) == (422, code, [pointer])
    assert (case.call("E10")["state"], case.custodian) == ("acknowledged", CORE)


def test_only_the_core_centre_or_whoever_acknowledged_resolves(night: Night) -> None:
    case = in_hand(night)
    for agency in (ANSHIN, HUB, OFFICE):
        answer = night.partner(agency).resolves(case.call("E10")["id"], "advised")
        assert refused(answer)[:2] == (403, "not_involved")


def test_a_reason_that_the_ward_does_not_have_calls_nobody(night: Night) -> None:
    case = night.case(urgency="routine")
    answer = night.partner(ANSHIN).escalates(case.number, "E99")
    assert refused(answer) == (422, "invalid_request", ["/reason"])
    assert case.codes() == []


def test_the_same_key_twice_is_done_once_and_another_body_under_it_is_refused(night: Night) -> None:
    case = called(night)
    core, call = night.partner(CORE), case.call("E10")["id"]
    first = core.acknowledges(call, key=f"taken {call}")
    again = core.acknowledges(call, key=f"taken {call}")
    assert (first.status, again.status, again.raw) == (200, 200, first.raw)
    other = core.acknowledges(call, key=f"taken {call}", advise_only=True)
    assert refused(other)[:2] == (409, "idempotency_key_reused")
    assert len(case.history("escalation_acknowledged")) == 1
    done = [core.resolves(call, "kept", key=f"done {call}") for _ in range(2)]
    assert [x.status for x in done] == [200, 200]
    assert done[0].raw == done[1].raw
    assert len(case.history("escalation_resolved")) == 1


def test_after_all_of_it_the_record_is_whole(night: Night) -> None:
    night.is_on_record()
