"""The calls that change something: which body they take and what they ask of the deciding service.

One table; the HTTP routes, admission and the published OpenAPI all follow it. Pure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from schemas import commands as c
from schemas import partner as p
from schemas.codes import AddressKind, Scope
from schemas.problems import ProblemCode
from schemas.sealed import Group, SealedGroup

Sealed = tuple[SealedGroup, ...]
Build = Callable[[str, Any, Sealed], c.Action]


@dataclass(frozen=True, slots=True)
class Call:
    """``target``: what ``{ref}`` in the path names: a referral, a hand-off or an escalation. ``text``:
    the body's field of free words."""

    name: str
    path: str
    target: str
    body: type[p.Sent]
    build: Build
    scope: Scope
    ja: str
    en: str
    created: bool = False
    text: str = "text"
    refusals: tuple[ProblemCode, ...] = ()


def _ref(ref: str) -> UUID | str:
    return UUID(ref) if len(ref) == 36 else ref


_P = ProblemCode
_REFERRAL = "/v1/referrals/{ref:str}"
_HANDOFF = "/v1/handoffs/{ref:str}"
_ESCALATION = "/v1/escalations/{ref:str}"

CALLS: tuple[Call, ...] = (
    Call(
        "offer_handoff", f"{_REFERRAL}/handoffs", "referral", p.HandoffOffer,
        lambda ref, b, s: c.OfferHandoff(
            sealed=s, referral=_ref(ref), to=b.to or (), kind=b.kind, function=b.function
        ),
        Scope.POST,
        "他機関へ打診する", "Offer it to other agencies",
        created=True, text="note",
        refusals=(_P.NOT_CUSTODIAN, _P.ALREADY_CLOSED, _P.AWAITING_RULING, _P.UNKNOWN_AGENCY),
    ),
    Call(
        "accept_handoff", f"{_HANDOFF}/accept", "handoff", p.Acceptance,
        lambda ref, _, s: c.AcceptHandoff(sealed=s, handoff=UUID(ref)),
        Scope.ANSWER,
        "打診を受諾する", "Accept an offer",
        refusals=(_P.ALREADY_ANSWERED, _P.NOT_OFFERED),
    ),
    Call(
        "decline_handoff", f"{_HANDOFF}/decline", "handoff", p.Decline,
        lambda ref, b, s: c.DeclineHandoff(
            sealed=s, handoff=UUID(ref), said_by=b.said_by, reason=b.reason
        ),
        Scope.ANSWER,
        "打診を辞退する", "Decline an offer",
        refusals=(_P.ALREADY_ANSWERED, _P.NOT_OFFERED),
    ),
    Call(
        "withdraw_handoff", f"{_HANDOFF}/withdraw", "handoff", p.Withdrawal,
        lambda ref, _, s: c.WithdrawHandoff(sealed=s, handoff=UUID(ref)),
        Scope.POST,
        "打診を取り下げる", "Withdraw an offer",
        refusals=(_P.ALREADY_ANSWERED, _P.NOT_OFFERED),
    ),
    Call(
        "complete_handoff", f"{_HANDOFF}/complete", "handoff", p.Completion,
        lambda ref, b, s: c.CompleteHandoff(sealed=s, handoff=UUID(ref), outcome=b.outcome),
        Scope.ANSWER,
        "依頼の完了を報告する", "Report a request's outcome",
        refusals=(_P.ALREADY_ANSWERED, _P.NOT_OFFERED),
    ),
    Call(
        "rule_district", f"{_REFERRAL}/ruling", "referral", p.Ruling,
        lambda ref, b, s: c.RuleDistrict(
            sealed=s, referral=_ref(ref), district=b.district, remember=b.remember
        ),
        Scope.CORE,
        "地区を判定する（基幹のみ）", "Rule a district (core centre only)",
        refusals=(_P.NOT_AWAITING_RULING, _P.ALREADY_CLOSED),
    ),
    Call(
        "raise_escalation", f"{_REFERRAL}/escalations", "referral", p.EscalationCall,
        lambda ref, b, s: c.RaiseEscalation(sealed=s, referral=_ref(ref), reason=b.reason),
        Scope.POST,
        "基幹へ上申する", "Escalate to the core centre",
        created=True, refusals=(_P.ALREADY_CLOSED,),
    ),
    Call(
        "acknowledge_escalation", f"{_ESCALATION}/acknowledge", "escalation", p.Acknowledgement,
        lambda ref, b, s: c.AcknowledgeEscalation(
            sealed=s, escalation=UUID(ref), advise_only=b.advise_only
        ),
        Scope.ANSWER,
        "上申に応答する", "Acknowledge an escalation",
        refusals=(_P.ALREADY_ANSWERED,),
    ),
    Call(
        "resolve_escalation", f"{_ESCALATION}/resolve", "escalation", p.Resolution,
        lambda ref, b, s: c.ResolveEscalation(
            sealed=s, escalation=UUID(ref), disposition=b.disposition, to=b.to
        ),
        Scope.ANSWER,
        "上申を解決する", "Resolve an escalation",
        refusals=(_P.NOT_ACKNOWLEDGED, _P.ALREADY_ANSWERED, _P.UNKNOWN_AGENCY),
    ),
    Call(
        "add_note", f"{_REFERRAL}/notes", "referral", p.Note,
        lambda ref, _, s: c.AddNote(sealed=s, referral=_ref(ref)),
        Scope.POST,
        "記録を加える", "Add a note",
        created=True, refusals=(_P.NOT_CUSTODIAN,),
    ),
    Call(
        "close_referral", f"{_REFERRAL}/close", "referral", p.Closing,
        lambda ref, b, s: c.CloseReferral(sealed=s, referral=_ref(ref), outcome=b.outcome),
        Scope.POST,
        "終結する", "Close with an outcome",
        refusals=(_P.NOT_CUSTODIAN, _P.ALREADY_CLOSED, _P.ESCALATION_OPEN),
    ),
    Call(
        "cancel_referral", f"{_REFERRAL}/cancel", "referral", p.Cancelling,
        lambda ref, _, s: c.CancelReferral(sealed=s, referral=_ref(ref)),
        Scope.POST,
        "受諾前に取り消す", "Cancel before anyone accepted",
        refusals=(_P.ALREADY_ANSWERED, _P.ALREADY_CLOSED),
    ),
    Call(
        "reopen_referral", f"{_REFERRAL}/reopen", "referral", p.Reopening,
        lambda ref, _, s: c.ReopenReferral(sealed=s, referral=_ref(ref)),
        Scope.POST,
        "終結した件を再開する", "Reopen a closed case",
        refusals=(_P.NOT_CUSTODIAN,),
    ),
)  # fmt: skip


