"""The real network and a hub's own system: nothing is lost when delivery dies, and an offer that cannot be
delivered is silence, whose clock runs on."""

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest

from tests.network import eventually, verified
from tests.partners import AReferral, a_referral
from tests.through_their_own_systems.receiving import HUB, Otsuka, System, otsuka

OTSUKA = "文京区大塚四丁目50番1号"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Otsuka, System]]:
    with otsuka(tmp_path_factory.mktemp("network") / "home", clock_shift=True) as both:
        yield both


def to_otsuka() -> AReferral:
    return a_referral().by_address(OTSUKA).to(HUB)


def inbox_of(network: Otsuka) -> list[tuple[int, str]]:
    items = network.partner(HUB).whole_inbox()
    return [(item["number"], item["event"]["id"]) for item in items]


def test_delivery_killed_in_the_middle_loses_nothing_and_sends_again_under_the_same_id(
    running: tuple[Otsuka, System],
) -> None:
    network, system = running
    sender = network.partner("anshin-otsuka")
    for n in range(24):
        assert sender.posts(to_otsuka()).status == 201
        if n % 8 == 7:
            eventually(lambda: network.is_up("delivery"), 30, "delivery up")
            network.kill("delivery")
    network.await_ready()
    network.settle()

    def all_there() -> bool:
        return {number for number, _ in inbox_of(network)} <= set(system.numbers)

    eventually(all_there, 30, lambda: f"{len(set(system.numbers))} numbers have come")
    inbox = inbox_of(network)
    assert [number for number, _ in inbox] == list(range(1, len(inbox) + 1))
    assert {(event["agencynumber"], name) for name, event in system.came} == set(inbox)
    bodies: dict[str, set[str]] = {}
    for name, event in system.came:
        assert name == event["id"]
        bodies.setdefault(name, set()).add(json.dumps(event, sort_keys=True))
    assert all(len(same) == 1 for same in bodies.values())
    assert set(system.effects.values()) == {1}
    for referral in {event["subject"] for _, event in system.came}:
        of_it = [event["agencynumber"] for _, event in system.came if event["subject"] == referral]
        firsts = list(dict.fromkeys(of_it))
        assert firsts == sorted(firsts)


def test_an_offer_that_cannot_be_delivered_is_silence_and_escalates(
    running: tuple[Otsuka, System],
) -> None:
    network, system = running
    system.refuse = lambda _: 500
    sender, core = network.partner("anshin-otsuka"), network.partner("core")
    made = sender.posts(to_otsuka().having(urgency="emergency"))
    assert made.status == 201
    referral = made.body["id"]
    eventually(
        lambda: network.figure("delivery", "deliveries_waiting") > 0, 10, "an offer that waits"
    )
    network.move_clock(timedelta(minutes=16))

    def called() -> bool:
        open_calls = core.escalations(state="open").body["items"]
        return any(referral in json.dumps(call) for call in open_calls)

    eventually(called, 15, "a call to the core centre")
    assert network.figure("delivery", "deliveries_oldest_seconds") > 900


def test_after_three_days_it_is_a_dead_letter_that_the_core_centre_and_the_hub_find_in_their_inboxes(
    running: tuple[Otsuka, System],
) -> None:
    network, system = running
    system.refuse = lambda _: 500
    assert network.partner("anshin-otsuka").posts(to_otsuka()).status == 201
    eventually(lambda: network.figure("delivery", "deliveries_waiting") > 0, 10, "what waits")
    tries = network.rows("delivery", "SELECT max(attempts) FROM deliveries")[0][0]

    def tried_since(tries: int) -> bool:
        newest = network.rows("delivery", "SELECT sum(attempts) FROM deliveries")[0][0]
        return newest > tries or network.figure("delivery", "endpoints_disabled") == 1

    # Half a day at a time: of more than that between two tries it does not count.
    while network.figure("delivery", "endpoints_disabled") == 0:
        so_far = network.rows("delivery", "SELECT sum(attempts) FROM deliveries")[0][0]
        network.move_clock(timedelta(hours=13))
        eventually(partial(tried_since, so_far), 20, "another try")
    assert network.figure("delivery", "deliveries_given_up") == 1
    assert tries >= 1
    before = network.rows("delivery", "SELECT sum(attempts) FROM deliveries WHERE NOT test")[0][0]
    network.move_clock(timedelta(hours=5))

    for agency in (HUB, "core"):
        items = [item["event"] for item in network.partner(agency).whole_inbox()]
        told = [event for event in items if "given_up" in event["type"]]
        assert len(told) == 1
        assert told[0]["data"]["agency"] == HUB
        assert told[0]["data"]["status"] == 500
        assert told[0]["subject"] == HUB
    after = network.rows("delivery", "SELECT sum(attempts) FROM deliveries WHERE NOT test")[0][0]
    assert after == before
    log = network.logs()
    assert "delivery_failed" in log
    for personal in ("文京 太郎", "大塚四丁目", "whsec_"):
        assert personal not in log
    verified(network)
