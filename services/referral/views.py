"""A referral as one agency may see it (``schemas.partner.ReferralGiven``), without personal data:
that is opened at the edge. Pure."""

from schemas import events as e
from schemas.base import JsonObject
from schemas.codes import AddressKind, AgencyKind, Basis
from schemas.outside import local_text
from schemas.referral import Referral
from services.referral.lifecycle import HOLDING, ever_involved, involved
from wards.model import Ward


def may_see(state: Referral, agency_id: str, ward: Ward) -> bool:
    """Involved now or before, the core centre, or an auditor."""
    agency = ward.agency(agency_id)
    return agency is not None and (
        agency_id == ward.core
        or agency.kind is AgencyKind.AUDITOR
        or agency_id in ever_involved(state)
    )


def may_open(state: Referral, agency_id: str, ward: Ward) -> bool:
    """May the agency read the personal data? Only whoever has a part in it now, and the core
    centre; an auditor never does."""
    agency = ward.agency(agency_id)
    if agency is None or agency.kind is AgencyKind.AUDITOR:
        return False
    return agency_id == ward.core or agency_id in involved(state)


def may_open_address(state: Referral, agency_id: str, ward: Ward) -> bool:
    """A protected address (DV and the like) is masked for all but the core centre and whoever
    received the case; so is the district."""
    if state.address_kind is not AddressKind.PROTECTED:
        return may_open(state, agency_id, ward)
    receives = {h.receiver for h in state.handoffs if h.state in HOLDING}
    return agency_id in receives | {state.sender, state.custodian, ward.core} and may_open(
        state, agency_id, ward
    )


def may_know_district(state: Referral, agency_id: str, ward: Ward) -> bool:
    """The district is no secret to whoever may see the case, unless the address is protected."""
    if state.address_kind is AddressKind.PROTECTED:
        return may_open_address(state, agency_id, ward)
    return may_see(state, agency_id, ward)


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
                    "answered_at": local_text(h.answered_at) if h.answered_at else None,
                    "said_by": h.said_by.value if h.said_by else None,
                    "reason": h.reason,
                    "outcome": h.outcome,
                }
            )
            for h in state.handoffs
        ],
        "escalations": [
            {
                "id": str(x.id),
                "code": x.code,
                "state": x.state.value,
                "raised_at": local_text(x.raised_at),
                "raised_by": x.raised_by,
            }
            for x in state.escalations
        ],
    }
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


def tells_the_district(event: e.Event) -> bool:
    """Events that a reader who may not know the district does not see."""
    return isinstance(event, e.DistrictFound | e.RulingRequested | e.DistrictRuled)


def _present(fields: JsonObject) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}
