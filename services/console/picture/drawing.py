"""Where everything of the picture stands (経過の図の配置), in CSS pixels. Pure.

The scale is compressed: five minutes and five days fit into one picture, and the page says that it is not
to scale. Between columns that are apart in time stands how long it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log2

from services.console.picture.band import Band, Mark, Story, Wait

_LEFT = 40  # before the first column
_RIGHT = 200  # the clocks that run are told there
_STEP = 60  # from one column to the next
_WIDEST = 96  # what the longest time between two columns adds
_PER_DOUBLING = 9
_TOP = 34
_NAME = 22  # a lane's name stands above its line
_BAND = 36
_WORD = 22  # a mark's word stands under the band
_WAIT = 20  # one clock under the lane
_LANE_GAP = 14
_FOOT = 58
_NAMES_EVERY = 640
_BREAK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Lane:
    """``y``: the middle of its line; ``names_at``: where its name stands, again and again, so that it is in
    sight when the picture is scrolled."""

    agency: str
    y: int
    top: int
    bottom: int
    names_at: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DrawnBand:
    band: Band
    x: int
    width: int
    y: int


@dataclass(frozen=True, slots=True)
class DrawnMark:
    """``to_y``: where its arrow ends, short of the other lane's line."""

    mark: Mark
    x: int
    y: int
    to_y: int | None


@dataclass(frozen=True, slots=True)
class DrawnWait:
    wait: Wait
    x: int
    width: int
    y: int


@dataclass(frozen=True, slots=True)
class Tick:
    """A moment on the axis, or, between two, how long it was (``gap``)."""

    x: int
    moment: datetime | None = None
    gap: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Drawing:
    story: Story
    width: int
    height: int
    axis: int
    lanes: tuple[Lane, ...]
    bands: tuple[DrawnBand, ...]
    marks: tuple[DrawnMark, ...]
    waits: tuple[DrawnWait, ...]
    ticks: tuple[Tick, ...]
    now_x: int | None


def draw(story: Story) -> Drawing:
    columns = _columns(story)
    end = columns[-1] if columns else _LEFT
    width = end + _RIGHT
    rows = _rows(story.waits, story.columns)
    lanes, bottom = _lanes(story, rows, width)
    ended_y = [lane.y for lane in lanes]
    bands = tuple(
        DrawnBand(band, columns[band.begins], columns[band.ends] - columns[band.begins],
                  ended_y[band.lane])
        for band in story.bands
        if band.lane is not None
    )  # fmt: skip
    marks = tuple(
        DrawnMark(mark, columns[mark.column], ended_y[mark.lane], _arrow(mark, ended_y))
        for mark in story.marks
    )
    waits = tuple(
        DrawnWait(
            wait,
            columns[wait.begins],
            (columns[wait.ends] if wait.ends is not None else end) - columns[wait.begins],
            lanes[wait.lane].y + _BAND // 2 + _WORD + _WAIT * row,
        )
        for wait, row in zip(story.waits, rows, strict=True)
    )
    return Drawing(
        story,
        width,
        bottom + _FOOT,
        bottom,
        lanes,
        bands,
        marks,
        waits,
        _ticks(story, columns),
        end if story.open else None,
    )


def _moments(story: Story) -> list[datetime]:
    moments = [mark.at for mark in story.marks]
    return [*moments, story.end] if story.open else moments


def _columns(story: Story) -> list[int]:
    """Where each column stands; farther apart where more time passed, but by its logarithm."""
    places: list[int] = []
    before: datetime | None = None
    for moment in _moments(story):
        if before is None:
            places.append(_LEFT)
        else:
            minutes = max(0.0, (moment - before).total_seconds() / 60)
            places.append(
                places[-1] + _STEP + min(_WIDEST, round(_PER_DOUBLING * log2(1 + minutes)))
            )
        before = moment
    return places


def _ticks(story: Story, columns: Sequence[int]) -> tuple[Tick, ...]:
    """One for every moment that is not the one before, and one between those that are apart."""
    ticks: list[Tick] = []
    before: tuple[datetime, int] | None = None
    for moment, x in zip(_moments(story), columns, strict=True):
        if before is None or moment - before[0] >= _BREAK:
            if before is not None:
                ticks.append(Tick((before[1] + x) // 2, gap=moment - before[0]))
            ticks.append(Tick(x, moment))
            before = moment, x
        else:
            # Seconds apart: told by the same moment on the axis.
            before = before[0], x
    return tuple(ticks)


def _rows(waits: Sequence[Wait], columns: int) -> list[int]:
    """Under its lane, the first row in which no other clock runs at that time."""
    taken: dict[int, list[int]] = {}  # by lane: where each row is free again
    rows: list[int] = []
    for wait in waits:
        ends = wait.ends if wait.ends is not None else columns
        free = taken.setdefault(wait.lane, [])
        row = next((n for n, until in enumerate(free) if until <= wait.begins), len(free))
        if row == len(free):
            free.append(0)
        free[row] = ends
        rows.append(row)
    return rows


def _lanes(story: Story, rows: Sequence[int], width: int) -> tuple[tuple[Lane, ...], int]:
    lanes: list[Lane] = []
    top = _TOP
    names_at = tuple(range(8, max(9, width - _NAMES_EVERY // 2), _NAMES_EVERY))
    for number, agency in enumerate(story.lanes):
        used = [row + 1 for wait, row in zip(story.waits, rows, strict=True) if wait.lane == number]
        y = top + _NAME + _BAND // 2
        bottom = y + _BAND // 2 + _WORD + _WAIT * max(used, default=0)
        lanes.append(Lane(agency, y, top, bottom, names_at))
        top = bottom + _LANE_GAP
    return tuple(lanes), top


def _arrow(mark: Mark, lanes: Sequence[int]) -> int | None:
    if mark.to is None or mark.to == mark.lane:
        return None
    down = lanes[mark.to] > lanes[mark.lane]
    return lanes[mark.to] + (-14 if down else 14)
