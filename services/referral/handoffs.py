"""Hand-offs: asking an agency, and what may come of it (打診と回答). Pure."""

from datetime import datetime
from typing import assert_never
from uuid import UUID

from runtime.ids import derived_id
from schemas import commands as c
from schemas import events as e
from schemas.codes import HandoffKind, HandoffState, Stage, Urgency, WithdrawnBecause
from schemas.problems import ProblemCode, Refusal, invalid
from schemas.referral import Handoff, Referral
from schemas.sealed import Commitment
from services.referral import clocks
from services.referral.deciding import Context, Decision, sealed_of, unknown_agency
from wards import opening
from wards.agencies import Agency
from wards.escalation import Ask

_TAKEN_OR_OPEN = (HandoffState.OFFERED, HandoffState.ACCEPTED)


def offers(
    command: c.Command,
    receivers: tuple[str, ...],
    kind: HandoffKind,
    function: str,
    sender: str,
    urgency: Urgency,
    context: Context,
    *,
    offer: UUID | None = None,
    sealed: tuple[Commitment, ...] = (),
    withheld: bool = False,
    listed: bool = False,
) -> list[e.Event]:
    """One offer to several receivers, each with its own clock. The words beside it are said once,
    with the first."""
    offer = offer or derived_id(context.now, command.id, "offer")
    return [
        e.HandoffOffered(
            sealed=sealed if position == 0 else (),
            handoff=derived_id(context.now, command.id, "handoff", receiver),
            offer=offer,
            kind=kind,
            function=function,
            sender=sender,
            receiver=receiver,
            due=clocks.due(
                context.ward.calls.to_answer(urgency),
                f"answer.{urgency}",
                context.now,
                _agency(receiver, context),
                context.holidays,
            ),
            withheld=withheld,
            listed=listed,
        )
        for position, receiver in enumerate(receivers)
    ]


def _agency(agency_id: str, context: Context) -> Agency:
    agency = context.ward.agency(agency_id)
    if agency is None:
        raise ValueError("an offer to an agency that is not in the directory")
    return agency


def will_answer(receiver: str, urgency: Urgency, context: Context) -> bool:
    """Whether somebody is there for the whole of the clock that an offer starts now. An offer ten
    minutes before closing time, with a quarter of an hour to answer, would be a clock without a
    watcher."""
    agency = _agency(receiver, context)
    deadline = context.ward.calls.to_answer(urgency)
    due = clocks.due(deadline, "", context.now, agency, context.holidays)
    return opening.stays_open(agency.hours, context.now, due.at, context.holidays)


def offer(
    state: Referral, command: c.Command, action: c.OfferHandoff, context: Context
) -> Decision:
    if state.ended:
        return Refusal(ProblemCode.ALREADY_CLOSED)
    by_core = command.agency == context.ward.core
    if not by_core and command.agency != state.custodian:
        return Refusal(ProblemCode.NOT_CUSTODIAN)
    transfer = action.kind is HandoffKind.TRANSFER
    if state.stage is Stage.AWAITING_RULING and transfer:
        # Where the district is undecided, nobody passes the case on by guess.
        return Refusal(ProblemCode.AWAITING_RULING)
    function = action.function or state.function
    if not context.ward.knows("functions", function):
        return invalid("/function", "この区にない機能です / no such function in this ward")
    for position, receiver in enumerate(action.to):
        if not context.may_act(receiver):
            return unknown_agency(f"/to/{position}")
        if transfer and receiver == state.custodian:
            return invalid(f"/to/{position}", "すでに担当機関です / is custodian already")
        if _asked(state, receiver, action.kind):
            return invalid(f"/to/{position}", "すでに打診中です / an offer to it stands already")
    receivers = tuple(dict.fromkeys(action.to))
    if not receivers:
        found = _candidates(state, action, function, context)
        if isinstance(found, Refusal):
            return found
        receivers = found
    # Whoever may only hear of it among several learns about whom when it is the one that helps.
    withheld = not transfer and (not action.to or len(receivers) > 1)
    return offers(
        command, receivers, action.kind, function, command.agency, state.urgency, context,
        sealed=sealed_of(action), withheld=withheld, listed=not action.to,
    )  # fmt: skip


