"""The referral service: what it is made of, and how it runs."""

import asyncio
import contextlib
from pathlib import Path

import nats.errors
import sqlalchemy as sa
from nats.aio.msg import Msg

from runtime import dead_letters
from runtime import journal as journals
from runtime.broker import commands_stream, ensure_consumer, ensure_stream, journals_stream
from runtime.clock import Clock
from runtime.database import reading
from runtime.feed import Feed
from runtime.journal import JournalAgain, JournalHead, Publisher
from runtime.observability import log
from runtime.service import Service, running
from runtime.settings import Settings
from schemas import queries as q
from schemas import subjects
from services.referral import tables as t
from services.referral.queries import Questions
from services.referral.writer import Done, Received, Writer
from wards.model import Ward

SERVICE = "referral"
MIGRATIONS = Path(__file__).with_name("migrations")
_BATCH = 256


async def run(settings: Settings, ward: Ward, clock: Clock) -> None:
    """Serve until cancelled."""
    async with running(settings, SERVICE, ward.code, MIGRATIONS, t.writer) as service:
        await _Referral(settings, ward, clock, service).run()


class _Referral:
    def __init__(self, settings: Settings, ward: Ward, clock: Clock, service: Service) -> None:
        self._settings = settings
        self._ward = ward
        self._engine = service.engine
        self._bus = service.bus
        self._writer = Writer(service.engine, ward, clock, service.sole)
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
        """Take what has arrived, decide it in one transaction, then acknowledge and answer."""
        while True:
            messages = await self._feed.take(_BATCH)
            received = [
                Received(m.subject, m.data, m.metadata.num_delivered or 1) for m in messages
            ]
            try:
                outcomes = await asyncio.to_thread(self._writer.work, received)
            except sa.exc.DBAPIError:
                # Full, read-only, locked or gone: nothing was written, everything comes again.
                self._failing = True
                log("batch_not_written", fault=True, commands=len(messages))
                for message in messages:
                    await self._acknowledge(message, again=True)
                await asyncio.sleep(0.5)
                continue
            self._failing = False
            self._publisher.nudge()
            for message, outcome in zip(messages, outcomes, strict=True):
                if isinstance(outcome, Done) and outcome.answer is not None:
                    await self._reply(message, outcome.answer.to_json())
                await self._acknowledge(message, again=not isinstance(outcome, Done))

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
            ("answer", q.ReadAnswer, questions.answer),
            ("locate", q.Locate, questions.locate),
            ("status", q.AskStatus, self._status),
            ("journal_head", JournalHead, self._journal_head),
            ("journal_again", JournalAgain, self._journal_again),
        ):
            self._bus.answer(subjects.query(self._ward.code, SERVICE, name), shape, handler)

    def _status(self, _: q.AskStatus) -> q.ServiceStatus:
        with reading(self._engine) as connection:
            journal_head = journals.head(connection, t.journal)
        figures = {
            "journal_entries": journal_head,
            "journal_published": self._publisher.published,
            "commands_decided": self._writer.decided,
            "commands_refused": self._writer.refused,
            "dead_letters": dead_letters.count(self._engine, t.dead_letters),
        }
        return q.ServiceStatus(service=SERVICE, ready=not self._failing, figures=figures)

    def _journal_head(self, _: JournalHead) -> JournalHead:
        with reading(self._engine) as connection:
            return JournalHead(head=journals.head(connection, t.journal))

    def _journal_again(self, question: JournalAgain) -> JournalHead:
        self._publisher.again(question.first)
        return self._journal_head(JournalHead(head=0))
