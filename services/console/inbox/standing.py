"""Offers that wait for an agency's answer (返事を待っている打診). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from schemas.codes import HandoffState, Urgency
from schemas.partner import HandoffGiven, ReferralGiven

_ORDER = {urgency: place for place, urgency in enumerate(Urgency)}


@dataclass(frozen=True, slots=True)
class Offer:
    """One offer to this agency that it has not answered."""

    referral: ReferralGiven
    handoff: HandoffGiven


def offers(referrals: Iterable[ReferralGiven], agency: str) -> list[Offer]:
    """What must be answered first stands first: by due time, then urgency, then age."""
    waiting = [
        Offer(referral, handoff)
        for referral in referrals
        for handoff in referral.handoffs
        if handoff.to == agency and handoff.state is HandoffState.OFFERED
    ]
    return sorted(waiting, key=_first)


def _first(offer: Offer) -> tuple[bool, float, int, datetime]:
    due = offer.handoff.due_at
    return (
        due is None,
        due.timestamp() if due is not None else 0.0,
        _ORDER[offer.referral.urgency],
        offer.handoff.offered_at,
    )