def build_submission(
    referral: UUID, body: p.ReferralSubmission, finding: c.Finding | None, sealed: Sealed
) -> c.SubmitReferral:
    """What a posted referral asks of the deciding service: codes, and the sealed groups."""
    address_kind = body.address.kind if body.address else AddressKind.NONE
    no_handbook = body.needs is not None and body.needs.handbook_held is False
    return c.SubmitReferral(
        sealed=sealed,
        referral=referral,
        sender_reference=body.sender_reference,
        function=body.function,
        urgency=body.urgency,
        requested_action=body.requested_action,
        requested_by=body.requested_by,
        topics=body.topics,
        reported_by=body.reported_by,
        household=body.household,
        address_kind=address_kind,
        consent_basis=body.consent.basis,
        consent_obtained_at=body.consent.obtained_at,
        unregistered=body.registered is False or no_handbook,
        to_agency=body.to.agency if body.to else None,
        to_district=body.to.district if body.to else None,
        finding=finding,
    )


def personal_data(body: p.ReferralSubmission) -> dict[Group, dict[str, Any]]:
    """What of a submission is sealed, by field group. In the clear, of the registration and of the
    handbook (within ``needs``), is only whether one of them is known to be missing."""

    def of(**fields: Any) -> dict[str, Any]:
        return {name: value for name, value in fields.items() if value is not None}

    def dumped(part: p.Sent | None) -> dict[str, Any] | None:
        return part.model_dump(mode="json", exclude_none=True) if part is not None else None

    groups = {
        Group.IDENTITY: of(person=dumped(body.person), staff=body.staff),
        Group.ADDRESS: of(address=dumped(body.address)),
        Group.SITUATION: of(
            summary=body.summary,
            complaint=body.complaint,
            risks=body.risks,
            registered=body.registered,
            needs=dumped(body.needs),
        ),
        Group.CONSENT: of(consent=dumped(body.consent)),
    }
    return {group: payload for group, payload in groups.items() if payload}
