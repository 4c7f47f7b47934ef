"""The month's figures for the council are counted from the ledger, and say what they do not count."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from runtime.clock import ManualClock
from schemas import commands as c
from schemas.codes import Disposition, SaidBy
from schemas.outside import JAPAN
from services.audit.month import Beds, Month, Took, bounds, month_of, took
from services.audit.replay import ReplayError
from tests.builders import ANSHIN, BUNKYO, CORE, HUB, LIEN, Case, Town, a_referral, between

MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)  # 12:00 in Japan, a Friday


def a_town(at: datetime = NOON) -> Town:
    return Town(clock=ManualClock(at))


def november(town: Town, month: int = 11) -> Month:
    return month_of(town.entries, 2026, month, BUNKYO, town.clock.now())


def routine(town: Town, **fields: object) -> Case:
    return a_referral(town=town, urgency="routine", **fields)


def test_what_was_submitted_is_counted_by_hub_function_urgency_and_stage() -> None:
    town = a_town()
    routine(town, function="consultation", requested_action="visit").accepted_by(HUB)
    routine(town, function="consultation", requested_action="visit")  # its hub has not answered
    a_referral(town=town)
    routine(town, finding=between("otsuka", "tomisaka"))
    month = november(town)
    assert month.submitted == 4
    assert {x.hub: x.submitted for x in month.by_hub} == {HUB: 3, "none": 1}
    assert month.by_hub[0].by_function == {"consultation": 2, "emergency": 1}
    assert month.by_hub[0].by_urgency == {"routine": 2, "emergency": 1}
    assert month.by_function == {"consultation": 2, "emergency": 2}
    assert month.by_urgency == {"routine": 3, "emergency": 1}
    assert month.by_stage == {"offered": 2, "awaiting_ruling": 1, "in_care": 1}
    assert not month.complete


def test_a_case_is_counted_at_the_hub_that_took_it_not_at_that_of_its_district() -> None:
    town = a_town()
    case = routine(town).declined_by(HUB, "out_of_district")
    case.offered_to("hub-komagome").accepted_by("hub-komagome")
    assert [x.hub for x in november(town).by_hub] == ["hub-komagome"]


def test_months_are_those_of_japan() -> None:
    last_of_october = datetime(2026, 10, 31, 14, 59, 59, tzinfo=UTC)
    town = a_town(last_of_october)
    routine(town)
    town.clock.move(timedelta(seconds=1))
    routine(town)
    assert bounds(2026, 12)[1] == datetime(2027, 1, 1, tzinfo=JAPAN)
    assert [november(town, month).submitted for month in (9, 10, 11, 12)] == [0, 1, 1, 0]


def test_the_sheet_of_a_month_that_is_over_never_changes() -> None:
    town = a_town(datetime(2026, 11, 30, 14, 0, tzinfo=UTC))
    case = routine(town)
    town.clock.move(timedelta(hours=1))
    before = november(town)
    case.accepted_by(HUB).closed()
    after = november(town)
    assert before == after
    assert after.complete
    assert after.first_answer == {"routine": Took(0, 1, 0, None, None)}
    assert november(town, 12).outcomes == {"got_help": 1}
    assert november(town, 12).submitted == 0


def test_outcomes_and_declines_count_what_happened_in_the_month() -> None:
    town = a_town()
    routine(town).declined_by(HUB).cancelled()
    routine(town).declined_by(HUB, "out_of_scope")
    case = routine(town)
    case.asks(HUB, c.DeclineHandoff(
        handoff=case.handoff(HUB).id, said_by=SaidBy.PERSON, reason="person_declined"
    ))  # fmt: skip
    routine(town).accepted_by(HUB).closed("no_longer_wanted").reopened().closed("moved_away")
    routine(town).declined_by(HUB)
    month = november(town)
    assert [(x.reason, x.said_by, x.n) for x in month.declines] == [
        ("no_capacity", "agency", 2),
        ("out_of_scope", "agency", 1),
        ("person_declined", "person", 1),
    ]
    assert month.outcomes == {"moved_away": 1, "no_longer_wanted": 1}
    assert (month.cancelled, month.reopened) == (1, 1)


def test_emergencies_are_counted_with_and_without_a_bed() -> None:
    town = a_town()
    with_bed = a_referral(town=town).accepted_by(HUB).requested_from(LIEN).accepted_by(LIEN)
    assert with_bed.state.custodian == HUB
    # Nobody has a bed, twice: the core centre is called for it.
    refused = a_referral(town=town).accepted_by(HUB).requested_from(LIEN).declined_by(LIEN)
    refused.requested_from("sample-hospital").declined_by("sample-hospital")
    assert "E04" in refused.codes()
    a_referral(town=town).accepted_by(HUB).requested_from(LIEN)  # nobody has answered yet
    a_referral(town=town).accepted_by(HUB).closed("no_capacity")
    # These need none.
    a_referral(town=town, requested_action="medical_contact").accepted_by(HUB)
    routine(town).accepted_by(HUB)
    assert november(town).beds == Beds(needed=4, found=1, not_found=2, still_looking=1)


def test_it_tells_how_long_people_waited_for_an_answer_and_between_desks() -> None:
    town = a_town()
    for minutes in (2, 4, 12):
        case = a_referral(town=town)
        town.clock.move(minutes * MINUTE)
        case.accepted_by(HUB)
    # A call was taken in hand after 3 minutes, for advice only; the hub took the case after 9.
    case = a_referral(town=town).escalated_by(ANSHIN, "E10")
    town.clock.move(3 * MINUTE)
    case.acknowledged_by(CORE, "E10", advise_only=True)
    town.clock.move(6 * MINUTE)
    case.accepted_by(HUB)
    month = november(town)
    assert month.first_answer == {"emergency": Took(4, 0, 0, 3.5, 12.0)}
    assert month.between_desks == {"emergency": Took(4, 0, 0, 6.5, 12.0)}
    # That it was handed on later does not count again.
    case.offered_to("hub-komagome")
    town.clock.move(MINUTE)
    case.accepted_by("hub-komagome")
    assert november(town).between_desks == month.between_desks
    assert november(town).first_answer == month.first_answer


def test_a_case_that_nobody_was_asked_to_take_did_not_wait_between_desks() -> None:
    town = a_town()
    a_referral(by=HUB, town=town, urgency="routine")  # of its own district
    routine(town).cancelled()
    month = november(town)
    assert month.submitted == 2
    assert month.between_desks == {"routine": Took(0, 0, 1, None, None)}


def test_calls_are_told_by_reason_with_how_long_they_burned() -> None:
    town = a_town()
    case = routine(town).accepted_by(HUB).escalated_by(HUB, "E10")
    town.clock.move(30 * MINUTE)
    case.acknowledged_by(CORE).resolved(Disposition.KEPT)
    silent = a_referral(town=town, urgency="emergency").later(16 * MINUTE)
    assert silent.codes() == ["E08"]
    silent.later(61 * MINUTE)
    calls = {x.code: x for x in november(town).calls}
    assert (calls["E10"].raised, calls["E10"].passed_on) == (1, 0)
    assert calls["E10"].acknowledged == Took(1, 0, 0, 30.0, 30.0)
    assert calls["E10"].by_disposition == {"kept": 1}
    assert (calls["E08"].raised, calls["E08"].passed_on) == (1, 1)
    assert calls["E08"].acknowledged == Took(0, 1, 0, None, None)
    assert november(town).expired == 1


def test_rulings_are_told_by_the_districts_between_which_nobody_knew() -> None:
    town = a_town()
    for candidates, ruled in (
        (("otsuka", "tomisaka"), "otsuka"),
        (("tomisaka", "otsuka"), "tomisaka"),
        (("otsuka", "tomisaka"), None),
        (("komagome", "tomisaka"), None),
    ):
        case = routine(town, finding=between(*candidates, block=None))
        if ruled is not None:
            case.acknowledged_by(CORE, "E06").ruled(ruled)
    told = [(x.candidates, x.asked, x.ruled, x.open) for x in november(town).undecided]
    assert told == [
        (("otsuka", "tomisaka"), 3, {"otsuka": 1, "tomisaka": 1}, 1),
        (("komagome", "tomisaka"), 1, {}, 1),
    ]


def test_the_ninetieth_percentile_is_a_time_that_somebody_waited() -> None:
    waited = [(NOON, NOON + n * MINUTE, False) for n in range(1, 21)]
    assert took(waited) == Took(20, 0, 0, 10.5, 18.0)
    assert took(waited[:1]) == Took(1, 0, 0, 1.0, 1.0)
    assert took([(NOON, None, True), (NOON, None, False)]) == Took(0, 1, 1, None, None)


def test_a_month_without_any_referral_is_a_sheet_of_nothing() -> None:
    month = month_of([], 2026, 2, BUNKYO, NOON)
    assert (month.submitted, month.by_hub, month.calls) == (0, (), ())
    assert month.complete


def test_a_month_names_no_case_and_says_what_it_does_not_count() -> None:
    town = a_town()
    case = a_referral(town=town).accepted_by(HUB)
    said = json.dumps(asdict(november(town)), ensure_ascii=False)
    assert case.state.number not in said
    assert str(case.id) not in said
    assert "コーディネーター" in said


def test_a_month_with_an_entry_missing_is_not_reckoned() -> None:
    entries = a_referral().accepted_by(HUB).town.entries
    with pytest.raises(ReplayError):
        month_of(entries[:1] + entries[2:], 2026, 11, BUNKYO, NOON)
