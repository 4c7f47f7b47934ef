"""Whoever keeps looking sees a change when it happens, all of it, and each change once."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.network import RunningNetwork, eventually, running_network
from tests.partners import Answer, Event, Json, Partner, Stream, a_referral

BOARD = "/v1/escalations"
INBOX = "/v1/inbox"

Agency = Callable[[str], Partner]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    with running_network(tmp_path_factory.mktemp("network")) as running:
        yield running


@pytest.fixture
def partner(network: RunningNetwork) -> Iterator[Agency]:
    """Clients of this test's own, which are gone after it, with their streams."""
    with contextlib.ExitStack() as made:

        def new(agency: str) -> Partner:
            client = network.new_partner(agency)
            made.callback(client.close)
            return client

        yield new


def a_call(partner: Agency, reason: str = "E10", to: str = "hub-motofuji") -> Json:
    """An escalation as its referral tells it."""
    sender = partner("anshin-motofuji")
    sent = sender.posts(a_referral().to(to))
    answer = sender.escalates(sent.id, reason)
    assert answer.status == 201, answer
    return answer.body["escalations"][0]


def until_ready(stream: Stream) -> list[Event]:
    """The picture, with the word that it is whole."""
    picture = []
    for event in stream.events():
        picture.append(event)
        if event.name == "ready":
            break
    return picture


def about(events: list[Event], *calls: Json) -> list[tuple[str, str]]:
    """Which of these calls were told, and in which state."""
    ids = [call["id"] for call in calls]
    return [
        (e.data["id"], e.data["state"]) for e in events if e.name != "ready" and e.data["id"] in ids
    ]


# -- the inbox -----------------------------------------------------------------------------------


def test_an_inbox_tells_what_was_there_and_then_each_event_when_it_comes(
    partner: Agency, network: RunningNetwork
) -> None:
    sender, home = partner("ward-office"), partner("sample-home")
    sender.posts(a_referral().to("sample-home"))
    network.settle()
    there = home.whole_inbox()
    with home.streams(INBOX, after=0) as stream:
        told = stream.take(len(there))
        assert [event.data for event in told] == there
        for count in range(1, 4):
            sent = sender.posts(a_referral().to("sample-home"))
            event = stream.next()
            assert event.data["event"]["subject"] == sent.id
            assert event.id == event.data["number"] == len(there) + count
            assert event.name == "inbox"


def test_an_inbox_is_told_at_once_and_not_only_when_it_is_looked_at_again(
    partner: Agency, network: RunningNetwork
) -> None:
    """A look comes every five seconds; so do four events in a row that all come sooner, by a word."""
    sender, home = partner("ward-office"), partner("sample-home")
    with home.streams(INBOX, after=home.inbox().body["head"]) as stream:
        began = time.monotonic()
        for _ in range(4):
            sender.posts(a_referral().to("sample-home"))
            stream.next()
        assert time.monotonic() - began < 5


def test_a_reader_of_its_inbox_that_comes_back_misses_nothing_and_sees_nothing_twice(
    partner: Agency, network: RunningNetwork
) -> None:
    sender, home = partner("ward-office"), partner("sample-home")
    start = home.inbox().body["head"]
    seen: list[int] = []
    with ThreadPoolExecutor(1) as other:
        posting = other.submit(
            lambda: [sender.posts(a_referral().to("sample-home")).status for _ in range(30)]
        )
        last = start
        while len(seen) < 30:
            # ``after`` is what the address says; where the reader is, its Last-Event-ID.
            with home.streams(INBOX, last=last, after=0) as stream:
                for event in stream.take(min(4, 30 - len(seen))):
                    assert event.id is not None
                    seen.append(event.id)
            last = seen[-1]
        assert posting.result() == [201] * 30
    assert seen == list(range(start + 1, start + 31))


def test_an_inbox_of_many_pages_is_told_without_a_hole(
    partner: Agency, network: RunningNetwork
) -> None:
    sender, home = partner("ward-office"), partner("sample-home")
    with ThreadPoolExecutor(8) as others:
        list(others.map(lambda _: sender.posts(a_referral().to("sample-home")), range(120)))
    network.settle()
    head = home.inbox().body["head"]
    assert head > 120
    with home.streams(INBOX) as stream:
        assert [event.id for event in stream.take(head)] == list(range(1, head + 1))
        sender.posts(a_referral().to("sample-home"))
        assert stream.next().id == head + 1


