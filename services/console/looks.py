"""Looks on record (閲覧の記録): before anybody is shown something of a referral, it is written down who looks.

What is not on record is not shown. The record is a journal like every service's: numbered without a hole,
published after commit, bound into the ledger by audit.
"""

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from runtime import journal as journals
from runtime.clock import Clock
from runtime.database import writing
from runtime.ids import new_id
from runtime.observability import log
from schemas.journal import ConsoleEntry
from schemas.looks import LedgerLookedAt, LedgerPart, LookedAt, LookEvent, ReferralLookedAt
from services.console import tables as t
from services.console.person import Person
from wards.model import Ward


class LooksNotRecorded(RuntimeError):
    """The record cannot be written now, so nothing may be shown."""


class Looks:
    """``guard``: that of the console's sole writer. ``nudge`` tells the journal's publisher of new
    entries. Looks that come while a transaction runs share the next one."""

    def __init__(
        self,
        engine: Engine,
        guard: Callable[[Connection], None],
        ward: Ward,
        clock: Clock,
        nudge: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._guard = guard
        self._ward = ward
        self._clock = clock
        self._nudge = nudge
        self._waiting: list[tuple[LookEvent, asyncio.Future[None]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def record(
        self, person: Person, referral: UUID, what: LookedAt, basis: str | None = None
    ) -> None:
        """``basis``: the code of the ground on which personal data is opened. It is on disk when this
        returns. Raises LooksNotRecorded, ValueError (``basis`` is no code)."""
        look = ReferralLookedAt(
            agency=person.agency, staff=person.id, referral=referral, what=what, basis=basis
        )
        await self._record(look)

    async def record_of_ledger(self, person: Person, what: LedgerPart) -> None:
        """The same of the ledger as such. Raises LooksNotRecorded."""
        await self._record(LedgerLookedAt(agency=person.agency, staff=person.id, what=what))

    async def _record(self, look: LookEvent) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((look, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        await future

    async def _work(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await asyncio.to_thread(self._write, [look for look, _ in batch])
            except Exception as error:
                log("looks_not_recorded", fault=True, error=type(error).__name__)
                for _, future in batch:  # nobody is left waiting
                    if not future.done():
                        future.set_exception(LooksNotRecorded("looks cannot be written down now"))
                continue
            self._nudge()
            for _, future in batch:
                if not future.done():
                    future.set_result(None)

    def _write(self, looks: Sequence[LookEvent]) -> None:
        now = self._clock.now()
        with writing(self._engine) as connection:
            self._guard(connection)
            first = journals.head(connection, t.journal) + 1
            entries = [
                ConsoleEntry(
                    ward=self._ward.code,
                    number=number,
                    id=new_id(now),
                    occurred_at=now,
                    actor=look.agency,
                    command=new_id(now),
                    event=look,
                )
                for number, look in enumerate(looks, start=first)
            ]
            rows = [
                {
                    "number": entry.number,
                    "id": str(entry.id),
                    "thread": _thread(entry),
                    "type": entry.event.type,
                    "body": entry.to_json().decode(),
                }
                for entry in entries
            ]
            connection.execute(sa.insert(t.journal.journal), rows)


def _thread(entry: ConsoleEntry) -> str:
    """The referral, so that its looks can be read in order; of the ledger, the entry itself."""
    look = entry.event
    return str(look.referral if isinstance(look, ReferralLookedAt) else entry.id)
