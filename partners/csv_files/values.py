"""From a cell to a value, and back (値の読み書き). Codes may be written as codes or in the Japanese
words that the network itself uses for them. A text is kept as it is: a name is never "corrected". Pure.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime

from partners.csv_files.columns import Column, Kind, fold
from partners.csv_files.dates import NotADate, read_day, read_moment
from schemas.outside import JAPAN

Terms = Mapping[str, Mapping[str, str]]
"""By a column's path: the ward's own codes that may stand there, each with its Japanese word."""

_YES = frozenset(map(fold, ("true", "yes", "はい", "有", "あり", "有り", "○", "◯", "済", "1")))
_NO = frozenset(map(fold, ("false", "no", "いいえ", "無", "なし", "無し", "×", "✕", "未", "0")))
# 外字: drawn by each office for itself; nobody else would see what was meant.
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd\ud800-\udfff]")
_PART = re.compile(r"((?:[^;\\]|\\.|\\$)*)(;|$)", re.DOTALL)


class NotAValue(ValueError):
    """The text tells what is wanted, Japanese and English; never what was written."""


def value(cell: str, column: Column, terms: Terms) -> object:
    """One cell that is not blank, as JSON has it. Raises NotAValue."""
    match column.kind:
        case Kind.TEXT:
            known = terms.get(column.path)
            return cell if known is None else _code(cell, known)
        case Kind.CODE:
            code = _code(cell, column.words)
            if code not in column.words:
                told = "、".join(column.words.values())
                raise NotAValue(f"使える値は {told} です / use one of: {', '.join(column.words)}")
            return code
        case Kind.NUMBER:
            plain = unicodedata.normalize("NFKC", cell).strip()
            if re.fullmatch(r"[0-9]{1,9}", plain) is None:
                raise NotAValue("整数で書いてください / must be a whole number")
            return int(plain)
        case Kind.YES_NO:
            plain = fold(cell)
            if plain not in _YES | _NO:
                raise NotAValue("はい か いいえ で書いてください / write yes or no")
            return plain in _YES
        case Kind.DAY | Kind.MOMENT:
            try:
                return (read_day if column.kind is Kind.DAY else read_moment)(cell).isoformat()
            except NotADate as error:
                raise NotAValue(str(error)) from None


def refuse_unreadable(cell: str) -> None:
    """Raises NotAValue where characters arrive as something else, or as nothing."""
    if _PRIVATE.search(cell):
        raise NotAValue(
            "外字は相手に伝わりません。通常の文字かカナで書いてください"
            " / a private-use character means nothing elsewhere"
        )
    if _CONTROL.search(cell):
        raise NotAValue("制御文字か壊れた文字があります / a control or broken character")


def parts(cell: str) -> list[str]:
    """The parts of a list. ``\\;`` and ``\\\\`` stand for themselves."""
    found = [m[1] for m in _PART.finditer(cell)]
    # The pattern also matches the nothing after a last part without separator.
    count = 1 + sum(m[2] == ";" for m in _PART.finditer(cell))
    return [re.sub(r"\\([;\\])", r"\1", part) for part in found[:count]]


def joined(texts: list[str]) -> str:
    return ";".join(re.sub(r"([;\\])", r"\\\1", text) for text in texts)


def text_of(given: object, column: Column, terms: Terms, *, codes: bool = False) -> str:
    """A value as a cell, such that ``value`` reads it again. ``codes``: not the Japanese words."""
    if isinstance(given, bool):
        return "はい" if given else "いいえ"
    text = str(given)
    if column.kind is Kind.MOMENT:
        return moment_text(text)
    if codes:
        return text
    known = column.words if column.kind is Kind.CODE else terms.get(column.path, {})
    word = known.get(text, text)
    return word if word not in known and list(known.values()).count(word) == 1 else text


def moment_text(text: str) -> str:
    """RFC 3339 as people read it, in Japan's time: 2026-11-20 16:50:00."""
    try:
        local = datetime.fromisoformat(text).astimezone(JAPAN)
    except (ValueError, OverflowError):
        return text
    return local.replace(tzinfo=None).isoformat(sep=" ")


def _code(cell: str, known: Mapping[str, str]) -> str:
    """The code of a word that only one code has; anything else as it was written, for the network to
    judge."""
    plain = cell.strip()
    if plain in known:
        return plain
    meant = [code for code, word in known.items() if fold(word) == fold(cell)]
    return meant[0] if len(meant) == 1 else unicodedata.normalize("NFKC", plain)
