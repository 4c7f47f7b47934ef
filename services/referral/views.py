"""A referral as one agency may see it (``schemas.partner.ReferralGiven``), without personal data:
that is opened at the edge. Pure."""

from datetime import datetime

from schemas import events as e
from schemas.base import JsonObject
from schemas.codes import Basis
from schemas.journal import JournalEntry
from schemas.outside import cloud_event, local_text
from schemas.referral import Escalation, Referral
from services.referral.involvement import may_know_district, may_know_escalation
from wards.model import Ward


def referral_given(state: Referral, agency_id: str, ward: Ward) -> JsonObject:
    """The body that a partner gets."""
    given: JsonObject = {
        "id": str(state.id),
        "number": state.number,
        "ward": state.ward,
        "version": state.version,
        "stage": state.stage.value,
        "custodian": state.custodian,
        "sender": state.sender,
        "function": state.function,
        "urgency": state.urgency.value,
        "topics": list(state.topics),
        "reported_by": state.reported_by.value,
        "household": state.household.value,
        "consent_basis": state.consent_basis,
        "submitted_at": local_text(state.submitted_at),
        "updated_at": local_text(state.updated_at),
        "handoffs": [
            _present(
                {
                    "id": str(h.id),
                    "kind": h.kind.value,
                    "function": h.function,
                    "from": h.sender,
                    "to": h.receiver,
                    "state": h.state.value,
                    "offered_at": local_text(h.offered_at),
                    "due_at": local_text(h.due_at) if h.due_at else None,
                    "withheld": h.withheld or None,
                    "answered_at": local_text(h.answered_at) if h.answered_at else None,
                    "said_by": h.said_by.value if h.said_by else None,
                    "reason": h.reason,
                    "outcome": h.outcome,
                }
            )
            for h in state.handoffs
        ],
        "escalations": [
            _escalation(x) for x in state.escalations if may_know_escalation(x, agency_id, ward)
        ],
    }
    if state.attachments:
        given["attachments"] = [
            {
                "id": str(a.id),
                "media_type": a.media_type.value,
                "size": a.size,
                "ciphertext_sha256": a.ciphertext_sha256,
                "added_at": local_text(a.added_at),
                "added_by": a.added_by,
            }
            for a in state.attachments
        ]
    if state.sender_reference is not None and agency_id in (state.sender, ward.core):
        given["sender_reference"] = state.sender_reference
    if state.requested_action is not None:
        given["requested_action"] = state.requested_action
    if state.requested_by is not None:
        given["requested_by"] = local_text(state.requested_by)
    if state.outcome is not None:
        given["outcome"] = state.outcome
    if state.district is not None and may_know_district(state, agency_id, ward):
        district = state.district
        given["district"] = {
            "id": district.id,
            "basis": (district.basis if district.id else Basis.AMBIGUOUS).value,
            "candidates": list(district.candidates),
        }
    return given


def _escalation(escalation: Escalation) -> JsonObject:
    x = escalation

    def at(moment: datetime | None) -> str | None:
        return local_text(moment) if moment is not None else None

    return _present(
        {
            "id": str(x.id),
            "code": x.code,
            "state": x.state.value,
            "raised_at": at(x.raised_at),
            "raised_by": x.raised_by,
            "level": x.level,
            "desk": x.desk,
            "due_at": at(x.due_at),
            "handoff": str(x.handoff) if x.handoff else None,
            "acknowledged_at": at(x.acknowledged_at),
            "acknowledged_by": x.acknowledged_by,
            "resolved_at": at(x.resolved_at),
            "disposition": x.disposition.value if x.disposition else None,
        }
    )


def burning_given(
    state: Referral, escalation: Escalation, change: int, agency_id: str, ward: Ward
) -> JsonObject:
    """An escalation on the board (``schemas.partner.BurningGiven``)."""
    given: JsonObject = {
        **_escalation(escalation),
        "change": change,
        "referral": str(state.id),
        "number": state.number,
        "function": state.function,
        "urgency": state.urgency.value,
        "stage": state.stage.value,
        "custodian": state.custodian,
    }
    if state.district is not None and may_know_district(state, agency_id, ward):
        given["candidates"] = list(state.district.candidates)
        if state.district.id is not None:
            given["district"] = state.district.id
    return given


def event_given(entry: JournalEntry, state: Referral, agency_id: str, ward: Ward) -> JsonObject:
    """One event of the history; the sender's own reference is its own affair."""
    event = cloud_event(entry)
    if agency_id not in (state.sender, ward.core):
        event["data"].pop("sender_reference", None)
    return event


def may_be_told(event: e.Event, state: Referral, agency_id: str, ward: Ward) -> bool:
    """Whether a reader of the history sees an event: not the district, where it may not know it, nor
    a call that only named readers know of."""
    if tells_the_district(event):
        return may_know_district(state, agency_id, ward)
    escalation = getattr(event, "escalation", None)
    about = state.escalation(escalation) if escalation is not None else None
    return about is None or may_know_escalation(about, agency_id, ward)


def tells_the_district(event: e.Event) -> bool:
    """Events that a reader who may not know the district does not see."""
    return isinstance(event, e.DistrictFound | e.RulingRequested | e.DistrictRuled)


def _present(fields: JsonObject) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}
