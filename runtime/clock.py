"""What time it is. Everything that asks, asks here, so that tests can move the clock."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


def utc_text(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds: one spelling, so that texts sort as their moments do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Clock(Protocol):
    def now(self) -> datetime:
        """The current moment, in UTC."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def move(self, by: timedelta) -> None:
        self._now += by


class NeverBackwards:
    """A clock over another that never runs backwards, whatever the host's clock does."""

    def __init__(self, clock: Clock, not_before: datetime | None = None) -> None:
        self._clock = clock
        self._latest = not_before

    def now(self) -> datetime:
        now = self._clock.now()
        if self._latest is None or now > self._latest:
            self._latest = now
        return self._latest
