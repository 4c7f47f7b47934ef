"""A thousand events are carried again to a real system, stopped, taken up, and cut off by kill -9: its effects are
the same."""

import itertools
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from runtime.clock import SystemClock, utc_text
from runtime.database import open_database, writing
from runtime.migrations import upgrade
from services.delivery import tables as t
from services.delivery.inbox import Inboxes
from tests.book import as_read
from tests.builders import Town, a_referral
from tests.databases import migrations
from tests.network import eventually, verified
from tests.partners import a_referral as a_posted_referral
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


def redrive(network: Otsuka, *arguments: str, fails: bool = False) -> dict[str, Any]:
    done = command(network, "redrive", *arguments, "--json")
    assert (done.exit_code != 0) is fails, done.output
    told: dict[str, Any] = {"err": done.stderr} if fails else json.loads(done.stdout)
    return told


def row(network: Otsuka, redrive: str) -> Any:
    (found,) = network.rows("delivery", "SELECT * FROM redrives WHERE id = :id", id=redrive)
    return found


def on_record(network: Otsuka, kind: str) -> list[dict[str, Any]]:
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
