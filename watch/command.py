"""`tsunagu watch`: finds the network and the key, and shows the board live, or once."""

import asyncio
import contextlib
import sys
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from runtime.clock import Clock, clock_of
from runtime.keys import KeyFileError, agency_key
from runtime.network_url import UrlError, network_url
from runtime.settings import Settings, SettingsError
from watch import drawing
from watch.line import Line, Lost, WatchError
from watch.screen import Screen
from watch.watching import Ready, Watching

WIDE = 170
PATIENCE = 20.0
"""Seconds for the first picture, where the board is shown once."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for on the command line."""

    agency: str = "core"
    url: str | None = None
    key_file: Path | None = None
    once: bool = False
    sound: bool = False
    insecure: bool = False


def watch_board(settings: Settings, wanted: Wanted, out: Console) -> None:
    """Raises WatchError."""
    try:
        url = network_url(settings.home, wanted.url, insecure=wanted.insecure)
        key = agency_key(wanted.key_file or settings.home / "keys.toml", wanted.agency)
    except (UrlError, KeyFileError) as error:
        raise WatchError(str(error)) from None
    try:
        clock = clock_of(settings)
    except SettingsError as error:
        raise WatchError(f"設定に誤りがあります / {error}") from None
    # A clock that was moved on purpose is right, and the network's host knows nothing of it.
    compared = clock if settings.clock_shift is None else None
    line = Line(url, wanted.agency, key, compared)
    terminal = sys.stdin.isatty() and out.is_terminal and not out.is_dumb_terminal
    with contextlib.suppress(KeyboardInterrupt):  # one of the ways to leave
        if terminal and not wanted.once:
            asyncio.run(_live(line, clock, out, sound=wanted.sound))
        else:
            asyncio.run(_once(line, url, clock, out))


async def _live(line: Line, clock: Clock, out: Console, *, sound: bool) -> None:
    try:
        await Screen(line, clock, out, sound=sound).run(sys.stdin.fileno())
    finally:
        await line.close()


async def _once(line: Line, url: str, clock: Clock, out: Console) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            watching = await _first_picture(line, clock)
    except (Lost, TimeoutError) as error:
        raise WatchError(
            f"{url} につながりません / cannot reach {url} ({error or 'timeout'})"
        ) from None
    finally:
        await line.close()
    # What is piped has no edge: nothing is left out of it.
    width = out.width if out.is_terminal else WIDE
    plain = Console(
        file=out.file, width=width, color_system=None, highlight=False, legacy_windows=False
    )
    plain.print(drawing.once(watching, clock.now() + watching.ahead, width))


async def _first_picture(line: Line, clock: Clock) -> Watching:
    """The board as it stands. Raises Lost and WatchError."""
    watching = Watching()
    async with aclosing(line.listen()) as stream:
        async for heard in stream:
            watching.hear(heard, clock.ticks(), clock.now())
            if isinstance(heard, Ready):
                return watching
    raise Lost("the stream ended")
