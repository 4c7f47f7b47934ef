"""Readers that take nothing, services that do not answer, words that are missed and agencies that leave,
on a real server in this process with short limits; only who answers its questions is made up."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from litestar import Litestar
from pydantic import BaseModel

from runtime.broker import NoAnswer
from runtime.clock import ManualClock
from runtime.nats_server import free_port
from runtime.streams import Limits, Streams
from runtime.web import web_server
from schemas import queries as q
from services.intake.api import Api
from services.intake.counter import Counter
from services.intake.edge import Edge
from services.intake.metrics import Metrics
from tests.builders import BUNKYO, FRIDAY_AFTERNOON
from tests.doors import a_door
from tests.network import eventually
from tests.partners import Partner
from wards.model import Ward

SHORT = Limits(look=0.2, look_again=0.1, keep_alive=0.3, patience=0.5)
NEVER = 3600.0
KEY = "their-key"
HUB = "hub-motofuji"


@dataclass
class Delivery:
    """An inbox as long as it is told to be. ``mute``: does not answer."""

    length: int = 0
    mute: bool = False
    asked: list[int] = field(default_factory=list)
    text: str = "x"
    on_asked: Callable[[], None] = lambda: None
    """Called when the answer is already decided and on its way."""

    async def ask(self, service: str, name: str, question: BaseModel) -> q.Told:
        assert (service, name) == ("delivery", "inbox")
        assert isinstance(question, q.ReadInbox)
        self.asked.append(question.after)
        if self.mute:
            raise NoAnswer("mute")
        numbers = range(question.after + 1, min(self.length, question.after + question.limit) + 1)
        items = [{"number": number, "event": {"text": self.text}} for number in numbers]
        told = q.Told(found=True, body={"items": items, "head": self.length})
        self.on_asked()
        await asyncio.sleep(0)
        return told


class Intake:
    """A server of intake's streams, in a thread with a loop of its own."""

    def __init__(self, delivery: Delivery, limits: Limits, ward: Ward) -> None:
        self.clock = ManualClock(FRIDAY_AFTERNOON)
        self.metrics = Metrics()
        nothing: Any = None
        self.door = a_door(ward, self.clock, {HUB: KEY})
        edge = Edge(self.door.callers, self.metrics)
        counter = Counter(nothing, nothing, ward, self.clock)
        api = Api(edge, counter, nothing, nothing, openapi=b"", docs=b"")
        self.streams = api.streams = Streams(delivery, self.metrics.streams_open, limits)
        self.port = free_port()
        self.server = web_server(
            Litestar(api.handlers(), openapi_config=None), "127.0.0.1", self.port
        )
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        eventually(lambda: self.server.started, 10, "the server")

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.door.watched.when_changed(self.streams.look_again)
        async with self.streams.looking(), self.door.watched.watching():
            await self.server.serve()

    def soon(self, call: Callable[[], None]) -> None:
        """As if the loop itself had come to it."""
        self._loop.call_soon_threadsafe(call)

    def grew(self) -> None:
        self.soon(lambda: self.streams.heard(f"inbox.{HUB}"))

    def open_streams(self) -> int:
        value = self.metrics.registry.get_sample_value("tsunagu_streams_open", {"kind": "inbox"})
        return int(value or 0)

    def deaf_reader(self) -> socket.socket:
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", self.port))
        reader.sendall(
            f"GET /v1/inbox HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
            f"Accept: text/event-stream\r\n\r\n".encode()
        )
        return reader

    def stop(self) -> float:
        """Gives the seconds it took."""
        began = time.monotonic()
        if self._thread.is_alive():
            self.soon(self.streams.end)
            self.server.should_exit = True
            self._thread.join()
        return time.monotonic() - began


@pytest.fixture
def delivery() -> Delivery:
    return Delivery()


Serve = Callable[..., Intake]


@pytest.fixture
def serve(delivery: Delivery) -> Iterator[Serve]:
    """``serve(look=…)``: with the short limits, but for those named."""
    running: list[Intake] = []

    def start(ward: Ward = BUNKYO, **limits: Any) -> Intake:
        running.append(Intake(delivery, replace(SHORT, **limits), ward))
        return running[-1]

    yield start
    for intake in running:
        intake.stop()


@pytest.fixture
def hub() -> Iterator[Callable[[Intake], Partner]]:
    made: list[Partner] = []

    def of(intake: Intake) -> Partner:
        made.append(Partner(f"http://127.0.0.1:{intake.port}", HUB, KEY))
        return made[-1]

    yield of
    for partner in made:
        partner.close()


Hub = Callable[[Intake], Partner]


