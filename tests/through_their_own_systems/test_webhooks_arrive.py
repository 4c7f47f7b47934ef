"""What an agency's own web server gets: signed CloudEvents, each referral's in order, whatever it answers."""

import asyncio
import contextlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sqlalchemy.engine import Engine
from standardwebhooks import Webhook

from runtime.clock import ManualClock
from schemas.journal import JournalEntry
from tests.databases import SqliteFiles, opened
from tests.nats import until
from tests.through_their_own_systems.carriage import HOME, HOSPITAL, Carriage, Cases, thread_of
from tests.through_their_own_systems.document import runnable
from tests.through_their_own_systems.receivers import (
    SECRET,
    TAKES,
    Behaviour,
    Came,
    Floods,
    Receiver,
    answers,
    answers_and_closes,
    drips,
    hangs,
    never_ends_its_headers,
    resets,
    talks_nonsense,
)

ANOTHER = "whsec_" + "YW5vdGhlci1zYW1wbGUtc2VjcmV0LW9mLXRlc3RzIQ=="


def test_the_documents_receiver_takes_an_event_once() -> None:
    (block,) = runnable("python", "3.1")
    done = subprocess.run(
        [sys.executable, "-"],
        input=block.text,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.splitlines() == ["1 tsunagu.handoff_offered.v1"]


@pytest.fixture
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with opened(SqliteFiles(tmp_path_factory.mktemp("sqlite")), "delivery") as engine:
        yield engine


@pytest.fixture
def cases(clock: ManualClock) -> Cases:
    return Cases(clock)


def test_an_event_arrives_signed_as_a_cloudevent_under_the_agencys_own_number(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        async with Receiver().open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                async with carriage.running():
                    carriage.take_in(*(cases.one("a", HOME, "core") for _ in range(3)))
                    await until(lambda: carriage.delivered(HOME) == [1, 2, 3])
        assert receiver.numbers == [1, 2, 3]
        assert not receiver.bad
        came = receiver.came[0]
        assert came.headers["content-type"] == "application/cloudevents+json"
        assert came.headers["user-agent"] == "Tsunagu"
        event = came.event
        assert came.id == event["id"]
        assert event["specversion"] == "1.0"
        # CloudEvents 1.0, 3.1: names of attributes.
        assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in event)
        assert event["type"] == "tsunagu.note_added.v1"
        assert event["source"] == "/wards/131059"
        assert event["subject"] == str(thread_of("a"))
        assert receiver.connections == 1  # kept alive

    asyncio.run(story())


def takes_when(case: str, answer: asyncio.Event) -> Behaviour:
    """What is about one case only then, all else at once."""

    async def behave(came: Came, writer: asyncio.StreamWriter) -> None:
        if came.thread == str(thread_of(case)):
            await answer.wait()
        await TAKES(came, writer)

    return behave


@contextlib.asynccontextmanager
async def all_in_sight(
    engine: Engine, clock: ManualClock, first: JournalEntry
) -> AsyncIterator[tuple[Carriage, Receiver]]:
    """After the first event of all has arrived nothing waits, and the lane knows it."""
    async with Receiver().open() as receiver:
        with Carriage(engine, clock, {HOME: receiver}) as carriage:
            async with carriage.running():
                carriage.take_in(first)
                await until(lambda: carriage.delivered(HOME) == [1])
                await until(lambda: carriage.lane(HOME).sees_everything)
                yield carriage, receiver


def test_while_nothing_waits_what_is_numbered_goes_without_being_looked_for(
    engine: Engine, clock: ManualClock, cases: Cases, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with all_in_sight(engine, clock, cases.one("a", HOME)) as (carriage, receiver):
            looked_for: list[str] = []
            look = carriage.queue.look

            def looking(agency: str, *asked: Any) -> Any:
                looked_for.append(agency)
                return look(agency, *asked)

            monkeypatch.setattr(carriage.queue, "look", looking)
            for count in range(3, 43, 2):
                carriage.take_in(cases.one("a", HOME), cases.one(f"{count}", HOME))
                await until(lambda count=count: len(carriage.delivered(HOME)) == count)
            # Now and then one all the same, in case something was missed.
            assert looked_for.count(HOME) < 10
        assert sorted(receiver.numbers) == list(range(1, 42))  # each once
        of_a = [came.number for came in receiver.came if came.thread == str(thread_of("a"))]
        assert of_a == [1, *range(2, 42, 2)]

    asyncio.run(story())


def test_what_was_numbered_and_not_given_is_found_and_goes_first(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    """As it is when the answer to a commit is lost, or another thread has written meanwhile."""

    async def story() -> None:
        async with all_in_sight(engine, clock, cases.one("a", HOME)) as (carriage, receiver):
            carriage.commit(cases.one("a", HOME))
            carriage.dispatcher.committed(set())  # nobody knows of it
            carriage.take_in(cases.one("a", HOME))
            await until(lambda: carriage.delivered(HOME) == [1, 2, 3])
        assert receiver.numbers == [1, 2, 3]

    asyncio.run(story())


def test_what_gets_another_number_after_a_fault_goes_under_that_one_alone(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        async with all_in_sight(engine, clock, cases.one("a", HOME)) as (carriage, receiver):
            event = cases.one("b", HOME)
            with engine.connect() as connection:  # and nothing is committed
                carriage.number(connection, event)
            carriage.test(HOME)  # another thread was quicker
            carriage.take_in(event)
            await until(lambda: carriage.delivered(HOME) == [1, 2, 3])
        kinds = {came.number: came.event["type"] for came in receiver.came}
        assert kinds[2] == "tsunagu.delivery_tested.v1"
        assert sorted(receiver.numbers) == [1, 2, 3]

    asyncio.run(story())


def test_a_referral_of_which_very_much_waits_leaves_room_for_the_others(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    answer = asyncio.Event()

    async def story() -> None:
        async with all_in_sight(engine, clock, cases.one("b", HOME)) as (carriage, receiver):
            receiver.behave = takes_when("a", answer)
            for _ in range(210):
                carriage.take_in(cases.one("a", HOME))
            carriage.take_in(cases.one("b", HOME))
            # No clock moves: it is not the look that comes every ten seconds.
            await until(lambda: 212 in carriage.delivered(HOME))
            assert receiver.numbers.count(2) == 1

    asyncio.run(story())


def test_what_was_given_behind_an_events_last_try_is_not_sent_to_who_is_disabled(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    """While an agency is away one new event is tried now and then. Here that one is slow; meanwhile the
    agency is back, another event comes behind it, and then the agency is disabled."""
    answer = asyncio.Event()
    away = True

    async def behave(came: Came, writer: asyncio.StreamWriter) -> None:
        if came.thread == str(thread_of("slow")):
            await answer.wait()
            await TAKES(came, writer)
        elif came.thread == str(thread_of("gone")):
            await answers(410)(came, writer)
        else:
            await (answers(503) if away else TAKES)(came, writer)

    async def story() -> None:
        nonlocal away
        async with Receiver().open() as receiver:
            receiver.behave = behave
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                async with carriage.running():
                    carriage.take_in(*(cases.one(f"{n}", HOME) for n in range(5)))
                    await until(lambda: all(carriage.row(HOME, n).attempts for n in range(1, 6)))
                    carriage.take_in(cases.one("slow", HOME))
                    carriage.move(minutes=6)  # one new one is tried
                    await until(lambda: 6 in receiver.numbers)
                    away = False
                    carriage.move(minutes=10)
                    await until(lambda: len(carriage.delivered(HOME)) == 5)
                    await until(lambda: carriage.lane(HOME).sees_everything)
                    carriage.take_in(cases.one("slow", HOME), cases.one("gone", HOME))
                    await until(lambda: carriage.row(HOME, 8).given_up_at is not None)
                    answer.set()
                    await until(lambda: 6 in carriage.delivered(HOME))
                    carriage.test(HOME)  # whoever is disabled is sent tests
                    await until(lambda: 9 in receiver.numbers)
                    assert 7 not in receiver.numbers[: receiver.numbers.index(9)]

    asyncio.run(story())


def test_what_is_numbered_while_the_one_before_it_is_on_its_way_goes_after_it(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    answer = asyncio.Event()

    async def story() -> None:
        async with all_in_sight(engine, clock, cases.one("b", HOME)) as (carriage, receiver):
            receiver.behave = takes_when("a", answer)
            carriage.take_in(cases.one("a", HOME))
            carriage.take_in(cases.one("a", HOME))
            carriage.take_in(cases.one("b", HOME))
            await until(lambda: carriage.delivered(HOME) == [1, 4])
            assert sorted(receiver.numbers) == [1, 2, 4]
            answer.set()
            await until(lambda: carriage.delivered(HOME) == [1, 2, 3, 4])

    asyncio.run(story())


def test_what_comes_behind_one_that_has_failed_waits_with_it(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        async with all_in_sight(engine, clock, cases.one("a", HOME)) as (carriage, receiver):
            receiver.behave = answers(500)
            carriage.take_in(cases.one("a", HOME))
            await until(lambda: carriage.row(HOME, 2).attempts == 1)
            receiver.behave = TAKES
            await until(lambda: not carriage.lane(HOME).sees_everything)
            carriage.take_in(cases.one("a", HOME), cases.one("b", HOME))
            await until(lambda: 4 in carriage.delivered(HOME))
            assert carriage.delivered(HOME) == [1, 4]
            carriage.move(minutes=10)
            await until(lambda: carriage.delivered(HOME) == [1, 2, 3, 4])
        assert receiver.numbers == [1, 2, 4, 2, 3]

    asyncio.run(story())


def test_while_a_secret_is_being_changed_both_are_good_and_an_old_one_is_not(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        async with Receiver().open() as old, Receiver(secret=ANOTHER).open() as new:
            with Carriage(engine, clock, {HOME: old, HOSPITAL: new}) as carriage:
                for agency in (HOME, HOSPITAL):
                    carriage.secrets.by_agency[agency] = [ANOTHER, SECRET]
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME, HOSPITAL))
                    await until(lambda: len(carriage.delivered(HOSPITAL)) == 1)
                    await until(lambda: len(carriage.delivered(HOME)) == 1)
                    carriage.secrets.by_agency[HOME] = [ANOTHER]
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: len(old.bad) == 1)
        signatures = old.came[0].headers["webhook-signature"].split(" ")
        assert [s.partition(",")[0] for s in signatures] == ["v1", "v1"]

    asyncio.run(story())


def test_without_a_secret_nothing_is_sent_and_it_goes_as_soon_as_there_is_one(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        async with Receiver().open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                carriage.secrets.by_agency[HOME] = []
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: carriage.row(HOME, 1).reason == "no_secret")
                    assert carriage.row(HOME, 1).attempts == 0  # no step of the schedule
                    carriage.secrets.by_agency[HOME] = [SECRET]
                    carriage.move(seconds=6)
                    await until(lambda: carriage.delivered(HOME) == [1])

    asyncio.run(story())


@pytest.mark.parametrize(
    "behave", [TAKES, answers(200), answers(299, body=b"thank you"), answers_and_closes, drips],
    ids=["204", "200", "299", "closes", "drips"],
)  # fmt: skip
def test_any_2xx_is_a_receipt_whatever_comes_after_it(
    engine: Engine, clock: ManualClock, cases: Cases, behave: Any
) -> None:
    async def story() -> None:
        async with Receiver(behave=behave).open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                async with carriage.running():
                    carriage.take_in(*(cases.one("a", HOME) for _ in range(3)))
                    await until(lambda: carriage.delivered(HOME) == [1, 2, 3], 3)
        assert receiver.numbers == [1, 2, 3]

    asyncio.run(story())


def test_of_an_answer_of_a_gigabyte_next_to_nothing_is_taken(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        flood = Floods()
        async with Receiver(behave=flood).open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: carriage.delivered(HOME) == [1], 3)
                    sent = -1
                    while sent != flood.sent:  # until nobody takes any more
                        sent = flood.sent
                        await asyncio.sleep(0.1)
        assert flood.sent < 8 * 2**20  # what the two hosts' buffers hold, not a gigabyte

    asyncio.run(story())


@pytest.mark.parametrize(
    ("behave", "reason", "status"),
    [
        (answers(500), "refused", 500),
        (answers(404), "refused", 404),
        (answers(301, "Location: http://127.0.0.1:1/elsewhere"), "redirects", 301),
        (answers(307, "Location: https://partner.example/"), "redirects", 307),
        (hangs, "hangs", None),
        (resets, "unreachable", None),
        (talks_nonsense, "unreachable", None),
        (never_ends_its_headers, "unreachable", None),
    ],
    ids=["500", "404", "301", "307", "hangs", "resets", "nonsense", "headers"],
)
def test_what_is_no_receipt_is_told_by_its_reason_and_tried_again(
    engine: Engine, clock: ManualClock, cases: Cases, behave: Any, reason: str, status: int | None
) -> None:
    async def story() -> None:
        async with Receiver(behave=behave).open() as receiver:
            with Carriage(engine, clock, {HOME: receiver}, patience=1.0) as carriage:
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: carriage.row(HOME, 1).attempts == 1)
                    row = carriage.row(HOME, 1)
                    assert (row.reason, row.status) == (reason, status)
                    assert row.delivered_at is None
                    receiver.behave = TAKES
                    carriage.move(seconds=6)
                    await until(lambda: carriage.delivered(HOME) == [1])
        assert {came.id for came in receiver.came} == {receiver.came[0].id}
        assert {came.body for came in receiver.came} == {receiver.came[0].body}
        Webhook(SECRET).verify(receiver.came[-1].body, receiver.came[-1].headers)

    asyncio.run(story())


def test_one_that_hangs_and_one_that_refuses_delay_nobody_else(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        async with Receiver(behave=hangs).open() as slow, Receiver().open() as well:
            nobody = "http://127.0.0.1:1/"
            to: dict[str, Receiver | str] = {HOME: slow, HOSPITAL: well, "hub-komagome": nobody}
            with Carriage(engine, clock, to) as carriage:
                async with carriage.running():
                    loop = asyncio.get_running_loop()
                    began = loop.time()
                    for n in range(40):
                        carriage.take_in(
                            *(
                                cases.one(f"{n} {i}", HOME, HOSPITAL, "hub-komagome")
                                for i in range(5)
                            )
                        )
                    await until(lambda: len(carriage.delivered(HOSPITAL)) == 200, 8)
                    assert loop.time() - began < 8  # less than the patience with the one that hangs
        assert not carriage.delivered(HOME)

    asyncio.run(story())


def test_a_referral_that_one_agency_does_not_take_holds_up_no_other_of_its_referrals(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        async with Receiver().open() as receiver:

            async def picky(came: Any, writer: asyncio.StreamWriter) -> None:
                poison = came.number == 1
                await (answers(422) if poison else TAKES)(came, writer)

            receiver.behave = picky
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                async with carriage.running():
                    carriage.take_in(cases.one("poison", HOME))
                    carriage.take_in(*(cases.one("poison", HOME) for _ in range(3)))
                    carriage.take_in(*(cases.one(f"{n}", HOME) for n in range(20)))
                    await until(lambda: len(carriage.delivered(HOME)) == 20)
                    assert carriage.delivered(HOME) == list(range(5, 25))
                    assert receiver.first_of(str(thread_of("poison"))) == [1]
                    receiver.behave = TAKES
                    carriage.move(seconds=6)
                    await until(lambda: len(carriage.delivered(HOME)) == 24)
        assert receiver.first_of(str(thread_of("poison"))) == [1, 2, 3, 4]

    asyncio.run(story())
