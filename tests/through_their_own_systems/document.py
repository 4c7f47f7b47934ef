"""``docs/partners.md`` as tests read it: its code, its diagrams."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from partners.publishing import DOCUMENT
from schemas.events import EVENT_TYPES
from schemas.publishing.messages import says

_BLOCK = re.compile(r"(<!-- run -->\n)?```(\w+)\n(.*?)```\n", re.DOTALL)
_HEADING = re.compile(r"^#{2,3} ([\d.]+) ", re.MULTILINE)
_ARROW = re.compile(r"^\s*(\S+) --> (\S+): (.*)$", re.MULTILINE)
_EVENTS = {says(kind) for kind in EVENT_TYPES}


@dataclass(frozen=True)
class Block:
    """``section``: 2.1, 5.3 …; ``runs``: marked to be run."""

    section: str
    language: str
    text: str
    runs: bool


@dataclass(frozen=True)
class Arrow:
    before: str
    after: str
    events: frozenset[str]


def blocks() -> list[Block]:
    text = DOCUMENT.read_text(encoding="utf-8")
    headings = [(m.start(), m[1]) for m in _HEADING.finditer(text)]
    return [
        Block(
            [name for at, name in headings if at < m.start()][-1],
            m[2],
            m[3],
            m[1] is not None,
        )
        for m in _BLOCK.finditer(text)
    ]


def runnable(language: str, *sections: str) -> list[Block]:
    return [
        b
        for b in blocks()
        if b.runs and b.language == language and any(b.section.startswith(s) for s in sections)
    ]


def arrows(section: str) -> Iterator[Arrow]:
    (diagram,) = (b for b in blocks() if b.language == "mermaid" and b.section == section)
    for before, after, label in _ARROW.findall(diagram.text):
        named = frozenset(re.findall(r"[a-z]+_[a-z_]+", label))
        assert named, label
        assert named <= _EVENTS, f"no such event: {named - _EVENTS}"
        yield Arrow(before, after, named)
