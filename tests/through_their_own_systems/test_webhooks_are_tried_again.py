"""What does not arrive is tried again by the ward's schedule; after three days it is a dead letter, told
once, and nothing more is sent until a test event arrives."""

import asyncio
import contextlib
import random
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from schemas.deliveries import DeliveryGivenUp, Undelivered
from schemas.journal import DeliveryEntry
from services.delivery import tables as t
from services.delivery.mail import Mailer, Server
from services.delivery.notice import REASONS
from services.delivery.schedule import wait_after
from services.delivery.upkeep import KEEP
from tests.databases import SqliteFiles, opened
from tests.nats import meanwhile, until
from tests.seen_at_once.post_office import open_post_office
from tests.through_their_own_systems.carriage import (
    HOME,
    HOSPITAL,
    Carriage,
    Cases,
    thread_of,
    ward_with,
)
from tests.through_their_own_systems.receivers import TAKES, Receiver, answers, hangs, resets

NOBODY = "http://127.0.0.1:1/events"
STEPS = [5, 30, 120, 600, 1800, 3600]


@pytest.fixture
def engine(database_of: Callable[[str], Engine]) -> Engine:
    return database_of("delivery")


@pytest.fixture
def cases(clock: ManualClock) -> Cases:
    return Cases(clock)


@given(
    agency=st.sampled_from([HOME, HOSPITAL]),
    number=st.integers(1, 10**9),
    tries=st.integers(1, 200),
)
def test_each_wait_is_the_wards_step_and_at_most_a_tenth_more_and_always_the_same(
    agency: str, number: int, tries: int
) -> None:
    rules = ward_with({}).delivery
    step = STEPS[min(tries, len(STEPS)) - 1]
    wait = wait_after(rules, agency, number, tries)
    assert timedelta(seconds=step) <= wait < timedelta(seconds=step * 1.1)
    assert wait == wait_after(rules, agency, number, tries)


async def tried(carriage: Carriage, number: int, attempts: int) -> Any:
    await until(lambda: carriage.row(HOME, number).attempts >= attempts)
    return carriage.row(HOME, number)


async def until_given_up(carriage: Carriage, number: int) -> list[timedelta]:
    """Move the clock from try to try; gives the waits between them."""
    waits: list[timedelta] = []
    attempts = 0
    while True:
        attempts += 1
        row = await tried(carriage, number, attempts)
        if row.given_up_at:
            return waits
        wait = datetime.fromisoformat(row.next_at) - carriage.clock.now()
        waits.append(wait)
        carriage.clock.move(wait - timedelta(seconds=1))
        await asyncio.sleep(0.15)  # time in which it would be tried too early
        assert carriage.row(HOME, number).attempts == attempts
        carriage.clock.move(timedelta(seconds=1.001))


async def until_stopped(carriage: Carriage) -> None:
    """Move the clock from try to try."""
    while not carriage.facts("delivery_given_up"):
        due = min(row.next_at for row in carriage.rows() if row.next_at)
        left = datetime.fromisoformat(due) - carriage.clock.now()
        carriage.clock.move(max(left, timedelta(0)) + timedelta(milliseconds=1))
        await asyncio.sleep(0.1)


