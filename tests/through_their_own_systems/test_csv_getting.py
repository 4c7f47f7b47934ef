"""What a partner may see, as a file that its Excel opens; nothing else, and nothing that runs."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from partners.csv_files import formulas, getting
from partners.csv_files.columns import short
from partners.csv_files.line import Line
from schemas.publishing.words import TITLES
from tests.network import REPOSITORY, RunningNetwork
from tests.partners import a_referral
from tests.through_their_own_systems.csv_sheets import Ran, run, table
from tests.through_their_own_systems.scripted import Heard, Said, scripted

SENDER = "anshin-komagome"
HUB = "hub-motofuji"
MARK = "get-"


@pytest.fixture(scope="module")
def numbers(network: RunningNetwork) -> dict[str, str]:
    """Some referrals, by their reference."""
    names = {
        "1": "髙橋 見本", "2": "𠮷野 見本", "3": '=HYPERLINK("http://example.invalid")',
        "4": "@SUM(A1)", "5": '見本 "引用"\n二行目;',
    }  # fmt: skip
    partner = network.partner(SENDER)
    return {
        f"{MARK}{n}": partner.posts(
            a_referral().having(sender_reference=f"{MARK}{n}", person={"name": name})
        ).number
        for n, name in names.items()
    }


def got(network: RunningNetwork, path: Path, *how: str, agency: str = SENDER) -> Ran:
    return run(network, "get", "--agency", agency, "--out", path, *how)


def mine(rows: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    return {r["送り手の整理番号"]: r for r in rows if r["送り手の整理番号"].startswith(MARK)}


def test_every_referral_is_one_row_in_japanese(
    network: RunningNetwork, numbers: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "out.csv"
    done = got(network, path)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rows = mine(table(path))
    assert {reference: row["受付番号"] for reference, row in rows.items()} == numbers
    row = rows[f"{MARK}1"]
    given = network.partner(SENDER).reads(numbers[f"{MARK}1"]).body
    assert (row["段階"], row["緊急度"], row["拠点の機能"]) == (
        "打診中", "至急", "緊急時の受け入れ・対応",
    )  # fmt: skip
    assert row["受付の日時"] == given["submitted_at"].replace("T", " ").removesuffix("+09:00")
    assert row["打診中の機関"] == HUB
    # No person unless asked for.
    assert "氏名" not in row
    assert "見本" not in json.dumps(rows, ensure_ascii=False)


def test_persons_are_there_only_when_asked_for_and_only_where_they_may_be_opened(
    network: RunningNetwork, numbers: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "out.csv"
    assert got(network, path, "--with-persons").returncode == 0
    rows = mine(table(path))
    assert rows[f"{MARK}2"]["氏名"] == "𠮷野 見本"
    assert rows[f"{MARK}5"]["氏名"] == '見本 "引用"\n二行目;'
    assert rows[f"{MARK}1"]["住所"] == "文京区本郷二丁目21番3号 青木ビル1階"
    # The hub that was asked and has not accepted: what the contract shows it, no more.
    other = tmp_path / "hub.csv"
    assert got(network, other, "--with-persons", agency=HUB).returncode == 0
    theirs = {row["受付番号"]: row for row in table(other)}
    for number in numbers.values():
        given = network.partner(HUB).reads(number).body
        assert theirs[number]["氏名"].lstrip("'") == given.get("person", {}).get("name", "")


def test_no_cell_is_a_live_formula(
    network: RunningNetwork, numbers: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "out.csv"
    assert got(network, path, "--with-persons").returncode == 0
    rows = table(path)
    assert not [cell for row in rows for cell in row.values() if formulas.is_live(cell)]
    assert mine(rows)[f"{MARK}3"]["氏名"] == '\'=HYPERLINK("http://example.invalid")'


def test_what_cp932_cannot_write_is_a_geta_and_is_listed(
    network: RunningNetwork, numbers: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "out.csv"
    done = got(network, path, "--with-persons", "--encoding", "cp932")
    assert done.returncode == 0, done.stderr
    whole = table(path, "cp932")
    rows = mine(whole)
    assert rows[f"{MARK}1"]["氏名"] == "髙橋 見本"
    assert rows[f"{MARK}2"]["氏名"] == "〓野 見本"
    place = next(n for n, row in enumerate(whole, start=2) if row is rows[f"{MARK}2"])
    listed = tmp_path / "out.csv.unwritable.csv"
    assert stat.S_IMODE(listed.stat().st_mode) == 0o600
    assert {"row": str(place), "column": "氏名", "code point": "U+20BB7"} in table(listed)


def test_filters_are_the_contracts_and_a_wrong_one_is_told(
    network: RunningNetwork, numbers: dict[str, str], tmp_path: Path
) -> None:
    assert got(network, tmp_path / "none.csv", "--stage", "closed").returncode == 0
    assert mine(table(tmp_path / "none.csv")) == {}
    done = got(network, tmp_path / "wrong.csv", "--stage", "asleep")
    assert (done.returncode, "invalid_request" in done.stderr) == (3, True)
    # A file that is there is not written over.
    assert got(network, tmp_path / "none.csv").returncode == 3


def test_after_kill_9_the_file_goes_on_where_it_stopped(
    network: RunningNetwork,
    numbers: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    partner = network.partner(SENDER)
    whole = tmp_path / "whole.csv"
    for n in range(16):
        assert partner.posts(a_referral().having(sender_reference=f"page-{n}")).status == 201
    path = tmp_path / "out.csv"
    state = tmp_path / "out.csv.state"
    script = (
        "import sys; from partners.csv_files import getting; getting.PAGE = 2;"
        "from partners.csv_files.commands import app; app(sys.argv[1:])"
    )
    arguments = ["get", "--agency", SENDER, "--out", str(path), "--encoding", "cp932"]
    command = [sys.executable, "-c", script, *arguments, "--with-persons"]
    how: dict[str, Any] = {
        "env": {**os.environ, **network.settings.environment()}, "cwd": REPOSITORY,
    }  # fmt: skip
    process = subprocess.Popen(command, **how)
    until = time.monotonic() + 30
    while not state.exists() or not json.loads(state.read_bytes())["rows"]:
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert state.exists()
    with path.open("ab") as file:  # half a row, as a kill in the middle of a page leaves it
        file.write(b'"131059-2026-9')
    done = subprocess.run([*command, "--resume"], check=False, timeout=60, **how)
    assert done.returncode == 0
    assert not state.exists()
    assert got(network, whole, "--with-persons", "--encoding", "cp932").returncode == 0
    assert path.read_bytes() == whole.read_bytes()
    lists = [p.with_name(f"{p.name}.unwritable.csv").read_bytes() for p in (path, whole)]
    assert lists[0] == lists[1]


class Died(BaseException):
    pass


def dies_at(step: int, patching: pytest.MonkeyPatch) -> None:
    """Before what it does to the disk, or asks the network, for the ``step``-th time."""
    steps = iter(range(step))

    def mortal(act: Callable[..., Any]) -> Callable[..., Any]:
        def acts(*arguments: Any, **how: Any) -> Any:
            if next(steps, None) is None:
                raise Died
            return act(*arguments, **how)

        return acts

    for where, names in ((os, ("open", "replace", "truncate", "unlink")), (Line, ("page",))):
        for name in names:
            patching.setattr(where, name, mortal(getattr(where, name)))


def pages(heard: Heard, _: int) -> Said:
    """Three pages with one referral each, of somebody whose name CP932 cannot write."""
    page = int(heard.path.partition("after=")[2] or 0)
    item = {"number": f"131059-2026-{page}", "sender_reference": "\U00020bb7"}
    return Said(body={"items": [item], **({"next": str(page + 1)} if page < 2 else {})})


def test_whenever_it_dies_it_goes_on_to_the_same_file(tmp_path: Path) -> None:
    names = [column.ja for column in getting.REFERRAL]

    async def get(path: Path, line: Line, *, resume: bool) -> None:
        growing = getting.Growing(path, names, "cp932", {}, resume=resume)
        await getting.get_referrals(
            line, growing, {}, {}, persons=False, parallel=1, told=lambda _: None
        )
        growing.finish()

    def new(name: str) -> Path:
        (tmp_path / name).mkdir()
        return tmp_path / name / "out.csv"

    def left(path: Path) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in path.parent.iterdir()}

    async def story(line: Line) -> int:
        whole = new("whole")
        await get(whole, line, resume=False)
        assert len(table(whole, "cp932")) == 3
        step = 0
        while True:
            path = new(str(step))
            with pytest.MonkeyPatch.context() as patching:
                dies_at(step, patching)
                try:
                    await get(path, line, resume=False)
                    return step
                except Died:
                    pass
            await get(path, line, resume=True)
            assert left(path) == left(whole), f"it died before step {step}"
            step += 1

    async def run(url: str) -> int:
        async with Line(url, "key") as line:
            return await story(line)

    with scripted(pages) as network:
        assert asyncio.run(run(network.url)) > 10


def test_a_file_that_a_spreadsheet_has_saved_is_not_gone_on_with(
    network: RunningNetwork, numbers: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "inbox.csv"
    arguments = ["events", "--agency", SENDER, "--out", path]
    assert run(network, *arguments).returncode == 0
    ours = path.read_bytes()
    for theirs in (ours.replace(b'"', b""), ours.replace(b"2026", b"2027"), b"x" + ours):
        path.write_bytes(theirs)
        done = run(network, *arguments, "--resume")
        assert (done.returncode, "changed" in done.stderr) == (3, True)
        assert path.read_bytes() == theirs
    path.write_bytes(ours + b'"half a ro')
    assert run(network, *arguments, "--resume").returncode == 0
    assert path.read_bytes().startswith(ours)


def test_the_inbox_is_a_file_that_grows(
    network: RunningNetwork, numbers: dict[str, str], tmp_path: Path
) -> None:
    network.settle()
    path = tmp_path / "inbox.csv"
    arguments = ["events", "--agency", SENDER, "--out", path]
    assert run(network, *arguments).returncode == 0
    before = table(path)
    partner = network.partner(SENDER)
    assert partner.posts(a_referral()).status == 201
    network.settle()
    assert run(network, *arguments).returncode == 3  # it is there
    assert run(network, *arguments, "--resume").returncode == 0
    rows = table(path)
    assert rows[: len(before)] == before
    assert len(rows) > len(before)
    assert [int(row["number"]) for row in rows] == list(range(1, len(rows) + 1))
    items = partner.whole_inbox()
    assert [row["event"] for row in rows] == [item["event"]["id"] for item in items]
    assert [json.loads(row["data"]) for row in rows] == [item["event"]["data"] for item in items]
    words = {row["type"]: row["in words"] for row in rows}
    assert words["tsunagu.handoff_offered.v1"] == short(TITLES["HandoffOffered"])
    assert all(words.values())
