"""A path is proved in peacetime: every day, and whenever somebody asks, a test event goes the way of all."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runtime.clock import shifted
from schemas.outside import JAPAN
from tests.network import RunningNetwork, eventually, verified
from tests.partners import Partner, a_referral
from tests.through_their_own_systems.receiving import (
    HUB,
    Otsuka,
    System,
    arrived,
    command,
    otsuka,
)

Both = tuple[Otsuka, System]
OTHER = "hub-komagome"  # fetches its events itself


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with otsuka(tmp_path_factory.mktemp("otsuka") / "home", clock_shift=True) as both:
        yield both


@pytest.fixture
def network(both: Both) -> RunningNetwork:
    """Long enough after whatever test was asked for before."""
    both[0].move_clock(timedelta(seconds=6))
    return both[0]


@pytest.fixture
def system(both: Both) -> Iterator[System]:
    yield both[1]
    both[1].refuse = lambda _: None


@pytest.fixture
def hub(network: RunningNetwork) -> Partner:
    return network.partner(HUB)


def test_a_test_arrives_at_the_agencys_own_system_and_how_long_it_took_is_told(
    hub: Partner, system: System
) -> None:
    asked = hub.post("/v1/inbox/test")
    assert asked.status == 201, asked.body
    # Told in the answer itself, unless it takes longer than the caller is made to wait.
    test = asked.headers["location"]
    eventually(lambda: hub.get(test).body["delivered"], 20, "delivered")
    told = hub.get(test).body
    assert (told["way"], told["state"]) == ("webhook", "delivered")
    assert told["took_ms"] >= 0
    assert system.effects[told["id"]] == 1
    event = next(e for webhook_id, e in system.came if webhook_id == told["id"])
    assert event["agencynumber"] == told["number"]
    item = hub.whole_inbox()[told["number"] - 1]["event"]
    assert {**item, "agencynumber": told["number"]} == event
    assert hub.get(asked.headers["location"]).body == told


def test_a_test_that_is_refused_says_why_and_goes_on_being_tried(
    hub: Partner, system: System, network: RunningNetwork
) -> None:
    system.refuse = lambda event: 503 if event["type"] == "tsunagu.delivery_tested.v1" else None
    asked = hub.post("/v1/inbox/test")
    assert (asked.status, asked.body["state"], asked.body["delivered"]) == (201, "pending", False)
    told = hub.get(asked.headers["location"]).body
    assert (told["reason"], told["status"], told["attempts"]) == ("refused", 503, 1)
    system.refuse = lambda _: None
    network.move_clock(timedelta(minutes=2))
    eventually(lambda: hub.get(asked.headers["location"]).body["delivered"], 20, "delivered")


def test_an_agency_that_fetches_its_events_is_told_the_number_of_its_test(
    network: RunningNetwork,
) -> None:
    other = network.partner(OTHER)
    asked = other.post("/v1/inbox/test")
    assert (asked.status, asked.body["state"], asked.body["delivered"]) == (201, "in_inbox", False)
    item = other.whole_inbox()[asked.body["number"] - 1]
    assert (item["event"]["id"], item["event"]["type"]) == (asked.id, "tsunagu.delivery_tested.v1")


def test_the_same_key_is_the_same_test_and_another_too_soon_is_told_when(hub: Partner) -> None:
    first = hub.post("/v1/inbox/test", key="OURS-1")
    assert hub.post("/v1/inbox/test", key="OURS-1").id == first.id
    soon = hub.post("/v1/inbox/test")
    assert (soon.status, soon.code) == (429, "rate_limited")
    assert 1 <= int(soon.headers["retry-after"]) <= 5


def test_what_became_of_a_test_is_told_to_its_own_agency_only(
    hub: Partner, network: RunningNetwork
) -> None:
    place = hub.post("/v1/inbox/test").headers["location"]
    assert network.partner(OTHER).get(place).code == "not_involved"
    assert hub.get("/v1/inbox/test/none").code == "not_involved"


def test_there_is_nothing_to_say_in_the_body_of_a_test(hub: Partner) -> None:
    assert hub.post("/v1/inbox/test", {"agency": OTHER}).code == "invalid_request"


def test_an_operator_sends_a_test_from_the_command_line(
    network: RunningNetwork, system: System
) -> None:
    done = command(network, "delivery", "test", HUB, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["delivered"]
    assert system.effects[told["id"]] == 1
    assert command(network, "delivery", "test", "nobody").exit_code == 2
    system.refuse = lambda _: 500
    failed = command(network, "delivery", "test", HUB)
    assert failed.exit_code == 1
    assert "refused 500" in failed.stdout
    system.refuse = lambda _: None
    network.move_clock(timedelta(minutes=2))


def test_once_a_day_a_test_and_a_manifest_come_by_themselves(
    network: RunningNetwork, system: System, hub: Partner
) -> None:
    def daily() -> set[str]:
        # By id: what arrived just before delivery was killed comes once more.
        return {e["id"] for _, e in list(system.came) if e["data"].get("daily") is True}

    now = datetime.now(JAPAN) + timedelta(seconds=_ahead(network))
    tomorrow = now.replace(hour=9, minute=29, second=50) + timedelta(days=1)
    network.move_clock(tomorrow - now)
    eventually(lambda: hub.get("/v1/inbox/manifest").status == 200, 20, "a manifest of the day")
    day = tomorrow.date().isoformat()
    assert hub.get("/v1/inbox/manifest", day=day).body["day"] == day
    before = len(daily())
    network.move_clock(timedelta(minutes=1))
    eventually(lambda: len(daily()) == before + 1, 20, "the day's test")
    # Away over the next one: made up at the start, once, and of today only.
    with network.down("delivery"):
        network.move_clock(timedelta(days=3))
    network.await_ready()
    eventually(lambda: len(daily()) == before + 2, 30, "the test that was missed")
    assert set(system.effects.values()) == {1}
    for past in range(1, 4):
        missed = (tomorrow + timedelta(days=past)).date().isoformat()
        assert hub.get("/v1/inbox/manifest", day=missed).body["day"] == missed


def test_the_inbox_is_whole_by_the_partners_own_tool(
    network: RunningNetwork, hub: Partner, tmp_path: Path
) -> None:
    network.partner("anshin-otsuka").posts(a_referral().to(HUB))
    eventually(lambda: hub.inbox(limit=1).body["head"] >= 1, 20, "events")
    signed = hub.post("/v1/inbox/manifest").body
    note = hub.http.get("/v1/inbox/manifest", headers={"Accept": "text/plain"})
    assert note.text == signed["note"]
    assert note.headers["content-type"].startswith("text/plain")

    def verdict(*arguments: str) -> dict[str, Any]:
        done = command(network, "inbox", "verify", "--agency", HUB, "--json", *arguments)
        told: dict[str, Any] = json.loads(done.stdout)
        assert (done.exit_code == 0) is (told["verdict"] == "whole"), done.output
        return told

    whole = verdict()
    assert (whole["verdict"], whole["key_from_network"]) == ("whole", signed["key"])
    assert verdict("--vkey", signed["key"])["key_from_network"] is None
    lines = [json.dumps(item) for item in hub.whole_inbox()]
    theirs = tmp_path / "events.jsonl"
    theirs.write_text("\n".join([*lines[:1], *lines[2:]]), "utf-8")
    lost = verdict("--vkey", signed["key"], "--events", str(theirs))
    assert (lost["verdict"], lost["numbers"]) == ("missing", [2])
    (tmp_path / "note").write_text(signed["note"], "utf-8")
    theirs.write_text(
        "\n".join(lines).replace("delivery_tested.v1", "delivery_tested.v2", 1), "utf-8"
    )
    # Without a network: what was kept is enough.
    changed = verdict(
        "--vkey", signed["key"], "--events", str(theirs), "--note", str(tmp_path / "note")
    )
    assert changed["verdict"] == "altered"


def test_what_the_system_received_is_whole_too(
    hub: Partner, system: System, network: RunningNetwork, tmp_path: Path
) -> None:
    signed = hub.post("/v1/inbox/manifest").body
    arrived(system, signed["size"])
    theirs = tmp_path / "received.jsonl"
    theirs.write_text("\n".join(json.dumps(event) for _, event in system.came), "utf-8")
    done = command(network, "inbox", "verify", "--agency", HUB, "--events", str(theirs))
    assert done.exit_code == 0, done.stdout


def test_no_manifest_is_given_that_was_never_signed(network: RunningNetwork) -> None:
    reads = network.partner(OTHER)
    missing = reads.get("/v1/inbox/manifest", day="2020-01-01")
    assert (missing.status, missing.code) == (404, "not_found")
    for query in ({"day": "yesterday"}, {"day": "2026-13-01"}, {"agency": HUB}):
        assert reads.get("/v1/inbox/manifest", **query).code == "invalid_request"


def test_tests_and_manifests_are_in_the_ledger_and_it_is_whole(network: RunningNetwork) -> None:
    network.settle()
    report = verified(network)
    assert report["entries"] == network.journal_head() + _carried(network)
    kinds = network.rows("delivery", "SELECT type, count(*) FROM journal GROUP BY type")
    assert {"manifest_signed", "delivery_tested"} <= {kind for kind, _ in kinds}
    replayed = command(network, "replay", "--json")
    assert replayed.exit_code == 0, replayed.output


def _carried(network: RunningNetwork) -> int:
    return int(network.rows("delivery", "SELECT count(*) FROM journal")[0][0])


def _ahead(network: RunningNetwork) -> float:
    assert network.settings.clock_shift is not None
    return shifted(network.settings.clock_shift)
