"""The core centre's board, as somebody at a terminal sees and uses it: the real program."""

import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runtime.clock import shift
from schemas.problems import ProblemCode, Refusal
from tests.network import eventually
from tests.seen_at_once.watch_calls import ACall, a_call
from tests.seen_at_once.watch_network import KEY, SmallNetwork, small_network
from tests.seen_at_once.watch_terminal import REPOSITORY, Terminal, terminal
from watch.line import TRIES

Board = Callable[..., Terminal]


def called(code: str = "E07", count: int = 1) -> ACall:
    return a_call(code, count, at=datetime.now(UTC)).raised_ago(minutes=10 - count)


@pytest.fixture
def network() -> Iterator[SmallNetwork]:
    with small_network() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, network: SmallNetwork) -> Path:
    (tmp_path / "url").write_text(f"{network.url}\n", encoding="ascii")
    keys = tmp_path / "keys.toml"
    keys.write_text(f'core = "{KEY}"\nhub-motofuji = "wrong"\n', encoding="utf-8")
    keys.chmod(0o600)
    return tmp_path


@pytest.fixture
def watch(home: Path) -> Iterator[Board]:
    """``watch()``: `tsunagu watch` in a terminal of its own."""
    with ExitStack() as stack:
        yield lambda *arguments, **how: stack.enter_context(
            terminal("watch", *arguments, TSUNAGU_HOME=str(home), **how)
        )


def run(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "services.cli", "watch", *arguments],
        env={**os.environ, "TSUNAGU_HOME": str(home), "COLUMNS": "300", **environment},
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# -- seen at once ----------------------------------------------------------------------------------


def test_a_call_is_on_the_board_as_soon_as_it_is_raised(
    network: SmallNetwork, watch: Board
) -> None:
    board = watch()
    board.sees("いま上申はありません")
    network.happens(called("E07").due_in(minutes=12, seconds=30))
    text = board.sees("E07", "残り 12分", "応答待ち 1件")
    assert "拠点の閉所中" in text
    assert "緊急" in text


def test_the_time_left_runs(network: SmallNetwork, watch: Board) -> None:
    board = watch()
    board.sees("いま上申はありません")
    network.happens(called().due_in(seconds=4))
    first = board.sees("間近 0分")
    board.until(lambda text: "間近" in text and _left(text) != _left(first), "time that runs")
    board.sees("期限超過 1件")


def _left(text: str) -> str:
    return text.partition("間近 ")[2][:5]


def test_what_is_answered_elsewhere_changes_and_what_is_resolved_leaves(
    network: SmallNetwork, watch: Board
) -> None:
    call = called()
    network.happens(call)
    board = watch()
    board.sees("E07", "応答待ち 1件")
    network.happens(call.acknowledged())
    board.sees("応答待ち 0件  応答あり 1件")
    network.happens(call.acknowledged().resolved())
    board.sees("解決済み", "応答あり 0件")
    board.sees("いま上申はありません")


def test_a_new_call_rings_and_the_first_picture_does_not(
    network: SmallNetwork, watch: Board
) -> None:
    network.happens(called("E01", 1))
    board = watch("--sound")
    board.sees("E01")
    assert board.screen.bells == 0
    network.happens(called("E02", 2))
    board.sees("E02")
    board.until(lambda _: board.screen.bells == 1, "a bell")


def test_without_sound_nothing_rings(network: SmallNetwork, watch: Board) -> None:
    board = watch()
    board.sees("いま上申はありません")
    network.happens(called())
    board.sees("E07")
    board.types("q")
    board.ends()
    assert board.screen.bells == 0


def test_a_news_that_nobody_can_read_is_told(network: SmallNetwork, watch: Board) -> None:
    board = watch()
    board.sees("いま上申はありません")
    network.says(b"event: of-tomorrow\ndata: {}\n\n" + b"event: escalation\ndata: {}\n\n")
    board.sees("読めない上申 1件")
    network.happens(called())
    board.sees("E07")


