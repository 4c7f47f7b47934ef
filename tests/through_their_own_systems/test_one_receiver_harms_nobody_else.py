"""Whatever one receiver answers, and whatever fails in our own house, the others have their events, and
whoever is back has them at once and in order."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from runtime.database import writing
from schemas.deliveries import Undelivered
from services.delivery import notes
from services.delivery import tables as t
from services.delivery.carrier import Delivered, Failed
from services.delivery.mail import Mailer, Server
from services.delivery.noter import Noter
from services.delivery.notes import Noted, Tried
from services.delivery.queue import Only
from services.delivery.redriver import Redriver
from tests.databases import SqliteFiles, opened
from tests.nats import meanwhile, until
from tests.seen_at_once.post_office import open_post_office
from tests.through_their_own_systems.carriage import (
    HOME,
    HOSPITAL,
    Carriage,
    Cases,
    thread_of,
)
from tests.through_their_own_systems.receivers import (
    SECRET,
    TAKES,
    Came,
    Receiver,
    answers,
    hangs,
)


@pytest.fixture
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with opened(SqliteFiles(tmp_path_factory.mktemp("sqlite")), "delivery") as engine:
        yield engine


@pytest.fixture
def cases(clock: ManualClock) -> Cases:
    return Cases(clock)


def test_a_status_that_http_does_not_know_is_a_refusal_without_one(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        async with Receiver(behave=answers(999)).open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: carriage.row(HOME, 1).attempts == 1)
                row = carriage.row(HOME, 1)
                assert (row.reason, row.status) == ("refused", None)

    asyncio.run(story())


def test_what_cannot_be_noted_is_kept_back_alone(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def after(_: Noted) -> None:
        pass

    async def story() -> None:
        both = {HOME: "http://127.0.0.1:1/", HOSPITAL: "http://127.0.0.1:1/"}
        with Carriage(engine, clock, both) as carriage:
            carriage.take_in(cases.one("a", HOME), cases.one("b", HOSPITAL))
            (bad,) = carriage.queue.look(HOME, 1, Only.ALL).rows
            (good,) = carriage.queue.look(HOSPITAL, 1, Only.ALL).rows
            noter = Noter(carriage.notes, after)
            async with meanwhile(noter.run()):
                # No record takes such a status, whichever carrier tells it.
                of_no_kind = Failed(Undelivered.REFUSED, 999, for_good=True)
                never = noter.tell(Tried(bad, of_no_kind))
                await asyncio.wait_for(noter.tell(Tried(good, Delivered())), 10)
                assert carriage.delivered(HOSPITAL) == [1]
                assert not never.done()
                assert carriage.row(HOME, 1).next_at is not None

    asyncio.run(story())


def test_interim_answers_are_read_but_not_without_end(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def promises(_: Came, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 200)
            await writer.drain()

    async def promises_and_takes(came: Came, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 3)
        await TAKES(came, writer)

    async def story() -> None:
        async with Receiver(behave=promises).open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}, patience=2) as carriage:
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: carriage.row(HOME, 1).reason is not None)
                    assert carriage.row(HOME, 1).reason == "unreachable"
                    receiver.behave = promises_and_takes
                    clock.move(timedelta(seconds=6))
                    await until(lambda: carriage.delivered(HOME) == [1])

    asyncio.run(story())


def test_whoever_was_not_connected_has_all_that_waited_within_seconds_of_being_back(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    """With more referrals than it takes to be found away."""

    async def story() -> None:
        async with Receiver().open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                carriage.secrets.by_agency[HOME] = []
                async with carriage.running():
                    carriage.take_in(*(cases.one(f"{n}", HOME) for n in range(40)))
                    await until(lambda: sum(row.reason is not None for row in carriage.rows()) >= 5)
                    await asyncio.sleep(0.5)
                    carriage.secrets.by_agency[HOME] = [SECRET]
                    clock.move(timedelta(seconds=6))
                    await until(lambda: len(carriage.delivered(HOME)) == 40)

    asyncio.run(story())


def test_after_a_dead_letter_its_referral_goes_on_where_it_stopped(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        async with Receiver(behave=answers(410)).open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                async with carriage.running():
                    carriage.take_in(*(cases.one("a", HOME) for _ in range(4)))
                    await until(lambda: len(carriage.facts("delivery_given_up")) == 1)
                    receiver.came.clear()
                    receiver.behave = TAKES
                    carriage.test(HOME)
                    await until(lambda: {1, 2, 3, 4} <= set(carriage.delivered(HOME)))
                assert carriage.upkeep.figures()["deliveries_given_up"] == 0
        assert receiver.first_of(str(thread_of("a"))) == [1, 2, 3, 4]

    asyncio.run(story())


def test_a_dead_letter_that_arrives_again_has_no_reason_any_more(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        async with Receiver(behave=answers(410)).open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                async with carriage.running() as dispatcher:
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: len(carriage.facts("delivery_given_up")) == 1)
                    receiver.behave = TAKES
                    await dispatcher.carry_again(HOME, 1)
                row = carriage.row(HOME, 1)
                assert row.delivered_at is not None
                assert (row.given_up_at, row.reason, row.status) == (None, None, None)

    asyncio.run(story())


@contextlib.contextmanager
def losing_the_answer(carriage: Carriage, lost: Callable[[Noted], bool]) -> Iterator[None]:
    """The first commit for which ``lost`` holds is made, and its answer never comes."""
    note, broken = carriage.notes.note, list[Noted]()

    def noted(tried: list[Tried]) -> Noted:
        done = note(tried)
        if not broken and lost(done):
            broken.append(done)
            raise sa.exc.OperationalError("COMMIT", {}, Exception("the connection is closed"))
        return done

    carriage.notes.note = noted  # type: ignore[method-assign, assignment]
    yield
    assert broken


def test_a_commit_whose_answer_was_lost_enables_all_the_same(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    def enables(noted: Noted) -> bool:
        return any(entry.value["event"]["type"] == "endpoint_enabled" for entry in noted.entries)

    async def story() -> None:
        async with Receiver(behave=answers(410)).open() as receiver:
            with (
                Carriage(engine, clock, {HOME: receiver}) as carriage,
                losing_the_answer(carriage, enables),
            ):
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: len(carriage.facts("delivery_given_up")) == 1)
                    receiver.behave = TAKES
                    carriage.test(HOME)
                    await until(lambda: len(carriage.facts("endpoint_enabled")) == 1)
                    carriage.take_in(cases.one("b", HOME))
                    await until(lambda: not [row for row in carriage.rows() if row.next_at])
                assert len(carriage.facts("endpoint_enabled")) == 1

    asyncio.run(story())


def test_a_commit_whose_answer_was_lost_disables_all_the_same(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        async with Receiver(behave=answers(410)).open() as receiver:
            with (
                Carriage(engine, clock, {HOME: receiver}) as carriage,
                losing_the_answer(carriage, lambda noted: bool(noted.entries)),
            ):
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: len(carriage.facts("delivery_given_up")) == 1)
                    await asyncio.sleep(1.2)
                    carriage.take_in(cases.one("b", HOME))
                    await asyncio.sleep(1.2)
        assert set(receiver.numbers) == {1}

    asyncio.run(story())


def test_what_happens_beside_a_redrive_of_its_referral_comes_right_after_it(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def slowly(came: Came, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.6)
        await TAKES(came, writer)

    async def story() -> None:
        async with Receiver().open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                async with carriage.running() as dispatcher:
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: carriage.delivered(HOME) == [1])
                    receiver.behave = slowly
                    again = asyncio.create_task(dispatcher.carry_again(HOME, 1))
                    await until(lambda: receiver.numbers == [1, 1])
                    carriage.take_in(cases.one("a", HOME))
                    # The clock stands still, so nothing but being woken makes it look again.
                    await until(lambda: carriage.delivered(HOME) == [1, 2])
                    await again

    asyncio.run(story())


@pytest.mark.parametrize("secrets", [[SECRET], []], ids=["refused", "not tried"])
def test_time_in_which_nothing_was_carried_is_not_the_receivers(
    engine: Engine, clock: ManualClock, cases: Cases, secrets: list[str]
) -> None:
    """Delivery was down, or its host's clock jumped: two tries are not three days of trying."""

    async def story() -> None:
        async with Receiver(behave=answers(500)).open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                carriage.secrets.by_agency[HOME] = secrets
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: carriage.row(HOME, 1).reason is not None)
                first = carriage.row(HOME, 1)
                clock.move(timedelta(days=4))
                async with carriage.running():
                    await until(lambda: carriage.row(HOME, 1).next_at != first.next_at)
                second = carriage.row(HOME, 1)
                assert second.next_at is not None
                assert second.first_tried_at == first.first_tried_at
                assert carriage.facts("delivery_given_up") == []
                most = datetime.fromisoformat(second.give_up_at) - clock.now()
                assert timedelta(hours=59) < most <= timedelta(hours=72)

    asyncio.run(story())


