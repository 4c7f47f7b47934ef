"""Whatever anybody wishes, in whatever order: the rules that hold at every step."""

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import commands as c
from schemas import events as e
from schemas.codes import EscalationState, HandoffKind, HandoffState, Stage
from schemas.events import event_adapter
from schemas.journal import JournalEntry
from schemas.problems import ProblemCode, Refusal
from schemas.referral import Referral, evolve, referral_adapter
from services.referral.deciding import written_down
from services.referral.involvement import ever_involved, may_open
from services.referral.lifecycle import decide
from tests.builders import AUDITOR, BUNKYO, Town, a_command, a_submission
from tests.stories import Wish, command_of, moved, stories, wishes


def told(story: list[Wish]) -> Town:
    town = Town()
    for number, wish in enumerate(story):
        town.clock.move(moved(wish))
        town.strike()
        town.ask(command_of(wish, list(town.states.values()), number))
    return town


def versions(town: Town) -> dict[str, list[tuple[JournalEntry, Referral]]]:
    """Each referral's entries, each with the state it led to."""
    ways: dict[str, list[tuple[JournalEntry, Referral]]] = {}
    for entry in town.entries:
        way = ways.setdefault(str(entry.referral), [])
        way.append((entry, evolve(way[-1][1] if way else None, entry)))
    return ways


def standing_transfers(state: Referral) -> list[object]:
    return [h for h in state.handoffs if h.stands and h.kind is HandoffKind.TRANSFER]


@settings(max_examples=80)
@given(stories)
def test_every_version_has_one_custodian_and_only_who_takes_the_case_moves_custody(
    story: list[Wish],
) -> None:
    for way in versions(told(story)).values():
        custodian = None
        for entry, state in way:
            agency = BUNKYO.agency(state.custodian)
            assert agency is not None
            assert agency.kind != "auditor"
            if custodian is None:
                assert state.custodian == state.sender == entry.actor
            elif state.custodian != custodian:
                assert isinstance(
                    entry.event, e.HandoffAccepted | e.EscalationAcknowledged | e.CustodyTaken
                )
                assert state.custodian == entry.actor == entry.event.by
            if isinstance(entry.event, e.EscalationAcknowledged):
                call = state.escalation(entry.event.escalation)
                takes = entry.actor == BUNKYO.core and not entry.event.advise_only
                # What few know of moves nothing: that the case is taken is said beside it.
                takes = takes and not call.restricted
                assert state.custodian == (entry.actor if takes else custodian)
            if isinstance(entry.event, e.HandoffAccepted):
                handoff = state.handoff(entry.event.handoff)
                assert handoff.receiver == entry.actor
                moves = handoff.kind is HandoffKind.TRANSFER
                assert state.custodian == (entry.actor if moves else custodian)
            custodian = state.custodian


@settings(max_examples=80)
@given(stories)
def test_after_each_decision_nothing_stands_that_could_move_custody_a_second_time(
    story: list[Wish],
) -> None:
    town = Town()
    for number, wish in enumerate(story):
        town.clock.move(moved(wish))
        town.strike()
        command = command_of(wish, list(town.states.values()), number)
        before = town.referral_of(command.action)
        custodian = before.custodian if before is not None else None
        decision = town.ask(command)
        if isinstance(decision, Refusal):
            continue
        state = town.states[town.entries[-1].referral]
        accepted = [x for x in decision if isinstance(x, e.HandoffAccepted)]
        if accepted and state.handoff(accepted[0].handoff).kind is HandoffKind.TRANSFER:
            assert not standing_transfers(state)
        if accepted:
            offer = state.handoff(accepted[0].handoff).offer
            assert not [h for h in state.handoffs if h.offer == offer and h.stands]
        took = [x for x in decision if isinstance(x, e.EscalationAcknowledged | e.CustodyTaken)]
        if took and state.custodian != custodian:
            assert not standing_transfers(state)
        if state.ended:
            assert not [h for h in state.handoffs if h.stands]
        assert (state.stage is Stage.OFFERED) == (
            bool(standing_transfers(state))
            and not state.ended
            and not (state.district and state.district.id is None)
        )


@settings(max_examples=80)
@given(stories)
def test_what_is_still_open_when_a_case_ends_is_in_hand_or_known_to_few(story: list[Wish]) -> None:
    for way in versions(told(story)).values():
        before = None
        for _, state in way:
            if state.ended:
                open_ = [x for x in state.escalations if x.open]
                if before is not None and not before.ended:
                    in_hand = EscalationState.ACKNOWLEDGED
                    assert all(x.state is in_hand or x.restricted for x in open_)
                else:
                    # But for a suspicion of abuse, nothing is called anew, and nothing that was over
                    # is called again.
                    before_it = {x.id for x in before.escalations}
                    still_open = {x.id for x in before.escalations if x.open}
                    anew = [x for x in open_ if x.id not in still_open]
                    assert all(x.restricted and x.id not in before_it for x in anew)
            before = state


def openers(state: Referral) -> set[str]:
    return {a.id for a in BUNKYO.agencies if may_open(state, a.id, BUNKYO)}


