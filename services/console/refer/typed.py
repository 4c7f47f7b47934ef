"""What people type, as it comes (入力の読み取り): full and half width, 和暦, kana, telephone numbers. Pure.

Everything is read on a folded copy (Unicode NFKC); what was typed stays as it is. A name is never read, only
kept. What cannot be told for certain is not guessed: the answer is ``Unread``, with what to do in words.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime, time

from schemas.outside import JAPAN


@dataclass(frozen=True, slots=True)
class Unread:
    """It cannot be read so, and what to do. Repeats nothing of what was typed."""

    ja: str
    en: str


@dataclass(frozen=True, slots=True)
class Era:
    """A 元号: its names, the year before its first, its first and last day. An era's last day is also the
    first of the next (改元の日) up to 昭和, and people write both."""

    name: str
    letter: str
    before: int
    first: date
    last: date


# Days: the decrees of each change of era; 明治 is read from 明治6年1月1日 on, with which the present calendar
# began (太政官布告第337号, 明治5年): what is dated before that is dated by another one.
ERAS = (
    Era("令和", "R", 2018, date(2019, 5, 1), date.max),
    Era("平成", "H", 1988, date(1989, 1, 8), date(2019, 4, 30)),
    Era("昭和", "S", 1925, date(1926, 12, 25), date(1989, 1, 7)),
    Era("大正", "T", 1911, date(1912, 7, 30), date(1926, 12, 25)),
    Era("明治", "M", 1867, date(1873, 1, 1), date(1912, 7, 30)),
)
_BY_NAME = {name: era for era in ERAS for name in (era.name, era.name[0], era.letter)}

_DIGITS = {"〇": 0, "零": 0, **{sign: n for n, sign in enumerate("一二三四五六七八九", 1)}}
_DIGITS |= {"壱": 1, "弐": 2, "参": 3}
_TENS = {"十": 10, "拾": 10, "百": 100, "千": 1000}
_NUMBER = r"(?:[0-9]+|[〇零一二三四五六七八九壱弐参十拾百千]+)"
_ERA = "(?:令和|平成|昭和|大正|明治|[令平昭大明RHSTM])"
_SPACE = r"\s*"
_LONGEST = 60
"""Characters of a date, a time or a telephone number, however it is written."""
_BETWEEN = r"\s*[-/.・,、‐‑‒–—―−ー]\s*|\s+"

_YEAR = (
    rf"(?:(?P<era>{_ERA})\.?{_SPACE}(?P<eyear>元|{_NUMBER})"
    r"|(?P<year>[0-9]{4}|[一二][〇零一二三四五六七八九]{3}|千[百十一二三四五六七八九]+))"
)
# The same year once more, the other way: 1980(昭和55)年, 昭和55年(1980年).
_ALSO = re.compile(rf"\s*\((?:(?P<era>{_ERA})(?P<eyear>元|{_NUMBER})|(?P<year>[0-9]{{4}}))年?\)")
_DATE = re.compile(
    rf"{_YEAR}(?:{_SPACE}年{_SPACE}|{_BETWEEN})(?P<month>{_NUMBER})"
    rf"(?:{_SPACE}月{_SPACE}|{_BETWEEN})(?P<day>{_NUMBER}){_SPACE}日?"
    r"\s*(?:\([日月火水木金土](?:曜日?)?\))?\s*(?:生まれ|生)?"
)
_UNBROKEN = re.compile(
    rf"(?:(?P<era>{_ERA})(?P<eyear>[0-9]{{2}})|(?P<year>[0-9]{{4}}))"
    r"(?P<month>[0-9]{2})(?P<day>[0-9]{2})"
)
_TIME = re.compile(
    rf"(?P<half>午前|午後|[AP]\.?M\.?)?{_SPACE}(?P<hour>{_NUMBER})"
    rf"(?:{_SPACE}:{_SPACE}(?P<colon>[0-9]{{2}})(?::00)?|{_SPACE}時{_SPACE}(?:(?P<minute>{_NUMBER}){_SPACE}分|(?P<halfway>半))?)"
    rf"{_SPACE}(?P<after>[AP]\.?M\.?)?"
)
_TIME_UNBROKEN = re.compile(r"(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})")

_NO_DATE = Unread(
    "日付を読み取れません。1980-04-01、昭和55年4月1日、S55.4.1 のように書いてください",
    "The date cannot be read. Write it like 1980-04-01, 昭和55年4月1日 or S55.4.1",
)
_NO_DAY = Unread("暦にない日付です", "There is no such day in the calendar")
_OLD_CALENDAR = Unread(
    "明治5年までは旧暦です。西暦で書いてください",
    "Until 明治5 another calendar was used. Write the western year",
)
_DISAGREE = Unread("西暦と和暦が合いません", "The western year and the era's year do not agree")
_NO_TIME = Unread(
    "時刻を読み取れません。16:50、16時50分 のように書いてください",
    "The time cannot be read. Write it like 16:50 or 16時50分",
)
_NO_KANA = Unread("カタカナかひらがなで書いてください", "Write it in katakana or hiragana")
_NO_PHONE = Unread(
    "電話番号を読み取れません。03-0000-0000 のように、市外局番から書いてください",
    "The telephone number cannot be read. Write it with the area code, like 03-0000-0000",
)
_CONTROL = Unread(
    "目に見えない制御文字が入っています。その部分を消して打ち直してください",
    "There is an invisible control character in it. Delete that part and type it again",
)
_DAMAGED = Unread(
    "読み取れない文字（�）が入っています。その文字を打ち直してください",
    "There is a character that could not be read (�). Type it again",
)


def folded(text: str) -> str:
    """A copy to read from: full and half width alike, in capitals, without the space around it; nothing
    of what is too long to be a date, a time or a telephone number."""
    plain = text.strip()
    if len(plain) > _LONGEST:
        return ""
    return unicodedata.normalize("NFKC", plain).strip().upper()


def refuse_text(text: str) -> Unread | None:
    """Why a text cannot be kept: control characters (C0 but tab and line break, DEL, C1), or U+FFFD, which
    stands for bytes that were no text. Everything else is kept as it was typed."""
    if "�" in text:
        return _DAMAGED
    if any(unicodedata.category(sign) == "Cc" and sign not in "\n\t" for sign in text):
        return _CONTROL
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        return _DAMAGED
    return None


# -- dates and times -----------------------------------------------------------------------------------


def read_date(text: str) -> date | Unread:
    """A day, western or 和暦, in any of the styles that people use."""
    plain = folded(text)
    also = _ALSO.search(plain)
    if also is not None:
        plain = plain[: also.start()] + plain[also.end() :]
    found = _DATE.fullmatch(plain) or _UNBROKEN.fullmatch(plain)
    if found is None:
        return _NO_DATE
    month, day = _number(found["month"]), _number(found["day"])
    if month is None or day is None:
        return _NO_DATE
    read = _of_year(found, month, day)
    if isinstance(read, Unread) or also is None:
        return read
    again = _of_year(also, month, day)
    if isinstance(again, Unread):
        return again
    return read if again == read else _DISAGREE


def _of_year(found: re.Match[str], month: int, day: int) -> date | Unread:
    if found["era"] is not None:
        return _of_era(_BY_NAME[found["era"]], found["eyear"], month, day)
    year = _number(found["year"])
    return _NO_DATE if year is None else _day(year, month, day)


def _of_era(era: Era, year: str, month: int, day: int) -> date | Unread:
    number = 1 if year == "元" else _number(year)
    if number is None:
        return _NO_DATE
    if number < 1:
        return _NO_DAY
    found = _day(era.before + number, month, day)
    if isinstance(found, Unread) or era.first <= found <= era.last:
        return found
    if era.letter == "M" and found < era.first:
        return _OLD_CALENDAR
    if found < era.first:
        return Unread(
            f"{era.name}は{_spoken(era, era.first)}からです", f"{era.name} began on {era.first}"
        )
    return Unread(
        f"{era.name}は{_spoken(era, era.last)}までです", f"{era.name} ended on {era.last}"
    )


def _day(year: int, month: int, day: int) -> date | Unread:
    try:
        return date(year, month, day)
    except (ValueError, OverflowError):
        return _NO_DAY


def _spoken(era: Era, day: date) -> str:
    year = day.year - era.before
    return f"{'元' if year == 1 else year}年{day.month}月{day.day}日"


def in_era(day: date) -> str:
    """A day as people say it in Japanese: 昭和55年4月1日; before 明治6年 by its western year."""
    era = next((era for era in ERAS if era.first <= day), None)
    if era is None:
        return f"{day.year}年{day.month}月{day.day}日"
    return era.name + _spoken(era, day)


def read_time(text: str) -> time | Unread:
    """A time of the day, to the minute: 16:50, 16時50分, 午後4時半, 1650, 正午."""
    plain = folded(text)
    if plain == "正午":
        return time(12)
    found = _TIME.fullmatch(plain) or _TIME_UNBROKEN.fullmatch(plain)
    if found is None:
        return _NO_TIME
    given = found.groupdict()
    hour = _number(given["hour"])
    spelled = given.get("colon") or given.get("minute")
    minute = 30 if given.get("halfway") else _number(spelled) if spelled else 0
    if hour is None or minute is None:
        return _NO_TIME
    half = (given.get("half") or given.get("after") or "").replace(".", "")
    if half:
        if hour > 12 or (given.get("half") and given.get("after")):
            return _NO_TIME
        # 午後12時 is written for midnight and for noon; nobody can tell.
        if hour == 12 and half in ("午前", "午後"):
            return _NO_TIME
        hour = hour % 12 + (12 if half in ("午後", "PM") else 0)
    try:
        return time(hour, minute)
    except ValueError:
        return _NO_TIME


def read_moment(day: date, at: time) -> datetime:
    """In Japan's time."""
    return datetime.combine(day, at, JAPAN)


