"""Calls to the core centre: which desk is called, until when, and what it may do (上申). Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never
from uuid import UUID

from runtime.ids import derived_id
from schemas import commands as c
from schemas import events as e
from schemas.codes import (
    ClockKind,
    Disposition,
    EscalationState,
    HandoffKind,
    Stage,
    WithdrawnBecause,
)
from schemas.due import Due
from schemas.problems import ProblemCode, Refusal, invalid
from schemas.referral import Escalation, Referral
from schemas.sealed import Commitment
from services.referral import clocks, handoffs
from services.referral.deciding import Context, Decision, sealed_of, unknown_agency
from wards import escalation as w
from wards import opening
from wards.terms import Deadline

# -- calling ---------------------------------------------------------------------------------------


def escalate(
    state: Referral, command: c.Command, action: c.RaiseEscalation, context: Context
) -> Decision:
    """Somebody who has, or had, a part in the case calls the core centre; of a suspicion of abuse
    also when the case has ended."""
    reason = context.ward.reason(action.reason)
    if reason is None:
        return invalid("/reason", "この区にない理由です / no such reason in this ward")
    if state.ended and not reason.restricted:
        return Refusal(ProblemCode.ALREADY_CLOSED)
    if any(
        x.open and (x.code, x.raised_by) == (reason.code, command.agency) for x in state.escalations
    ):
        # It is called on and on already: once more would only page the same desks twice.
        return Refusal(ProblemCode.ESCALATION_OPEN)
    cause = Cause()
    return [raised(reason, state, command, command.agency, cause, context, sealed_of(action))]


@dataclass(frozen=True, slots=True)
class Cause:
    """What a rule saw: the hand-off that it is about, and the clock that was missed."""

    handoff: UUID | None = None
    overdue_since: datetime | None = None


def raised(
    reason: w.EscalationReason,
    state: Referral,
    command: c.Command,
    by: str,
    cause: Cause,
    context: Context,
    sealed: tuple[Commitment, ...] = (),
) -> e.EscalationRaised:
    due = _due(reason.deadline(state.urgency), f"{reason.code}.acknowledge", context)
    concerned = _concerned(state, by, cause.handoff)
    level, desk = _desk(context.ward.desks_of(reason), 1, due, concerned, context)
    return e.EscalationRaised(
        sealed=sealed,
        escalation=derived_id(context.now, command.id, "escalation", reason.code),
        code=reason.code,
        by=by,
        level=level,
        desk=desk.id,
        to=desk.agency,
        due=due,
        handoff=cause.handoff,
        overdue_since=cause.overdue_since,
        restricted=reason.restricted,
    )


def _concerned(state: Referral, by: str, handoff_id: UUID | None) -> set[str]:
    """Whose case it is, who calls, and whoever was asked in the hand-off that it is about: at every
    level, for a desk further on may be theirs as well."""
    handoff = state.handoff(handoff_id) if handoff_id is not None else None
    return {state.custodian, by} | ({handoff.receiver} if handoff is not None else set())


def _due(deadline: Deadline, rule: str, context: Context) -> Due:
    """Business clocks of a call run in the hours of the core centre, whichever desk has it now."""
    core = context.ward.agency(context.ward.core)
    if core is None:
        raise ValueError("a ward without a core centre")
    return clocks.due(deadline, rule, context.now, core, context.holidays)


def _desk(
    desks: tuple[w.Desk, ...],
    level: int,
    due: Due,
    concerned: set[str],
    context: Context,
) -> tuple[int, w.Desk]:
    """The desk to call, from ``level`` (1 is the first) on. A desk where those sit whose case it is
    is passed over (the core centre itself aside, whose cases have no other place to go); on the wall
    clock also one that closes before the clock ends. Where none is left, the last of those again,
    and where there never was one, whoever is there."""
    placed = tuple(enumerate(desks, start=1))
    others = concerned - {context.ward.core}
    there = placed
    if due.clock is ClockKind.WALL:
        there = tuple(
            pair
            for pair in placed
            if opening.stays_open(pair[1].hours, context.now, due.at, context.holidays)
        )
    fitting = [pair for pair in there if not others & set(pair[1].staff)]
    further = [pair for pair in fitting if pair[0] >= level]
    return further[0] if further else (*placed, *there, *fitting)[-1]


def pass_on(
    state: Referral, command: c.Command, escalation: Escalation, context: Context
) -> Decision:
    """Nobody acknowledged in time, or whoever did has not resolved it: the next desk is called, and
    may acknowledge. A call whose reason the ward file no longer has goes on by the ward's own desks
    and clocks."""
    if not escalation.open or escalation.due_at is None:
        return []
    ward = context.ward
    reason = ward.reason(escalation.code)
    deadline = (
        reason.deadline(state.urgency, again=True)
        if reason is not None
        else ward.calls.to_answer(state.urgency)
    )
    due = _due(deadline, f"{escalation.code}.acknowledge", context)
    concerned = _concerned(state, escalation.raised_by, escalation.handoff)
    level, desk = _desk(ward.desks_of(reason), escalation.level + 1, due, concerned, context)
    return [
        e.EscalationPassedOn(
            escalation=escalation.id,
            # Where the last desk has become its own, an earlier one is called again: no step back.
            level=max(level, escalation.level),
            desk=desk.id,
            to=desk.agency,
            due=due,
            overdue_since=escalation.due_at,
        )
    ]


# -- what the core centre does ---------------------------------------------------------------------


def acknowledge(
    state: Referral, command: c.Command, action: c.AcknowledgeEscalation, context: Context
) -> Decision:
    """A desk that was called has it in hand. The core centre takes the case with it, unless it only
    advises; any other desk leaves the case where it is."""
    escalation = state.escalation(action.escalation)
    by_core = command.agency == context.ward.core
    if escalation is None or not (by_core or command.agency in escalation.called):
        return Refusal(ProblemCode.NOT_INVOLVED)
    if escalation.state is not EscalationState.RAISED:
        return Refusal(ProblemCode.ALREADY_ANSWERED)
    takes = by_core and not action.advise_only and not state.ended
    moves = takes and state.custodian != command.agency
    told = moves and not escalation.restricted
    happened: list[e.Event] = [
        e.EscalationAcknowledged(
            sealed=sealed_of(action),
            escalation=escalation.id,
            by=command.agency,
            advise_only=not takes,
            custodian=command.agency if told else state.custodian,
            due=_due(
                context.ward.calls.to_resolve(state.urgency), f"{escalation.code}.resolve", context
            ),
        )
    ]
    if not moves:
        return happened
    if not told:
        # Whoever had the case must hear that it has it no more, and not why.
        happened.append(e.CustodyTaken(by=command.agency, custodian=command.agency))
    # Who has the case now decides anew whom to ask: what was asked before would move it away again.
    standing = handoffs.standing_transfers(state)
    return happened + handoffs.withdrawn(standing, command.agency, WithdrawnBecause.TAKEN_BY_CORE)


def resolve(
    state: Referral, command: c.Command, action: c.ResolveEscalation, context: Context
) -> Decision:
    """The end of a call: what becomes of the case. Handing on and returning are offers; the core
    centre remains responsible until somebody accepts."""
    escalation = state.escalation(action.escalation)
    core = context.ward.core
    if escalation is None or command.agency not in (core, escalation.acknowledged_by):
        return Refusal(ProblemCode.NOT_INVOLVED)
    if escalation.state is EscalationState.RAISED:
        return Refusal(ProblemCode.NOT_ACKNOWLEDGED)
    if escalation.state is EscalationState.RESOLVED:
        return Refusal(ProblemCode.ALREADY_ANSWERED)
    if state.stage is Stage.AWAITING_RULING and is_about(escalation, w.WhenUndecided, context):
        return Refusal(ProblemCode.AWAITING_RULING)
    resolved = e.EscalationResolved(
        sealed=sealed_of(action),
        escalation=escalation.id,
        by=command.agency,
        disposition=action.disposition,
    )
    holds = command.agency == core == state.custodian
    match action.disposition:
        case Disposition.ADVISED:
            if holds and not state.ended:
                detail = (
                    "担当しています。戻す・つなぐ・担当を続けるのいずれかを / you hold the case"
                )
                return invalid("/disposition", detail)
            return [resolved]
        case Disposition.KEPT:
            return [resolved] if holds else _not_held()
        case Disposition.RETURNED | Disposition.REASSIGNED:
            if state.ended:
                return Refusal(ProblemCode.ALREADY_CLOSED)
            if not holds:
                return _not_held()
            to = action.to
            if to is None and action.disposition is Disposition.RETURNED:
                to = _held_before(state, core)
            if to is None:
                return invalid("/to", "つなぐ先が要ります / needs the agency it goes to")
            passed = _handed_on(state, command, to, context)
            return passed if isinstance(passed, Refusal) else [resolved, *passed]
        case Disposition.CANCELLED:
            return invalid("/disposition", "取消は送り手だけができます / only the sender cancels")
        case _:
            assert_never(action.disposition)


def _not_held() -> Refusal:
    detail = "担当していない件です。助言(advised)としてください / you do not hold the case: advised"
    return invalid("/disposition", detail)


def _held_before(state: Referral, core: str) -> str | None:
    """Who had the case before the core centre: the last to accept it, or the sender."""
    accepted = [h.receiver for h in handoffs.accepted_transfers(state) if h.receiver != core]
    if accepted:
        return accepted[-1]
    return state.sender if state.sender != core else None


def _handed_on(
    state: Referral, command: c.Command, to: str, context: Context
) -> list[e.Event] | Refusal:
    if not context.may_act(to):
        return unknown_agency("/to")
    if to == state.custodian:
        return invalid("/to", "すでに担当機関です / is custodian already")
    if state.stage is Stage.AWAITING_RULING:
        return Refusal(ProblemCode.AWAITING_RULING)
    if any(h.receiver == to for h in handoffs.standing_transfers(state)):
        return []
    return handoffs.offers(
        command, (to,), HandoffKind.TRANSFER, state.function, command.agency, state.urgency, context
    )


def ended_by_ruling(
    state: Referral, command: c.Command, disposition: Disposition, context: Context
) -> tuple[list[e.Event], list[e.Event]]:
    """A ruling is the answer to the calls that asked for it: what is said before it (somebody had
    them in hand), and after it (they are over)."""
    before: list[e.Event] = []
    after: list[e.Event] = []
    for escalation in state.escalations:
        if not escalation.open or not is_about(escalation, w.WhenUndecided, context):
            continue
        if escalation.state is EscalationState.RAISED:
            before.append(
                e.EscalationAcknowledged(
                    escalation=escalation.id,
                    by=command.agency,
                    advise_only=True,
                    custodian=state.custodian,
                )
            )
        after.append(
            e.EscalationResolved(
                escalation=escalation.id, by=command.agency, disposition=disposition
            )
        )
    return before, after


def ended_by_cancelling(state: Referral, by: str) -> list[e.Event]:
    """The sender took the referral back: nobody need come who has not begun to. Whoever has it in
    hand ends it, and a suspicion of abuse does not end because somebody takes a paper back."""
    return [
        e.EscalationResolved(escalation=x.id, by=by, disposition=Disposition.CANCELLED)
        for x in state.escalations
        if x.state is EscalationState.RAISED and not x.restricted
    ]


def is_about(escalation: Escalation, condition: type, context: Context) -> bool:
    reason = context.ward.reason(escalation.code)
    return reason is not None and any(isinstance(each, condition) for each in reason.when)
