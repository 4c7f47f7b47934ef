"""The life of a referral: what may happen next, and who may make it happen.

In fixed order: the state and its folding are in ``schemas.referral`` (every reader of the history
folds the same way); here is ``decide``. It is pure and total: the moment, the ward and what the ward
remembers are arguments, a "no" is a value. Deciding never reads a clock and never writes.
"""

from typing import assert_never

from runtime.ids import derived_id
from schemas import commands as c
from schemas import events as e
from schemas.base import NETWORK
from schemas.codes import (
    Basis,
    Disposition,
    HandoffKind,
    Stage,
    WithdrawnBecause,
)
from schemas.outside import JAPAN
from schemas.problems import FieldProblem, ProblemCode, Refusal, invalid
from schemas.referral import District, LiveClock, Referral
from services.referral import calls, handoffs, policy, rules
from services.referral.deciding import (
    Context,
    Decision,
    sealed_of,
    unknown_agency,
    written_down,
)
from services.referral.involvement import ever_involved, may_know_escalation, taking_part
from wards.model import Vocabulary, Ward


def decide(state: Referral | None, command: c.Command, context: Context) -> Decision:
    """The events that ``command`` makes happen to ``state``, with the calls to the core centre that
    follow from them by the ward's rules; or why it cannot be.

    ``state`` is None where no such referral exists; what does not exist and what does not concern
    the asker are refused alike, so nobody can probe for other people's cases.
    """
    decision = _decide(state, command, context)
    if isinstance(decision, Refusal):
        return decision
    written = written_down(state, command, decision, context.now)
    # That nothing happened calls somebody too: a request that found nobody to ask.
    after = written[-1][1] if written else state
    if after is None:
        return decision
    happened = decision + rules.arising(state, decision, after, command, context)
    if not happened and isinstance(command.action, c.OfferHandoff):
        return invalid(
            "/to", "空きのある候補がなく、基幹へ上申済みです / nobody to ask; core knows"
        )
    return happened


def _decide(state: Referral | None, command: c.Command, context: Context) -> Decision:
    action = command.action
    if isinstance(action, c.StrikeClock):
        return _strike(state, command, action, context)
    if not context.may_act(command.agency):
        return Refusal(ProblemCode.NOT_INVOLVED)
    if isinstance(action, c.SubmitReferral):
        if state is not None:
            return Refusal(ProblemCode.IDEMPOTENCY_KEY_REUSED)
        return _submit(command, action, context)
    if state is None or not _concerns(state, command.agency, context):
        return Refusal(ProblemCode.NOT_INVOLVED)
    match action:
        case c.OfferHandoff():
            return handoffs.offer(state, command, action, context)
        case c.AcceptHandoff():
            return handoffs.accept(state, command, action)
        case c.DeclineHandoff():
            return handoffs.decline(state, command, action, context)
        case c.WithdrawHandoff():
            return handoffs.withdraw(state, command, action, context)
        case c.CompleteHandoff():
            return handoffs.complete(state, command, action, context)
        case c.RuleDistrict():
            return _rule(state, command, action, context)
        case c.RaiseEscalation():
            return calls.escalate(state, command, action, context)
        case c.AcknowledgeEscalation():
            return calls.acknowledge(state, command, action, context)
        case c.ResolveEscalation():
            return calls.resolve(state, command, action, context)
        case c.AddNote():
            return _note(state, command, action, context)
        case c.AddAttachment():
            return _attach(state, command, action, context)
        case c.CloseReferral():
            return _close(state, command, action, context)
        case c.CancelReferral():
            return _cancel(state, command)
        case c.ReopenReferral():
            return _reopen(state, command, context)
        case c.ProbeWriting():
            return []
        case _:
            assert_never(action)


