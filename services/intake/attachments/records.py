"""Which files are stored, and for what (``tables.attachments``): noted before the first byte is stored,
so nothing lies in the store that nobody knows of."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from runtime.clock import utc_text
from runtime.database import reading, writing
from schemas.codes import ScanState
from services.intake.tables import attachments as t

# Stored, for no command yet; its command was sent; it is on record. Or its bytes are about to go, and
# then the note, because it never will be; or are gone, and the note stays, because it is.
KEPT, ASKED, SETTLED = "kept", "asked", "settled"
DISCARDING, GONE = "discarding", "gone"

_UNSETTLED = t.c.state.in_((KEPT, ASKED, DISCARDING))
_PERHAPS_ON_RECORD = t.c.state.in_((ASKED, SETTLED))


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored file. ``request``: the command that puts it on record, by ``agency``."""

    ciphertext_sha256: str
    attachment: UUID
    referral: UUID
    agency: str
    request: UUID
    state: str
    scan: ScanState
    kept_at: datetime


class Records:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(
        self,
        stored: str,
        attachment: UUID,
        referral: UUID,
        agency: str,
        request: UUID,
        at: datetime,
    ) -> None:
        row = {
            "ciphertext_sha256": stored,
            "attachment": str(attachment),
            "referral": str(referral),
            "agency": agency,
            "request": str(request),
            "state": KEPT,
            "scan": ScanState.UNSCANNED.value,
            "kept_at": utc_text(at),
        }
        with writing(self._engine) as connection:
            connection.execute(sa.insert(t), [row])

    def move(self, stored: str, before: str, after: str) -> bool:
        """Whether it was in the state ``before``, and is in ``after`` now: of two who would move it
        one does."""
        return (
            self._set((t.c.ciphertext_sha256 == stored) & (t.c.state == before), state=after) == 1
        )

    def scanned(self, stored: str, scan: ScanState) -> None:
        self._set(t.c.ciphertext_sha256 == stored, scan=scan.value)

    def scan_again(self) -> None:
        """What no scanner could look at may be looked at now."""
        self._set(t.c.scan == ScanState.UNSCANNABLE.value, scan=ScanState.UNSCANNED.value)

    def forget(self, stored: str) -> None:
        with writing(self._engine) as connection:
            connection.execute(sa.delete(t).where(t.c.ciphertext_sha256 == stored))

    def of_attachment(self, attachment: UUID) -> list[Kept]:
        return self._read(t.c.attachment == str(attachment))

    def of_referral(self, referral: UUID) -> list[Kept]:
        return self._read(t.c.referral == str(referral))

    def unscanned(self) -> list[Kept]:
        """What may be on record and no scanner has seen, the oldest first."""
        return self._read((t.c.scan == ScanState.UNSCANNED.value) & _PERHAPS_ON_RECORD)

    def unsettled(self, before: datetime) -> list[Kept]:
        """What was stored before a moment, and is not known to be on record."""
        return self._read(_UNSETTLED & (t.c.kept_at < utc_text(before)))

    def infected(self) -> list[Kept]:
        """What is infected and perhaps not deleted."""
        return self._read((t.c.scan == ScanState.INFECTED.value) & _PERHAPS_ON_RECORD)

    def _set(self, which: sa.ColumnElement[bool], **values: str) -> int:
        with writing(self._engine) as connection:
            return connection.execute(sa.update(t).where(which).values(**values)).rowcount

    def _read(self, which: sa.ColumnElement[bool]) -> list[Kept]:
        query = sa.select(t).where(which).order_by(t.c.kept_at)
        with reading(self._engine) as connection:
            return list(_kept(connection.execute(query)))


def _kept(rows: Iterable[sa.Row[tuple[object, ...]]]) -> Iterable[Kept]:
    for row in rows:
        yield Kept(
            row.ciphertext_sha256,
            UUID(row.attachment),
            UUID(row.referral),
            row.agency,
            UUID(row.request),
            row.state,
            ScanState(row.scan),
            datetime.fromisoformat(row.kept_at),
        )
