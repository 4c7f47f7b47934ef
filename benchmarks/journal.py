"""What the referral service would decide, for benchmarks of what comes after it: put on the JOURNALS
stream as it puts it there, or into delivery's database as delivery itself does."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy.engine import Engine

from runtime.broker import Bus
from runtime.clock import SystemClock
from runtime.database import writing
from runtime.journal import MESSAGE_ID
from runtime.reading import Entry
from schemas import events as e
from schemas import subjects
from schemas.journal import JournalEntry
from services.delivery.inbox import Inboxes
from services.delivery.queue import Queue
from wards.model import Ward


class Journal:
    """The referral service's own: its entries are numbered, and their time is now. ``concerned``: how
    many there were for each agency."""

    def __init__(self, ward: Ward) -> None:
        self.ward = ward
        self.concerned: Counter[str] = Counter()
        self._number = 0

    def referral(self, concerns: Sequence[str], events: int = 3) -> Iterator[JournalEntry]:
        referral = uuid4()
        for version in range(1, events + 1):
            self._number += 1
            self.concerned.update(concerns)
            yield JournalEntry(
                ward=self.ward.code,
                producer="referral",
                number=self._number,
                id=uuid4(),
                referral=referral,
                version=version,
                occurred_at=datetime.now(UTC),
                actor="anshin-motofuji",
                command=uuid4(),
                concerns=tuple(sorted(concerns)),
                event=e.NoteAdded(note=uuid4(), by="anshin-motofuji"),
            )


async def publish(bus: Bus, entries: Iterable[JournalEntry]) -> None:
    await asyncio.gather(
        *(
            bus.publish(
                subjects.journal(entry.ward, "referral", entry.event.type),
                entry.to_json(),
                {MESSAGE_ID: str(entry.id)},
            )
            for entry in entries
        )
    )


async def feed(
    bus: Bus, journal: Journal, agencies: Sequence[str], rate: float, seconds: float
) -> None:
    """So many referrals a second, each of three events for two agencies."""
    chance = random.Random(1)
    began = time.perf_counter()
    for n in range(round(rate * seconds)):
        await asyncio.sleep(max(0.0, began + n / rate - time.perf_counter()))
        await publish(bus, journal.referral(chance.sample(agencies, 2)))


def fill(engine: Engine, journal: Journal, agencies: Sequence[str], events: int) -> None:
    """What waits for agencies that were away: rows as the service itself writes them."""
    queue = Queue(engine, lambda _: None, journal.ward, SystemClock())
    inboxes = Inboxes(engine)
    for begin in range(0, events, 500):
        count = min(500, events - begin)
        entries = [entry for _ in range(count // 5) for entry in journal.referral(agencies, 5)]
        read = [
            Entry(entry.producer, entry.number, json.loads(body), body)
            for entry in entries
            for body in [entry.to_json()]
        ]
        with writing(engine) as connection:
            queue.take_in(connection, inboxes.take_in(connection, read))
