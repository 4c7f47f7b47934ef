"""A terminal of its own for a real program: keys go in, a screen comes out."""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.cells import cell_len

REPOSITORY = Path(__file__).resolve().parents[2]
_TOKEN = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b\][^\x07]*\x07|(.)", re.DOTALL)


class Screen:
    """What a terminal shows, as far as the board needs one."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.modes: set[str] = set()
        self.bells = 0
        self._rest = ""
        self._clear()
        self._other = (self._cells, 0, 0)

    def _clear(self) -> None:
        self._cells = [[" "] * self.width for _ in range(self.height)]
        self._row = self._column = 0

    @property
    def text(self) -> str:
        return "\n".join("".join(row).rstrip() for row in self._cells)

    def feed(self, text: str) -> None:
        text = self._rest + text
        half = re.search(r"\x1b(\[[?0-9;]*)?\Z", text)
        self._rest = half.group() if half else ""
        for match in _TOKEN.finditer(text[: len(text) - len(self._rest)]):
            numbers, command, character = match.groups()
            if character is not None:
                self._put(character)
            elif command == "H":
                self._row = self._column = 0
            elif command == "J":
                self._clear()
            elif command in ("h", "l"):
                self._switch(numbers, on=command == "h")

    def _switch(self, mode: str, *, on: bool) -> None:
        if mode == "?1049" and on != (mode in self.modes):
            # The other screen, with a cursor of its own.
            other, self._other = self._other, (self._cells, self._row, self._column)
            self._cells, self._row, self._column = other
            if on:
                self._clear()
        if on:
            self.modes.add(mode)
        else:
            self.modes.discard(mode)

    def _put(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\n":
            self._row = min(self._row + 1, self.height - 1)
        elif character == "\a":
            self.bells += 1
        else:
            row = self._cells[self._row]
            for n, part in enumerate([character, ""][: cell_len(character)]):
                if self._column + n < self.width:
                    row[self._column + n] = part
            self._column += cell_len(character)


class Terminal:
    """``program`` runs in it. ``sees`` waits for what the screen must show."""

    def __init__(
        self, *arguments: str, height: int = 24, width: int = 100, **environment: str
    ) -> None:
        self.screen = Screen(height, width)
        self._ours, self._its = pty.openpty()
        termios.tcsetwinsize(self._its, (height, width))
        self._before = termios.tcgetattr(self._its)
        unwanted = ("COLUMNS", "LINES", "NO_COLOR")
        inherited = {k: v for k, v in os.environ.items() if k not in unwanted}
        self.program = subprocess.Popen(
            [sys.executable, "-m", "services.cli", *arguments],
            env={**inherited, "TERM": "xterm-256color", **environment},
            cwd=REPOSITORY,
            preexec_fn=lambda: os.login_tty(self._its),
            pass_fds=(self._its,),
        )

    def close(self) -> None:
        if self.program.poll() is None:
            self.program.kill()
        self.program.wait()
        os.close(self._ours)
        os.close(self._its)

    # -- hands -------------------------------------------------------------------------------------

    def types(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def resized(self, height: int, width: int) -> None:
        self.screen = Screen(height, width)
        termios.tcsetwinsize(self._its, (height, width))
        self.program.send_signal(signal.SIGWINCH)

    # -- eyes --------------------------------------------------------------------------------------

    def sees(self, *words: str, seconds: float = 20) -> str:
        return self.until(lambda text: all(w in text for w in words), " and ".join(words), seconds)

    def sees_no_more(self, words: str, seconds: float = 20) -> str:
        return self.until(lambda text: words not in text, f"no {words}", seconds)

    def selected(self) -> str:
        """The line that is selected."""
        chosen = [line for line in self.screen.text.splitlines() if line.startswith(">")]
        return chosen[0] if chosen else ""

    def until(self, holds: Callable[[str], object], what: str, seconds: float = 20) -> str:
        deadline = time.monotonic() + seconds
        while not holds(self.screen.text):
            left = deadline - time.monotonic()
            assert left > 0, f"never seen: {what}\n{self.screen.text}"
            self._read(left)
        return self.screen.text

    def ends(self, seconds: float = 20) -> int:
        """The program's exit code, when it has ended."""
        deadline = time.monotonic() + seconds
        while self.program.poll() is None:
            assert time.monotonic() < deadline, f"it does not end\n{self.screen.text}"
            self._read(0.05)
        while self._read(0):
            pass
        return self.program.returncode

    def is_as_before(self) -> bool:
        """The shell's own screen, with an echo and a cursor."""
        alternate = "?1049" in self.screen.modes
        cursor = "?25" in self.screen.modes
        return cursor and not alternate and termios.tcgetattr(self._its) == self._before

    def _read(self, seconds: float) -> bool:
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        read = os.read(self._ours, 65536)
        self.screen.feed(self._decode(read))
        return bool(read)

    _half = b""

    def _decode(self, read: bytes) -> str:
        whole = self._half + read
        for cut in range(4):
            with contextlib.suppress(UnicodeDecodeError):
                text = whole[: len(whole) - cut].decode()
                self._half = whole[len(whole) - cut :]
                return text
        raise AssertionError("not UTF-8")


@contextlib.contextmanager
def terminal(*arguments: str, **how: Any) -> Iterator[Terminal]:
    opened = Terminal(*arguments, **how)
    try:
        yield opened
    finally:
        opened.close()
