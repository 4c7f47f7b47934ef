"""A request that names nobody goes to whoever the ward lists (空き照会): nobody is asked twice, and what
finds nobody is not lost."""

from datetime import timedelta

import pytest

from schemas import commands as c
from schemas.codes import ClockKind, HandoffKind, HandoffState, Urgency
from schemas.events import EscalationRaised
from schemas.problems import ProblemCode, Refusal
from tests.builders import CORE, HUB, LIEN, STRANGER, Case, a_referral, words
from tests.someone_is_always_responsible.editions import a_town, at, edition

HOME = "sample-home"
HOSPITAL = "sample-hospital"
WEEK = timedelta(days=7)
TWO_HOMES = edition(('agencies = ["sample-home"]\n', 'agencies = ["sample-home", "lien-bunkyo"]\n'))


def asking(case: Case, function: str, text: str | None = None) -> c.OfferHandoff:
    sealed = (words(text),) if text is not None else ()
    return c.OfferHandoff(
        referral=case.id, kind=HandoffKind.REQUEST, function=function, sealed=sealed
    )


def states(case: Case) -> list[tuple[str, HandoffState]]:
    return [(h.receiver, h.state) for h in case.state.handoffs if h.kind is HandoffKind.REQUEST]


def of_the_hub(**fields: object) -> Case:
    return a_referral(**({"urgency": Urgency.ROUTINE} | fields)).accepted_by(HUB)


# -- nobody twice ----------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["emergency", "experience"])
def test_the_list_is_not_asked_again_while_it_is_being_asked(function: str) -> None:
    case = of_the_hub(town=a_town(at(12), TWO_HOMES))
    case.asks(HUB, asking(case, function))
    refusal = case.no(HUB, asking(case, function))
    assert refusal.code is ProblemCode.INVALID_REQUEST
    assert [x.pointer for x in refusal.errors] == ["/to"]
    assert case.codes() == []
    # Another list is not being asked.
    case.asks(HUB, asking(case, "specialist"))


def test_whoever_helps_already_is_not_asked_again() -> None:
    case = of_the_hub()
    case.asks(HUB, asking(case, "emergency")).accepted_by(LIEN)
    case.asks(HUB, asking(case, "emergency"))
    assert states(case) == [
        (LIEN, HandoffState.ACCEPTED),
        (HOSPITAL, HandoffState.WITHDRAWN),
        (HOSPITAL, HandoffState.OFFERED),
    ]


def test_whoever_has_helped_may_be_asked_again() -> None:
    case = of_the_hub()
    case.asks(HUB, asking(case, "experience")).accepted_by(HOME).completed_by(HOME)
    case.asks(HUB, asking(case, "experience"))
    assert states(case) == [(HOME, HandoffState.COMPLETED), (HOME, HandoffState.OFFERED)]


# -- nobody to ask ---------------------------------------------------------------------------------


def test_words_that_found_nobody_to_ask_go_to_the_core_centre() -> None:
    case = of_the_hub()
    case.asks(HUB, asking(case, "experience")).accepted_by(HOME)
    request = asking(case, "experience", "来週から一泊ずつ")
    case.asks(HUB, request)
    (raised,) = case.happened
    assert isinstance(raised, EscalationRaised)
    assert raised.code == "E04"
    assert [x.commitment for x in raised.sealed] == [request.sealed[0].commitment]


def test_words_that_found_somebody_go_to_whoever_is_asked() -> None:
    case = of_the_hub()
    request = asking(case, "experience", "来週から一泊ずつ")
    case.asks(HUB, request)
    (offered,) = case.happened
    assert [x.commitment for x in offered.sealed] == [request.sealed[0].commitment]


def test_when_nobody_can_be_asked_and_the_core_centre_knows_it_is_said_and_nothing_happens() -> (
    None
):
    case = of_the_hub()
    case.asks(HUB, asking(case, "experience")).accepted_by(HOME)
    case.asks(HUB, asking(case, "experience"))
    assert case.codes() == ["E04"]
    refusal = case.no(HUB, asking(case, "experience", "もう一度"))
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.status) == (ProblemCode.INVALID_REQUEST, 422)
    assert [x.pointer for x in refusal.errors] == ["/to"]


# -- nobody left -----------------------------------------------------------------------------------


@pytest.mark.parametrize("last", ["declined", "expired"])
def test_when_one_was_taken_back_and_the_last_does_not_help_nobody_is_left(last: str) -> None:
    case = of_the_hub()
    case.asks(HUB, asking(case, "emergency")).withdrawn_from(LIEN)
    assert case.codes() == []
    if last == "declined":
        case.declined_by(HOSPITAL)
        assert case.codes() == ["E04"]
    else:
        case.later(WEEK)
        assert set(case.codes()) == {"E04", "E08"}
    assert case.escalation("E04").handoff == case.handoff(HOSPITAL).id


def test_as_long_as_one_has_not_answered_somebody_is_left() -> None:
    case = of_the_hub()
    case.asks(HUB, asking(case, "emergency")).declined_by(LIEN)
    assert case.codes() == []


# -- who was named -----------------------------------------------------------------------------------


def test_where_two_were_named_the_lists_next_is_not_asked() -> None:
    case = of_the_hub(town=a_town(at(12), TWO_HOMES))
    named = c.OfferHandoff(
        referral=case.id, to=(HOSPITAL, STRANGER), kind=HandoffKind.REQUEST, function="experience"
    )
    case.asks(HUB, named)
    assert [case.handoff(a).withheld for a in (HOSPITAL, STRANGER)] == [True, True]
    assert [case.handoff(a).listed for a in (HOSPITAL, STRANGER)] == [False, False]
    case.declined_by(HOSPITAL)
    assert [x.type for x in case.happened] == ["handoff_declined"]
    case.later(WEEK)
    assert [a for a, _ in states(case)] == [HOSPITAL, STRANGER]
    # That the last one is silent is silence, not that the ward has nobody left.
    assert case.codes() == ["E08"]


def test_while_named_ones_are_asked_the_list_may_be() -> None:
    case = of_the_hub(town=a_town(at(12), TWO_HOMES))
    named = c.OfferHandoff(
        referral=case.id, to=(HOSPITAL, STRANGER), kind=HandoffKind.REQUEST, function="experience"
    )
    case.asks(HUB, named).asks(HUB, asking(case, "experience")).declined_by(HOME)
    assert [a for a, _ in states(case)] == [HOSPITAL, STRANGER, HOME, LIEN]
    assert [case.handoff(a).listed for a in (HOME, LIEN)] == [True, True]
    assert case.handoff(LIEN).offer == case.handoff(HOME).offer


# -- how long the core centre has ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("urgency", "clock", "due"),
    [
        # Friday afternoon; Monday is a holiday.
        (Urgency.EMERGENCY, ClockKind.WALL, at(17, 20)),
        (Urgency.URGENT, ClockKind.BUSINESS, at(11, 20, day=24)),
        (Urgency.ROUTINE, ClockKind.BUSINESS, at(16, 50, day=24)),
        (Urgency.INFORMATION, ClockKind.BUSINESS, at(16, 50, day=24)),
    ],
)
def test_only_in_an_emergency_a_missing_bed_wakes_somebody_at_night(
    urgency: Urgency, clock: ClockKind, due: object
) -> None:
    case = of_the_hub(urgency=urgency).escalated_by(HUB, "E04")
    (raised,) = case.happened
    assert (raised.due.clock, raised.due.at) == (clock, due)
    assert case.escalation("E04").called == (CORE,)
