"""What partners' systems send and get: the bodies of the HTTP contract, v1.

Unlike messages on the bus, a body with an unknown field is refused, naming the field: a misspelt
``adress`` that is silently ignored would be a lost address.
"""

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from schemas.base import AgencyId, Code, Hex64, ReferralNumber, WardCode
from schemas.codes import (
    AddressKind,
    AddressWarning,
    AgencyKind,
    Basis,
    Disposition,
    EscalationState,
    HandoffKind,
    HandoffState,
    Household,
    MediaType,
    ReportedBy,
    SaidBy,
    ScanState,
    Stage,
    Urgency,
)

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000)]
Reference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/#:-]{0,63}$")]


def _as_text(value: object) -> object:
    """A time is RFC 3339 text; a bare number would be read as seconds since 1970."""
    if isinstance(value, str) and not value.lstrip("+-").replace(".", "").isdigit():
        return value
    raise ValueError("日時は RFC 3339 の文字列で書いてください / a time is RFC 3339 text")


Moment = Annotated[AwareDatetime, BeforeValidator(_as_text)]
Day = Annotated[date, BeforeValidator(_as_text)]


class Sent(BaseModel):
    """A body that a partner sends."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class PreferredContact(StrEnum):
    PHONE = "phone"
    FAX = "fax"
    MAIL = "mail"
    LETTER = "letter"
    VISIT = "visit"
    SIGN_LANGUAGE = "sign_language"
    WRITING = "writing"


class DisabilityKind(StrEnum):
    PHYSICAL = "physical"
    INTELLECTUAL = "intellectual"
    MENTAL = "mental"
    DEVELOPMENTAL = "developmental"
    HIGHER_BRAIN = "higher_brain"
    INTRACTABLE = "intractable"
    MULTIPLE = "multiple"
    MEDICAL_CARE = "medical_care"
    UNDIAGNOSED = "undiagnosed"


class Contact(Sent):
    """Someone to call (緊急連絡先など)."""

    name: Line | None = None
    relation: Line | None = None
    phone: Line | None = None


class Person(Sent):
    """The person concerned (本人). A name is never "corrected". Either a birth date or an age band."""

    name: Line | None = None
    kana: Line | None = None
    birth_date: Day | None = None
    age_band: Line | None = None
    phone: Line | None = None
    preferred_contact: PreferredContact | None = None
    communication: Text | None = None
    emergency_contacts: tuple[Contact, ...] = Field(default=(), max_length=10)


class Address(Sent):
    """``kind`` none: no fixed address, no text. ``protected``: masked for all but core and receiver."""

    text: Line | None = None
    kind: AddressKind = AddressKind.REGISTERED

    @model_validator(mode="after")
    def _text_unless_there_is_none(self) -> "Address":
        if self.kind in (AddressKind.REGISTERED, AddressKind.ACTUAL) and self.text is None:
            raise ValueError("text is needed for this kind of address / 住所の文字列が要ります")
        if self.kind is AddressKind.NONE and self.text is not None:
            raise ValueError("kind none has no text / kind が none のとき text は書けません")
        return self


class Handbook(Sent):
    """手帳: kind and grade. Never mandatory."""

    kind: Line
    grade: Line | None = None


class CurrentService(Sent):
    """A service in use: its code (24 短期入所 …) and the provider's 10-character number."""

    code: Line
    provider_number: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{10}$")] | None = None


class Needs(Sent):
    """What is known of the person's condition and support (状態像・支援の状況)."""

    disability_kinds: tuple[DisabilityKind, ...] = ()
    handbooks: tuple[Handbook, ...] = Field(default=(), max_length=10)
    support_category: Annotated[int, Field(ge=1, le=6)] | None = None
    care_level: Line | None = None
    medical_care: tuple[Annotated[int, Field(ge=1, le=14)], ...] = ()
    handbook_held: bool | None = Field(default=None, description="whether the person has any 手帳")
    current_services: tuple[CurrentService, ...] = Field(default=(), max_length=50)
    doctor: Line | None = None


class Consent(Sent):
    """On which basis the data is disclosed (同意・根拠). E27-1-2 (protection of life, body or property)
    needs why, danger and who decided; SW106-6 (支援会議) the meeting's id."""

    basis: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9-]{0,15}$")]
    obtained_at: Moment | None = None
    why: Text | None = None
    danger: Text | None = None
    decided_by: Line | None = None
    meeting: Reference | None = None
    agencies: tuple[AgencyId, ...] = Field(default=(), max_length=50)
    items: tuple[Line, ...] = Field(default=(), max_length=50)
    expires_at: Moment | None = None