# -- answered --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "advise_only"), [("a", False), ("v", True)])
def test_a_key_and_a_yes_acknowledge_the_selected_call(
    network: SmallNetwork, watch: Board, key: str, advise_only: bool
) -> None:
    network.happens(called("E01", 1))
    chosen = network.happens(called("E02", 2))
    network.happens(called("E03", 3))
    board = watch()
    board.until(lambda _: "E03" in board.selected(), "the newest selected")
    board.types("\x1b[B")
    board.until(lambda _: "E02" in board.selected(), "E02 selected")
    board.types(key)
    board.sees(f"{chosen.number} E02", "よろしいですか y/n")
    assert network.posts == []
    board.types("y")
    board.sees(f"{chosen.number} に{'助言で' if advise_only else ''}応答し")
    ((path, body, idempotency_key),) = network.posts
    assert path == f"/v1/escalations/{chosen.id}/acknowledge"
    assert body == {"advise_only": advise_only}
    assert idempotency_key


def test_a_no_changes_nothing(network: SmallNetwork, watch: Board) -> None:
    network.happens(called())
    board = watch()
    board.until(lambda _: board.selected(), "a row selected")
    board.types("a")
    board.sees("よろしいですか")
    board.types("n")
    board.sees("やめました")
    assert network.posts == []


def test_that_somebody_was_faster_is_told(network: SmallNetwork, watch: Board) -> None:
    network.happens(called())
    document = Refusal(ProblemCode.ALREADY_ANSWERED).document()
    network.answers.append((409, document))
    board = watch()
    board.until(lambda _: board.selected(), "a row selected")
    board.types("ay")
    board.sees("はすでに応答済みです")


def test_the_same_answer_twice_is_sent_once(network: SmallNetwork, watch: Board) -> None:
    network.happens(called())
    network.slow = 1.0
    board = watch()
    board.until(lambda _: board.selected(), "a row selected")
    board.types("ayay")
    board.sees("応答し、担当を引き受けました")
    assert len(network.posts) == 1
    board.types("q")
    assert board.ends() == 0


def test_a_yes_counts_only_where_its_question_can_be_seen(
    network: SmallNetwork, watch: Board
) -> None:
    network.happens(called())
    board = watch(height=1, width=40)
    board.sees("つなぐ 見張り  応答待ち 1件")
    board.types("a")
    board.sees("E07 に応答し")
    board.types("y")
    time.sleep(0.5)
    assert network.posts == []
    board.resized(3, 40)
    board.sees("よろしいですか")
    board.types("y")
    eventually(lambda: network.posts, 10, "acknowledged")


def test_an_arrow_that_comes_in_pieces_is_no_letter(network: SmallNetwork, watch: Board) -> None:
    network.happens(called())
    board = watch()
    board.until(lambda _: board.selected(), "a row selected")
    board.types("\x1b")
    time.sleep(0.15)
    board.types("[A?")
    board.sees("any key goes back")


def test_any_other_refusal_is_told_in_its_own_words(network: SmallNetwork, watch: Board) -> None:
    network.happens(called())
    network.answers.append((409, Refusal(ProblemCode.ALREADY_CLOSED).document()))
    board = watch()
    board.until(lambda _: board.selected(), "a row selected")
    board.types("ay")
    board.sees("この件は終結または取消済みです")


def test_an_answer_that_got_lost_is_asked_for_again_with_the_same_key(
    network: SmallNetwork, watch: Board
) -> None:
    network.happens(called())
    unavailable = Refusal(ProblemCode.UNAVAILABLE)
    network.answers += [(0, {}), (unavailable.status, unavailable.document())]
    board = watch()
    board.until(lambda _: board.selected(), "a row selected")
    board.types("ay")
    board.sees("応答し、担当を引き受けました")
    assert len(network.posts) == 3
    assert len({key for _, _, key in network.posts}) == 1
    board.types("ay")
    eventually(lambda: len(network.posts) == 4, 10, "acknowledged once more")
    assert network.posts[3][2] != network.posts[0][2]


def test_an_answer_that_stays_unknown_is_told_and_the_next_try_is_the_same_one(
    network: SmallNetwork, watch: Board
) -> None:
    network.happens(called())
    network.answers += [(0, {})] * TRIES
    board = watch()
    board.until(lambda _: board.selected(), "a row selected")
    board.types("ay")
    board.sees("応答が届いたか分かりません")
    board.types("ay")
    board.sees("応答し、担当を引き受けました")
    assert len(network.posts) == TRIES + 1
    assert len({key for _, _, key in network.posts}) == 1


def test_the_selection_stays_on_its_call_while_others_come(
    network: SmallNetwork, watch: Board
) -> None:
    network.happens(called("E01", 1))
    board = watch()
    board.until(lambda _: "E01" in board.selected(), "E01 selected")
    network.happens(called("E02", 2))
    text = board.sees("E02")
    assert text.index("E02") < text.index("E01")
    assert "E01" in board.selected()


