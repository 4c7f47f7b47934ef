"""A month's sheet as CSV (RFC 4180) for a spreadsheet: one long table, a figure a line. Pure."""

import csv
import io
from collections.abc import Iterable

from services.console.ward.month import Section
from services.console.words import Words

_BOM = "\ufeff"  # without it Excel reads UTF-8 as something else
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def month_csv(year: int, month: int, sections: Iterable[Section], words: Words) -> bytes:
    """A hidden figure is empty, and its mark says so."""
    t = words.t
    out = io.StringIO(newline="")
    lines = csv.writer(out, lineterminator="\r\n")
    lines.writerow(
        [t("年月", "month"), t("区分コード", "section code"), t("区分", "section"),
         t("項目コード", "item code"), t("項目", "item"), t("列コード", "column code"),
         t("列", "column"), t("値", "value"), t("単位", "unit"), t("秘匿", "hidden")]
    )  # fmt: skip
    units = {"cases": t("件", "cases"), "minutes": t("分", "minutes")}
    for section in sections:
        for r, row in enumerate(section.rows):
            for c, column in enumerate(section.columns):
                is_few = (r, c) in section.few
                number = None if is_few else row.numbers[c]
                lines.writerow(
                    [f"{year}-{month:02d}", *map(plain, (section.code, section.title, row.code,
                     row.title, column.code, column.title)), _written(number),
                     units[column.unit], "1" if is_few else ""]
                )  # fmt: skip
    return (_BOM + out.getvalue()).encode()


def plain(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _written(number: float | None) -> str:
    if number is None:
        return ""
    return str(int(number)) if float(number).is_integer() else str(number)
