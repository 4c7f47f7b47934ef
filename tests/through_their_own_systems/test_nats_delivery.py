"""Events come to an agency's own NATS client, which says that it has them."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from nats.aio.msg import Msg

from schemas import subjects
from schemas.deliveries import Undelivered
from services.delivery import by_nats
from services.delivery.by_nats import ByNats
from services.delivery.carrier import Delivered, Failed
from tests.network import RunningNetwork, eventually, running_network
from tests.partners import a_referral
from tests.through_their_own_systems.document import runnable
from tests.through_their_own_systems.nats_partner import (
    WARD,
    Given,
    NatsPartner,
    a_credential,
    connected_as,
    ward_by_nats,
)

SENDER, HUB = "anshin-motofuji", "hub-motofuji"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    """Its hub wants events by NATS; what fails is tried again after a second, and not before."""
    folder = tmp_path_factory.mktemp("nats-delivery")
    with running_network(folder / "home", ward=ward_by_nats(folder, HUB)) as running:
        yield running


@pytest.fixture(scope="module")
def given(network: RunningNetwork) -> Given:
    return a_credential(network, HUB)


Received = list[dict[str, Any]]
Act = Callable[[Msg, Received], Coroutine[None, None, None]]


async def receives(hub: NatsPartner, act: Act) -> Received:
    """What comes from now on; ``act`` is the hub's own program."""
    received: Received = []

    async def take(message: Msg) -> None:
        received.append(json.loads(message.data))
        await act(message, received)

    await hub.client.subscribe(subjects.carried(WARD, HUB), cb=take)
    await hub.client.flush()
    return received


async def acknowledges(message: Msg, _: Received) -> None:
    await message.respond(b"")


async def says(message: Msg, status: str) -> None:
    await message._client.publish(message.reply, b"", headers={subjects.STATUS: status})


async def until(holds: Callable[[], object], seconds: float = 15) -> None:
    await asyncio.to_thread(eventually, holds, seconds, "what was awaited")


def numbers(received: Received) -> list[int]:
    return [event["agencynumber"] for event in received]


def head(network: RunningNetwork) -> int:
    return int(network.partner(HUB).get("/v1/inbox", after=0, limit=1).body["head"])


def test_what_came_while_nobody_was_connected_comes_soon_after_in_order_and_once(
    network: RunningNetwork, given: Given
) -> None:
    sender = network.partner(SENDER)
    sent = [sender.posts(a_referral()) for _ in range(3)]
    network.settle()
    time.sleep(1)

    async def story() -> None:
        async with connected_as(network, HUB, given.password) as hub:
            began = time.monotonic()
            received = await receives(hub, acknowledges)
            await until(lambda: len(received) >= head(network))
            assert time.monotonic() - began < 12  # looked for every few seconds
            more = await asyncio.to_thread(sender.posts, a_referral())
            began = time.monotonic()
            await until(lambda: received[-1]["subject"] == more.id)
            assert time.monotonic() - began < 3
            await asyncio.sleep(0.5)
            assert sorted(numbers(received)) == list(range(1, head(network) + 1))
            about: dict[str, list[int]] = {one.id: [] for one in sent}
            for event in received:
                about.setdefault(event["subject"], []).append(event["agencynumber"])
            for each in about.values():
                assert each == sorted(each), "of one referral in order"
            page = await hub.call("read_inbox", body={"after": 0, "limit": 100})
            inbox = {item["number"]: item["event"] for item in page.body["items"]}
            for event in received:
                number = event.pop("agencynumber")
                assert event == inbox[number], "the same as by the other ways"

    asyncio.run(story())


def test_what_is_answered_with_another_status_is_sent_again(
    network: RunningNetwork, given: Given
) -> None:
    async def refuses_first(message: Msg, received: Received) -> None:
        await says(message, "503" if len(received) == 1 else "204")

    async def story() -> None:
        async with connected_as(network, HUB, given.password) as hub:
            received = await receives(hub, refuses_first)
            posted = await asyncio.to_thread(network.partner(SENDER).posts, a_referral())
            await until(lambda: len(received) >= 2, 30)
            assert received[0] == received[1]
            assert received[0]["subject"] == posted.id

    asyncio.run(story())


def test_a_carrier_tells_one_failure_from_another(
    network: RunningNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is not connected is looked for soon; who hangs or refuses uses up the schedule."""
    monkeypatch.setattr(by_nats, "ANSWER_WITHIN", 0.5)
    other = "hub-otsuka"
    given = a_credential(network, other)
    settings = network.nats_settings()
    event = {"id": "00000000-0000-7000-8000-000000000000", "agencynumber": 1}

    async def story() -> None:
        carrier = ByNats(settings, WARD)
        away = Failed(Undelivered.NOT_CONNECTED, soon=True)
        assert await carrier.carry(other, event) == away
        async with connected_as(network, other, given.password) as client:
            answer = "hang"

            async def act(message: Msg) -> None:
                if answer == "just":
                    await message.respond(b"anything")
                elif answer != "hang":
                    await says(message, answer)

            await client.client.subscribe(subjects.carried(WARD, other), cb=act)
            await client.client.flush()
            assert await carrier.carry(other, event) == Failed(Undelivered.HANGS)
            for answer, outcome in (
                ("just", Delivered()),
                ("200", Delivered()),
                ("500", Failed(Undelivered.REFUSED, status=500)),
                ("no", Failed(Undelivered.REFUSED)),
                ("000", Failed(Undelivered.REFUSED)),
            ):
                assert await carrier.carry(other, event) == outcome, answer
        # It has just gone, and nats-server may not know it yet.
        while (outcome := await carrier.carry(other, event)) == Failed(Undelivered.HANGS):
            pass
        assert outcome == away
        with network.down("nats-server"):
            assert await carrier.carry(other, event) == away
        await asyncio.to_thread(network.await_ready)
        await carrier.close()

    asyncio.run(story())


def test_the_example_of_the_partners_document_accepts_an_offer(
    network: RunningNetwork, given: Given
) -> None:
    (example,) = runnable("python", "3.3")
    posted = network.partner(SENDER).posts(a_referral())
    assert posted.status == 201
    done = subprocess.run(
        [sys.executable, "-c", example.text],
        env={
            **os.environ,
            "TSUNAGU_NATS": str(network.nats()["servers"]),
            "TSUNAGU_NATS_PASSWORD": given.password,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    *events, answer = done.stdout.splitlines()
    assert any(line.endswith(" tsunagu.handoff_offered.v1") for line in events), done.stdout
    assert re.fullmatch(r"200 131059-\d{4}-\d{6} in_care", answer), done.stdout
