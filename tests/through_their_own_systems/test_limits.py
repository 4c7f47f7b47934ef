"""Nobody asks so much that others are held up, and whoever asks too much is told when to come again."""

import asyncio
import contextlib
import math
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, Response
from pydantic_core import to_json

from runtime.clock import ManualClock
from runtime.nats_server import free_port
from runtime.web import web_server
from schemas.base import JsonObject
from schemas.codes import Scope
from services.intake import responses
from services.intake.access import turns as turns_module
from services.intake.access.turns import (
    AHEAD,
    LONGEST_PAUSE,
    SHARE,
    NoTurn,
    Turns,
    admit,
    pause,
    using,
)
from services.intake.checking import Checking
from services.intake.desk import Desk
from services.intake.edge import Caller, Edge, Http
from services.intake.metrics import Metrics
from tests.builders import ANSHIN, BUNKYO, FRIDAY_AFTERNOON, HUB
from tests.doors import a_door
from tests.network import eventually
from wards.delivery import Limits

RATES = st.integers(1, 1000)
BURSTS = st.integers(1, 50)
GAPS = st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=120)


def let_in(gaps: list[float], rate: int, burst: int) -> list[float]:
    """At which moments somebody who asks after each gap is let in."""
    now, due, moments = 100.0, float("-inf"), []
    for gap in gaps:
        now += gap
        due, wait = admit(due, now, rate, burst)
        if not wait:
            moments.append(now)
    return moments


@given(GAPS, RATES, BURSTS)
def test_in_no_stretch_of_time_are_more_let_in_than_the_burst_and_the_rate(
    gaps: list[float], rate: int, burst: int
) -> None:
    moments = let_in(gaps, rate, burst)
    for first in range(len(moments)):
        for last in range(first, len(moments)):
            seconds = moments[last] - moments[first]
            assert last - first + 1 <= burst + seconds * rate + 1e-6


@given(st.integers(1, 200), RATES, BURSTS, st.floats(1, 3))
def test_whoever_stays_below_the_rate_is_never_refused(
    asked: int, rate: int, burst: int, slower: float
) -> None:
    assert len(let_in([slower / rate] * asked, rate, burst)) == asked


@given(st.integers(0, 200), RATES, BURSTS)
def test_so_many_at_once_are_let_in_as_the_burst_says(asked: int, rate: int, burst: int) -> None:
    assert len(let_in([0.0] * asked, rate, burst)) == min(asked, burst)


@given(GAPS, RATES, BURSTS)
def test_whoever_waits_as_long_as_told_is_let_in_and_not_a_moment_before(
    gaps: list[float], rate: int, burst: int
) -> None:
    now, due = 100.0, float("-inf")
    for gap in gaps:
        now += gap
        before = due
        due, wait = admit(due, now, rate, burst)
        if wait:
            assert due == before, "to be refused costs nothing"
            assert admit(due, now + wait + 1e-6, rate, burst)[1] == 0
            assert admit(due, now + wait * 0.99 - 1e-6, rate, burst)[1] > 0


def test_a_clock_that_is_set_back_locks_nobody_out(clock: ManualClock) -> None:
    turns = Turns(Limits(requests_per_second=1, burst=2), clock)
    assert [turns.take(HUB) for _ in range(3)] == [0, 0, 1]
    clock.set_back(timedelta(days=1))
    assert turns.take(HUB) == 1
    clock.move(timedelta(seconds=1))
    assert turns.take(HUB) == 0
    assert turns.take(ANSHIN) == 0, "and each agency has its own"


def test_so_many_are_in_work_at_once_and_the_rest_come_in_order(clock: ManualClock) -> None:
    async def story() -> None:
        turns = Turns(Limits(requests_per_second=1, burst=1, at_once=2), clock)
        working: set[int] = set()
        most, order = 0, []

        async def work(number: int) -> None:
            nonlocal most
            async with turns.turn(HUB):
                order.append(number)
                working.add(number)
                most = max(most, len(working))
                await asyncio.sleep(0.01)
                working.discard(number)

        await asyncio.gather(*(work(number) for number in range(10)))
        assert most == 2
        assert order == list(range(10))
        async with turns.turn(ANSHIN), turns.turn(HUB), turns.turn(HUB), turns.turn(ANSHIN):
            pass

    asyncio.run(story())


