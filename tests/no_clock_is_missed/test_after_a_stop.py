"""What runs out while something is down is told as soon as it is up again, the longest overdue first;
and who had answered in time has answered in time."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from schemas import events as e
from schemas.base import NETWORK
from schemas.journal import JournalEntry
from tests.builders import BUNKYO, HOLIDAYS
from tests.network import RunningNetwork, eventually, running_network
from tests.partners import Answer, a_referral
from tests.record import check_everything, journal
from wards.opening import next_opening

pytestmark = pytest.mark.slow

SENDER, HUB = "anshin-motofuji", "hub-motofuji"
SECOND, MINUTE, HOUR, DAY = (
    timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days")
)
QUARTER = 15 * MINUTE  # how long an emergency may go unanswered
OF_CASES = "SELECT count(*) FROM entries WHERE producer = 'referral'"
EMERGENCY = a_referral().having(urgency="emergency")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    """One network a module: each test leaves it whole, and the module's last test checks that."""
    with running_network(tmp_path_factory.mktemp("network"), clock_shift=True) as running:
        yield running


@pytest.fixture(autouse=True)
def _somebody_is_there(network: RunningNetwork) -> None:
    """Begin when the hub has just opened, whenever the test is run."""
    hub = BUNKYO.agency(HUB)
    assert hub is not None
    # A host that was set back is behind the journal.
    now = max([_now(network), *(entry.occurred_at for entry in journal(network)[-1:])])
    opens = next_opening(hub.hours, now + 12 * HOUR, HOLIDAYS)
    network.move_clock(opens + MINUTE - _now(network))
    at_rest(network)


def _now(network: RunningNetwork) -> datetime:
    """The moment that its processes are told."""
    assert network.settings.clock_shift is not None
    seconds = float(network.settings.clock_shift.read_text().split()[0])
    return datetime.now(UTC) + timedelta(seconds=seconds)


def at_rest(network: RunningNetwork) -> None:
    """Whatever an earlier test left running has run out by now, and has struck."""
    first = "SELECT min(due_at) FROM clocks"

    def holds() -> bool:
        due_at = network.rows("referral", first)[0][0]
        return due_at is None or datetime.fromisoformat(due_at) > _now(network)

    eventually(holds, 60, "every clock that ran out to strike")


@pytest.fixture
def _put_right(network: RunningNetwork) -> Iterator[None]:
    """Afterwards the host's clock is no longer behind what the network knows."""
    yield
    with network.down("referral"):
        network.move_clock(DAY)
    network.await_ready()


def emergencies(network: RunningNetwork, count: int) -> list[Answer]:
    sender = network.partner(SENDER)
    sent = [sender.posts(EMERGENCY) for _ in range(count)]
    assert {answer.status for answer in sent} == {201}
    return sent


def struck(network: RunningNetwork, sent: list[Answer]) -> list[JournalEntry]:
    """The hand-offs of these that ran out, in the order of the journal."""
    ids = {answer.id for answer in sent}
    return [
        entry
        for entry in journal(network)
        if str(entry.referral) in ids and isinstance(entry.event, e.HandoffExpired)
    ]


def missed(entry: JournalEntry) -> datetime:
    assert isinstance(entry.event, e.HandoffExpired | e.EscalationPassedOn | e.EscalationRaised)
    assert entry.event.overdue_since is not None
    return entry.event.overdue_since


def due(answer: Answer) -> datetime:
    """When the hub's answer was due, as the partner was told."""
    return datetime.fromisoformat(answer.body["handoffs"][0]["due_at"])


def all_struck(network: RunningNetwork, sent: list[Answer], seconds: float = 30) -> None:
    def holds() -> bool:
        query = "SELECT count(*) FROM clocks WHERE subject = :subject"
        handoffs = [answer.body["handoffs"][0]["id"] for answer in sent]
        return not any(network.rows("referral", query, subject=x)[0][0] for x in handoffs)

    eventually(holds, seconds, "every clock that ran out to strike")
    assert sorted(str(x.referral) for x in struck(network, sent)) == sorted(x.id for x in sent)


