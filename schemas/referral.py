"""What the events add up to: the state of one referral, and how each event changes it.

``evolve`` gathers facts and never decides. Every reader folds with it: the service that decides,
the auditors' replay, whoever draws the history. Pure and total over what ``schemas.events`` can say.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never
from uuid import UUID

from pydantic import TypeAdapter

from schemas import events as e
from schemas.codes import (
    AddressKind,
    Basis,
    Disposition,
    EscalationState,
    HandoffKind,
    HandoffState,
    Household,
    MediaType,
    ReportedBy,
    SaidBy,
    Stage,
    Urgency,
)
from schemas.journal import JournalEntry


@dataclass(frozen=True, slots=True)
class District:
    """``id`` is None as long as nobody has settled it; then ``candidates`` says between which.
    ``ruling``: the event of the core centre's ruling that settled it."""

    id: str | None
    basis: Basis
    candidates: tuple[str, ...]
    block_key: str | None = None
    ruling: UUID | None = None


@dataclass(frozen=True, slots=True)
class Handoff:
    """One agency asked, and its answer. ``withheld``: it is told about whom only when it accepts;
    ``listed``: it was asked because the ward's list says so (空き照会)."""

    id: UUID
    offer: UUID
    kind: HandoffKind
    function: str
    sender: str
    receiver: str
    state: HandoffState
    offered_at: datetime
    due_at: datetime | None = None
    withheld: bool = False
    listed: bool = False
    answered_at: datetime | None = None
    said_by: SaidBy | None = None
    reason: str | None = None
    outcome: str | None = None

    @property
    def stands(self) -> bool:
        """Still waiting for an answer."""
        return self.state is HandoffState.OFFERED


@dataclass(frozen=True, slots=True)
class Escalation:
    """A call to the core centre. ``level``: which desk was called last; ``called``: the agencies whose
    desks were called so far; ``due_at``: until when it must be acknowledged, or resolved."""

    id: UUID
    code: str
    state: EscalationState
    raised_at: datetime
    raised_by: str
    level: int = 1
    desk: str | None = None
    called: tuple[str, ...] = ()
    due_at: datetime | None = None
    handoff: UUID | None = None
    restricted: bool = False
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    resolved_at: datetime | None = None
    disposition: Disposition | None = None

    @property
    def open(self) -> bool:
        """Not resolved yet."""
        return self.state is not EscalationState.RESOLVED


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file on the record. ``ciphertext_sha256``: of the encrypted bytes, by which they are found;
    ``size``: of the file itself, in bytes."""

    id: UUID
    media_type: MediaType
    size: int
    ciphertext_sha256: str
    added_at: datetime
    added_by: str


@dataclass(frozen=True, slots=True)
class LiveClock:
    """A clock that runs: what it is about (a hand-off or an escalation), and when it is due."""

    subject: UUID
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Referral:
    """One person's need, travelling. At every version exactly one ``custodian``."""

    id: UUID
    ward: str
    number: str
    version: int
    stage: Stage
    sender: str
    custodian: str
    sender_reference: str | None
    function: str
    urgency: Urgency
    requested_action: str | None
    requested_by: datetime | None
    topics: tuple[str, ...]
    reported_by: ReportedBy
    household: Household
    address_kind: AddressKind
    consent_basis: str
    submitted_at: datetime
    updated_at: datetime
    unregistered: bool = False
    district: District | None = None
    handoffs: tuple[Handoff, ...] = ()
    escalations: tuple[Escalation, ...] = ()
    outcome: str | None = None
    attachments: tuple[Attachment, ...] = ()

    def handoff(self, handoff_id: UUID) -> Handoff | None:
        return next((h for h in self.handoffs if h.id == handoff_id), None)

    def escalation(self, escalation_id: UUID) -> Escalation | None:
        return next((x for x in self.escalations if x.id == escalation_id), None)

    @property
    def clocks(self) -> tuple[LiveClock, ...]:
        """Every clock that runs: of offers that stand, and of escalations that are not resolved."""
        offers = (LiveClock(h.id, h.due_at) for h in self.handoffs if h.stands and h.due_at)
        calls = (LiveClock(x.id, x.due_at) for x in self.escalations if x.open and x.due_at)
        return (*offers, *calls)

    @property
    def ended(self) -> bool:
        return self.stage in (Stage.CLOSED, Stage.CANCELLED)


