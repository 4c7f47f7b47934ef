"""A thousand events are carried again to a real system, stopped, taken up, and cut off by kill -9: its effects are
the same. By NATS too, also where the agency's client goes away in between."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from nats.aio.msg import Msg

from runtime.clock import SystemClock, utc_text
from runtime.database import open_database, writing
from runtime.migrations import upgrade
from schemas import subjects
from services.delivery import tables as t
from services.delivery.inbox import Inboxes
from services.delivery.redriver import PAUSED_AFTER
from tests.book import as_read
from tests.builders import Town, a_referral
from tests.databases import migrations
from tests.network import RunningNetwork, eventually, running_network, verified
from tests.partners import a_referral as a_posted_referral
from tests.through_their_own_systems.nats_partner import (
    WARD,
    Given,
    NatsPartner,
    a_credential,
    connected_as,
    ward_by_nats,
)
from tests.through_their_own_systems.receiving import (
    HUB,
    Otsuka,
    System,
    arrived,
    command,
    otsuka,
)

Both = tuple[Otsuka, System]
MANY = 1000
SOON = timedelta(minutes=20)


def a_busy_year(home: Path) -> None:
    """The hub has a thousand events that wait to be carried, in twenty minutes: when its secret is made."""
    town = Town()
    while len(town.entries) < MANY:
        a_referral(town=town).accepted_by("hub-motofuji").closed()
    entries = [e.model_copy(update={"concerns": (HUB,)}) for e in town.entries[:MANY]]
    engine = open_database(f"sqlite:///{(home / 'data' / 'delivery.db').resolve()}")
    upgrade(engine, migrations("delivery"))
    now = SystemClock().now()
    with writing(engine) as connection:
        numbered = Inboxes(engine).take_in(connection, [as_read(entry) for entry in entries])
        rows = [
            {
                "agency": HUB,
                "number": one.number,
                "event": str(one.entry.id),
                "thread": str(one.entry.referral),
                "test": False,
                "queued_at": utc_text(now),
                "attempts": 0,
                "next_at": utc_text(now + SOON),
            }
            for one in numbered
        ]
        connection.execute(sa.insert(t.deliveries), rows)
    engine.dispose()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    home = tmp_path_factory.mktemp("otsuka") / "home"
    a_busy_year(home)
    with otsuka(home, clock_shift=True) as both:
        both[0].move_clock(SOON)
        arrived(both[1], MANY, 60)
        yield both


@pytest.fixture
def network(both: Both) -> Otsuka:
    return both[0]


@pytest.fixture
def system(both: Both) -> Iterator[System]:
    yield both[1]
    both[1].refuse = lambda _: None


def redrive(network: RunningNetwork, *arguments: str, fails: bool = False) -> dict[str, Any]:
    done = command(network, "redrive", *arguments, "--json")
    assert (done.exit_code != 0) is fails, done.output
    told: dict[str, Any] = {"err": done.stderr} if fails else json.loads(done.stdout)
    return told


def row(network: RunningNetwork, redrive: str) -> Any:
    (found,) = network.rows("delivery", "SELECT * FROM redrives WHERE id = :id", id=redrive)
    return found


def on_record(network: RunningNetwork, kind: str) -> list[dict[str, Any]]:
    """In the ledger, not only where it happened."""
    bodies = network.rows("audit", "SELECT body FROM entries WHERE producer = 'delivery'")
    entries = [json.loads(body) for (body,) in bodies]
    return [e["event"] for e in entries if e["event"]["type"] == kind]


def test_a_thousand_are_carried_again_through_a_pause_and_two_kills_with_no_second_effect(
    network: Otsuka, system: System
) -> None:
    effects, before = dict(system.effects), len(system.came)
    looked = redrive(network, HUB, "--to", str(MANY), "--rate", "1000")
    assert (looked["count"], looked["numbers"], looked["redrive"]) == (MANY, f"1-{MANY}", None)
    assert (looked["delivered_before"], looked["seconds"], looked["way"]) == (MANY, 1, "webhook")
    assert len(system.came) == before
    assert network.rows("delivery", "SELECT count(*) FROM redrives")[0][0] == 0

    started = redrive(network, HUB, "--to", str(MANY), "--rate", "100", "--go")["redrive"]
    eventually(lambda: len(system.came) > before + 50, 30, "the first come again")
    assert redrive(network, "pause", started)["state"] == "paused"
    eventually(lambda: row(network, started).done_to > 50, 10, "noted")
    stopped = len(system.came)
    network.kill_and_await_restart("delivery")
    assert len(system.came) <= stopped + 1  # the one that was on its way
    assert redrive(network, "resume", started)["state"] == "running"
    eventually(lambda: len(system.came) > stopped + 50, 30, "it goes on")
    network.kill_and_await_restart("delivery")
    eventually(lambda: row(network, started).state == "ended", 60, "all of them")

    again = [n for n in system.numbers[before:] if n <= MANY]
    assert set(again) == set(range(1, MANY + 1))
    steps_back = sum(after <= earlier for earlier, after in itertools.pairwise(again))
    assert steps_back <= 2, "in order, but for what a kill made uncertain"
    assert {i: n for i, n in system.effects.items() if i in effects} == effects
    assert set(system.effects.values()) == {1}
    ended = row(network, started)
    assert (ended.total, ended.delivered, ended.failed) == (MANY, MANY, 0)


def test_every_redrive_is_in_the_ledger_and_in_the_inboxes_of_whom_it_concerns(
    network: Otsuka,
) -> None:
    network.settle()
    (started,) = on_record(network, "redrive_started")
    (ended,) = on_record(network, "redrive_ended")
    assert started["redrive"] == ended["redrive"]
    assert (started["agency"], started["count"], started["first"], started["last"]) == (
        HUB, MANY, 1, MANY,
    )  # fmt: skip
    assert (ended["delivered"], ended["failed"], ended["cancelled"]) == (MANY, 0, False)
    for agency in (HUB, "core"):
        kinds = [item["event"]["data"]["type"] for item in network.partner(agency).whole_inbox()]
        of_it = [kind for kind in kinds if kind.startswith("redrive_")]
        assert of_it == ["redrive_started", "redrive_paused", "redrive_resumed", "redrive_ended"]
    assert verified(network)["entries"] >= 2


def test_a_dead_letter_is_refused_a_redrive_and_goes_by_itself_after_a_test_has_arrived(
    network: Otsuka, system: System
) -> None:
    system.refuse = lambda event: 410 if event["type"] == "tsunagu.handoff_offered.v1" else None
    sent = network.partner("anshin-otsuka").posts(a_posted_referral().to(HUB))
    assert sent.status == 201, sent.body
    given_up = "SELECT number FROM deliveries WHERE given_up_at IS NOT NULL"
    eventually(lambda: network.rows("delivery", given_up), 20, "a dead letter")
    system.refuse = lambda _: None
    ((number,),) = network.rows("delivery", given_up)

    looked = redrive(network, HUB, "--given-up")
    assert (looked["count"], looked["given_up"], looked["numbers"]) == (1, 1, str(number))
    assert looked["disabled_since"] is not None
    assert "tsunagu delivery test" in redrive(network, HUB, "--given-up", "--go", fails=True)["err"]
    assert command(network, "delivery", "test", HUB).exit_code == 0
    arrived_too = "SELECT 1 FROM deliveries WHERE number = :number AND delivered_at IS NOT NULL"
    eventually(
        lambda: network.rows("delivery", arrived_too, number=number), 20, "the dead letter arrives"
    )
    assert number in system.numbers
    left = redrive(network, HUB, "--referral", sent.number, "--given-up", "--go")
    assert (left["count"], left["redrive"]) == (0, None)
    assert set(system.effects.values()) == {1}


def test_one_that_is_cancelled_stops_and_is_recorded_as_cancelled(
    network: Otsuka, system: System
) -> None:
    started = redrive(network, HUB, "--to", str(MANY), "--rate", "20", "--go")["redrive"]
    eventually(lambda: row(network, started).done_to >= 5, 20, "it has begun")
    redrive(network, "cancel", started)
    eventually(lambda: row(network, started).state == "cancelled", 10, "cancelled")
    assert row(network, started).done_to < MANY
    shown = command(network, "redrive", "show", started, "--follow")
    assert "cancelled" in shown.stdout
    network.settle()
    assert on_record(network, "redrive_ended")[-1]["cancelled"] is True
    assert set(system.effects.values()) == {1}


def test_what_cannot_be_is_told_in_words(network: Otsuka) -> None:
    assert "/v1/inbox?after" in redrive(network, "hub-komagome", fails=True)["err"]
    assert "no such agency" in redrive(network, "nobody", fails=True)["err"]
    assert "no such re-drive" in redrive(network, "show", "none", fails=True)["err"]


# -- by NATS ------------------------------------------------------------------------------------------


ASIDE = timedelta(seconds=10)
"""Longer than the pause between two looks for who is not connected."""


class Program:
    """The hub's own program on its NATS client: it knows what came before by ``Nats-Msg-Id``, and has
    one effect for each event. ``leaves_after``: it stops listening when it has this number."""

    def __init__(self) -> None:
        self.came: list[tuple[str, dict[str, Any]]] = []
        self.known: set[str] = set()
        self.effects: Counter[int] = Counter()
        self.leaves_after = 0
        self._leaving: asyncio.Task[None] | None = None

    async def listens(self, hub: NatsPartner) -> None:
        async def take(message: Msg) -> None:
            event = json.loads(message.data)
            known_by = (message.headers or {}).get("Nats-Msg-Id", "")
            self.came.append((known_by, event))
            if known_by not in self.known:
                self.known.add(known_by)
                self.effects[event["agencynumber"]] += 1
            if event["agencynumber"] == self.leaves_after:
                # Not here: giving up a subscription cancels what is being done for it.
                self._leaving = asyncio.create_task(leaves(message))
            else:
                await message.respond(b"")

        async def leaves(last: Msg) -> None:
            await subscription.unsubscribe()
            await hub.client.flush()
            await last.respond(b"")

        subscription = await hub.client.subscribe(subjects.carried(WARD, HUB), cb=take)
        await hub.client.flush()

    def numbers(self, last: int) -> list[int]:
        """Those of the past in the order in which they came: events of now come in between."""
        return [n for _, event in self.came if (n := event["agencynumber"]) <= last]


async def until(holds: Callable[[], object], what: str, seconds: float = 30) -> None:
    await asyncio.to_thread(eventually, holds, seconds, what)


@pytest.fixture(scope="module")
def by_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    folder = tmp_path_factory.mktemp("nats")
    ward = ward_by_nats(folder, HUB)
    with running_network(folder / "home", ward=ward, clock_shift=True) as running:
        yield running


@pytest.fixture(scope="module")
def given(by_nats: RunningNetwork) -> Given:
    return a_credential(by_nats, HUB)


@pytest.fixture(scope="module")
def past(by_nats: RunningNetwork, given: Given) -> tuple[Program, int]:
    """The hub has had some events, and dealt with each; up to this number."""
    program, sender = Program(), by_nats.partner("anshin-otsuka")

    async def story() -> None:
        async with connected_as(by_nats, HUB, given.password) as hub:
            await program.listens(hub)
            for _ in range(6):
                posted = await asyncio.to_thread(sender.posts, a_posted_referral().to(HUB))
                assert posted.status == 201, posted.body
            await asyncio.to_thread(by_nats.settle)
            await until(lambda: nothing_waits(by_nats), "all have arrived")

    asyncio.run(story())
    last = max(program.effects)
    assert last >= 6
    assert program.effects == dict.fromkeys(range(1, last + 1), 1)
    return program, last


def waiting(network: RunningNetwork) -> list[Any]:
    query = "SELECT number, next_at FROM deliveries WHERE next_at IS NOT NULL ORDER BY number"
    return network.rows("delivery", query)


def nothing_waits(network: RunningNetwork) -> bool:
    return not waiting(network)


def facts_of(network: RunningNetwork, started: str) -> list[str]:
    """What the ledger has of a re-drive."""
    query = "SELECT body FROM entries WHERE producer = 'delivery' ORDER BY number"
    events = [json.loads(body)["event"] for (body,) in network.rows("audit", query)]
    return [event["type"] for event in events if event.get("redrive") == started]


def test_by_nats_they_come_again_in_order_under_their_ids_and_have_no_second_effect(
    by_nats: RunningNetwork, given: Given, past: tuple[Program, int]
) -> None:
    program, last = past
    first_time = {event["agencynumber"]: (by, event) for by, event in program.came}
    program.came.clear()

    async def story() -> str:
        async with connected_as(by_nats, HUB, given.password) as hub:
            await program.listens(hub)
            asked = (HUB, "--to", str(last), "--rate", "50")
            looked = await asyncio.to_thread(redrive, by_nats, *asked)
            assert (looked["way"], looked["count"], looked["redrive"]) == ("nats", last, None)
            started = await asyncio.to_thread(redrive, by_nats, *asked, "--go")
            await until(lambda: row(by_nats, started["redrive"]).state == "ended", "all of them")
            await until(lambda: nothing_waits(by_nats), "it was told of it, too")
            return str(started["redrive"])

    started = asyncio.run(story())
    again = [(by, event) for by, event in program.came if event["agencynumber"] <= last]
    assert again == [first_time[number] for number in range(1, last + 1)]
    assert all(by == event["id"] for by, event in again)
    assert set(program.effects.values()) == {1}
    ended = row(by_nats, started)
    assert (ended.total, ended.delivered, ended.failed) == (last, last, 0)
    by_nats.settle()
    assert facts_of(by_nats, started) == ["redrive_started", "redrive_ended"]
    told = [event["data"]["type"] for _, event in program.came if event["agencynumber"] > last]
    assert told == ["redrive_started", "redrive_ended"]
    assert verified(by_nats)["entries"] >= 2


def test_by_nats_it_is_held_while_the_client_is_away_and_goes_on_when_it_is_back(
    by_nats: RunningNetwork, given: Given, past: tuple[Program, int]
) -> None:
    program, last = past
    program.came.clear()
    program.leaves_after = 3
    sender = by_nats.partner("anshin-otsuka")

    def held(started: str) -> bool:
        found = row(by_nats, started)
        return (found.state, found.done_to, found.held_at, found.held_because, found.failing) == (
            "running", 3, 4, "not_connected", 0,
        )  # fmt: skip

    def time_passes() -> None:
        """As long as the network needs to see: what is new is looked for every few seconds, too."""
        ((_, before),) = waiting(by_nats)[-1:]
        by_nats.move_clock(ASIDE)
        eventually(lambda: waiting(by_nats)[-1].next_at > before, 20, "looked for again")

    async def story() -> str:
        async with connected_as(by_nats, HUB, given.password) as hub:
            await program.listens(hub)
            asked = (HUB, "--to", str(last), "--rate", "50", "--go")
            started = str((await asyncio.to_thread(redrive, by_nats, *asked))["redrive"])
            await until(lambda: held(started), "it is held")
        new = await asyncio.to_thread(sender.posts, a_posted_referral().to(HUB))
        assert new.status == 201, new.body
        await asyncio.to_thread(by_nats.settle)
        for _ in range(2 * PAUSED_AFTER):
            await asyncio.to_thread(time_passes)
            assert held(started)
        await asyncio.to_thread(by_nats.kill_and_await_restart, "delivery")
        with by_nats.down("nats-server"):
            by_nats.move_clock(ASIDE)
        await asyncio.to_thread(by_nats.await_ready)
        await until(lambda: held(started), "it is held still")

        program.leaves_after = 0
        async with connected_as(by_nats, HUB, given.password) as hub:
            await program.listens(hub)
            by_nats.move_clock(ASIDE)
            await until(lambda: row(by_nats, started).state == "ended", "the others")
            await until(lambda: nothing_waits(by_nats), "what is new has come, too")
        return started

    started = asyncio.run(story())
    assert program.numbers(last) == list(range(1, last + 1))
    assert set(program.effects.values()) == {1}
    assert set(program.effects) == set(range(1, max(program.effects) + 1)), "and nothing is missing"
    ended = row(by_nats, started)
    assert (ended.total, ended.delivered, ended.failed) == (last, last, 0)
    by_nats.settle()
    assert facts_of(by_nats, started) == ["redrive_started", "redrive_ended"]
