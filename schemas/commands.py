"""What can be asked of the service that decides. Personal data is inside ``sealed`` only."""

from typing import Annotated, Literal, get_args
from uuid import UUID

from pydantic import Field, StringConstraints, field_validator

from schemas.base import AgencyId, Code, Hex64, Moment, ReferralRef, Said, WardCode
from schemas.codes import (
    AddressKind,
    Basis,
    Disposition,
    HandoffKind,
    Household,
    MediaType,
    ReportedBy,
    SaidBy,
    Urgency,
)
from schemas.sealed import SealedGroup


class Asked(Said):
    """Something asked of the deciding service. ``sealed``: the personal data that goes with it."""

    sealed: tuple[SealedGroup, ...] = ()

    @field_validator("sealed")
    @classmethod
    def _each_once(cls, sealed: tuple[SealedGroup, ...]) -> tuple[SealedGroup, ...]:
        for said_once in ({s.group for s in sealed}, {s.commitment for s in sealed}):
            if len(said_once) != len(sealed):
                raise ValueError("each group is sealed once, under a commitment of its own")
        return sealed


class Finding(Said):
    """What the address says of the district, found at the door where the address is readable.
    ``block_key``: keyed hash of the block, by which a remembered ruling is looked up."""

    district: Code | None = None
    basis: Basis
    candidates: Annotated[tuple[Code, ...], Field(max_length=100)]
    block_key: Hex64 | None = None


class SubmitReferral(Asked):
    """Take in one person's need (つなぎの依頼)."""

    type: Literal["submit_referral"] = "submit_referral"
    referral: UUID
    sender_reference: Annotated[str, StringConstraints(max_length=64)] | None = None
    function: Code
    urgency: Urgency
    requested_action: Code | None = None
    requested_by: Moment | None = None
    topics: Annotated[tuple[Code, ...], Field(max_length=20)] = ()
    reported_by: ReportedBy = ReportedBy.AGENCY
    household: Household = Household.UNKNOWN
    address_kind: AddressKind = AddressKind.NONE
    consent_basis: Code
    consent_obtained_at: Moment | None = None
    unregistered: bool = False
    to_agency: AgencyId | None = None
    to_district: Code | None = None
    finding: Finding | None = None


class OfferHandoff(Asked):
    """Ask one or several agencies (打診); the first acceptance wins. A request that names nobody goes
    to the ward's candidates for its function (空き照会)."""

    type: Literal["offer_handoff"] = "offer_handoff"
    referral: ReferralRef
    to: Annotated[tuple[AgencyId, ...], Field(max_length=20)] = ()
    kind: HandoffKind
    function: Code | None = None


class AcceptHandoff(Asked):
    """The receiver takes it (受諾)."""

    type: Literal["accept_handoff"] = "accept_handoff"
    handoff: UUID


class DeclineHandoff(Asked):
    """The agency, or the person, says no (辞退)."""

    type: Literal["decline_handoff"] = "decline_handoff"
    handoff: UUID
    said_by: SaidBy
    reason: Code


class WithdrawHandoff(Asked):
    """The sender takes an offer back (取り下げ)."""

    type: Literal["withdraw_handoff"] = "withdraw_handoff"
    handoff: UUID


class CompleteHandoff(Asked):
    """The receiver of a request reports how it went (完了報告)."""

    type: Literal["complete_handoff"] = "complete_handoff"
    handoff: UUID
    outcome: Code


class RuleDistrict(Asked):
    """The core centre decides the district (判定)."""

    type: Literal["rule_district"] = "rule_district"
    referral: ReferralRef
    district: Code
    remember: bool = False


class RaiseEscalation(Asked):
    """Call the core centre (上申)."""

    type: Literal["raise_escalation"] = "raise_escalation"
    referral: ReferralRef
    reason: Code


class AcknowledgeEscalation(Asked):
    """Take a call in hand (応答): the core centre takes custody, unless it only advises."""

    type: Literal["acknowledge_escalation"] = "acknowledge_escalation"
    escalation: UUID
    advise_only: bool = False


class ResolveEscalation(Asked):
    """End a call (解決). ``to``: whom the case is handed on or returned to."""

    type: Literal["resolve_escalation"] = "resolve_escalation"
    escalation: UUID
    disposition: Disposition
    to: AgencyId | None = None


class StrikeClock(Asked):
    """A clock ran out (期限到来). Asked by the deciding service of itself, never by an agency:
    ``subject`` is the hand-off or the escalation whose clock was due at ``due_at``."""

    type: Literal["strike_clock"] = "strike_clock"
    referral: UUID
    subject: UUID
    due_at: Moment


class AddNote(Asked):
    """Add words to the record (記録); they travel sealed."""

    type: Literal["add_note"] = "add_note"
    referral: ReferralRef


LARGEST_ATTACHMENT = 20 * 1024 * 1024
"""Bytes of the file as it was sent (20 MiB)."""


class AddAttachment(Asked):
    """Put a file on the record (添付). Its bytes are stored already, encrypted:
    ``ciphertext_sha256`` is of what is stored, ``size`` of the file as it was sent, in bytes.
    Its name travels sealed."""

    type: Literal["add_attachment"] = "add_attachment"
    referral: ReferralRef
    attachment: UUID
    media_type: MediaType
    size: Annotated[int, Field(ge=1, le=LARGEST_ATTACHMENT)]
    ciphertext_sha256: Hex64


class CloseReferral(Asked):
    """End the case with an outcome (終結)."""

    type: Literal["close_referral"] = "close_referral"
    referral: ReferralRef
    outcome: Code


class CancelReferral(Asked):
    """Take the referral back before anyone accepted (取消)."""

    type: Literal["cancel_referral"] = "cancel_referral"
    referral: ReferralRef


class ReopenReferral(Asked):
    """Go on with a closed case (再開)."""

    type: Literal["reopen_referral"] = "reopen_referral"
    referral: ReferralRef


class ProbeWriting(Asked):
    """Readiness: can a command be made durable? Decided by nobody, recorded nowhere."""

    type: Literal["probe_writing"] = "probe_writing"


Action = Annotated[
    SubmitReferral
    | OfferHandoff
    | AcceptHandoff
    | DeclineHandoff
    | WithdrawHandoff
    | CompleteHandoff
    | RuleDistrict
    | RaiseEscalation
    | AcknowledgeEscalation
    | ResolveEscalation
    | StrikeClock
    | AddNote
    | AddAttachment
    | CloseReferral
    | CancelReferral
    | ReopenReferral
    | ProbeWriting,
    Field(discriminator="type"),
]

ACTION_TYPES: tuple[type[Asked], ...] = get_args(get_args(Action)[0])


class Command(Said):
    """One agency asks one thing, once.

    ``id`` is derived from the agency and its idempotency key, so the same key is the same command
    for ever. ``fingerprint``: keyed hash of what the body means; the same id with another
    fingerprint is a reused key.
    """

    v: Literal[1] = 1
    id: UUID
    ward: WardCode
    agency: AgencyId
    issued_at: Moment
    fingerprint: Hex64
    action: Action


class Answer(Said):
    """What became of a command: an HTTP status and its body, recorded once and given for ever."""

    status: int
    body: str = Field(description="JSON text: a referral, or a problem document")
