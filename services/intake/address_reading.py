"""Reading an address as people write it: town, 丁目, 番, 号, and the rest (住所の読み取り).

A small grammar over a folded copy. It reads what is written and never repairs it: what it cannot
tell apart from a room, a floor or a building's name stays unread, and the district is then found
from less, or left to the core centre. Answers are values; nothing raises.

An address is personal data: a problem says what is wrong without repeating any of it.
"""

import re
from enum import StrEnum
from functools import lru_cache

from pydantic import BaseModel, ConfigDict, Field

from schemas.codes import AddressWarning
from services.intake.address_text import (
    ANY_UNIT,
    BAN,
    BRACKETS,
    CHOME,
    GO,
    SEPARATOR,
    SPACE,
    TOWN_ENDS,
    Folded,
    Numeral,
    fold,
    numeral,
)
from wards import Ward


class ProblemCode(StrEnum):
    """Why no town and chome of the ward could be read."""

    UNREADABLE = "unreadable"
    UNKNOWN_TOWN = "unknown_town"
    NO_SUCH_CHOME = "no_such_chome"
    OUT_OF_WARD = "out_of_ward"


class ReadAddress(BaseModel):
    """An address of the ward. ``None`` is a number that is not written, or not certain."""

    model_config = ConfigDict(frozen=True)

    town: str
    chome: int | None = None
    ban: int | None = Field(default=None, repr=False)
    go: int | None = Field(default=None, repr=False)
    rest: str = Field(default="", repr=False)
    """Building and room, as the sender wrote them."""
    warnings: tuple[AddressWarning, ...] = ()


class AddressProblem(BaseModel):
    """No: the address is not one of this ward, or nobody can read it. Repeats none of it."""

    model_config = ConfigDict(frozen=True)

    code: ProblemCode
    ja: str
    en: str


def read_address(text: str, ward: Ward) -> ReadAddress | AddressProblem:
    """The parts of an address, or why there are none."""
    folded = fold(text)
    grammar = _grammar_of(ward)
    start = grammar.prefix.match(folded.text)
    at = start.end() if start else 0
    town = grammar.town.match(folded.text, at)
    if town is None:
        in_ward = start is not None and start["ward"] is not None
        return _problem(_why_no_town(folded.text[at:], in_ward, grammar), ward)
    written = re.sub(r"\s", "", town[0])
    name = grammar.aliases.get(written, written)
    warnings = (AddressWarning.ALIAS,) if name != written else ()
    return _read_numbers(folded, town.end(), name, warnings, ward)


def _read_numbers(
    folded: Folded, at: int, town: str, warnings: tuple[AddressWarning, ...], ward: Ward
) -> ReadAddress | AddressProblem:
    text = folded.text
    chome, at, spelled = _chome(text, at)
    if chome is not None and ward.chome(town, chome) is None:
        return _problem(ProblemCode.NO_SUCH_CHOME, ward)
    ban = go = None
    found = _ban(text, at, spelled=spelled, chome=chome)
    if found:
        ban, at, spelled = found
        number = _go(text, at, spelled=spelled)
        if number:
            go, at = number
    if 0 in (ban, go):
        # 0番, or a number longer than any street has: as good as not written.
        warnings = (*warnings, AddressWarning.IMPOSSIBLE_NUMBER)
        ban, go = (ban or None), (go or None) if ban else None
    rest = folded.rest(at + len(text[at:]) - len(text[at:].lstrip(" -")))
    return ReadAddress(town=town, chome=chome, ban=ban, go=go, rest=rest, warnings=warnings)


def _chome(text: str, at: int) -> tuple[int | None, int, bool]:
    """The 丁目, where reading goes on, and whether 丁目 was spelled out."""
    found = numeral(text, SPACE.match(text, at).end())  # type: ignore[union-attr]
    if found is None:
        return None, at, False
    if unit := CHOME.match(text, found.end):
        return found.value, unit.end(), True
    if ANY_UNIT.match(text, found.end):
        return None, at, False  # 本郷21番3号, 本郷3号室, 本郷三丁目駅: a number, but not a 丁目
    return found.value, found.end, False


def _ban(text: str, at: int, *, spelled: bool, chome: int | None) -> tuple[int, int, bool] | None:
    """The 番. After a bare number only a separator leads to it: in 白山1 3 the 3 may be a room."""
    found = _next(text, at, needs_separator=chome is not None and not spelled)
    if found is None:
        return None
    if unit := BAN.match(text, found.end):
        return found.value, unit.end(), True
    if chome is None or ANY_UNIT.match(text, found.end):
        return None
    return found.value, found.end, False