@settings(max_examples=80)
@given(stories)
def test_a_suspicion_opens_a_case_to_the_desk_that_is_called_and_to_nobody_else(
    story: list[Wish],
) -> None:
    town = told(story)
    for state in list(town.states.values()):
        for agency in ever_involved(state):
            command = a_command(c.RaiseEscalation(referral=state.id, reason="E03"), agency)
            decision = decide(state, command, town.context())
            if isinstance(decision, Refusal):
                continue
            after = written_down(state, command, decision, town.clock.now())[-1][1]
            assert openers(after) <= openers(state) | {decision[0].to}
            assert decision[0].to in openers(after)


@settings(max_examples=80)
@given(stories)
def test_whatever_is_open_has_a_clock_and_no_clock_that_ran_out_still_runs(
    story: list[Wish],
) -> None:
    town = Town()
    for number, wish in enumerate(story):
        town.clock.move(moved(wish))
        town.strike()
        town.ask(command_of(wish, list(town.states.values()), number))
        for state in town.states.values():
            open_ = {h.id for h in state.handoffs if h.stands}
            open_ |= {x.id for x in state.escalations if x.open}
            assert {clock.subject for clock in state.clocks} == open_
            assert all(clock.due_at > town.clock.now() for clock in state.clocks)


@settings(max_examples=80)
@given(stories)
def test_versions_follow_each_other_and_nobody_takes_one_offer_twice(story: list[Wish]) -> None:
    town = told(story)
    for way in versions(town).values():
        assert [entry.version for entry, _ in way] == list(range(1, len(way) + 1))
        offers = Counter(
            h.offer
            for h in way[-1][1].handoffs
            if h.state in (HandoffState.ACCEPTED, HandoffState.COMPLETED)
        )
        assert set(offers.values()) <= {1}
    ids = [entry.id for entry in town.entries]
    assert len(set(ids)) == len(ids)


@settings(max_examples=80)
@given(stories)
def test_deciding_is_a_pure_function_and_either_something_happens_or_it_is_refused(
    story: list[Wish],
) -> None:
    town = Town()
    for number, wish in enumerate(story):
        town.clock.move(moved(wish))
        town.strike()
        command = command_of(wish, list(town.states.values()), number)
        state, context = town.referral_of(command.action), town.context()
        kept = replace(
            context, rulings=dict(context.rulings), last_number=dict(context.last_number)
        )
        first, second = (decide(state, command, context) for _ in range(2))
        assert first == second
        assert context == kept
        assert isinstance(first, Refusal) or len(first) > 0
        again = town.ask(c.Command.from_json(command.to_json()))
        assert again == first


@settings(max_examples=80)
@given(stories)
def test_events_and_states_survive_being_written_down(story: list[Wish]) -> None:
    town = told(story)
    for entry in town.entries:
        assert event_adapter.validate_json(event_adapter.dump_json(entry.event)) == entry.event
        assert JournalEntry.from_json(entry.to_json()) == entry
    for state in town.states.values():
        assert referral_adapter.validate_json(referral_adapter.dump_json(state)) == state


@settings(max_examples=80)
@given(stories, wishes, st.sampled_from([a.id for a in BUNKYO.agencies] + ["nobody-at-all"]))
def test_who_has_no_part_in_a_case_cannot_tell_it_from_one_that_does_not_exist(
    story: list[Wish], wish: Wish, agency: str
) -> None:
    town = told(story)
    command = command_of(wish, list(town.states.values()), len(story))
    state = town.referral_of(command.action)
    if state is None or isinstance(command.action, c.SubmitReferral):
        return
    command = a_command(command.action, agency)
    decision = decide(state, command, town.context())
    if agency not in ever_involved(state) and agency != BUNKYO.core:
        assert decision == decide(None, command, town.context())
        assert decision == Refusal(ProblemCode.NOT_INVOLVED)


@settings(max_examples=80)
@given(stories, wishes)
def test_an_auditor_changes_nothing(story: list[Wish], wish: Wish) -> None:
    town = told(story)
    command = command_of(wish, list(town.states.values()), len(story))
    decision = decide(
        town.referral_of(command.action), a_command(command.action, AUDITOR), town.context()
    )
    assert decision == Refusal(ProblemCode.NOT_INVOLVED)


codes = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_.-]{0,8}\Z")


@settings(max_examples=80)
@given(
    st.builds(
        c.Finding,
        district=st.none() | codes | st.just("motofuji"),
        basis=st.sampled_from(["whole", "ambiguous", "ruled", "stated"]),
        candidates=st.lists(codes | st.just("motofuji"), max_size=3).map(tuple),
    ),
    st.none() | codes,
    codes,
)
def test_an_answer_is_found_even_for_districts_that_this_ward_does_not_have(
    finding: c.Finding, district: str | None, ruled: str
) -> None:
    town = Town()
    submission = a_submission(finding=finding, to_district=district)
    town.ask(a_command(submission))
    for named in {ruled, *finding.candidates}:
        town.ask(a_command(c.RuleDistrict(referral=submission.referral, district=named), "core"))