def test_an_agency_reads_its_own_inbox_only(partner: Agency, network: RunningNetwork) -> None:
    sender, stranger, home = (partner(a) for a in ("ward-office", "hub-otsuka", "sample-home"))
    before = stranger.inbox().body["head"]
    with (
        stranger.streams(INBOX, after=before) as theirs,
        home.streams(INBOX, after=home.inbox().body["head"]) as own,
    ):
        sender.posts(a_referral().to("sample-home"))
        own.next()
        theirs_own = sender.posts(a_referral().to("hub-otsuka"))
        assert theirs.next().data["event"]["subject"] == theirs_own.id


# -- the board -----------------------------------------------------------------------------------


def test_the_core_centre_sees_first_what_burns_and_then_every_change(partner: Agency) -> None:
    core = partner("core")
    known = a_call(partner)
    with core.streams(BOARD) as stream:
        picture = until_ready(stream)
        assert about(picture, known) == [(known["id"], "raised")]
        assert [e.id for e in picture] == sorted(e.id or 0 for e in picture)
        assert picture[-1].data == {"head": picture[-1].id}
        assert picture[-1].id == core.escalations().body["head"]
        new = a_call(partner)
        assert about([stream.next()], new) == [(new["id"], "raised")]
        core.acknowledges(known["id"], advise_only=True)
        assert about([stream.next()], known) == [(known["id"], "acknowledged")]
        core.resolves(known["id"])
        resolved = stream.next()
        assert about([resolved], known) == [(known["id"], "resolved")]
        assert resolved.id == resolved.data["change"]
        assert resolved.data in core.escalations(state="resolved").body["items"]


def test_the_board_is_told_at_once_and_not_only_when_it_is_looked_at_again(
    partner: Agency,
) -> None:
    """A look comes every five seconds; so do four changes in a row that all come sooner, by a word."""
    core = partner("core")
    sender = partner("anshin-motofuji")
    sent = [sender.posts(a_referral()).id for _ in range(4)]
    with core.streams(BOARD) as stream:
        until_ready(stream)
        began = time.monotonic()
        for ref in sent:
            sender.escalates(ref)
            assert stream.next().data["referral"] == ref
        assert time.monotonic() - began < 5


def test_what_was_resolved_burns_no_longer_but_a_reader_that_was_away_is_told(
    partner: Agency,
) -> None:
    core = partner("core")
    call = a_call(partner)
    with core.streams(BOARD) as stream:
        last = until_ready(stream)[-1].id
    core.acknowledges(call["id"], advise_only=True)
    core.resolves(call["id"])
    after = a_call(partner)
    with core.streams(BOARD) as stream:
        assert about(until_ready(stream), call, after) == [(after["id"], "raised")]
    with core.streams(BOARD, last=last) as stream:
        told = until_ready(stream)
        assert about(told, call, after) == [(call["id"], "resolved"), (after["id"], "raised")]
        assert all((e.id or 0) > (last or 0) for e in told)
        core.acknowledges(after["id"], advise_only=True)
        assert about([stream.next()], after) == [(after["id"], "acknowledged")]


def test_a_reader_that_was_cut_off_in_the_midst_of_the_picture_goes_on_without_a_hole(
    partner: Agency,
) -> None:
    core = partner("core")
    for _ in range(3):
        a_call(partner)
    with core.streams(BOARD) as stream:
        whole = [event.id for event in until_ready(stream)]
    assert len(whole) > 3
    with core.streams(BOARD) as stream:
        first = stream.take(2)
    with core.streams(BOARD, last=first[-1].id) as stream:
        rest = [e for e in until_ready(stream) if e.data.get("state") != "resolved"]
    assert [event.id for event in [*first, *rest]] == whole


@pytest.fixture(scope="module")
def crowd(network: RunningNetwork) -> tuple[list[str], list[str]]:
    """More open escalations than a page of the stream holds, by turns of two reasons; oldest first."""
    sender = network.partner("anshin-tomisaka")

    def call(number: int) -> Answer:
        sent = sender.posts(a_referral().to("hub-tomisaka"))
        return sender.escalates(sent.id, "E10" if number % 2 else "E08")

    with ThreadPoolExecutor(8) as others:
        answers = list(others.map(call, range(210)))
    ids = {
        reason: [
            a.body["escalations"][0]["id"]
            for a in answers
            if a.body["escalations"][0]["code"] == reason
        ]
        for reason in ("E10", "E08")
    }
    assert len(ids["E10"]) == len(ids["E08"]) == 105
    return ids["E10"], ids["E08"]


