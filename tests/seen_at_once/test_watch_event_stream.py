"""The stream is read as the standard says, however the network cuts it."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watch.event_stream import Event, EventReader


def read(*chunks: bytes) -> list[Event]:
    reader = EventReader()
    return [event for chunk in chunks for event in reader.feed(chunk)]


def test_an_event_has_a_type_and_data_and_an_id() -> None:
    assert read(b'event: escalation\nid: 7\ndata: {"a":1}\n\n') == [
        Event("escalation", '{"a":1}', "7")
    ]


def test_data_on_several_lines_is_one_text() -> None:
    assert read(b"data: one\ndata:two\ndata\ndata:  three\n\n") == [
        Event("message", "one\ntwo\n\n three", "")
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"], ids=["LF", "CR", "CRLF"])
def test_lines_end_in_any_of_three_ways(end: bytes) -> None:
    lines = [b"event: ready", b"data: x", b"", b"data: y", b"", b""]
    assert read(end.join(lines)) == [Event("ready", "x", ""), Event("message", "y", "")]


def test_comments_and_unknown_fields_say_nothing() -> None:
    assert read(b": keep-alive\n\n:\ndata: x\ncolour: red\nnothing\n\n") == [
        Event("message", "x", "")
    ]


def test_an_id_holds_until_another_comes() -> None:
    told = read(b"id: 1\ndata: a\n\ndata: b\n\nid: 2\n\ndata: c\n\nid: 3\0\ndata: d\n\n")
    assert [event.id for event in told] == ["1", "1", "2", "2"]


def test_an_event_without_data_is_none_and_its_type_is_forgotten() -> None:
    assert read(b"event: ready\n\ndata: x\n\n") == [Event("message", "x", "")]


def test_an_event_that_was_cut_off_is_none() -> None:
    assert read(b"data: whole\n\ndata: half\n") == [Event("message", "whole", "")]


def test_a_byte_order_mark_counts_only_at_the_beginning() -> None:
    assert read(b"\xef\xbb\xbfdata: x\n\n") == [Event("message", "x", "")]
    assert read(b"data: x\n\n\xef\xbb\xbfdata: y\n\n") == [Event("message", "x", "")]


@pytest.mark.parametrize(
    ("said", "understood"), [("2500", 2500), ("2.5", None), ("", None), ("-1", None), ("٣", None)]
)
def test_the_server_says_how_long_to_wait_in_digits(said: str, understood: int | None) -> None:
    reader = EventReader()
    reader.feed(f"retry: {said}\n\n".encode())
    assert reader.retry_ms == understood


lines = st.one_of(
    st.sampled_from(["", "", "data", "id: 5", "event: escalation", ": 見張り", "retry: 10"]),
    st.text(alphabet="上申a: \0\ufeff", max_size=6).map("data:{}".format),
    st.text(alphabet="上申a:", max_size=6),
)
streams = st.lists(st.tuples(lines, st.sampled_from(["\n", "\r", "\r\n"])), max_size=20).map(
    lambda said: "".join(line + end for line, end in said).encode()
)


def cut(whole: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(p % (len(whole) + 1) for p in places), len(whole)]
    return [whole[a:b] for a, b in pairwise(edges)]


@given(streams, st.lists(st.integers(min_value=0), max_size=10))
def test_any_cut_gives_the_same_events(whole: bytes, places: list[int]) -> None:
    assert read(*cut(whole, places)) == read(whole)


@given(streams)
def test_byte_by_byte_gives_the_same_events(whole: bytes) -> None:
    assert read(*(bytes([b]) for b in whole)) == read(whole)