class To(Sent):
    """Where to: one agency, or a district's hub. Absent: by address."""

    agency: AgencyId | None = None
    district: Code | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "To":
        if (self.agency is None) == (self.district is None):
            raise ValueError("either agency or district / agency か district の一方だけを書きます")
        return self


class ReferralSubmission(Sent):
    """``POST /v1/referrals``: one person's need, handed to the network (つなぎの依頼)."""

    sender_reference: Reference | None = None
    staff: Line | None = Field(default=None, description="the sender's contact (担当者)")
    function: Code
    urgency: Urgency
    requested_action: Code | None = None
    requested_by: Moment | None = None
    topics: tuple[Code, ...] = Field(default=(), max_length=20)
    reported_by: ReportedBy = ReportedBy.AGENCY
    person: Person | None = None
    address: Address | None = None
    household: Household = Household.UNKNOWN
    registered: bool | None = Field(
        default=None,
        description="the household is registered beforehand (事前登録); absent: not known",
    )
    needs: Needs | None = None
    complaint: Text | None = Field(default=None, description="in the person's words (主訴)")
    summary: Text = Field(description="the situation; a hand-off without one is 丸投げ")
    risks: Text | None = None
    consent: Consent
    to: To | None = None


class ReferralBatch(Sent):
    """``POST /v1/referrals/check/batch``: referrals to be checked, nothing more. One that is wrong is
    told for itself and spoils no other (まとめて確かめる)."""

    items: Annotated[tuple[ReferralSubmission, ...], Field(min_length=1, max_length=500)]


class AddressToLocate(Sent):
    """``POST /v1/addresses/locate``: an address as people write it (住所)."""

    text: Line


class HandoffOffer(Sent):
    """``POST /v1/referrals/{id}/handoffs``. Several ``to``: the first acceptance wins. A request
    without ``to`` goes to the ward's candidates for its function (空き照会)."""

    to: Annotated[tuple[AgencyId, ...], Field(min_length=1, max_length=20)] | None = None
    kind: HandoffKind
    function: Code | None = None
    note: Text | None = None


class Acceptance(Sent):
    """The receiver takes it (受諾)."""

    text: Text | None = None


class Decline(Sent):
    """No, and who said so (辞退)."""

    said_by: SaidBy
    reason: Code
    text: Text | None = None


class Withdrawal(Sent):
    """The sender takes an offer back (取り下げ)."""

    text: Text | None = None


class Completion(Sent):
    """How a request went (完了報告)."""

    outcome: Code
    text: Text | None = None


class Ruling(Sent):
    """The core centre decides the district (判定). ``remember``: for this block from now on."""

    district: Code
    remember: bool = False
    text: Text | None = None


class EscalationCall(Sent):
    """A call to the core centre (上申)."""

    reason: Code
    text: Text | None = None


class Acknowledgement(Sent):
    """A call is taken in hand (応答). The core centre takes custody, unless ``advise_only``."""

    advise_only: bool = False
    text: Text | None = None


class Resolution(Sent):
    """A call ends (解決): ``returned`` with advice (``to``: by default whoever had the case before),
    ``reassigned`` (to ``to``), ``kept`` as a difficult case, or ``advised``."""

    disposition: Literal[
        Disposition.RETURNED, Disposition.REASSIGNED, Disposition.KEPT, Disposition.ADVISED
    ]
    to: AgencyId | None = None
    text: Text | None = None


class Note(Sent):
    """Words for the record (記録)."""

    text: Text


class Closing(Sent):
    """The case ends, with an outcome (終結)."""

    outcome: Code
    text: Text | None = None


class Cancelling(Sent):
    """The sender takes the referral back before anyone accepted (取消)."""

    text: Text | None = None


class Reopening(Sent):
    """A closed case goes on (再開)."""

    text: Text | None = None


