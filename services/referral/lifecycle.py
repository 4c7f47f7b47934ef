"""The life of a referral: what may happen next, and who may make it happen.

In fixed order: the state and its folding are in ``schemas.referral`` (every reader of the history
folds the same way); here is ``decide``. It is pure and total: the moment, the ward and what the ward
remembers are arguments, a "no" is a value. Deciding never reads a clock and never writes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import assert_never
from uuid import UUID

from runtime.ids import derived_id
from schemas import commands as c
from schemas import events as e
from schemas.codes import (
    AgencyKind,
    HandoffKind,
    HandoffState,
    Stage,
    WithdrawnBecause,
)
from schemas.outside import JAPAN
from schemas.problems import FieldProblem, ProblemCode, Refusal, invalid
from schemas.referral import Handoff, Referral
from schemas.sealed import Commitment
from services.referral import policy
from services.referral.involvement import ever_involved
from services.referral.policy import Remembered
from wards.model import Vocabulary, Ward

Decision = list[e.Event] | Refusal


@dataclass(frozen=True, slots=True)
class Context:
    """What deciding may know beside the state: the moment, the ward, the rulings remembered (by
    the block's keyed hash) and the last referral number given per year."""

    now: datetime
    ward: Ward
    rulings: Mapping[str, Remembered]
    last_number: Mapping[int, int]


def decide(state: Referral | None, command: c.Command, context: Context) -> Decision:
    """The events that ``command`` makes happen to ``state``, or why it cannot be.

    ``state`` is None where no such referral exists; what does not exist and what does not concern
    the asker are refused alike, so nobody can probe for other people's cases.
    """
    action = command.action
    if not _may_act(command.agency, context):
        return Refusal(ProblemCode.NOT_INVOLVED)
    if isinstance(action, c.SubmitReferral):
        if state is not None:
            return Refusal(ProblemCode.IDEMPOTENCY_KEY_REUSED)
        return _submit(command, action, context)
    if state is None or not _concerns(state, command.agency, context):
        return Refusal(ProblemCode.NOT_INVOLVED)
    match action:
        case c.OfferHandoff():
            return _offer(state, command, action, context)
        case c.AcceptHandoff():
            return _accept(state, command, action)
        case c.DeclineHandoff():
            return _decline(state, command, action, context)
        case c.WithdrawHandoff():
            return _withdraw(state, command, action)
        case c.CompleteHandoff():
            return _complete(state, command, action, context)
        case c.RuleDistrict():
            return _rule(state, command, action, context)
        case c.RaiseEscalation():
            return _escalate(state, command, action, context)
        case c.AddNote():
            return _note(state, command, action, context)
        case c.CloseReferral():
            return _close(state, command, action, context)
        case c.CancelReferral():
            return _cancel(state, command)
        case c.ReopenReferral():
            return _reopen(state, command)
        case c.ProbeWriting():
            return []
        case _:
            assert_never(action)


def _may_act(agency_id: str, context: Context) -> bool:
    agency = context.ward.agency(agency_id)
    return (
        agency is not None
        and agency.kind is not AgencyKind.AUDITOR
        and agency.active_on(_day(context))
    )


def _day(context: Context) -> date:
    """The day in Japan."""
    return context.now.astimezone(JAPAN).date()


def _concerns(state: Referral, agency: str, context: Context) -> bool:
    return agency == context.ward.core or agency in ever_involved(state)


def _sealed(action: c.Asked) -> tuple[Commitment, ...]:
    return tuple(Commitment(group=s.group, commitment=s.commitment) for s in action.sealed)


def _submit(command: c.Command, action: c.SubmitReferral, context: Context) -> Decision:
    ward, sender = context.ward, command.agency
    refusal = _unknown_codes(action, ward)
    if refusal is not None:
        return refusal
    if action.to_agency is not None and not _can_receive(action.to_agency, context):
        return _unknown_agency("/to/agency")
    if action.to_district is not None and ward.district(action.to_district) is None:
        return invalid("/to/district", "この区にない地区です / no such district in this ward")
    if action.finding is not None and not _of_this_ward(action.finding, ward):
        return invalid("/address", "この区にない地区です / no such district in this ward")
    year = context.now.astimezone(JAPAN).year
    number = f"{ward.code}-{year}-{context.last_number.get(year, 0) + 1:06d}"
    submitted = e.ReferralSubmitted(
        sealed=_sealed(action),
        number=number,
        sender=sender,
        sender_reference=action.sender_reference,
        function=action.function,
        urgency=action.urgency,
        requested_action=action.requested_action,
        requested_by=action.requested_by,
        topics=action.topics,
        reported_by=action.reported_by,
        household=action.household,
        address_kind=action.address_kind,
        consent_basis=action.consent_basis,
        consent_obtained_at=action.consent_obtained_at,
        to_agency=action.to_agency,
        to_district=action.to_district,
    )
    route = policy.route(action, ward, context.rulings, _day(context))
    if isinstance(route, Refusal):
        return route
    happened: list[e.Event] = [submitted]
    if route.found is not None:
        happened.append(route.found)
    if route.ask is not None:
        happened.append(route.ask)
    if route.receiver is not None and route.receiver != sender:
        happened += _offers(
            command, (route.receiver,), HandoffKind.TRANSFER, action.function, sender, context
        )
    return happened


def _unknown_codes(action: c.SubmitReferral, ward: Ward) -> Refusal | None:
    """Codes that the ward's tables do not have, each with its place."""
    given: list[tuple[str, Vocabulary, str]] = [("/function", "functions", action.function)]
    if action.requested_action is not None:
        given.append(("/requested_action", "requested_actions", action.requested_action))
    given += [(f"/topics/{n}", "topics", topic) for n, topic in enumerate(action.topics)]
    given.append(("/consent/basis", "consent_bases", action.consent_basis))
    errors = tuple(
        FieldProblem(pointer, "この区にない符号です / no such code in this ward")
        for pointer, vocabulary, code in given
        if not ward.knows(vocabulary, code)
    )
    return Refusal(ProblemCode.INVALID_REQUEST, errors) if errors else None


def _of_this_ward(finding: c.Finding, ward: Ward) -> bool:
    """Whoever read the address may have had another edition of the ward's file."""
    named = finding.candidates if finding.district is None else (finding.district,)
    return bool(named) and all(ward.district(d) is not None for d in (*named, *finding.candidates))


def _unknown_agency(pointer: str) -> Refusal:
    detail = "名簿にない機関です / not in the directory"
    return Refusal(ProblemCode.UNKNOWN_AGENCY, (FieldProblem(pointer, detail),))


def _can_receive(agency_id: str, context: Context) -> bool:
    return _may_act(agency_id, context)


def _offers(
    command: c.Command,
    receivers: tuple[str, ...],
    kind: HandoffKind,
    function: str,
    sender: str,
    context: Context,
    sealed: tuple[Commitment, ...] = (),
) -> list[e.Event]:
    """One offer to several receivers. The words beside it are said once, with the first."""
    offer = derived_id(context.now, command.id, "offer")
    return [
        e.HandoffOffered(
            sealed=sealed if position == 0 else (),
            handoff=derived_id(context.now, command.id, "handoff", receiver),
            offer=offer,
            kind=kind,
            function=function,
            sender=sender,
            receiver=receiver,
        )
        for position, receiver in enumerate(receivers)
    ]


def _offer(
    state: Referral, command: c.Command, action: c.OfferHandoff, context: Context
) -> Decision:
    if state.ended:
        return Refusal(ProblemCode.ALREADY_CLOSED)
    by_core = command.agency == context.ward.core
    if not by_core and command.agency != state.custodian:
        return Refusal(ProblemCode.NOT_CUSTODIAN)
    if state.stage is Stage.AWAITING_RULING and action.kind is HandoffKind.TRANSFER:
        # Where the district is undecided, nobody passes the case on by guess.
        return Refusal(ProblemCode.AWAITING_RULING)
    function = action.function or state.function
    if not context.ward.knows("functions", function):
        return invalid("/function", "この区にない機能です / no such function in this ward")
    receivers = tuple(dict.fromkeys(action.to))
    for position, receiver in enumerate(action.to):
        if not _can_receive(receiver, context):
            return _unknown_agency(f"/to/{position}")
        if action.kind is HandoffKind.TRANSFER and receiver == state.custodian:
            return invalid(f"/to/{position}", "すでに担当機関です / is custodian already")
        standing = any(
            h.stands and h.receiver == receiver and h.kind is action.kind for h in state.handoffs
        )
        if standing:
            return invalid(f"/to/{position}", "すでに打診中です / an offer to it stands already")
    return _offers(
        command, receivers, action.kind, function, command.agency, context, _sealed(action)
    )


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


def _withdrawn(
    handoffs: list[Handoff], by: str, because: WithdrawnBecause
) -> list[e.HandoffWithdrawn]:
    return [e.HandoffWithdrawn(handoff=h.id, by=by, because=because) for h in handoffs]


def _accept(state: Referral, command: c.Command, action: c.AcceptHandoff) -> Decision:
    handoff = _answerable(state, action.handoff, command.agency)
    if isinstance(handoff, Refusal):
        return handoff
    transfer = handoff.kind is HandoffKind.TRANSFER
    accepted = e.HandoffAccepted(
        sealed=_sealed(action),
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
    return [accepted, *_withdrawn(others, command.agency, elsewhere)]


def _decline(
    state: Referral, command: c.Command, action: c.DeclineHandoff, context: Context
) -> Decision:
    handoff = _answerable(state, action.handoff, command.agency)
    if isinstance(handoff, Refusal):
        return handoff
    if not context.ward.knows("decline_reasons", action.reason):
        return invalid("/reason", "この区にない理由です / no such reason in this ward")
    return [
        e.HandoffDeclined(
            sealed=_sealed(action),
            handoff=handoff.id,
            by=command.agency,
            said_by=action.said_by,
            reason=action.reason,
        )
    ]


def _withdraw(state: Referral, command: c.Command, action: c.WithdrawHandoff) -> Decision:
    handoff = state.handoff(action.handoff)
    if handoff is None or handoff.sender != command.agency:
        return Refusal(ProblemCode.NOT_INVOLVED)
    if not handoff.stands:
        answered = handoff.state in (HandoffState.WITHDRAWN, HandoffState.EXPIRED)
        return Refusal(ProblemCode.NOT_OFFERED if answered else ProblemCode.ALREADY_ANSWERED)
    return [
        e.HandoffWithdrawn(
            sealed=_sealed(action),
            handoff=handoff.id,
            by=command.agency,
            because=WithdrawnBecause.BY_SENDER,
        )
    ]


def _complete(
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
            sealed=_sealed(action),
            handoff=handoff.id,
            by=command.agency,
            outcome=action.outcome,
        )
    ]


def _rule(
    state: Referral, command: c.Command, action: c.RuleDistrict, context: Context
) -> Decision:
    ward = context.ward
    if command.agency != ward.core:
        return Refusal(ProblemCode.NOT_INVOLVED)
    if state.ended:
        return Refusal(ProblemCode.ALREADY_CLOSED)
    district = state.district
    if district is None or district.id is not None:
        return Refusal(ProblemCode.NOT_AWAITING_RULING)
    if action.district not in district.candidates or ward.district(action.district) is None:
        return invalid("/district", "候補の地区から選んでください / not one of the candidates")
    ruled = e.DistrictRuled(
        sealed=_sealed(action),
        district=action.district,
        by=command.agency,
        remember=action.remember and district.block_key is not None,
        block_key=district.block_key,
    )
    hub = ward.hub_of(action.district, _day(context))
    if hub == state.custodian or any(
        h.stands and h.kind is HandoffKind.TRANSFER and h.receiver == hub for h in state.handoffs
    ):
        return [ruled]
    offers = _offers(
        command, (hub,), HandoffKind.TRANSFER, state.function, state.custodian, context
    )
    return [ruled, *offers]


def _escalate(
    state: Referral, command: c.Command, action: c.RaiseEscalation, context: Context
) -> Decision:
    if state.ended:
        return Refusal(ProblemCode.ALREADY_CLOSED)
    if not context.ward.knows("escalation_reasons", action.reason):
        return invalid("/reason", "この区にない理由です / no such reason in this ward")
    return [
        e.EscalationRaised(
            sealed=_sealed(action),
            escalation=derived_id(context.now, command.id, "escalation"),
            code=action.reason,
            by=command.agency,
        )
    ]


def _note(state: Referral, command: c.Command, action: c.AddNote, context: Context) -> Decision:
    if command.agency != state.custodian:
        return Refusal(ProblemCode.NOT_CUSTODIAN)
    note = derived_id(context.now, command.id, "note")
    return [e.NoteAdded(sealed=_sealed(action), note=note, by=command.agency)]


def _close(
    state: Referral, command: c.Command, action: c.CloseReferral, context: Context
) -> Decision:
    if state.ended:
        return Refusal(ProblemCode.ALREADY_CLOSED)
    if command.agency != state.custodian:
        return Refusal(ProblemCode.NOT_CUSTODIAN)
    if not context.ward.knows("outcomes", action.outcome):
        return invalid("/outcome", "この区にない結果です / no such outcome in this ward")
    standing = [h for h in state.handoffs if h.stands]
    closed = e.ReferralClosed(sealed=_sealed(action), by=command.agency, outcome=action.outcome)
    return [*_withdrawn(standing, command.agency, WithdrawnBecause.CLOSED), closed]


def _cancel(state: Referral, command: c.Command) -> Decision:
    if state.ended:
        return Refusal(ProblemCode.ALREADY_CLOSED)
    if command.agency != state.sender:
        return Refusal(ProblemCode.NOT_INVOLVED)
    taken = any(
        h.kind is HandoffKind.TRANSFER and h.state is HandoffState.ACCEPTED for h in state.handoffs
    )
    if taken or state.custodian != state.sender:
        return Refusal(ProblemCode.ALREADY_ANSWERED)
    standing = [h for h in state.handoffs if h.stands]
    cancelled = e.ReferralCancelled(sealed=_sealed(command.action), by=command.agency)
    return [*_withdrawn(standing, command.agency, WithdrawnBecause.CANCELLED), cancelled]


def _reopen(state: Referral, command: c.Command) -> Decision:
    if state.stage is not Stage.CLOSED:
        return invalid("", "終結した件だけを再開できます / only a closed case is reopened")
    if command.agency != state.custodian:
        return Refusal(ProblemCode.NOT_CUSTODIAN)
    return [e.ReferralReopened(sealed=_sealed(command.action), by=command.agency)]
