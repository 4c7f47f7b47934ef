"""What the console's journal tells: who looked at what (閲覧の記録).

These names and shapes are on disk and in the ledger for ever. They tell who looked by the id of an account,
never by name; whose account that is the console knows for as long as it keeps it.
"""

from enum import StrEnum
from typing import Annotated, Literal, get_args
from uuid import UUID

from pydantic import Field

from schemas.base import AgencyId, Code, Said


class LookedAt(StrEnum):
    """What of a referral was shown, or given out (閲覧したもの)."""

    PAGE = "page"  # as it stands, personal data masked
    HISTORY = "history"  # its way
    PERSONAL = "personal"  # personal data, on a basis
    REPLAY = "replay"  # as it was at a moment
    RECEIPT = "receipt"  # a proof that is in the ledger
    EXPORT = "export"  # its part of the ledger, to take away
    ATTACHMENT = "attachment"  # a file


class LedgerPart(StrEnum):
    """What of the whole ledger was shown, or given out (閲覧した台帳の部分)."""

    WARD_REPLAY = "ward_replay"  # the ward as it was at a moment
    MONTH = "month"  # a month's figures
    VERIFY = "verify"  # whether it is whole
    EXPORT = "export"  # to take away


class Looked(Said):
    """Somebody of an agency looked. ``staff``: the account's id."""

    agency: AgencyId
    staff: UUID


class ReferralLookedAt(Looked):
    """Somebody looked at a referral (閲覧). ``basis``: the code of the ground on which personal data was
    opened; none where nothing personal was shown."""

    type: Literal["referral_looked_at"] = "referral_looked_at"
    referral: UUID
    what: LookedAt
    basis: Code | None = None


class LedgerLookedAt(Looked):
    """Somebody looked at the ledger as such (台帳の閲覧)."""

    type: Literal["ledger_looked_at"] = "ledger_looked_at"
    what: LedgerPart


LookEvent = Annotated[ReferralLookedAt | LedgerLookedAt, Field(discriminator="type")]

LOOK_EVENT_TYPES: tuple[type[Looked], ...] = get_args(get_args(LookEvent)[0])
