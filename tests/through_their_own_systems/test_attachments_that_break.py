"""What breaks while a file comes in, lies there, or goes out. A network of their own: these tests kill
it, change what it has stored, and destroy a key."""

import concurrent.futures
import contextlib
import re
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.network import RunningNetwork, eventually, running_network, verified
from tests.partners import Partner, a_referral
from tests.through_their_own_systems.files import (
    LIMIT,
    MIB,
    attach,
    attached,
    code,
    fetch,
    given,
    nothing_left,
    parts,
    pdf,
    stored,
)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    with running_network(tmp_path_factory.mktemp("network")) as running:
        yield running


@pytest.fixture
def sender(network: RunningNetwork) -> Partner:
    return network.partner("anshin-motofuji")


@pytest.fixture
def sent(sender: Partner) -> str:
    return sender.posts(a_referral()).id


@contextlib.contextmanager
def half_sent(
    network: RunningNetwork, sender: Partner, ref: str, size: int
) -> Iterator[socket.socket]:
    """A connection on which ``size`` bytes of a file of 20 MiB have been sent, and no more come."""
    address = urlsplit(network.url)
    assert address.hostname
    assert address.port
    head = (
        f"POST /v1/referrals/{ref}/attachments HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {sender.key}\r\nIdempotency-Key: {uuid.uuid4()}\r\n"
        f"Content-Type: application/pdf\r\nContent-Length: {LIMIT}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(head.encode() + pdf(LIMIT)[:size])
        yield connection


def path_of(network: RunningNetwork, hashed: str) -> Path:
    return network.home / "attachments/kept" / hashed[:2] / hashed


# -- coming in --------------------------------------------------------------------------------------


def test_of_a_file_whose_connection_is_lost_in_the_middle_nothing_stays(
    network: RunningNetwork, sender: Partner, sent: str
) -> None:
    before = stored(network)
    with half_sent(network, sender, sent, 5 * MIB):
        eventually(lambda: len(parts(network)) == 1, 10, "it is coming in")
        time.sleep(0.2)
    nothing_left(network, before)
    assert not sender.reads(sent).body.get("attachments")
    attached(sender, sent, pdf())  # and nothing is the worse for it


def test_of_a_file_that_was_coming_in_when_intake_was_killed_nothing_stays(
    network: RunningNetwork, sender: Partner, sent: str
) -> None:
    kept = attached(sender, sent, pdf(5000))
    before = stored(network)
    with half_sent(network, sender, sent, 5 * MIB):
        eventually(lambda: len(parts(network)) == 1, 10, "it is coming in")
        network.kill("intake")
    nothing_left(network, before)
    network.await_posts()
    again = network.new_partner("anshin-motofuji")
    assert [item["id"] for item in again.reads(sent).body["attachments"]] == [kept]
    assert fetch(again, kept).content == pdf(5000)
    again.close()


def test_what_was_taken_is_there_after_everything_was_killed(
    network: RunningNetwork, sent: str
) -> None:
    partner = network.new_partner("anshin-motofuji")
    content = pdf(3 * MIB)
    attachment = attached(partner, sent, content)
    for name in ("intake", "referral", "nats-server"):
        network.kill(name)
    network.await_ready()
    partner.close()
    partner = network.new_partner("anshin-motofuji")
    assert fetch(partner, attachment).content == content
    partner.close()


def test_what_was_stored_and_refused_later_is_swept(
    network: RunningNetwork, sender: Partner, sent: str
) -> None:
    """It is refused after it was answered 202: the bytes go with the refusal."""
    partner = network.new_partner("hub-motofuji")  # only asked: it may not attach
    before = stored(network)
    with network.frozen("referral"):
        # The question before the upload is answered by nobody: nothing is taken, nothing stored.
        assert attach(partner, sent, pdf()).status_code == 503
    assert stored(network) == before
    answer = attach(partner, sent, pdf(), Prefer="respond-async")
    assert answer.status_code == 202
    eventually(lambda: len(stored(network)) == len(before) + 1, 5, "stored, not decided for us")
    # Looked up by the sweep, which a new intake does first.
    _age(network, 60)
    network.kill_and_await_restart("intake")
    nothing_left(network, before)
    partner.close()


def test_a_202_is_settled_by_what_was_decided(network: RunningNetwork, sent: str) -> None:
    partner = network.new_partner("anshin-motofuji")
    answer = attach(partner, sent, pdf(4321), Prefer="respond-async")
    assert answer.status_code == 202
    eventually(lambda: partner.reads(sent).body.get("attachments"), 10, "decided")
    _age(network, 60)
    network.kill_and_await_restart("intake")
    partner.close()
    partner = network.new_partner("anshin-motofuji")
    (item,) = partner.reads(sent).body["attachments"]
    eventually(lambda: _state(network, item["ciphertext_sha256"]) == "settled", 10, "settled")
    assert fetch(partner, item["id"]).content == pdf(4321)
    partner.close()


def test_bytes_for_which_no_command_was_sent_go_when_they_are_old_enough(
    network: RunningNetwork, sent: str
) -> None:
    """As a process leaves them that is killed between storing them and asking for their record."""
    partner = network.new_partner("anshin-motofuji")
    before = stored(network)
    hashed = uuid.uuid4().hex * 2
    path = path_of(network, hashed)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"sealed")
    with sqlite3.connect(network.home / "data/keys.db", timeout=10) as database:
        database.execute(
            "INSERT INTO attachments VALUES (?,?,?,'anshin-motofuji',?,'kept','unscanned',"
            "strftime('%Y-%m-%dT%H:%M:%f000Z'))",
            (hashed, str(uuid.uuid4()), sent, str(uuid.uuid4())),
        )
    database.close()
    _age(network, 660)
    network.kill_and_await_restart("intake")
    eventually(lambda: not path.exists(), 10, "swept")
    assert stored(network) == before
    partner.close()


