"""Folding the spellings of an address into one, and the numerals and signs found in it.

Only a copy is folded: what is handed on (a building, a room) is cut from what the sender wrote.
Nothing here knows a ward. Source: how people in the field write addresses; Unicode NFKC.
"""

import re
import unicodedata
from typing import NamedTuple

_DASHES = "-‐‑‒–—―⁃−ー─━~〜〰∼\u00ad"
# U+200B is a space that nobody sees: without it two numbers would grow together.
_SPACES = "、,。\u200b"
_PLAIN = dict.fromkeys(_DASHES, "-") | dict.fromkeys("のノ之", "の") | dict.fromkeys(_SPACES, " ")

_DIGITS = {character: value for value, character in enumerate("〇一二三四五六七八九")}
_DIGITS |= {"零": 0, "壱": 1, "弐": 2, "参": 3}  # as certificates write them
_TENS = {"十": 10, "拾": 10, "百": 100}
KANJI = "".join([*_DIGITS, *_TENS])

BRACKETS = r"()\[\]{}「」『』【】〔〕〈〉《》<>"
_ENDS = rf"[\s{BRACKETS}]|$"
_JOINED = rf"\s*[-の]\s*[0-9{KANJI}]"
# 三井ビル and 一番館 begin with a numeral and are names, so a kanji numeral must be seen to end. In
# 3F, 5A, 2十 or 1九 the digits are not a number by themselves either.
_KANJI_NUMERAL = (
    rf"[{KANJI}]+"
    rf"(?=丁目|町目|番地|番(?:{_ENDS}|[0-9{KANJI}]|{_JOINED})|号|{_JOINED}|{_ENDS})"
)
_NUMERAL = re.compile(rf"[0-9]+(?![0-9A-Za-z十拾百〇]|{_KANJI_NUMERAL})|{_KANJI_NUMERAL}")
STARTS_NUMERAL = rf"[0-9]|{_NUMERAL.pattern}"
TOWN_ENDS = rf"(?={_ENDS}|{STARTS_NUMERAL})"

CHOME = re.compile(r"\s*(?:丁目|町目|丁(?=[\s0-9-]|$))(?!駅)")
BAN = re.compile(r"\s*番地?(?![館街町組線目出通堂屋頭号])")
GO = re.compile(r"\s*号(?![室棟館店線車機舎荘邸])")
ANY_UNIT = re.compile(r"\s*(?:丁|町目|番|号|階|室|棟|[Ff](?![A-Za-z]))")
SEPARATOR = re.compile(r"\s*[-の]\s*")
SPACE = re.compile(r"\s*")


class Folded(NamedTuple):
    """A folded copy, and for each of its characters the place it came from."""

    text: str
    origins: tuple[int, ...]
    source: str

    def rest(self, at: int) -> str:
        """What the sender wrote from this place of the copy on, as it was written."""
        return "" if at >= len(self.text) else self.source[self.origins[at] :].strip()


class Numeral(NamedTuple):
    value: int
    end: int


def fold(source: str) -> Folded:
    """One spelling for widths, dashes, の and spaces; without variation selectors and the unseen."""
    characters: list[str] = []
    origins: list[int] = []
    for place, written in enumerate(source):
        for character in unicodedata.normalize("NFKC", written):
            plain = " " if character.isspace() else _PLAIN.get(character, character)
            if unicodedata.category(plain) == "Cf" or _selects_variant(plain):
                continue
            characters.append(plain)
            origins.append(place)
    return Folded("".join(characters), tuple(origins), source)


def _selects_variant(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def numeral(text: str, at: int) -> Numeral | None:
    """The numeral that begins exactly here. A value no address has (0, 12345, 十十) is given as 0."""
    found = _NUMERAL.match(text, at)
    if found is None:
        return None
    digits = found[0]
    if digits[0] not in "0123456789":
        return Numeral(_kanji_value(digits), found.end())
    digits = digits.lstrip("0")
    return Numeral(int(digits) if 1 <= len(digits) <= 4 else 0, found.end())


def _kanji_value(text: str) -> int:
    """二十一 counts in tens, 二一 and 二〇 write digits one after another."""
    if not any(character in _TENS for character in text):
        digits = "".join(str(_DIGITS[character]) for character in text).lstrip("0")
        return int(digits) if 1 <= len(digits) <= 4 else 0
    counted = re.fullmatch(r"(?:(.?)百)?(?:(.?)[十拾])?(.?)", text)
    if counted is None or any(part in _TENS or part in ("〇", "零") for part in counted.groups("")):
        return 0
    hundreds, tens, ones = counted.groups()
    return 100 * _count(hundreds) + 10 * _count(tens) + (_DIGITS[ones] if ones else 0)


def _count(written: str | None) -> int:
    """How many tens there are: none without 十, one if 十 stands alone."""
    if written is None:
        return 0
    return _DIGITS[written] if written else 1