referral_adapter: TypeAdapter[Referral] = TypeAdapter(Referral)


def evolve(state: Referral | None, entry: JournalEntry) -> Referral:
    """The state after ``entry``. Raises ValueError when entries are missing or out of order."""
    event, at = entry.event, entry.occurred_at
    if state is None:
        if not isinstance(event, e.ReferralSubmitted) or entry.version != 1:
            raise ValueError("a history begins with its submission")
        return _submitted(entry, event)
    if entry.version != state.version + 1:
        raise ValueError(f"version {entry.version} cannot follow {state.version}")
    version = entry.version
    match event:
        case e.HandoffOffered():
            handoff = Handoff(
                event.handoff, event.offer, event.kind, event.function, event.sender,
                event.receiver, HandoffState.OFFERED, at, event.due.at if event.due else None,
                event.withheld, event.listed,
            )  # fmt: skip
            handoffs = (*state.handoffs, handoff)
            return _moved(state, version, at, handoffs=handoffs)
        case e.HandoffAccepted():
            handoffs = _answered(state, event.handoff, HandoffState.ACCEPTED, at)
            return _moved(state, version, at, handoffs=handoffs, custodian=event.custodian)
        case e.HandoffDeclined():
            handoffs = tuple(
                replace(
                    h, state=HandoffState.DECLINED, answered_at=at,
                    said_by=event.said_by, reason=event.reason,
                )
                if h.id == event.handoff else h
                for h in state.handoffs
            )  # fmt: skip
            return _moved(state, version, at, handoffs=handoffs)
        case e.HandoffExpired():
            handoffs = _answered(state, event.handoff, HandoffState.EXPIRED, at)
            return _moved(state, version, at, handoffs=handoffs)
        case e.HandoffWithdrawn():
            handoffs = _answered(state, event.handoff, HandoffState.WITHDRAWN, at)
            return _moved(state, version, at, handoffs=handoffs)
        case e.HandoffCompleted():
            handoffs = tuple(
                replace(h, state=HandoffState.COMPLETED, outcome=event.outcome)
                if h.id == event.handoff
                else h
                for h in state.handoffs
            )
            return _moved(state, version, at, handoffs=handoffs)
        case e.DistrictFound():
            district = District(
                event.district, event.basis, event.candidates, event.block_key, event.ruling
            )
            return _moved(state, version, at, district=district)
        case e.RulingRequested():
            district = District(None, Basis.AMBIGUOUS, event.candidates, event.block_key)
            return _moved(state, version, at, district=district)
        case e.DistrictRuled():
            candidates = state.district.candidates if state.district else (event.district,)
            district = District(event.district, Basis.RULED, candidates, event.block_key, entry.id)
            return _moved(state, version, at, district=district)
        case e.EscalationRaised():
            escalation = Escalation(
                event.escalation, event.code, EscalationState.RAISED, at, event.by,
                level=event.level, desk=event.desk, called=(event.to,) if event.to else (),
                due_at=event.due.at if event.due else None, handoff=event.handoff,
                restricted=event.restricted,
            )  # fmt: skip
            return _moved(state, version, at, escalations=(*state.escalations, escalation))
        case e.EscalationPassedOn():
            before = state.escalation(event.escalation)
            called = before.called if before else ()
            # Whoever had it in hand has it no more: it is called again.
            escalations = _changed(
                state, event.escalation, state=EscalationState.RAISED, level=event.level,
                desk=event.desk, due_at=event.due.at, acknowledged_at=None, acknowledged_by=None,
                called=called if event.to in called else (*called, event.to),
            )  # fmt: skip
            return _moved(state, version, at, escalations=escalations)
        case e.EscalationAcknowledged():
            escalations = _changed(
                state, event.escalation, state=EscalationState.ACKNOWLEDGED, acknowledged_at=at,
                acknowledged_by=event.by, due_at=event.due.at if event.due else None,
            )  # fmt: skip
            return _moved(state, version, at, escalations=escalations, custodian=event.custodian)
        case e.EscalationResolved():
            escalations = _changed(
                state, event.escalation, state=EscalationState.RESOLVED, resolved_at=at,
                disposition=event.disposition, due_at=None,
            )  # fmt: skip
            return _moved(state, version, at, escalations=escalations)
        case e.CustodyTaken():
            return _moved(state, version, at, custodian=event.custodian)
        case e.NoteAdded():
            return replace(state, version=version, updated_at=at)
        case e.AttachmentAdded():
            attachment = Attachment(
                event.attachment, event.media_type, event.size, event.ciphertext_sha256, at,
                event.by,
            )  # fmt: skip
            return replace(
                state,
                version=version,
                updated_at=at,
                attachments=(*state.attachments, attachment),
            )
        case e.ReferralClosed():
            return replace(
                state, version=version, updated_at=at, stage=Stage.CLOSED, outcome=event.outcome
            )
        case e.ReferralCancelled():
            return replace(state, version=version, updated_at=at, stage=Stage.CANCELLED)
        case e.ReferralReopened():
            return _moved(replace(state, stage=Stage.IN_CARE, outcome=None), version, at)
        case e.ReferralSubmitted():
            raise ValueError("a referral is submitted once")
        case _:
            assert_never(event)


