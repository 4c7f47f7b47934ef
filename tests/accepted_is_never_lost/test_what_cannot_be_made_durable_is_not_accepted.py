"""503 with Retry-After, and nothing happened; the same key works once there is room again."""

import asyncio
import uuid

import nats
import pytest
from nats.js.api import StreamConfig

from schemas import subjects
from tests.network import RunningNetwork, eventually
from tests.partners import Answer, a_referral
from tests.record import check_everything

SENDER = "anshin-motofuji"


def is_unavailable(answer: Answer) -> bool:
    return (
        answer.status == 503
        and answer.code == "unavailable"
        and int(answer.headers["retry-after"]) > 0
    )


def accepted_once(network: RunningNetwork, key: str) -> None:
    """The same key and body, sent again until they are taken, made one referral."""
    sender = network.partner(SENDER)
    answers: list[Answer] = []

    def taken() -> bool:
        answers.append(sender.posts(a_referral(), key=key))
        return answers[-1].status == 201

    eventually(taken, 15, "the same key taken", every=0.2)
    assert sender.posts(a_referral(), key=key).raw == answers[-1].raw
    entries = network.rows(
        "referral", "SELECT type FROM journal WHERE thread=:id", id=answers[-1].id
    )
    assert [row.type for row in entries].count("referral_submitted") == 1


@pytest.mark.parametrize("how", ["frozen", "down"])
def test_without_a_broker_nothing_is_accepted(network: RunningNetwork, how: str) -> None:
    key, before = str(uuid.uuid4()), network.journal_head()
    sender = network.partner(SENDER)
    with getattr(network, how)("nats-server"):
        assert is_unavailable(sender.posts(a_referral(), key=key))
        assert is_unavailable(sender.get("/readyz"))
        assert sender.get("/healthz").status == 200
        assert sender.get("/v1/directory").status == 200
        if how == "down":
            assert is_unavailable(sender.lists())
            assert network.journal_head() == before
    network.await_ready()
    accepted_once(network, key)


def test_a_full_command_stream_accepts_nothing(network: RunningNetwork) -> None:
    async def limit(most: int) -> None:
        client = await nats.connect(**network.nats())
        jetstream = client.jetstream()
        stream = (await jetstream.stream_info(subjects.COMMANDS_STREAM)).config
        await jetstream.update_stream(StreamConfig(**{**stream.__dict__, "max_bytes": most}))
        await client.close()

    key, before = str(uuid.uuid4()), network.journal_head()
    sender = network.partner(SENDER)
    asyncio.run(limit(64))
    try:
        assert is_unavailable(sender.posts(a_referral(), key=key))
        assert is_unavailable(sender.posts(a_referral(), key=key, prefer="respond-async"))
        assert is_unavailable(sender.get("/readyz"))
    finally:
        asyncio.run(limit(2 * 1024**3))
    assert network.journal_head() == before
    accepted_once(network, key)


def test_without_room_for_a_persons_key_nothing_is_accepted(network: RunningNetwork) -> None:
    sender, key = network.partner(SENDER), str(uuid.uuid4())
    open_case = sender.posts(a_referral())
    before = network.journal_head()
    keys = len(network.rows("keys", "SELECT 1 FROM data_keys"))
    with network.no_room_on_disk("intake"):
        assert is_unavailable(sender.posts(a_referral(), key=key))
        assert is_unavailable(sender.get("/readyz"))
        # What is there can be read, and what needs no new key goes on.
        assert sender.reads(open_case.id).body["opened"] is True
        assert sender.cancels(open_case.id).status == 200
    assert network.journal_head() == before + 2
    assert len(network.rows("keys", "SELECT 1 FROM data_keys")) == keys
    network.await_ready()
    accepted_once(network, key)


def test_afterwards_the_whole_record_is_right(network: RunningNetwork) -> None:
    assert check_everything(network)["referrals"] >= 5
