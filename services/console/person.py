"""Who looks (職員): a person of an agency, signed in, and what people of that agency are for."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from schemas.codes import AgencyKind
from wards.model import Ward


class Role(StrEnum):
    """What somebody is here for (役割). It follows from the account, never from what a browser says:
    from its agency, but for a screen on a wall."""

    CORE = "core"  # 基幹: watches every call, rules, decides
    STAFF = "staff"  # 職員: of a hub, a provider, a hospital …
    WARD = "ward"  # 区: the ward office, and the month for the council
    AUDITOR = "auditor"  # 監査: reads every history, changes nothing
    SCREEN = "screen"  # 掲示用の画面: shows the board of its agency, does nothing


EVERYBODY = frozenset(Role) - {Role.SCREEN}
"""Every person. A page that a screen may have as well says so."""
WITH_SCREENS = EVERYBODY | {Role.SCREEN}


@dataclass(frozen=True, slots=True)
class Person:
    """``session``: the id under which the session is kept (a hash of the cookie); ``until``: when it
    ends unless it is continued. ``name`` is personal: it is shown to its owner and to nobody else."""

    id: UUID
    login: str
    name: str
    agency: str
    role: Role
    session: str
    until: datetime


def has_board(agency: str, ward: Ward) -> bool:
    """Whether there is a board for its people: every call, or those made to a desk of theirs."""
    all_calls = role_of(agency, ward) in (Role.CORE, Role.AUDITOR)
    return all_calls or any(desk.agency == agency for desk in ward.desks)


def role_of(agency: str, ward: Ward, *, screen: bool = False) -> Role:
    if screen:
        return Role.SCREEN
    found = ward.agency(agency)
    match found.kind if found is not None else None:
        case AgencyKind.CORE:
            return Role.CORE
        case AgencyKind.WARD_OFFICE:
            return Role.WARD
        case AgencyKind.AUDITOR:
            return Role.AUDITOR
        case _:
            return Role.STAFF
