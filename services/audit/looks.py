"""Who looked at a referral (閲覧の記録), as the console's journal tells it and the ledger holds it. Pure."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from schemas.base import JsonObject
from schemas.outside import local_text

LOOKED_AT: Final = "referral_looked_at"
MOST_LOOKS: Final = 500


def looked_at_by(body: bytes) -> str | None:
    """Which referral an entry tells a look at; None: it tells something else."""
    if LOOKED_AT.encode() not in body:
        return None
    try:
        event = json.loads(body)["event"]
        return str(event["referral"]) if event["type"] == LOOKED_AT else None
    except (ValueError, KeyError, TypeError):
        return None


def looks_told(rows: Iterable[tuple[int, bytes]]) -> list[JsonObject]:
    """Entries that ``looked_at_by`` knows, by index: when, which agency, at what, on which basis, and
    whatever else is on record of a look; the newest ``MOST_LOOKS``, oldest first."""
    told: list[JsonObject] = []
    for index, body in rows:
        entry = json.loads(body)
        event = {name: said for name, said in entry["event"].items() if name != "type"}
        at = local_text(datetime.fromisoformat(entry["occurred_at"]))
        told.append({**event, "index": index, "at": at, "agency": entry["actor"]} | _agency(event))
    return told[-MOST_LOOKS:]


def _agency(event: JsonObject) -> JsonObject:
    return {"agency": event["agency"]} if "agency" in event else {}