def _age(network: RunningNetwork, seconds: int) -> None:
    """What is noted as stored just now was stored a while ago."""
    with sqlite3.connect(network.home / "data/keys.db", timeout=10) as database:
        database.execute(
            "UPDATE attachments SET kept_at = strftime('%Y-%m-%dT%H:%M:%f000Z', kept_at, ?)",
            (f"-{seconds} seconds",),
        )
    database.close()


def _state(network: RunningNetwork, hashed: str) -> str:
    rows = network.rows(
        "keys", "SELECT state FROM attachments WHERE ciphertext_sha256=:h", h=hashed
    )
    return str(rows[0][0])


def test_a_full_disk_is_said_and_nothing_is_left(network: RunningNetwork, sent: str) -> None:
    partner = network.new_partner("anshin-motofuji")
    before = stored(network)
    with network.no_room_on_disk("intake"):
        answer = attach(partner, sent, pdf(MIB))
        assert (answer.status_code, code(answer)) == (503, "unavailable")
        assert answer.headers["Retry-After"]
    nothing_left(network, before)
    attached(partner, sent, pdf(MIB))
    partner.close()


def test_only_so_many_files_of_one_agency_come_in_at_once_and_its_other_calls_go_on(
    network: RunningNetwork, sent: str
) -> None:
    partner = network.new_partner("anshin-motofuji")
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(half_sent(network, partner, sent, MIB))
        eventually(lambda: len(parts(network)) == 8, 10, "eight coming in")
        answer = attach(partner, sent, pdf())
        assert (answer.status_code, code(answer)) == (429, "rate_limited")
        assert partner.reads(sent).status == 200
        hub = network.new_partner("core")
        attached(hub, sent, pdf())
        hub.close()
    eventually(lambda: not parts(network), 10, "all given up")
    attached(partner, sent, pdf())
    partner.close()


def test_a_refused_file_that_is_still_coming_takes_no_other_ones_place(
    network: RunningNetwork, sent: str
) -> None:
    partner = network.new_partner("anshin-motofuji")
    with contextlib.ExitStack() as refused, contextlib.ExitStack() as taken:
        for _ in range(8):
            taken.enter_context(half_sent(network, partner, sent, MIB))
        eventually(lambda: len(parts(network)) == 8, 10, "eight coming in")
        for _ in range(3):
            refused.enter_context(half_sent(network, partner, sent, MIB))
        assert attach(partner, sent, pdf()).status_code == 429
        taken.close()
        eventually(lambda: not parts(network), 10, "the eight given up")
        for _ in range(8):
            taken.enter_context(half_sent(network, partner, sent, MIB))
        eventually(lambda: len(parts(network)) == 8, 10, "and eight others coming in")
    eventually(lambda: not parts(network), 10, "all given up")
    partner.close()


@contextlib.contextmanager
def half_read(network: RunningNetwork, reader: Partner, attachment: str) -> Iterator[socket.socket]:
    """A connection on which a file begins to come, and nobody reads on."""
    address = urlsplit(network.url)
    assert address.hostname
    assert address.port
    head = (
        f"GET /v1/attachments/{attachment} HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {reader.key}\r\n\r\n"
    )
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(10)
        connection.connect((address.hostname, address.port))
        connection.sendall(head.encode())
        assert connection.recv(12) == b"HTTP/1.1 200"
        yield connection


def test_only_so_many_files_go_out_to_one_agency_at_once_and_others_notice_nothing(
    network: RunningNetwork, sent: str
) -> None:
    partner = network.new_partner("anshin-motofuji")
    attachment = attached(partner, sent, pdf(LIMIT))
    with contextlib.ExitStack() as reading:
        for _ in range(8):
            reading.enter_context(half_read(network, partner, attachment))
        answer = fetch(partner, attachment)
        assert (answer.status_code, code(answer)) == (429, "rate_limited")
        assert answer.headers["Retry-After"] == "1"
        assert partner.reads(sent).status == 200
        assert fetch(network.partner("core"), attachment).status_code == 200
    eventually(lambda: fetch(partner, attachment).status_code == 200, 10, "all given back")
    for _ in range(10):
        assert fetch(partner, str(uuid.uuid4())).status_code == 403
    assert fetch(partner, attachment).content == pdf(LIMIT)
    partner.close()