def test_a_picture_of_many_pages_is_whole_and_in_order(
    partner: Agency, crowd: tuple[list[str], list[str]]
) -> None:
    with partner("core").streams(BOARD) as stream:
        picture = until_ready(stream)
    told = [event.data["id"] for event in picture if event.name == "escalation"]
    assert len(told) == len(set(told))
    assert set(told) >= {*crowd[0], *crowd[1]}
    assert [e.id for e in picture] == sorted(e.id or 0 for e in picture)


def test_everything_since_is_told_over_many_pages(
    partner: Agency, crowd: tuple[list[str], list[str]]
) -> None:
    core = partner("core")
    with core.streams(BOARD, last=0) as stream:
        told = until_ready(stream)
    head = core.escalations().body["head"]
    ids = [event.data["id"] for event in told[:-1]]
    assert len(ids) == len(set(ids))
    assert set(ids) >= {*crowd[0], *crowd[1]}
    assert told[-1].id == head


def test_what_changes_while_a_picture_is_told_comes_after_it(
    partner: Agency, crowd: tuple[list[str], list[str]]
) -> None:
    core = partner("core")
    oldest = core.escalations(limit=500).body["items"][-1]["id"]
    with core.streams(BOARD, limit=1) as stream:
        first = stream.next()
        core.acknowledges(oldest, advise_only=True)
        rest = until_ready(stream)
        after = next(stream.events())
    assert first.data["id"] == oldest
    assert oldest not in [e.data["id"] for e in rest if e.name == "escalation"]
    assert (after.data["id"], after.data["state"]) == (oldest, "acknowledged")
    assert (after.id or 0) > (rest[-1].id or 0)


def test_a_stream_is_narrowed_by_code_district_and_custodian(
    partner: Agency, crowd: tuple[list[str], list[str]]
) -> None:
    core = partner("core")
    with core.streams(BOARD, code="E08") as stream:
        picture = until_ready(stream)
        assert {e.data["code"] for e in picture[:-1]} == {"E08"}
        assert {e.data["id"] for e in picture[:-1]} >= set(crowd[1])
        a_call(partner, "E10")
        wanted = a_call(partner, "E08")
        assert stream.next().data["id"] == wanted["id"]
    for narrowed, kept in (
        ({"custodian": "anshin-tomisaka"}, True), ({"custodian": "hub-otsuka"}, False),
        ({"district": "otsuka"}, False),
    ):  # fmt: skip
        with core.streams(BOARD, **narrowed) as stream:
            ids = {e.data["id"] for e in until_ready(stream)[:-1]}
        assert (set(crowd[0]) <= ids) is kept, narrowed
        assert kept or not ids & set(crowd[0]), narrowed


@pytest.mark.parametrize(
    "filters", [{"custodian": "hub-otsuka"}, {"custodian": "hub-otsuka", "state": "raised"}]
)
def test_whoever_follows_one_custodian_is_told_that_a_call_went_to_another(
    partner: Agency, filters: dict[str, str]
) -> None:
    """Or it would burn for ever on that board."""
    core, hub = partner("core"), partner("hub-otsuka")
    sent = partner("anshin-motofuji").posts(a_referral().to("hub-otsuka"))
    hub.accepts(sent.handoff())
    call = hub.escalates(sent.id).body["escalations"][0]
    with core.streams(BOARD, **filters) as stream:
        assert about(until_ready(stream), call) == [(call["id"], "raised")]
        assert core.acknowledges(call["id"]).status == 200
        event = stream.next()
        assert about([event], call) == [(call["id"], "acknowledged")]
        assert event.data["custodian"] == "core"
    with core.streams(BOARD, last=(event.id or 0) - 1, **filters) as stream:
        assert about(until_ready(stream), call) == [(call["id"], "acknowledged")]


def test_a_state_narrows_the_picture_and_no_change_after_it(partner: Agency) -> None:
    core = partner("core")
    raised, taken = a_call(partner), a_call(partner)
    core.acknowledges(taken["id"], advise_only=True)
    with core.streams(BOARD, state="acknowledged") as stream:
        assert about(until_ready(stream), raised, taken) == [(taken["id"], "acknowledged")]
        core.resolves(taken["id"])
        assert about([stream.next()], taken) == [(taken["id"], "resolved")]
        core.acknowledges(raised["id"], advise_only=True)
        assert about([stream.next()], raised) == [(raised["id"], "acknowledged")]