def _go(text: str, at: int, *, spelled: bool) -> tuple[int, int] | None:
    """The 号. 3号室 is a room, 3階 a floor, and after a space only 号 tells a 号 from a room."""
    found = _next(text, at, needs_separator=not spelled)
    if found is None:
        return None
    if unit := GO.match(text, found.end):
        return found.value, unit.end()
    spaced = text[at : at + 1] == " " and not SEPARATOR.match(text, at)
    if spaced or ANY_UNIT.match(text, found.end):
        return None
    return found.value, found.end


def _next(text: str, at: int, *, needs_separator: bool) -> Numeral | None:
    lead = SEPARATOR.match(text, at) or (None if needs_separator else SPACE.match(text, at))
    return numeral(text, lead.end()) if lead else None


class _Grammar:
    """The ward's names as patterns. Spaces may stand between any two characters of a name."""

    def __init__(
        self,
        prefecture: str,
        ward: str,
        towns: tuple[str, ...],
        aliases: tuple[tuple[str, str], ...],
        elsewhere: tuple[str, ...],
    ) -> None:
        self.aliases = dict(aliases)
        shorter = rf"{_spaced(prefecture[:-1])}(?=\s*{_spaced(ward)})"
        self.prefix = re.compile(
            rf"[\s{BRACKETS}]*(?:(?:現?住所|所在地|居所|自宅)\s*:?\s*)?"
            rf"(?:[〒〶]?\s*[0-9]{{3}}-?[0-9]{{4}}(?![0-9]))?\s*"
            rf"(?:(?:{_spaced(prefecture)}|{shorter})\s*|(?P<ward>{_spaced(ward)})\s*)*"
        )
        self.town = re.compile(rf"(?:{_any(towns + tuple(self.aliases))}){TOWN_ENDS}")
        self.elsewhere = re.compile(rf"(?:{_any(elsewhere)}){TOWN_ENDS}") if elsewhere else None


_PREFECTURES = "北海道|東京都|大阪府|京都府|[一-鿿]\\s*[一-鿿]\\s*(?:[一-鿿]\\s*)?県"
# No town of a ward has 市, 区 or 郡 so near its beginning; a municipality has.
_MUNICIPALITY = re.compile(rf"(?:{_PREFECTURES})|(?:[^\s0-9]\s*){{1,7}}?[市区郡]")
_JAPANESE = re.compile(r"[ぁ-ヿ一-鿿]")


def _spaced(name: str) -> str:
    return r"\s*".join(map(re.escape, name))


def _any(names: tuple[str, ...]) -> str:
    return "|".join(_spaced(name) for name in sorted(names, key=len, reverse=True))


_build = lru_cache(maxsize=64)(_Grammar)


def _grammar_of(ward: Ward) -> _Grammar:
    return _build(
        ward.prefecture,
        ward.name,
        ward.towns,
        tuple((alias.written, alias.town) for alias in ward.town_aliases),
        tuple(place.town for place in ward.elsewhere),
    )


def _why_no_town(text: str, in_ward: bool, grammar: _Grammar) -> ProblemCode:
    if not _JAPANESE.search(text):
        return ProblemCode.UNREADABLE
    if in_ward:
        return ProblemCode.UNKNOWN_TOWN
    if grammar.elsewhere and grammar.elsewhere.match(text):
        return ProblemCode.OUT_OF_WARD
    return ProblemCode.OUT_OF_WARD if _MUNICIPALITY.match(text) else ProblemCode.UNKNOWN_TOWN


_SENTENCES: dict[ProblemCode, tuple[str, str]] = {
    ProblemCode.UNREADABLE: (
        "住所を読み取れません。町名から書いてください。",
        "The address cannot be read. Write it from the name of the town on.",
    ),
    ProblemCode.UNKNOWN_TOWN: (
        "{ja}にない町名です。町名を確かめてください。",
        "No town of {en} has this name. Check the name of the town.",
    ),
    ProblemCode.NO_SUCH_CHOME: (
        "その町にない丁目です。丁目を確かめてください。",
        "The town has no such 丁目 (chome). Check its number.",
    ),
    ProblemCode.OUT_OF_WARD: (
        "{ja}の外の住所です。お住まいの市区町村の窓口におつなぎください。",
        "The address lies outside {en}. Turn to the municipality where the person lives.",
    ),
}


def _problem(code: ProblemCode, ward: Ward) -> AddressProblem:
    ja, en = _SENTENCES[code]
    return AddressProblem(code=code, ja=ja.format(ja=ward.name), en=en.format(en=ward.name_en))
