"""Days and times as people write them in Japan: 2026-04-01, 2026/4/1, 2026年4月1日, 令和8年4月1日,
R8.4.1, each with full-width digits too. Pure.

Nothing is guessed: a year of two digits without its era, a day before the month, an Excel serial
number, and a day outside its era are refused. Eras (元号): 元号法 and the 太政官布告・詔書 that set the
days on which they began; the calendar is Gregorian from 明治6年1月1日 (明治5年太政官布告第337号).
"""

import re
import unicodedata
from datetime import date, datetime, time

from schemas.outside import JAPAN

_ERAS = (
    ("明治", "M", 1868, date(1873, 1, 1), date(1912, 7, 30)),
    ("大正", "T", 1912, date(1912, 7, 30), date(1926, 12, 25)),
    ("昭和", "S", 1926, date(1926, 12, 25), date(1989, 1, 7)),
    ("平成", "H", 1989, date(1989, 1, 8), date(2019, 4, 30)),
    ("令和", "R", 2019, date(2019, 5, 1), date.max),
)
"""Name, letter, the year called 元年, first day (here the first that the calendar counts), last day.
大正 and 昭和 began on the day on which the era before ended: that day has both names."""
_DAY = re.compile(
    r"(?P<era>明治|大正|昭和|平成|令和|[MTSHR])?\s*(?P<year>元|\d{1,4})\s*"
    r"(?:年\s*(?P<m1>\d{1,2})\s*月\s*(?P<d1>\d{1,2})\s*日"
    r"|(?P<by>[-/.])(?P<m2>\d{1,2})(?P=by)(?P<d2>\d{1,2}))"
)
_TIME = re.compile(
    r"(?P<h>\d{1,2})(?::(?P<m>\d{2})(?::(?P<s>\d{2})(?:\.(?P<f>\d{1,6}))?)?"
    r"|時(?:\s*(?P<m2>\d{1,2})分)?)"
)
_OFFSET = re.compile(r"(?P<rest>.*\d{2}:\d{2}.*?)\s*(?P<offset>Z|[+-]\d{2}:\d{2})")


class NotADate(ValueError):
    """The text tells what is wanted, Japanese and English; never what was written."""


WANTED = "2026-04-01、2026/4/1、令和8年4月1日 のように書いてください / write it like 2026-04-01"
NO_SUCH_DAY = "暦にない日です / there is no such day"
NOT_OF_THAT_ERA = "その元号の期間にない日です。西暦で書いてください / not a day of that era: write the year as 2026"
WANTED_TIME = (
    "2026-04-01 16:50 のように時刻まで書いてください（日本時間） / write it like 2026-04-01 16:50"
)


def read_day(text: str) -> date:
    """Raises NotADate."""
    found = _DAY.fullmatch(_folded(text))
    if found is None:
        raise NotADate(WANTED)
    return _day(found)


def read_moment(text: str) -> datetime:
    """Without an offset it is Japan's time. Raises NotADate."""
    plain = _folded(text)
    zone = None
    offset = _OFFSET.fullmatch(plain)
    if offset is not None:
        plain = offset["rest"]
        zone = datetime.fromisoformat(f"2000-01-01T00:00{offset['offset']}").tzinfo
    found = _DAY.match(plain)
    clock = _TIME.fullmatch(plain[found.end() :].removeprefix("T").strip()) if found else None
    if found is None or clock is None:
        raise NotADate(WANTED_TIME)
    fraction = int((clock["f"] or "0").ljust(6, "0"))
    try:
        at = time(
            int(clock["h"]), int(clock["m"] or clock["m2"] or 0), int(clock["s"] or 0), fraction
        )
    except ValueError:
        raise NotADate(WANTED_TIME) from None
    return datetime.combine(_day(found), at, zone or JAPAN)


def _day(found: re.Match[str]) -> date:
    month, day = int(found["m1"] or found["m2"]), int(found["d1"] or found["d2"])
    written = found["year"]
    try:
        if found["era"] is None:
            if len(written) != 4 or written == "元":
                raise NotADate(WANTED)
            return date(int(written), month, day)
        era = next(e for e in _ERAS if found["era"] in e[:2])
        counted = 1 if written == "元" else int(written)
        if not 1 <= counted <= 99:
            raise NotADate(WANTED)
        that = date(era[2] + counted - 1, month, day)
    except NotADate:
        raise
    except ValueError:
        raise NotADate(NO_SUCH_DAY) from None
    if not era[3] <= that <= era[4]:
        raise NotADate(NOT_OF_THAT_ERA)
    return that


def _folded(text: str) -> str:
    """Full-width forms as ASCII; that changes no date's meaning."""
    return unicodedata.normalize("NFKC", text).strip().upper()
