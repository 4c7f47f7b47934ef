"""A year as lines that a person can follow: when in Japan, who, what, and what came of it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import UUID

from schemas import commands as c
from schemas import events as e
from schemas.due import Due
from schemas.outside import JAPAN
from schemas.problems import Refusal
from schemas.referral import Referral
from tests.simulation.decider import Step
from tests.simulation.scenario import Jitter, leaves

if TYPE_CHECKING:
    from tests.simulation.world import World

_DAYS = "月火水木金土日"


def told(world: "World") -> Iterator[str]:
    scenario = world.scenario
    leaver, last_day = leaves(scenario.ward)
    yield f"  {leaver} leaves the network after {last_day}"
    for desk in scenario.ward.desks:
        if desk.staffed_by:
            yield f"  at {desk.id} sit {' and '.join(desk.staffed_by)}"
    for disturbance in scenario.disturbances:
        if isinstance(disturbance, Jitter):
            yield f"  messages about {disturbance.name} are held up, doubled and overtaken"
        else:
            begins, ends = (
                moment.astimezone(JAPAN).strftime("%m-%d %H:%M")
                for moment in (disturbance.begins, disturbance.ends)
            )
            yield f"  the decider is down from {begins} to {ends}"
    for name, step in world.story:
        yield from _step(name, step)


def _step(name: str, step: Step) -> Iterator[str]:
    at = step.context.now.astimezone(JAPAN)
    state = step.after
    when = f"{at:%Y-%m-%d}({_DAYS[at.weekday()]}) {at:%H:%M:%S}"
    yield f"  {when} {name} {step.command.agency}: {_asked(step.command.action, step.before)}"
    if isinstance(step.decision, Refusal):
        where = "".join(f" {x.pointer}" for x in step.decision.errors)
        yield f"      refused: {step.decision.code}{where}"
    elif not step.written:
        yield "      nothing"
    for entry, _ in step.written:
        yield f"      {_said(entry.event, state)}"
    if step.written and state is not None:
        clocks = ", ".join(f"{k.due_at.astimezone(JAPAN):%m-%d %H:%M}" for k in state.clocks)
        yield f"      = {state.stage}, with {state.custodian}, clocks: {clocks or 'none'}"


def _about(subject: UUID | None, state: Referral | None) -> str:
    """A hand-off by whom it went to, a call by its reason."""
    if state is not None and subject is not None:
        handoff, escalation = state.handoff(subject), state.escalation(subject)
        if handoff is not None:
            return f"{handoff.kind} to {handoff.receiver}"
        if escalation is not None:
            return escalation.code
    return "?"


def _asked(action: c.Action, state: Referral | None) -> str:
    match action:
        case c.SubmitReferral():
            finding = action.finding
            where = "no address"
            if finding is not None:
                where = finding.district or f"between {' and '.join(finding.candidates)}"
            to = f", to {action.to_agency or action.to_district}"
            to = to if action.to_agency or action.to_district else ""
            topics = f", {' '.join(action.topics)}" if action.topics else ""
            return (
                f"submits {action.urgency} {action.function} ({where}{to}, {action.household}, "
                f"by {action.reported_by}, {action.consent_basis}"
                f"{', unregistered' if action.unregistered else ''}{topics})"
            )
        case c.OfferHandoff():
            return (
                f"offers {action.kind} of {action.function} to {' '.join(action.to) or 'the list'}"
            )
        case c.AcceptHandoff() | c.WithdrawHandoff() | c.CompleteHandoff():
            return f"{action.type} ({_about(action.handoff, state)})"
        case c.DeclineHandoff():
            return f"declines, as {action.said_by} says ({_about(action.handoff, state)})"
        case c.RuleDistrict():
            return f"rules {action.district}{', to be remembered' if action.remember else ''}"
        case c.RaiseEscalation():
            return f"calls the core centre: {action.reason}"
        case c.AcknowledgeEscalation():
            how = ", only to advise" if action.advise_only else ""
            return f"acknowledges {_about(action.escalation, state)}{how}"
        case c.ResolveEscalation():
            to = f" to {action.to}" if action.to else ""
            return f"resolves {_about(action.escalation, state)}: {action.disposition}{to}"
        case c.StrikeClock():
            due = action.due_at.astimezone(JAPAN)
            return f"the clock of {due:%m-%d %H:%M:%S} runs out ({_about(action.subject, state)})"
        case _:
            return action.type.replace("_", " ")


def _said(event: e.Event, state: Referral | None) -> str:
    due = getattr(event, "due", None)
    by = (
        f", due {due.at.astimezone(JAPAN):%m-%d %H:%M} ({due.rule})" if isinstance(due, Due) else ""
    )
    match event:
        case e.HandoffOffered():
            return f"HandoffOffered {event.kind} to {event.receiver}{by}"
        case e.EscalationRaised():
            return f"EscalationRaised {event.code} by {event.by}, {event.level} {event.desk}{by}"
        case e.EscalationPassedOn():
            code = _about(event.escalation, state)
            return f"EscalationPassedOn {code} to {event.level} {event.desk}{by}"
        case e.EscalationAcknowledged() | e.EscalationResolved():
            how = (
                getattr(event, "disposition", "") or f"custodian {getattr(event, 'custodian', '')}"
            )
            return f"{type(event).__name__} {_about(event.escalation, state)}: {how}{by}"
        case (
            e.HandoffAccepted()
            | e.HandoffDeclined()
            | e.HandoffExpired()
            | e.HandoffWithdrawn()
            | e.HandoffCompleted()
        ):
            return f"{type(event).__name__} {_about(event.handoff, state)}"
        case e.DistrictFound() | e.DistrictRuled():
            return f"{type(event).__name__} {event.district}"
        case _:
            return type(event).__name__