def _asked(state: Referral, receiver: str, kind: HandoffKind) -> bool:
    return any(h.stands and h.receiver == receiver and h.kind is kind for h in state.handoffs)


def _candidates(
    state: Referral, action: c.OfferHandoff, function: str, context: Context
) -> tuple[str, ...] | Refusal:
    """Whom the ward's list says to ask now, perhaps nobody: in an emergency only who is there."""
    if action.kind is HandoffKind.TRANSFER:
        return invalid("/to", "引き継ぎには宛先が要ります / a transfer needs a receiver")
    listed = context.ward.calls.candidates_for(function)
    if listed is None:
        return invalid("/to", "この機能の候補が登録されていません / the ward lists no candidates")
    if any(h.stands and h.listed and h.function == function for h in state.handoffs):
        return invalid("/to", "候補に打診中です / the ward's candidates are being asked")
    free = tuple(agency for agency in listed.agencies if _free(state, agency, context))
    return free[:1] if listed.ask is Ask.IN_ORDER else free


def _free(state: Referral, agency: str, context: Context) -> bool:
    """Whether a candidate can be asked now: not asked already, nor helping already, and in an
    emergency, there."""
    return (
        context.may_act(agency)
        and agency != state.custodian
        and not any(
            h.receiver == agency and h.kind is HandoffKind.REQUEST and h.state in _TAKEN_OR_OPEN
            for h in state.handoffs
        )
        and (state.urgency is not Urgency.EMERGENCY or will_answer(agency, state.urgency, context))
    )


def next_candidate(
    state: Referral, ended: Handoff, command: c.Command, context: Context
) -> list[e.Event]:
    """Whoever is next on the ward's list is asked, when one that was asked in turn has said no or
    nothing."""
    listed = context.ward.calls.candidates_for(ended.function)
    if not ended.listed or listed is None or listed.ask is not Ask.IN_ORDER:
        return []
    asked = {h.receiver for h in state.handoffs if h.offer == ended.offer}
    for agency in listed.agencies:
        if agency not in asked and _free(state, agency, context):
            return offers(
                command, (agency,), ended.kind, ended.function, ended.sender, state.urgency,
                context, offer=ended.offer, withheld=True, listed=True,
            )  # fmt: skip
    return []


def _answerable(state: Referral, handoff_id: UUID, agency: str) -> Handoff | Refusal:
    """The hand-off that ``agency`` may answer now."""
    handoff = state.handoff(handoff_id)
    if handoff is None or handoff.receiver != agency:
        return Refusal(ProblemCode.NOT_INVOLVED)
    match handoff.state:
        case HandoffState.OFFERED:
            return handoff
        case HandoffState.WITHDRAWN | HandoffState.EXPIRED:
            return Refusal(ProblemCode.NOT_OFFERED)
        case HandoffState.ACCEPTED | HandoffState.DECLINED | HandoffState.COMPLETED:
            return Refusal(ProblemCode.ALREADY_ANSWERED)
        case _:
            assert_never(handoff.state)


def withdrawn(handoffs: list[Handoff], by: str, because: WithdrawnBecause) -> list[e.Event]:
    """``handoffs`` stop standing."""
    return [e.HandoffWithdrawn(handoff=h.id, by=by, because=because) for h in handoffs]


def standing_transfers(state: Referral) -> list[Handoff]:
    return [h for h in state.handoffs if h.stands and h.kind is HandoffKind.TRANSFER]


def accepted_transfers(state: Referral) -> list[Handoff]:
    """Who took the case over, in the order in which they did."""
    accepted = [
        h
        for h in state.handoffs
        if h.kind is HandoffKind.TRANSFER and h.state is HandoffState.ACCEPTED
    ]
    return sorted(accepted, key=when_answered)