def test_enter_shows_who_was_asked_until_when_and_what_follows(
    network: SmallNetwork, watch: Board
) -> None:
    call = network.happens(called())
    due = datetime.now(UTC) + timedelta(minutes=7, seconds=30)
    network.handoffs = [
        {
            "id": str(call.id), "kind": "transfer", "function": "emergency",
            "from": "anshin-motofuji", "to": "hub-motofuji", "state": "offered",
            "offered_at": call.raised_at.isoformat(), "due_at": due.isoformat(),
        }
    ]  # fmt: skip
    board = watch()
    board.until(lambda _: board.selected(), "a row selected")
    board.types("\r")
    board.sees(call.number, "サポートセンターいちょうへ引き継ぎ（担当が移る）  打診中", "残り 7分")
    board.sees("応答がなければ、次の窓口")
    board.types("\x1b")
    board.sees_no_more("応答がなければ、次の窓口")
    board.types("?")
    board.sees("any key goes back")
    board.types("x")
    board.sees_no_more("any key goes back")


# -- lost and found --------------------------------------------------------------------------------


def test_a_lost_connection_is_told_and_found_again_without_a_hole(
    network: SmallNetwork, watch: Board
) -> None:
    network.happens(called("E01", 1))
    board = watch()
    board.sees("E01")
    newest = network.happens(called("E02", 2))
    board.sees("E02")
    network.stop()
    board.sees("接続が切れました、再接続中", "2回目", "E01", "E02")
    network.happens(called("E03", 3))
    network.start()
    board.sees("E03")
    board.sees_no_more("接続が切れました")
    assert network.resumed[-1] == str(newest.change)
    assert network.resumed[0] is None
    assert None not in network.resumed[1:]


def test_a_restored_network_is_read_anew(network: SmallNetwork, watch: Board) -> None:
    first = called("E01", 1)
    network.happens(first)
    network.happens(called("E02", 2))
    network.happens(first.acknowledged())
    board = watch()
    board.sees("応答待ち 1件  応答あり 1件")
    network.stop()
    network.restored(1)
    network.happens(called("E03", 3))
    network.start()
    board.sees("E01", "E03", "応答待ち 2件  応答あり 0件")
    board.sees_no_more("E02")
    assert network.resumed[-2:] == ["3", None]


def test_a_network_that_is_not_there_yet_is_waited_for(network: SmallNetwork, watch: Board) -> None:
    network.happens(called())
    network.stop()
    board = watch()
    board.sees("まだつながりません、再接続中", "上申を読んでいます")
    network.start()
    board.sees("E07")
    board.sees_no_more("まだつながりません")


def test_the_time_left_is_that_of_the_networks_clock(network: SmallNetwork, watch: Board) -> None:
    network.ahead = 200
    network.happens(called().due_in(minutes=12, seconds=30))
    watch().sees("残り 9分", "この端末の時計は 3分遅れています")


def test_a_clock_that_was_moved_on_purpose_stays(network: SmallNetwork, home: Path) -> None:
    shift(home / "moved", 200)
    network.happens(called().due_in(minutes=12, seconds=30))
    done = run(home, TSUNAGU_CLOCK_SHIFT=str(home / "moved"))
    assert "残り 9分" in done.stdout
    assert "時計は" not in done.stdout


def test_a_network_that_cannot_answer_for_a_while_is_waited_for(
    network: SmallNetwork, watch: Board
) -> None:
    board = watch()
    board.sees("いま上申はありません")
    network.refusal = ProblemCode.UNAVAILABLE
    network.stop()
    network.start()
    board.sees("接続が切れました、再接続中", "3回目")
    network.happens(called())
    network.refusal = None
    board.sees("E07")
    board.sees_no_more("接続が切れました")


def test_a_picture_that_broke_off_is_asked_for_again(network: SmallNetwork, watch: Board) -> None:
    newest = network.happens(called("E01", 1))
    board = watch()
    board.sees("E01")
    network.stop()
    network.happens(called("E02", 2))
    network.happens(called("E03", 3))
    network.breaks_off = True
    network.start()
    board.sees("E02", "E03")
    assert network.resumed[-2:] == [str(newest.change)] * 2


