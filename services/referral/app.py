"""The referral service: what it is made of, and how it runs."""

import asyncio
import contextlib
import functools
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import nats.errors
import sqlalchemy as sa
from nats.aio.msg import Msg

from runtime import dead_letters
from runtime import journal as journals
from runtime.broker import (
    commands_stream,
    ensure_consumer,
    ensure_stream,
    journals_stream,
    objects_stream,
)
from runtime.clock import Clock
from runtime.database import reading
from runtime.feed import Feed
from runtime.journal import Publisher
from runtime.observability import log
from runtime.service import Service, running
from runtime.settings import Settings
from schemas import queries as q
from schemas import subjects
from services.referral import tables as t
from services.referral.overview import Overview
from services.referral.queries import Questions
from services.referral.rehearsal import Rehearsal
from services.referral.standing import Standing
from services.referral.writer import Done, Received, Writer
from wards.holidays import NationalHolidays
from wards.model import Ward

SERVICE = "referral"
MIGRATIONS = Path(__file__).with_name("migrations")
_BATCH = 256
_LONGEST_WAIT = 0.25  # seconds
_SILENCE = 6.0  # seconds; what a process took and did not acknowledge comes again after five


async def run(settings: Settings, ward: Ward, clock: Clock) -> None:
    """Serve until cancelled."""
    async with running(settings, SERVICE, ward.code, MIGRATIONS, t.writer) as service:
        await _Referral(settings, ward, clock, service).run()


class _Backlog:
    """Commands that came while nobody decided, or that could not be written, and are to come yet.
    They are awaited for as long as they go on coming: a broker that counts what it never brings
    holds up no clock for long."""

    def __init__(self, count: int, newest: int) -> None:
        """``newest``: the stream's number of the newest among them."""
        self._left = count
        self._newest = newest
        self._until = time.monotonic() + _SILENCE

    @property
    def is_awaited(self) -> bool:
        return self._left > 0 and time.monotonic() < self._until

    def came(self, messages: Sequence[Msg]) -> None:
        count = sum(m.metadata.sequence.stream <= self._newest for m in messages)
        if count:
            self._left -= count
            self._until = time.monotonic() + _SILENCE

    def come_again(self, messages: Sequence[Msg]) -> None:
        """They are not decided, and have been told to come again."""
        if messages:
            self._left = max(self._left, 0) + len(messages)
            self._newest = max(self._newest, *(m.metadata.sequence.stream for m in messages))
            self._until = time.monotonic() + _SILENCE


