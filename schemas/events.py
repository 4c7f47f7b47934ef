"""What can happen to a referral. These names and shapes are on disk and in the ledger for ever.

An event states a fact that was decided; it holds codes, ids and commitments, never a person's name,
address or words. Retired fields stay listed here with what they were. None is retired yet.
"""

from typing import Annotated, Literal, get_args
from uuid import UUID

from pydantic import Field, TypeAdapter

from schemas.base import AgencyId, Code, Hex64, Moment, ReferralNumber, Said
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
    WithdrawnBecause,
)
from schemas.due import Due
from schemas.sealed import Commitment


class Happened(Said):
    """A fact. ``sealed``: commitments to the personal data that came with it."""

    sealed: tuple[Commitment, ...] = ()


class ReferralSubmitted(Happened):
    """A partner's referral was accepted; the sender is custodian from here (受付)."""

    type: Literal["referral_submitted"] = "referral_submitted"
    number: ReferralNumber
    sender: AgencyId
    sender_reference: str | None = None
    function: Code
    urgency: Urgency
    requested_action: Code | None = None
    requested_by: Moment | None = None
    topics: tuple[Code, ...] = ()
    reported_by: ReportedBy = ReportedBy.AGENCY
    household: Household = Household.UNKNOWN
    address_kind: AddressKind = AddressKind.NONE
    consent_basis: Code
    consent_obtained_at: Moment | None = None
    unregistered: bool = False
    to_agency: AgencyId | None = None
    to_district: Code | None = None


class DistrictFound(Happened):
    """The address, or the sender, settles the district. ``ruling``: the event of the core centre's
    ruling that settles it, when the basis is ``ruled`` and it was remembered for the block."""

    type: Literal["district_found"] = "district_found"
    district: Code
    basis: Basis
    candidates: tuple[Code, ...]
    ruling: UUID | None = None
    block_key: Hex64 | None = None


class RulingRequested(Happened):
    """The address may lie in several districts: the core centre is asked (判定依頼)."""

    type: Literal["ruling_requested"] = "ruling_requested"
    candidates: tuple[Code, ...]
    block_key: Hex64 | None = None


class DistrictRuled(Happened):
    """The core centre decided the district (判定). ``remember``: the next address in that block
    resolves the same way; the block is named by a keyed hash, not by its address. ``revises``: the
    event of the ruling that this one takes the place of, from now on (判定の変更)."""

    type: Literal["district_ruled"] = "district_ruled"
    district: Code
    by: AgencyId
    remember: bool
    block_key: Hex64 | None = None
    revises: UUID | None = None


class HandoffOffered(Happened):
    """One agency was asked (打診). ``offer``: shared by all receivers asked in the same step. ``due``:
    until when it must answer. ``withheld``: it is not told about whom before it accepts (氏名等は受諾後).
    ``listed``: the sender named nobody, the ward's list did (空き照会)."""

    type: Literal["handoff_offered"] = "handoff_offered"
    handoff: UUID
    offer: UUID
    kind: HandoffKind
    function: Code
    sender: AgencyId
    receiver: AgencyId
    due: Due | None = None
    withheld: bool = False
    listed: bool = False


class HandoffAccepted(Happened):
    """The receiver took it (受諾). ``custodian``: who is responsible from this instant."""

    type: Literal["handoff_accepted"] = "handoff_accepted"
    handoff: UUID
    by: AgencyId
    custodian: AgencyId


class HandoffDeclined(Happened):
    """The agency, or the person, said no (辞退)."""

    type: Literal["handoff_declined"] = "handoff_declined"
    handoff: UUID
    by: AgencyId
    said_by: SaidBy
    reason: Code


class HandoffExpired(Happened):
    """The receiver stayed silent until the clock ran out (無回答). ``overdue_since``: when it should
    have answered."""

    type: Literal["handoff_expired"] = "handoff_expired"
    handoff: UUID
    overdue_since: Moment


class HandoffWithdrawn(Happened):
    """The offer stopped standing without an answer of its own (取り下げ)."""

    type: Literal["handoff_withdrawn"] = "handoff_withdrawn"
    handoff: UUID
    by: AgencyId
    because: WithdrawnBecause