def fold(entries: Iterable[JournalEntry]) -> Referral | None:
    """The state after all of one referral's entries, in order; None when there are none."""
    state: Referral | None = None
    for entry in entries:
        state = evolve(state, entry)
    return state


def _submitted(entry: JournalEntry, event: e.ReferralSubmitted) -> Referral:
    return Referral(
        id=entry.referral,
        ward=entry.ward,
        number=event.number,
        version=1,
        stage=Stage.IN_CARE,
        sender=event.sender,
        custodian=event.sender,
        sender_reference=event.sender_reference,
        function=event.function,
        urgency=event.urgency,
        requested_action=event.requested_action,
        requested_by=event.requested_by,
        topics=event.topics,
        reported_by=event.reported_by,
        household=event.household,
        address_kind=event.address_kind,
        consent_basis=event.consent_basis,
        submitted_at=entry.occurred_at,
        updated_at=entry.occurred_at,
        unregistered=event.unregistered,
    )


def _answered(
    state: Referral, handoff_id: UUID, answer: HandoffState, at: datetime
) -> tuple[Handoff, ...]:
    return tuple(
        replace(h, state=answer, answered_at=at) if h.id == handoff_id else h
        for h in state.handoffs
    )


def _changed(referral: Referral, escalation_id: UUID, **changes: object) -> tuple[Escalation, ...]:
    return tuple(
        replace(x, **changes) if x.id == escalation_id else x  # type: ignore[arg-type]
        for x in referral.escalations
    )


def _moved(
    state: Referral,
    version: int,
    at: datetime,
    *,
    handoffs: tuple[Handoff, ...] | None = None,
    custodian: str | None = None,
    district: District | None = None,
    escalations: tuple[Escalation, ...] | None = None,
) -> Referral:
    """The next version. The stage follows from what stands: nobody sets it by hand."""
    handoffs = state.handoffs if handoffs is None else handoffs
    district = state.district if district is None else district
    if state.ended:
        stage = state.stage
    elif district is not None and district.id is None:
        stage = Stage.AWAITING_RULING
    elif any(h.stands and h.kind is HandoffKind.TRANSFER for h in handoffs):
        stage = Stage.OFFERED
    else:
        stage = Stage.IN_CARE
    return replace(
        state,
        version=version,
        updated_at=at,
        stage=stage,
        handoffs=handoffs,
        custodian=state.custodian if custodian is None else custodian,
        district=district,
        escalations=state.escalations if escalations is None else escalations,
    )
