"""Reading a ward file, and telling everything that is wrong with it at once.

The one place of ``wards`` that touches the disk. A ward that loads has been checked; a ward that
does not load says where each mistake is: file, line, key.
"""

import copy
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from wards import places
from wards.check import faults
from wards.model import Ward


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong, and where."""

    file: str
    line: int | None
    key: str
    ja: str
    en: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.key + ': ' if self.key else ''}{self.ja} / {self.en}"


class WardFileError(ValueError):
    """A ward file that cannot be used. ``mistakes`` has all that were found."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        self.mistakes = mistakes
        count = len(mistakes)
        lines = "\n".join(f"  {mistake}" for mistake in mistakes)
        super().__init__(f"区の設定に誤りが{count}件あります / {count} in the ward file\n{lines}")


def bundled_ward(name: str = "bunkyo") -> Path:
    """Where the file of a ward lies that comes with Tsunagu."""
    return Path(__file__).parent / f"{name}.toml"


def ward_in_use(named: Path | None, home: Path) -> Path:
    """The file that the settings name; otherwise the one that the network in ``home`` was started
    with; otherwise the bundled one."""
    if named is not None:
        return named
    told = home / "ward"
    path = told.read_text(encoding="utf-8").strip() if told.exists() else ""
    return Path(path) if path else bundled_ward()


def load_ward(path: Path | str) -> Ward:
    """The ward of a file. Raises ``WardFileError`` for whatever is wrong with it."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise WardFileError((Mistake(str(path), None, "", "読めません", reason),)) from error
    except UnicodeDecodeError as error:
        mistake = Mistake(str(path), None, "", "文字コードがUTF-8ではありません", "not UTF-8")
        raise WardFileError((mistake,)) from error
    return read_ward(text, str(path))


def read_ward(text: str, file: str) -> Ward:
    """The ward of a file's text; ``file`` is its name for messages. Pure."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"at line (\d+)", str(error))
        line = int(at[1]) if at else text.count("\n") + 1
        mistake = Mistake(file, line, "", "TOMLの書き方に誤りがあります", str(error))
        raise WardFileError((mistake,)) from error
    lines = places.lines_of(text)

    def mistake_at(path: places.Path, ja: str, en: str) -> Mistake:
        return Mistake(file, places.line_of(path, lines), places.written(path), ja, en)

    ward, errors = _parse(data)
    mistakes = [mistake_at(error["loc"], *_words(error)) for error in errors]
    if ward is not None:
        mistakes += [mistake_at(*fault) for fault in faults(ward)]
    if ward is None or mistakes:
        raise WardFileError(tuple(sorted(mistakes, key=lambda m: m.line or 0)))
    return ward


def _parse(data: dict[str, Any]) -> tuple[Ward | None, list[ErrorDetails]]:
    """The ward, and what is wrong with the shape of its fields.

    Keys that nobody knows are set aside, so that a typing mistake does not hide the others.
    """
    try:
        return _ward(data), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
    known = copy.deepcopy(data)
    for *around, key in (e["loc"] for e in errors if e["type"] == "extra_forbidden"):
        holder: Any = known
        for step in around:
            holder = holder[step]
        del holder[key]
    try:
        return _ward(known), errors
    except ValidationError:
        return None, errors


def _ward(data: dict[str, Any]) -> Ward:
    # By way of JSON: there an array may be a tuple and a word an enum, while a number stays a number.
    return Ward.model_validate_json(json.dumps(data, default=str))


def _words(error: ErrorDetails) -> tuple[str, str]:
    ja = {
        "extra_forbidden": "知らない項目です(書き間違い?)",
        "missing": "必要な項目がありません",
        "enum": "選べる値ではありません",
        "literal_error": "選べる値ではありません",
    }.get(error["type"], "値が正しくありません")
    en = "no such key (a typing mistake?)" if error["type"] == "extra_forbidden" else error["msg"]
    return ja, en
