"""The ward's timeline, which people slide along, says of any moment what folding the ledger says."""

from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.clock import ManualClock
from schemas.codes import HandoffKind
from schemas.journal import JournalEntry
from schemas.referral import Referral
from services.audit.histories import ward_at
from services.audit.replay import ReplayError, fold_ward
from services.audit.timeline import Course, Step, Timeline, evenly
from tests.builders import ANSHIN, CORE, FRIDAY_AFTERNOON, HUB, LIEN, Town, a_referral, between
from tests.stories import Wish, command_of, moved, stories

HOUR = timedelta(hours=1)


def told(entries: list[JournalEntry]) -> Timeline:
    timeline = Timeline()
    for index, entry in enumerate(entries):
        timeline.add(2 * index, entry)  # other producers' entries lie between
    return timeline


def a_town(story: list[Wish]) -> Town:
    town = Town(clock=ManualClock(FRIDAY_AFTERNOON))
    for number, wish in enumerate(story):
        town.clock.move(moved(wish))
        town.strike()
        town.ask(command_of(wish, list(town.states.values()), number))
    return town


def clocks_of(state: Referral) -> set[tuple[str, datetime]]:
    return {(str(clock.subject), clock.due_at) for clock in state.clocks}


def is_as_folded(step: Step, course: Course, state: Referral) -> None:
    assert (step.version, step.stage, step.custodian) == (
        state.version, state.stage, state.custodian,
    )  # fmt: skip
    assert step.district == (state.district.id if state.district else None)
    assert {(clock.id, clock.due_at) for clock in step.clocks} == clocks_of(state)
    assert course.state.number == state.number
    for clock in step.clocks:
        handoff, call = state.handoff(UUID(clock.id)), state.escalation(UUID(clock.id))
        if clock.kind == "offer":
            assert handoff is not None
            assert clock.agency == handoff.receiver
        else:
            assert call is not None
            assert (clock.code, clock.level, clock.desk, clock.state) == (
                call.code, call.level, call.desk, call.state,
            )  # fmt: skip


@given(stories, st.lists(st.integers(-2, 6 * 1440), max_size=4))
def test_after_any_story_the_timeline_says_of_any_moment_what_the_ledger_says(
    story: list[Wish], minutes: list[int]
) -> None:
    entries = a_town(story).entries
    bodies = [entry.to_json() for entry in entries]
    timeline = told(entries)
    moments = {entry.occurred_at for entry in entries}
    moments |= {moment - timedelta(microseconds=1) for moment in moments}
    moments |= {FRIDAY_AFTERNOON + timedelta(minutes=n) for n in minutes}
    for at in (None, *moments):
        folded = fold_ward(bodies, at)
        found = {str(course.state.id): (course, step) for course, step in timeline.at(at)}
        assert found.keys() == folded.keys()
        for referral, (course, step) in found.items():
            is_as_folded(step, course, folded[referral])
        happened = [n for n, x in enumerate(entries) if at is None or x.occurred_at <= at]
        assert timeline.last_index(at) == (2 * happened[-1] if happened else None)


