"""What the ward's rules call the core centre for, by themselves (自動の上申). Pure.

They look at what a decision has just led to; so whoever acts, and whichever clock runs out, the same
rules raise the same calls.
"""

from collections.abc import Sequence
from typing import assert_never

from schemas import commands as c
from schemas import events as e
from schemas.base import NETWORK
from schemas.codes import (
    Disposition,
    EscalationState,
    HandoffKind,
    HandoffState,
    SaidBy,
)
from schemas.referral import Handoff, Referral
from services.referral import handoffs
from services.referral.calls import Cause, is_about, raised
from services.referral.deciding import Context, sealed_of
from services.referral.involvement import taking_part
from wards import escalation as w


def arising(
    before: Referral | None,
    happened: Sequence[e.Event],
    after: Referral,
    command: c.Command,
    context: Context,
) -> list[e.Event]:
    """The calls that the ward's rules make, now that ``happened`` has led to ``after``."""
    if after.ended:
        return []
    causes = [
        (reason, condition, cause)
        for reason in context.ward.escalation_reasons
        for condition in reason.when
        if (cause := _cause(condition, before, happened, after, command, context)) is not None
    ]
    # Of one silence the core centre is called once: by what says most.
    untaken = {cause.handoff for _, kind, cause in causes if isinstance(kind, w.WhenUntaken)}
    calls: dict[str, e.Event] = {}
    for reason, condition, cause in causes:
        if isinstance(condition, w.WhenSilent) and cause.handoff in untaken:
            continue
        if reason.code not in calls and not _covered(reason, condition, cause, after, context):
            # The words of a request that found nobody to ask go to whoever is called instead.
            sealed = sealed_of(command.action) if not happened else ()
            calls[reason.code] = raised(
                reason, after, command, NETWORK, cause, context, sealed if not calls else ()
            )
    return list(calls.values())


def _covered(
    reason: w.EscalationReason,
    condition: w.Condition,
    cause: Cause,
    after: Referral,
    context: Context,
) -> bool:
    """Whether the core centre has this already: of what lies in the case itself, any call before; of
    what happens again and again, a call that waits for an answer, or the case itself. A call that it
    only advised on says nothing of the next silence."""
    if isinstance(condition, w.WhenCase):
        return any(x.code == reason.code for x in after.escalations)
    in_hand = after.custodian == context.ward.core
    return any(
        (x.state is EscalationState.RAISED or (x.open and in_hand))
        and (
            x.code == reason.code
            or (isinstance(condition, w.WhenSilent) and x.handoff == cause.handoff)
        )
        for x in after.escalations
    )


def _cause(
    condition: w.Condition,
    before: Referral | None,
    happened: Sequence[e.Event],
    after: Referral,
    command: c.Command,
    context: Context,
) -> Cause | None:
    """What of ``happened`` fulfils a condition; None where nothing does."""
    match condition:
        case w.WhenCase():
            moved = before is None or any(isinstance(x, e.HandoffAccepted) for x in happened)
            fitting = sum(_fits(pattern, after) for pattern in condition.of) if moved else 0
            return Cause() if fitting >= condition.at_least else None
        case w.WhenUndecided():
            asked = any(isinstance(x, e.RulingRequested) for x in happened)
            return Cause() if asked else None
        case w.WhenReceiverClosed():
            return _closed(condition, happened, after, context)
        case w.WhenSilent():
            for event in happened:
                if isinstance(event, e.HandoffExpired):
                    return Cause(event.handoff, event.overdue_since)
            return None
        case w.WhenPassedRound():
            last = _last_answer(happened, after, HandoffKind.TRANSFER)
            # What the core centre holds is not passed round any more.
            if last is None or after.custodian == context.ward.core:
                return None
            passed = _times_passed(after, context)
            return Cause(last.id) if passed >= condition.times else None
        case w.WhenRefusedInARow():
            last = _last_answer(happened, after, HandoffKind.REQUEST)
            if last is None or last.state is not HandoffState.DECLINED:
                return None
            return Cause(last.id) if _refusals_running(after, last) >= condition.times else None
        case w.WhenNoCandidate():
            return _nobody_left(happened, after, command)
        case w.WhenUntaken():
            return _untaken(happened, after, context)
        case _:
            assert_never(condition)


def _fits(pattern: w.Pattern, state: Referral) -> bool:
    one_of: tuple[tuple[tuple[str, ...], tuple[str | None, ...]], ...] = (
        (pattern.urgency, (state.urgency,)),
        (pattern.functions, (state.function,)),
        (pattern.requested_actions, (state.requested_action,)),
        (pattern.topics, state.topics),
        (pattern.reported_by, (state.reported_by,)),
        (pattern.household, (state.household,)),
        (pattern.address_kind, (state.address_kind,)),
        (pattern.consent_bases, (state.consent_basis,)),
    )
    return (
        all(not wanted or set(wanted) & set(given) for wanted, given in one_of)
        and pattern.unregistered in (None, state.unregistered)
        and len(state.topics) >= (pattern.topics_at_least or 0)
        and len(taking_part(state)) >= (pattern.agencies_at_least or 0)
    )


