"""What can be wrong with a file or a cell, in words. No text here ever repeats a cell's value."""

from dataclasses import dataclass


class FileFault(Exception):
    """The file as a whole cannot be used; nothing of it was sent. The text tells where and why."""


class Stopped(Exception):
    """It cannot go on now, for a reason that the text tells; what was done is remembered."""


@dataclass(frozen=True, slots=True)
class Fault:
    """``column``: as the file's own header names it; empty for the row as a whole."""

    column: str
    detail: str

    def __str__(self) -> str:
        return f"{self.column}: {self.detail}" if self.column else self.detail