class Given(BaseModel):
    """A body that a partner gets. Readers ignore what they don't know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class DistrictGiven(Given):
    """The district found, or between which the core centre is to decide (地区)."""

    id: Code | None
    basis: Basis
    candidates: tuple[Code, ...]


class CheckGiven(Given):
    """The referral would be taken (下見). ``district``: where it would go, as things stand."""

    district: DistrictGiven | None = None


class AddressRead(Given):
    """What was read of an address: the town's name as the ward has it, and the numbers that are certain
    (読み取った住所)."""

    town: str
    chome: int | None = None
    ban: int | None = None
    go: int | None = None


class AddressLocated(Given):
    """The district in which an address lies, as a referral with it would have it now; without a ``district``
    the core centre would be asked which of the ``candidates`` it is (住所の地区)."""

    district: Code | None = None
    basis: Basis
    candidates: tuple[Code, ...]
    warnings: tuple[AddressWarning, ...] = ()
    address: AddressRead


class HandoffGiven(Given):
    """One offer to one agency, and its answer (打診)."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", validate_by_name=True, validate_by_alias=True
    )

    id: UUID
    kind: HandoffKind
    function: Code
    from_: AgencyId = Field(alias="from")
    to: AgencyId
    state: HandoffState
    offered_at: AwareDatetime
    due_at: AwareDatetime | None = Field(default=None, description="until when it must answer")
    withheld: bool = Field(default=False, description="about whom is told on acceptance")
    answered_at: AwareDatetime | None = None
    said_by: SaidBy | None = None
    reason: Code | None = None
    outcome: Code | None = None


class EscalationGiven(Given):
    """A call to the core centre (上申), and where it stands. ``due_at``: until when the desk must
    acknowledge, or whoever acknowledged must resolve."""

    id: UUID
    code: Code
    state: EscalationState
    raised_at: AwareDatetime
    raised_by: AgencyId
    level: int = 1
    desk: Code | None = None
    due_at: AwareDatetime | None = None
    handoff: UUID | None = None
    acknowledged_at: AwareDatetime | None = None
    acknowledged_by: AgencyId | None = None
    resolved_at: AwareDatetime | None = None
    disposition: Disposition | None = None


class BurningGiven(EscalationGiven):
    """An escalation on the board (見張り), with what is needed to see whose it is. ``change``: the
    number of its newest change, among all changes of escalations; also its id in the stream."""

    change: int
    referral: UUID
    number: ReferralNumber
    function: Code
    urgency: Urgency
    stage: Stage
    custodian: AgencyId
    district: Code | None = None
    candidates: tuple[Code, ...] = ()


class EscalationList(Given):
    """``GET /v1/escalations``, newest change first. ``head``: the newest change that the answer knows
    of: a stream opened with it as ``Last-Event-ID`` misses nothing."""

    items: tuple[BurningGiven, ...]
    head: int
    next: str | None = None


class AttachmentGiven(Given):
    """A file on the record (添付). ``ciphertext_sha256``: of the bytes that are kept, as in the ledger.
    ``name`` and ``scan`` are there only when this agency may open it."""

    id: UUID
    media_type: MediaType
    size: int = Field(description="of the file, in bytes")
    ciphertext_sha256: Hex64
    added_at: AwareDatetime
    added_by: AgencyId
    name: str | None = None
    scan: ScanState | None = None


class ReferralGiven(Given):
    """A referral as the asking agency may see it. ``person`` … ``texts`` are there only when this
    agency may open them (``opened``)."""

    id: UUID
    number: ReferralNumber
    ward: WardCode
    version: int
    stage: Stage
    custodian: AgencyId
    sender: AgencyId
    sender_reference: str | None = None
    function: Code
    urgency: Urgency
    requested_action: Code | None = None
    requested_by: AwareDatetime | None = None
    topics: tuple[Code, ...] = ()
    reported_by: ReportedBy
    household: Household
    consent_basis: str
    submitted_at: AwareDatetime
    updated_at: AwareDatetime
    outcome: Code | None = None
    district: DistrictGiven | None = None
    handoffs: tuple[HandoffGiven, ...] = ()
    escalations: tuple[EscalationGiven, ...] = ()
    attachments: tuple[AttachmentGiven, ...] = ()
    opened: bool = False
    registered: bool | None = None
    person: Person | None = None
    address: Address | None = None
    staff: str | None = None
    needs: Needs | None = None
    complaint: str | None = None
    summary: str | None = None
    risks: str | None = None
    consent: Consent | None = None


class ReferralList(Given):
    """Newest first. ``next``: give it as ``after`` for the following page; absent at the end."""

    items: tuple[ReferralGiven, ...]
    next: str | None = None


class CloudEvent(Given):
    """One event as the outside sees it (CloudEvents 1.0). ``data``: the event; in a history with its
    words (``opened``), where this agency may read them."""

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    type: str
    source: str
    subject: str
    time: AwareDatetime
    datacontenttype: Literal["application/json"] = "application/json"
    data: dict[str, object]


