"""Who is offered a new referral, and when the core centre is asked first. Pure.

Never a guess: one district and its hub, or the core centre's ruling.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from schemas.codes import Basis
from schemas.commands import Finding, SubmitReferral
from schemas.events import DistrictFound, RulingRequested
from schemas.problems import Refusal, invalid
from wards.model import Ward


@dataclass(frozen=True, slots=True)
class Remembered:
    """A ruling that the core centre asked to be remembered for a block: its district, and the event
    it was given in."""

    district: str
    ruling: UUID


@dataclass(frozen=True, slots=True)
class Route:
    """``found`` or ``ask``: what is known of the district. ``receiver``: whom to offer it to."""

    found: DistrictFound | None = None
    ask: RulingRequested | None = None
    receiver: str | None = None


def route(
    action: SubmitReferral, ward: Ward, rulings: Mapping[str, Remembered], on: date
) -> Route | Refusal:
    """Where a submission goes. An agency that is named is asked, wherever the address lies; a
    district that is named must be one that the address allows."""
    found, ask = _district(action, ward, rulings)
    if action.to_agency is not None:
        # The agency is named, so nothing hangs on the district: the core centre is not troubled.
        return Route(found=found, receiver=action.to_agency)
    if action.to_district is not None:
        allowed = found.candidates if found else ask.candidates if ask else ()
        if found and action.finding and found.district != action.to_district:
            return invalid("/to/district", "住所の地区と違います / the address lies elsewhere")
        if action.to_district not in allowed:
            return invalid("/to/district", "住所の地区と違います / the address lies elsewhere")
    if found is not None:
        return Route(found=found, receiver=ward.hub_of(found.district, on))
    return Route(ask=ask)


def _district(
    action: SubmitReferral, ward: Ward, rulings: Mapping[str, Remembered]
) -> tuple[DistrictFound | None, RulingRequested | None]:
    finding = action.finding
    if finding is None:
        if action.to_district is not None:
            stated = DistrictFound(
                district=action.to_district, basis=Basis.STATED, candidates=(action.to_district,)
            )
            return stated, None
        # No address and nobody named: every district is possible, so the core centre rules.
        everywhere = tuple(sorted(d.id for d in ward.districts))
        return None, RulingRequested(candidates=everywhere)
    settled = settle(finding, rulings)
    return (settled, None) if isinstance(settled, DistrictFound) else (None, settled)


def settle(finding: Finding, rulings: Mapping[str, Remembered]) -> DistrictFound | RulingRequested:
    """What an address says of the district; where it leaves that open, a ruling that is remembered for its
    block says it."""
    if finding.district is not None:
        return DistrictFound(
            district=finding.district, basis=finding.basis, candidates=finding.candidates
        )
    ruling = rulings.get(finding.block_key) if finding.block_key else None
    if ruling is not None and ruling.district in finding.candidates:
        return DistrictFound(
            district=ruling.district,
            basis=Basis.RULED,
            candidates=finding.candidates,
            ruling=ruling.ruling,
            block_key=finding.block_key,
        )
    return RulingRequested(candidates=finding.candidates, block_key=finding.block_key)
