"""Charts that are part of a table (表の中のグラフ): how long a bar is, where a dot lies. Pure.

Every figure stands beside its bar as a number, so nothing is told by a picture alone. Lengths and places
are per cent of the cell's width: no picture is wider than the page, and none has text in it.
"""

import math
from collections.abc import Sequence
from typing import Final

SCALE: Final = (
    (1, "1分", "1 min"), (60, "1時間", "1 h"), (1440, "1日", "1 day"), (10_080, "1週", "1 week"),
)  # fmt: skip
"""What the scale of times is marked with, in minutes. It is logarithmic: from an emergency's minutes to a
routine's days."""
_FIRST, _LAST = 1.0, 43_200.0  # a minute, 30 days
_MARGIN: Final = 3.0  # per cent: a dot at the end is still a whole dot


def bars(numbers: Sequence[float | None]) -> list[float | None]:
    """The length of each bar, the largest being 100; what is nothing has none."""
    largest = max((number for number in numbers if number is not None), default=0)
    if largest <= 0:
        return [None] * len(numbers)
    return [None if not number else round(100 * number / largest, 1) for number in numbers]


def place(minutes: float | None) -> float | None:
    """Where a time lies on the scale. Shorter than a minute lies at its beginning, longer than 30 days at
    its end."""
    if minutes is None:
        return None
    within = min(max(minutes, _FIRST), _LAST)
    share = math.log(within / _FIRST) / math.log(_LAST / _FIRST)
    return round(_MARGIN + (100 - 2 * _MARGIN) * share, 1)
