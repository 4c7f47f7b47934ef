"""空き照会: a bed is asked for of whoever may have one, and nobody learns about whom before helping."""

import pytest

from tests.no_clock_is_missed.a_night import (
    ANSHIN,
    CORE,
    HOSPITAL,
    LIEN,
    Case,
    Night,
    at_once,
    minutes,
    moment_of,
)
from tests.partners import Answer

WORDS = "人工呼吸器を使っている。"


def asks_around(case: Case, by: str = ANSHIN, kind: str = "request", **more: str) -> Answer:
    """Names nobody: whoever the ward lists for it is asked."""
    path = f"/v1/referrals/{case.number}/handoffs"
    return case.night.partner(by).post(path, {"kind": kind, **more})


def tonight(night: Night) -> Case:
    case = night.case(urgency="emergency")
    assert asks_around(case, note=WORDS).status == 201
    return case


def answers_well(case: Case, agency: str) -> Answer:
    return case.night.partner(agency).accepts(case.handoff(agency)["id"])


def test_everybody_who_may_have_a_bed_is_asked_at_once_and_the_first_to_accept_has_it(
    night: Night,
) -> None:
    night.comes("sun 02:00")
    case = tonight(night)
    assert case.states() == {LIEN: "offered", HOSPITAL: "offered"}
    first, second = case.history("handoff_offered")
    assert first["data"]["offer"] == second["data"]["offer"]
    assert first["time"] == second["time"]
    for told in (first, second):
        assert told["data"]["withheld"] is True
        assert told["data"]["due"]["rule"] == "answer.emergency"
        assert moment_of(told["data"]["due"]["at"]) - moment_of(told["time"]) == minutes(15)

    assert answers_well(case, LIEN).status == 200
    assert case.states() == {LIEN: "accepted", HOSPITAL: "withdrawn"}
    accepted, withdrawn = case.history()[-2:]
    assert accepted["time"] == withdrawn["time"]
    assert withdrawn["data"]["because"] == "accepted_elsewhere"
    late = answers_well(case, HOSPITAL)
    assert (late.status, late.code) == (409, "not_offered")
    # Whoever gives a bed does not take the case; and the clocks of both are stopped.
    assert case.custodian == ANSHIN
    night.until(night.now() + minutes(20))
    assert case.codes() == []


def test_about_whom_it_is_is_told_to_the_one_that_accepts_and_to_nobody_before(
    night: Night,
) -> None:
    case = tonight(night)
    personal = {"person", "address", "summary", "needs", "staff", "consent", "complaint", "risks"}
    for agency in (LIEN, HOSPITAL):
        seen = case.reads(agency)
        assert seen["opened"] is False
        assert not personal & seen.keys()
        assert (seen["function"], seen["urgency"]) == ("emergency", "emergency")
        history = night.partner(agency).history(case.number).raw.decode()
        inbox = night.partner(agency).inbox(limit=1000).raw.decode()
        for secret in (WORDS, "文京 太郎", "母が急病"):
            assert secret not in history + inbox
        assert '"opened"' not in history
    assert answers_well(case, LIEN).status == 200
    assert case.reads(LIEN)["opened"] is True
    assert case.reads(LIEN)["person"]["name"] == "文京 太郎"
    assert WORDS in night.partner(LIEN).history(case.number).raw.decode()
    refused = case.reads(HOSPITAL)
    assert refused["opened"] is False
    assert not personal & refused.keys()
    assert WORDS not in night.partner(HOSPITAL).history(case.number).raw.decode()


@pytest.mark.parametrize("time", range(3))
def test_of_two_that_accept_at_the_same_instant_exactly_one_has_it(night: Night, time: int) -> None:
    case = tonight(night)
    offers = case.offers()
    answers = at_once(
        lambda partner: partner.accepts(offers[partner.agency]),
        night.partner(LIEN),
        night.partner(HOSPITAL),
    )
    assert sorted((a.status, a.code) for a in answers.values()) == [
        (200, None), (409, "not_offered"),
    ]  # fmt: skip
    (winner,) = (agency for agency, answer in answers.items() if answer.status == 200)
    loser = HOSPITAL if winner == LIEN else LIEN
    assert case.states() == {winner: "accepted", loser: "withdrawn"}
    assert [case.reads(agency)["opened"] for agency in (winner, loser)] == [True, False]


def test_two_refusals_running_call_the_core_centre_once(night: Night) -> None:
    night.comes("sun 02:00")
    case = tonight(night)
    case.declined_by(LIEN)
    assert (case.codes(), case.states()[HOSPITAL]) == ([], "offered")
    case.declined_by(HOSPITAL)
    assert case.codes() == ["E04"]
    raised = case.has_called("E04", "core-on-call", minutes(30), level=2)
    assert raised["data"]["handoff"] == case.handoff(HOSPITAL)["id"]
    case.nobody_answers("E04")
    case.has_called("E04", "ward-night", minutes(30), level=3)
    case.is_answered("E04", CORE, minutes(24 * 60))
    case.is_over("E04", CORE, "kept")


