"""From a producer's journal to the ledger over a real nats-server: nothing is missed, nothing twice."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from nats.aio.msg import Msg
from nats.aio.transport import TcpTransport
from nats.js.api import StreamConfig
from sqlalchemy.engine import Engine

from runtime import journal as journals
from runtime.broker import Bus, ensure_consumer, ensure_stream, journals_stream
from runtime.clock import ManualClock
from runtime.database import open_database, reading, writing
from runtime.feed import Feed
from runtime.journal import MESSAGE_ID, JournalAgain, JournalHead, Publisher
from runtime.reading import JournalReader, Missing
from runtime.service import Service
from runtime.settings import Settings
from runtime.sole_writer import SoleWriter
from schemas import subjects
from schemas.journal import JournalEntry
from services.audit import tables as audit
from services.audit.ledger import check_entry, known_events
from services.referral import tables as referral
from tests.book import Book
from tests.builders import BUNKYO, HUB, Town, a_referral
from tests.databases import SqliteFiles, losing_the_answer_to_commit, refusing
from tests.nats import a_nats_server, connected, meanwhile, until

WARD = BUNKYO.code
SUBJECT = subjects.journal(WARD, "referral", "any")


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Settings]:
    with a_nats_server(tmp_path) as settings:
        yield settings


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[Callable[[str], Engine]]:
    files = SqliteFiles(tmp_path)
    with contextlib.ExitStack() as stack:

        def opened(service: str) -> Engine:
            engine = open_database(files.copy_of(service))
            stack.callback(engine.dispose)
            return engine

        yield opened


def a_journal(cases: int) -> list[JournalEntry]:
    town = Town()
    for _ in range(cases):
        a_referral(town=town).accepted_by(HUB)
    return town.entries


class Producer:
    """The referral service's journal and its publisher, without the deciding."""

    def __init__(self, bus: Bus, engine: Engine) -> None:
        self.bus, self.engine = bus, engine
        self.publisher = Publisher(
            bus,
            engine,
            referral.journal,
            lambda kind: subjects.journal(WARD, "referral", kind),
            self.provision,
        )
        self.asked: list[int] = []
        bus.answer(subjects.journal_head(WARD, "referral"), JournalHead, self._head)
        bus.answer(subjects.journal_again(WARD, "referral"), JournalAgain, self._again)

    async def provision(self) -> None:
        stream = journals_stream(subjects.JOURNALS_STREAM, subjects.all_journals(), 1)
        await ensure_stream(self.bus.js, stream)

    def write(self, entries: list[JournalEntry]) -> None:
        with writing(self.engine) as connection:
            rows = [
                {
                    "number": entry.number,
                    "id": str(entry.id),
                    "thread": str(entry.referral),
                    "type": entry.event.type,
                    "body": entry.to_json().decode(),
                }
                for entry in entries
            ]
            connection.execute(sa.insert(referral.journal.journal), rows)
        self.publisher.nudge()

    def _head(self, _: JournalHead) -> JournalHead:
        with reading(self.engine) as connection:
            return JournalHead(head=journals.head(connection, referral.journal))

    def _again(self, question: JournalAgain) -> JournalHead:
        self.asked.append(question.first)
        self.publisher.again(question.first)
        return self._head(JournalHead(head=0))


