"""Whoever looks at the board sees what burns, in words."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from tests.seen_at_once.watch_calls import DIRECTORY, NAMES, NOW, ACall, a_call
from watch.board import Names, Row, rows, span, summary
from watch.details import details
from watch.drawing import COLUMNS, columns_for, live, once, shortened, window
from watch.watching import Ready, Unreadable, Watching


def row(call: ACall) -> dict[str, str]:
    (only,) = rows([call.told(1)], NAMES, NOW)
    return {name: cell.text for name, cell in only.cells.items()}


def board(*calls: ACall) -> Watching:
    watching = Watching(NAMES)
    for change, call in enumerate(calls, 1):
        watching.hear(call.told(change), 0, NOW)
    watching.hear(Ready(), 0, NOW)
    return watching


def printed(watching: Watching, width: int, height: int = 0) -> list[str]:
    console = Console(width=width, color_system=None, record=True, quiet=True)
    with console.capture() as capture:
        console.quiet = False
        drawn = live(watching, NOW, width, height) if height else once(watching, NOW, width)
        console.print(drawn)
    return capture.get().splitlines()


# -- one call --------------------------------------------------------------------------------------


def test_a_call_is_told_in_the_wards_words() -> None:
    assert row(a_call("E07")) == {
        "code": "E07",
        "reason": "拠点の閉所中の緊急",
        "agency": "高齢者あんしん相談センター本富士",
        "district": "本富士地区",
        "urgency": "緊急",
        "desk": "基幹 夜間休日当番 1段目",
        "state": "応答待ち",
        "age": "5分",
        "left": "残り 15分",
    }


def test_an_undecided_district_names_its_candidates() -> None:
    undecided = a_call("E06").having(district=None, candidates=["komagome", "tomisaka"])
    assert row(undecided)["district"] == "未定 駒込・富坂"


def test_a_call_in_hand_says_so() -> None:
    assert row(a_call().acknowledged())["state"] == "応答あり"


@pytest.mark.parametrize(
    ("due", "words"),
    [
        ({"days": 2, "hours": 3, "minutes": 59}, "残り 2日3時間"),
        ({"hours": 1, "minutes": 5}, "残り 1時間05分"),
        ({"minutes": 12, "seconds": 59}, "残り 12分"),
        ({"minutes": 5}, "残り 5分"),
        ({"minutes": 4, "seconds": 59}, "間近 4分59秒"),
        ({"seconds": 1}, "間近 0分01秒"),
        ({"seconds": 0}, "超過 0秒"),
        ({"minutes": -3}, "超過 3分"),
        ({"days": -1, "hours": -1}, "超過 1日1時間"),
    ],
)
def test_the_time_left_is_told_in_words(due: dict[str, float], words: str) -> None:
    assert row(a_call().due_in(**due))["left"] == words


def test_a_call_without_a_clock_says_so() -> None:
    assert row(a_call().having(due_at=None))["left"] == "期限なし"


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=999)))
def test_a_length_is_never_told_longer_than_it_is(length: timedelta) -> None:
    words = span(length)
    amount = 0
    for unit, seconds in (("日", 86_400), ("時間", 3600), ("分", 60), ("秒", 1)):
        head, found, words = words.rpartition(unit) if unit in words else ("", "", words)
        amount += int(head) * seconds if found else 0
    assert timedelta(seconds=amount) <= length < timedelta(seconds=amount) + timedelta(hours=1)


def test_words_differ_wherever_colours_differ() -> None:
    lengths = [timedelta(seconds=s) for s in (-86_400, -60, -1, 1, 299, 301, 86_400)]
    seen: dict[str, set[str]] = {}
    for length in lengths:
        (one,) = rows([a_call().having(due_at=NOW + length).told(1)], NAMES, NOW)
        cell = one.cells["left"]
        seen.setdefault(cell.style, set()).add(cell.text.split()[0])
    told = list(seen.values())
    assert len(told) == 3
    assert all(len(words) == 1 for words in told)
    assert len(set().union(*told)) == 3


def test_a_code_that_has_no_word_stands_for_itself() -> None:
    nameless = {**DIRECTORY, "desks": [], "escalation_reasons": [], "agencies": []}
    (only,) = rows([a_call().told(1)], Names.of(nameless), NOW)
    assert only.cells["reason"].text == "E07"
    assert only.cells["agency"].text == "anshin-motofuji"
    assert only.cells["desk"].text == "core-on-call 1段目"


# -- all of them -----------------------------------------------------------------------------------


def test_the_newest_call_is_on_top() -> None:
    old, new, middle = (a_call(count=n).raised_ago(minutes=m) for n, m in enumerate((9, 1, 5)))
    found = rows([c.told(n) for n, c in enumerate((old, new, middle))], NAMES, NOW)
    assert [r.id for r in found] == [new.id, middle.id, old.id]


def test_the_heading_counts_who_waits_and_what_is_overdue() -> None:
    calls = [a_call(), a_call().due_in(minutes=-1), a_call().acknowledged(), a_call().resolved()]
    told = [c.told(1) for c in calls]
    assert summary(told, NOW) == "応答待ち 2件  応答あり 1件  期限超過 1件"
    assert summary(told[:1], NOW) == "応答待ち 1件  応答あり 0件"


def test_an_empty_board_says_that_nothing_burns() -> None:
    assert "いま上申はありません" in "".join(printed(board(), 80))


# -- drawn -----------------------------------------------------------------------------------------


MANY = [
    a_call("E01", 1).due_in(minutes=-3),
    a_call("E06", 2).having(district=None, candidates=["komagome", "tomisaka"]),
    a_call("E10", 3).acknowledged().due_in(days=2).having(urgency="information", custodian="core"),
]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160, 200])
def test_no_line_is_wider_than_the_terminal_and_every_row_is_one_line(width: int) -> None:
    lines = printed(board(*MANY), width)
    assert len(lines) == 2 + len(MANY)
    assert max(cell_len(line) for line in lines) <= width


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_what_must_not_be_missed_is_there_at_any_width(width: int) -> None:
    told = "\n".join(printed(board(*MANY), width))
    assert "超過 3分" in told
    assert "E01" in told
    assert "応答待ち" in told


def test_eighty_columns_leave_out_what_matters_least() -> None:
    names = [c.name for c, _ in columns_for(80, rows([], NAMES, NOW))]
    assert names == ["code", "agency", "district", "urgency", "state", "age", "left"]
    assert [c.name for c, _ in columns_for(160, [])] == [c.name for c in COLUMNS]


@pytest.mark.parametrize("width", [80, 120, 160])
def test_full_width_characters_stay_in_line(width: int) -> None:
    _, head, *body = printed(board(*MANY), width)
    place = cell_len(head[: head.index("状態")])
    for line in body:
        before = next(line[:n] for n in range(len(line) + 1) if cell_len(line[:n]) == place)
        assert line[len(before) :].startswith(("応答待ち", "応答あり"))


def test_two_agencies_that_differ_at_the_end_are_told_apart_when_short() -> None:
    motofuji, tomisaka = (
        shortened(NAMES.agencies[a], 13, ends=True) for a in ("anshin-motofuji", "anshin-tomisaka")
    )
    assert motofuji != tomisaka
    assert max(cell_len(motofuji), cell_len(tomisaka)) <= 13


@given(
    st.text(alphabet="上申aE・-", max_size=40),
    st.integers(min_value=3, max_value=30),
    st.booleans(),
)
def test_what_is_shortened_fits(text: str, width: int, ends: bool) -> None:
    assert cell_len(shortened(text, width, ends=ends)) <= width


@given(st.integers(1, 300), st.integers(0, 299), st.integers(1, 60))
def test_the_selected_row_is_always_on_the_screen(count: int, selected: int, room: int) -> None:
    selected %= count
    shown = window(count, selected, room)
    assert selected in shown
    assert len(shown) == min(count, room)
    assert shown.start >= 0
    assert shown.stop <= count


@pytest.mark.parametrize("height", [6, 8, 12, 24])
@pytest.mark.parametrize("opened", [False, True])
def test_a_board_longer_than_the_screen_says_how_many_are_not_shown(
    opened: bool, height: int
) -> None:
    watching = board(*(a_call(count=n).raised_ago(minutes=n) for n in range(50)))
    if opened:
        watching.press("\r", NOW)
    lines = printed(watching, 80, height)
    assert len(lines) <= height
    rest = next(line for line in lines if "ほかに" in line)
    shown = sum(line.startswith(("> E07", "  E07")) for line in lines)
    assert rest.strip() == f"ほかに上に 0件、下に {50 - shown}件"


@pytest.mark.parametrize("height", [0, 12])
def test_calls_that_cannot_be_read_are_counted(height: int) -> None:
    watching = board()
    watching.hear(Unreadable("one", resolved=False), 0, NOW)
    told = "\n".join(printed(watching, 80, height))
    assert "読めない上申 1件" in told
    assert "いま上申はありません" not in told


@pytest.mark.parametrize("width", [40, 100])
@pytest.mark.parametrize("height", [2, 3, 4, 5, 6, 7, 24])
def test_the_whole_question_is_on_the_smallest_screen(height: int, width: int) -> None:
    watching = board(*MANY)
    watching.press("j", NOW)
    watching.press("a", NOW)
    lines = printed(watching, width, height)
    assert len(lines) <= height
    assert watching.question() in "".join(lines)


def test_the_details_say_who_was_asked_and_what_follows() -> None:
    watching = board(a_call().due_in(minutes=12))
    watching.press("\r", NOW)
    call = next(iter(watching.calls.values()))
    told = "\n".join(details(call, NAMES, NOW, "いま読めません"))
    assert call.number in told
    assert "期限や条件による自動の上申" in told
    assert "11/20 17:12（残り 12分）までに応答がなければ、次の窓口" in told


def test_nothing_that_comes_from_outside_moves_the_cursor() -> None:
    assert shortened("a\x1b[2Jb\n", 20) == "a?[2Jb?"


def test_a_row_has_a_cell_for_every_column() -> None:
    (only,) = rows([a_call().told(1)], NAMES, NOW)
    assert isinstance(only, Row)
    assert set(only.cells) == {column.name for column in COLUMNS}
