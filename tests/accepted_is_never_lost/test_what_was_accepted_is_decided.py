"""202 is a promise: whatever dies meanwhile, it is decided, once."""

import shutil
import time
import uuid
from pathlib import Path

import httpx
import pytest

from tests.network import EVERYTHING, RunningNetwork, eventually, running_network
from tests.partners import Answer, a_referral
from tests.record import check_everything

SENDER = "anshin-motofuji"


def decided(network: RunningNetwork, pending: Answer) -> Answer:
    """Look where the 202 said until the answer is there."""
    assert pending.status == 202
    place = pending.headers["location"]
    answers: list[Answer] = []

    def there() -> bool:
        answers.append(network.partner(SENDER).get(place))
        return answers[-1].status not in (202, 503)

    eventually(there, 20, "decided")
    return answers[-1]


def test_what_is_posted_while_nobody_decides_is_decided_later(network: RunningNetwork) -> None:
    sender, key = network.partner(SENDER), str(uuid.uuid4())
    with network.down("referral"):
        began = time.monotonic()
        pending = sender.posts(a_referral(), key=key)
        assert 1.5 < time.monotonic() - began < 4
        again = sender.posts(a_referral(), key=key, prefer="respond-async")
        assert (pending.status, again.status) == (202, 202)
        assert again.headers["location"] == pending.headers["location"]
    answer = decided(network, pending)
    assert answer.status == 201
    assert sender.posts(a_referral(), key=key).raw == answer.raw


def test_what_is_posted_while_the_deciding_service_is_frozen_is_decided_once(
    network: RunningNetwork,
) -> None:
    sender = network.partner(SENDER)
    with network.frozen("referral"):
        pending = [sender.posts(a_referral(), prefer="respond-async") for _ in range(20)]
    numbers = [decided(network, answer).number for answer in pending]
    assert len(set(numbers)) == 20
    assert numbers == sorted(numbers)


def test_what_is_posted_while_its_disk_is_full_is_decided_when_there_is_room(
    network: RunningNetwork,
) -> None:
    sender = network.partner(SENDER)
    known = sender.posts(a_referral())
    before, process = network.journal_head(), network.pid("referral")
    with network.no_room_on_disk("referral"):
        pending = [sender.posts(a_referral()), sender.posts(a_referral(), prefer="respond-async")]
        assert network.journal_head() == before
        # It goes on and can be asked.
        assert sender.reads(known.id).status == 200
    for answer in pending:
        assert decided(network, answer).status == 201
    assert network.journal_head() == before + 6
    assert network.pid("referral") == process


def test_an_answer_is_the_same_bytes_after_the_deciding_service_was_killed(
    network: RunningNetwork,
) -> None:
    sender, key = network.partner(SENDER), str(uuid.uuid4())
    first = sender.posts(a_referral(), key=key)
    network.kill_and_await_restart("referral")
    assert (sender.posts(a_referral(), key=key).raw, first.status) == (first.raw, 201)
    other = sender.posts(a_referral().having(summary="別の人"), key=key)
    assert other.code == "idempotency_key_reused"


@pytest.mark.parametrize("name", EVERYTHING)
def test_any_process_may_be_killed_between_two_steps_of_a_case(
    network: RunningNetwork, name: str
) -> None:
    sender, hub = network.partner(SENDER), network.partner("hub-motofuji")
    sent = sender.posts(a_referral())
    network.kill(name)
    key = str(uuid.uuid4())

    def accepted() -> bool:
        try:
            answer = hub.accepts(sent.handoff(), key=key, text="受けます")
        except httpx.TransportError:
            return False  # intake is gone; the same key will do
        return answer.status == 200

    eventually(accepted, 20, "accepted")
    network.await_ready()
    assert hub.reads(sent.id).body["custodian"] == "hub-motofuji"
    assert [i["type"] for i in hub.history(sent.id).body["items"]].count(
        "tsunagu.handoff_accepted.v1"
    ) == 1


def test_afterwards_the_whole_record_is_right(network: RunningNetwork) -> None:
    assert check_everything(network)["referrals"] >= 25


def test_losing_all_of_jetstream_loses_nothing_that_was_decided(tmp_path: Path) -> None:
    with running_network(tmp_path) as network:
        sender, hub = network.partner(SENDER), network.partner("hub-motofuji")
        for _ in range(5):
            sent = sender.posts(a_referral())
        network.settle()
        with network.down("audit", "delivery"):
            for _ in range(5):
                sent = sender.posts(a_referral())
                hub.accepts(sent.handoff())
            decided_so_far = network.journal_head()
            network.stop()
        shutil.rmtree(tmp_path / "jetstream")
        network.start()
        assert network.settle() >= decided_so_far
        sender, hub = network.partner(SENDER), network.partner("hub-motofuji")
        assert hub.reads(sent.id).body["custodian"] == "hub-motofuji"
        assert len(sender.whole_inbox()) > 0
        check_everything(network)
        assert sender.posts(a_referral()).status == 201
        check_everything(network)