# -- the deciding service -----------------------------------------------------------------------------


def test_what_runs_out_while_nobody_decides_is_told_at_once_the_longest_overdue_first(
    network: RunningNetwork,
) -> None:
    sent: list[Answer] = []
    for _ in range(4):
        sent += emergencies(network, 2)
        network.move_clock(MINUTE)
    called = network.partner(SENDER).escalates(sent[0].id, "E01")
    assert called.status == 201
    with network.down("referral"):
        network.move_clock(DAY)
        up_from = _now(network)
        time.sleep(0.5)
    all_struck(network, sent)
    entries = journal(network)
    expired = struck(network, sent)
    assert [missed(entry) for entry in expired] == sorted(map(due, sent))
    assert all(entry.occurred_at >= up_from > missed(entry) + 23 * HOUR for entry in expired)
    # At once: in one go, and no minute after the start.
    assert expired[-1].occurred_at - expired[0].occurred_at < 2 * SECOND
    assert expired[-1].occurred_at - up_from < MINUTE
    # Each is followed by its call to the core centre, which tells the same: since when.
    for entry in expired:
        _, raised = (x for x in entries if x.command == entry.command)
        assert isinstance(raised.event, e.EscalationRaised)
        assert (raised.event.code, missed(raised)) == ("E08", missed(entry))
        assert raised.occurred_at == entry.occurred_at
    # The call that somebody had made by hand was passed on, in its place among them.
    passed = [x for x in entries if isinstance(x.event, e.EscalationPassedOn)]
    (passed_on,) = [x for x in passed if str(x.referral) == sent[0].id]
    its_place = [
        missed(x) for x in entries if x.number in {y.number for y in (*expired, passed_on)}
    ]
    assert its_place == sorted(its_place)
    latest = network.figure("referral", "clocks_latest_seconds")
    assert 23 * 3600 < latest < 25 * 3600


def test_an_acceptance_posted_in_time_while_nobody_decided_counts(network: RunningNetwork) -> None:
    sent = emergencies(network, 12)
    answered, silent = sent[::2], sent[1::2]
    hub = network.partner(HUB)
    with network.down("referral"):
        for answer in answered:
            path = f"/v1/handoffs/{answer.handoff(HUB)}/accept"
            assert hub.post(path, {}, prefer="respond-async").status == 202
        network.move_clock(DAY)
    all_struck(network, silent)
    assert struck(network, answered) == []
    for answer in answered:
        assert hub.reads(answer.id).body["custodian"] == HUB
    for answer in silent:
        assert hub.reads(answer.id).body["custodian"] == SENDER


def test_an_acceptance_that_a_dying_process_had_taken_counts(network: RunningNetwork) -> None:
    (answered, silent) = emergencies(network, 2)
    hub = network.partner(HUB)
    with network.no_room_on_disk("referral"):
        # It is taken from the stream and cannot be written, again and again.
        path = f"/v1/handoffs/{answered.handoff(HUB)}/accept"
        assert hub.post(path, {}, prefer="respond-async").status == 202
        time.sleep(1)
        with network.down("referral"):
            network.move_clock(HOUR)
    all_struck(network, [silent])
    assert struck(network, [answered]) == []
    assert hub.reads(answered.id).body["custodian"] == HUB


def test_an_acceptance_that_came_in_time_while_the_disk_was_full_counts(
    network: RunningNetwork,
) -> None:
    (answered, silent) = emergencies(network, 2)
    hub = network.partner(HUB)
    process = network.pid("referral")
    with network.no_room_on_disk("referral"):
        path = f"/v1/handoffs/{answered.handoff(HUB)}/accept"
        assert hub.post(path, {}, prefer="respond-async").status == 202
        time.sleep(1)
        network.move_clock(HOUR)
        time.sleep(1)
    all_struck(network, [silent])
    assert network.pid("referral") == process
    assert struck(network, [answered]) == []
    assert hub.reads(answered.id).body["custodian"] == HUB


