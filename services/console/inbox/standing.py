"""What stands (いまの仕事): offers that wait for an agency's answer, and what it holds. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from schemas.codes import HandoffState, Stage, Urgency
from schemas.partner import HandoffGiven, ReferralGiven

OPEN = (Stage.OFFERED, Stage.IN_CARE, Stage.AWAITING_RULING)
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


def held(referrals: Iterable[ReferralGiven], agency: str) -> list[ReferralGiven]:
    """What the agency is responsible for now, oldest first."""
    mine = (r for r in referrals if r.custodian == agency and r.stage in OPEN)
    return sorted(mine, key=lambda referral: referral.submitted_at)
