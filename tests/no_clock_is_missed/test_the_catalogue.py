"""E01 to E13, one by one: what raises each, who is called first and for how long, who is called when
nobody comes, and that it ends when somebody does. All of it stands in the ledger."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runtime.settings import Settings
from tests.network import tsunagu
from tests.no_clock_is_missed.a_night import (
    ANSHIN,
    CORE,
    HOSPITAL,
    HUB,
    LIEN,
    OFFICE,
    Case,
    Night,
    after,
    minutes,
    moment_of,
    ward_file,
)
from tests.partners import AReferral, a_referral

DAY_AND_NIGHT = minutes(24 * 60)
Fields = dict[str, Any]
Until = str | timedelta


def test_E01_no_carer_today_calls_the_core_centre_for_15_minutes_and_the_ward_after_an_hour(
    night: Night,
) -> None:
    night.comes("fri 16:00")
    case = night.case(urgency="urgent")
    assert case.codes() == []
    case.raised_by(ANSHIN, "E01")
    raised = case.has_called("E01", "core-desk", minutes(15), by=ANSHIN)
    case.nobody_answers("E01")
    case.has_called("E01", "core-on-call", minutes(45), level=2, by=ANSHIN)
    case.nobody_answers("E01")
    called = case.has_called("E01", "ward-night", minutes(45), level=3, by=ANSHIN)
    assert moment_of(called["time"]) - moment_of(raised["time"]) < minutes(61)
    for _ in range(2):
        case.nobody_answers("E01")
        case.has_called("E01", "ward-night", minutes(45), level=3, by=ANSHIN)
    case.is_answered("E01", OFFICE, "thu 10:00")
    assert case.custodian == ANSHIN
    case.is_over("E01", OFFICE, "advised")


def test_E02_a_changed_state_calls_the_hospital_first(night: Night) -> None:
    night.comes("fri 16:00")
    case = night.case(urgency="emergency")
    case.raised_by(ANSHIN, "E02")
    case.has_called("E02", "hospital", minutes(15), by=ANSHIN)
    case.nobody_answers("E02")
    case.has_called("E02", "core-desk", minutes(15), level=2, by=ANSHIN)
    case.nobody_answers("E02")
    case.has_called("E02", "core-on-call", minutes(15), level=3, by=ANSHIN)
    case.nobody_answers("E02")
    case.has_called("E02", "ward-night", minutes(15), level=4, by=ANSHIN)
    case.nobody_answers("E02")
    case.has_called("E02", "ward-night", minutes(15), level=4, by=ANSHIN)
    # Whoever was called before may still come: here the hospital, which takes no case with it.
    case.is_answered("E02", HOSPITAL, DAY_AND_NIGHT)
    assert case.custodian == ANSHIN
    case.is_over("E02", HOSPITAL, "advised")


def test_E02_shortly_before_closing_time_the_core_centres_desk_is_passed_over(night: Night) -> None:
    night.comes("fri 17:10")
    case = night.case(urgency="emergency")
    case.raised_by(ANSHIN, "E02")
    case.has_called("E02", "hospital", minutes(15), by=ANSHIN)
    case.nobody_answers("E02")
    case.has_called("E02", "core-on-call", minutes(15), level=3, by=ANSHIN)
    case.is_answered("E02", CORE, DAY_AND_NIGHT)
    assert case.custodian == CORE
    case.is_over("E02", CORE, "kept")


def test_E03_suspected_abuse_calls_the_abuse_centre_and_only_named_readers_see_it(
    night: Night,
) -> None:
    night.comes("fri 16:00")
    case = night.case(a_referral().by_address("文京区本郷二丁目21番3号"), urgency="routine")
    case.offered(LIEN, by=ANSHIN, kind="request")
    case.accepted_by(LIEN)
    assert case.reads(LIEN)["opened"]
    assert night.partner(OFFICE).reads(case.number).status == 403

    case.raised_by(LIEN, "E03")
    case.has_called("E03", "abuse-centre", minutes(30), by=LIEN)
    # The hub is asked, and must neither hear of it nor open the case from now on.
    for agency, may in ((HUB, False), (ANSHIN, False), (LIEN, True), (OFFICE, True), (CORE, True)):
        seen = case.reads(agency)
        assert [x["code"] for x in seen["escalations"]] == (["E03"] if may else []), agency
        told = case.history("escalation_raised", by=agency)
        assert len(told) == may, agency
        assert seen["opened"] is (agency != HUB), agency
    assert night.partner(HUB).history(case.number).raw.decode().count('"opened"') == 0
    refused = night.partner(HUB).acknowledges(case.call("E03")["id"])
    assert (refused.status, refused.code) == (403, "not_involved")

    case.nobody_answers("E03")
    case.has_called("E03", "core-on-call", minutes(30), level=2, by=LIEN)
    case.nobody_answers("E03")
    case.has_called("E03", "ward-night", minutes(30), level=3, by=LIEN)
    case.nobody_answers("E03")
    case.has_called("E03", "ward-night", minutes(30), level=3, by=LIEN)
    case.is_answered("E03", OFFICE, "mon 10:00 +1")
    case.is_over("E03", OFFICE, "advised")
    # Once abuse was suspected, it stays with those named.
    assert case.reads(HUB)["opened"] is False
    told = [x["event"]["data"]["type"] for x in night.partner(HUB).whole_inbox()
            if x["event"]["subject"] == case.id]  # fmt: skip
    assert not [kind for kind in told if kind.startswith("escalation")]
    assert "E03" not in [x["code"] for x in case.reads(ANSHIN)["escalations"]]


def a_bed_refused_twice(night: Night, urgency: str) -> Case:
    case = night.case(urgency=urgency)
    case.offered(LIEN, by=ANSHIN, kind="request")
    case.declined_by(LIEN)
    assert case.codes() == []
    case.offered(HOSPITAL, by=ANSHIN, kind="request")
    case.declined_by(HOSPITAL)
    return case


def test_E04_a_bed_refused_twice_running_calls_the_core_centre_for_half_an_hour(
    night: Night,
) -> None:
    night.comes("fri 16:00")
    case = a_bed_refused_twice(night, "emergency")
    assert case.codes() == ["E04"]
    raised = case.has_called("E04", "core-desk", minutes(30))
    assert raised["data"]["handoff"] == case.handoff(HOSPITAL)["id"]
    case.nobody_answers("E04")
    case.has_called("E04", "core-on-call", minutes(30), level=2)
    case.nobody_answers("E04")
    case.has_called("E04", "ward-night", minutes(30), level=3)
    case.nobody_answers("E04")
    case.has_called("E04", "ward-night", minutes(30), level=3)
    case.is_answered("E04", CORE, DAY_AND_NIGHT)
    case.is_over("E04", CORE, "kept")


@pytest.mark.parametrize(
    ("who", "referral"),
    [
        ("of a household that is not registered", {"registered": False}),
        ("of a person without a 手帳", {"needs": {"handbook_held": False}}),
        ("of a person without an address", {"address": {"kind": "none"}}),
    ],
)
def test_E05_an_emergency_calls_the_core_centre(night: Night, who: str, referral: Fields) -> None:
    night.comes("fri 16:00")
    case = night.case(urgency="emergency", **referral)
    assert case.codes() == ["E05"]
    case.has_called("E05", "core-desk", minutes(15))
    case.nobody_answers("E05")
    case.has_called("E05", "core-on-call", minutes(15), level=2)
    case.nobody_answers("E05")
    case.has_called("E05", "ward-night", minutes(15), level=3)
    case.nobody_answers("E05")
    case.has_called("E05", "ward-night", minutes(15), level=3)
    case.is_answered("E05", CORE, DAY_AND_NIGHT)
    assert case.custodian == CORE
    case.is_over("E05", CORE, "kept")
    assert night.case(urgency="urgent", **referral).codes() == []
    known: Fields = {"registered": True, "needs": {"handbook_held": True}}
    assert night.case(urgency="emergency", **known).codes() == []


def test_E06_an_undecidable_district_calls_the_core_centre_for_two_opening_hours(
    night: Night,
) -> None:
    night.comes("fri 16:00")
    case = night.case(a_referral().by_address("白山1-1"), urgency="routine")
    assert case.codes() == ["E06"]
    case.has_called("E06", "core-desk", "mon 10:30")
    case.nobody_answers("E06")
    case.has_called("E06", "core-on-call", "mon 12:30", level=2)
    case.nobody_answers("E06")
    case.has_called("E06", "ward-night", "mon 14:30", level=3)
    case.nobody_answers("E06")
    case.has_called("E06", "ward-night", "mon 16:30", level=3)
    case.is_answered("E06", OFFICE, "mon 14:30")
    # What it is about is still undecided: there is no end without the core centre's ruling.
    early = night.partner(OFFICE).resolves(case.call("E06")["id"], "advised")
    assert (early.status, early.code) == (409, "awaiting_ruling")
    assert night.partner(CORE).rules(case.number, "tomisaka").status == 200
    call = case.call("E06")
    assert (call["state"], call["disposition"]) == ("resolved", "advised")
    case.saw("E06", case.events_of("E06")[-1])
    case.is_on_record("E06")


def test_E06_an_undecidable_district_of_an_emergency_calls_for_a_quarter_of_an_hour(
    night: Night,
) -> None:
    night.comes("fri 16:00")
    case = night.case(a_referral().by_address("白山1-1"), urgency="emergency")
    case.has_called("E06", "core-desk", minutes(15))
    case.nobody_answers("E06")
    case.has_called("E06", "core-on-call", minutes(15), level=2)
    case.is_answered("E06", CORE, DAY_AND_NIGHT)
    assert night.partner(CORE).rules(case.number, "tomisaka").status == 200
    assert case.call("E06")["disposition"] == "reassigned"


def test_E07_an_emergency_while_the_hub_is_closed_calls_the_on_call_desk_never_the_closed_one(
    night: Night,
) -> None:
    night.comes("sat 11:00")
    case = night.case(a_referral(), urgency="emergency")
    assert case.codes() == ["E07"]
    case.has_called("E07", "core-on-call", minutes(15))
    case.nobody_answers("E07")
    case.has_called("E07", "ward-night", minutes(15), level=2)
    case.nobody_answers("E07")
    case.has_called("E07", "ward-night", minutes(15), level=2)
    case.is_answered("E07", CORE, DAY_AND_NIGHT)
    case.is_over("E07", CORE, "kept")


@pytest.mark.parametrize(
    ("urgency", "due", "answers"),
    [
        ("emergency", minutes(15), (minutes(15),) * 4),
        ("urgent", "mon 12:30", ("mon 16:30", "tue 13:00", "tue 17:00", "wed 13:30")),
        ("routine", "mon 16:00", ("tue 16:00", "wed 16:00", "thu 16:00", "fri 16:00")),
    ],
)
def test_E08_silence_of_the_receiver_calls_the_core_centre_when_its_clock_has_run_out(
    night: Night, urgency: str, due: Until, answers: tuple[Until, ...]
) -> None:
    friday = night.comes("fri 16:00", clear=30)
    case = night.case(a_referral(), urgency=urgency)
    handoff = case.handoff(HUB)
    offered, must_answer = moment_of(handoff["offered_at"]), moment_of(handoff["due_at"])
    full = after(friday, due) - friday if isinstance(due, str) else due
    assert must_answer - offered == full
    night.until(must_answer - minutes(1))
    assert (case.codes(), case.handoff(HUB)["state"]) == ([], "offered")
    night.until(must_answer)
    assert (case.codes(), case.handoff(HUB)["state"]) == (["E08"], "expired")
    raised = case.has_called("E08", "core-desk", answers[0])
    expired = case.history("handoff_expired")[0]
    assert raised["data"]["handoff"] == expired["data"]["handoff"] == handoff["id"]
    for told in (raised, expired):
        assert moment_of(told["data"]["overdue_since"]) == must_answer
        assert must_answer <= moment_of(told["time"]) < must_answer + minutes(1)
    case.nobody_answers("E08")
    case.has_called("E08", "core-on-call", answers[1], level=2)
    case.nobody_answers("E08")
    case.has_called("E08", "ward-night", answers[2], level=3)
    case.nobody_answers("E08")
    case.has_called("E08", "ward-night", answers[3], level=3)
    late = night.partner(HUB).accepts(handoff["id"])
    assert (late.status, late.code) == (409, "not_offered")
    resolve: dict[str, Until] = {
        "emergency": DAY_AND_NIGHT, "urgent": "fri 17:00", "routine": "thu 16:00",
    }  # fmt: skip
    case.is_answered("E08", OFFICE, resolve[urgency])
    case.is_over("E08", OFFICE, "advised")


def test_E09_refused_twice_calls_the_core_centre_which_rules(night: Night) -> None:
    night.comes("fri 16:00")
    case = night.case(a_referral(), urgency="routine")
    case.declined_by(HUB)
    assert case.codes() == []
    case.offered("hub-komagome", by=ANSHIN)
    case.declined_by("hub-komagome")
    assert case.codes() == ["E09"]
    case.has_called("E09", "core-desk", "mon 16:00")
    case.nobody_answers("E09")
    case.has_called("E09", "core-on-call", "tue 16:00", level=2)
    case.nobody_answers("E09")
    case.has_called("E09", "ward-night", "wed 16:00", level=3)
    case.nobody_answers("E09")
    case.has_called("E09", "ward-night", "thu 16:00", level=3)
    case.is_answered("E09", CORE, "wed 16:00")
    case.is_over("E09", CORE, "kept")


def test_E09_a_case_that_was_handed_on_twice_calls_the_core_centre_too(night: Night) -> None:
    case = night.case(a_referral(), urgency="routine")
    case.accepted_by(HUB)
    case.offered("hub-komagome", by=HUB)
    case.accepted_by("hub-komagome")
    assert case.codes() == []
    case.offered("hub-tomisaka", by="hub-komagome")
    case.accepted_by("hub-tomisaka")
    assert case.codes() == ["E09"]
    assert case.custodian == "hub-tomisaka"
    # What the person said no to is no passing round.
    other = night.case(a_referral(), urgency="routine")
    for hub in (HUB, "hub-komagome"):
        if hub != HUB:
            other.offered(hub, by=ANSHIN)
        answer = night.partner(hub).declines(
            other.handoff(hub)["id"], "person_declined", said_by="person"
        )
        assert answer.status == 200
    assert other.codes() == []


THREE_TOPICS = ["loneliness", "after_parents", "housing"]


def test_E10_a_difficult_case_calls_the_core_centre_for_a_day(night: Night) -> None:
    night.comes("fri 16:00")
    case = night.case(urgency="routine", household="with_ageing_parents", topics=THREE_TOPICS)
    assert case.codes() == ["E10"]
    case.has_called("E10", "core-desk", "mon 16:00")
    case.nobody_answers("E10")
    case.has_called("E10", "core-on-call", "tue 16:00", level=2)
    case.nobody_answers("E10")
    case.has_called("E10", "ward-night", "wed 16:00", level=3)
    case.nobody_answers("E10")
    case.has_called("E10", "ward-night", "thu 16:00", level=3)
    case.is_answered("E10", CORE, "wed 16:00")
    case.is_over("E10", CORE, "kept")


@pytest.mark.parametrize(
    ("fields", "difficult"),
    [
        ({"household": "disabled_only", "topics": THREE_TOPICS}, True),
        ({"household": "disabled_only", "topics": THREE_TOPICS[:2]}, False),
        ({"household": "nuclear", "topics": THREE_TOPICS}, False),
    ],
)
def test_E10_is_raised_by_two_of_the_wards_three_criteria(
    night: Night, fields: Fields, difficult: bool
) -> None:
    case = night.case(urgency="routine", **fields)
    assert case.codes() == (["E10"] if difficult else [])


def test_E10_is_raised_when_a_fourth_agency_takes_a_part_in_a_difficult_household(
    night: Night,
) -> None:
    case = night.case(a_referral(), urgency="routine", household="disabled_only")
    case.accepted_by(HUB)
    case.offered(LIEN, by=HUB, kind="request")
    case.accepted_by(LIEN)
    assert case.codes() == []
    case.offered(HOSPITAL, by=HUB, kind="request")
    assert case.codes() == []
    case.accepted_by(HOSPITAL)
    assert case.codes() == ["E10"]


def test_E11_somebody_not_seen_for_long_calls_the_core_centre_for_an_hour(night: Night) -> None:
    night.comes("fri 16:00")
    unseen: Fields = {"topics": ["not_seen"], "urgency": "urgent"}
    assert night.case(**unseen, reported_by="family").codes() == []
    case = night.case(**unseen, reported_by="neighbour")
    assert case.codes() == ["E11"]
    case.has_called("E11", "core-desk", minutes(60))
    case.nobody_answers("E11")
    case.has_called("E11", "core-on-call", minutes(60), level=2)
    case.nobody_answers("E11")
    case.has_called("E11", "ward-night", minutes(60), level=3)
    case.nobody_answers("E11")
    case.has_called("E11", "ward-night", minutes(60), level=3)
    case.is_answered("E11", OFFICE, "thu 10:00")
    case.is_over("E11", OFFICE, "advised")


def without_consent(urgency: str) -> AReferral:
    why = {"why": "連絡がとれない", "danger": "服薬が切れる", "decided_by": "所長"}
    consent = {"basis": "E27-1-2", **why}
    return a_referral().to(ANSHIN).having(urgency=urgency, consent=consent)


def test_E12_no_consent_and_no_emergency_calls_the_core_centre_for_a_day(night: Night) -> None:
    night.comes("fri 16:00")
    assert night.case(without_consent("emergency")).codes() == []
    assert night.case(urgency="routine").codes() == []
    case = night.case(without_consent("routine"))
    assert case.codes() == ["E12"]
    case.has_called("E12", "core-desk", "mon 16:00")
    case.nobody_answers("E12")
    case.has_called("E12", "core-on-call", "tue 16:00", level=2)
    case.nobody_answers("E12")
    case.has_called("E12", "ward-night", "wed 16:00", level=3)
    case.nobody_answers("E12")
    case.has_called("E12", "ward-night", "thu 16:00", level=3)
    case.is_answered("E12", CORE, "wed 16:00")
    case.is_over("E12", CORE, "kept")


def test_E13_a_case_of_the_core_centre_that_nobody_takes_calls_it_for_three_days(
    night: Night,
) -> None:
    night.comes("fri 16:00", clear=45)
    case = night.case(urgency="routine")
    case.raised_by(ANSHIN, "E10")
    case.acknowledged_by(CORE, "E10")
    case.resolved_by(CORE, "E10", "kept")
    case.offered("hub-komagome", "hub-tomisaka", by=CORE)
    case.declined_by("hub-komagome")
    assert case.codes() == ["E10"]
    case.declined_by("hub-tomisaka")
    assert case.codes() == ["E10", "E13"]
    case.has_called("E13", "core-desk", "wed 16:00")
    case.nobody_answers("E13")
    case.has_called("E13", "core-on-call", "mon 16:00", level=2)
    case.nobody_answers("E13")
    case.has_called("E13", "ward-night", "thu 16:00", level=3)
    case.nobody_answers("E13")
    case.has_called("E13", "ward-night", "tue 16:00", level=3)
    case.is_answered("E13", CORE, "thu 16:00")
    case.is_over("E13", CORE, "kept")
    assert case.custodian == CORE


def test_a_call_that_was_acknowledged_and_forgotten_is_called_again(night: Night) -> None:
    night.comes("fri 16:00")
    case = night.case(urgency="routine")
    case.raised_by(ANSHIN, "E01")
    case.acknowledged_by(CORE, "E01", advise_only=True)
    due = moment_of(case.call("E01")["due_at"])
    night.until(due - minutes(1))
    assert case.call("E01")["level"] == 1
    night.until(due)
    told = case.events_of("E01")[-1]["data"]
    assert (told["type"], told["desk"], told["level"]) == (
        "escalation_passed_on", "core-on-call", 2,
    )  # fmt: skip
    assert moment_of(told["overdue_since"]) == due


def test_a_long_weekend_does_not_count_and_the_entries_say_which_day_it_was(night: Night) -> None:
    friday = night.comes_before_a_long_weekend("16:00")
    monday = after(friday, "mon 00:00").date().isoformat()
    case = night.case(urgency="routine")
    case.raised_by(ANSHIN, "E09")
    due = case.events_of("E09")[-1]["data"]["due"]
    assert due["holidays"] == [monday]
    raised = moment_of(case.call("E09")["raised_at"])
    assert moment_of(due["at"]) - raised == after(friday, "tue 16:00") - friday
    night.until(after(friday, "mon 16:01"))
    assert case.call("E09")["level"] == 1
    night.until(moment_of(due["at"]))
    assert case.call("E09")["level"] == 2
    case.acknowledged_by(CORE, "E09")
    case.resolved_by(CORE, "E09", "kept")

    # And so says what auditors are told, word for word what the core centre reads.
    told = case.history()
    case.ledger(len(told))
    replayed = night.network.tsunagu("replay", case.number, "--json")
    assert replayed.returncode == 0, replayed.stderr
    document = json.loads(replayed.stdout)
    assert [x["data"] for x in document["events"]] == [
        {k: v for k, v in x["data"].items() if k != "opened"} for x in told
    ]
    (again,) = (x for x in document["events"] if x["data"]["type"] == "escalation_passed_on")
    assert again["data"]["overdue_since"] == due["at"]
    assert moment_of(again["time"]) >= moment_of(due["at"])
    assert document["referral"]["custodian"] == CORE


# -- 大塚: the core centre's own branch ---------------------------------------------------------------


def held_by_otsuka(night: Night) -> Case:
    case = night.case(
        a_referral().by_address("文京区音羽一丁目1番1号"), by="anshin-otsuka", urgency="urgent"
    )
    case.accepted_by("hub-otsuka")
    assert case.custodian == "hub-otsuka"
    return case


def test_a_call_about_a_case_of_otsuka_reaches_a_desk_where_others_sit(night: Night) -> None:
    night.comes("fri 16:00")
    case = held_by_otsuka(night)
    case.raised_by("hub-otsuka", "E01")
    case.has_called("E01", "core-desk", minutes(15), by="hub-otsuka")
    assert "hub-otsuka" not in (case.call("E01")["desk"], case.events_of("E01")[0]["data"]["to"])
    theirs = night.partner("hub-otsuka").acknowledges(case.call("E01")["id"])
    assert (theirs.status, theirs.code) == (403, "not_involved")
    case.acknowledged_by(CORE, "E01")
    case.resolved_by(CORE, "E01", "kept")


def test_where_the_people_of_otsuka_sit_at_the_core_desk_its_calls_go_to_the_on_call_desk(
    elsewhere: Night,
) -> None:
    elsewhere.comes("fri 16:00")
    case = held_by_otsuka(elsewhere)
    case.raised_by("anshin-otsuka", "E01")
    case.has_called("E01", "core-on-call", minutes(15), level=2, by="anshin-otsuka")
    case.nobody_answers("E01")
    case.has_called("E01", "ward-night", minutes(45), level=3, by="anshin-otsuka")
    case.nobody_answers("E01")
    case.has_called("E01", "ward-night", minutes(45), level=3, by="anshin-otsuka")
    case.is_answered("E01", CORE, "wed 17:00")
    case.is_over("E01", CORE, "kept")
    # Business calls too; and nobody else's.
    silent = elsewhere.case(
        a_referral().by_address("文京区音羽一丁目1番1号"), by="anshin-otsuka", urgency="routine"
    )
    elsewhere.until(moment_of(silent.handoff("hub-otsuka")["due_at"]))
    assert silent.call("E08")["desk"] == "core-on-call"
    others = elsewhere.case(urgency="routine")
    others.raised_by(ANSHIN, "E09")
    assert others.call("E09")["desk"] == "core-desk"


def test_a_ward_where_otsuka_would_call_only_itself_does_not_start(tmp_path: Path) -> None:
    everywhere = [
        (f'id = "{desk}"\nagency = "{agency}"\n', f'id = "{desk}"\nagency = "{agency}"\n'
         f'staffed_by = ["{agency}", "hub-otsuka"]\n')
        for desk, agency in (
            ("core-desk", CORE), ("core-on-call", CORE), ("ward-night", OFFICE),
            ("hospital", HOSPITAL), ("abuse-centre", OFFICE),
        )
    ]  # fmt: skip
    ward = ward_file(tmp_path / "ward.toml", *everywhere)
    done = tsunagu("up", "--ward", str(ward), settings=Settings(home=tmp_path / "home"))
    assert done.returncode == 2
    assert "hub-otsuka" in done.stderr
    assert "ready" not in done.stdout


def test_after_all_these_nights_the_record_is_whole(night: Night) -> None:
    night.is_on_record()