# -- the host's clock ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("_put_right")
def test_set_back_while_they_run_clocks_strike_when_as_much_time_has_passed(
    network: RunningNetwork,
) -> None:
    sent = emergencies(network, 2)
    network.move_clock(-3 * HOUR)
    time.sleep(0.5)
    network.move_clock(14 * MINUTE)
    time.sleep(1)
    assert struck(network, sent) == []
    network.move_clock(MINUTE)
    all_struck(network, sent, 5)
    for entry in struck(network, sent):
        assert timedelta(0) <= entry.occurred_at - missed(entry) < 30 * SECOND


@pytest.mark.usefixtures("_put_right")
def test_set_back_across_a_restart_clocks_strike_when_as_much_time_has_passed(
    network: RunningNetwork,
) -> None:
    sent = emergencies(network, 2)
    with network.down("referral"):
        network.move_clock(-3 * HOUR)
    network.await_ready()
    network.move_clock(14 * MINUTE)
    time.sleep(1)
    assert struck(network, sent) == []
    network.move_clock(MINUTE)
    all_struck(network, sent, 5)
    for entry in struck(network, sent):
        assert timedelta(0) <= entry.occurred_at - missed(entry) < 30 * SECOND


# -- the broker ---------------------------------------------------------------------------------------


def test_without_the_broker_clocks_strike_all_the_same_and_reach_the_ledger_afterwards(
    network: RunningNetwork,
) -> None:
    sent = emergencies(network, 3)
    network.settle()
    recorded = network.rows("audit", OF_CASES)[0][0]
    process = network.pid("referral")
    with network.down("nats-server"):
        network.move_clock(QUARTER)
        all_struck(network, sent, 10)
        for entry in struck(network, sent):
            assert entry.occurred_at - missed(entry) < 10 * SECOND
        assert network.rows("audit", OF_CASES)[0][0] == recorded
        # And those that the first ones made.
        network.move_clock(QUARTER)
        calls = {x.command for x in journal(network) if x.actor == NETWORK}
        eventually(
            lambda: {x.command for x in journal(network) if x.actor == NETWORK} > calls,
            10,
            "passed on",
        )
    network.await_ready()
    assert network.pid("referral") == process
    assert network.settle() == len(journal(network)) > recorded
    listed = network.partner("core").escalations().body["items"]
    assert {answer.id for answer in sent} <= {item["referral"] for item in listed}


def test_killed_again_and_again_while_many_strike_each_strikes_once(
    network: RunningNetwork,
) -> None:
    partners = [network.new_partner(SENDER) for _ in range(8)]
    try:
        with ThreadPoolExecutor(len(partners)) as pool:
            sent = list(pool.map(lambda n: partners[n % 8].posts(EMERGENCY), range(600)))
    finally:
        for partner in partners:
            partner.close()
    sent = [answer for answer in sent if answer.status == 201]
    assert len(sent) > 550
    done = "SELECT count(*) FROM journal WHERE type = 'handoff_expired'"
    before = network.rows("referral", done)[0][0]
    in_the_middle = 0
    with network.down("referral"):
        network.move_clock(HOUR)
    for _ in range(10):
        seen = network.rows("referral", done)[0][0]
        eventually(
            lambda seen=seen: network.rows("referral", done)[0][0] > seen, 30, "some", every=0.002
        )
        network.kill("referral")
        count = network.rows("referral", done)[0][0] - before
        if count >= len(sent):
            break
        in_the_middle += 1
    assert in_the_middle >= 1
    all_struck(network, sent, 60)
    assert [missed(x) for x in struck(network, sent)] == sorted(map(due, sent))
    network.await_ready()


def test_afterwards_the_whole_record_is_right(network: RunningNetwork) -> None:
    assert check_everything(network)["referrals"] > 550