def test_three_days_by_the_wards_schedule_then_a_dead_letter_and_one_alert(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    """With four hours and fewer steps, for a day of tries takes long to play; the rule is the same."""

    async def story() -> None:
        rules: dict[str, Any] = {"retry_after_seconds": (5, 60, 1800), "give_up_after_hours": 4}
        with (
            open_post_office() as office,
            Carriage(engine, clock, {HOME: NOBODY}, mails=True, **rules) as carriage,
        ):
            # An agency with a contact address in the ward file.
            agencies = tuple(
                a.model_copy(update={"mail": "contact@home.example"}) if a.id == HOME else a
                for a in carriage.ward.agencies
            )
            carriage.ward.__dict__["agencies"] = agencies
            carriage.ward.__dict__.pop("_agencies", None)
            server = Server.named_in(office.settings())
            assert server is not None
            mailer = Mailer(server, carriage.outbox, carriage.ward)
            began = clock.now()
            async with carriage.running(), meanwhile(mailer.run()):
                carriage.take_in(cases.one("a", HOME), cases.one("a", HOME))
                waits = await until_given_up(carriage, 1)
                expected = [5, 60] + [1800] * (len(waits) - 2)
                for wait, step in zip(waits, expected, strict=True):
                    assert step <= wait.total_seconds() < step * 1.1
                passed = (clock.now() - began).total_seconds()
                assert 4 * 3600 <= passed < 4 * 3600 + 1800 * 1.1
                await until(lambda: len(office.mails) == 2)
                # Nothing more: neither events nor letters.
                carriage.take_in(*(cases.one(f"{n}", HOME) for n in range(5)))
                before = {row.number: row.attempts for row in carriage.rows() if row.agency == HOME}
                clock.move(timedelta(hours=9))
                await asyncio.sleep(1.2)
                after = {row.number: row.attempts for row in carriage.rows() if row.agency == HOME}
                assert after == before
                assert len(office.mails) == 2

            (fact,) = carriage.facts("delivery_given_up")
            told = DeliveryEntry.from_json(fact.body)
            assert isinstance(told.event, DeliveryGivenUp)
            assert (told.event.agency, told.event.sender) == (HOME, "anshin-motofuji")
            assert told.event.reason is Undelivered.UNREACHABLE
            assert told.event.inbox_number == 1
            assert told.concerns == ("core", HOME)
            numbered = [(r.agency, r.event) for r in carriage.rows(t.inbox) if r.event == fact.id]
            assert sorted(numbered) == [("core", fact.id), (HOME, fact.id)]

            assert {one.to for one in office.mails} == {
                "contact@home.example",
                "core-desk@bunkyo.example",
            }
            for letter in office.mails:
                text = letter.text
                for word in (HOME, "接続できない", "見本グループホーム", "POST /v1/inbox/test"):
                    assert word in text
                assert "高齢者あんしん相談センター" in text  # the sender
                assert f"number in its inbox: {told.event.inbox_number}" in text
                assert str(thread_of("a")) not in text
                assert "131059-" not in text
            figures = carriage.upkeep.figures()
            assert figures["endpoints_disabled"] == figures["deliveries_given_up"] == 1
            assert figures["deliveries_waiting"] >= 6
            assert figures["deliveries_oldest_seconds"] > 9 * 3600

    asyncio.run(story())


def test_a_test_event_that_arrives_enables_the_endpoint_and_what_waited_comes_in_order(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        async with Receiver(behave=answers(500)).open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}, give_up_after_hours=1) as carriage:
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME))
                    await tried(carriage, 1, 1)
                    await until_stopped(carriage)
                    carriage.take_in(*(cases.one(f"{n % 2}", HOME) for n in range(6)))
                    carriage.take_in(cases.one("a", HOME))
                    carriage.test(HOME)  # it fails: nothing changes
                    tests = [row.number for row in carriage.rows() if row.test]
                    await tried(carriage, tests[0], 1)
                    clock.move(timedelta(hours=5))
                    await asyncio.sleep(0.8)
                    assert [r.attempts for r in carriage.rows() if r.test] == [1]

                    receiver.behave = TAKES
                    receiver.came.clear()
                    carriage.test(HOME)
                    await until(lambda: not [r for r in carriage.rows() if r.next_at])
                    assert carriage.row(HOME, 1).delivered_at is not None
        assert receiver.came[0].event["type"] == "tsunagu.delivery_tested.v1"
        for case in ("0", "1", "a"):
            numbers = receiver.first_of(str(thread_of(case)))
            assert numbers
            assert numbers == sorted(numbers)
        assert receiver.first_of(str(thread_of("a")))[0] == 1  # the dead letter
        assert len(carriage.facts("endpoint_enabled")) == 1
        assert carriage.upkeep.figures()["endpoints_disabled"] == 0

    asyncio.run(story())


def test_what_waits_after_an_endpoint_is_enabled_has_three_days_of_its_own(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        async with Receiver(behave=answers(500)).open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}, give_up_after_hours=1) as carriage:
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME), cases.one("b", HOME))
                    await tried(carriage, 1, 1)
                    await tried(carriage, 2, 1)
                    await until_stopped(carriage)

                    async def only_tests(came: Any, writer: asyncio.StreamWriter) -> None:
                        good = "delivery_tested" in came.event["type"]
                        await (TAKES if good else answers(500))(came, writer)

                    receiver.behave = only_tests
                    carriage.test(HOME)
                    await until(lambda: len(carriage.facts("endpoint_enabled")) == 1)
                    left = next(r.number for r in carriage.rows() if r.next_at)
                    await tried(carriage, left, 1)
                    clock.move(timedelta(minutes=30))
                    await tried(carriage, left, 2)
                    assert len(carriage.facts("delivery_given_up")) == 1

    asyncio.run(story())


def test_410_gone_is_for_good_at_once(engine: Engine, clock: ManualClock, cases: Cases) -> None:
    async def story() -> None:
        async with Receiver(behave=answers(410)).open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: len(carriage.facts("delivery_given_up")) == 1)
                    assert carriage.row(HOME, 1).status == 410

    asyncio.run(story())


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [("600", 600, 600), ("999999999999", 3600, 3600), ("-5", 5, 5.5), ("soon", 5, 5.5)],
)
def test_a_receiver_that_is_busy_is_given_the_time_it_asks_for_up_to_an_hour(
    engine: Engine, clock: ManualClock, cases: Cases, asked: str, least: float, most: float
) -> None:
    async def story() -> None:
        async with Receiver(behave=answers(503, f"Retry-After: {asked}")).open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME))
                    row = await tried(carriage, 1, 1)
                    wait = (datetime.fromisoformat(row.next_at) - clock.now()).total_seconds()
                    assert least <= wait <= most

    asyncio.run(story())


