"""Who is no longer here is told nothing more: streams that are open end at once, whoever ended the session."""

import re
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from runtime.clock import SystemClock
from services.console.people.staff import Staff, open_staff
from tests.network import RunningNetwork
from tests.people_look_at_it.conftest import SignedIn, register
from wards.load import load_ward, ward_in_use

SOON = 2.0  # seconds: it is looked at every half second; the machine may be busy
ENDS = ("leaves", "is signed out by the desk", "signs out in another tab")
_logins: Iterator[str] = (f"stream{n}.mihon" for n in range(1_000))


@pytest.fixture
def desk(network: RunningNetwork) -> Iterator[Staff]:
    """`tsunagu staff`, in another process than the console."""
    ward = load_ward(ward_in_use(network.settings.ward, network.home))
    with open_staff(network.settings, ward, SystemClock()) as staff:
        yield staff


@pytest.fixture
def somebody(network: RunningNetwork) -> Iterator[Callable[..., SignedIn]]:
    opened: list[SignedIn] = []

    def come(*, screen: bool = False) -> SignedIn:
        login = next(_logins)
        register(network, "core", login, screen=screen)
        opened.append(SignedIn(network.console_url, "core", login))
        return opened[-1]

    yield come
    for one in opened:
        one.http.close()


def place(person: SignedIn, stream: str) -> str:
    """The stream from where its page stands: from elsewhere it would end by itself."""
    if stream == "/inbox/stream":
        return stream
    found = re.search(r'data-after="(\d+)"', person.get("/board").text)
    assert found
    return f"{stream}?after={found[1]}"


def until_its_end(lines: Iterator[str]) -> float:
    """Seconds until the stream is over."""
    began = time.monotonic()
    for _ in lines:
        if time.monotonic() - began > 30:
            break
    return time.monotonic() - began


def ended(how: str, person: SignedIn, desk: Staff) -> None:
    match how:
        case "leaves":
            desk.accounts.leave(desk.of(person.login))
        case "is signed out by the desk":
            assert desk.accounts.end_sessions(desk.of(person.login)) == 1
        case _:
            person.post("/logout")


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("stream", ["/board/stream", "/inbox/stream"])
def test_a_stream_ends_when_its_reader(
    somebody: Callable[..., SignedIn], desk: Staff, stream: str, how: str
) -> None:
    person = somebody()
    at = place(person, stream)
    with httpx.Client(
        base_url=person.http.base_url, cookies=dict(person.http.cookies), timeout=40
    ) as other:
        with other.stream("GET", at, headers={"Accept": "text/event-stream"}) as open_one:
            assert open_one.status_code == 200
            lines = open_one.iter_lines()
            next(lines)
            ended(how, person, desk)
            assert until_its_end(lines) < SOON
        # And the browser, which would open it again and again, is told not to.
        again = other.get(at, headers={"Accept": "text/event-stream"})
        assert again.status_code == 204


def test_a_wall_goes_dark_when_its_account_is_ended_and_others_go_on(
    somebody: Callable[..., SignedIn], desk: Staff
) -> None:
    wall, stays = somebody(screen=True), somebody()
    at = place(stays, "/board/stream")
    with (
        stays.http.stream("GET", at, timeout=40) as theirs,
        wall.http.stream("GET", at, timeout=40) as its,
    ):
        going_on, lines = theirs.iter_lines(), its.iter_lines()
        next(going_on), next(lines)
        desk.accounts.leave(desk.of(wall.login))
        assert until_its_end(lines) < SOON
        since = time.monotonic()
        for line in going_on:
            # Something is told every few seconds.
            if line.startswith("event:") and time.monotonic() - since > 1:
                break
        else:
            pytest.fail("the others' stream ended as well")