class HandoffCompleted(Happened):
    """The receiver of a request reports how it went (完了報告)."""

    type: Literal["handoff_completed"] = "handoff_completed"
    handoff: UUID
    by: AgencyId
    outcome: Code


class EscalationRaised(Happened):
    """The core centre was called (上申). ``code``: E01-E13. ``by``: the agency that called, or
    ``network`` where the ward's own rule did. ``desk`` of the agency ``to`` is called first and must
    acknowledge until ``due``. ``handoff``: the one whose receiver is closed, silent or has refused;
    ``overdue_since``: the clock that was missed. ``restricted``: only named readers from here on."""

    type: Literal["escalation_raised"] = "escalation_raised"
    escalation: UUID
    code: Code
    by: AgencyId
    level: int = Field(default=1, ge=1)
    desk: Code | None = None
    to: AgencyId | None = None
    due: Due | None = None
    handoff: UUID | None = None
    overdue_since: Moment | None = None
    restricted: bool = False


class EscalationPassedOn(Happened):
    """Nobody acknowledged, or whoever did has not resolved it in time: the next desk is called, and
    the last one again and again (次の窓口へ). From here nobody has it in hand."""

    type: Literal["escalation_passed_on"] = "escalation_passed_on"
    escalation: UUID
    level: int = Field(ge=1)
    desk: Code
    to: AgencyId
    due: Due
    overdue_since: Moment


class EscalationAcknowledged(Happened):
    """Somebody at a desk that was called has it in hand (応答). ``custodian``: responsible from here:
    the core centre, or unchanged where it only advises. ``due``: until when it must be resolved."""

    type: Literal["escalation_acknowledged"] = "escalation_acknowledged"
    escalation: UUID
    by: AgencyId
    advise_only: bool = False
    custodian: AgencyId
    due: Due | None = None


class EscalationResolved(Happened):
    """An escalation ended (解決): what became of the case."""

    type: Literal["escalation_resolved"] = "escalation_resolved"
    escalation: UUID
    by: AgencyId
    disposition: Disposition


class CustodyTaken(Happened):
    """The core centre took the case over (引き取り). Said where the call that led to it is known to
    named readers only; otherwise the acknowledgement says it."""

    type: Literal["custody_taken"] = "custody_taken"
    by: AgencyId
    custodian: AgencyId


class NoteAdded(Happened):
    """Words were added to the record (記録); only their commitment is here."""

    type: Literal["note_added"] = "note_added"
    note: UUID
    by: AgencyId


class AttachmentAdded(Happened):
    """A file was put on the record (添付). ``ciphertext_sha256``: of the encrypted bytes that
    are kept of it; ``size``: of the file itself, in bytes. Name and SHA-256 of the file are sealed."""

    type: Literal["attachment_added"] = "attachment_added"
    attachment: UUID
    by: AgencyId
    media_type: MediaType
    size: int = Field(ge=1)
    ciphertext_sha256: Hex64


class ReferralClosed(Happened):
    """The case ended with an outcome (終結)."""

    type: Literal["referral_closed"] = "referral_closed"
    by: AgencyId
    outcome: Code


class ReferralCancelled(Happened):
    """The sender took it back before anyone accepted (取消)."""

    type: Literal["referral_cancelled"] = "referral_cancelled"
    by: AgencyId


class ReferralReopened(Happened):
    """A closed case goes on (再開)."""

    type: Literal["referral_reopened"] = "referral_reopened"
    by: AgencyId


Event = Annotated[
    ReferralSubmitted
    | DistrictFound
    | RulingRequested
    | DistrictRuled
    | HandoffOffered
    | HandoffAccepted
    | HandoffDeclined
    | HandoffExpired
    | HandoffWithdrawn
    | HandoffCompleted
    | EscalationRaised
    | EscalationPassedOn
    | EscalationAcknowledged
    | EscalationResolved
    | CustodyTaken
    | NoteAdded
    | AttachmentAdded
    | ReferralClosed
    | ReferralCancelled
    | ReferralReopened,
    Field(discriminator="type"),
]

event_adapter: TypeAdapter[Event] = TypeAdapter(Event)
EVENT_TYPES: tuple[type[Happened], ...] = get_args(get_args(Event)[0])