def test_whoever_comes_back_gets_at_once_what_waited(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        async with Receiver(behave=resets).open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                async with carriage.running():
                    carriage.take_in(*(cases.one(f"{n}", HOME) for n in range(60)))
                    for tries, step in enumerate([6, 33, 132, 660], 1):
                        await tried(carriage, 1, tries)
                        clock.move(timedelta(seconds=step))
                    await tried(carriage, 1, 5)
                    # Away: the others are not tried, one after the other, against a dead door.
                    assert sum(r.attempts == 0 for r in carriage.rows()) >= 30
                    receiver.behave = TAKES
                    carriage.take_in(cases.one("new", HOME))
                    carriage.test(HOME)
                    await until(lambda: len(carriage.delivered(HOME)) == 62)

    asyncio.run(story())


def test_a_host_clock_set_back_stalls_nothing(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        async with Receiver(behave=answers(500)).open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME))
                    await tried(carriage, 1, 1)
                clock.set_back(timedelta(days=2))
                receiver.behave = TAKES
                async with carriage.running():
                    await until(lambda: carriage.delivered(HOME) == [1])

    asyncio.run(story())


def test_an_agency_that_now_fetches_its_events_is_sent_none_of_those_that_waited(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        with Carriage(engine, clock, {HOME: NOBODY}) as carriage:
            carriage.take_in(cases.one("a", HOME))
        async with Receiver().open() as receiver:
            with Carriage(engine, clock, {HOSPITAL: receiver}) as carriage:
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME, HOSPITAL))
                    await until(lambda: carriage.delivered(HOSPITAL) == [1])
                    await until(lambda: carriage.row(HOME, 1).next_at is None)
                assert carriage.upkeep.figures()["deliveries_waiting"] == 0
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: carriage.delivered(HOME) == [3])
        assert receiver.numbers == [1, 3]

    asyncio.run(story())


def test_what_was_delivered_long_ago_is_no_longer_kept_in_the_queue(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        async with Receiver().open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                async with carriage.running():
                    carriage.take_in(*(cases.one(f"{n}", HOME) for n in range(40)))
                    await until(lambda: len(carriage.delivered(HOME)) == 40)
                receiver.behave = hangs
                clock.move(KEEP - timedelta(hours=1))
                carriage.take_in(cases.one("young", HOME))
                assert carriage.upkeep.clean_up(HOME, 0) is None
                assert len(carriage.rows()) == 41
                clock.move(timedelta(hours=2))
                carriage.upkeep.clean_up(HOME, 0)
                assert [row.number for row in carriage.rows()] == [41]
                assert len(carriage.rows(t.inbox)) == 41

    asyncio.run(story())


@pytest.fixture
def sqlite_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Engine]]:
    files = SqliteFiles(tmp_path_factory.mktemp("sqlite"))
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(opened(files, "delivery"))


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_whatever_fails_everything_arrives_and_first_arrivals_are_in_order(
    sqlite_engine: Callable[[], Engine], seed: int
) -> None:
    async def story() -> None:
        chance = random.Random(seed)
        clock = ManualClock(datetime.fromisoformat("2026-11-20T07:50:00Z"))
        cases = Cases(clock)
        faults = [answers(500), answers(429), answers(302), resets]

        async def moody(came: Any, writer: asyncio.StreamWriter) -> None:
            await (TAKES if chance.random() < 0.7 else chance.choice(faults))(came, writer)

        async with Receiver(behave=moody).open() as receiver:
            with Carriage(
                sqlite_engine(), clock, {HOME: receiver}, retry_after_seconds=(1,)
            ) as carriage:
                async with carriage.running():
                    for _ in range(10):
                        carriage.take_in(
                            *(cases.one(str(chance.randrange(4)), HOME) for _ in range(6))
                        )
                        await asyncio.sleep(0.01)
                        clock.move(timedelta(seconds=2))
                    give_up = asyncio.get_running_loop().time() + 20
                    while len(carriage.delivered(HOME)) < 60:
                        assert asyncio.get_running_loop().time() < give_up
                        clock.move(timedelta(seconds=2))
                        await asyncio.sleep(0.05)
        assert set(receiver.numbers) == set(range(1, 61))
        assert len({came.id for came in receiver.came}) == 60
        for case in range(4):
            numbers = receiver.first_of(str(thread_of(str(case))))
            assert numbers == sorted(numbers)

    asyncio.run(story())


def test_every_reason_has_words_for_the_letter() -> None:
    assert set(REASONS) == set(Undelivered)
    assert all(re.search(r"[ぁ-んァ-ン一-龥]", ja) for ja, _ in REASONS.values())