class _Referral:
    def __init__(self, settings: Settings, ward: Ward, clock: Clock, service: Service) -> None:
        self._settings = settings
        self._ward = ward
        self._engine = service.engine
        self._bus = service.bus
        holidays = NationalHolidays()
        self._writer = Writer(service.engine, ward, holidays, clock, service.sole)
        self._rehearsal = Rehearsal(service.engine, ward, holidays, clock)
        self._durable = subjects.durable(SERVICE, ward.code)
        self._feed = Feed(self._bus, subjects.COMMANDS_STREAM, self._durable, self._provision)
        self._publisher = Publisher(
            self._bus,
            service.engine,
            t.journal,
            lambda kind: subjects.journal(ward.code, SERVICE, kind),
            self._provision,
        )
        self._failing = False

    async def _provision(self) -> None:
        js, replicas = self._bus.js, self._settings.replicas
        commands = commands_stream(subjects.COMMANDS_STREAM, subjects.all_commands(), replicas)
        facts = journals_stream(subjects.JOURNALS_STREAM, subjects.all_journals(), replicas)
        await ensure_stream(js, commands)
        await ensure_stream(js, facts)
        if self._settings.attachments == "nats":
            bucket = subjects.ATTACHMENTS_BUCKET
            await ensure_stream(js, objects_stream(subjects.ATTACHMENTS_STREAM, bucket, replicas))
        await ensure_consumer(
            js,
            subjects.COMMANDS_STREAM,
            self._durable,
            subjects.all_commands(self._ward.code),
            in_order=False,
        )

    async def run(self) -> None:
        self._register()
        await self._bus.start()
        await self._feed.open()
        log("service_started", ward=self._ward.code)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._decide())
            tasks.create_task(self._publisher.run())

    async def _decide(self) -> None:
        """Take what has arrived and what has run out, decide it in one transaction, then acknowledge
        and answer."""
        backlog = await self._waiting_commands()
        while True:
            patience = _LONGEST_WAIT if backlog.is_awaited else self._patience()
            messages = await self._feed.take(_BATCH, patience)
            # What was answered while nobody decided was answered in time: it is decided before the
            # clocks that have run out meanwhile.
            strike = not backlog.is_awaited
            backlog.came(messages)
            left = self._writer.strikes_in
            if not messages and (not strike or left is None or left > timedelta(0)):
                continue
            received = [
                Received(m.subject, m.data, m.metadata.num_delivered or 1) for m in messages
            ]
            work = functools.partial(self._writer.work, received, strike=strike)
            try:
                outcomes = await asyncio.to_thread(work)
            except sa.exc.DBAPIError:
                # Full, read-only, locked or gone: nothing was written, everything comes again.
                self._failing = True
                log("batch_not_written", fault=True, commands=len(messages))
                backlog.come_again(messages)
                for message in messages:
                    await self._acknowledge(message, again=True)
                await asyncio.sleep(0.5)
                continue
            self._failing = False
            backlog.come_again(
                [m for m, o in zip(messages, outcomes, strict=True) if not isinstance(o, Done)]
            )
            self._publisher.nudge()
            if self._writer.changed_escalations:
                await self._say(subjects.grew(self._ward.code, "escalations"))
            for message, outcome in zip(messages, outcomes, strict=True):
                if isinstance(outcome, Done) and outcome.answer is not None:
                    await self._reply(message, outcome.answer.to_json())
                await self._acknowledge(message, again=not isinstance(outcome, Done))

    async def _waiting_commands(self) -> _Backlog:
        """What came while nobody decided: also what was taken and never decided."""
        while True:
            try:
                js = self._bus.js
                found = await js.consumer_info(subjects.COMMANDS_STREAM, self._durable)
                stream = await js.stream_info(subjects.COMMANDS_STREAM)
                count = (found.num_pending or 0) + (found.num_ack_pending or 0)
                return _Backlog(count, stream.state.last_seq)
            except (TimeoutError, nats.errors.Error, OSError):
                log("waiting_commands_unknown", fault=True)
                await asyncio.sleep(0.5)

    def _patience(self) -> float:
        """Seconds to wait for a command: until the next clock strikes, and never so long that a host
        clock that was set meanwhile is noticed late."""
        left = self._writer.strikes_in
        if left is None:
            return _LONGEST_WAIT
        return min(max(left.total_seconds(), 0.0), _LONGEST_WAIT)

    async def _say(self, subject: str) -> None:
        # Whoever misses it looks again a little later.
        with contextlib.suppress(nats.errors.Error):
            await self._bus.nc.publish(subject)

    async def _reply(self, message: Msg, body: bytes) -> None:
        reply_to = (message.headers or {}).get(subjects.REPLY_TO)
        if reply_to:
            # Whoever waits may be gone; the answer is recorded and can be asked for.
            with contextlib.suppress(nats.errors.Error):
                await self._bus.nc.publish(reply_to, body)

    @staticmethod
    async def _acknowledge(message: Msg, *, again: bool) -> None:
        # A lost acknowledgement only brings the message again, and deciding twice changes nothing.
        with contextlib.suppress(nats.errors.Error):
            await (message.nak(delay=1.0) if again else message.ack())

    # -- questions -------------------------------------------------------------------------------

    def _register(self) -> None:
        questions = Questions(self._engine, self._ward)
        for name, shape, handler in (
            ("read", q.ReadReferral, questions.read),
            ("history", q.ReadHistory, questions.history),
            ("list", q.ListReferrals, questions.listing),
            ("standing", q.ListStanding, Standing(self._engine, self._ward).read),
            ("answer", q.ReadAnswer, questions.answer),
            ("escalations", q.ListEscalations, questions.escalations),
            ("locate", q.Locate, questions.locate),
            ("overview", q.ReadOverview, Overview(self._engine, self._ward).read),
            ("rehearse", q.RehearseSubmissions, self._rehearsal.rehearse),
            ("settle", q.SettleDistrict, self._rehearsal.settle),
            ("status", q.AskStatus, self._status),
        ):
            self._bus.answer(subjects.query(self._ward.code, SERVICE, name), shape, handler)
        self._publisher.answer_readers(self._ward.code, SERVICE)

    def _status(self, _: q.AskStatus) -> q.ServiceStatus:
        with reading(self._engine) as connection:
            journal_head = journals.head(connection, t.journal)
        figures = {
            "journal_entries": journal_head,
            "journal_published": self._publisher.published,
            "commands_decided": self._writer.decided,
            "commands_refused": self._writer.refused,
            "clocks_struck": self._writer.struck,
            "clocks_latest_seconds": self._writer.latest.total_seconds(),
            "dead_letters": dead_letters.count(self._engine, t.dead_letters),
        }
        return q.ServiceStatus(service=SERVICE, ready=not self._failing, figures=figures)
