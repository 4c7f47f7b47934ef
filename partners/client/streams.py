"""Server-sent events (WHATWG HTML), and the inbox's numbers."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """``id``: give it as ``last_event_id`` to go on after it."""

    name: str
    data: Any
    id: int | None


class Gap(Exception):
    """An agency's events are numbered 1, 2, 3 …; one is missing, or came twice where none may."""

    def __init__(self, expected: int, came: int) -> None:
        super().__init__(f"expected number {expected}, number {came} came")
        self.expected = expected
        self.came = came


def events(lines: Iterable[str]) -> Iterator[StreamEvent]:
    """The events of a stream, as they come; comments (keep-alive) are passed over."""
    fields: dict[str, str] = {}
    data: list[str] = []
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                data.append(value)
            else:
                fields[name] = value
            continue
        if data:
            number = fields.get("id", "")
            yield StreamEvent(
                fields.get("event", "message"),
                json.loads("\n".join(data)),
                int(number) if number.isdigit() else None,
            )
        fields, data = {}, []