class Auditor:
    """The audit service's reader and ledger."""

    def __init__(self, bus: Bus, engine: Engine, clock: ManualClock, check_every: float) -> None:
        self.bus, self.engine, self.clock, self.check_every = bus, engine, clock, check_every
        self.sole = SoleWriter(engine, audit.journals.writer, f"audit-{WARD}")
        self.gaps: list[tuple[int, int, bool]] = []
        self._start()

    async def start_anew(self, settings: Settings) -> None:
        """As another process: what the old connection still waits for is not ours."""
        await self.bus.close()
        self.bus = Bus(settings, "audit")
        await self.bus.connect()
        self._start()

    def _start(self) -> None:
        self.book = Book(self.engine, self.clock)
        self.reader = JournalReader(
            Service(self.engine, self.sole, self.bus),
            audit.journals,
            self.clock,
            name="audit",
            ward=WARD,
            replicas=1,
            producers=("referral",),
            check=check_entry,
            knows=known_events,
            take_in=self.book.ledger.append,
            settled=self.book.ledger.settle,
            gap_changed=self._gap_changed,
            check_every=self.check_every,
        )

    def _gap_changed(self, gap: Missing, healed: bool) -> None:
        self.gaps.append((gap.first, gap.last, healed))

    def has(self, entries: list[JournalEntry]) -> bool:
        """Bound, each once and in order; and nothing else."""
        rows = [(row.number, row.event_id) for row in self.book.entries()]
        return rows == [(entry.number, str(entry.id)) for entry in entries]

    def dead_letters(self) -> list[tuple[str, bytes]]:
        with reading(self.book.engine) as connection:
            rows = connection.execute(sa.select(audit.journals.dead_letters)).all()
        return [(row.reason, bytes(row.body)) for row in rows]


Story = Callable[[Producer, Auditor], Coroutine[None, None, None]]
Play = Callable[..., Auditor]
OFTEN = 0.1  # seconds between two comparisons of heads


@pytest.fixture
def play(nats: Settings, engines: Callable[[str], Engine], clock: ManualClock) -> Play:
    """Play a story with a producer and an auditor on a fresh broker; the ledger is whole after it."""

    async def playing(story: Story, check_every: float) -> Auditor:
        async with connected(nats, "referral") as one, connected(nats, "audit") as other:
            producer = Producer(one, engines("referral"))
            await one.start()
            auditor = Auditor(other, engines("audit"), clock, check_every)
            try:
                async with asyncio.timeout(30):
                    await story(producer, auditor)
            finally:
                auditor.sole.release()
                await auditor.bus.close()
        auditor.book.ledger.sign()
        assert auditor.book.verified().kind is None
        return auditor

    return lambda story, check_every=1.0: asyncio.run(playing(story, check_every))


async def put(producer: Producer, *entries: JournalEntry, body: bytes | None = None) -> None:
    """Onto the stream by hand, past the publisher."""
    await producer.provision()
    for entry in entries:
        headers = {MESSAGE_ID: str(entry.id)}
        await producer.bus.js.publish(SUBJECT, body or entry.to_json(), headers=headers)


