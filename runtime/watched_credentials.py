"""The credentials that are good now, in memory, never older than a look (0.3 s)."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta

from runtime.credentials import Credential, Credentials, hashed
from runtime.observability import log

_LOOK = 0.3  # seconds; revocation is promised to act within one
LATE = 5.0  # seconds without a look after which somebody should know
_USE_NOTED = timedelta(minutes=1)  # not more often


class WatchedCredentials:
    """``watching`` while the process serves; every look-up asks the clock, so what has run out is
    not good any more even before the next look.

    While the database cannot be read, or does not answer, what was known goes on: a partner is not cut
    off because ours is down; ``age`` and ``stale`` tell it, and so does the log.
    """

    def __init__(self, credentials: Credentials, look: float = _LOOK) -> None:
        self._credentials = credentials
        self._look = look
        self._revision: int | None = None
        self._by_id: dict[str, Credential] = {}
        self._by_holder: dict[tuple[str, str], list[Credential]] = {}
        self._by_material: dict[tuple[str, bytes], list[Credential]] = {}
        self._live: frozenset[str] = frozenset()
        self._used: dict[str, datetime] = {}
        self._noted: dict[str, datetime] = {}
        self._told: list[Callable[[], None]] = []
        self._looked_at = time.monotonic()
        self.stale = False

    # -- looking up ------------------------------------------------------------------------------

    def live(self, agency: str, kind: str) -> list[Credential]:
        """An agency's, newest first."""
        now = self._credentials.now()
        held = self._by_holder.get((agency, kind), [])
        return [c for c in reversed(held) if c.live(now)]

    def materials(self, agency: str, kind: str) -> list[bytes]:
        """What is kept of each of them, newest first."""
        return [c.material for c in self.live(agency, kind)]

    def by_material(self, kind: str, material: bytes) -> Credential | None:
        now = self._credentials.now()
        known = self._by_material.get((kind, material), ())
        return next((c for c in known if c.live(now)), None)

    def by_secret(self, kind: str, secret: str) -> Credential | None:
        """Whose key or password is it? Found by its hash, so the time taken tells nothing of it."""
        return self.by_material(kind, hashed(secret))

    def find(self, credential: str) -> Credential | None:
        """By its id, if it is good now."""
        found = self._by_id.get(credential)
        return found if found is not None and found.live(self._credentials.now()) else None

    def used(self, credential: Credential) -> None:
        """Somebody was let in by it; written down now and then."""
        now = self._credentials.now()
        noted = self._noted.get(credential.id)
        if noted is None or not noted <= now < noted + _USE_NOTED:
            self._noted[credential.id] = self._used[credential.id] = now

    # -- keeping up ------------------------------------------------------------------------------

    def when_changed(self, tell: Callable[[], None]) -> None:
        """``tell`` is called after a look at which others are good than before."""
        self._told.append(tell)

    def refresh(self) -> None:
        """Look now. Raises what the database raises."""
        changed = self._credentials.changed_since(self._revision)
        if changed is not None:
            self._know(*changed)
        self._looked_at = time.monotonic()

    def _know(self, revision: int, rows: list[Credential]) -> None:
        by_holder: dict[tuple[str, str], list[Credential]] = {}
        by_material: dict[tuple[str, bytes], list[Credential]] = {}
        for row in rows:
            by_holder.setdefault((row.agency, row.kind), []).append(row)
            by_material.setdefault((row.kind, row.material), []).append(row)
        self._by_id = {row.id: row for row in rows}
        self._by_holder, self._by_material = by_holder, by_material
        self._revision = revision

    def age(self) -> float:
        """Seconds for which nothing that was revoked or issued has been seen."""
        return time.monotonic() - self._looked_at

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        # Apart: whoever holds up the writing, with a lock, holds up no look.
        tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._note_uses())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            # A look that hangs holds a thread; there is no second one beside it.
            look = asyncio.create_task(asyncio.to_thread(self.refresh))
            try:
                while not look.done():
                    await asyncio.wait([look], timeout=self._look)
                    if self.age() > LATE:
                        self._note_stale("late")
                    self._tell_changes()
            finally:
                look.cancel()
            error = look.exception()
            if error is None:
                self._note_fresh()
            else:
                self._note_stale(type(error).__name__)
            await asyncio.sleep(self._look)

    async def _note_uses(self) -> None:
        while True:
            await asyncio.sleep(self._look)
            used, self._used = self._used, {}
            try:
                if used:
                    await asyncio.to_thread(self._credentials.used, used)
            except Exception as error:
                self._used = {**used, **self._used}
                log("credential_uses_not_written", error=type(error).__name__)
                await asyncio.sleep(LATE)

    def _tell_changes(self) -> None:
        now = self._credentials.now()
        live = frozenset(c.id for c in self._by_id.values() if c.live(now))
        if live != self._live:
            self._live = live
            for tell in self._told:
                try:
                    tell()
                except Exception:
                    log("credentials_change_not_told", level=logging.ERROR, fault=True)

    def _note_stale(self, error: str) -> None:
        if not self.stale:
            log("credentials_not_read", level=logging.ERROR, error=error)
        self.stale = True

    def _note_fresh(self) -> None:
        if self.stale:
            log("credentials_read_again")
        self.stale = False