@given(stories)
def test_the_moments_on_the_slider_are_those_at_which_anything_happened(story: list[Wish]) -> None:
    entries = a_town(story).entries
    timeline = told(entries)
    moments = sorted({entry.occurred_at for entry in entries})
    assert timeline.moments() == moments
    for earlier, later in pairwise(moments):
        assert timeline.around(earlier)[1] == later
        assert timeline.around(later)[0] == earlier
        assert timeline.around(later - timedelta(microseconds=1))[1] == later
    if moments:
        assert timeline.around(moments[0])[0] is None
        assert timeline.around(moments[-1])[1] is None
        middle = moments[len(moments) // 2]
        for since, until in ((moments[0], middle), (middle, moments[-1])):
            touched = {
                str(entry.referral) for entry in entries if since <= entry.occurred_at < until
            }
            assert set(timeline.touched(since, until)) == touched


def test_many_moments_are_thinned_evenly_between_the_first_and_the_last() -> None:
    every = [FRIDAY_AFTERNOON + n * HOUR for n in range(1_001)]
    some = evenly(every, 101)
    assert some == every[::10]
    assert evenly(every, 2_000) == every


def test_what_is_told_out_of_order_is_refused_and_changes_nothing() -> None:
    entries = a_referral().accepted_by(HUB).town.entries
    timeline = told(entries[:2])
    with pytest.raises(ReplayError):
        timeline.add(9, entries[3])
    timeline.add(4, entries[2])
    timeline.add(6, entries[3])
    (standing,) = timeline.at()
    assert standing[1].custodian == HUB


def test_the_ward_at_a_moment_shows_who_held_whom_and_which_clocks_ran() -> None:
    town = Town()
    first = a_referral(town=town)
    offered = town.clock.now()
    town.clock.move(timedelta(minutes=5))
    second = a_referral(town=town, finding=between("otsuka", "tomisaka"), urgency="urgent")
    asked = town.clock.now()
    town.clock.move(timedelta(minutes=1))
    first.accepted_by(HUB).requested_from(LIEN)
    accepted = town.clock.now()
    town.clock.move(HOUR)
    first.closed()

    timeline = told(town.entries)
    then = ward_at(timeline, offered, town.clock.now(), masked=True)
    assert [(x["number"], x["custodian"], x["stage"]) for x in then["referrals"]] == [
        (first.state.number, ANSHIN, "offered")
    ]
    (clock,) = then["clocks"]
    assert (clock["kind"], clock["agency"], clock["overdue"]) == ("offer", HUB, False)
    assert then["previous"] is None

    then = ward_at(timeline, asked, town.clock.now(), masked=True)
    assert [x["number"] for x in then["referrals"]] == [first.state.number, second.state.number]
    assert then["custodians"] == [
        {"custodian": ANSHIN, "open": 2, "stages": {"awaiting_ruling": 1, "offered": 1}}
    ]
    call = next(x for x in then["clocks"] if x["kind"] == "call")
    assert (call["code"], call["agency"], call["desk"]) == ("E06", CORE, "core-desk")

    then = ward_at(timeline, accepted, town.clock.now(), masked=True)
    assert {x["agency"] for x in then["clocks"]} == {LIEN, CORE}
    late = ward_at(timeline, accepted + timedelta(minutes=50), town.clock.now(), masked=True)
    assert [x["overdue"] for x in late["clocks"]] == [True, False]
    assert late["overdue"] == 1

    now = ward_at(timeline, None, town.clock.now(), masked=True)
    assert [x["number"] for x in now["referrals"]] == [second.state.number]
    assert {"custodian": HUB, "open": 0, "stages": {"closed": 1}} in now["custodians"]


def test_of_many_open_cases_the_oldest_are_shown_and_the_others_counted() -> None:
    town = Town()
    for _ in range(502):
        a_referral(town=town, urgency="information")
    then = ward_at(told(town.entries), None, town.clock.now(), masked=True)
    assert len(then["referrals"]) == len(then["clocks"]) == 500
    assert (then["more"], then["more_clocks"]) == (2, 2)
    assert then["referrals"][0]["number"].endswith("-000001")
    assert then["custodians"][0]["open"] == 502


@pytest.mark.parametrize("masked", [True, False])
def test_the_district_of_a_protected_address_is_masked_on_the_ward(masked: bool) -> None:
    town = a_referral(address_kind="protected").town
    (shown,) = ward_at(told(town.entries), None, town.clock.now(), masked)["referrals"]
    assert shown["district"] == (None if masked else "motofuji")


def test_a_request_stands_beside_the_case_and_not_in_place_of_it() -> None:
    case = a_referral().accepted_by(HUB).offered_to(LIEN, kind=HandoffKind.REQUEST)
    (standing,) = told(case.town.entries).at()
    assert (standing[1].stage.value, len(standing[1].clocks)) == ("in_care", 1)


def test_a_case_that_was_recorded_late_still_happened_when_it_did() -> None:
    early, late = Town(), Town()
    early_case = a_referral(town=early, urgency="routine")
    late.clock.move(HOUR)
    late_case = a_referral(town=late, urgency="routine")
    timeline = Timeline()
    for index, entry in enumerate([*late.entries, *early.entries]):
        timeline.add(index, entry)
    assert timeline.moments() == [early.clock.now(), late.clock.now()]
    assert timeline.around(late.clock.now())[0] == early.clock.now()
    then = ward_at(timeline, early.clock.now(), late.clock.now(), masked=True)
    assert [x["id"] for x in then["referrals"]] == [str(early_case.id)]
    now = ward_at(timeline, None, late.clock.now(), masked=True)
    assert [x["id"] for x in now["referrals"]] == [str(early_case.id), str(late_case.id)]
    # What is shown of the first moment reaches to the end of what was recorded of it.
    assert then["last_index"] == len(late.entries) + len(early.entries) - 1
