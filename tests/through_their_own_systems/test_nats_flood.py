"""One agency sends by NATS as fast as its line goes, past any client library: nobody else waits for it,
the door stays open, and it is put out."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from schemas import subjects
from tests.builders import BUNKYO
from tests.network import RunningNetwork, eventually, running_network
from tests.through_their_own_systems.nats_partner import (
    WARD,
    Given,
    a_credential,
    connected_as,
    told,
)

FLOOD, OTHER = "anshin-komagome", "hub-komagome"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    with running_network(tmp_path_factory.mktemp("flooded")) as running:
        yield running


@pytest.fixture(scope="module")
def other(network: RunningNetwork) -> Given:
    return a_credential(network, OTHER)


@pytest.fixture
def given(network: RunningNetwork) -> Iterator[Given]:
    """A new one for each test: that of a flood opens nothing for a while."""
    made = a_credential(network, FLOOD)
    yield made
    made.credentials.revoke(made.credential.id)


def a_raw_connection(network: RunningNetwork, given: Given) -> socket.socket | None:
    """Let in, and beneath any library; None: refused."""
    host, port = network.nats()["servers"].removeprefix("nats://").split(":")
    line = socket.create_connection((host, int(port)), timeout=5)
    line.recv(65_536)
    who = {
        "user": given.credential.agency,
        "pass": given.password,
        "verbose": False,
        "headers": True,
    }
    line.sendall(f"CONNECT {json.dumps(who)}\r\nPING\r\n".encode())
    if b"PONG" in line.recv(4096):
        return line
    line.close()
    return None


def let_in_raw(network: RunningNetwork, given: Given) -> socket.socket:
    found: list[socket.socket | None] = []
    eventually(lambda: found.append(a_raw_connection(network, given)) or found[-1], 5, "let in")
    assert found[-1] is not None
    return found[-1]


class Flooding:
    """``pause``: seconds after each hundred; ``ended``: nats-server has put it out."""

    def __init__(self, line: socket.socket, size: int = 0, pause: float = 0) -> None:
        self._line = line
        self._pause = pause
        head = f"PUB {subjects.door(WARD, FLOOD, 'read_directory')} {size}\r\n".encode()
        self._said = (head + b"a" * size + b"\r\n") * (100 if size < 1000 else 1)
        self._over = threading.Event()
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._flood)

    def _flood(self) -> None:
        self._line.settimeout(0.2)
        while not self._over.is_set():
            try:
                self._line.sendall(self._said)
            except TimeoutError:
                pass
            except OSError:
                self.ended.set()
                return
            time.sleep(self._pause)

    def __enter__(self) -> "Flooding":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._line.close()


@pytest.mark.parametrize(
    ("size", "pause"),
    [(0, 0.0), (1_048_576, 0.0), (0, 0.025)],
    ids=["as fast as it goes", "a mebibyte each", "4,000 a second, which the warden lets pass"],
)
def test_whoever_sends_at_full_speed_takes_the_door_from_nobody(
    network: RunningNetwork, given: Given, other: Given, size: int, pause: float
) -> None:
    by_http = network.partner(OTHER)

    async def story() -> None:
        async with connected_as(network, OTHER, other.password) as by_nats:
            line = await asyncio.to_thread(let_in_raw, network, given)
            took: list[float] = []
            with Flooding(line, size, pause) as flood:
                until = time.monotonic() + 3
                while time.monotonic() < until:
                    for ask in (
                        lambda: by_nats.call("read_directory"),
                        lambda: asyncio.to_thread(by_http.get, "/v1/directory"),
                    ):
                        began = time.monotonic()
                        assert (await ask()).status == 200
                        took.append(time.monotonic() - began)
                    await asyncio.sleep(0.02)
                assert flood.ended.is_set() == (pause == 0)
            # Where this is broken nobody is answered within ten seconds.
            assert sorted(took)[int(len(took) * 0.95)] < 5, sorted(took)[-5:]
            assert max(took) < 2.0

    asyncio.run(story())
    assert network.metrics()[("tsunagu_door_lines", "", "")] == len(BUNKYO.agencies)
    if pause == 0:
        assert a_raw_connection(network, given) is None, "let in again at once"


def test_whoever_sends_at_full_speed_is_put_out_within_a_second_of_its_revocation(
    network: RunningNetwork, given: Given
) -> None:
    line = let_in_raw(network, given)
    with Flooding(line, pause=0.025) as flood:  # as much as the warden lets pass
        time.sleep(0.5)
        assert not flood.ended.is_set()
        began = time.monotonic()
        given.revoke()
        assert flood.ended.wait(5)
        assert time.monotonic() - began < 1.0


def test_one_agency_has_so_many_connections_and_no_more(
    network: RunningNetwork, given: Given, other: Given
) -> None:
    with contextlib.ExitStack() as stack:
        lines = [let_in_raw(network, given) for _ in range(16)]
        for line in lines:
            stack.enter_context(line)
        with ThreadPoolExecutor(8) as several:
            found = list(several.map(lambda _: a_raw_connection(network, given), range(8)))
        assert found == [None] * 8
        stack.enter_context(let_in_raw(network, other))  # another agency has its own
        lines[0].close()
        stack.enter_context(let_in_raw(network, given))


def test_one_connection_holds_so_many_subscriptions_and_no_more(
    network: RunningNetwork, given: Given
) -> None:
    prefix = subjects.agency_replies(FLOOD)
    with let_in_raw(network, given) as line:
        line.sendall(b"".join(f"SUB {prefix}.{n} {n}\r\n".encode() for n in range(1, 600)))
        line.sendall(b"PING\r\n")
        assert b"maximum subscriptions exceeded" in line.recv(65_536)
    with let_in_raw(network, given) as line:
        line.sendall(f"SUB {prefix}.{'a' * 2000} 1\r\nPING\r\n".encode())
        assert b"maximum control line exceeded" in line.recv(65_536).lower()


def test_calls_that_there_are_not_are_counted_and_limited_like_others(
    network: RunningNetwork,
) -> None:
    agency = "anshin-otsuka"  # that has asked nothing yet
    given = a_credential(network, agency)

    async def story() -> dict[int, int]:
        statuses: dict[int, int] = {}
        async with connected_as(network, agency, given.password) as client:
            inbox = client.client.new_inbox()
            answers = await client.client.subscribe(inbox)
            for _ in range(1000):
                await client.client.publish(
                    subjects.door(WARD, agency, "nothing"), b"", reply=inbox
                )
            for _ in range(1000):
                status = told(await answers.next_msg(timeout=5)).status
                statuses[status] = statuses.get(status, 0) + 1
        return statuses

    statuses = asyncio.run(story())
    assert statuses[429] > 500 > statuses[404] > 100
    assert (
        'tsunagu_requests_total{call="unknown",status="429"}'
        in httpx.get(f"{network.url}/metrics").text
    )


def test_what_happens_as_often_as_somebody_likes_is_logged_once_a_minute(
    network: RunningNetwork, given: Given, other: Given
) -> None:
    def lines(action: str) -> int:
        return network.logs().count(f'"{action}"')

    wrong = Given(given.credential, other.password, given.credentials)
    before = lines("nats_client_refused")

    async def story() -> None:
        async with connected_as(network, FLOOD, given.password) as client:
            for _ in range(100):
                await client.client.publish(
                    subjects.door(WARD, FLOOD, "read_directory"), b"", reply="elsewhere"
                )
            for _ in range(5):
                assert await asyncio.to_thread(a_raw_connection, network, wrong) is None
            await client.call("read_directory")
            await asyncio.sleep(0.2)

    asyncio.run(story())
    assert lines("door_reply_withheld") == 1
    assert lines("nats_client_refused") - before <= 1


def test_a_credential_that_runs_out_while_intake_is_away_ends_its_connections(
    tmp_path: Path,
) -> None:
    with running_network(tmp_path) as network:
        given = a_credential(network, FLOOD, seconds=4)
        with let_in_raw(network, given) as line:
            with network.down("intake"):
                line.settimeout(10)
                heard = b""
                while said := line.recv(4096):
                    heard += said
            assert b"Authentication Expired" in heard
