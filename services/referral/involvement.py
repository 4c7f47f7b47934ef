"""Who has a part in a referral, is told of it, and may see what of it. Pure."""

from schemas import events as e
from schemas.codes import AddressKind, AgencyKind, HandoffState
from schemas.referral import Escalation, Referral
from wards.model import Ward

_HOLDING = (HandoffState.OFFERED, HandoffState.ACCEPTED, HandoffState.COMPLETED)
_TAKEN = (HandoffState.ACCEPTED, HandoffState.COMPLETED)


def taking_part(state: Referral) -> frozenset[str]:
    """Who does something for the person now: sender, custodian, and whoever took something on."""
    taken = {h.receiver for h in state.handoffs if h.state in _TAKEN}
    return frozenset({state.sender, state.custodian} | taken)


def involved(state: Referral) -> tuple[str, ...]:
    """Who has a part in the referral now: sender, custodian, askers and receivers of what stands or
    was accepted, and the desks that were called and still have it. They are told of its events."""
    agencies = {state.sender, state.custodian}
    for handoff in state.handoffs:
        if handoff.state in _HOLDING:
            agencies |= {handoff.sender, handoff.receiver}
    return tuple(sorted(agencies | _called(state)))


def _called(state: Referral) -> set[str]:
    return {agency for x in state.escalations if x.open for agency in x.called}


def _readers(state: Referral) -> set[str]:
    """Who may open the personal data: whoever has a part in it, but for those who are told about
    whom only when they accept. Once abuse is suspected, only those of them who must know, and the
    desks that were called (閲覧者の限定): to raise a suspicion opens nothing."""
    readers = _unrestricted(state)
    restricted = [x for x in state.escalations if x.restricted]
    if not restricted:
        return readers
    # Whoever raises another one later had been left out by the first, or knew already.
    must_know = {state.sender, state.custodian, restricted[0].raised_by}
    return readers & must_know | {agency for x in restricted for agency in x.called}


def _unrestricted(state: Referral) -> set[str]:
    agencies = {state.sender, state.custodian} | _called(state)
    for handoff in state.handoffs:
        if handoff.state in _HOLDING:
            agencies.add(handoff.sender)
            if not (handoff.withheld and handoff.stands):
                agencies.add(handoff.receiver)
    return agencies


def ever_involved(state: Referral) -> frozenset[str]:
    """Whoever had a part in it at any time: they may see how it stands, not whom it is about."""
    asked = {h.receiver for h in state.handoffs} | {h.sender for h in state.handoffs}
    called = {agency for x in state.escalations for agency in x.called}
    return frozenset({state.sender, state.custodian} | asked | called)


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
        case (
            e.EscalationRaised()
            | e.EscalationPassedOn()
            | e.EscalationAcknowledged()
            | e.EscalationResolved()
        ):
            agencies.add(ward.core)
            escalation = state.escalation(event.escalation)
            if escalation is not None:
                agencies |= set(escalation.called)
                agencies = {a for a in agencies if may_know_escalation(escalation, a, ward)}
        case _:
            pass
    return tuple(sorted(agencies))


def sees_all(agency_id: str, ward: Ward) -> bool:
    """The core centre and auditors see every case and every call."""
    agency = ward.agency(agency_id)
    return agency is not None and (agency_id == ward.core or agency.kind is AgencyKind.AUDITOR)


def oversees(agency_id: str, ward: Ward) -> bool:
    """Who answers for how the ward stands as a whole: the core centre, the ward office, auditors."""
    agency = ward.agency(agency_id)
    is_office = agency is not None and agency.kind is AgencyKind.WARD_OFFICE
    return is_office or sees_all(agency_id, ward)


def may_see(state: Referral, agency_id: str, ward: Ward) -> bool:
    """Involved now or before, the core centre, or an auditor."""
    return sees_all(agency_id, ward) or (
        ward.agency(agency_id) is not None and agency_id in ever_involved(state)
    )


def may_open(state: Referral, agency_id: str, ward: Ward) -> bool:
    """May the agency read the personal data? Only whoever has a part in it now and need not accept
    first, and the core centre; an auditor never does."""
    agency = ward.agency(agency_id)
    if agency is None or agency.kind is AgencyKind.AUDITOR:
        return False
    return agency_id == ward.core or agency_id in _readers(state)


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


def may_know_escalation(escalation: Escalation, agency_id: str, ward: Ward) -> bool:
    """A call of a restricted reason (虐待の疑い) is known to whoever raised it, the core centre, the
    desks that were called, and auditors: perhaps those who hold the case must not hear of it."""
    return (
        not escalation.restricted
        or agency_id in (escalation.raised_by, *escalation.called)
        or sees_all(agency_id, ward)
    )
