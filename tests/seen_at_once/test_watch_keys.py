"""What a key means at the board, and what stays put while rows come and go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.seen_at_once.watch_calls import NAMES, NOW, ACall, a_call
from watch.terminal import Keyboard
from watch.watching import (
    LINGERS,
    Acknowledge,
    Connected,
    Key,
    Quit,
    ReadHandoffs,
    Ready,
    Unreadable,
    Watching,
)

OLD, MIDDLE, NEW = (a_call(count=n).raised_ago(minutes=10 - n) for n in (1, 2, 3))


def board(*calls: ACall) -> Watching:
    watching = Watching(NAMES)
    for change, call in enumerate(calls, 1):
        watching.hear(call.told(change), 0, NOW)
    watching.hear(Ready(), 0, NOW)
    watching.rows(NOW)
    return watching


def press(watching: Watching, keys: str) -> list[object]:
    wishes = [watching.press(key, NOW) for key in keys]
    return [wish for wish in wishes if wish is not None]


def test_the_newest_is_selected_and_j_and_k_move() -> None:
    watching = board(OLD, MIDDLE, NEW)
    seen = [watching.selected]
    for key in "jjjkkk":
        watching.press(key, NOW)
        seen.append(watching.selected)
    new, middle, old = NEW.id, MIDDLE.id, OLD.id
    assert seen == [new, middle, old, old, middle, new, new]


def test_the_selection_stays_on_its_call_when_others_come() -> None:
    watching = board(OLD)
    for change, call in enumerate((MIDDLE, NEW), 5):
        watching.hear(call.told(change), 0, NOW)
        watching.rows(NOW)
    assert watching.selected == OLD.id


def test_when_the_selected_call_goes_its_neighbour_is_selected() -> None:
    watching = board(OLD, MIDDLE, NEW)
    press(watching, "j")
    watching.hear(MIDDLE.resolved().told(9), 0, NOW)
    watching.pass_time(LINGERS)
    watching.rows(NOW)
    assert watching.selected == OLD.id


def test_nothing_is_selected_before_the_picture_is_complete() -> None:
    watching = Watching(NAMES)
    watching.hear(OLD.told(1), 0, NOW)
    assert press(watching, "ay") == []
    watching.hear(NEW.told(2), 0, NOW)
    watching.hear(Ready(), 0, NOW)
    watching.rows(NOW)
    assert watching.selected == NEW.id


def test_a_resolved_call_is_shown_for_a_moment_and_leaves() -> None:
    watching = board(OLD)
    watching.hear(OLD.resolved().told(2), 100, NOW)
    watching.pass_time(100 + LINGERS - 0.1)
    (row,) = watching.rows(NOW)
    assert row.cells["left"].text == "解決済み"
    watching.pass_time(100 + LINGERS)
    assert watching.rows(NOW) == []


def test_what_is_told_late_changes_nothing() -> None:
    watching = board(OLD)
    watching.hear(OLD.acknowledged().told(5), 0, NOW)
    watching.hear(OLD.told(1), 0, NOW)
    (row,) = watching.rows(NOW)
    assert row.cells["state"].text == "応答あり"


@pytest.mark.parametrize(("key", "advise_only"), [("a", False), ("v", True)])
def test_acknowledging_asks_once_first(key: str, advise_only: bool) -> None:
    watching = board(OLD)
    assert press(watching, key) == []
    assert OLD.number in watching.question()
    assert "よろしいですか" in watching.question()
    assert press(watching, "y") == [Acknowledge(OLD.told(1), advise_only)]
    assert watching.question() == ""


@pytest.mark.parametrize("key", ["n", "q", Key.ESCAPE])
def test_whoever_does_not_say_yes_changes_nothing(key: str) -> None:
    watching = board(OLD)
    watching.press("a", NOW)
    assert watching.press(key, NOW) is None
    assert watching.question() == ""
    assert press(watching, "y") == []


def test_any_other_key_leaves_the_question_standing() -> None:
    watching = board(OLD)
    assert press(watching, "axj\r") == []
    assert watching.question()


def test_the_question_is_about_its_call_even_if_another_comes_meanwhile() -> None:
    watching = board(OLD)
    press(watching, "a")
    watching.hear(NEW.told(9), 0, NOW)
    watching.rows(NOW)
    (wish,) = press(watching, "y")
    assert isinstance(wish, Acknowledge)
    assert wish.call.id == OLD.id


def test_a_resolved_call_is_not_acknowledged() -> None:
    watching = board(OLD)
    watching.hear(OLD.resolved().told(2), 0, NOW)
    assert press(watching, "ay") == []
    assert "解決しました" in watching.status


def test_a_call_that_was_answered_is_not_answered_again() -> None:
    watching = board(OLD.acknowledged())
    assert press(watching, "ay") == []
    assert "すでに応答済みです" in watching.status


def test_a_call_is_answered_once_while_the_answer_is_under_way() -> None:
    watching = board(OLD)
    (wish,) = press(watching, "ayayvy")
    assert isinstance(wish, Acknowledge)
    assert "送っています" in watching.status
    watching.answered(wish, "応答が届いたか分かりません")
    assert press(watching, "ay") == [wish]


def test_a_restored_network_counts_anew_and_what_it_does_not_know_leaves() -> None:
    watching = board(OLD, MIDDLE, MIDDLE.acknowledged(), NEW)
    watching.hear(Connected(NAMES, whole=True), 0, NOW)
    assert len(watching.rows(NOW)) == 3
    watching.hear(OLD.told(1), 0, NOW)
    watching.hear(MIDDLE.told(2), 0, NOW)
    watching.hear(Ready(), 0, NOW)
    assert [row.cells["state"].text for row in watching.rows(NOW)] == ["応答待ち", "応答待ち"]
    watching.hear(MIDDLE.acknowledged().told(3), 0, NOW)
    assert [row.cells["state"].text for row in watching.rows(NOW)] == ["応答あり", "応答待ち"]


def test_what_cannot_be_read_is_counted_once_and_until_it_is_resolved_or_read() -> None:
    watching = board()
    for heard in (Unreadable("x", False), Unreadable("x", False), Unreadable(str(OLD.id), False)):
        watching.hear(heard, 0, NOW)
    assert len(watching.unreadable) == 2
    watching.hear(Unreadable("x", resolved=True), 0, NOW)
    watching.hear(OLD.told(1), 0, NOW)
    assert watching.unreadable == set()


def test_enter_opens_and_closes_and_follows_the_selection() -> None:
    watching = board(OLD, NEW)
    (opened,) = press(watching, "\r")
    assert opened == ReadHandoffs(NEW.told(2))
    (moved,) = press(watching, "j")
    assert moved == ReadHandoffs(OLD.told(1))
    assert press(watching, "\r") == []
    assert watching.opened is None


def test_what_is_open_is_read_again_when_it_changes() -> None:
    watching = board(OLD)
    press(watching, "\r")
    assert watching.refresh() is None
    newer = OLD.acknowledged().told(2)
    watching.hear(newer, 0, NOW)
    assert watching.refresh() == ReadHandoffs(newer)
    assert watching.refresh() is None


def test_help_goes_away_with_any_key_and_q_quits() -> None:
    watching = board(OLD)
    press(watching, "?")
    assert watching.helping
    assert press(watching, "a") == []
    assert not watching.helping
    assert watching.question() == ""
    assert press(watching, "q") == [Quit()]


def test_only_a_new_call_or_a_further_desk_rings() -> None:
    watching = Watching(NAMES)
    assert not watching.hear(OLD.told(1), 0, NOW)
    watching.hear(Ready(), 0, NOW)
    assert watching.hear(NEW.told(2), 0, NOW)
    assert not watching.hear(NEW.told(2), 0, NOW)
    assert not watching.hear(NEW.having(custodian="core").told(3), 0, NOW)
    assert watching.hear(NEW.having(level=2).told(4), 0, NOW)
    assert not watching.hear(NEW.acknowledged().told(5), 0, NOW)


# -- the keyboard ----------------------------------------------------------------------------------


TYPED = [
    (b"j", ["j"]), (b"\x1b[A", [Key.UP]), (b"\x1bOB", [Key.DOWN]), ("ａ".encode(), ["a"]),
    (b"\r", ["\r"]), (b"\x1b[3~", []), (b"\x1b[1;5C", []), (b"Q", ["q"]), ("？".encode(), ["?"]),
]  # fmt: skip


@given(st.lists(st.sampled_from(TYPED)), st.integers(1, 4))
def test_keys_are_told_apart_however_they_are_cut(
    typed: list[tuple[bytes, list[str]]], size: int
) -> None:
    keyboard = Keyboard()
    whole = b"".join(t for t, _ in typed)
    keys = [k for n in range(0, len(whole), size) for k in keyboard.feed(whole[n : n + size])]
    assert keys == [k for _, wanted in typed for k in wanted]
    assert not keyboard.undecided


def test_esc_alone_is_a_key_once_nothing_follows() -> None:
    keyboard = Keyboard()
    assert keyboard.feed(b"\x1b") == []
    assert keyboard.undecided
    assert keyboard.settle() == [Key.ESCAPE]
    assert keyboard.settle() == []
    assert keyboard.feed(b"\x1bq") == [Key.ESCAPE, "q"]
