"""From a file's bytes to referrals (読み取り): each row as the body that would be posted, or what is
wrong with it. Pure; every row is read, so that everything wrong is told at once.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from partners.csv_files import formulas
from partners.csv_files.columns import Column, at_pointer, by_name, fold, word_at
from partners.csv_files.decoding import Encoding, decode
from partners.csv_files.faults import Fault, FileFault
from partners.csv_files.table import Delimiter, Record, delimiter_of, records
from partners.csv_files.values import NotAValue, Terms, parts, refuse_unreadable, value
from schemas.base import JsonObject

_NOTHING_KNOWN: Terms = {}


@dataclass(frozen=True, slots=True)
class Row:
    """``body``: what would be posted, as far as it could be read. ``formulas``: the columns whose cell
    a spreadsheet would have run; they are text here."""

    line: int
    body: JsonObject
    faults: tuple[Fault, ...] = ()
    formulas: tuple[str, ...] = ()

    @property
    def reference(self) -> str | None:
        """The sender's own reference."""
        given = self.body.get("sender_reference")
        return given if isinstance(given, str) else None

    @property
    def key(self) -> str:
        """The idempotency key: from what the row says, its reference included. The same row is the same
        request, in whichever file, however often it is sent; it travels only where the row does."""
        said = json.dumps(self.body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return f"csv-{hashlib.sha256(said.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Sheet:
    """``header``: the file's own name of each column that it has."""

    encoding: Encoding
    delimiter: Delimiter
    rows: tuple[Row, ...]
    header: Mapping[str, str] = field(default_factory=dict)

    def fault_at(self, pointer: str, detail: str) -> Fault:
        """A problem that the network told, by the file's column."""
        column = at_pointer(pointer, [by_name()[fold(path)] for path in self.header])
        name = self.header[column.path] if column is not None else word_at(pointer)
        return Fault(name, detail)


def read(
    raw: bytes,
    terms: Terms = _NOTHING_KNOWN,
    *,
    encoding: str = "",
    ignore_unknown: bool = False,
) -> Sheet:
    """Raises FileFault."""
    text, found = decode(raw, encoding)
    delimiter = delimiter_of(text)
    lines = records(text, delimiter)
    head = next(lines, None)
    if head is None:
        raise FileFault("見出しの行がありません / there is no header row")
    columns = _columns(head, ignore_unknown=ignore_unknown)
    nameless = {n for n, cell in enumerate(head.cells) if not cell.strip() and not ignore_unknown}
    names = {c.path: head.cells[n].strip() for n, c in enumerate(columns) if c is not None}
    rows = [_row(record, columns, names, nameless, terms) for record in lines]
    return Sheet(found, delimiter, tuple(_told_apart(rows)), names)


def _columns(head: Record, *, ignore_unknown: bool) -> list[Column | None]:
    """None: a column without a name, or one that is to be ignored."""
    known = by_name()
    columns = [known.get(fold(formulas.read(cell))) for cell in head.cells]
    if not any(columns):
        # Perhaps a row of data without its header: nothing of it is repeated.
        raise FileFault(
            "最初の行が見出しではないか、知っている列が一つもありません"
            " / the first row is no header, or not one column of it is known"
        )
    unknown = [c.strip() for c, column in zip(head.cells, columns, strict=True) if column is None]
    if any(unknown) and not ignore_unknown:
        told = "、".join(name for name in unknown if name)
        raise FileFault(
            f"知らない列があります: {told}。--ignore-unknown を付けると読み飛ばします"
            f" / unknown columns: {told}; --ignore-unknown passes them over"
        )
    paths = [column.path for column in columns if column is not None]
    twice = {c.ja for c in columns if c is not None and paths.count(c.path) > 1}
    if twice:
        told = "、".join(sorted(twice))
        raise FileFault(f"同じ列が二つあります: {told} / columns that are there twice: {told}")
    return columns


def _row(
    record: Record,
    columns: list[Column | None],
    names: Mapping[str, str],
    nameless: set[int],
    terms: Terms,
) -> Row:
    if len(record.cells) != len(columns):
        return Row(record.line, {}, (Fault("", _count(len(record.cells), len(columns))),))
    body: JsonObject = {}
    faults: list[Fault] = []
    live: list[str] = []
    for number, (cell, column) in enumerate(zip(record.cells, columns, strict=True)):
        if column is None:
            if number in nameless and cell.strip():
                faults.append(Fault(f"{number + 1} 列目", "見出しがありません / has no header"))
            continue
        name = names[column.path]
        if formulas.is_live(cell):
            live.append(name)
        plain = formulas.read(cell)
        if not plain.strip():
            continue
        try:
            refuse_unreadable(plain)
            _put(body, column, plain, terms)
        except NotAValue as error:
            faults.append(Fault(name, str(error)))
    return Row(record.line, body, tuple(faults), tuple(live))


def _put(body: JsonObject, column: Column, cell: str, terms: Terms) -> None:
    """Raises NotAValue."""
    *way, last = column.steps
    if column.group:
        *way, last = column.group.split(".")
    inner: dict[str, Any] = body
    for step in way:
        inner = inner.setdefault(step, {})
    if column.group:
        _put_group(inner.setdefault(last, []), column, cell, terms)
    elif column.many:
        inner[last] = [value(part, column, terms) for part in parts(cell) if part.strip()]
    else:
        inner[last] = value(cell, column, terms)


def _put_group(objects: list[JsonObject], column: Column, cell: str, terms: Terms) -> None:
    given = parts(cell)
    if objects and len(objects) != len(given):
        raise NotAValue(
            "並びの数が隣の列と違います / not as many parts as the columns that belong to it"
        )
    if not objects:
        objects.extend({} for _ in given)
    for one, part in zip(objects, given, strict=True):
        if part.strip():
            one[column.steps[-1]] = value(part, column, terms)


def _count(cells: int, wanted: int) -> str:
    return (
        f"列の数が見出しと違います（{wanted} のところ {cells}）"
        f" / has {cells} cells where the header has {wanted}"
    )


def _told_apart(rows: list[Row]) -> list[Row]:
    """Two rows that say the same would be one referral, and two with one reference cannot be told
    apart afterwards: whoever wrote them knows which was meant."""
    by_key: dict[str, int] = {}
    by_reference: dict[str, int] = {}
    told: list[Row] = []
    for row in rows:
        fault = None
        if not row.faults:
            same, named = by_key.get(row.key), by_reference.get(row.reference or "")
            if same is not None:
                fault = Fault(
                    "", f"{same} 行目と同じ内容です。別の件なら整理番号を付けてください"
                    f" / the same as line {same}: give a reference if it is another case",
                )  # fmt: skip
            elif named is not None:
                fault = Fault(
                    "", f"整理番号が {named} 行目と同じです / the reference of line {named} again"
                )
        by_key.setdefault(row.key, row.line)
        if row.reference is not None:
            by_reference.setdefault(row.reference, row.line)
        told.append(row if fault is None else Row(row.line, row.body, (fault,), row.formulas))
    return told
