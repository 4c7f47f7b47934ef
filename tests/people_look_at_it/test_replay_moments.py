"""Moments of a replay: exact, as people type them, and the steps between them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.outside import JAPAN
from services.audit.verify_report import EXIT_CODES as ENDS_WITH
from services.console.replay.asking import known_by
from services.console.replay.moments import Steps, exactly, just_before, mark, read_mark, typed
from services.console.replay.report import EXIT_CODES, said
from services.console.replay.seen import Seen
from services.console.words import Words
from wards.load import bundled_ward, load_ward

WORDS = Words(load_ward(bundled_ward()))
INSTANT = timedelta(microseconds=1)
FRIDAY = datetime(2026, 11, 20, 16, 50, 3, 250_001, tzinfo=JAPAN)

moments = st.integers(0, 3 * 10**15).map(lambda n: datetime(2001, 1, 1, tzinfo=UTC) + n * INSTANT)


@given(moments)
def test_an_address_says_a_moment_exactly(moment: datetime) -> None:
    assert read_mark(mark(moment)) == moment


def test_an_address_in_which_a_plus_became_a_blank_is_understood() -> None:
    assert read_mark("2026-11-20T16:50:03 09:00") == FRIDAY.replace(microsecond=0)


def test_a_second_that_is_typed_includes_all_of_it() -> None:
    second = read_mark("2026-11-20T16:50:03")
    assert second is not None
    assert FRIDAY <= second < FRIDAY.replace(second=4, microsecond=0)
    minute = read_mark("2026-11-20 16:50")
    assert minute == datetime(2026, 11, 20, 16, 50, 59, 999_999, tzinfo=JAPAN)


@pytest.mark.parametrize(
    "text",
    [
        "令和8年11月20日 16時50分",
        "R8.11.20 午後4時50分",
        "２０２６／１１／２０　１６：５０",
        "2026年11月20日 16:50",
    ],
)
def test_a_moment_is_read_as_people_write_it(text: str) -> None:
    assert read_mark(text) == datetime(2026, 11, 20, 16, 50, 59, 999_999, tzinfo=JAPAN)


def test_a_day_that_is_typed_includes_all_of_it() -> None:
    day = read_mark("令和8年11月20日")
    assert day == datetime(2026, 11, 20, 23, 59, 59, 999_999, tzinfo=JAPAN)


@pytest.mark.parametrize(
    "text",
    ["", "きのう", "2026-11-31T00:00", "1999-01-01T00:00", "9999-12-31T23:59:59", "T", "0", " ",
     "2026-11-20T16:50:03+09:00" + "0" * 40, "<script>", "0001-01-01T00:00:00", "0001-01-01 00:00", "9999-12-31",
     "9001-01-01T00:00:00Z"],
)  # fmt: skip
def test_what_is_no_moment_of_a_ledger_is_none(text: str) -> None:
    assert read_mark(text) is None


def test_people_read_a_moment_to_its_second_and_what_is_below() -> None:
    assert exactly(FRIDAY, WORDS) == "2026年11月20日(金) 16:50:03.250"
    assert (
        exactly(FRIDAY.replace(microsecond=0), Words(WORDS.ward, "en"))
        == "Fri 20 Nov 2026 16:50:03"
    )
    assert typed(FRIDAY.astimezone(UTC)) == "2026-11-20 16:50:03"


ONE, TWO, THREE = (FRIDAY + timedelta(minutes=n) for n in range(3))


@pytest.mark.parametrize(
    ("at", "index", "previous", "following"),
    [
        pytest.param(just_before(ONE), -1, None, ONE, id="before it began"),
        pytest.param(ONE, 0, None, TWO, id="at the first"),
        pytest.param(TWO, 1, ONE, THREE, id="at the second"),
        pytest.param(just_before(THREE), 1, TWO, THREE, id="between two"),
        pytest.param(THREE, 2, TWO, None, id="at the last"),
        pytest.param(THREE + timedelta(days=1), 2, THREE, None, id="after the last"),
        pytest.param(None, 2, TWO, None, id="now"),
    ],
)
def test_one_goes_a_step_back_and_a_step_on(
    at: datetime | None, index: int, previous: datetime | None, following: datetime | None
) -> None:
    steps = Steps([ONE, TWO, THREE], at)
    assert (steps.index, steps.previous, steps.next) == (index, previous, following)


def test_where_nothing_happened_there_are_no_steps() -> None:
    steps = Steps([], None)
    assert (steps.index, steps.first, steps.previous, steps.next) == (-1, None, None, None)


def test_what_was_known_ends_where_the_ledger_ended_then() -> None:
    entries = [
        {"index": 4, "received_at": mark(ONE)},
        {"index": 9, "received_at": mark(TWO)},
        {"index": 12, "received_at": mark(THREE)},
    ]
    assert known_by(entries, TWO) == 10
    assert known_by(entries, just_before(ONE)) == 0


def test_a_slider_that_moves_is_one_look_and_coming_back_is_another() -> None:
    seen, now = Seen(), FRIDAY
    assert seen.is_new("session", "case", now)
    seen.recorded("session", "case", now)
    assert not seen.is_new("session", "case", now + timedelta(minutes=9))
    assert seen.is_new("session", "case", now + timedelta(minutes=10))
    assert seen.is_new("session", "case", now - timedelta(minutes=1))
    assert seen.is_new("another session", "case", now)
    assert seen.is_new("session", "another case", now)


def test_the_page_names_the_exit_code_with_which_the_command_line_ends() -> None:
    assert {
        None if kind is None else kind.value: code for kind, code in ENDS_WITH.items()
    } == EXIT_CODES
    for kind in EXIT_CODES:
        assert said(kind, WORDS) != kind
