"""What goes on beside the calls: the scanner sees every file, and what nobody put on record goes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from pydantic_core import to_json

from runtime.broker import NoAnswer
from runtime.clock import Clock
from runtime.observability import log
from schemas import commands as c
from schemas import queries as q
from schemas.codes import ScanState
from services.intake.attachments.keeper import Keeper
from services.intake.attachments.reader import Reader
from services.intake.attachments.records import DISCARDING, KEPT, Kept
from services.intake.attachments.scanner import Clamd, ScannerFailed, ScanRefused, TooLarge
from services.intake.attachments.sealed_file import Damaged
from services.intake.attachments.store import NotKept, StoreFailed
from services.intake.gateway import Gateway
from services.intake.key_store import KeyStoreFailed

AGAIN = 2.0
"""Seconds until what could not be done is tried again: scanning, sweeping."""

REFUSED_AGAIN = 600.0
"""Seconds until a file of which the scanner said nothing is shown to it again."""

SWEEP_EVERY = 60.0
"""Seconds."""

UNCLAIMED_AFTER = timedelta(minutes=10)
"""So old must bytes be that no command was sent for: longer than sending one takes."""

ANSWERED_AFTER = timedelta(seconds=10)
"""So old must bytes be whose command was sent, for its answer to be looked up."""

_FAULTS = (StoreFailed, KeyStoreFailed, NoAnswer, OSError, sa.exc.DBAPIError)


class Tending:
    """``scanner``: None where the network has none."""

    def __init__(
        self,
        keeper: Keeper,
        reader: Reader,
        gateway: Gateway,
        clock: Clock,
        scanner: Clamd | None,
    ) -> None:
        self._keeper = keeper
        self._reader = reader
        self._gateway = gateway
        self._clock = clock
        self._scanner = scanner
        self._reachable = True
        self._put_off: dict[str, float] = {}
        self.when_looked: Callable[[int], None] = lambda _: None
        """Told how many files wait for the scanner, whenever that was looked at."""

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Sweep and scan for as long as this lasts."""
        tasks = [asyncio.create_task(self._again(self.sweep, self._until_next_sweep))]
        if self._scanner is not None:
            await asyncio.to_thread(self._keeper.records.scan_again)
            tasks.append(asyncio.create_task(self._again(self.scan, self._until_next_scan)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _again(
        self,
        work: Callable[[], Coroutine[Any, Any, None]],
        pause: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        told = ""
        while True:
            try:
                await work()
            except Exception as error:
                # Before there is a broker, and while one is away, there is nobody to ask. Said once.
                fault, why = not isinstance(error, _FAULTS), type(error).__name__
                if why != told:
                    level = logging.ERROR if fault else logging.WARNING
                    log("attachments_not_tended", level=level, fault=fault, why=why)
                told = why
                await asyncio.sleep(AGAIN)
            else:
                told = ""
                await pause()

    async def _until_next_sweep(self) -> None:
        await asyncio.sleep(SWEEP_EVERY)

    async def _until_next_scan(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(AGAIN):
                await self._keeper.came.wait()
        self._keeper.came.clear()

    # -- scanning --------------------------------------------------------------------------------

    async def scan(self) -> None:
        """Every file that no scanner has seen, the oldest first. One of which the scanner says
        nothing holds up no other, and is shown to it again a while later; one that it never can look
        at, when another process begins: its limits may be others then."""
        unscanned = await asyncio.to_thread(self._keeper.records.unscanned)
        self.when_looked(len(unscanned))
        now = self._clock.ticks()
        self._put_off = {
            kept.ciphertext_sha256: until
            for kept in unscanned
            if (until := self._put_off.get(kept.ciphertext_sha256, now)) > now
        }
        for kept in unscanned:
            if kept.ciphertext_sha256 in self._put_off:
                continue
            try:
                await self._scan(kept)
            except ScannerFailed as error:
                if self._reachable:
                    log("scanner_lost", level=logging.WARNING, why=str(error))
                self._reachable = False
                return
            except (TooLarge, NotKept, Damaged) as error:
                _log_unscanned(kept, error)
                await asyncio.to_thread(
                    self._keeper.records.scanned, kept.ciphertext_sha256, ScanState.UNSCANNABLE
                )
            except ScanRefused as error:
                _log_unscanned(kept, error)
                self._put_off[kept.ciphertext_sha256] = self._clock.ticks() + REFUSED_AGAIN
        await _each(await asyncio.to_thread(self._keeper.records.infected), self._keeper.destroy)

    async def _scan(self, kept: Kept) -> None:
        if self._scanner is None:
            return
        clean = await self._scanner.is_clean(self._reader.to_scan(kept))
        if not self._reachable:
            log("scanner_found_again")
        self._reachable = True
        verdict = ScanState.CLEAN if clean else ScanState.INFECTED
        # Said before the bytes are deleted: a process that dies in between leaves nothing to read.
        await asyncio.to_thread(self._keeper.records.scanned, kept.ciphertext_sha256, verdict)
        if not clean:
            log("attachment_infected", level=logging.WARNING, attachment=str(kept.attachment))

    # -- sweeping --------------------------------------------------------------------------------

    async def sweep(self) -> None:
        """What a process that died, or a command that was refused late, has left."""
        parts = await asyncio.to_thread(self._keeper.spool.sweep)
        if parts:
            log("unfinished_uploads_removed", count=parts)
        before = self._clock.now() - ANSWERED_AFTER
        left = await asyncio.to_thread(self._keeper.records.unsettled, before)
        await _each(left, self._settle)
        await self._keeper.store.sweep()

    async def _settle(self, kept: Kept) -> None:
        """By what its command was answered. Without an answer it stays where a command may still be on
        its way; where none was ever sent, it goes when it is old enough."""
        stored = kept.ciphertext_sha256
        if kept.state == DISCARDING:
            await self._keeper.discard(stored, DISCARDING)
            return
        question = q.ReadAnswer(agency=kept.agency, request=kept.request)
        told = await self._gateway.ask("referral", "answer", question)
        if told.found:
            body = to_json(told.body["body"]).decode()
            answer = c.Answer(status=told.body["status"], body=body)
            await self._keeper.settle(stored, kept.state, kept.attachment, answer)
        elif kept.state == KEPT and kept.kept_at < self._clock.now() - UNCLAIMED_AFTER:
            await self._keeper.discard(stored, KEPT)


async def _each(files: list[Kept], work: Callable[[Kept], Awaitable[None]]) -> None:
    """One that fails holds up no other. Raises what the first that failed did."""
    failed: Exception | None = None
    for kept in files:
        try:
            await work(kept)
        except _FAULTS as error:
            failed = failed or error
    if failed is not None:
        raise failed


def _log_unscanned(kept: Kept, error: Exception) -> None:
    why, attachment = type(error).__name__, str(kept.attachment)
    log("attachment_not_scanned", level=logging.WARNING, attachment=attachment, why=why)
