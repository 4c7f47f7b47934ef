"""Small numbers (少数の秘匿): where a table is published, a count of one or two may tell who it was. Pure.

A count below ``FEW`` is hidden; and where totals are told, whatever else could be subtracted to find it
again: of each row and column with a total, the hidden counts are at least two, and ``FEW`` together.
"""

from collections.abc import Collection, Sequence
from typing import Final

FEW: Final = 5

Counts = Sequence[Sequence[int]]


def hidden(
    counts: Counts,
    *,
    across: bool = False,
    down: bool = True,
    rows: Collection[int] = (),
    columns: Collection[int] = (),
) -> set[tuple[int, int]]:
    """Which cells of a table to hide, as (row, column). ``across``: the total of each row is told;
    ``down``: that of each column. ``rows`` and ``columns``: those whose total is hidden, so that nothing
    of them may be added up to it. A zero stays: nobody is in it."""
    cells = {
        (r, c)
        for r, row in enumerate(counts)
        for c, count in enumerate(row)
        if 0 < count < FEW or (count > 0 and (r in rows or c in columns))
    }
    lines: list[list[tuple[int, int]]] = []
    if across:
        lines += [[(r, c) for c in range(len(row))] for r, row in enumerate(counts)]
    if down:
        width = len(counts[0]) if counts else 0
        lines += [[(r, c) for r in range(len(counts))] for c in range(width)]
    while more := {cell for line in lines for cell in _needed(line, cells, counts)}:
        cells |= more
    return cells


def _needed(
    line: list[tuple[int, int]], cells: set[tuple[int, int]], counts: Counts
) -> list[tuple[int, int]]:
    """The next cell of a line that must be hidden too, if any: the smallest that is left."""
    gone = [cell for cell in line if cell in cells]
    if not gone or (len(gone) > 1 and sum(counts[r][c] for r, c in gone) >= FEW):
        return []
    left = [(counts[r][c], (r, c)) for r, c in line if (r, c) not in cells and counts[r][c] > 0]
    return [min(left)[1]] if left else []
