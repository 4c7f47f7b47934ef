"""Random stories: what many agencies wish to do next, told without knowing how things stand.

A wish names its referral or hand-off by position, and its agency often by part ("the receiver"), so
that many wishes are possible ones and a failing story shrinks to the few that matter.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from hypothesis import strategies as st

from schemas import commands as c
from schemas.codes import Disposition, HandoffKind, MediaType, SaidBy, Urgency
from schemas.referral import Escalation, Handoff, Referral
from schemas.sealed import Group
from tests.builders import (
    BUNKYO,
    a_command,
    a_submission,
    an_id,
    between,
    settled_in,
    words,
)

AGENCIES = tuple(agency.id for agency in BUNKYO.agencies)
DISTRICTS = tuple(district.id for district in BUNKYO.districts)
FINDINGS = (
    settled_in("motofuji"),
    settled_in("komagome"),
    between("otsuka", "tomisaka", block="0a" * 32),
    between("komagome", "tomisaka", block="0b" * 32),
    between("otsuka", "tomisaka", block=None),
    None,
)
FUNCTIONS = (None, "specialist", "experience", "community")
"""One list of the ward is asked at once, two in order, and one it does not have."""
KINDS = (
    "submit", "submit", "offer", "offer", "accept", "accept", "accept", "decline", "withdraw",
    "complete", "rule", "rule", "escalate", "acknowledge", "acknowledge", "resolve", "resolve",
    "note", "attach", "close", "cancel", "reopen",
)  # fmt: skip
PARTS = ("custodian", "sender", "receiver", "asker", "called")
WHOSE = {
    "accept": "receiver", "decline": "receiver", "complete": "receiver", "withdraw": "asker",
    "rule": BUNKYO.core, "cancel": "sender", "acknowledge": BUNKYO.core, "resolve": BUNKYO.core,
}  # fmt: skip


@dataclass(frozen=True)
class Wish:
    kind: str
    who: str  # an agency, or the part it has in the referral
    which: int
    to: tuple[str, ...]
    flag: bool
    code: int
    minutes: int


_anybody = (*AGENCIES, "nobody-at-all")


def _wishes(kinds: tuple[str, ...], who: tuple[str, ...]) -> st.SearchStrategy[Wish]:
    return st.builds(
        Wish,
        kind=st.sampled_from(kinds),
        who=st.sampled_from(who),
        which=st.integers(0, 5),
        to=st.lists(st.sampled_from(_anybody), min_size=1, max_size=3).map(tuple),
        flag=st.booleans(),
        code=st.integers(0, 5),
        minutes=st.sampled_from((0, 0, 0, 1, 20, 60, 4 * 1440)),
    )


# "whoever may" as often as all parts and all agencies together.
wishes = _wishes(KINDS, (*("whoever may",) * 12, *PARTS, *_anybody))
stories = st.builds(
    lambda first, rest: [*first, *rest],
    st.lists(_wishes(("submit",), AGENCIES), min_size=1, max_size=3),
    st.lists(wishes, min_size=8, max_size=30),
)


def command_of(wish: Wish, states: list[Referral], number: int) -> c.Command:
    """The command that a wish becomes, as things stand. ``number`` makes it one of a kind."""
    state = states[-1 - wish.which % len(states)] if states else None
    handoff, escalation = _handoff(wish, state), _escalation(wish, state)
    action = _action(wish, state, handoff, escalation, number)
    if wish.flag and wish.kind not in ("accept", "submit"):
        text = words(f"words {number}")
        action = action.model_copy(update={"sealed": (text,)})
    agency = _agency(wish, state, handoff, escalation)
    return a_command(action, agency, key=f"wish {number}")


def moved(wish: Wish) -> timedelta:
    return timedelta(minutes=wish.minutes)


def _handoff(wish: Wish, state: Referral | None) -> Handoff | None:
    if state is None or not state.handoffs:
        return None
    standing = [h for h in state.handoffs if h.stands]
    among = standing if standing and wish.kind != "complete" and not wish.flag else state.handoffs
    return among[-1 - wish.code % len(among)]


def _escalation(wish: Wish, state: Referral | None) -> Escalation | None:
    if state is None or not state.escalations:
        return None
    among = [x for x in state.escalations if x.open] or state.escalations
    return among[-1 - wish.code % len(among)]


def _agency(
    wish: Wish, state: Referral | None, handoff: Handoff | None, escalation: Escalation | None
) -> str:
    part = WHOSE.get(wish.kind, "custodian") if wish.who == "whoever may" else wish.who
    if part in _anybody:
        return part
    if state is None:
        return BUNKYO.core
    if part == "receiver" and handoff is not None:
        return handoff.receiver
    if part == "asker" and handoff is not None:
        return handoff.sender
    if part == "called" and escalation is not None and escalation.called:
        return escalation.called[-1]
    return state.sender if part == "sender" else state.custodian


def _action(
    wish: Wish,
    state: Referral | None,
    handoff: Handoff | None,
    escalation: Escalation | None,
    number: int,
) -> c.Action:
    referral = state.id if state else an_id("no referral")
    ref = state.number if state and wish.flag else referral
    answered = handoff.id if handoff else an_id("no hand-off")
    call = escalation.id if escalation else an_id("no escalation")
    districts = (*DISTRICTS, "atlantis")
    match wish.kind:
        case "submit":
            finding = FINDINGS[wish.code % len(FINDINGS)]
            return a_submission(
                referral=an_id(f"wished {number}"),
                finding=finding,
                urgency=list(Urgency)[wish.which % 4],
                unregistered=wish.code == 5,
                consent_basis="E27-1-2" if wish.code == 4 else "C2",
                to_agency=wish.to[0] if wish.flag else None,
                to_district=districts[wish.which % 5] if wish.which > 3 else None,
                sealed=(words(f"{number}", Group.IDENTITY), words(f"{number}", Group.SITUATION)),
            )
        case "offer":
            kind = HandoffKind.REQUEST if wish.flag else HandoffKind.TRANSFER
            if wish.flag and wish.code < 3:  # to whoever the ward lists
                function = FUNCTIONS[wish.which % len(FUNCTIONS)]
                return c.OfferHandoff(referral=ref, kind=kind, function=function)
            return c.OfferHandoff(referral=ref, to=wish.to, kind=kind)
        case "accept":
            return c.AcceptHandoff(handoff=answered)
        case "decline":
            return c.DeclineHandoff(handoff=answered, said_by=SaidBy.AGENCY, reason="no_capacity")
        case "withdraw":
            return c.WithdrawHandoff(handoff=answered)
        case "complete":
            return c.CompleteHandoff(handoff=answered, outcome="got_help")
        case "rule":
            named = districts[wish.code % 5]
            if state and state.district and wish.code:
                named = state.district.candidates[wish.code % len(state.district.candidates)]
            return c.RuleDistrict(referral=ref, district=named, remember=wish.flag)
        case "escalate":
            reason = ("E01", "E03", "E10", "E03", "E02", "E99")[wish.code]
            return c.RaiseEscalation(referral=ref, reason=reason)
        case "acknowledge":
            return c.AcknowledgeEscalation(escalation=call, advise_only=wish.flag)
        case "resolve":
            return c.ResolveEscalation(
                escalation=call,
                disposition=list(Disposition)[wish.which % 5],
                to=wish.to[0] if wish.flag else None,
            )
        case "note":
            return c.AddNote(referral=ref)
        case "attach":
            return c.AddAttachment(
                referral=ref, attachment=UUID(int=wish.which), media_type=MediaType.PDF,
                size=wish.code + 1, ciphertext_sha256=f"{wish.code:064x}",
            )  # fmt: skip
        case "close":
            return c.CloseReferral(referral=ref, outcome=("got_help", "bliss")[wish.code // 5])
        case "cancel":
            return c.CancelReferral(referral=ref)
        case _:
            return c.ReopenReferral(referral=ref)