def test_what_waits_for_a_service_that_is_down_keeps_its_turn_for_a_moment_only(
    clock: ManualClock,
) -> None:
    async def story() -> None:
        turns = Turns(Limits(requests_per_second=1, burst=1, at_once=1), clock)
        began = time.monotonic()
        async with turns.turn(HUB), turns.turn(HUB), turns.turn(HUB):
            assert 0.4 < time.monotonic() - began < 3
        # Each was given back once: there is one turn, as before.
        async with turns.turn(HUB):
            waiting = asyncio.create_task(_enters(turns))
            await asyncio.sleep(0.05)
            assert not waiting.done()
        await waiting

    asyncio.run(story())


async def _enters(turns: Turns) -> None:
    async with turns.turn(HUB):
        pass


def test_whoever_would_wait_too_long_or_with_too_many_is_refused(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_module, "PATIENCE", 0.05)
    monkeypatch.setattr(turns_module, "WAITING", 2)

    async def story() -> None:
        turns = Turns(Limits(requests_per_second=1, burst=1, at_once=1), clock)
        async with turns.turn(HUB):
            waiting = [asyncio.create_task(_enters(turns)) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(NoTurn):  # at once
                await _enters(turns)
            told = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(one) for one in told] == [NoTurn, NoTurn]
        await _enters(turns)

    asyncio.run(story())


@given(took=st.floats(0.001, 0.25), seconds=st.integers(5, 100))
def test_whoever_asks_without_a_break_while_others_ask_has_its_share_of_the_time(
    took: float, seconds: int
) -> None:
    now, owed, used = 0.0, -math.inf, 0.0
    while now < seconds:
        now += pause(owed, now) + took
        owed, used = using(owed, now, took), used + took
    assert used <= AHEAD + seconds * SHARE + 2 * took
    assert used >= seconds * SHARE - 2 * took, "and no less"


@given(
    took=st.floats(0.001, 0.25),
    idle=st.floats(1, 10),
    turns=st.integers(1, 200),
    ended_together=st.integers(0, 100),
)
def test_whoever_asks_for_less_than_its_share_never_waits_and_nobody_waits_long(
    took: float, idle: float, turns: int, ended_together: int
) -> None:
    now, owed = 0.0, -math.inf
    for _ in range(turns):
        assert pause(owed, now) == 0
        now += took
        owed = using(owed, now, took)
        now += took * idle
    for _ in range(ended_together):
        owed = using(owed, now, 0.25)
    assert pause(owed, now) <= LONGEST_PAUSE + 1e-6


