"""The delivery service as it runs: what comes by the bus is mailed and told, and the mail server's
troubles are its own."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from nats.aio.msg import Msg
from sqlalchemy.engine import Engine

from runtime.broker import Bus, NoAnswer, ensure_stream, journals_stream
from runtime.clock import Clock, ManualClock, SystemClock
from runtime.database import reading
from runtime.journal import JournalHead
from runtime.settings import Settings
from schemas import queries as q
from schemas import subjects
from schemas.journal import JournalEntry
from services.delivery import app
from services.delivery import tables as t
from tests.book import as_read
from tests.nats import a_nats_server, connected, meanwhile, until
from tests.network import REPOSITORY
from tests.seen_at_once.post_office import (
    BUNKYO,
    DESK,
    NIGHT,
    Journal,
    PostOffice,
    address,
    one_that_never_says_a_word,
    open_post_office,
)

WARD = BUNKYO.code


@pytest.fixture
def engine(database_of: Callable[[str], Engine]) -> Engine:
    return database_of("delivery")


@pytest.fixture
def nats(tmp_path: Path, engine: Engine) -> Iterator[Settings]:
    with a_nats_server(tmp_path) as settings:
        yield replace(settings, database=engine.url.render_as_string(hide_password=False))


def with_mail(nats: Settings, office: PostOffice) -> Settings:
    mail = office.settings()
    return replace(nats, smtp=mail.smtp, mail_from=mail.mail_from, smtp_tls=mail.smtp_tls)


class Outside:
    """The deciding service's side of the bus, and an agency's."""

    def __init__(self, bus: Bus, engine: Engine) -> None:
        self.bus, self.engine = bus, engine
        self.head = 0
        self.grown: list[str] = []

    async def start(self) -> None:
        self.bus.answer(subjects.journal_head(WARD, "referral"), JournalHead, self._head)
        stream = journals_stream(subjects.JOURNALS_STREAM, subjects.all_journals(), 1)
        await ensure_stream(self.bus.js, stream)
        await self.bus.nc.subscribe(subjects.grew(WARD, "inbox.*"), cb=self._heard)
        await self.bus.start()

    def _head(self, _: JournalHead) -> JournalHead:
        return JournalHead(head=self.head)

    async def _heard(self, message: Msg) -> None:
        assert message.data == b""
        self.grown.append(message.subject.rpartition(".")[2])

    async def publish(self, *entries: JournalEntry) -> None:
        """Without a message id: the broker takes everything for new."""
        for entry in entries:
            subject = subjects.journal(WARD, "referral", entry.event.type)
            await self.bus.js.publish(subject, entry.to_json())
            self.head = max(self.head, entry.number)

    async def has_sent(self, mails: int) -> None:
        """And noted it."""
        for _ in range(300):
            if (await self.figures())["mails_sent"] == mails:
                return
            await asyncio.sleep(0.05)
        raise AssertionError("they were not sent in time")

    async def figures(self) -> dict[str, float]:
        for _ in range(100):
            with contextlib.suppress(NoAnswer):
                subject = subjects.query(WARD, "delivery", "status")
                told = await self.bus.ask(subject, q.AskStatus(), q.ServiceStatus)
                return told.figures
            await asyncio.sleep(0.05)
        raise AssertionError("it does not answer")

    def taken_in(self) -> int:
        with reading(self.engine) as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(t.events)).scalar_one()


@contextlib.asynccontextmanager
async def outside(settings: Settings, engine: Engine) -> AsyncIterator[Outside]:
    async with asyncio.timeout(60), connected(settings, "tester") as bus:
        there = Outside(bus, engine)
        await there.start()
        yield there


@contextlib.asynccontextmanager
async def serving(settings: Settings, clock: Clock) -> AsyncIterator[None]:
    async with meanwhile(app.run(settings, BUNKYO, clock)):
        yield


def test_the_same_entry_twice_is_one_mail(
    nats: Settings, engine: Engine, clock: ManualClock
) -> None:
    journal = Journal(clock)
    journal.submitted()
    journal.raised(DESK)

    async def story(office: PostOffice) -> None:
        settings = with_mail(nats, office)
        async with outside(nats, engine) as there:
            async with serving(settings, clock):
                await there.publish(*journal.entries)
                await until(lambda: len(office.mails) == 1)
                await there.publish(*journal.entries, journal.passed_on(NIGHT))
                await there.has_sent(2)
            async with serving(settings, clock):  # and once more, to another process
                await there.publish(*journal.entries, journal.passed_on(NIGHT, 3))
                await there.has_sent(3)
                figures = await there.figures()
        assert [mail.to for mail in office.mails] == [address(d) for d in (DESK, NIGHT, NIGHT)]
        assert figures["mails_waiting"] == figures["mails_given_up"] == 0

    with open_post_office() as office:
        asyncio.run(story(office))


def test_a_mail_server_that_hangs_keeps_nobody_from_their_inbox(
    nats: Settings, engine: Engine, clock: ManualClock
) -> None:
    async def story(office: PostOffice) -> None:
        async with (
            outside(nats, engine) as there,
            serving(with_mail(nats, office), clock),
        ):
            taken_in = 0
            for place in range(8):  # more than are sent at once
                journal = Journal(clock, f"case {place}", first=1 + taken_in)
                journal.submitted()
                journal.raised(DESK)
                taken_in += 2
                async with asyncio.timeout(5):  # and each attempt takes ten seconds
                    await there.publish(*journal.entries)
                    await until(lambda n=taken_in: there.taken_in() == n)  # type: ignore[misc]
            inbox = subjects.query(WARD, "delivery", "inbox")
            told = await there.bus.ask(inbox, q.ReadInbox(agency="core"), q.Told)
            assert told.body["head"] == 8
            assert (await there.figures())["mails_waiting"] == 8

    with one_that_never_says_a_word() as port:
        asyncio.run(story(PostOffice(port)))


def test_without_a_mail_server_the_service_does_all_the_rest(
    nats: Settings, engine: Engine, clock: ManualClock
) -> None:
    journal = Journal(clock)
    journal.submitted()
    journal.raised(DESK)

    async def story() -> None:
        async with outside(nats, engine) as there, serving(nats, clock):
            await there.publish(*journal.entries)
            await until(lambda: there.taken_in() == 2)
            figures = await there.figures()
            assert {figures[name] for name in figures if name.startswith("mails_")} == {0}

    asyncio.run(story())


def test_killed_between_the_servers_yes_and_our_note_the_same_mail_comes_again(
    nats: Settings, engine: Engine, tmp_path: Path
) -> None:
    """The server has the mail when the process dies, and its yes is heard by nobody."""
    journal = Journal(SystemClock())
    journal.submitted()
    journal.raised(DESK)
    office = PostOffice()
    environment = {**os.environ, **with_mail(nats, office).environment()}

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "services.cli", "serve", "delivery"],
            env=environment,
            cwd=REPOSITORY,
            stderr=subprocess.DEVNULL,
        )

    async def story() -> None:
        process = start()

        def kill() -> None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()

        office.on_data = kill
        office.open()
        try:
            async with outside(nats, engine) as there:
                await there.publish(*journal.entries)
                await until(lambda: process.poll() is not None, 30)
                assert len(office.mails) == 1
                office.on_data = lambda: None
                process = start()
                await until(lambda: len(office.mails) == 2, 30)
                await there.publish(journal.passed_on(NIGHT))
                await until(lambda: len(office.mails) == 3)
                await there.has_sent(2)
        finally:
            process.kill()
            process.wait()
            office.close()

    asyncio.run(story())
    first, again, other = office.mails
    assert again.id == first.id
    assert again.whole == first.whole
    assert other.id != first.id


def test_whoever_waits_for_an_inbox_is_told_that_it_grew(
    nats: Settings, engine: Engine, clock: ManualClock
) -> None:
    journal = Journal(clock)

    async def story() -> None:
        async with outside(nats, engine) as there, serving(nats, clock):
            await there.publish(journal.submitted())
            await until(lambda: there.grown == ["anshin-motofuji"])
            assert there.taken_in() == 1  # after the commit, not before
            await there.publish(journal.raised(DESK))
            await until(lambda: sorted(there.grown[1:]) == ["core", "hub-motofuji"])
            await there.publish(*journal.entries)  # known already: nothing grew
            await there.publish(journal.resolved())
            await until(lambda: there.grown[3:] == ["core"])

    asyncio.run(story())


def test_a_broker_that_is_gone_disturbs_nobody_who_only_wanted_to_tell(
    tmp_path: Path, clock: ManualClock
) -> None:
    entries = [as_read(Journal(clock).submitted())]

    async def story() -> None:
        async with contextlib.AsyncExitStack() as stack:
            with a_nats_server(tmp_path) as settings:
                bus = await stack.enter_async_context(connected(settings, "delivery"))
                await app.tell_of_new_events(bus, WARD, entries)
            await until(lambda: not bus.nc.is_connected)
            await app.tell_of_new_events(bus, WARD, entries)
            await bus.close()
            await app.tell_of_new_events(bus, WARD, entries)

    asyncio.run(story())