def _closed(
    condition: w.WhenReceiverClosed,
    happened: Sequence[e.Event],
    after: Referral,
    context: Context,
) -> Cause | None:
    if after.urgency not in condition.urgency:
        return None
    offered = [
        x for x in happened if isinstance(x, e.HandoffOffered) and x.kind is HandoffKind.TRANSFER
    ]
    # One who is there is enough.
    if not offered or any(
        handoffs.will_answer(x.receiver, after.urgency, context) for x in offered
    ):
        return None
    return Cause(offered[0].handoff)


def _last_answer(happened: Sequence[e.Event], after: Referral, kind: HandoffKind) -> Handoff | None:
    """The hand-off of this kind that was just accepted, or refused by the agency itself."""
    for event in reversed(happened):
        if isinstance(event, e.HandoffAccepted | e.HandoffDeclined):
            handoff = after.handoff(event.handoff)
            if handoff is not None and handoff.kind is kind and handoff.said_by != SaidBy.PERSON:
                return handoff
    return None


def _refused(handoff: Handoff) -> bool:
    return handoff.state is HandoffState.DECLINED and handoff.said_by is SaidBy.AGENCY


_DECIDED = (Disposition.KEPT, Disposition.RETURNED, Disposition.REASSIGNED)


def _times_passed(state: Referral, context: Context) -> int:
    """How often the case was refused or sent on: refusals of agencies, and acceptances after the
    first, each of which means that somebody had taken it and passed it on. Counted since the core
    centre last decided where it goes, or had this very call in hand; and never what it decided
    itself. What the person said no to is no passing round."""
    core = context.ward.core
    since = max(
        (
            x.resolved_at or x.acknowledged_at or x.raised_at
            for x in state.escalations
            if x.acknowledged_by == core
            and (x.disposition in _DECIDED or is_about(x, w.WhenPassedRound, context))
        ),
        default=state.submitted_at,
    )
    refused = [h for h in state.handoffs if h.kind is HandoffKind.TRANSFER and _refused(h)]
    onward = handoffs.accepted_transfers(state)[1:]
    return sum(h.sender != core and handoffs.when_answered(h) >= since for h in (*refused, *onward))


def _refusals_running(state: Referral, last: Handoff) -> int:
    """How many agencies have refused the same function since anybody last took it."""
    answered = sorted(
        (
            h
            for h in state.handoffs
            if h.kind is HandoffKind.REQUEST
            and h.function == last.function
            and h.answered_at is not None
            and h.state is not HandoffState.WITHDRAWN
        ),
        key=handoffs.when_answered,
    )
    running: set[str] = set()
    for handoff in answered:
        if _refused(handoff):
            running.add(handoff.receiver)
        elif handoff.state in (HandoffState.ACCEPTED, HandoffState.COMPLETED):
            running.clear()
    return len(running)


def _nobody_left(happened: Sequence[e.Event], after: Referral, command: c.Command) -> Cause | None:
    """A request to whoever the ward lists found nobody to ask, or the last one said no."""
    action = command.action
    asks_list = (
        isinstance(action, c.OfferHandoff) and action.kind is HandoffKind.REQUEST and not action.to
    )
    if asks_list and not any(isinstance(x, e.HandoffOffered) for x in happened):
        return Cause()
    for event in happened:
        if isinstance(event, e.HandoffDeclined | e.HandoffExpired):
            ended = after.handoff(event.handoff)
            if ended is None or not ended.listed or ended.said_by is SaidBy.PERSON:
                continue
            asked = [h for h in after.handoffs if h.offer == ended.offer]
            helps = (HandoffState.OFFERED, HandoffState.ACCEPTED, HandoffState.COMPLETED)
            if not any(h.state in helps for h in asked):
                return Cause(ended.id)
    return None


def _untaken(happened: Sequence[e.Event], after: Referral, context: Context) -> Cause | None:
    core = context.ward.core
    if after.custodian != core or handoffs.standing_transfers(after):
        return None
    for event in happened:
        if isinstance(event, e.HandoffDeclined | e.HandoffExpired):
            ended = after.handoff(event.handoff)
            if ended is not None and ended.kind is HandoffKind.TRANSFER and ended.sender == core:
                missed = event.overdue_since if isinstance(event, e.HandoffExpired) else None
                return Cause(ended.id, missed)
    return None
