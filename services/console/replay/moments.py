"""Moments of a replay (時点): as an address writes them, as people type and read them, and the steps between
them. Pure.

A moment is exact to the microsecond, for two things may happen in one second and the order is what a replay
is about."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from schemas.outside import JAPAN
from services.console.refer.typed import Unread, folded, read_date, read_time
from services.console.words import Words

_INSTANT = timedelta(microseconds=1)
_LONGEST = 40  # characters
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)
_WEEKDAYS = "月火水木金土日"


def mark(moment: datetime) -> str:
    """For an address: ``2026-11-20T07:50:00.000001Z``."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


def read_mark(text: str) -> datetime | None:
    """What ``mark`` wrote, or what somebody typed: a day, or a day and a time, in Japan and in any of the
    styles that people use. A day, a minute, a second means the last instant of it. None where it is no
    moment that a ledger could have."""
    if len(text) > _LONGEST:
        return None
    text = folded(text)
    moment = _exact(text) or _to_the_second(text) or _as_people_say(text)
    return moment if moment is not None and _EARLIEST <= moment <= _LATEST else None


def _exact(text: str) -> datetime | None:
    try:
        # In an address a plus may have become a blank.
        moment = datetime.fromisoformat(text.replace(" ", "+", 1) if "T" in text else text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _to_the_second(text: str) -> datetime | None:
    try:
        second = datetime.strptime(text.replace("T", " "), "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007
    except ValueError:
        return None
    return second.replace(tzinfo=JAPAN, microsecond=999_999)


def _as_people_say(text: str) -> datetime | None:
    day_said, _, time_said = text.replace("T", " ").partition(" ")
    day = read_date(day_said)
    if isinstance(day, Unread):
        return None
    if not time_said.strip():
        return datetime.combine(day, time.max, JAPAN)
    at = read_time(time_said)
    if isinstance(at, Unread):
        return None
    return datetime.combine(day, at.replace(second=59, microsecond=999_999), JAPAN)


def typed(moment: datetime) -> str:
    """For a field in which one types, in Japan, to the second: ``2026-11-20 16:50:03``."""
    return moment.astimezone(JAPAN).replace(tzinfo=None, microsecond=0).isoformat(" ")


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
