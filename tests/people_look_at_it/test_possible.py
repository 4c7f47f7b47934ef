"""The page offers what the deciding service would accept, and nothing else: checked against ``decide`` itself,
for every agency, at the end of any story."""

from uuid import uuid4

from hypothesis import given, settings

from schemas import commands as c
from schemas.codes import HandoffKind, SaidBy
from schemas.outside import local_day
from schemas.partner import ReferralGiven
from schemas.problems import Refusal
from schemas.referral import Referral
from services.console.referral.possible import Possible, possible
from services.referral.involvement import may_see
from services.referral.lifecycle import decide
from services.referral.views import referral_given
from tests.builders import (
    ANSHIN,
    AUDITOR,
    BUNKYO,
    CORE,
    HUB,
    LIEN,
    STRANGER,
    Town,
    a_command,
    a_referral,
)
from tests.stories import AGENCIES, Wish, command_of, moved, stories


def seen_by(agency: str, state: Referral, town: Town) -> Possible:
    given = ReferralGiven.model_validate(referral_given(state, agency, BUNKYO))
    return possible(given, agency, BUNKYO, local_day(town.clock.now()))


def accepted(town: Town, state: Referral, agency: str, action: c.Action) -> bool:
    """Decided and forgotten."""
    return not isinstance(decide(state, a_command(action, agency), town.context()), Refusal)


def agrees(town: Town, state: Referral, agency: str) -> None:
    """Everything that a form could send, against what would be said to it."""
    may = seen_by(agency, state, town)
    ref = state.id

    def ask(action: c.Action) -> bool:
        return accepted(town, state, agency, action)

    for to in AGENCIES:
        for kind, offered in (
            (HandoffKind.TRANSFER, may.transfer),
            (HandoffKind.REQUEST, may.request),
        ):
            action = c.OfferHandoff(referral=ref, to=(to,), kind=kind)
            assert ask(action) == (to in offered), (agency, kind, to)
    for function in may.listed:
        # More is not offered than could be; that they are being asked already is said on the spot.
        assert may.request or not function
    for h in state.handoffs:
        assert ask(c.AcceptHandoff(handoff=h.id)) == (h.id in {x.id for x in may.answer})
        declined = c.DeclineHandoff(handoff=h.id, said_by=SaidBy.AGENCY, reason="no_capacity")
        assert ask(declined) == (h.id in {x.id for x in may.answer})
        assert ask(c.WithdrawHandoff(handoff=h.id)) == (h.id in {x.id for x in may.withdraw})
        completed = c.CompleteHandoff(handoff=h.id, outcome="got_help")
        assert ask(completed) == (h.id in {x.id for x in may.complete})
    for reason in BUNKYO.escalation_reasons:
        raised = c.RaiseEscalation(referral=ref, reason=reason.code)
        assert ask(raised) == (reason.code in may.escalate), (agency, reason.code)
    assert ask(c.AddNote(referral=ref)) == may.note
    assert ask(c.CloseReferral(referral=ref, outcome="got_help")) == may.close
    assert ask(c.CancelReferral(referral=ref)) == may.cancel
    assert ask(c.ReopenReferral(referral=ref)) == may.reopen


@settings(max_examples=40, deadline=None)
@given(stories)
def test_after_any_story_the_page_offers_what_would_be_accepted(wishes: list[Wish]) -> None:
    town = Town()
    for number, wish in enumerate(wishes):
        town.clock.move(moved(wish))
        town.strike()
        town.ask(command_of(wish, list(town.states.values()), number))
    for state in town.states.values():
        for agency in AGENCIES:
            if may_see(state, agency, BUNKYO):
                agrees(town, state, agency)


def test_along_an_ordinary_way_the_page_offers_what_would_be_accepted() -> None:
    case = a_referral(urgency="routine")

    def holds() -> None:
        for agency in (ANSHIN, HUB, LIEN, CORE, AUDITOR):
            if may_see(case.state, agency, BUNKYO):
                agrees(case.town, case.state, agency)

    holds()
    case.accepted_by(HUB)
    holds()
    case.requested_from(LIEN).accepted_by(LIEN)
    holds()
    case.escalated_by(LIEN, "E03")  # which the custodian must not know of
    holds()
    case.completed_by(LIEN).closed()
    holds()
    case.reopened()
    holds()


def test_an_auditor_may_do_nothing_and_whoever_has_left_the_network_neither() -> None:
    case = a_referral()
    assert not seen_by(AUDITOR, case.state, case.town).any
    given = ReferralGiven.model_validate(referral_given(case.state, CORE, BUNKYO))
    assert not possible(given, "nobody-at-all", BUNKYO, local_day(case.town.clock.now())).any


def test_a_form_that_is_gone_is_known_to_be_gone() -> None:
    case = a_referral()
    may = seen_by(HUB, case.state, case.town)
    handoff = str(case.handoff(HUB).id)
    assert not may.allows("close")
    assert not may.allows("complete", handoff)
    by_sender = seen_by(ANSHIN, case.state, case.town)
    assert by_sender.allows("withdraw", handoff)
    assert not by_sender.allows("withdraw", str(uuid4()))
    assert by_sender.allows("cancel")
    assert not may.allows("no-such-deed")
    assert STRANGER not in {h.to for h in may.answer}
