"""Who read which case when (閲覧の記録), from the ledger's database: what ``tsunagu looks`` tells. Staff are
told by the id of their account: whose it is the console knows (``tsunagu staff list``)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from pydantic import ValidationError
from rich.console import Console
from sqlalchemy.engine import Connection

from runtime.database import reading
from runtime.settings import Settings
from schemas.base import JsonObject
from schemas.journal import ConsoleEntry
from schemas.looks import LookEvent, ReferralLookedAt
from schemas.outside import JAPAN, local_text
from schemas.publishing.words import VALUES
from services.audit import ledger
from services.audit import tables as t
from services.audit.commands import open_ledger
from services.audit.replay import ReplayError
from wards.model import Ward

_TOLD_ABOVE = {"type", "referral"}


@dataclass(frozen=True, slots=True)
class OneLook:
    """``index``: the entry's place in the ledger."""

    index: int
    at: datetime
    look: LookEvent


@dataclass(frozen=True, slots=True)
class WhoLooked:
    """``referral``: its id; none: at the ledger as such."""

    referral: str | None
    looks: tuple[OneLook, ...]
    agencies: dict[str, str]

    def document(self) -> JsonObject:
        return {
            "referral": self.referral,
            "looks": [
                {
                    **found.look.model_dump(mode="json", exclude_none=True, exclude=_TOLD_ABOVE),
                    "at": local_text(found.at),
                    "index": found.index,
                }
                for found in self.looks
            ],
        }

    def tell(self, out: Console) -> None:
        if not self.looks:
            out.print("閲覧の記録はありません / nobody has looked")
        for found in self.looks:
            look = found.look
            kind = type(look.what).__name__
            basis = getattr(look, "basis", None)
            ground = f"  根拠 / basis {basis}" if basis else ""
            at = found.at.astimezone(JAPAN)
            out.print(
                f"{at:%Y-%m-%d %H:%M:%S}  {self.agencies.get(look.agency, look.agency)}  "
                f"{VALUES[kind][look.what]} / {look.what.value}{ground}  [dim]{look.staff}[/]",
                soft_wrap=True,
            )


def who_looked(settings: Settings, ward: Ward, ref: str | None) -> WhoLooked | None:
    """Looks at one referral (its number or id), oldest first; at the ledger as such where ``ref`` is None.
    None when the ledger does not know the referral, or there is no ledger. Raises ReplayError."""
    engine = open_ledger(settings)
    if engine is None:
        return None
    with reading(engine) as connection:
        referral = ledger.find_referral(connection, ref) if ref is not None else None
        if ref is not None and referral is None:
            return None
        looks = tuple(found for found in _looks(connection) if _about(found.look) == referral)
    return WhoLooked(referral, looks, {agency.id: agency.name for agency in ward.agencies})


def _about(look: LookEvent) -> str | None:
    return str(look.referral) if isinstance(look, ReferralLookedAt) else None


def _looks(connection: Connection) -> Iterator[OneLook]:
    e = t.entries
    query = sa.select(e.c.idx, e.c.body).where(e.c.producer == "console").order_by(e.c.idx)
    for row in connection.execute(query.execution_options(yield_per=1000)):
        try:
            entry = ConsoleEntry.from_json(bytes(row.body))
        except ValidationError as error:
            raise ReplayError("an entry cannot be read") from error
        yield OneLook(row.idx, entry.occurred_at, entry.event)
