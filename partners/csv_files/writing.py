"""From values to a file's bytes (書き出し). Pure.

Every cell is quoted and none is a live formula. What CP932 has no character for is written as 〓 (the
geta that printers set for a missing type) and told with its place, never silently replaced.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from partners.csv_files import formulas
from partners.csv_files.columns import Column, columns
from partners.csv_files.decoding import Encoding
from partners.csv_files.values import Terms, joined, text_of
from schemas.base import JsonObject

GETA = "〓"
# One character of JIS X 0208 that Unicode's tables for Windows and for others map differently.
_SAME_IN_CP932 = str.maketrans("〜−—‖¢£¬", "～－―∥￠￡￢")
_VARIANTS = ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF))


@dataclass(frozen=True, slots=True)
class Unwritable:
    """A character that the encoding does not have: in which row of the file (the header is row 1; a
    row may be several lines) and in which column, and its code point (U+20BB7)."""

    row: int
    column: str
    code_point: str


def line(cells: Sequence[str]) -> str:
    """One row as text: every cell quoted, so that neither separator nor line break is one."""
    quoted = (formulas.written(cell).replace('"', '""') for cell in cells)
    return ",".join(f'"{cell}"' for cell in quoted) + "\r\n"


def encoded(
    cells: Sequence[str], encoding: Encoding, row: int, names: Sequence[str]
) -> tuple[bytes, list[Unwritable]]:
    """One row as bytes, and what of it could not be written. ``utf-8-sig``: the mark is at the
    beginning of a file, and so not here."""
    if encoding != "cp932":
        return line(cells).encode("utf-8"), []
    told: list[Unwritable] = []
    plain: list[str] = []
    for name, cell in zip(names, cells, strict=True):
        cell = cell.translate(_SAME_IN_CP932)
        if not _fits(cell):
            missing = [c for c in cell if not _fits(c)]
            told += [Unwritable(row, name, f"U+{ord(c):04X}") for c in dict.fromkeys(missing)]
            # A variation selector chooses a form of the character before it and has no width.
            cell = "".join(
                c if _fits(c) else "" if _selects_variant(c) and at else GETA
                for at, c in enumerate(cell)
            )
        plain.append(cell)
    return line(plain).encode("cp932"), told


def header(of: Iterable[Column]) -> list[str]:
    return [column.ja for column in of]


def cells_of(
    body: JsonObject, of: Sequence[Column], terms: Terms, *, codes: bool = False
) -> list[str]:
    """A body in these columns: what ``reading`` would read as the same body again."""
    return [_cell(body, column, terms, codes=codes) for column in of]


def sheet(bodies: Iterable[JsonObject], terms: Terms, *, codes: bool = False) -> str:
    """A whole file in all columns, as text."""
    rows = [header(columns()), *(cells_of(b, columns(), terms, codes=codes) for b in bodies)]
    return "".join(map(line, rows))


def _cell(body: JsonObject, column: Column, terms: Terms, *, codes: bool) -> str:
    *way, last = column.steps
    if column.group:
        objects = _at(body, column.group.split("."))
        if not isinstance(objects, list | tuple):
            return ""
        texts = ["" if o.get(last) is None else str(o[last]) for o in objects]
        return joined(texts) if any(texts) else ""
    given = _at(body, [*way, last])
    if given is None:
        return ""
    if isinstance(given, list | tuple):
        return joined([text_of(one, column, terms, codes=codes) for one in given])
    return text_of(given, column, terms, codes=codes)


def _at(body: object, way: Sequence[str]) -> object:
    for step in way:
        if not isinstance(body, Mapping):
            return None
        body = body.get(step)
    return body


def _fits(text: str) -> bool:
    try:
        text.encode("cp932")
    except UnicodeEncodeError:
        return False
    return not any("\ue000" <= c <= "\uf8ff" or c in "\x80\xa0" for c in text)


def _selects_variant(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _VARIANTS)
