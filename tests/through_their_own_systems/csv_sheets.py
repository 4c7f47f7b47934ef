"""Sheets as ward offices have them, for the tests."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from partners.csv_files.commands import app
from tests.network import RunningNetwork

HEADER = "整理番号,機能,緊急度,氏名,生年月日,住所,状況,根拠,同意を得た日時"
Cells = tuple[str, ...]


def cells(reference: str, **other: str) -> Cells:
    """A row that is right, unless a test makes it wrong."""
    given = {
        "function": "相談", "urgency": "通常", "name": "サンプル 太郎", "born": "昭和55年4月1日",
        "address": "文京区本郷二丁目21番3号", "summary": "見本の相談。", "basis": "C2",
        "obtained": "2026/11/20 16:50", **other,
    }  # fmt: skip
    return (reference, *given.values())


def sheet(*rows: Cells) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return f"{HEADER}\r\n{text.getvalue()}"


def written(path: Path, *rows: Cells, encoding: str = "cp932") -> Path:
    path.write_bytes(sheet(*rows).encode(encoding))
    return path


def report_of(path: Path) -> list[dict[str, str]]:
    """The report beside a file, by the English half of its header."""
    return table(path.with_name(f"{path.name}.report.csv"))


def table(path: Path, encoding: str = "utf-8-sig") -> list[dict[str, str]]:
    rows = list(csv.reader(io.StringIO(path.read_bytes().decode(encoding), newline="")))
    names = [name.rpartition(" / ")[2] for name in rows[0]]
    return [dict(zip(names, row, strict=True)) for row in rows[1:]]


@dataclass(frozen=True)
class Ran:
    returncode: int
    stdout: str
    stderr: str


def run(network: RunningNetwork, *arguments: object) -> Ran:
    """`tsunagu csv …` in this process: a start of its own takes longer than what most tests do."""
    home = {"TSUNAGU_HOME": str(network.home.resolve())}
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], env=home)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ran(done.exit_code, done.stdout, done.stderr)


def numbers_by_reference(network: RunningNetwork, prefix: str) -> dict[str, list[str]]:
    """The referrals that the network holds, by the sender's reference."""
    found: dict[str, list[str]] = {}
    query = "SELECT number, state FROM referrals"
    for number, state in network.rows("referral", query):
        reference = json.loads(state).get("sender_reference") or ""
        if reference.startswith(prefix):
            found.setdefault(reference, []).append(number)
    return found
