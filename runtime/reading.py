"""Reading other services' journals without missing an entry.

Each producer's numbers are contiguous, so a reader knows what it misses. A gap is never skipped:
what comes after it is set aside, the producer is asked to publish from the gap on again, and the
gap is reported for as long as it lasts. Entries seen before are passed over.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import nats.errors
import sqlalchemy as sa
from nats.aio.msg import Msg
from sqlalchemy.engine import Connection

from runtime import dead_letters
from runtime.broker import NoAnswer, ensure_consumer, ensure_stream, journals_stream
from runtime.clock import Clock
from runtime.database import reading, upsert, writing
from runtime.feed import Feed
from runtime.journal import JournalAgain, JournalHead
from runtime.observability import log
from runtime.service import Service
from runtime.sole_writer import writer_table
from schemas import subjects

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Tables:
    read: sa.Table
    dead_letters: sa.Table
    writer: sa.Table


def reading_tables(metadata: sa.MetaData) -> Tables:
    """``journals_read``: how far each producer's journal was taken in."""
    read = sa.Table(
        "journals_read",
        metadata,
        sa.Column("producer", sa.String(64), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    return Tables(read, dead_letters.dead_letters_table(metadata), writer_table(metadata))


@dataclass(frozen=True, slots=True)
class Entry:
    """A journal entry as it came: parsed, and its own bytes."""

    producer: str
    number: int
    value: dict[str, Any]
    body: bytes


@dataclass(frozen=True, slots=True)
class Missing:
    """A gap: entries ``first`` to ``last`` have not come, since ``since``."""

    producer: str
    first: int
    last: int
    since: datetime


class JournalReader:
    """Feeds ``take_in(connection, entries)`` with every entry once, each producer's in order.

    ``take_in`` writes in the transaction in which the reader remembers how far it came (``guard``
    first checks that this process may write); after the commit ``settled`` is called, ``after`` is
    awaited with the entries and the messages are acknowledged. ``after`` is for what may be missed:
    it must not raise, and entries whose commit was not answered do not come to it. ``knows`` tells
    which of some event ids are on record.
    ``check(body, value)`` raises ValueError for
    what is not an entry. ``producers``: whose journals are read; others' entries are passed over.
    """

    def __init__(
        self,
        service: Service,
        tables: Tables,
        clock: Clock,
        *,
        name: str,
        ward: str,
        replicas: int,
        producers: tuple[str, ...],
        check: Callable[[bytes, dict[str, Any]], object],
        knows: Callable[[Connection, set[str]], set[str]],
        take_in: Callable[[Connection, list[Entry]], None],
        settled: Callable[[], None] = lambda: None,
        after: Callable[[list[Entry]], Awaitable[None]] | None = None,
        gap_changed: Callable[[Missing, bool], None] = lambda gap, healed: None,
        check_every: float = 1.0,
    ) -> None:
        self._bus = service.bus
        self._engine = service.engine
        self._guard = service.sole.guard
        self._tables = tables
        self._clock = clock
        self._ward = ward
        self._replicas = replicas
        self._producers = producers
        self._check = check
        self._knows = knows
        self._take_in = take_in
        self._settled = settled
        self._after = after
        self._gap_changed = gap_changed
        self._check_every = check_every
        self._durable = subjects.durable(name, ward)
        self._feed = Feed(self._bus, subjects.JOURNALS_STREAM, self._durable, self._provision)
        self._asked: dict[str, float] = {}
        self.read: dict[str, int] = {}
        self.missing: dict[str, Missing] = {}
        self.receded: set[str] = set()  # producers whose journal is shorter than what was read
        self.contradictions = 0

    @property
    def whole(self) -> bool:
        """Nothing is missing, and nothing that was read was taken back."""
        return not (self.missing or self.receded or self.contradictions)

    async def _provision(self) -> None:
        stream = journals_stream(subjects.JOURNALS_STREAM, subjects.all_journals(), self._replicas)
        await ensure_stream(self._bus.js, stream)
        filter_subject = subjects.all_journals(self._ward)
        await ensure_consumer(
            self._bus.js, subjects.JOURNALS_STREAM, self._durable, filter_subject, in_order=True
        )

    async def run(self) -> None:
        self.read = await asyncio.to_thread(self._load)
        await self._feed.open()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._take())
            tasks.create_task(self._compare_heads())

    def _load(self) -> dict[str, int]:
        table = self._tables.read
        with reading(self._engine) as connection:
            rows = connection.execute(sa.select(table.c.producer, table.c.number)).all()
        return {row.producer: row.number for row in rows}

    async def _take(self) -> None:
        while True:
            messages = await self._feed.take(_BATCH)
            taken_in: list[Entry] = []
            work = self._work
            while True:
                try:
                    await asyncio.to_thread(work, messages, taken_in)
                    break
                except sa.exc.IntegrityError:
                    # Something in here contradicts what is on record; its neighbours do not.
                    work = self._work_one_by_one
                except sa.exc.DBAPIError:
                    # The database cannot take it now (full, locked, gone). If the connection broke at
                    # the commit, it may have been taken in all the same: look.
                    log("taking_in_failed", fault=True, messages=len(messages))
                    await asyncio.sleep(0.5)
                    with contextlib.suppress(sa.exc.DBAPIError):
                        self.read = await asyncio.to_thread(self._load)
            if taken_in and self._after is not None:
                await self._after(taken_in)
            with contextlib.suppress(nats.errors.Error):  # then they only come again
                await messages[-1].ack()  # stands for all before it
            for gap in list(self.missing.values()):
                await self._ask_again(gap.producer)

    def _work_one_by_one(self, messages: list[Msg], taken_in: list[Entry]) -> None:
        for message in messages:
            try:
                self._work([message], taken_in)
            except sa.exc.IntegrityError:
                self.read = self._load()
                self._bury([(message, "contradicts what is on record")])

    def _work(self, messages: list[Msg], taken_in: list[Entry]) -> None:
        """One transaction for the whole batch. Adds to ``taken_in`` what was new."""
        read = dict(self.read)
        entries: list[Entry] = []
        seen: dict[str, Msg] = {}
        bad: list[tuple[Msg, str]] = []
        for message in messages:
            try:
                entry = self._parse(message)
            except ValueError as fault:
                bad.append((message, str(fault)))
                continue
            if entry.producer not in self._producers:
                continue
            expected = read.get(entry.producer, 0) + 1
            if entry.number == expected:
                entries.append(entry)
                read[entry.producer] = entry.number
            elif entry.number > expected:
                self._note_gap(entry.producer, expected, entry.number - 1)
            else:
                seen[str(entry.value["id"])] = message
        contradicting = self._contradictions(seen, entries)
        bad += contradicting
        if entries:
            with writing(self._engine) as connection:
                self._guard(connection)
                self._take_in(connection, entries)
                upsert(
                    connection,
                    self._tables.read,
                    [{"producer": p, "number": n} for p, n in read.items()],
                )
            self._settled()
        if bad:
            self._bury(bad)
        self.contradictions += len(contradicting)  # once, however often this was tried
        self.read = read
        self._note_healed()
        taken_in += entries

    def _contradictions(self, seen: dict[str, Msg], entries: list[Entry]) -> list[tuple[Msg, str]]:
        """A number taken in before must be the same entry again. Another one means that the
        producer's record was forked or forged: that is never passed over in silence."""
        unknown = seen.keys() - {str(entry.value["id"]) for entry in entries}
        if not unknown:
            return []
        with reading(self._engine) as connection:
            unknown -= self._knows(connection, unknown)
        for event in unknown:
            log("contradiction_found", level=logging.ERROR, event=event)
        return [(seen[event], "its number was given to another entry") for event in unknown]

    def _bury(self, bad: Iterable[tuple[Msg, str]]) -> None:
        with writing(self._engine) as connection:
            self._guard(connection)
            for message, reason in bad:
                dead_letters.bury(
                    connection, self._tables.dead_letters, message.subject, message.data, reason,
                    self._clock.now(),
                )  # fmt: skip

    def _note_healed(self) -> None:
        for producer, gap in list(self.missing.items()):
            if self.read.get(producer, 0) >= gap.last:
                self.missing.pop(producer, None)
                self._gap_changed(gap, True)
                log("gap_healed", producer=producer, first=gap.first, last=gap.last)

    def _parse(self, message: Msg) -> Entry:
        try:
            value = json.loads(message.data)
            self._check(message.data, value)
            producer, number, ward = value["producer"], value["number"], value["ward"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"unreadable: {type(error).__name__}") from None
        if ward != self._ward or producer not in subjects.PRODUCERS:
            raise ValueError("not a producer of this ward")
        if type(number) is not int:
            raise ValueError("unreadable: not a number")
        return Entry(producer, number, value, message.data)

    def _note_gap(self, producer: str, first: int, last: int) -> None:
        known = self.missing.get(producer)
        if known is not None and known.first <= first and known.last >= last:
            return
        since = self._clock.now()
        if known is not None:
            # It has grown: one gap, told under its first number until it is healed.
            since, first = known.since, min(first, known.first)
        else:
            log("gap_found", producer=producer, first=first, last=last)
        gap = Missing(producer, first, last, since)
        self.missing[producer] = gap
        self._gap_changed(gap, False)

    def _note_receded(self, producer: str, receded: bool) -> None:
        """A journal never grows shorter, unless its database was put back to an older state: then
        what it gives out next bears numbers that are taken."""
        if receded and producer not in self.receded:
            log("journal_receded", level=logging.ERROR, producer=producer)
            self.receded.add(producer)
        elif not receded:
            self.receded.discard(producer)

    def _end_gap_at(self, producer: str, head: int) -> None:
        """A number that the producer never gave (garbage on the stream) misses nothing. Should it
        have grown just now, the next entry or comparison tells the gap again."""
        gap = self.missing.get(producer)
        if gap is None or gap.last <= head:
            return
        if gap.first <= head:
            self.missing[producer] = replace(gap, last=head)
            return
        self.missing.pop(producer, None)
        self._gap_changed(gap, True)
        log("gap_disproved", producer=producer, first=gap.first, last=gap.last)

    async def _ask_again(self, producer: str) -> None:
        """Ask the producer to publish from our next number on, at most once a second."""
        now = asyncio.get_running_loop().time()
        if now - self._asked.get(producer, -10.0) < self._check_every:
            return
        self._asked[producer] = now
        question = JournalAgain(first=self.read.get(producer, 0) + 1)
        with contextlib.suppress(NoAnswer):
            await self._bus.ask(subjects.journal_again(self._ward, producer), question, JournalHead)

    async def _compare_heads(self) -> None:
        """What was lost at the end of a journal leaves no gap to see: ask how long it is. Behind
        twice running without having moved means that messages are missing, not just late."""
        before: dict[str, int] = {}
        while True:
            await asyncio.sleep(self._check_every)
            for producer in self._producers:
                with contextlib.suppress(NoAnswer):
                    told = await self._bus.ask(
                        subjects.journal_head(self._ward, producer),
                        JournalHead(head=0),
                        JournalHead,
                    )
                    have = self.read.get(producer, 0)
                    if told.head > have and before.get(producer) == have:
                        await asyncio.to_thread(self._note_gap, producer, have + 1, told.head)
                        await self._ask_again(producer)
                    before[producer] = have
                    self._note_receded(producer, told.head < have)
                    await asyncio.to_thread(self._end_gap_at, producer, told.head)
            if self.missing:  # one that was told while its entries were just coming
                await asyncio.to_thread(self._note_healed)
