"""Openings (開示): a referral's personal data is open to one session, on a basis, for a while; then it is
masked again, and so it is at once when the session ends: another session has none of its openings."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from runtime.clock import Clock, utc_text
from runtime.database import reading, writing
from services.console import tables as t

OPEN_FOR = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Opening:
    basis: str
    until: datetime


class Openings:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def find(self, session: str, referral: UUID) -> Opening | None:
        """What is open now."""
        return await asyncio.to_thread(self._find, session, referral)

    async def open(self, session: str, referral: UUID, basis: str) -> None:
        """From now on; once more prolongs it."""
        await asyncio.to_thread(self._open, session, referral, basis)

    async def shut(self, session: str, referral: UUID) -> None:
        await asyncio.to_thread(self._shut, session, referral)

    def _find(self, session: str, referral: UUID) -> Opening | None:
        o = t.openings.c
        query = sa.select(o.basis, o.until).where(o.session == session, o.referral == str(referral))
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        if row is None or row.until <= utc_text(self._clock.now()):
            return None
        return Opening(row.basis, datetime.fromisoformat(row.until))

    def _open(self, session: str, referral: UUID, basis: str) -> None:
        now = self._clock.now()
        o = t.openings.c
        one = (o.session == session) & (o.referral == str(referral))
        row = {
            "session": session,
            "referral": str(referral),
            "basis": basis,
            "until": utc_text(now + OPEN_FOR),
        }
        with writing(self._engine) as connection:
            # What is over is swept by whoever opens next.
            connection.execute(sa.delete(t.openings).where(one | (o.until <= utc_text(now))))
            connection.execute(sa.insert(t.openings), row)

    def _shut(self, session: str, referral: UUID) -> None:
        o = t.openings.c
        one = (o.session == session) & (o.referral == str(referral))
        with writing(self._engine) as connection:
            connection.execute(sa.delete(t.openings).where(one))