def when_answered(handoff: Handoff) -> datetime:
    return handoff.answered_at or handoff.offered_at


def accept(state: Referral, command: c.Command, action: c.AcceptHandoff) -> Decision:
    handoff = _answerable(state, action.handoff, command.agency)
    if isinstance(handoff, Refusal):
        return handoff
    transfer = handoff.kind is HandoffKind.TRANSFER
    accepted = e.HandoffAccepted(
        sealed=sealed_of(action),
        handoff=handoff.id,
        by=command.agency,
        custodian=command.agency if transfer else state.custodian,
    )
    # The first acceptance wins: every other standing offer of the same thing ends in this step. Of
    # transfers there can be only one winner, whichever offer it came by.
    others = [
        h
        for h in state.handoffs
        if h.stands
        and h.id != handoff.id
        and (h.offer == handoff.offer or (transfer and h.kind is HandoffKind.TRANSFER))
    ]
    elsewhere = WithdrawnBecause.ACCEPTED_ELSEWHERE
    return [accepted, *withdrawn(others, command.agency, elsewhere)]


def decline(
    state: Referral, command: c.Command, action: c.DeclineHandoff, context: Context
) -> Decision:
    handoff = _answerable(state, action.handoff, command.agency)
    if isinstance(handoff, Refusal):
        return handoff
    if not context.ward.knows("decline_reasons", action.reason):
        return invalid("/reason", "この区にない理由です / no such reason in this ward")
    declined = e.HandoffDeclined(
        sealed=sealed_of(action),
        handoff=handoff.id,
        by=command.agency,
        said_by=action.said_by,
        reason=action.reason,
    )
    return [declined, *next_candidate(state, handoff, command, context)]


def expire(state: Referral, command: c.Command, handoff: Handoff, context: Context) -> Decision:
    """The receiver's clock ran out (無回答)."""
    if not handoff.stands or handoff.due_at is None:
        return []
    expired = e.HandoffExpired(handoff=handoff.id, overdue_since=handoff.due_at)
    return [expired, *next_candidate(state, handoff, command, context)]


def withdraw(
    state: Referral, command: c.Command, action: c.WithdrawHandoff, context: Context
) -> Decision:
    handoff = state.handoff(action.handoff)
    if handoff is None or command.agency not in (handoff.sender, context.ward.core):
        return Refusal(ProblemCode.NOT_INVOLVED)
    if not handoff.stands:
        answered = handoff.state in (HandoffState.WITHDRAWN, HandoffState.EXPIRED)
        return Refusal(ProblemCode.NOT_OFFERED if answered else ProblemCode.ALREADY_ANSWERED)
    return [
        e.HandoffWithdrawn(
            sealed=sealed_of(action),
            handoff=handoff.id,
            by=command.agency,
            because=WithdrawnBecause.BY_SENDER,
        )
    ]


def complete(
    state: Referral, command: c.Command, action: c.CompleteHandoff, context: Context
) -> Decision:
    handoff = state.handoff(action.handoff)
    if handoff is None or handoff.receiver != command.agency:
        return Refusal(ProblemCode.NOT_INVOLVED)
    if handoff.kind is not HandoffKind.REQUEST:
        return invalid("", "完了報告は依頼に対して行います / only a request is completed")
    if handoff.state is HandoffState.COMPLETED:
        return Refusal(ProblemCode.ALREADY_ANSWERED)
    if handoff.state is not HandoffState.ACCEPTED:
        return Refusal(ProblemCode.NOT_OFFERED)
    if not context.ward.knows("outcomes", action.outcome):
        return invalid("/outcome", "この区にない結果です / no such outcome in this ward")
    return [
        e.HandoffCompleted(
            sealed=sealed_of(action),
            handoff=handoff.id,
            by=command.agency,
            outcome=action.outcome,
        )
    ]
