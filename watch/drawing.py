"""The board as Rich draws it: which columns fit, how wide they are, which rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.console import Group
from rich.table import Table
from rich.text import Text

from schemas.outside import JAPAN
from watch.board import Row, span, summary
from watch.details import details
from watch.watching import Watching

HELP = (
    "↑↓ または k j   選ぶ / select",
    "a               応答して担当を引き受ける / acknowledge and take custody",
    "v               助言だけで応答する / acknowledge, advising only",
    "Enter           詳しく / details",
    "q               終わる / quit",
    "",
    "どのキーでも戻ります / any key goes back",
)
KEYS = "↑↓ 選ぶ  a 応答  v 助言のみ  Enter 詳しく  ? 説明  q 終わる"


@dataclass(frozen=True, slots=True)
class Column:
    """``rank``: the higher, the sooner it is left out. ``least``: cells that it needs."""

    name: str
    title: str
    rank: int
    least: int


COLUMNS = (
    Column("code", "符号", 0, 4),
    Column("reason", "理由", 7, 16),
    Column("agency", "担当", 2, 13),
    Column("district", "地区", 3, 10),
    Column("urgency", "緊急度", 6, 8),
    Column("desk", "窓口", 8, 16),
    Column("state", "状態", 5, 8),
    Column("age", "経過", 4, 10),
    Column("left", "期限まで", 1, 15),
)
_GROWS_FIRST = ("district", "agency", "reason", "desk")
_ENDS = ("agency", "desk")
_MARK = 2


def columns_for(width: int, found: Sequence[Row]) -> list[tuple[Column, int]]:
    """The columns that fit, most needed first chosen, in the board's order, each with its width."""
    room = width - _MARK
    chosen: set[str] = set()
    for column in sorted(COLUMNS, key=lambda c: c.rank):
        if chosen and column.least + 1 > room:
            break
        room -= column.least + (1 if chosen else 0)
        chosen.add(column.name)
    wanted = {c.name: _wanted(c, found) for c in COLUMNS if c.name in chosen}
    widths = {c.name: min(c.least, wanted[c.name]) for c in COLUMNS if c.name in chosen}
    room = width - _MARK - sum(widths.values()) - len(widths) + 1
    for name in _GROWS_FIRST:
        if name in chosen:
            more = max(0, min(room, wanted[name] - widths[name]))
            widths[name] += more
            room -= more
    return [(c, widths[c.name]) for c in COLUMNS if c.name in chosen]


def _wanted(column: Column, found: Sequence[Row]) -> int:
    return max(
        cell_len(text) for text in (column.title, *(r.cells[column.name].text for r in found))
    )


def shortened(text: str, width: int, *, ends: bool = False) -> str:
    """At most so wide. ``ends``: both ends stay, for what tells two names apart is often the last
    word."""
    text = "".join(c if c.isprintable() else "?" for c in text)
    if cell_len(text) <= width:
        return text
    tail = (width - 1) // 2 if ends else 0
    head = width - 1 - tail
    back = text[::-1]
    return f"{set_cell_size(text, head).rstrip()}…{set_cell_size(back, tail).rstrip()[::-1]}"


def window(count: int, selected: int, room: int) -> range:
    """Which of so many rows are shown where there is room for fewer: the selected one always."""
    room = max(1, min(room, count))
    first = max(0, min(selected - room // 2, count - room))
    return range(first, min(count, first + room))


def table(found: Sequence[Row], selected: int | None, width: int) -> Table:
    columns = columns_for(width, found)
    drawn = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="underline")
    drawn.add_column("", width=_MARK - 1, no_wrap=True)
    for column, cells in columns:
        drawn.add_column(column.title, width=cells, no_wrap=True, overflow="crop")
    for place, row in enumerate(found):
        here = place == selected
        cells_of = [
            Text(
                shortened(row.cells[c.name].text, cells, ends=c.name in _ENDS),
                row.cells[c.name].style,
            )
            for c, cells in columns
        ]
        drawn.add_row(">" if here else " ", *cells_of, style="reverse" if here else "")
    return drawn


def heading(watching: Watching, now: datetime, width: int) -> Text:
    words = f"つなぐ 見張り  {summary(watching.calls.values(), now)}"
    return Text(shortened(f"{words}  {now.astimezone(JAPAN):%H:%M:%S}", width), "bold")


def empty(watching: Watching) -> str:
    if not watching.complete:
        return "上申を読んでいます… / reading"
    if watching.unreadable:
        return "読める上申はありません / none that can be read"
    return "いま上申はありません / nothing is burning"


def once(watching: Watching, now: datetime, width: int) -> Group:
    """The whole board, for paper and pipes."""
    found = watching.rows(now)
    body = table(found, None, width) if found else Text(empty(watching))
    return Group(heading(watching, now, width), *_warnings(watching, width), body)


def live(watching: Watching, now: datetime, width: int, height: int) -> Group:
    """One screen full."""
    found = watching.rows(now)
    if watching.helping:
        return Group(
            heading(watching, now, width), Text(), *(Text(shortened(line, width)) for line in HELP)
        )
    below: list[Text] = []
    if watching.opened is not None:
        told = details(watching.opened, watching.names, now, watching.handoffs)
        below = [Text(), *(Text(shortened(line, width)) for line in told)]
    foot = _foot(watching, width)
    top: list[Text] = [heading(watching, now, width), *_warnings(watching, width)]
    if watching.asking and height < len(top) + len(foot) + 3:
        return Group(*foot)
    if not found:
        return Group(*top, Text(empty(watching)), *below, *foot)
    ids = [row.id for row in found]
    place = ids.index(watching.selected) if watching.selected in ids else 0
    # The table's own head, and a line that says how many are not shown.
    room = height - len(top) - len(foot) - 2
    below = below[: max(0, room - 3)]
    shown = window(len(found), place, room - len(below))
    hidden = len(found) - len(shown)
    rest = f"ほかに上に {shown.start}件、下に {len(found) - shown.stop}件" if hidden else ""
    drawn = table(
        [found[i] for i in shown], place - shown.start if watching.selected else None, width
    )
    return Group(*top, drawn, Text(rest, "dim"), *below, *foot)


def _warnings(watching: Watching, width: int) -> list[Text]:
    told = []
    if watching.link:
        told.append(watching.link)
        if watching.as_of is not None:
            told[0] += f"（下は {watching.as_of.astimezone(JAPAN):%H:%M:%S} のものです）"
    if watching.unreadable:
        told.append(
            f"読めない上申 {len(watching.unreadable)}件。この端末のつなぐを新しくしてください"
        )
    if watching.ahead:
        side = "遅れて" if watching.ahead > timedelta(0) else "進んで"
        told.append(f"この端末の時計は {span(abs(watching.ahead))}{side}います。補正しました")
    return [Text(shortened(words, width), "bold yellow") for words in told]


def asked(watching: Watching, width: int) -> list[str]:
    """The question, in as many lines as it takes: nothing of it may be missing."""
    return chop_cells(watching.question(), width) if watching.asking else []


def _foot(watching: Watching, width: int) -> list[Text]:
    if watching.asking:
        return [Text(line, "bold") for line in asked(watching, width)]
    return [Text(shortened(watching.status, width), "bold"), Text(shortened(KEYS, width), "dim")]