def test_a_reader_that_takes_nothing_is_cut_off(serve: Serve, delivery: Delivery) -> None:
    delivery.length, delivery.text = 10**9, "x" * 4000
    intake = serve()
    with intake.deaf_reader() as reader:
        eventually(lambda: intake.open_streams() == 1, 10, "the stream open")
        eventually(lambda: intake.open_streams() == 0, 20, "the reader cut off")
        # Cut off, and not only forgotten: nothing waits until the reader takes what is left.
        eventually(lambda: not intake.server.server_state.connections, 5, "its connection gone")
        taken = b"".join(iter(lambda: reader.recv(1 << 20), b""))
    assert taken.startswith(b"HTTP/1.1 200 ")
    assert not taken.endswith(b"0\r\n\r\n"), "ended as if it were whole"


def test_a_reader_that_takes_nothing_costs_no_more_than_what_is_on_its_way(
    serve: Serve, delivery: Delivery
) -> None:
    delivery.length, delivery.text = 10**9, "x" * 4000
    intake = serve(patience=NEVER)
    with intake.deaf_reader():
        eventually(lambda: len(delivery.asked) > 2, 10, "a few pages asked for")
        looks = -1

        def asks_no_more() -> bool:
            nonlocal looks
            before, looks = looks, len(delivery.asked)
            return before == looks

        eventually(asks_no_more, 20, "no more pages asked for", every=0.5)
        assert looks < 100, "the kernel's own buffers hold a few megabytes; pages have 0.4 each"


def test_a_slow_reader_that_takes_something_is_not_cut_off(
    serve: Serve, delivery: Delivery, hub: Hub
) -> None:
    delivery.length = 3
    intake = serve(keep_alive=0.1)
    with hub(intake).streams("/v1/inbox") as stream:
        began = time.monotonic()
        comments = 0
        for event in stream.everything():
            comments += bool(event.comment)
            if time.monotonic() - began > 3 * SHORT.patience:
                break
        assert comments > 3


def test_a_quiet_stream_is_kept_open_by_comments(
    serve: Serve, delivery: Delivery, hub: Hub
) -> None:
    intake = serve(keep_alive=0.2, look=NEVER)
    with hub(intake).streams("/v1/inbox") as stream:
        read = stream.everything()
        assert [next(read).comment for _ in range(3)] == ["keep-alive"] * 3


def test_a_word_that_was_missed_delays_an_event_until_the_next_look(
    serve: Serve, delivery: Delivery, hub: Hub
) -> None:
    intake = serve()
    with hub(intake).streams("/v1/inbox") as stream:
        eventually(lambda: len(delivery.asked) > 1, 10, "nothing there yet")
        delivery.length = 2
        assert [event.id for event in stream.take(2)] == [1, 2]


def test_a_word_that_comes_while_the_question_is_on_its_way_is_not_missed(
    serve: Serve, delivery: Delivery, hub: Hub
) -> None:
    """The answer knew nothing of it yet, and nobody looks again for an hour."""
    intake = serve(look=NEVER)

    def just_then() -> None:
        if delivery.length == 0:
            delivery.length = 1
            intake.streams.heard(f"inbox.{HUB}")

    delivery.on_asked = just_then
    with hub(intake).streams("/v1/inbox") as stream:
        assert stream.next().id == 1


def test_who_begins_to_read_after_a_word_is_not_answered_with_what_was_asked_before_it(
    serve: Serve, delivery: Delivery, hub: Hub
) -> None:
    intake = serve(look=NEVER)
    others = hub(intake)
    held = threading.Event()

    class Slow(Delivery):
        async def ask(self, service: str, name: str, question: BaseModel) -> q.Told:
            told = await super().ask(service, name, question)
            if len(self.asked) == 1:
                await asyncio.to_thread(held.wait, 10)
            return told

    slow = Slow()
    intake.streams._asker = slow
    done: list[int | None] = []

    def first() -> None:
        with others.streams("/v1/inbox") as stream:
            done.append(stream.next().id)

    reading = threading.Thread(target=first)
    reading.start()
    eventually(lambda: slow.asked == [0], 10, "the first question on its way")
    slow.length = 1
    intake.grew()
    with hub(intake).streams("/v1/inbox") as stream:
        assert stream.next().id == 1
    held.set()
    reading.join()
    assert done == [1]


def test_many_readers_at_the_same_place_ask_once(
    serve: Serve, delivery: Delivery, hub: Hub
) -> None:
    intake = serve(look=NEVER)
    reader = hub(intake)
    with contextlib.ExitStack() as opened:
        streams = [opened.enter_context(reader.streams("/v1/inbox")) for _ in range(20)]
        delivery.asked.clear()
        delivery.length = 1
        intake.grew()
        for stream in streams:
            assert stream.next().id == 1
        assert len(delivery.asked) < 5


def test_a_stream_whose_service_is_silent_stays_open_and_goes_on(
    serve: Serve, delivery: Delivery, hub: Hub
) -> None:
    delivery.length = 1
    intake = serve(look=NEVER)
    with hub(intake).streams("/v1/inbox") as stream:
        assert stream.next().id == 1
        delivery.mute = True
        intake.grew()
        silent = len(delivery.asked) + 3
        eventually(lambda: len(delivery.asked) > silent, 10, "asked again and again")
        delivery.length, delivery.mute = 3, False
        assert [event.id for event in stream.take(2)] == [2, 3]