def test_a_key_that_no_longer_holds_ends_the_board(network: SmallNetwork, watch: Board) -> None:
    board = watch()
    board.sees("いま上申はありません")
    network.refusal = ProblemCode.UNAUTHENTICATED
    network.stop()
    network.start()
    assert board.ends() == 1
    board.sees("was not recognised")
    assert board.is_as_before()


# -- the terminal ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["q", "\x03", signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_as_before_however_one_leaves(
    network: SmallNetwork, watch: Board, how: str | signal.Signals
) -> None:
    network.happens(called())
    board = watch()
    board.sees("E07")
    assert "?1049" in board.screen.modes
    if isinstance(how, str):
        board.types(how)
    else:
        board.program.send_signal(how)
    assert board.ends() == 0
    assert board.is_as_before()


@pytest.mark.parametrize("width", [40, 80, 160])
def test_the_board_fits_the_terminal(network: SmallNetwork, watch: Board, width: int) -> None:
    network.happens(called().due_in(minutes=-3))
    board = watch(width=width)
    text = board.sees("超過 3分", "E07")
    assert ("夜間休日当番" in text) == (width == 160)


def test_the_board_follows_the_size_of_the_terminal(network: SmallNetwork, watch: Board) -> None:
    network.happens(called())
    board = watch(width=80)
    board.sees("E07")
    board.resized(24, 160)
    board.sees("夜間休日当番", "E07")


# -- once, and not at all --------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), ("--once",)])
def test_without_a_terminal_the_board_is_printed_once(
    network: SmallNetwork, home: Path, arguments: tuple[str, ...]
) -> None:
    network.happens(called().due_in(minutes=12, seconds=30))
    done = run(home, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "E07  拠点の閉所中の緊急" in done.stdout
    assert "残り 12分" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_call_that_cannot_be_read_is_counted(network: SmallNetwork, home: Path) -> None:
    told = called().told(1).model_copy(update={"urgency": "of-tomorrow"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.begins = f"event: escalation\ndata: {told.model_dump_json()}\n\n".encode()
    assert "読めない上申 1件" in run(home).stdout


def test_the_key_goes_to_no_proxy(network: SmallNetwork, home: Path) -> None:
    network.happens(called())
    proxy = {"http_proxy": free_url(), "all_proxy": free_url(), "no_proxy": ""}
    assert "E07" in run(home, **proxy).stdout


def test_once_in_a_terminal_prints_and_ends(network: SmallNetwork, watch: Board) -> None:
    network.happens(called())
    board = watch("--once", width=80)
    assert board.ends() == 0
    board.sees("E07", "応答待ち 1件")
    assert "?1049" not in board.screen.modes


def test_a_key_file_may_hold_the_key_alone(network: SmallNetwork, tmp_path: Path) -> None:
    alone = tmp_path / "core.key"
    alone.write_text(f"{KEY}\n", encoding="ascii")
    alone.chmod(0o600)
    done = run(tmp_path / "nowhere", "--url", network.url, "--key-file", str(alone))
    assert done.returncode == 0, done.stderr


def test_a_key_file_that_others_can_read_is_refused(network: SmallNetwork, home: Path) -> None:
    (home / "keys.toml").chmod(0o644)
    done = run(home)
    assert done.returncode == 1
    assert "chmod 600" in done.stderr


def free_url() -> str:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{nobody.getsockname()[1]}"


@pytest.mark.parametrize(
    ("arguments", "refusal", "told"),
    [
        (("--agency", "hub-motofuji"), None, "（401）"),
        (("--agency", "nobody"), None, "no key of nobody"),
        ((), ProblemCode.NOT_INVOLVED, "core は見張りを見られません（403）"),
        ((), ProblemCode.UNAVAILABLE, "HTTP 503"),
        ((), ProblemCode.NOT_FOUND, "HTTP 404"),
        (("--url", "nonsense"), None, "not a URL"),
        (("--url", "http://127.0.0.1:99999"), None, "not a URL"),
        (("--url", "http://tsunagu.example"), None, "--insecure"),
        (("--url", free_url()), None, "つながりません"),
        (("--key-file", "nothing-there"), None, "cannot read the key file"),
    ],
)
def test_why_there_is_no_board_is_told_plainly(
    network: SmallNetwork,
    home: Path,
    arguments: tuple[str, ...],
    refusal: ProblemCode | None,
    told: str,
) -> None:
    network.refusal = refusal
    done = run(home, *arguments)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_without_a_network_says_how_to_name_one(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 1
    assert "--url" in done.stderr