class HistoryGiven(Given):
    """Every event of one referral that this agency may see, in order (経過)."""

    items: tuple[CloudEvent, ...]


class InboxItem(Given):
    """``number``: this agency's own numbering, 1, 2, 3 … without a hole."""

    number: int
    event: CloudEvent


class InboxGiven(Given):
    """Events for this agency after a number, oldest first (受信箱)."""

    items: tuple[InboxItem, ...]
    head: int = Field(description="the newest number that this agency has")


class ManifestGiven(Given):
    """What an agency's inbox held, signed (送達目録): 1 … ``size``, with this head hash. ``note``: the C2SP
    signed note that says it; ``key``: the verifier key to check it by, kept from an earlier day or got
    from the ward; ``keys``: all there ever were, newest first."""

    agency: AgencyId
    day: date
    size: int = Field(ge=0)
    head: Hex64
    signed_at: AwareDatetime
    note: str
    key: str
    keys: tuple[str, ...]


class DeliveryTestState(StrEnum):
    """What became of a test event (通信試験の状態)."""

    IN_INBOX = "in_inbox"  # the agency fetches its events itself
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class DeliveryTestGiven(Given):
    """A test event and what became of it (通信試験). ``number``: in the agency's inbox. ``took_ms``:
    from the event to the agency's answer; ``reason``, ``status``: of the last attempt that failed."""

    id: UUID
    daily: bool
    way: Literal["inbox", "webhook", "nats"]
    state: DeliveryTestState
    delivered: bool
    asked_at: AwareDatetime
    number: int | None = None
    attempts: int | None = None
    delivered_at: AwareDatetime | None = None
    took_ms: int | None = None
    reason: Code | None = None
    status: int | None = None


class WardGiven(Given):
    """The ward whose network this is (区)."""

    code: WardCode
    name: str


class WardDistrictGiven(Given):
    """A district (地区) and the agency that serves it today."""

    id: Code
    name: str
    hub: AgencyId


class AgencyGiven(Given):
    """An agency on the network (関係機関). ``sample``: invented, for trying out. ``active``: on the
    network today."""

    id: AgencyId
    name: str
    name_en: str
    kind: AgencyKind
    functions: tuple[Code, ...] = ()
    district: Code | None = None
    hours: str = Field(description="opening hours as people write them")
    phone: str | None = None
    sample: bool = False
    active: bool = True


class TermGiven(Given):
    """A code of the ward and what it means."""

    code: Code
    ja: str
    en: str


class DeskGiven(Given):
    """Where a call to the core centre arrives (窓口)."""

    id: Code
    agency: AgencyId
    name: str
    name_en: str
    hours: str = Field(description="opening hours as people write them")


class EscalationReasonGiven(TermGiven):
    """A reason to call the core centre (上申の理由), and what follows (その後)."""

    then_ja: str = ""
    then_en: str = ""


class DirectoryGiven(Given):
    """``GET /v1/directory``: who is on the network, and which codes this ward uses (名簿)."""

    ward: WardGiven
    districts: tuple[WardDistrictGiven, ...]
    agencies: tuple[AgencyGiven, ...]
    desks: tuple[DeskGiven, ...] = ()
    functions: tuple[TermGiven, ...]
    topics: tuple[TermGiven, ...]
    outcomes: tuple[TermGiven, ...]
    decline_reasons: tuple[TermGiven, ...]
    consent_bases: tuple[TermGiven, ...]
    requested_actions: tuple[TermGiven, ...]
    escalation_reasons: tuple[EscalationReasonGiven, ...]


class RequestGiven(Given):
    """A request that was answered 202: durable, not decided yet."""

    request: UUID
    state: Literal["pending"] = "pending"


class FieldProblemGiven(Given):
    """One mistake: where (RFC 6901 pointer), and what to do about it."""

    pointer: str
    detail: str


class ProblemGiven(Given):
    """RFC 9457, with the stable ``code``."""

    type: str
    title: str
    detail: str
    status: int
    code: str
    errors: tuple[FieldProblemGiven, ...] = ()


class BatchItemGiven(CheckGiven):
    """What one referral of a batch would be answered: ``problem`` where it would be refused."""

    problem: ProblemGiven | None = None


class BatchGiven(Given):
    """``items``: in the order in which they were sent (まとめて下見した答え)."""

    items: tuple[BatchItemGiven, ...]
