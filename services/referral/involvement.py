"""Who has a part in a referral, is told of it, and may see what of it. Pure."""

from schemas import events as e
from schemas.codes import AddressKind, AgencyKind, HandoffState
from schemas.referral import Referral
from wards.model import Ward

_HOLDING = (HandoffState.OFFERED, HandoffState.ACCEPTED, HandoffState.COMPLETED)
_TAKEN = (HandoffState.ACCEPTED, HandoffState.COMPLETED)


def involved(state: Referral) -> tuple[str, ...]:
    """Who has a part in the referral now: sender, custodian, askers and receivers of what stands or
    was accepted. They may open its personal data and are told of its events."""
    agencies = {state.sender, state.custodian}
    for handoff in state.handoffs:
        if handoff.state in _HOLDING:
            agencies |= {handoff.sender, handoff.receiver}
    return tuple(sorted(agencies))


def ever_involved(state: Referral) -> frozenset[str]:
    """Whoever had a part in it at any time: they may see how it stands, not whom it is about."""
    asked = {h.receiver for h in state.handoffs} | {h.sender for h in state.handoffs}
    return frozenset({state.sender, state.custodian} | asked)


def concerned(state: Referral, event: e.Event, ward: Ward) -> tuple[str, ...]:
    """Who is told of ``event``, ``state`` being what it led to."""
    agencies = set(involved(state))
    match event:
        case e.HandoffDeclined() | e.HandoffExpired() | e.HandoffWithdrawn():
            handoff = state.handoff(event.handoff)
            if handoff is not None:
                agencies |= {handoff.sender, handoff.receiver}
        case e.DistrictFound() | e.RulingRequested() | e.DistrictRuled():
            if not isinstance(event, e.DistrictFound):
                agencies.add(ward.core)
            # A protected case's district is told to nobody who could not read it there.
            agencies = {agency for agency in agencies if may_know_district(state, agency, ward)}
        case e.EscalationRaised() | e.EscalationAcknowledged() | e.EscalationResolved():
            agencies.add(ward.core)
        case _:
            pass
    return tuple(sorted(agencies))


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
    """A protected address (DV and the like) is masked for all but the core centre and whoever has
    taken the case: neither its sender nor those it is only offered to read it here."""
    if state.address_kind is not AddressKind.PROTECTED:
        return may_open(state, agency_id, ward)
    taken = {h.receiver for h in state.handoffs if h.state in _TAKEN}
    return agency_id in taken | {ward.core} and may_open(state, agency_id, ward)


def may_know_district(state: Referral, agency_id: str, ward: Ward) -> bool:
    """The district is no secret to whoever may see the case, unless the address is protected."""
    if state.address_kind is AddressKind.PROTECTED:
        return may_open_address(state, agency_id, ward)
    return may_see(state, agency_id, ward)