def resident(pid: int, what: str = "VmRSS") -> float:
    """MiB."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    found = re.search(rf"{what}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def test_memory_stays_bounded_while_large_files_come_and_go(
    network: RunningNetwork, sent: str
) -> None:
    """Five of 20 MiB at the same time, in and out: less is held than one of them."""
    partner = network.new_partner("anshin-motofuji")
    attached(partner, sent, pdf(MIB))
    pid, most = network.pid("intake"), [0.0]
    before, over = resident(pid), threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            most[0] = max(most[0], resident(pid))

    watching = threading.Thread(target=watch)
    watching.start()
    content = pdf(LIMIT)
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        began = time.perf_counter()
        ids = list(pool.map(lambda _: attached(partner, sent, content), range(5)))
        came = time.perf_counter() - began
        got = list(pool.map(lambda i: fetch(partner, i).content == content, ids))
        went = time.perf_counter() - began - came
    over.set()
    watching.join()
    grown = most[0] - before
    print(f"\n5 x 20 MiB: in {came:.2f} s, out {went:.2f} s; intake grew by {grown:.1f} MiB")
    assert all(got)
    assert grown < 20
    partner.close()


def test_whoever_asks_first_sends_nothing_of_a_file_that_is_refused(
    network: RunningNetwork, sent: str
) -> None:
    """As curl does with every large file (``Expect: 100-continue``)."""
    address = urlsplit(network.url)
    assert address.hostname
    assert address.port
    for key, kind, status in (
        (network.partner("anshin-motofuji").key, "text/html", b"415"),
        (network.partner("sample-home").key, "application/pdf", b"403"),
        (network.partner("anshin-motofuji").key, "application/pdf", b"100"),
    ):
        head = (
            f"POST /v1/referrals/{sent}/attachments HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {key}\r\nIdempotency-Key: {uuid.uuid4()}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {LIMIT}\r\nExpect: 100-continue\r\n\r\n"
        )
        with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
            connection.sendall(head.encode())
            assert connection.recv(12) == b"HTTP/1.1 " + status


# -- lying there, going out -------------------------------------------------------------------------


@pytest.mark.parametrize("where", [0, 60, 100_000, -1], ids=["start", "header", "middle", "end"])
def test_a_file_with_one_changed_bit_is_not_handed_out(
    network: RunningNetwork, sent: str, where: int
) -> None:
    partner = network.new_partner("anshin-motofuji")
    attachment = attached(partner, sent, pdf(200_000))
    path = path_of(network, given(partner, sent, attachment)["ciphertext_sha256"])
    bytes_stored = bytearray(path.read_bytes())
    bytes_stored[where] ^= 1
    path.write_bytes(bytes_stored)
    answer = fetch(partner, attachment)
    assert (answer.status_code, code(answer)) == (500, "attachment_damaged")
    assert "attachment_damaged" in network.logs()
    assert attachment in network.logs()
    partner.close()


def test_a_file_that_is_gone_shortened_or_another_one_is_not_handed_out(
    network: RunningNetwork, sent: str
) -> None:
    partner = network.new_partner("anshin-motofuji")
    first, second = (attached(partner, sent, pdf(n)) for n in (200_000, 200_001))
    one, other = (
        path_of(network, given(partner, sent, x)["ciphertext_sha256"]) for x in (first, second)
    )
    genuine = one.read_bytes()
    for wrong in (genuine[:100_000], b"", other.read_bytes()):
        one.write_bytes(wrong)
        assert code(fetch(partner, first)) == "attachment_damaged"
    one.unlink()
    assert code(fetch(partner, first)) == "attachment_damaged"
    one.write_bytes(genuine)
    assert fetch(partner, first).content == pdf(200_000)
    partner.close()


def test_once_the_persons_key_is_destroyed_no_file_is_read_or_taken_any_more(
    network: RunningNetwork, sent: str
) -> None:
    partner = network.new_partner("anshin-motofuji")
    attachment = attached(partner, sent, pdf())
    with sqlite3.connect(network.home / "data/keys.db", timeout=10) as database:
        database.execute("DELETE FROM data_keys WHERE referral = ?", (sent,))
    database.close()
    for answer in (fetch(partner, attachment), attach(partner, sent, pdf())):
        assert (answer.status_code, code(answer)) == (410, "attachment_erased")
    (item,) = partner.reads(sent).body["attachments"]
    assert "name" not in item
    assert network.rows("keys", "SELECT * FROM data_keys WHERE referral = :r", r=sent) == []
    partner.close()


def test_after_all_of_this_the_ledger_is_whole(network: RunningNetwork) -> None:
    network.settle()
    assert verified(network)["whole"]
