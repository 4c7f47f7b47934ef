"""What time it is. Everything that asks, asks here, so that tests can move the clock."""

import contextlib
import math
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from runtime.settings import Settings, SettingsError

_LONGEST_SHIFT = 100 * 365 * 86_400.0  # seconds; what claims more is garbage


def utc_text(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds: one spelling, so that texts sort as their moments do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Clock(Protocol):
    def now(self) -> datetime:
        """The current moment, in UTC."""

    def ticks(self) -> float:
        """Seconds of a clock that nobody sets. Only the difference of two of them means anything,
        and only within one process."""


class SystemClock:
    """The host's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def ticks(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)
        self._passed = timedelta(0)

    def now(self) -> datetime:
        return self._now

    def ticks(self) -> float:
        return self._passed.total_seconds()

    def move(self, by: timedelta) -> None:
        """Time passes. By less than nothing: the clock is set back."""
        self._now += by
        self._passed += max(by, timedelta(0))

    def set_back(self, by: timedelta) -> None:
        """The host's clock is set back (by less than nothing: forward), and no time passes."""
        self._now -= by


class NeverBackwards:
    """A clock over another that never runs backwards, whatever the host's clock does: while the
    host is behind what was known already, time goes on by ticks. Threads may share it.

    ``not_before``: the newest moment known from before this process; time goes on from there.
    """

    def __init__(self, clock: Clock, not_before: datetime | None = None) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # A moment and the ticks at it. It is moved only to follow the host: were it moved at every
        # question, the rounding to microseconds would add up.
        self._known = clock.now() if not_before is None else not_before.astimezone(UTC)
        self._known_ticks = clock.ticks()

    def now(self) -> datetime:
        with self._lock:
            # The host first: whatever passes between the two questions (a busy machine) then makes
            # the known moment late, which the host puts right; never early, which would stay.
            now = self._clock.now()
            ticks = self._clock.ticks()
            ticked = self._known + timedelta(seconds=ticks - self._known_ticks)
            if now <= ticked:
                return ticked
            self._known, self._known_ticks = now, ticks
            return now

    def ticks(self) -> float:
        return self._clock.ticks()


class ShiftedClock:
    """The host's clock and the seconds in a file, for demonstrations and tests: whoever writes the
    file with ``shift`` moves the clocks of all processes that have it open.

    Forward moves ``now`` and ``ticks``, as if the time had passed; back moves ``now`` only, as when
    a host's clock is set. By hand: one number and a newline. What cannot be read changes nothing.
    """

    def __init__(self, path: Path, host: Clock | None = None) -> None:
        """Raises OSError where there is no such file."""
        self._host = host or SystemClock()
        self._file = os.open(path, os.O_RDONLY)
        self._text = b""
        self._seconds = 0.0
        self._forward = 0.0

    def now(self) -> datetime:
        return self._host.now() + timedelta(seconds=self.seconds())

    def ticks(self) -> float:
        self._look()
        return self._host.ticks() + self._forward

    def seconds(self) -> float:
        """How far ``now`` is ahead of the host."""
        self._look()
        return self._seconds

    def close(self) -> None:
        os.close(self._file)

    def _look(self) -> None:
        try:
            text = os.pread(self._file, _LONGEST_TEXT, 0)
        except OSError:
            return
        if text == self._text:
            return
        read = _shift_from(text)
        if read is not None:
            self._seconds = read[0]
            # A number by hand may be less than the one before, and ticks never run backwards.
            self._forward = max(self._forward, read[1])
            self._text = text


def shift(path: Path, seconds: float) -> None:
    """Set ``ShiftedClock``s to be ``seconds`` ahead of the host (less than 0: behind it). Makes the
    file where there is none. One writer at a time."""
    if not abs(seconds) <= _LONGEST_SHIFT:
        raise ValueError("a clock is shifted by a hundred years at most")
    # The same file for ever, never a renamed one: the processes have it open.
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        before, forward = _shift_from(os.pread(file, _LONGEST_TEXT, 0)) or (0.0, 0.0)
        # How far forward in all is in the file too: a process that did not look between two moves
        # must count the same ticks as one that did.
        forward += max(0.0, seconds - before)
        text = _shift_text(seconds, forward)
        os.pwrite(file, text, 0)
        os.ftruncate(file, len(text))
    finally:
        os.close(file)


def shifted(path: Path) -> float:
    """The seconds in the file; 0 where there is no such file, or nothing readable in it."""
    with contextlib.suppress(FileNotFoundError):
        return (_shift_from(path.read_bytes()) or (0.0, 0.0))[0]
    return 0.0


def _shift_text(seconds: float, forward: float) -> bytes:
    # Twice, and always as long: whoever reads while it is being written sees two that differ.
    return (f"{seconds:+020.6f} {forward:+020.6f} " * 2).rstrip().encode("ascii") + b"\n"


_LONGEST_TEXT = 2 * len(_shift_text(0.0, 0.0))  # bytes; more than is ever written, so more is seen


def _shift_from(text: bytes) -> tuple[float, float] | None:
    """How far ahead of the host, and how far it was moved forward in all; None if unreadable."""
    words = text.split()
    if not text.endswith(b"\n"):
        return None
    try:
        if len(words) == 1:
            seconds = forward = float(words[0])
        elif len(words) == 4 and words[:2] == words[2:]:
            seconds, forward = float(words[0]), float(words[1])
        else:
            return None
    except ValueError:
        return None
    if not (math.isfinite(forward) and abs(seconds) <= _LONGEST_SHIFT):
        return None
    return seconds, max(0.0, forward)


def clock_of(settings: Settings) -> Clock:
    """The clock that a process with these settings goes by. Raises SettingsError."""
    if settings.clock_shift is None:
        return SystemClock()
    try:
        return ShiftedClock(settings.clock_shift)
    except OSError as error:
        raise SettingsError(f"TSUNAGU_CLOCK_SHIFT cannot be read: {error.strerror}") from None
