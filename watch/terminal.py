"""The keyboard of a terminal: keys as they are pressed, without Enter and without an echo."""

import codecs
import contextlib
import os
import termios
import tty
import unicodedata
from collections.abc import Iterator

from watch.watching import Key

_SEQUENCES = {"\x1b[A": Key.UP, "\x1bOA": Key.UP, "\x1b[B": Key.DOWN, "\x1bOB": Key.DOWN}
_LONGEST = 16


@contextlib.contextmanager
def key_by_key(terminal: int) -> Iterator[None]:
    """As it was, afterwards, whatever happens."""
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        changed = termios.tcgetattr(terminal)
        # Stopped halfway (Ctrl-Z), it would leave the shell on the board's screen.
        changed[6][termios.VSUSP] = b"\x00"
        termios.tcsetattr(terminal, termios.TCSADRAIN, changed)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


class Keyboard:
    """Tells keys from bytes, however they are cut. Full-width letters, as an input method that was
    left on sends them, are the same keys."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
        self._rest = ""

    @property
    def undecided(self) -> bool:
        """An Esc came; what follows it, if anything does, says which key it was."""
        return bool(self._rest)

    def settle(self) -> list[str]:
        """Nothing followed."""
        keys = [str(Key.ESCAPE)] if self._rest else []
        self._rest = ""
        return keys

    def feed(self, typed: bytes) -> list[str]:
        text = self._rest + self._decoder.decode(typed)
        self._rest = ""
        keys: list[str] = []
        while text:
            if not text.startswith("\x1b"):
                keys.append(unicodedata.normalize("NFKC", text[0]).lower())
                text = text[1:]
                continue
            length = _sequence(text)
            if length is None:
                self._rest = text
                break
            key = Key.ESCAPE if length == 1 else _SEQUENCES.get(text[:length])
            if key is not None:
                keys.append(str(key))
            text = text[length:]
        return keys


def _sequence(text: str) -> int | None:
    """How long the sequence at the beginning is; None if it goes on."""
    if len(text) == 1:
        return None
    if text[1] == "O":
        return 3 if len(text) > 2 else None
    if text[1] != "[":
        return 1
    for place, character in enumerate(text[2:_LONGEST], 2):
        if "@" <= character <= "~":
            return place + 1
    return None if len(text) < _LONGEST else _LONGEST


def read_keys(terminal: int) -> bytes:
    """What was typed; nothing at all if the terminal is gone."""
    try:
        return os.read(terminal, 1024)
    except OSError:
        return b""