def _number(text: str) -> int | None:
    """12, 十二, 一二, 五十五, 千九百八十; None for what is none."""
    if text.isascii():
        return int(text) if len(text) <= 9 else None
    if not any(sign in _TENS for sign in text):
        return int("".join(str(_DIGITS[sign]) for sign in text)) if len(text) <= 9 else None
    total, digit, before = 0, None, 10_000
    for sign in text:
        unit = _TENS.get(sign)
        if unit is None:
            if digit is not None:
                return None
            digit = _DIGITS[sign]
            continue
        if unit >= before or digit == 0:
            return None
        total, digit, before = total + (digit or 1) * unit, None, unit
    return total + (digit or 0)


# -- kana and telephone numbers ------------------------------------------------------------------------

_TO_KATAKANA = {hira: hira + 0x60 for hira in (*range(0x3041, 0x3097), 0x309D, 0x309E)}
_KANA = re.compile("[ァ-ヺー・ヽヾ　]+")
_SEPARATOR = re.compile(r"[\s()‐‑‒–—―−ー.・-]+")
_PHONE = re.compile(
    r"(?P<main>[+0-9][0-9\s()‐‑‒–—―−ー.・-]*[0-9])"
    r"\s*(?:\(?(?:内線|EXT\.?)\s*:?\s*(?P<inner>[0-9]{1,6})\)?)?"
)


def read_kana(text: str) -> str | Unread:
    """ふりがな as full-width katakana, its words parted by one full-width space."""
    words = unicodedata.normalize("NFKC", text).translate(_TO_KATAKANA).split()
    found = "　".join(words)
    return found if _KANA.fullmatch(found) else _NO_KANA


def read_phone(text: str) -> str | Unread:
    """A telephone number in half-width digits, its groups parted as they were by hyphens; an extension
    (内線) behind it. Ten or eleven digits beginning with 0, or + and up to fifteen (ITU-T E.164)."""
    plain = folded(text)
    # (03)1234-5678 begins with a bracket.
    found = _PHONE.fullmatch(plain.removeprefix("("))
    if found is None:
        return _NO_PHONE
    number = _SEPARATOR.sub("-", found["main"]).strip("-")
    digits = number.replace("-", "").removeprefix("+")
    abroad = number.startswith("+") and 8 <= len(digits) <= 15
    at_home = number.startswith("0") and len(digits) in (10, 11)
    if not (abroad or at_home) or not digits.isdigit():
        return _NO_PHONE
    return f"{number} 内線{found['inner']}" if found["inner"] else number
