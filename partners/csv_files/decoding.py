"""From a file's bytes to its text. The encoding is found, never guessed: what could be read in two
ways, or only in parts, is told with its lines. Pure.

CP932 is Windows' Shift_JIS with NEC's and IBM's characters (機種依存文字). Its own area for characters
that each office draws for itself (外字) has no meaning elsewhere: ``values`` refuses those.
"""

import codecs
import re
from typing import Literal, NamedTuple

from partners.csv_files.faults import FileFault

Encoding = Literal["utf-8-sig", "utf-8", "cp932", "utf-16"]
NAMES: dict[str, Encoding] = {
    "utf-8": "utf-8", "utf-8-sig": "utf-8-sig", "utf8": "utf-8", "cp932": "cp932",
    "shift_jis": "cp932", "sjis": "cp932", "windows-31j": "cp932", "utf-16": "utf-16",
}  # fmt: skip
_MOST_LINES = 20
# Bytes that Python reads though no character was ever assigned to them in CP932.
_NOT_IN_CP932 = re.compile("[\x80\xa0\uf8f0-\uf8f3]")
_KANA = re.compile("[\uff61-\uff9f]")


class Decoded(NamedTuple):
    text: str
    encoding: Encoding


def decode(raw: bytes, told: str = "") -> Decoded:
    """``told``: the encoding that the operator names; else it is found. Raises FileFault."""
    if told:
        return _as_told(raw, told)
    if raw.startswith(codecs.BOM_UTF8):
        return _strict(raw, "utf-8-sig")
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _strict(raw, "utf-16")
    utf8, cp932 = _read(raw, "utf-8"), _read(raw, "cp932")
    if utf8 is not None:
        if cp932 is not None and _only_by_chance(utf8, cp932):
            raise FileFault(
                "UTF-8 とも CP932 とも読めます。--encoding で指定してください"
                " / it reads as UTF-8 and as CP932: say which with --encoding"
            )
        return Decoded(utf8, "utf-8")
    both = [n for n, line in _lines(raw) if _surely_utf8(line)]
    if both:
        others = [n for n, line in _lines(raw) if _read(line, "utf-8") is None]
        raise FileFault(
            f"文字コードが混ざっています。UTF-8 の行: {_told(both)}。それ以外の行: {_told(others)}"
            f" / mixed encodings. Lines in UTF-8: {_told(both)}; lines that are not: {_told(others)}"
        )
    if cp932 is not None:
        return Decoded(cp932, "cp932")
    neither = [n for n, line in _lines(raw) if _read(line, "cp932") is None]
    raise FileFault(
        f"UTF-8 でも CP932 でも読めない行があります: {_told(neither)}"
        f" / neither UTF-8 nor CP932: lines {_told(neither)}"
    )


def _as_told(raw: bytes, told: str) -> Decoded:
    encoding = NAMES.get(told.lower())
    if encoding is None:
        raise FileFault("--encoding は utf-8、cp932、utf-16 です / must be utf-8, cp932 or utf-16")
    if encoding == "utf-8" and raw.startswith(codecs.BOM_UTF8):
        encoding = "utf-8-sig"
    return _strict(raw, encoding)


def _strict(raw: bytes, encoding: Encoding) -> Decoded:
    text = _read(raw, encoding)
    if text is None:
        plain: Encoding = "utf-8" if encoding == "utf-8-sig" else encoding
        wrong = [n for n, line in _lines(raw) if plain != "utf-16" and _read(line, plain) is None]
        where = f": {_told(wrong)}" if wrong else ""
        raise FileFault(
            f"{encoding} として読めない行があります{where} / not valid {encoding}{where}"
        )
    return Decoded(text, encoding)


def _read(raw: bytes, encoding: str) -> str | None:
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if encoding == "cp932" and _NOT_IN_CP932.search(text) else text


def _only_by_chance(utf8: str, cp932: str) -> bool:
    """Half-width kana come in pairs of bytes that UTF-8 reads as ñ and the like. A text that has such
    letters and nothing Japanese, and reads as kana in CP932, may be either."""
    return (
        not utf8.isascii()
        and all(character < "\u0800" for character in utf8)
        and _KANA.search(cp932) is not None
    )


def _surely_utf8(line: bytes) -> bool:
    """Not ASCII, and valid with a character of three bytes or more: CP932 is not so by chance."""
    text = _read(line, "utf-8")
    return text is not None and any(character >= "\u0800" for character in text)


def _lines(raw: bytes) -> list[tuple[int, bytes]]:
    """A line break is one byte in both, and no part of another character."""
    return list(enumerate(raw.split(b"\n"), start=1))


def _told(numbers: list[int]) -> str:
    more = " …" if len(numbers) > _MOST_LINES else ""
    return ", ".join(map(str, numbers[:_MOST_LINES])) + more
