"""What audit keeps in memory of its own ledger, so that people can look at any moment of it: the ward's
timeline, the tree's hashes, and who looked at what. All of it is read from the database after a start, a
little at a time, so that appending goes on meanwhile; nothing waits for it but questions."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.engine import Engine

from runtime.database import reading
from schemas.journal import JournalEntry
from services.audit import ledger
from services.audit.levels import Levels
from services.audit.looks import looked_at_by
from services.audit.timeline import Timeline

AT_ONCE: Final = 250  # entries: about 5 ms, the longest that anything waits for it


class Following:
    """``size``: how many entries the ledger has now. Threads may share it."""

    def __init__(self, engine: Engine, size: Callable[[], int]) -> None:
        self._engine = engine
        self._size = size
        self._lock = threading.Lock()
        self._timeline = Timeline()
        self._levels = Levels()
        self._looks: dict[str, list[int]] = defaultdict(list)
        self._holed = False
        self.broken_at: int | None = None  # the entry at which the timeline ends: run verify

    @property
    def size(self) -> int:
        """How many entries the ledger has now."""
        return self._size()

    @property
    def read(self) -> int:
        """How many entries were taken in so far."""
        return len(self._levels)

    def step(self) -> bool:
        """Take in some more. True: that was all there is, or all that can be read."""
        with self._lock:
            if self.read >= self._size() or self._holed:
                return True
            with reading(self._engine) as connection:
                rows = ledger.rows(connection, start=self.read, most=AT_ONCE)
            for row in rows:
                if row.idx != self.read:
                    # A hole: what comes after it has no place in the tree. verify tells of it.
                    self.broken_at = self.read if self.broken_at is None else self.broken_at
                    self._holed = True
                    break
                self._take_in(row)
                self._levels.append(row.leaf)
            return self.read >= self._size() or self._holed

    def catch_up(self, seconds: float) -> bool:
        """Take in all that there was when this began, or as much as can be done in the time."""
        wanted, until = self._size(), time.monotonic() + seconds
        while self.read < wanted and not self.step():
            if time.monotonic() > until:
                return self.read >= wanted
        return True

    @contextmanager
    def timeline(self) -> Iterator[Timeline]:
        with self._lock:
            yield self._timeline

    @contextmanager
    def levels(self) -> Iterator[Levels]:
        with self._lock:
            yield self._levels

    def looks_at(self, referral: str) -> list[int]:
        """The indexes of the entries that tell who looked at a referral."""
        with self._lock:
            return list(self._looks.get(referral, ()))

    def _take_in(self, row: ledger.Row) -> None:
        if row.referral is None:
            looked_at = looked_at_by(row.body)
            if looked_at is not None:
                self._looks[looked_at].append(row.idx)
            return
        if self.broken_at is not None:
            return
        try:
            self._timeline.add(row.idx, JournalEntry.from_json(row.body))
        except ValueError:  # ReplayError and ValidationError are such
            self.broken_at = row.idx
