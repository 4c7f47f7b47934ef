"""The report (結果の一覧): what became of each row, one line each, in the order of the file.

It names lines, columns and what to do; the only value out of the file that it repeats is the sender's
own reference, and that only where nothing is wrong with it.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from partners.csv_files import files, writing
from partners.csv_files.columns import by_name, fold
from partners.csv_files.faults import Fault
from partners.csv_files.reading import Row
from schemas.publishing.words import VALUES

HEADER = (
    "行 / line", "整理番号 / sender_reference", "結果 / status", "結果の言葉 / in words",
    "受付番号 / number", "段階 / stage", "誤り / errors", "注意 / notes",
)  # fmt: skip


class Status(StrEnum):
    ACCEPTED = "accepted"
    REFUSED = "refused"
    PENDING = "pending"
    NOT_SENT = "not_sent"


_WORDS = {
    Status.ACCEPTED: "受け付けられた / accepted",
    Status.REFUSED: "誤りがある・断られた / wrong or refused",
    Status.PENDING: "受け付けられ、決定待ち / taken, not decided yet",
    Status.NOT_SENT: "送っていない / not sent",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    status: Status
    number: str = ""
    stage: str = ""
    faults: tuple[Fault, ...] = ()


class Report:
    def __init__(self, path: Path) -> None:
        self._file = files.own(path)
        self._file.write(b"\xef\xbb\xbf" + writing.line(HEADER).encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def tell(self, row: Row, outcome: Outcome) -> None:
        self._file.write(writing.line(_cells(row, outcome)).encode())


def _cells(row: Row, outcome: Outcome) -> tuple[str, ...]:
    stage = VALUES["Stage"].get(outcome.stage)
    return (
        str(row.line),
        _reference(row, outcome),
        outcome.status.value,
        _WORDS[outcome.status],
        outcome.number,
        f"{outcome.stage} {stage}" if stage else outcome.stage,
        "\n".join(map(str, outcome.faults)),
        _notes(row),
    )


def _reference(row: Row, outcome: Outcome) -> str:
    names = {fold(fault.column) for fault in outcome.faults}
    mine = [name for name, column in by_name().items() if column.path == "sender_reference"]
    return "" if row.reference is None or names & set(mine) else row.reference


def _notes(row: Row) -> str:
    if not row.formulas:
        return ""
    told = "、".join(row.formulas)
    return f"数式に見える値を文字として扱いました / taken as text, not as a formula: {told}"