def test_who_has_no_desk_sees_no_board(partner: Agency) -> None:
    for agency in ("core", "auditor"):
        assert partner(agency).escalations().status == 200
    stranger = partner("hub-otsuka")
    with stranger.streams(BOARD) as stream:
        stream.response.read()
        assert stream.status == 403
        assert stream.response.json()["code"] == "not_involved"
    assert stranger.escalations().code == "not_involved"


def test_the_board_is_listed_newest_change_first_page_by_page(partner: Agency) -> None:
    core = partner("core")
    _, older, newer = (a_call(partner) for _ in range(3))
    core.acknowledges(older["id"], advise_only=True)
    whole = core.escalations(limit=500).body["items"]
    assert [item["id"] for item in whole[:2]] == [older["id"], newer["id"]]
    paged: list[Json] = []
    cursor: dict[str, str] = {}
    while True:
        page = core.escalations(limit=2, **cursor).body
        paged += page["items"]
        if "next" not in page or len(paged) >= 10:
            break
        cursor = {"after": page["next"]}
    assert paged == whole[: len(paged)]
    core.resolves(older["id"])
    states = {
        state: {i["id"]: i["state"] for i in core.escalations(state=state, limit=500).body["items"]}
        for state in ("open", "raised", "acknowledged", "resolved", "all")
    }
    assert states["all"] == {**states["open"], **states["resolved"]}
    assert states["open"] == {**states["raised"], **states["acknowledged"]}
    assert states["resolved"][older["id"]] == "resolved"
    assert states["raised"][newer["id"]] == "raised"
    assert core.escalations().body["items"] == core.escalations(state="open").body["items"]


@pytest.mark.parametrize(
    "query", ["state=burning", "state=", "limit=0", "limit=501", "after=x", "after=", "code=%00"]
)
def test_a_board_that_is_asked_for_wrongly_is_refused(partner: Agency, query: str) -> None:
    refused = partner("core").get(f"{BOARD}?{query}")
    assert (refused.status, refused.code) == (422, "invalid_request"), refused


@pytest.mark.parametrize("beyond", [1, 2**53 - 1])
def test_a_reader_from_before_the_database_was_put_back_begins_anew(
    partner: Agency, beyond: int
) -> None:
    """It stands at a change that there is no more."""
    core = partner("core")
    call = a_call(partner)
    head = core.escalations().body["head"]
    with core.streams(BOARD, last=min(head + beyond, 2**53 - 1)) as stream:
        picture = until_ready(stream)
        assert about(picture, call) == [(call["id"], "raised")]
        assert picture[-1].id == head
        core.acknowledges(call["id"], advise_only=True)
        assert about([stream.next()], call) == [(call["id"], "acknowledged")]


def test_a_number_that_an_inbox_has_not_come_to_is_told_and_never_met_with_silence(
    partner: Agency, network: RunningNetwork
) -> None:
    home = partner("sample-home")
    partner("ward-office").posts(a_referral().to("sample-home"))
    network.settle()
    head = home.inbox().body["head"]
    with home.streams(INBOX, last=head) as stream, home.streams(INBOX, after=head) as other:
        assert stream.status == other.status == 200
    assert home.inbox(after=head).body == {"items": [], "head": head}
    told = [home.inbox(after=head + 1).body]
    for how in ({"last": head + 1}, {"after": head + 1}, {"last": head + 1, "after": 0}):
        with home.streams(INBOX, **how) as refused:
            refused.response.read()
            assert refused.status == 422
            told.append(refused.response.json())
    for problem in told:
        assert problem["code"] == "invalid_request"
        (error,) = problem["errors"]
        assert "after" in error["detail"]
        assert "Last-Event-ID" in error["detail"]
        assert error["detail"].endswith(f", {head}")


# -- every stream --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [BOARD, INBOX])
@pytest.mark.parametrize("last", ["x", "-1", "1.5", "", "１", 2**53, "9" * 400])
def test_a_place_in_a_stream_that_is_none_is_refused(
    partner: Agency, path: str, last: object
) -> None:
    key = partner("core").key
    port = partner("core").http.base_url.port or 0
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        raw.sendall(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n"
            f"Accept: text/event-stream\r\nLast-Event-ID: {last}\r\n\r\n".encode()
        )
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 422 ")
    assert b'"invalid_request"' in answer


@pytest.mark.parametrize("path", [BOARD, INBOX])
def test_a_stream_is_kept_by_nobody_on_the_way_and_says_when_to_come_back(
    partner: Agency, path: str
) -> None:
    with partner("core").streams(path) as stream:
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        assert stream.response.headers["cache-control"] == "no-store"
        assert stream.response.headers["x-accel-buffering"] == "no"
        assert next(stream.response.iter_lines()) == "retry: 1000"


