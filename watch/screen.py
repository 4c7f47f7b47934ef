"""The live board: puts the line, the keyboard and the drawing together."""

import asyncio
import signal
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.live import Live

from runtime.clock import Clock
from watch.drawing import asked
from watch.drawing import live as draw
from watch.line import Line
from watch.terminal import Keyboard, key_by_key, read_keys
from watch.watching import Acknowledge, Heard, Quit, ReadHandoffs, Watching, Wish

_ESCAPE_ALONE = 0.3
"""Seconds after which an Esc was the key: over a slow line, the rest of an arrow comes late."""
_FRAME = 0.03


class Screen:
    def __init__(self, line: Line, clock: Clock, out: Console, *, sound: bool) -> None:
        self._line = line
        self._watching = Watching()
        self._clock = clock
        self._out = out
        self._sound = sound
        self._keyboard = Keyboard()
        self._settling: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()
        self._done = asyncio.Event()
        self._at_work: set[asyncio.Task[None]] = set()
        self._fault: BaseException | None = None

    async def run(self, terminal: int) -> None:
        """Until somebody quits. Raises WatchError when there is no use in going on."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(name, self._done.set)
        loop.add_signal_handler(signal.SIGWINCH, self._changed.set)
        with key_by_key(terminal), Live(console=self._out, screen=True, auto_refresh=False) as live:
            loop.add_reader(terminal, self._typed, terminal)
            self._start(self._line.follow(self._hear))
            self._start(self._paint(live))
            try:
                await self._done.wait()
            finally:
                loop.remove_reader(terminal)
                for task in self._at_work:
                    task.cancel()
                await asyncio.gather(*self._at_work, return_exceptions=True)
        if self._fault is not None:
            raise self._fault

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._at_work.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._at_work.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._fault = self._fault or task.exception()
            self._done.set()

    async def _paint(self, live: Live) -> None:
        """When something has changed, and every second."""
        while True:
            self._changed.clear()
            self._watching.pass_time(self._clock.ticks())
            self._wish(self._watching.refresh())
            width, height = self._out.size
            live.update(draw(self._watching, self._now(), width, height), refresh=True)
            await asyncio.sleep(_FRAME)
            now = self._now()
            try:
                async with asyncio.timeout(1.0 - now.microsecond / 1_000_000):
                    await self._changed.wait()
            except TimeoutError:
                pass

    # -- the network -------------------------------------------------------------------------------

    def _hear(self, heard: Heard) -> None:
        if self._watching.hear(heard, self._clock.ticks(), self._now()) and self._sound:
            self._out.bell()
        self._changed.set()

    def _now(self) -> datetime:
        return self._clock.now() + self._watching.ahead

    # -- the keyboard ------------------------------------------------------------------------------

    def _typed(self, terminal: int) -> None:
        typed = read_keys(terminal)
        if not typed:
            self._done.set()  # the terminal was closed
            return
        if self._settling is not None:
            self._settling.cancel()
        self._press(self._keyboard.feed(typed))
        if self._keyboard.undecided:
            loop = asyncio.get_running_loop()
            self._settling = loop.call_later(_ESCAPE_ALONE, self._settle)

    def _settle(self) -> None:
        self._press(self._keyboard.settle())

    def _press(self, keys: list[str]) -> None:
        width, height = self._out.size
        for key in keys:
            # Nobody answers yes to what the window has no room for.
            if key != "y" or len(asked(self._watching, width)) <= height:
                self._wish(self._watching.press(key, self._now()))
        self._changed.set()

    def _wish(self, wish: Wish | None) -> None:
        match wish:
            case Quit():
                self._done.set()
            case Acknowledge():
                self._start(self._acknowledge(wish))
            case ReadHandoffs():
                self._start(self._read(wish))
            case None:
                pass

    async def _acknowledge(self, wish: Acknowledge) -> None:
        self._watching.answered(wish, await self._line.acknowledge(wish))
        self._changed.set()

    async def _read(self, wish: ReadHandoffs) -> None:
        handoffs = await self._line.handoffs(wish.call.number)
        opened = self._watching.opened
        if opened is not None and opened.id == wish.call.id:
            self._watching.handoffs = handoffs
        self._changed.set()