def test_when_all_have_been_asked_already_the_core_centre_is_called_at_once(night: Night) -> None:
    case = night.case(urgency="emergency")
    case.offered(LIEN, by=ANSHIN, kind="request")
    case.offered(HOSPITAL, by=ANSHIN, kind="request")
    assert case.codes() == []
    nobody = asks_around(case)
    assert (nobody.status, case.states()) == (201, {LIEN: "offered", HOSPITAL: "offered"})
    assert [x["code"] for x in nobody.body["escalations"]] == ["E04"]
    assert case.codes() == ["E04"]
    assert "handoff" not in case.call("E04")


def test_when_all_who_could_be_asked_are_closed_the_core_centre_is_called_at_once(
    night: Night,
) -> None:
    night.comes("sun 02:00")
    case = night.case(
        urgency="emergency", function="experience", requested_action="group_home_trial"
    )
    assert asks_around(case).status == 201
    assert (case.states(), case.codes()) == ({}, ["E04"])
    case.has_called("E04", "core-on-call", minutes(30), level=2)
    # What is no emergency may wait until the home opens.
    other = night.case(urgency="urgent", function="experience", requested_action="group_home_trial")
    assert asks_around(other).status == 201
    assert (other.states(), other.codes()) == ({"sample-home": "offered"}, [])


def test_silence_of_all_calls_the_core_centre(night: Night) -> None:
    night.comes("sun 02:00")
    case = tonight(night)
    due = moment_of(case.handoff(LIEN)["due_at"])
    night.until(due - minutes(1))
    assert (case.codes(), set(case.states().values())) == ([], {"offered"})
    night.until(due)
    assert set(case.states().values()) == {"expired"}
    # E08 for the silence, once; E04 because nobody is left to be asked.
    assert case.codes() == ["E08", "E04"]
    assert moment_of(case.events_of("E08")[0]["data"]["overdue_since"]) == due
    for code in ("E08", "E04"):
        assert case.call(code)["desk"] == "core-on-call"
    assert case.reads(LIEN)["opened"] is False


def a_trial_stay(night: Night) -> Case:
    case = night.case(urgency="urgent", function="experience", requested_action="group_home_trial")
    assert asks_around(case, note=WORDS).status == 201
    assert case.states() == {"sample-home": "offered"}
    return case


def test_homes_are_asked_in_their_order_the_next_when_one_refuses(elsewhere: Night) -> None:
    elsewhere.comes("mon 11:00")
    case = a_trial_stay(elsewhere)
    case.declined_by("sample-home")
    assert case.states() == {"sample-home": "declined", "second-home": "offered"}
    declined, offered = case.history()[-2:]
    assert declined["time"] == offered["time"]
    first = case.history("handoff_offered")[0]
    assert offered["data"]["offer"] == first["data"]["offer"]
    seen = case.reads("second-home")
    assert (seen["opened"], case.handoff("second-home")["withheld"]) == (False, True)
    assert case.codes() == []
    assert answers_well(case, "second-home").status == 200
    assert case.reads("second-home")["opened"] is True
    assert case.reads("sample-home")["opened"] is False


def test_homes_are_asked_in_their_order_the_next_when_one_is_silent(elsewhere: Night) -> None:
    elsewhere.comes("mon 11:00")
    case = a_trial_stay(elsewhere)
    due = moment_of(case.handoff("sample-home")["due_at"])
    assert due - moment_of(case.handoff("sample-home")["offered_at"]) == minutes(240)
    elsewhere.until(due - minutes(1))
    assert case.states() == {"sample-home": "offered"}
    elsewhere.until(due)
    assert case.states() == {"sample-home": "expired", "second-home": "offered"}
    assert case.codes() == ["E08"]
    assert case.call("E08")["handoff"] == case.handoff("sample-home")["id"]
    case.declined_by("second-home")
    assert case.codes() == ["E08", "E04"]


def test_a_transfer_without_a_receiver_is_refused_and_nobody_is_asked(night: Night) -> None:
    case = night.case(urgency="emergency")
    refused = asks_around(case, kind="transfer")
    assert (refused.status, refused.code, refused.pointers) == (422, "invalid_request", ["/to"])
    unlisted = asks_around(case, function="consultation")
    assert (unlisted.status, unlisted.pointers) == (422, ["/to"])
    assert (case.states(), case.codes()) == ({}, [])
