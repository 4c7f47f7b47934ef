"""The live board: puts the line, the keyboard and the drawing together."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

from rich.console import Console
from rich.live import Live

from runtime.clock import Clock
from schemas.partner import BurningGiven
from watch.drawing import live as draw
from watch.line import Connected, Heard, Line, Ready, Retrying, Unreadable
from watch.terminal import Keyboard, key_by_key, read_keys
from watch.watching import Acknowledge, Quit, ReadHandoffs, Watching, Wish

_ESCAPE_ALONE = 0.05
_FRAME = 0.03


class Screen:
    def __init__(
        self, line: Line, watching: Watching, clock: Clock, out: Console, *, sound: bool
    ) -> None:
        self._line = line
        self._watching = watching
        self._clock = clock
        self._out = out
        self._sound = sound
        self._keyboard = Keyboard()
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
            live.update(draw(self._watching, self._clock.now(), width, height), refresh=True)
            await asyncio.sleep(_FRAME)
            now = self._clock.now()
            try:
                async with asyncio.timeout(1.0 - now.microsecond / 1_000_000):
                    await self._changed.wait()
            except TimeoutError:
                pass

    # -- the network -------------------------------------------------------------------------------

    def _hear(self, heard: Heard) -> None:
        watching = self._watching
        match heard:
            case Connected():
                watching.names = heard.names
            case BurningGiven():
                if watching.hear(heard, self._clock.ticks()) and self._sound:
                    self._out.bell()
            case Ready():
                watching.ready()
            case Unreadable():
                watching.status = "読めない知らせが届きました。この端末のつなぐを新しくしてください"
            case Retrying():
                watching.as_of = watching.as_of or self._clock.now()
                watching.link = (
                    f"接続が切れました、再接続中（{heard.attempt}回目、次は {heard.pause:.0f}秒後）"
                )
        self._changed.set()

    # -- the keyboard ------------------------------------------------------------------------------

    def _typed(self, terminal: int) -> None:
        typed = read_keys(terminal)
        if not typed:
            self._done.set()  # the terminal was closed
            return
        self._press(self._keyboard.feed(typed))
        if self._keyboard.undecided:
            asyncio.get_running_loop().call_later(_ESCAPE_ALONE, self._settle)

    def _settle(self) -> None:
        self._press(self._keyboard.settle())

    def _press(self, keys: list[str]) -> None:
        for key in keys:
            self._wish(self._watching.press(key, self._clock.now()))
        self._changed.set()

    def _wish(self, wish: Wish | None) -> None:
        match wish:
            case Quit():
                self._done.set()
            case Acknowledge():
                self._watching.status = f"{wish.call.number} 送っています…"
                self._start(self._acknowledge(wish))
            case ReadHandoffs():
                self._start(self._read(wish))
            case None:
                pass

    async def _acknowledge(self, wish: Acknowledge) -> None:
        self._watching.status = await self._line.acknowledge(wish)
        self._changed.set()

    async def _read(self, wish: ReadHandoffs) -> None:
        handoffs = await self._line.handoffs(wish.call.number)
        opened = self._watching.opened
        if opened is not None and opened.id == wish.call.id:
            self._watching.handoffs = handoffs
        self._changed.set()
