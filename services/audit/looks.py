"""Who looked at a referral (閲覧の記録), as the console's journal tells it and the ledger holds it. Pure."""

from collections.abc import Iterable
from typing import Final

from schemas.base import JsonObject
from schemas.journal import ConsoleEntry
from schemas.looks import ReferralLookedAt
from schemas.outside import local_text

MOST_LOOKS: Final = 500
_TYPE: Final = str(ReferralLookedAt.model_fields["type"].default)
_TOLD_ABOVE: Final = {"type", "referral"}


def looked_at_by(body: bytes) -> str | None:
    """Which referral an entry tells a look at; None: it tells something else."""
    if _TYPE.encode() not in body:  # most entries need not be read for it
        return None
    try:
        event = ConsoleEntry.from_json(body).event
    except ValueError:
        return None
    return str(event.referral) if isinstance(event, ReferralLookedAt) else None


def looks_told(rows: Iterable[tuple[int, bytes]]) -> list[JsonObject]:
    """Entries that ``looked_at_by`` knows, by their index, the oldest first: when, which agency, whose
    account, at what, on which basis."""
    told: list[JsonObject] = []
    for index, body in rows:
        entry = ConsoleEntry.from_json(body)
        look = entry.event.model_dump(mode="json", exclude_none=True, exclude=_TOLD_ABOVE)
        told.append({**look, "index": index, "at": local_text(entry.occurred_at)})
    return told
