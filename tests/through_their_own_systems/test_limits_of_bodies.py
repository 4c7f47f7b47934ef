"""Nobody holds our memory, or a connection, by never coming to the end of what it sends."""

import contextlib
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import httpx
import pytest

from runtime import connection
from services.intake import bodies
from tests.through_their_own_systems.test_limits import Intake
from wards.delivery import Limits

LIMITS = Limits(requests_per_second=100, burst=100)
KEY = "Authorization: Bearer their-key"
FORM = "Content-Type: application/x-www-form-urlencoded"
MIB = 1_048_576


@pytest.fixture
def intake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Intake]:
    """Half a second is long here."""
    monkeypatch.setattr(bodies, "PATIENCE", 0.5)
    monkeypatch.setattr(connection, "PATIENCE", 0.5)
    with Intake(LIMITS).running() as running:
        yield running


@contextlib.contextmanager
def sent(intake: Intake, *head: str, body: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", intake.port), timeout=5) as line:
        text = "\r\n".join((head[0], "Host: x", *head[1:], "", ""))
        line.sendall(text.encode() + body)
        yield line


def status(line: socket.socket) -> int:
    return int(line.recv(4096).split()[1])


def seconds_until_cut_off(line: socket.socket) -> float:
    began = time.monotonic()
    with contextlib.suppress(ConnectionResetError):
        while line.recv(4096):
            pass
    return time.monotonic() - began


def test_a_body_that_does_not_come_is_not_waited_for(intake: Intake) -> None:
    post = "POST /work HTTP/1.1", KEY, "Content-Length: 1000"
    with sent(intake, *post, body=b"x" * 999) as line:
        assert status(line) == 422
        assert seconds_until_cut_off(line) < 3
    assert intake.posts(content=b"{}").json() == {"read": 2}


def test_one_agency_may_have_so_much_on_its_way_and_another_notices_nothing(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "PATIENCE", 5)
    post = "POST /work HTTP/1.1", KEY, f"Content-Length: {MIB}"
    with contextlib.ExitStack() as lines:
        coming = [lines.enter_context(sent(intake, *post, body=b"x" * 99)) for _ in range(4)]
        time.sleep(0.5)
        assert intake.posts(content=b"x" * MIB).status_code == 429
        assert intake.posts("another", content=b"x" * MIB).status_code == 200
        for line in coming:
            line.sendall(b"x" * (MIB - 99))
        assert [status(line) for line in coming] == [200] * 4
    assert intake.posts(content=b"x" * MIB).status_code == 200, "and all of it was given back"


def test_a_stranger_may_send_a_form_and_no_more(intake: Intake) -> None:
    url = f"http://127.0.0.1:{intake.port}/oauth2/token"
    too_long = httpx.post(url, data={"client_assertion": "x" * 20_000})
    assert too_long.status_code == 413
    assert httpx.post(url, data={"client_assertion": "x" * 10_000}).status_code == 400
    form = urlencode({"grant_type": "client_credentials"}).encode()
    with sent(
        intake, "POST /oauth2/token HTTP/1.1", FORM, "Content-Length: 9000", body=form
    ) as line:
        assert status(line) == 408
        assert seconds_until_cut_off(line) < 3


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET ", b"GET /" + b"x" * 999, b"GET / HTTP/1.1\r\nHost: x\r\nX-Y: " + b"x" * 999],
    ids=["nothing", "a word", "half an address", "half a header"],
)
def test_a_head_that_does_not_come_is_not_waited_for(intake: Intake, begun: bytes) -> None:
    with socket.create_connection(("127.0.0.1", intake.port), timeout=5) as line:
        line.sendall(begun)
        assert seconds_until_cut_off(line) < 3


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /" + b"x" * MIB,
        b"GET / HTTP/1.1\r\nX-Y: " + b"x" * MIB,
        b"GET / HTTP/1.1\r\n" + b"X-Y: z\r\n" * 100_000,
        b"POST /work HTTP/1.1\r\nAuthorization: Bearer their-key\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n" + b"X-Y: z\r\n" * 100_000,
    ],
    ids=["an address", "a header", "headers", "trailers"],
)
def test_a_head_is_only_so_long(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(connection, "PATIENCE", 60)
    monkeypatch.setattr(bodies, "PATIENCE", 60)
    with socket.create_connection(("127.0.0.1", intake.port), timeout=5) as line:
        with contextlib.suppress(ConnectionError):
            line.sendall(begun)
        assert seconds_until_cut_off(line) < 3


def test_whoever_goes_on_sending_a_body_that_was_refused_is_cut_off(intake: Intake) -> None:
    began = time.monotonic()
    post = "POST /work HTTP/1.1", "Content-Length: 100000"
    with sent(intake, *post) as line, contextlib.suppress(ConnectionError):
        assert status(line) == 401
        while time.monotonic() < began + 5:
            line.sendall(b"x")
            time.sleep(0.05)
    assert time.monotonic() < began + 3


def test_a_connection_may_be_used_again_and_a_body_may_come_in_many_small_chunks(
    intake: Intake,
) -> None:
    def small() -> Iterator[bytes]:
        for _ in range(2000):
            yield b"x" * 50

    with httpx.Client(base_url=f"http://127.0.0.1:{intake.port}") as client:
        headers = {"Authorization": "Bearer their-key"}
        for _ in range(3):
            answer = client.post("/work", headers=headers, content=small())
            assert answer.json() == {"read": 100_000}
            assert client.post("/work", headers=headers, content=b"{}").json() == {"read": 2}