def test_a_stream_can_be_opened_while_its_service_is_silent(
    serve: Serve, delivery: Delivery, hub: Hub
) -> None:
    delivery.mute = True
    intake = serve(look=NEVER)
    with hub(intake).streams("/v1/inbox", last=4) as stream:
        assert stream.status == 200
        assert next(stream.everything()).comment == "keep-alive"
        delivery.length, delivery.mute = 5, False
        assert stream.next().id == 5


def test_an_agency_that_leaves_the_network_is_told_no_more(
    serve: Serve, delivery: Delivery, hub: Hub
) -> None:
    agencies = tuple(
        a.model_copy(update={"valid_to": FRIDAY_AFTERNOON.date()}) if a.id == HUB else a
        for a in BUNKYO.agencies
    )
    kept = {name: getattr(BUNKYO, name) for name in Ward.model_fields}
    intake = serve(ward=Ward.model_validate({**kept, "agencies": agencies}), look=NEVER)
    delivery.length = 1
    with hub(intake).streams("/v1/inbox") as stream:
        assert stream.next().id == 1
        intake.clock.move(timedelta(days=1))
        delivery.length = 2
        intake.grew()
        assert [event.id for event in stream.events()] == []


def test_a_key_that_is_taken_away_ends_its_streams(
    serve: Serve, delivery: Delivery, hub: Hub
) -> None:
    """At once, though there is nothing new and the streams themselves look only once an hour."""
    intake = serve(look=NEVER, keep_alive=NEVER)
    delivery.length = 1
    with hub(intake).streams("/v1/inbox") as stream:
        assert stream.next().id == 1
        (key,) = intake.door.credentials.all(HUB)
        began = time.monotonic()
        intake.door.credentials.revoke(key.id)
        assert [event.id for event in stream.events()] == []
        assert time.monotonic() - began < 1


def test_a_server_that_stops_waits_for_no_reader(
    serve: Serve, delivery: Delivery, hub: Hub
) -> None:
    delivery.length, delivery.text = 10**9, "x" * 4000
    intake = serve(patience=NEVER)
    with intake.deaf_reader():
        eventually(lambda: len(delivery.asked) > 2, 10, "something on its way")
        time_taken = intake.stop()
    assert time_taken < 3, "uvicorn's own patience is five seconds"


def test_a_stream_that_ends_says_so(serve: Serve, delivery: Delivery, hub: Hub) -> None:
    """A reader can tell an end from a broken connection."""
    intake = serve(look=NEVER)
    with hub(intake).streams("/v1/inbox") as stream:
        eventually(lambda: intake.open_streams() == 1, 10, "the stream open")
        intake.soon(intake.streams.end)
        assert list(stream.events()) == []
        with hub(intake).streams("/v1/inbox") as refused:
            assert refused.status == 503
    assert intake.open_streams() == 0


def test_an_inbox_that_is_put_back_ends_the_stream_and_says_why_to_whoever_comes_again(
    serve: Serve, delivery: Delivery, hub: Hub
) -> None:
    delivery.length = 3
    intake = serve(look=NEVER)
    with hub(intake).streams("/v1/inbox") as stream:
        assert [event.id for event in stream.take(3)] == [1, 2, 3]
        delivery.length = 2
        intake.grew()
        assert list(stream.events()) == []
    with hub(intake).streams("/v1/inbox", last=3) as refused:
        refused.response.read()
        assert refused.status == 422
        assert refused.response.json()["errors"][0]["detail"].endswith(", 2")
    assert intake.open_streams() == 0


def test_a_server_that_stops_while_a_stream_is_being_opened_refuses_it(
    serve: Serve, delivery: Delivery, hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    intake = serve(look=NEVER)
    delivery.on_asked = lambda: intake.streams.end()
    with hub(intake).streams("/v1/inbox") as refused:
        refused.response.read()
        assert refused.status == 503
        assert refused.response.json()["code"] == "unavailable"
    assert intake.open_streams() == 0
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_server_that_stops_just_before_a_stream_is_begun_says_nothing_and_ends_it(
    serve: Serve, delivery: Delivery, hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    """Promised, and not begun: there is nothing to take leave of."""
    intake = serve(look=NEVER)
    opened = intake.streams.open

    async def ending(*what: Any) -> Any:
        response = await opened(*what)
        intake.streams.end()
        return response

    intake.streams.open = ending  # type: ignore[method-assign]
    with pytest.raises(httpx.TransportError), hub(intake).streams("/v1/inbox"):
        pass
    eventually(lambda: intake.open_streams() == 0, 5, "the stream gone")
    assert intake.stop() < 3
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