def test_the_time_that_a_busy_receiver_asked_for_is_given_though_another_event_arrived(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        async with Receiver(behave=answers(503, "Retry-After: 600")).open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: carriage.row(HOME, 1).attempts == 1)
                    receiver.behave = TAKES
                    carriage.take_in(cases.one("b", HOME))
                    await until(lambda: carriage.delivered(HOME) == [2])
                    await asyncio.sleep(1)
                    assert receiver.numbers == [1, 2]
                    clock.move(timedelta(seconds=661))
                    await until(lambda: carriage.delivered(HOME) == [1, 2])

    asyncio.run(story())


def test_much_that_waits_is_hurried_a_page_at_a_time_and_enabling_touches_only_what_was_tried(
    engine: Engine, clock: ManualClock, cases: Cases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "_PAGE", 10)
    changed: list[int] = []

    def count(_c: Any, cursor: Any, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE deliveries"):
            changed.append(cursor.rowcount)

    with Carriage(engine, clock, {HOME: "http://127.0.0.1:1/"}) as carriage:
        carriage.take_in(*(cases.one(f"{n}", HOME) for n in range(35)))
        carriage.test(HOME)
        (test,) = carriage.queue.look(HOME, 1, Only.TESTS).rows
        with writing(engine) as connection:
            stopped = {"agency": HOME, "disabled_at": "2026-11-20T07:00:00.000000Z"}
            connection.execute(sa.insert(t.endpoints), [stopped])
        sa.event.listen(engine, "after_cursor_execute", count)
        carriage.notes.note([Tried(test, Delivered())])
        assert len(carriage.facts("endpoint_enabled")) == 1
        assert sum(changed) == 1  # the test itself
        changed.clear()
        clock.set_back(timedelta(hours=1))
        carriage.notes.hurry(HOME)
        assert changed == [10, 10, 10, 6]  # and that it was enabled


def test_a_referral_with_many_events_holds_up_no_other(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def slow_for_one(came: Came, writer: asyncio.StreamWriter) -> None:
        await (hangs if came.thread == str(thread_of("long")) else TAKES)(came, writer)

    async def story() -> None:
        async with Receiver(behave=slow_for_one).open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                carriage.take_in(*(cases.one("long", HOME) for _ in range(600)))
                carriage.take_in(cases.one("b", HOME))
                async with carriage.running():
                    await until(lambda: carriage.delivered(HOME) == [601], 8)

    asyncio.run(story())


@contextlib.contextmanager
def without_a_free_connection(engine: Engine) -> Iterator[None]:
    pool: Any = engine.pool
    pool._timeout = 0.1
    with contextlib.ExitStack() as taken:
        for _ in range(pool.size() + pool._max_overflow):
            taken.enter_context(engine.connect())
        yield


def test_a_pool_without_a_free_connection_delays_and_ends_nothing(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    answer = asyncio.Event()

    async def when_told(came: Came, writer: asyncio.StreamWriter) -> None:
        await answer.wait()
        await TAKES(came, writer)

    async def story() -> None:
        async with Receiver(behave=when_told).open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                async with carriage.running() as dispatcher:
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: receiver.numbers == [1])
                    with without_a_free_connection(engine):
                        answer.set()
                        dispatcher.wake([HOME])
                        await asyncio.sleep(1)
                    carriage.take_in(cases.one("b", HOME))
                    await until(lambda: carriage.delivered(HOME) == [1, 2])

    asyncio.run(story())


def test_nor_does_it_end_redrives_and_mails(engine: Engine, clock: ManualClock) -> None:
    async def story() -> None:
        with (
            open_post_office() as office,
            Carriage(engine, clock, {HOME: "http://127.0.0.1:1/"}, mails=True) as carriage,
        ):
            server = Server.named_in(office.settings())
            assert server is not None
            mailer = Mailer(server, carriage.outbox, carriage.ward)
            again = carriage.dispatcher.carry_again
            redriver = Redriver(engine, carriage.ward, clock, lambda _: [], again)
            async with meanwhile(mailer.run()), meanwhile(redriver.run()):
                with without_a_free_connection(engine):
                    await asyncio.sleep(1)

    asyncio.run(story())