def _strike(
    state: Referral | None, command: c.Command, action: c.StrikeClock, context: Context
) -> Decision:
    """A clock ran out. Nothing happens where it was stopped or set anew meanwhile, and nobody but
    the network itself can ask for it."""
    if command.agency != NETWORK:
        return Refusal(ProblemCode.NOT_INVOLVED)
    running = LiveClock(action.subject, action.due_at)
    if state is None or running not in state.clocks or action.due_at > context.now:
        return []
    handoff = state.handoff(action.subject)
    if handoff is not None:
        return handoffs.expire(state, command, handoff, context)
    escalation = state.escalation(action.subject)
    return calls.pass_on(state, command, escalation, context) if escalation is not None else []


def _concerns(state: Referral, agency: str, context: Context) -> bool:
    return agency == context.ward.core or agency in ever_involved(state)


def _submit(command: c.Command, action: c.SubmitReferral, context: Context) -> Decision:
    ward, sender = context.ward, command.agency
    refusal = _unknown_codes(action, ward)
    if refusal is not None:
        return refusal
    if action.to_agency is not None and not context.may_act(action.to_agency):
        return unknown_agency("/to/agency")
    if action.to_district is not None and ward.district(action.to_district) is None:
        return invalid("/to/district", "この区にない地区です / no such district in this ward")
    if action.finding is not None and not _of_this_ward(action.finding, ward):
        return invalid("/address", "この区にない地区です / no such district in this ward")
    year = context.now.astimezone(JAPAN).year
    number = f"{ward.code}-{year}-{context.last_number.get(year, 0) + 1:06d}"
    submitted = e.ReferralSubmitted(
        sealed=sealed_of(action),
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
        unregistered=action.unregistered,
        to_agency=action.to_agency,
        to_district=action.to_district,
    )
    route = policy.route(action, ward, context.rulings, context.day)
    if isinstance(route, Refusal):
        return route
    happened: list[e.Event] = [submitted]
    if route.found is not None:
        happened.append(route.found)
    if route.ask is not None:
        happened.append(route.ask)
    if route.receiver is not None and route.receiver != sender:
        happened += handoffs.offers(
            command, (route.receiver,), HandoffKind.TRANSFER, action.function, sender,
            action.urgency, context,
        )  # fmt: skip
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


def _rule(
    state: Referral, command: c.Command, action: c.RuleDistrict, context: Context
) -> Decision:
    """The core centre decides the district, or decides anew what was ruled before. Where the old
    ruling was remembered, or the new one is to be, the next address in that block follows the new
    one; what followed the old one stays as it was."""
    ward = context.ward
    if command.agency != ward.core:
        return Refusal(ProblemCode.NOT_INVOLVED)
    if state.ended:
        return Refusal(ProblemCode.ALREADY_CLOSED)
    district = state.district
    if district is None or district.id == action.district or _settled_by_address(district):
        return Refusal(ProblemCode.NOT_AWAITING_RULING)
    if action.district not in district.candidates or ward.district(action.district) is None:
        return invalid("/district", "候補の地区から選んでください / not one of the candidates")
    ruled = e.DistrictRuled(
        sealed=sealed_of(action),
        district=action.district,
        by=command.agency,
        # What takes the place of a remembered ruling is remembered in its place.
        remember=district.block_key is not None
        and (action.remember or _remembered(district, context)),
        block_key=district.block_key,
        revises=district.ruling,
    )
    standing = handoffs.standing_transfers(state)
    hub = ward.hub_of(action.district, context.day)
    asked = any(h.receiver == hub for h in standing)
    elsewhere = [h for h in standing if h.receiver != hub] if district.ruling is not None else []
    offered = (
        []
        if asked or hub == state.custodian
        else handoffs.offers(
            command, (hub,), HandoffKind.TRANSFER, state.function, state.custodian, state.urgency,
            context,
        )
    )  # fmt: skip
    if state.custodian != ward.core:
        disposition = Disposition.ADVISED
    else:
        disposition = Disposition.KEPT if hub == ward.core else Disposition.REASSIGNED
    before, after = calls.ended_by_ruling(state, command, disposition, context)
    withdrawn = handoffs.withdrawn(elsewhere, command.agency, WithdrawnBecause.RULED_ELSEWHERE)
    return [*before, ruled, *withdrawn, *after, *offered]


