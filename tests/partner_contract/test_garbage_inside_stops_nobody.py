"""Whoever has the network's own credentials may still make mistakes: what cannot be understood is
set aside with its reason and counted, and service goes on."""

import asyncio
import json
import uuid
from collections.abc import Iterator

import nats
import pytest

from schemas import subjects
from schemas.base import JsonObject
from tests.network import EVERYTHING, RunningNetwork, eventually, running_network
from tests.partners import a_referral
from tests.record import check_everything

WARD = "131059"
GARBAGE = [
    b"", b" ", b"\x00", b"\xff\xfe", b"null", b"[]", b"{}", b"7", b'"x"', b"{", b"NaN",
    b"[" * 20_000, b"[" * 300 + b"]" * 300, b'{"a":' * 5_000, b"7" * 6_000, b'{"x":"\\ud800"}',
    b'{"type":"submit_referral"}', b"\xef\xbb\xbf{}", b"x" * 900_000,
]  # fmt: skip
QUESTIONS = {
    "referral": (
        "read", "history", "list", "answer", "locate", "status", "journal_head", "journal_again",
    ),
    "delivery": ("inbox", "status"),
    "audit": ("status",),
}  # fmt: skip
COMMAND: JsonObject = {
    "v": 1, "id": str(uuid.uuid4()), "ward": WARD, "agency": "core",
    "issued_at": "2026-11-20T10:00:00Z", "fingerprint": "0" * 64,
    "action": {"type": "add_note", "referral": f"{WARD}-2026-000001"},
}  # fmt: skip
ALMOST_COMMANDS = [
    {**COMMAND, "ward": "131199"},
    {**COMMAND, "v": 2},
    {**COMMAND, "id": "7"},
    {**COMMAND, "agency": "Robert'); --"},
    {**COMMAND, "fingerprint": "short"},
    {**COMMAND, "issued_at": "2026-11-20T10:00:00"},
    {**COMMAND, "action": {"type": "delete_everything"}},
    {**COMMAND, "action": {"type": "add_note", "referral": {"$ne": None}}},
    {**COMMAND, "action": None},
]
ENTRY: JsonObject = {
    "v": 1, "ward": WARD, "producer": "referral", "number": 1, "id": str(uuid.uuid4()),
    "referral": str(uuid.uuid4()), "version": 1, "occurred_at": "2026-11-20T10:00:00Z",
    "actor": "core", "command": str(uuid.uuid4()), "concerns": ["core"],
    "event": {"type": "note_added", "note": str(uuid.uuid4()), "by": "core", "sealed": []},
}  # fmt: skip
ALMOST_ENTRIES = [
    {**ENTRY, "ward": "131199"},
    {**ENTRY, "producer": "nobody"},
    {**ENTRY, "number": 0},
    {**ENTRY, "number": "many"},
    {**ENTRY, "concerns": None},
    {**ENTRY, "occurred_at": "yesterday"},
    {**ENTRY, "event": {"type": "nothing_happened"}},
    {k: v for k, v in ENTRY.items() if k != "version"},
]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    with running_network(tmp_path_factory.mktemp("network")) as running:
        running.partner("anshin-motofuji").posts(a_referral())
        running.settle()
        yield running


def put_on_streams(network: RunningNetwork, subject: str, bodies: list[bytes]) -> None:
    async def put() -> None:
        client = await nats.connect(**network.nats())
        for body in bodies:
            await client.jetstream().publish(subject, body)
        await client.close()

    asyncio.run(put())


def dead_letters(network: RunningNetwork, service: str) -> float:
    return network.figure(service, "dead_letters")


def written(bodies: list[JsonObject]) -> list[bytes]:
    return [json.dumps(body).encode() for body in bodies]


def still_at_work(network: RunningNetwork, pids: dict[str, int]) -> None:
    sent = network.partner("anshin-motofuji").posts(a_referral())
    assert sent.status == 201
    network.settle()
    assert {name: network.pid(name) for name in EVERYTHING} == pids, "a process died"
    network.await_ready()


@pytest.fixture
def pids(network: RunningNetwork) -> dict[str, int]:
    return {name: network.pid(name) for name in EVERYTHING}


@pytest.mark.parametrize("action", ["submit_referral", "add_note", "nothing", "a.b.c"])
def test_garbage_among_commands_is_set_aside_and_counted(
    network: RunningNetwork, pids: dict[str, int], action: str
) -> None:
    bodies = GARBAGE + written(ALMOST_COMMANDS)
    before = dead_letters(network, "referral")
    put_on_streams(network, subjects.command(WARD, action), bodies)
    eventually(
        lambda: dead_letters(network, "referral") == before + len(bodies), 15, "all set aside"
    )
    still_at_work(network, pids)


def test_garbage_among_journals_is_set_aside_and_counted_by_every_reader(
    network: RunningNetwork, pids: dict[str, int]
) -> None:
    bodies = GARBAGE + written(ALMOST_ENTRIES)
    before = {service: dead_letters(network, service) for service in ("audit", "delivery")}
    put_on_streams(network, subjects.journal(WARD, "referral", "note_added"), bodies)
    for service, count in before.items():
        eventually(
            lambda s=service, c=count: dead_letters(network, s) == c + len(bodies),
            15,
            f"all set aside by {service}",
        )
    still_at_work(network, pids)


def test_an_entry_of_the_far_future_does_not_stop_the_readers(
    network: RunningNetwork, pids: dict[str, int]
) -> None:
    ahead = {**ENTRY, "number": network.journal_head() + 5_000, "id": str(uuid.uuid4())}
    put_on_streams(network, subjects.journal(WARD, "referral", "note_added"), written([ahead]))
    still_at_work(network, pids)


@pytest.mark.parametrize("service", QUESTIONS)
def test_a_question_nobody_understands_gets_an_empty_answer(
    network: RunningNetwork, pids: dict[str, int], service: str
) -> None:
    async def ask() -> list[bytes]:
        client = await nats.connect(**network.nats())
        replies = []
        for question in QUESTIONS[service]:
            for body in GARBAGE:
                subject = subjects.query(WARD, service, question)
                replies.append((await client.request(subject, body, timeout=5)).data)
        await client.close()
        return replies

    replies = asyncio.run(ask())
    for reply in replies:
        assert isinstance(json.loads(reply), dict)
    assert replies.count(b"{}") > len(replies) // 2
    still_at_work(network, pids)


def test_what_was_set_aside_is_kept_with_its_reason_and_the_record_is_right(
    network: RunningNetwork,
) -> None:
    for service in ("referral", "audit", "delivery"):
        rows = network.rows(service, "SELECT reason, size, body FROM dead_letters")
        assert all(row.reason for row in rows)
        assert max(row.size for row in rows) == 900_000
        assert all(len(row.body) <= 65_536 for row in rows)
    check_everything(network)
