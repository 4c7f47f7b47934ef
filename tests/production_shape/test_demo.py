"""`make demo`, for real: it tells the whole story, again and again, and touches nobody's network."""

import io
import os
import re
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from demo.night import a_friday
from demo.play import MARKER, play
from demo.story import Story
from runtime.settings import Settings
from schemas.outside import JAPAN
from tests.builders import BUNKYO, HOLIDAYS
from tests.network import REPOSITORY, running_network, verified
from tests.partners import a_referral

# What is told, in this order; of a call: code, when, to which desk, until when.
STORY = (
    r"10:30  .*地区 motofuji \(whole\)",
    r"上申 E06 .*→ 基幹 相談窓口 \(core-desk\)、期限 \S+ 12:30（開所時間 2時間）",
    r"「白山一丁目１番８号」.*地区 tomisaka \(ruled\)",
    r"422 address_unreadable",
    r"時計を進める: \S+\(金\) 19:40",
    r"上申 E07 .*→ 基幹 夜間休日当番 \(core-on-call\)、期限 \S+ 19:55（実時間 15分）",
    r"時計を進める: \S+\(金\) 19:55",
    r"19:55  つなぐ  E07 応答のないまま、期限 \S+ 19:55 が過ぎた → 次の窓口 区 夜間窓口 \(ward-night\)、"
    r"期限 \S+ 20:10（実時間 15分）",
    r"19:57  .*E07 に応答し、引き受ける → 200 \S+ in_care  担当 障害者基幹相談支援センター",
    r"打診 リアン文京へ、だれの件かは受諾まで伏せる、期限 \S+ 20:20",
    r"打診 見本病院へ、だれの件かは受諾まで伏せる、期限 \S+ 20:20",
    r"上申 E04 .*→ 基幹 夜間休日当番 \(core-on-call\)、期限 \S+ 20:41（実時間 30分）",
    r"応答待ち 1件  応答あり 1件  20:14",
    r"E04 .*(基幹 夜間休日当番|core-on-call) +2段目 +応答待ち",
    r"E07 .*(区 夜間窓口|ward-night) +2段目 +応答あり",
    r"E04 解決: 困難ケースとして基幹が担当",
    r"E07 解決: 困難ケースとして基幹が担当",
    r"打診 エナジーハウスへ、期限 \S+ \S+（開所時間 4時間）",
    r"つなぐ  上申 E08 .*→ 基幹 相談窓口 \(core-desk\)",
    r"E08 に応答し、引き受ける → 200 \S+ in_care  担当 障害者基幹相談支援センター",
    r"E08 解決: 他機関へつないだ",
    r"あかり  受諾する → 200 \S+ in_care  担当 あかり",
    r"tsunagu replay 131059-\d{4}-000011",
    r"E07は期限 \S+ 19:55\S* を過ぎて .*2番目の区 夜間窓口へ",
    r"台帳は完全です",
    r"TSUNAGU_HOME=\S+ \S*tsunagu replay 131059-\d{4}-000011",
)


def demo(home: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    ours = {name: value for name, value in os.environ.items() if not name.startswith("TSUNAGU_")}
    return subprocess.run(
        [sys.executable, "-m", "services.cli", "demo"],
        env={**ours, "TSUNAGU_HOME": str(home), "COLUMNS": "400", **settings},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=180,
    )


def assert_tells_the_story(done: "subprocess.CompletedProcess[str]") -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    place = 0
    for line in STORY:
        found = re.compile(line).search(done.stdout, place)
        assert found, f"not told, or not in its place: {line}\n{done.stdout}"
        place = found.start()


@pytest.mark.slow
def test_it_is_told_twice_and_a_network_in_the_same_home_hears_nothing_of_it(
    tmp_path: Path,
) -> None:
    with running_network(tmp_path) as network:
        number = network.partner("anshin-motofuji").posts(a_referral()).number
        length = network.settle()
        lives = {name: network.pid(name) for name in ("nats-server", "referral", "intake")}
        url = (tmp_path / "url").read_text()

        # What is set for a real network must not reach the demo's.
        real = tmp_path / "real.db"
        meant_for_others = {
            "TSUNAGU_DATABASE": f"sqlite:///{real}",
            "TSUNAGU_SMTP": "mail.invalid:25",
            "TSUNAGU_MAIL_FROM": "tsunagu@ward.invalid",
            "TSUNAGU_CLOCK_SHIFT": str(tmp_path / "no such file"),
        }
        assert_tells_the_story(demo(tmp_path, **meant_for_others))
        assert not real.exists()
        (tmp_path / "demo" / "left").mkdir()
        assert_tells_the_story(demo(tmp_path))
        assert not (tmp_path / "demo" / "left").exists()

        assert network.partner("anshin-motofuji").reads(number).status == 200
        assert network.journal_head() == length
        assert lives == {name: network.pid(name) for name in lives}
        assert (tmp_path / "url").read_text() == url
        verified(network)


def test_a_folder_that_no_demo_made_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "keys.toml").write_text("somebody's")

    assert _plays(tmp_path) == (1, "nothing was deleted")
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["keys.toml"]


def test_a_home_that_only_points_to_another_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / MARKER).touch()
    (tmp_path / "real" / "data").mkdir()
    (tmp_path / "demo").symlink_to(tmp_path / "real")

    assert _plays(tmp_path) == (1, "nothing was deleted")
    assert (tmp_path / "real" / "data").is_dir()


@pytest.mark.slow
def test_a_network_that_runs_in_the_demos_home_is_left_alone(tmp_path: Path) -> None:
    with running_network(tmp_path / "demo") as network:
        (tmp_path / "demo" / MARKER).touch()
        assert _plays(tmp_path) == (1, "a network is running")
        network.await_ready()
        assert network.journal_head() == 0


def _plays(home: Path) -> tuple[int, str]:
    told = io.StringIO()
    status = play(Settings(home=home), BUNKYO, Console(width=400, file=told))
    words = ("nothing was deleted", "a network is running")
    return status, next((word for word in words if word in told.getvalue()), told.getvalue())


def test_on_a_busy_machine_it_waits_for_the_answer(tmp_path: Path) -> None:
    keys: list[str] = []

    def busy(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) < 3:
            return httpx.Response((503, 202)[len(keys) - 1], json={"request": "…"})
        return httpx.Response(422, json={"code": "address_unreadable"})

    told = io.StringIO()
    with httpx.Client(transport=httpx.MockTransport(busy), base_url="http://demo") as client:
        out = Console(width=400, file=told)
        story = Story(client, {"core": "key"}, BUNKYO, out, tmp_path / "clock")
        assert story.post("core", "/v1/referrals", {}, "件を送る", 422)
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert "422 address_unreadable" in told.getvalue()


@pytest.mark.parametrize(
    ("now", "friday"),
    [
        ("2026-11-22 08:44", "2026-11-27"),
        ("2026-11-27 10:29", "2026-11-27"),
        ("2026-11-27 10:31", "2026-12-04"),
        ("2026-12-26 12:00", "2027-01-08"),  # 年末年始
        ("2028-08-10 23:59", "2028-08-18"),  # 山の日 is a Friday
    ],
)
def test_it_begins_on_the_coming_friday_that_is_no_holiday(now: str, friday: str) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=JAPAN)
    found = a_friday(BUNKYO, HOLIDAYS, moment)
    assert found.date() == date.fromisoformat(friday)
    assert (found.hour, found.minute) == (10, 30)