def _remembered(district: District, context: Context) -> bool:
    """Whether the ruling that settles the district is the one that its block goes by."""
    ruling = context.rulings.get(district.block_key or "")
    return ruling is not None and ruling.ruling == district.ruling


def _settled_by_address(district: District) -> bool:
    return district.id is not None and district.basis is not Basis.RULED


def _note(state: Referral, command: c.Command, action: c.AddNote, context: Context) -> Decision:
    if command.agency != state.custodian:
        return Refusal(ProblemCode.NOT_CUSTODIAN)
    note = derived_id(context.now, command.id, "note")
    return [e.NoteAdded(sealed=sealed_of(action), note=note, by=command.agency)]


MOST_ATTACHMENTS = 50
"""Of one referral: its state is read and written whole."""


def _attach(
    state: Referral, command: c.Command, action: c.AddAttachment, context: Context
) -> Decision:
    """Whoever does something for the person may add a file, its sender before anyone has accepted
    too, and the core centre; whoever was only asked may not."""
    if state.ended:
        return Refusal(ProblemCode.ALREADY_CLOSED)
    if command.agency not in taking_part(state) | {context.ward.core}:
        return Refusal(ProblemCode.NOT_INVOLVED)
    if len(state.attachments) >= MOST_ATTACHMENTS:
        detail = f"添付は一件に {MOST_ATTACHMENTS} まで / at most {MOST_ATTACHMENTS} attachments"
        return invalid("", detail)
    return [
        e.AttachmentAdded(
            sealed=sealed_of(action),
            attachment=action.attachment,
            by=command.agency,
            media_type=action.media_type,
            size=action.size,
            ciphertext_sha256=action.ciphertext_sha256,
        )
    ]


def _close(
    state: Referral, command: c.Command, action: c.CloseReferral, context: Context
) -> Decision:
    if state.ended:
        return Refusal(ProblemCode.ALREADY_CLOSED)
    if command.agency != state.custodian:
        return Refusal(ProblemCode.NOT_CUSTODIAN)
    if not context.ward.knows("outcomes", action.outcome):
        return invalid("/outcome", "この区にない結果です / no such outcome in this ward")
    if any(
        x.open and may_know_escalation(x, command.agency, context.ward) for x in state.escalations
    ):
        # What the asker may not know of says nothing here, and is called on after the case is closed.
        return Refusal(ProblemCode.ESCALATION_OPEN)
    standing = [h for h in state.handoffs if h.stands]
    closed = e.ReferralClosed(sealed=sealed_of(action), by=command.agency, outcome=action.outcome)
    return [*handoffs.withdrawn(standing, command.agency, WithdrawnBecause.CLOSED), closed]


def _cancel(state: Referral, command: c.Command) -> Decision:
    if state.ended:
        return Refusal(ProblemCode.ALREADY_CLOSED)
    if command.agency != state.sender:
        return Refusal(ProblemCode.NOT_INVOLVED)
    if handoffs.accepted_transfers(state) or state.custodian != state.sender:
        return Refusal(ProblemCode.ALREADY_ANSWERED)
    standing = [h for h in state.handoffs if h.stands]
    cancelled = e.ReferralCancelled(sealed=sealed_of(command.action), by=command.agency)
    withdrawn = handoffs.withdrawn(standing, command.agency, WithdrawnBecause.CANCELLED)
    return [*withdrawn, *calls.ended_by_cancelling(state, command.agency), cancelled]


def _reopen(state: Referral, command: c.Command, context: Context) -> Decision:
    """The custodian goes on; or the core centre, that has been called about the closed case."""
    if state.stage is not Stage.CLOSED:
        return invalid("", "終結した件だけを再開できます / only a closed case is reopened")
    reopened = e.ReferralReopened(sealed=sealed_of(command.action), by=command.agency)
    if command.agency == state.custodian:
        return [reopened]
    core = context.ward.core
    if command.agency == core and any(x.open for x in state.escalations):
        return [reopened, e.CustodyTaken(by=core, custodian=core)]
    return Refusal(ProblemCode.NOT_CUSTODIAN)
