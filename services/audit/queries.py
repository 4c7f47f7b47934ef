"""What people may ask of the ledger's past: one referral, the whole ward, a month. Whoever may not ask,
and what does not exist, get the same answer."""

import threading
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.engine import Engine

from runtime.clock import Clock
from runtime.database import reading
from schemas import queries as q
from schemas.base import JsonObject
from schemas.journal import JournalEntry
from schemas.outside import local_day
from services.audit import ledger
from services.audit.errands import Errand
from services.audit.following import Following
from services.audit.histories import bound, referral_at, ward_at
from services.audit.looks import MOST_LOOKS, looks_told
from services.audit.month import Month, bounds, month_of
from services.audit.proving import Prover
from services.audit.readers import Readers
from services.audit.replay import Names, ReplayError
from wards.model import Ward

NOTHING: Final = q.Told(found=False)
_PATIENCE: Final = 1.2  # seconds; whoever asks waits for two
_A_MOMENT: Final = 0.3
_FRESH: Final = timedelta(seconds=5)
_REFERRALS_AT_ONCE: Final = 500
_BROKEN: Final[JsonObject] = {"ready": True, "problem": "cannot_be_replayed"}


class Questions:
    """Answers from the database and from what ``following`` keeps of it, in a worker thread; never
    touches what is being appended."""

    def __init__(
        self, engine: Engine, ward: Ward, clock: Clock, following: Following, prover: Prover
    ) -> None:
        self._engine = engine
        self._ward = ward
        self._clock = clock
        self._following = following
        self._prover = prover
        self._readers = Readers(ward)
        self._names = Names.of(ward)
        self._lock = threading.Lock()
        self._months: dict[tuple[int, int], tuple[datetime, Errand[Month]]] = {}

    def replay(self, question: q.ReplayReferral) -> q.Told:
        """One referral's history as it was."""
        now = self._clock.now()
        if not self._readers.reads_all(question.agency, local_day(now)):
            return NOTHING
        self._following.catch_up(_A_MOMENT)  # for who looked at it, as far as it was read
        with reading(self._engine) as connection:
            referral = ledger.find_referral(connection, str(question.ref))
            if referral is None:
                return NOTHING
            rows = ledger.rows(connection, referrals=[referral])
            looks = ledger.rows(
                connection, indexes=self._following.looks_at(referral)[-MOST_LOOKS:]
            )
        try:
            body = referral_at(
                bound(((row.idx, row.body) for row in rows), str(question.ref)),
                at=question.at,
                size=question.size,
                now=now,
                names=self._names,
                masked=self._readers.is_masked(question.agency),
            )
        except ReplayError:
            body = _BROKEN
        return q.Told(
            found=True,
            referral=_id_of(referral),
            body={
                **body,
                "looks": looks_told((row.idx, row.body) for row in looks),
                "checkpoint": self._prover.covering(body.get("last_index")),
            },
        )

    def ward_at(self, question: q.ReplayWard) -> q.Told:
        """The whole ward at a moment."""
        now = self._clock.now()
        if not self._readers.reads_all(question.agency, local_day(now)):
            return NOTHING
        if not self._ready():
            return self._not_ready()
        masked = self._readers.is_masked(question.agency)
        with self._following.timeline() as timeline:
            body = ward_at(timeline, question.at, now, masked)
        if self._following.broken_at is not None:
            body["problem"] = _BROKEN["problem"]
        checkpoint = self._prover.covering(body["last_index"])
        return q.Told(found=True, body={"ready": True, **body, "checkpoint": checkpoint})

    def month(self, question: q.ReadMonth) -> q.Told:
        """A month's figures."""
        now = self._clock.now()
        if not self._readers.reads_figures(question.agency, local_day(now)):
            return NOTHING
        if not self._ready():
            return self._not_ready()
        try:
            month = self._errand(question.year, question.month, now).result(_PATIENCE)
        except ReplayError:
            return q.Told(found=True, body=_BROKEN)
        if month is None:
            return q.Told(found=True, body={"ready": False})
        return q.Told(found=True, body={"ready": True, **asdict(month)})

    def _ready(self) -> bool:
        return self._following.catch_up(_PATIENCE)

    def _not_ready(self) -> q.Told:
        told = {"ready": False, "folded": self._following.read, "of": self._following.size}
        return q.Told(found=True, body=told)

    def _errand(self, year: int, month: int, now: datetime) -> Errand[Month]:
        """The one that is going on for this month, or was just done; otherwise a new one."""
        with self._lock:
            kept = {
                which: (since, errand)
                for which, (since, errand) in self._months.items()
                if errand.running or abs(now - since) < _FRESH
            }
            if (year, month) not in kept:
                kept[year, month] = (now, Errand(self._reckoning(year, month, now)))
            self._months = kept
            return kept[year, month][1]

    def _reckoning(self, year: int, month: int, now: datetime) -> Callable[[], Month]:
        def reckon() -> Month:
            with self._following.timeline() as timeline:
                if self._following.broken_at is not None:
                    raise ReplayError("some of the ledger cannot be replayed")
                referrals = timeline.touched(*bounds(year, month))
            entries: list[JournalEntry] = []
            for start in range(0, len(referrals), _REFERRALS_AT_ONCE):
                some = referrals[start : start + _REFERRALS_AT_ONCE]
                with reading(self._engine) as connection:
                    rows = ledger.rows(connection, referrals=some)
                entries += [JournalEntry.from_json(row.body) for row in rows]
            return month_of(entries, year, month, self._ward, now)

        return reckon


def _id_of(referral: str) -> UUID | None:
    """None where the ledger's rows were altered so far that it is no id."""
    try:
        return UUID(referral)
    except ValueError:
        return None
