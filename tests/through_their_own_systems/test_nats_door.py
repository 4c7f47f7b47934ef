"""Agencies with NATS post, answer and read at a door of their own: as by HTTP, and as the same."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import nats
import pytest

from runtime.nats_server import free_port
from schemas import subjects
from tests.network import RunningNetwork, running_network
from tests.partners import a_referral
from tests.through_their_own_systems.nats_partner import (
    WARD,
    Given,
    NatsPartner,
    a_credential,
    connected_as,
)

SENDER, HUB = "anshin-motofuji", "hub-motofuji"

Story = Callable[[NatsPartner, NatsPartner], Coroutine[None, None, None]]


@pytest.fixture(scope="module")
def given(network: RunningNetwork) -> Iterator[dict[str, Given]]:
    made = {agency: a_credential(network, agency) for agency in (SENDER, HUB)}
    yield made
    for one in made.values():
        one.revoke()


@pytest.fixture
def play(network: RunningNetwork, given: dict[str, Given]) -> Callable[[Story], None]:
    """With two agencies connected, a sender and its hub."""

    async def playing(story: Story) -> None:
        async with (
            asyncio.timeout(30),
            connected_as(network, SENDER, given[SENDER].password) as sender,
            connected_as(network, HUB, given[HUB].password) as hub,
        ):
            await story(sender, hub)

    return lambda story: asyncio.run(playing(story))


def test_an_agency_posts_and_another_answers_and_both_read_of_it(play: Callable[..., None]) -> None:
    async def story(sender: NatsPartner, hub: NatsPartner) -> None:
        posted = await sender.posts()
        assert posted.status == 201
        (offer,) = posted.body["handoffs"]

        listed = await hub.call("list_referrals", body={"stage": "offered", "limit": 1})
        assert [one["id"] for one in listed.body["items"]] == [posted.body["id"]]
        until = time.monotonic() + 10  # an inbox is written a moment later
        while True:
            seen = await hub.call("read_inbox", body={"after": 0, "limit": 1000})
            if posted.body["id"] in {item["event"]["subject"] for item in seen.body["items"]}:
                break
            assert time.monotonic() < until
            await asyncio.sleep(0.05)

        accepted = await hub.call("accept_handoff", offer["id"], Idempotency_Key=str(uuid.uuid4()))
        assert (accepted.status, accepted.body["custodian"]) == (200, HUB)

        read = await sender.call("read_referral", posted.body["number"])
        assert (read.status, read.body["stage"]) == (200, "in_care")
        history = await sender.call("read_history", posted.body["id"])
        assert history.body["items"][0]["type"] == "tsunagu.referral_submitted.v1"
        directory = await sender.call("read_directory")
        assert HUB in {agency["id"] for agency in directory.body["agencies"]}

    play(story)


def test_the_answers_are_byte_for_byte_those_of_http(
    network: RunningNetwork, play: Callable[..., None]
) -> None:
    by_http = network.partner(SENDER)

    async def story(sender: NatsPartner, _: NatsPartner) -> None:
        posted = await sender.posts()
        ref = posted.body["id"]
        for name, path, body in (
            ("read_referral", f"/v1/referrals/{ref}", None),
            ("read_history", f"/v1/referrals/{ref}/history", None),
            ("read_inbox", "/v1/inbox", {"after": 0, "limit": 2}),
            ("list_referrals", "/v1/referrals", {"limit": 2}),
            ("list_referrals", "/v1/referrals", {"limit": "many"}),
            ("read_inbox", "/v1/inbox", {"after": 9_999_999}),
            ("read_request", "/v1/requests/nothing", None),
            ("list_escalations", "/v1/escalations", None),
            ("read_directory", "/v1/directory", None),
        ):
            page = await asyncio.to_thread(by_http.get, path, **(body or {}))
            ref = path.split("/")[3] if path.count("/") > 2 else ""
            answer = await sender.call(name, ref, body)
            assert (answer.status, answer.raw) == (page.status, page.raw), name
            assert answer.headers["Content-Type"] == page.headers["content-type"].split(";")[0]

    play(story)


def test_the_same_key_by_either_door_is_the_same_request(
    network: RunningNetwork, play: Callable[..., None]
) -> None:
    by_http = network.partner(SENDER)

    async def story(sender: NatsPartner, _: NatsPartner) -> None:
        key, referral = str(uuid.uuid4()), a_referral()
        first = await sender.posts(referral, key)
        again = await asyncio.to_thread(by_http.posts, referral, key)
        assert (again.status, again.raw) == (first.status, first.raw)

        key = str(uuid.uuid4())
        first_http = await asyncio.to_thread(by_http.posts, referral, key)
        other = await sender.posts(referral, key)
        assert (other.status, other.raw) == (first_http.status, first_http.raw)
        changed = await sender.posts(referral.having(summary="別の相談です。"), key)
        assert (changed.status, changed.code) == (409, "idempotency_key_reused")

    play(story)


def test_what_is_wrong_is_told_as_by_http(play: Callable[..., None]) -> None:
    async def story(sender: NatsPartner, _: NatsPartner) -> None:
        async def refused(name: str, ref: str, content: bytes, **headers: str) -> tuple[int, str]:
            answer = await sender.call_with(name, ref, content, **headers)
            assert answer.headers["Content-Type"] == "application/problem+json"
            return answer.status, str(answer.code)

        good = json.dumps(a_referral().body).encode()
        key = str(uuid.uuid4())
        assert await refused("submit_referral", "", good) == (422, "invalid_request")
        assert await refused("submit_referral", "", b"{", Idempotency_Key=key) == (
            422, "invalid_request",
        )  # fmt: skip
        large = b" " * 1_048_577
        assert await refused("submit_referral", "", large, Idempotency_Key=key) == (
            413, "too_large",
        )  # fmt: skip
        assert await refused("read_referral", "131059-2026-999999", b"") == (403, "not_involved")
        assert await refused("rule_district", str(uuid.uuid4()), b"{}") == (
            403, "insufficient_scope",
        )  # fmt: skip
        for name, ref in (("nothing", ""), ("submit_referral", "x"), ("read_referral", ""),
                          ("read_referral", "a.b"), ("*", ""), (">", "")):  # fmt: skip
            assert await refused(name, ref, b"") == (404, "not_found"), (name, ref)
        for query in (b"[]", b'{"limit":true}', b'{"limit":[1]}', b"\xff"):
            assert await refused("list_referrals", "", query) == (422, "invalid_request")

    play(story)


def test_a_decision_that_is_not_awaited_can_be_asked_for(play: Callable[..., None]) -> None:
    async def story(sender: NatsPartner, _: NatsPartner) -> None:
        key = str(uuid.uuid4())
        pending = await sender.call(
            "submit_referral", body=a_referral().body, Idempotency_Key=key, Prefer="respond-async"
        )
        assert pending.status == 202
        assert pending.headers["Retry-After"] == "1"
        request = pending.headers["Location"].rpartition("/")[2]
        until = time.monotonic() + 10
        while (answer := await sender.call("read_request", request)).status == 202:
            assert time.monotonic() < until
            await asyncio.sleep(0.05)
        assert answer.status == 201
        assert (await sender.posts(key=key)).raw == answer.raw

    play(story)


def test_a_request_that_awaits_no_answer_is_carried_out(play: Callable[..., None]) -> None:
    async def story(sender: NatsPartner, _: NatsPartner) -> None:
        key, referral = str(uuid.uuid4()), a_referral()
        subject = subjects.door(WARD, SENDER, "submit_referral")
        body = json.dumps(referral.body).encode()
        before = await sender.call("read_inbox", body={"after": 0, "limit": 1})
        await sender.client.publish(subject, body, headers={"Idempotency-Key": key})
        until = time.monotonic() + 10
        while (await sender.call("read_inbox", body={"after": 0, "limit": 1})).body[
            "head"
        ] == before.body["head"]:
            assert time.monotonic() < until
            await asyncio.sleep(0.05)
        assert (await sender.posts(referral, key)).status == 201

    play(story)


def test_a_credential_for_reading_may_publish_no_call_that_posts(network: RunningNetwork) -> None:
    given = a_credential(network, SENDER, scopes=("read",))

    own = subjects.agency_replies(SENDER, given.credential.id).encode()

    async def story() -> None:
        async with connected_as(network, SENDER, given.password, inbox_prefix=own) as reader:
            await reader.client.subscribe(subjects.carried(WARD, SENDER))  # it may hear events
            assert (await reader.call("read_directory")).status == 200
            assert (await reader.call("read_referral", "131059-2026-999999")).status == 403
            said = await reader.denied(lambda: reader.posts())
            assert "submit_referral" in said

    asyncio.run(story())
    given.revoke()


def test_two_clients_of_one_agency_each_get_their_own_answers(
    network: RunningNetwork, given: dict[str, Given]
) -> None:
    async def story() -> None:
        async with (
            connected_as(network, SENDER, given[SENDER].password) as one,
            connected_as(network, SENDER, given[SENDER].password) as other,
        ):
            posted = await asyncio.gather(*(client.posts() for client in (one, other) * 5))
            assert {answer.status for answer in posted} == {201}
            assert len({answer.body["number"] for answer in posted}) == 10
            assert one.errors == other.errors == []

    asyncio.run(story())


def test_after_intake_was_killed_everything_works_again(
    network: RunningNetwork, play: Callable[..., None]
) -> None:
    async def story(sender: NatsPartner, _: NatsPartner) -> None:
        key = str(uuid.uuid4())
        first = await sender.posts(key=key)
        await asyncio.to_thread(network.kill_and_await_restart, "intake")
        until = time.monotonic() + 10
        while True:
            try:
                again = await sender.posts(key=key)
                break
            except nats.errors.NoRespondersError:  # the door is not open yet
                assert time.monotonic() < until
                await asyncio.sleep(0.05)
        assert (again.status, again.raw) == (first.status, first.raw)

    play(story)
    play(story)  # and whoever comes then is let in


def test_the_address_of_the_nats_server_is_the_one_that_was_set_and_lies_beside_the_url(
    tmp_path: Path,
) -> None:
    port = free_port()
    with running_network(tmp_path, nats_port=port) as network:
        address = (network.home / "nats_url").read_text("ascii").strip()
        assert address == f"nats://127.0.0.1:{port}"
        given = a_credential(network, HUB)

        async def story() -> None:
            async with connected_as(network, HUB, given.password, servers=address) as hub:
                assert (await hub.call("read_directory")).status == 200

        asyncio.run(story())
