"""A service's own record: append-only, gapless, published in order after commit.

Numbers are ``last + 1`` under the writer's lock, never a database sequence: a sequence's order is
not the order of commits. The publisher walks the table; what it has published is remembered now and
then, so after a crash some entries go out again, under the same message id.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import nats.errors
import nats.js.errors
import sqlalchemy as sa
from pydantic import BaseModel, Field
from sqlalchemy.engine import Connection, Engine

from runtime.broker import Bus, NotDurable
from runtime.database import reading, upsert, writing
from runtime.observability import log
from schemas import subjects

MESSAGE_ID = "Nats-Msg-Id"
_MOST = 250  # entries read and sent at once
_ATOMIC_FROM = 16  # fewer than this are cheaper one by one (measured)
_REMEMBER_EVERY = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Tables:
    journal: sa.Table
    published: sa.Table


def journal_tables(metadata: sa.MetaData) -> Tables:
    """``thread``: what the entry is about, so that one history can be read in order."""
    journal = sa.Table(
        "journal",
        metadata,
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True,
                  autoincrement=False),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("thread", sa.String(36), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Index("journal_thread", "thread", "number"),
    )  # fmt: skip
    published = sa.Table(
        "published",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    return Tables(journal, published)


def head(connection: Connection, tables: Tables) -> int:
    """The number of the newest entry; 0 for an empty journal."""
    return connection.execute(sa.select(sa.func.max(tables.journal.c.number))).scalar() or 0


def history(connection: Connection, tables: Tables, thread: str) -> list[str]:
    """The bodies of one thread's entries, in order."""
    journal = tables.journal
    query = sa.select(journal.c.body).where(journal.c.thread == thread).order_by(journal.c.number)
    return list(connection.execute(query).scalars())


_LARGEST = 2**53 - 1


class JournalAgain(BaseModel):
    first: int = Field(ge=1, le=_LARGEST)


class JournalHead(BaseModel):
    head: int = Field(ge=0, le=_LARGEST)


class Publisher:
    """Publishes a journal, in order, each entry under ``subject(type)``."""

    def __init__(
        self,
        bus: Bus,
        engine: Engine,
        tables: Tables,
        subject: Callable[[str], str],
        provision: Callable[[], Awaitable[None]],
    ) -> None:
        self._bus = bus
        self._engine = engine
        self._tables = tables
        self._subject = subject
        self._provision = provision
        self._nudged = asyncio.Event()
        self._remembered = 0
        self._remembered_at = 0.0
        self._again_until = 0  # up to here entries go out a second time
        self._again_id = ""
        self._rewind: int | None = None
        self.published = 0

    def answer_readers(self, ward: str, producer: str) -> None:
        """Answer those who read this journal: how long it is, and what they missed once more. To be
        called before the bus starts."""

        def head_now(_: JournalHead) -> JournalHead:
            with reading(self._engine) as connection:
                return JournalHead(head=head(connection, self._tables))

        def published_again(question: JournalAgain) -> JournalHead:
            self.again(question.first)
            return head_now(JournalHead(head=0))

        self._bus.answer(subjects.journal_head(ward, producer), JournalHead, head_now)
        self._bus.answer(subjects.journal_again(ward, producer), JournalAgain, published_again)

    def nudge(self) -> None:
        """Something was committed."""
        self._nudged.set()

    def again(self, first: int) -> None:
        """Publish from entry ``first`` to the end once more, under new message ids: the broker's
        duplicate check would swallow the old ones. Called from another thread."""
        self._rewind = first if self._rewind is None else min(first, self._rewind)

    async def run(self) -> None:
        self.published = self._remembered = await asyncio.to_thread(self._load)
        while True:
            if self._rewind is not None:
                self._again_until = max(self._again_until, self.published)
                self._again_id = os.urandom(4).hex()
                self.published = min(self.published, self._rewind - 1)
                self._rewind = None
            try:
                rows = await asyncio.to_thread(self._read)
            except sa.exc.DBAPIError:
                log("journal_not_read", fault=True)
                await asyncio.sleep(0.5)
                continue
            if rows:
                await self._publish(rows)
            await self._remember_sometimes()
            if not rows:
                # Not wait_for: in Python 3.11 a nudge at the same moment makes it lose a cancellation.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await self._nudged.wait()
                self._nudged.clear()

    async def _remember_sometimes(self) -> None:
        """What is not remembered is only published again, so it costs no more than one transaction
        every two seconds."""
        now = asyncio.get_running_loop().time()
        if self.published != self._remembered and now - self._remembered_at >= _REMEMBER_EVERY:
            self._remembered_at = now
            with contextlib.suppress(sa.exc.DBAPIError):
                await asyncio.to_thread(self._remember)

    def _load(self) -> int:
        with reading(self._engine) as connection:
            return connection.execute(sa.select(self._tables.published.c.number)).scalar() or 0

    def _remember(self) -> None:
        number = self.published
        with writing(self._engine) as connection:
            upsert(connection, self._tables.published, [{"id": 1, "number": number}])
        self._remembered = number

    def _read(self) -> Sequence[Any]:
        journal = self._tables.journal
        query = (
            sa.select(journal.c.number, journal.c.id, journal.c.type, journal.c.body)
            .where(journal.c.number > self.published)
            .order_by(journal.c.number)
            .limit(_MOST)
        )
        with reading(self._engine) as connection:
            return connection.execute(query).all()

    def _message_id(self, row: Any) -> str:
        if row.number <= self._again_until:
            return f"{row.id}.{self._again_id}"
        return str(row.id)

    async def _publish(self, rows: Sequence[Any]) -> None:
        if len(rows) >= _ATOMIC_FROM and await self._publish_atomically(rows):
            self.published = rows[-1].number
            return
        sent = await asyncio.gather(
            *(
                self._bus.publish(
                    self._subject(row.type), row.body.encode(), {MESSAGE_ID: self._message_id(row)}
                )
                for row in rows
            ),
            return_exceptions=True,
        )
        for row, failure in zip(rows, sent, strict=True):
            if isinstance(failure, NotDurable):
                log("publishing_paused", number=row.number, reason=str(failure))
                await asyncio.sleep(0.2)
                with contextlib.suppress(nats.errors.Error, asyncio.TimeoutError, OSError):
                    await self._provision()
                return
            if failure is not None:
                raise failure
            self.published = row.number

    async def _publish_atomically(self, rows: Sequence[Any]) -> bool:
        """All or none in one acknowledgement (JetStream's atomic batch, ADR-50): one wait for the
        disk instead of one per entry. A batch that holds an entry published before is refused
        whole; then the entries go one by one, where duplicates are passed over."""
        batch = f"{rows[0].id}-{rows[-1].number}-{self._again_id}"[-64:]
        nc = self._bus.nc
        try:
            for sequence, row in enumerate(rows, start=1):
                headers = {
                    MESSAGE_ID: self._message_id(row),
                    "Nats-Batch-Id": batch,
                    "Nats-Batch-Sequence": str(sequence),
                }
                if sequence == len(rows):
                    headers["Nats-Batch-Commit"] = "1"
                    await self._bus.js.publish(
                        self._subject(row.type), row.body.encode(), headers=headers
                    )
                else:
                    await nc.publish(self._subject(row.type), row.body.encode(), headers=headers)
        except (TimeoutError, nats.errors.Error, nats.js.errors.Error, OSError):
            return False
        return True