@pytest.mark.parametrize(
    ("accept", "streamed"),
    [
        ("text/event-stream", True), ("text/event-stream, */*;q=0.1", True),
        ("application/json", False), ("*/*", False), ("application/json, text/event-stream", False),
    ],
)  # fmt: skip
def test_only_who_wants_a_stream_gets_one(partner: Agency, accept: str, streamed: bool) -> None:
    with partner("core").http.stream("GET", INBOX, headers={"Accept": accept}) as response:
        given = response.headers["content-type"].startswith("text/event-stream")
        assert given is streamed


def test_without_a_key_there_is_no_stream(network: RunningNetwork) -> None:
    for path in (BOARD, INBOX):
        refused = httpx.get(f"{network.url}{path}", headers={"Accept": "text/event-stream"})
        assert refused.status_code == 401


def open_streams(network: RunningNetwork) -> dict[str, int]:
    page = httpx.get(f"{network.url}/metrics", timeout=5).text
    lines = [line for line in page.splitlines() if line.startswith("tsunagu_streams_open{")]
    return {line.split('"')[1]: int(float(line.split()[-1])) for line in lines}


def test_an_agency_has_at_most_32_streams_and_another_one_when_one_is_gone(
    partner: Agency, network: RunningNetwork
) -> None:
    eventually(lambda: not any(open_streams(network).values()), 10, "streams of other tests gone")
    hospital, other = partner("sample-hospital"), partner("lien-bunkyo")
    with contextlib.ExitStack() as opened:
        streams = [opened.enter_context(hospital.streams(INBOX)) for _ in range(31)]
        last = contextlib.ExitStack()
        streams.append(last.enter_context(hospital.streams(INBOX)))
        assert {stream.status for stream in streams} == {200}
        assert open_streams(network) == {"escalations": 0, "inbox": 32}
        with hospital.streams(INBOX) as refused:
            refused.response.read()
            assert refused.status == 429
            assert refused.response.json()["code"] == "rate_limited"
            assert refused.response.headers["retry-after"] == "5"
        with other.streams(INBOX) as allowed:
            assert allowed.status == 200
        last.close()
        eventually(lambda: open_streams(network)["inbox"] == 31, 10, "one stream gone")
        with hospital.streams(INBOX) as again:
            assert again.status == 200
    eventually(lambda: not any(open_streams(network).values()), 10, "all streams gone")


@pytest.mark.parametrize(("path", "service"), [(BOARD, "referral"), (INBOX, "delivery")])
def test_a_stream_outlives_the_service_behind_it(
    partner: Agency, network: RunningNetwork, path: str, service: str
) -> None:
    core, sender = partner("core"), partner("anshin-motofuji")
    sent = sender.posts(a_referral())
    network.settle()
    head = core.inbox().body["head"]
    with core.streams(path, last=head if path == INBOX else None) as stream:
        if path == BOARD:
            until_ready(stream)
        with network.down(service):
            answer = sender.post(
                f"/v1/referrals/{sent.id}/escalations", {"reason": "E10"}, prefer="respond-async"
            )
            assert answer.status == 202
            with core.streams(path, last=head if path == INBOX else 0) as late:
                assert late.status == 200
        event = stream.next()
        assert sent.id in str(event.data)
    network.await_ready()


def test_a_stopped_server_ends_its_streams_at_once(
    partner: Agency, network: RunningNetwork
) -> None:
    core = partner("core")
    port = core.http.base_url.port or 0
    with contextlib.ExitStack() as opened:
        streams = [opened.enter_context(core.streams(path)) for path in (BOARD, INBOX)]
        until_ready(streams[0])
        deaf = opened.enter_context(socket.socket())
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.connect(("127.0.0.1", port))
        deaf.sendall(
            f"GET {INBOX} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {core.key}\r\n"
            f"Accept: text/event-stream\r\n\r\n".encode()
        )
        eventually(lambda: open_streams(network)["inbox"] == 2, 10, "the deaf reader's stream open")
        pid = network.pid("intake")
        began = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        for stream in streams:
            for _ in stream.everything():
                pass
        eventually(lambda: network.pid("intake") != pid, 10, "intake gone and started again")
        assert time.monotonic() - began < 4, "uvicorn's own patience is five seconds"
    network.await_ready()
    with core.streams(INBOX) as stream:
        assert stream.next().id == 1
