"""The columns of a CSV file (列), one for each field of ``ReferralSubmission``: the English name is the
field's path (``person.birth_date``), the Japanese one comes from the published field words.

A list is one cell, its parts separated by ``;`` (a ``;`` within a part is written ``\\;``). A list of
objects has one column for each of its fields, and the n-th parts belong together.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel

from schemas.partner import ReferralSubmission
from schemas.publishing.field_words import FIELDS
from schemas.publishing.words import TITLES, VALUES


class Kind(StrEnum):
    TEXT = "text"
    NUMBER = "number"
    YES_NO = "yes_no"
    DAY = "day"
    MOMENT = "moment"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Column:
    """``group``: the path of the list of objects that it is part of, else empty. ``many``: a list.
    ``words``: the codes that may stand here, each with its Japanese word (closed vocabularies)."""

    path: str
    ja: str
    kind: Kind
    group: str = ""
    many: bool = False
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def steps(self) -> tuple[str, ...]:
        return tuple(self.path.split("."))


@cache
def columns() -> tuple[Column, ...]:
    """Every column, in the order of the fields. A Japanese name that two fields share goes to the
    first; the other is called after what it is part of."""
    found: dict[str, Column] = {}
    taken: set[str] = set()
    for column, within in _walk(ReferralSubmission, "", "", ""):
        ja = column.ja if column.ja not in taken else f"{within}の{column.ja}"
        taken.add(ja)
        found[column.path] = Column(
            column.path, ja, column.kind, column.group, column.many, column.words
        )
    return tuple(found.values())


@cache
def by_name() -> dict[str, Column]:
    """Every name that a header may use, folded: the Japanese one, with what it is part of, and the
    path."""
    names: dict[str, Column] = {}
    for column in columns():
        plain = column.ja.removeprefix("送り手の").removeprefix("拠点の")
        for name in (column.ja, plain, column.path, column.path.replace(".", "_")):
            names.setdefault(fold(name), column)
    for column, within in _walk(ReferralSubmission, "", "", ""):
        if within:
            names.setdefault(fold(f"{within}の{column.ja}"), names[fold(column.path)])
    return names


def at_pointer(pointer: str, among: Iterable[Column]) -> Column | None:
    """The column that a JSON pointer of a problem leads to: of these the one with the longest path."""
    steps = tuple(step for step in pointer.split("/")[1:] if not step.isdecimal())
    fitting = [c for c in among if steps[: len(c.steps)] == c.steps]
    return max(fitting, key=lambda c: len(c.steps), default=None)


def word_at(pointer: str) -> str:
    """What a pointer is about, in Japanese, where the file has no such column."""
    steps = [step for step in pointer.split("/")[1:] if not step.isdecimal()]
    return next((short(FIELDS[s]) for s in reversed(steps) if s in FIELDS), "")


def fold(name: str) -> str:
    """One spelling for widths, case and blanks."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def short(words: str) -> str:
    """氏名 of 氏名。書かれたまま扱います / name, kept as written."""
    return re.split(r" / |。|（|\s\d|のコード", words)[0]


def _walk(
    model: type[BaseModel], prefix: str, within: str, group: str
) -> Iterator[tuple[Column, str]]:
    """Columns with the Japanese word of what each is part of."""
    parent = prefix.rstrip(".").rpartition(".")[2]
    for name, info in model.model_fields.items():
        path = f"{prefix}{name}"
        inner, many = _unwrapped(info.annotation)
        ja = short(
            FIELDS.get(f"{model.__name__}.{name}") or FIELDS.get(f"{parent}_{name}") or FIELDS[name]
        )
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            deeper = ja if path != "to" else short(TITLES["To"])
            yield from _walk(inner, f"{path}.", deeper, path if many else group)
            continue
        words = VALUES[inner.__name__] if issubclass(inner, StrEnum) else {}
        plain = {code: short(word) for code, word in words.items()}
        yield Column(path, ja, _kind(inner), group, many, plain), within


def _unwrapped(annotation: Any) -> tuple[Any, bool]:
    """The type within, and whether there may be several."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _unwrapped(get_args(annotation)[0])
    if origin in (Union, UnionType):
        (inner,) = (a for a in get_args(annotation) if a is not type(None))
        return _unwrapped(inner)
    if origin is tuple:
        return _unwrapped(get_args(annotation)[0])[0], True
    return annotation, False


def _kind(inner: Any) -> Kind:
    if inner is AwareDatetime:
        return Kind.MOMENT
    if issubclass(inner, StrEnum):
        return Kind.CODE
    return {bool: Kind.YES_NO, int: Kind.NUMBER, date: Kind.DAY}.get(inner, Kind.TEXT)