def test_an_agency_that_has_used_its_share_waits_while_others_ask_and_not_alone(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    def noted(owed: float, now: float) -> float:
        waited.append(pause(owed, now))
        return 0  # and nobody waits in the test

    monkeypatch.setattr(turns_module, "pause", noted)

    async def story() -> None:
        turns = Turns(Limits(requests_per_second=1, burst=1, at_once=1), clock)

        async def uses(agency: str, seconds: float) -> float:
            async with turns.turn(agency):
                clock.move(timedelta(seconds=seconds))
            return waited.pop()

        assert [await uses(HUB, 0.25) for _ in range(20)] == [0] * 20  # alone, as at night
        clock.move(timedelta(seconds=10))
        hub = []
        for _ in range(12):
            assert await uses(ANSHIN, 0.01) == 0
            hub.append(await uses(HUB, 0.25))
        assert hub[:6] == [0] * 6  # ahead of its share
        assert 0 < hub[-1] <= LONGEST_PAUSE
        clock.move(timedelta(seconds=10))
        assert await uses(HUB, 0.25) == 0

    asyncio.run(story())


class Intake:
    """A server in a thread, with a call that reads its body, one that may not be asked, and tokens."""

    def __init__(self, limits: Limits) -> None:
        self.clock = ManualClock(FRIDAY_AFTERNOON)
        door = a_door(BUNKYO, self.clock, {HUB: "their-key", ANSHIN: "another"})
        edge = Edge(door.callers, Metrics(), Turns(limits, self.clock))
        nothing: Any = None  # a batch in which every item is refused asks nobody
        desk = Desk(BUNKYO, nothing, nothing, nothing, self.clock, nothing)
        handlers = [
            *Checking(edge, desk).handlers(),
            edge.posting("/work", "work", Scope.POST, self._work),
            edge.posting("/rule", "rule", Scope.CORE, self._work),
            *door.endpoint.handlers(),
        ]
        self.port = free_port()
        self.server = web_server(Litestar(handlers, openapi_config=None), "127.0.0.1", self.port)
        self._thread = threading.Thread(target=lambda: asyncio.run(self.server.serve()))

    async def _work(self, request: Http, _: Caller) -> Response[bytes]:
        return responses.json_response(to_json({"read": len(await request.body())}))

    def posts(self, key: str = "their-key", path: str = "/work", **how: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.post(f"http://127.0.0.1:{self.port}{path}", headers=headers, **how)

    @contextlib.contextmanager
    def running(self) -> Iterator["Intake"]:
        self._thread.start()
        eventually(lambda: self.server.started, 10, "the server")
        try:
            yield self
        finally:
            self.server.should_exit = True
            self._thread.join()


def test_too_many_requests_are_told_when_to_come_again_and_other_agencies_notice_nothing() -> None:
    limits = Limits(requests_per_second=1, burst=3)
    with Intake(limits).running() as intake:
        assert [intake.posts().status_code for _ in range(3)] == [200] * 3
        began = time.monotonic()
        refused = intake.posts()
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["retry-after"] == "1"
        assert 0.4 < time.monotonic() - began < 3, "a refusal is not given as fast as it can be"
        assert intake.posts("another").status_code == 200
        intake.clock.move(timedelta(seconds=1))
        assert intake.posts().status_code == 200


def test_a_refusal_does_not_wait_for_the_body() -> None:
    with Intake(Limits(requests_per_second=1, burst=1)).running() as intake:
        assert intake.posts().status_code == 200
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", intake.port), timeout=10) as line:
            line.sendall(
                b"POST /work HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer their-key\r\n"
                b"Content-Length: 5000\r\n\r\n"
            )
            assert line.recv(4096).startswith(b"HTTP/1.1 429 ")
        assert time.monotonic() - began < 3


def test_what_an_agency_may_not_do_counts_too() -> None:
    with Intake(Limits(requests_per_second=1, burst=2)).running() as intake:
        told = [intake.posts(path="/rule").status_code for _ in range(3)]
        assert told == [403, 403, 429]


@pytest.mark.parametrize("burst", [60, 3])
def test_a_batch_of_checks_costs_by_its_items(burst: int) -> None:
    with Intake(Limits(requests_per_second=1, burst=burst)).running() as intake:
        batch: JsonObject = {"items": [{}] * 500}
        assert intake.posts(path="/v1/referrals/check/batch", json=batch).status_code == 200
        left = [intake.posts().status_code for _ in range(max(0, burst - 51))]
        assert set(left) <= {200}
        refused = intake.posts()
        assert refused.status_code == 429
        owed = int(refused.headers["retry-after"])
        assert owed == max(1, 52 - burst), "also what is more than the burst"
        intake.clock.move(timedelta(seconds=owed))
        assert intake.posts().status_code == 200


def test_a_flooding_agency_does_not_hold_up_another() -> None:
    """Real time, a real server: 40 connections in a loop against one that asks politely."""
    limits = Limits(requests_per_second=50, burst=50)
    with Intake(limits).running() as intake:
        over = threading.Event()
        answered: list[int] = []

        def flood() -> None:
            with httpx.Client(headers={"Authorization": "Bearer their-key"}) as client:
                while not over.is_set():
                    url = f"http://127.0.0.1:{intake.port}/work"
                    answered.append(client.post(url, content=b"{}").status_code)

        threads = [threading.Thread(target=flood) for _ in range(40)]
        for thread in threads:
            thread.start()
        try:
            time.sleep(1)
            told = [intake.posts("another").status_code for _ in range(20)]
        finally:
            over.set()
            for thread in threads:
                thread.join()
        assert told == [200] * 20
        assert answered.count(200) == 50, "its clock stands still: only the burst"
        # Held back for half a second each, not as fast as the processor goes.
        assert answered.count(429) < 40 * 20
