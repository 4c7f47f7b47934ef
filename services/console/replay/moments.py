"""Moments of a replay (時点): as an address writes them, as people type and read them, and the steps between
them. Pure.

A moment is exact to the microsecond, for two things may happen in one second and the order is what a replay
is about."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from schemas.outside import JAPAN
from services.console.words import Words

_INSTANT = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
_LONGEST = 40  # characters
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)
_WEEKDAYS = "月火水木金土日"


def mark(moment: datetime) -> str:
    """For an address: ``2026-11-20T07:50:00.000001Z``."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


def read_mark(text: str) -> datetime | None:
    """What ``mark`` wrote, or what somebody typed: a day and a time in Japan; to the second, or to the
    minute, it means the last instant of it. None where it is no moment that a ledger could have."""
    text = text.strip().replace(" ", "+" if "T" in text else "T", 1)
    if len(text) > _LONGEST:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=JAPAN)
        if not moment.microsecond:
            is_minute = text.count(":") < 2
            moment += (timedelta(minutes=1) if is_minute else _SECOND) - _INSTANT
    return moment if _EARLIEST <= moment <= _LATEST else None


def typed(moment: datetime) -> str:
    """For a field of a date and a time, in Japan, to the second."""
    return moment.astimezone(JAPAN).replace(tzinfo=None, microsecond=0).isoformat()


def exactly(moment: datetime, words: Words) -> str:
    """``2026年11月20日(金) 16:50:03``, with what is below a second where there is any."""
    local = moment.astimezone(JAPAN)
    parts = f"{local:%H:%M:%S}"
    if local.microsecond:
        parts += f".{local.microsecond // 1000:03d}"
    if words.language == "en":
        return f"{local:%a %d %b %Y} {parts}"
    return f"{local.year}年{local.month}月{local.day}日({_WEEKDAYS[local.weekday()]}) {parts}"


def just_before(moment: datetime) -> datetime:
    """The instant before something happened."""
    return moment - _INSTANT


@dataclass(frozen=True, slots=True)
class Steps:
    """The moments at which anything happened, in order, and where one stands among them. ``at`` None: now,
    which is after the last."""

    moments: Sequence[datetime]
    at: datetime | None

    @property
    def index(self) -> int:
        """Of the last step that had been by then; -1 before the first."""
        if self.at is None:
            return len(self.moments) - 1
        return bisect_right(self.moments, self.at) - 1

    @property
    def first(self) -> datetime | None:
        return self.moments[0] if self.moments else None

    @property
    def last(self) -> datetime | None:
        return self.moments[-1] if self.moments else None

    @property
    def previous(self) -> datetime | None:
        """From between two steps, back to the one that was; from a step, to the one before it."""
        stands_on = self.index
        if stands_on >= 0 and self.at is not None and self.moments[stands_on] != self.at:
            return self.moments[stands_on]
        return self.moments[stands_on - 1] if stands_on > 0 else None

    @property
    def next(self) -> datetime | None:
        return self.moments[self.index + 1] if self.index + 1 < len(self.moments) else None
