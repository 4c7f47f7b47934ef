"""When it is: what FHIR says of time, as moments. Pure.

A FHIR ``dateTime`` is a year, a month, a day or a moment (https://hl7.org/fhir/R4/datatypes.html#dateTime);
only a moment has an offset, so the others are read as Japan's. The end of a ``Period`` is within it:
"2027-03" lasts until the end of March.
"""

from calendar import monthrange
from datetime import date, datetime, time
from typing import Any

from schemas.outside import JAPAN

_LAST_SECOND = time(23, 59, 59)


def in_force(period: Any, now: datetime) -> bool:
    """Whether a Period holds now; without one, it does. One that cannot be read holds never."""
    if not period:
        return True
    start, end = period.get("start"), period.get("end")
    begins, ends = _span(start), _span(end)
    return (start is None or (begins is not None and begins[0] <= now)) and (
        end is None or (ends is not None and now <= ends[1])
    )


def first_moment(said: Any) -> Any:
    """A day as the moment at which it begins; anything else as it stands: no moment is made of a
    month."""
    return _of_day(said, 0)


def last_moment(said: Any) -> Any:
    return _of_day(said, 1)


def _of_day(said: Any, which: int) -> Any:
    span = _span(said) if isinstance(said, str) and len(said) == len("2026-11-20") else None
    return said if span is None else span[which].isoformat()


def _span(said: Any) -> tuple[datetime, datetime] | None:
    """The first and the last second of it; None when it cannot be read."""
    if not isinstance(said, str):
        return None
    try:
        if "T" in said:
            moment = datetime.fromisoformat(said.replace(":60", ":59"))  # a leap second
            return None if moment.tzinfo is None else (moment, moment)
        year, month, day = (int(part) for part in f"{said}-0-0".split("-")[:3])
        first = date(year, month or 1, day or 1)
        last = date(year, month or 12, day or monthrange(year, month or 12)[1])
    except ValueError:
        return None
    return datetime.combine(first, time.min, JAPAN), datetime.combine(last, _LAST_SECOND, JAPAN)