@pytest.mark.parametrize("cases", [1, 200])
def test_what_is_written_before_and_after_the_start_is_bound_in_order(
    play: Play, cases: int
) -> None:
    journal = a_journal(cases)  # four entries each: one by one, and in atomic batches

    async def story(producer: Producer, auditor: Auditor) -> None:
        producer.write(journal[: len(journal) // 2])
        async with meanwhile(producer.publisher.run(), auditor.reader.run()):
            await until(lambda: auditor.has(journal[: len(journal) // 2]))
            producer.write(journal[len(journal) // 2 :])
            await until(lambda: auditor.has(journal))

    auditor = play(story)
    assert (auditor.gaps, auditor.dead_letters()) == ([], [])


def test_a_gap_is_noticed_asked_for_and_healed(play: Play) -> None:
    journal = a_journal(2)

    async def story(producer: Producer, auditor: Auditor) -> None:
        producer.write(journal)
        await put(producer, journal[0], journal[1], journal[3])
        async with meanwhile(auditor.reader.run()):
            await until(lambda: auditor.gaps[:1] == [(3, 3, False)])
            await until(lambda: auditor.has(journal[:2]))  # what comes after a gap waits for it
            assert list(auditor.reader.missing) == ["referral"]
            async with meanwhile(producer.publisher.run()):
                await until(lambda: auditor.has(journal))
                await until(lambda: auditor.reader.missing == {})
        assert 3 in producer.asked

    auditor = play(story)
    healed = {first for first, _, healed in auditor.gaps if healed}
    assert {first for first, _, _ in auditor.gaps} == healed  # none is told that stays open


def test_what_comes_twice_is_bound_once(play: Play) -> None:
    journal = a_journal(2)

    async def story(producer: Producer, auditor: Auditor) -> None:
        producer.write(journal)
        for _ in range(2):
            for entry in journal:
                await producer.provision()
                await producer.bus.js.publish(SUBJECT, entry.to_json())  # no message id
        async with meanwhile(auditor.reader.run()):
            await until(lambda: auditor.has(journal))
            await put(producer, *journal)
            async with meanwhile(producer.publisher.run()):
                extra = a_journal(3)[len(journal) :]
                producer.write(extra)
                await until(lambda: auditor.has([*journal, *extra]))

    assert play(story).gaps == []


def test_garbage_is_set_aside_with_its_reason_and_stops_nobody(
    play: Play,
) -> None:
    journal = a_journal(2)
    other = journal[0].model_copy(update={"ward": "131199"})
    stranger = journal[0].model_copy(update={"producer": "weather"})
    worded = journal[2].to_json().replace(b'"number":3', b'"number":"3"')
    heavy = journal[2].to_json().replace(b'{"sealed"', b'{"weight":0.5,"sealed"')
    assert b"weight" in heavy
    garbage = [
        b"", b"\xff\xfe", b"[]", b"null", b"{}", b"[" * 100_000, journal[2].to_json()[:-9],
        other.to_json(), stranger.to_json(), worded, heavy,
    ]  # fmt: skip

    async def story(producer: Producer, auditor: Auditor) -> None:
        producer.write(journal)
        await put(producer, journal[0], journal[1])
        for body in garbage:
            await producer.bus.js.publish(SUBJECT, body)
        await put(producer, *journal[2:])
        async with meanwhile(auditor.reader.run()):
            await until(lambda: auditor.has(journal))
            await until(lambda: len(auditor.dead_letters()) == len(garbage))

    auditor = play(story)
    assert [body for _, body in auditor.dead_letters()] == [x[:65_536] for x in garbage]
    assert all(
        reason.startswith("unreadable: ") or reason == "not a producer of this ward"
        for reason, _ in auditor.dead_letters()
    )
    assert auditor.gaps == []


def test_when_the_broker_loses_everything_the_end_of_the_journal_is_asked_for(
    play: Play, nats: Settings
) -> None:
    """A lost end leaves no gap to see: comparing heads finds it. The ids are new, because the
    broker would otherwise take what it is sent again for duplicates."""
    journal = a_journal(4)

    async def story(producer: Producer, auditor: Auditor) -> None:
        async with meanwhile(producer.publisher.run()):
            producer.write(journal[:6])
            async with meanwhile(auditor.reader.run()):
                await until(lambda: auditor.has(journal[:6]))
            # While nobody reads, six more are published, and then the broker forgets all of it.
            producer.write(journal[6:12])
            await until(lambda: producer.publisher.published == 12)
            await producer.bus.js.delete_stream(subjects.JOURNALS_STREAM)
            await auditor.start_anew(nats)
            async with meanwhile(auditor.reader.run()):
                await until(lambda: auditor.has(journal[:12]))
                producer.write(journal[12:])
                await until(lambda: auditor.has(journal))

    auditor = play(story, check_every=OFTEN)
    assert (7, 12, True) in auditor.gaps


def test_what_the_broker_only_hid_is_sent_again_under_new_ids(
    play: Play,
) -> None:
    """The messages vanished, their ids are still remembered."""
    journal = a_journal(2)
    ids: list[str] = []

    async def story(producer: Producer, auditor: Auditor) -> None:
        lenient = StreamConfig(
            name=subjects.JOURNALS_STREAM, subjects=[subjects.all_journals()], duplicate_window=120
        )
        await producer.bus.js.add_stream(lenient)
        producer.write(journal)
        async with meanwhile(producer.publisher.run()):
            await until(lambda: producer.publisher.published == len(journal))
            await producer.bus.js.purge_stream(subjects.JOURNALS_STREAM)
            async with meanwhile(auditor.reader.run()):
                await until(lambda: auditor.has(journal))
        state = (await producer.bus.js.stream_info(subjects.JOURNALS_STREAM)).state
        for sequence in range(state.first_seq, state.last_seq + 1):
            message = await producer.bus.js.get_msg(subjects.JOURNALS_STREAM, sequence)
            ids.append(message.headers[MESSAGE_ID])

    play(story, check_every=OFTEN)
    assert {x.split(".")[0] for x in ids} == {str(entry.id) for entry in journal}
    assert all("." in x for x in ids)


def test_a_publisher_that_starts_anew_goes_on_where_it_was_or_a_little_before(
    play: Play,
) -> None:
    journal = a_journal(3)

    async def story(producer: Producer, auditor: Auditor) -> None:
        async with meanwhile(auditor.reader.run()):
            for until_entry in (5, 8, 12):
                start = 0 if until_entry == 5 else {8: 5, 12: 8}[until_entry]
                producer.write(journal[start:until_entry])
                anew = Publisher(
                    producer.bus,
                    producer.engine,
                    referral.journal,
                    lambda kind: subjects.journal(WARD, "referral", kind),
                    producer.provision,
                )
                async with meanwhile(anew.run()):
                    await until(lambda upto=until_entry: auditor.has(journal[:upto]))

    assert play(story).gaps == []


def test_a_reader_that_starts_anew_goes_on_where_it_was(play: Play, nats: Settings) -> None:
    journal = a_journal(3)

    async def story(producer: Producer, auditor: Auditor) -> None:
        async with meanwhile(producer.publisher.run()):
            producer.write(journal[:5])
            async with meanwhile(auditor.reader.run()):
                await until(lambda: auditor.has(journal[:5]))
            await auditor.start_anew(nats)
            producer.write(journal[5:])
            async with meanwhile(auditor.reader.run()):
                await until(lambda: auditor.has(journal))

    assert play(story).gaps == []


@pytest.mark.parametrize("fault", ["refused", "committed without an answer"])
def test_when_the_database_fails_every_entry_is_bound_once_all_the_same(
    play: Play, fault: str
) -> None:
    journal = a_journal(3)

    async def story(producer: Producer, auditor: Auditor) -> None:
        engine = auditor.book.engine
        failing = (
            refusing(engine, audit.entries)
            if fault == "refused"
            else losing_the_answer_to_commit(engine)
        )
        tried = asyncio.Event()
        loop = asyncio.get_running_loop()
        sa.event.listen(engine, "rollback", lambda _: loop.call_soon_threadsafe(tried.set))
        async with meanwhile(producer.publisher.run(), auditor.reader.run()):
            producer.write(journal[:4])
            await until(lambda: auditor.has(journal[:4]))
            tried.clear()
            with failing:
                producer.write(journal[4:8])
                await tried.wait()
            producer.write(journal[8:])
            await until(lambda: auditor.has(journal))

    assert play(story).gaps == []


def test_a_publisher_that_is_nudged_while_it_is_told_to_stop_stops(play: Play) -> None:
    async def story(producer: Producer, auditor: Auditor) -> None:
        publishing = asyncio.create_task(producer.publisher.run())
        producer.write(a_journal(1))
        await until(lambda: producer.publisher.published == 4)
        for _ in range(20):  # until it waits for the next entry
            await asyncio.sleep(0.01)
        producer.publisher.nudge()
        publishing.cancel()
        await asyncio.wait([publishing], timeout=5)
        assert publishing.cancelled()
        async with meanwhile(auditor.reader.run()):
            await until(lambda: len(auditor.book.entries()) == 4)

    play(story)


def test_a_feed_to_which_a_message_comes_while_it_is_told_to_stop_stops(nats: Settings) -> None:
    async def story() -> None:
        async with connected(nats, "tester") as bus, asyncio.timeout(30):
            feed = await a_feed(bus)
            waiting = asyncio.create_task(feed.take(4))
            await bus.nc.flush()
            feed._arrived.set()
            waiting.cancel()
            await asyncio.wait([waiting], timeout=5)
            assert waiting.cancelled()

    asyncio.run(story())


def test_whoever_asks_and_is_told_to_stop_in_the_moment_of_the_answer_stops(
    nats: Settings,
) -> None:
    async def story() -> None:
        async with connected(nats, "tester") as bus, asyncio.timeout(30):
            await bus.nc.subscribe("silence")  # heard, and not answered
            for asked in (
                bus.ask("silence", JournalHead(head=0), JournalHead),
                bus.publish("silence", b"", {}),
            ):
                asking = asyncio.create_task(asked)
                await until(lambda: len(bus.nc._resp_map) == 1)
                (answer,) = bus.nc._resp_map.values()
                answer.set_result(Msg(bus.nc, data=b'{"head":1}'))
                asking.cancel()
                await asyncio.wait([asking], timeout=5)
                assert asking.cancelled()

    asyncio.run(story())


def test_whoever_connects_and_is_told_to_stop_in_the_moment_of_the_answer_stops(
    nats: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = TcpTransport.readline

    async def story() -> None:
        bus = Bus(nats, "tester")

        async def hearing(transport: TcpTransport) -> bytes:
            line = await heard(transport)
            connecting.cancel()
            return line

        monkeypatch.setattr(TcpTransport, "readline", hearing)
        connecting = asyncio.create_task(bus.connect())
        await asyncio.wait([connecting], timeout=10)
        assert connecting.cancelled()
        await bus.close()

    asyncio.run(story())


async def a_feed(bus: Bus) -> Feed:
    async def provision() -> None:
        stream = journals_stream(subjects.JOURNALS_STREAM, subjects.all_journals(), 1)
        await ensure_stream(bus.js, stream)
        await ensure_consumer(
            bus.js, subjects.JOURNALS_STREAM, "feed", subjects.all_journals(WARD), in_order=False
        )

    feed = Feed(bus, subjects.JOURNALS_STREAM, "feed", provision)
    await feed.open()
    return feed


def test_a_feed_gives_what_has_arrived_at_once_and_never_more_than_was_asked(
    nats: Settings,
) -> None:
    async def story() -> None:
        async with connected(nats, "tester") as bus, asyncio.timeout(30):
            feed = await a_feed(bus)
            taken: list[int] = []
            for number in range(10):
                await bus.js.publish(SUBJECT, str(number).encode())
            while len(taken) < 10:
                messages = await feed.take(4)
                assert 1 <= len(messages) <= 4
                taken += [int(message.data) for message in messages]
                for message in messages:
                    await message.ack()
            assert taken == list(range(10))
            waiting = asyncio.create_task(feed.take(4))
            await bus.js.publish(SUBJECT, b"10")
            assert [message.data for message in await waiting] == [b"10"]

    asyncio.run(story())


def test_a_feed_goes_on_when_stream_and_consumer_were_lost(nats: Settings) -> None:
    async def story() -> None:
        async with connected(nats, "tester") as bus, asyncio.timeout(30):
            feed = await a_feed(bus)
            waiting = asyncio.create_task(feed.take(4))
            await asyncio.sleep(0)  # it has asked, and waits
            await bus.js.delete_stream(subjects.JOURNALS_STREAM)
            for attempt in itertools.count():
                with contextlib.suppress(Exception):
                    await bus.js.publish(SUBJECT, f"{attempt}".encode(), timeout=0.2)
                    break
                await asyncio.sleep(0.05)  # until the feed has made the stream again
            (message,) = await waiting
            assert message.data.isdigit()

    asyncio.run(story())
