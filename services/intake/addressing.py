"""Which district an address lies in, never by guessing (担当地区の判定).

The ward's boundary table decides first; what it leaves open, a ruling of the core centre may settle;
what is still open has candidates, and the core centre is asked. Pure: text and ward in, answer out.
"""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from schemas.codes import AddressWarning, Basis
from services.intake.address_reading import (
    AddressProblem,
    ProblemCode,
    ReadAddress,
    read_address,
)
from wards import Chome, Ruling, Verdict, Ward
from wards.boundaries import HIGHEST_BLOCK_NUMBER

__all__ = [
    "AddressProblem",
    "AddressWarning",
    "DistrictFinding",
    "Located",
    "ProblemCode",
    "ReadAddress",
    "block_of",
    "find_district",
    "locate",
    "read_address",
]


class DistrictFinding(BaseModel):
    """The district and why (判定と根拠); without a district, those that it may be."""

    model_config = ConfigDict(frozen=True)

    district: str | None
    basis: Basis
    candidates: tuple[str, ...]
    """Sorted; the district alone if it is found."""
    warnings: tuple[AddressWarning, ...] = ()


class Located(BaseModel):
    """An address that was read, its district, and the block that a ruling would be remembered for."""

    model_config = ConfigDict(frozen=True)

    address: ReadAddress
    finding: DistrictFinding
    block: str | None = Field(repr=False)


def locate(text: str, ward: Ward, rulings: Iterable[Ruling] = ()) -> Located | AddressProblem:
    """Read an address and find its district."""
    address = read_address(text, ward)
    if isinstance(address, AddressProblem):
        return address
    finding = find_district(address, ward, rulings)
    return Located(address=address, finding=finding, block=block_of(address, ward))


def find_district(
    address: ReadAddress, ward: Ward, rulings: Iterable[Ruling] = ()
) -> DistrictFinding:
    """The district of an address: by the table, else by a ruling (the latest counts), else candidates.

    ``rulings`` come after the ward file's own. One that names a district which the table rules out
    is not followed: it was given for another map.
    """
    verdict = _by_table(address, ward)
    if verdict.basis is not Basis.AMBIGUOUS:
        return DistrictFinding(
            district=verdict.candidates[0],
            basis=verdict.basis,
            candidates=verdict.candidates,
            warnings=address.warnings,
        )
    chome = _chome(address, ward)
    for ruling in reversed((*ward.rulings, *rulings)):
        if chome and ruling.district in verdict.candidates and _covers(ruling, address, chome):
            return DistrictFinding(
                district=ruling.district,
                basis=Basis.RULED,
                candidates=(ruling.district,),
                warnings=address.warnings,
            )
    return DistrictFinding(
        district=None,
        basis=Basis.AMBIGUOUS,
        candidates=verdict.candidates,
        warnings=(*address.warnings, *_what_is_missing(address, ward)),
    )


def block_of(address: ReadAddress, ward: Ward) -> str | None:
    """The block in normal form, ``白山1-1``, for which a ruling may be remembered and used again.

    ``None`` where another address of the same form may lie elsewhere: the 番 is missing, or only
    some 号 of it are enumerated, so a ruling for one household says nothing about the next.
    """
    chome = _chome(address, ward)
    ban = address.ban
    if chome is None or ban is None or ban > HIGHEST_BLOCK_NUMBER or chome.splits(ban):
        return None
    return f"{address.town}{address.chome}-{ban}"


def _chome(address: ReadAddress, ward: Ward) -> Chome | None:
    return None if address.chome is None else ward.chome(address.town, address.chome)


def _covers(ruling: Ruling, address: ReadAddress, chome: Chome) -> bool:
    if ruling.go is None and chome.splits(ruling.ban):
        return False  # the table separates this block by 号: no ruling holds for all of it
    return ruling.covers(address.town, address.chome, address.ban, address.go)


def _by_table(address: ReadAddress, ward: Ward) -> Verdict:
    chome = _chome(address, ward)
    if chome is not None:
        return chome.find(address.ban, address.go)
    # Without a 丁目 the town itself is settled only if one district has all of it.
    whole_town = (c.districts() for c in ward.chomes if c.town == address.town)
    candidates = tuple(sorted({district for districts in whole_town for district in districts}))
    return Verdict(Basis.WHOLE if len(candidates) == 1 else Basis.AMBIGUOUS, candidates)


def _what_is_missing(address: ReadAddress, ward: Ward) -> tuple[AddressWarning, ...]:
    """What the sender could add so that nobody need rule."""
    chome = _chome(address, ward)
    if chome is None:
        return (AddressWarning.CHOME_MISSING,)
    if address.ban is None or address.ban > HIGHEST_BLOCK_NUMBER:
        return (AddressWarning.BAN_MISSING,)
    return (AddressWarning.GO_MISSING,) if chome.splits(address.ban) else ()
