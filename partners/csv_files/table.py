"""From a text to rows of cells (RFC 4180, and what Excel writes), with the line each begins on. Pure."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from partners.csv_files.columns import by_name, fold
from partners.csv_files.faults import FileFault

Delimiter = Literal[",", "\t"]


@dataclass(frozen=True, slots=True)
class Record:
    """``line``: where it begins, counted from 1; a cell may hold line breaks."""

    line: int
    cells: tuple[str, ...]

    @property
    def blank(self) -> bool:
        return not any(cell.strip() for cell in self.cells)


def records(text: str, delimiter: Delimiter) -> Iterator[Record]:
    """Every row that is not blank. Raises FileFault where the quotes do not close: everything after
    such a place would be in the wrong columns."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise FileFault(
                f"{line} 行目から始まる行の引用符が正しくありません"
                f" / the row that begins on line {line} is not well quoted"
            ) from None
        record = Record(line, tuple(cells))
        if not record.blank:
            yield record


def delimiter_of(text: str) -> Delimiter:
    """The one by which the header has more names that we know; a comma where both do."""

    def known(delimiter: Delimiter) -> int:
        try:
            header = next(records(text, delimiter), None)
        except FileFault:
            return 0
        return sum(fold(cell) in by_name() for cell in header.cells) if header else 0

    return "\t" if known("\t") > known(",") else ","
