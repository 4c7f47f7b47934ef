"""Cells that a spreadsheet would run as formulas (OWASP: CSV injection).

Coming in, such a cell is data like any other, and is flagged. Going out it gets a leading apostrophe,
so that a spreadsheet shows it as text. Reading takes exactly one off again: ``read(written(x)) == x``
for every text, also one that began with apostrophes. Pure.
"""

import re

# Also the full-width forms, which Japanese spreadsheets take for the others, and blanks before them.
_SIGN = r"\s*[=+\-@\t\r\n＝＋－＠]"
_LIVE = re.compile(_SIGN)
_WRITTEN = re.compile(rf"'*{_SIGN}")
_READ = re.compile(rf"'+{_SIGN}")


def is_live(cell: str) -> bool:
    """Would a spreadsheet take the cell for a formula?"""
    return _LIVE.match(cell) is not None


def written(text: str) -> str:
    return f"'{text}" if _WRITTEN.match(text) else text


def read(cell: str) -> str:
    return cell[1:] if _READ.match(cell) else cell
