"""A month's sheet for the council (自立支援協議会): its sections as tables, from what audit counted. Pure.

The same sections are the page, what is printed and the CSV, so that no figure can differ between them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from services.console.ward.few import hidden
from services.console.ward.said import took_said
from services.console.words import Words

Unit = Literal["cases", "minutes"]
Figures = Mapping[str, Any]

_SUMS_OF: Final = {
    "hub_functions": "function",
    "hub_urgencies": "urgency",
    "first_answer": "urgency",
    "between_desks": "urgency",
}
"""Which section tells the sums of a section's columns, or rows."""
_URGENCIES: Final = ("emergency", "urgent", "routine", "information")


@dataclass(frozen=True, slots=True)
class Column:
    code: str
    title: str
    unit: Unit = "cases"


@dataclass(frozen=True, slots=True)
class Row:
    """``numbers``: one for each column; None where there is none."""

    code: str
    title: str
    numbers: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A table with a title. ``of``: which column its bars show; ``times``: the columns of a median and a
    90th percentile, which are shown as dots. ``down``, ``across``: whether what is told elsewhere, or in
    the first column, is the sum of each column or row, so that hiding must reckon with it. ``few``: the
    cells that are hidden, by row and column."""

    code: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""
    of: int | None = 0
    times: tuple[int, int] | None = None
    down: bool = True
    across: bool = False
    few: frozenset[tuple[int, int]] = frozenset()

    def cell(self, row: int, column: int, words: Words) -> str:
        """As people read it."""
        number = self.rows[row].numbers[column]
        if (row, column) in self.few:
            return words.t("秘匿", "hidden")
        if number is None:
            return "-"
        if self.columns[column].unit == "minutes":
            return took_said(number, words)
        return f"{int(number):,}"


def sections(month: Figures, words: Words) -> list[Section]:
    """All of a month, in the order of the council's sheet."""
    t = words.t
    n = Column("n", t("件数", "Cases"))
    return [
        _summary(month, words, n),
        _by_hub(month, words, "by_function", "functions"),
        _by_hub(month, words, "by_urgency", "urgencies"),
        _counted("function", t("機能別", "By function"), month["by_function"], words, "functions", n),
        _counted("urgency", t("緊急度別", "By urgency"), month["by_urgency"], words, "urgencies", n),
        _counted("stage", t("月末の状態", "Where they stood at the month's end"), month["by_stage"],
                 words, "Stage", n),
        _counted("topic", t("相談内容別", "By topic"), month["by_topic"], words, "topics", n,
                 t("一件に複数の内容があります。", "A case may have several."), down=False),
        _counted("reported_by", t("相談の経路別", "By who reported it"), month["by_reported_by"],
                 words, "ReportedBy", n),
        _counted("outcome", t("終結の結果", "Outcomes"), month["outcomes"], words, "outcomes", n,
                 t("この月に終結したもの。", "Of cases closed in the month.")),
        _declines(month, words, n),
        _beds(month["beds"], words, n),
        _took("first_answer", t("最初の応答まで", "Until the first answer"), month["first_answer"], words,
              t("受け付けから、どこかが引き受けるか、上申を受け止めるまで。",
                "From submission until somebody accepted it, or took a call about it in hand.")),
        _took("between_desks", t("引き継ぎまで", "Until somebody else was responsible"),
              month["between_desks"], words,
              t("受け付けから、担当がほかの機関へ移るまで。",
                "From submission until responsibility passed to another agency.")),
        _calls(month["calls"], words),
        _undecided(month["undecided"], words),
    ]  # fmt: skip


def published(sections: Sequence[Section]) -> list[Section]:
    """The same with small numbers hidden: where one section tells the sums of another, in both."""
    done: dict[str, Section] = {}
    for section in sections:
        if section.code not in _SUMS_OF:
            done[section.code] = _with_few_hidden(section)
    for section in sections:
        if section.code in _SUMS_OF:
            sums = done[_SUMS_OF[section.code]]
            gone = {row.code for r, row in enumerate(sums.rows) if (r, 0) in sums.few}
            done[section.code] = _with_few_hidden(section, gone)
    return [done[section.code] for section in sections]


def _with_few_hidden(section: Section, gone: Collection[str] = ()) -> Section:
    """``gone``: rows, or columns, whose sum is hidden elsewhere. A time that few cases took is hidden with
    their number."""
    counted = [i for i, column in enumerate(section.columns) if column.unit == "cases"]
    counts = [[int(row.numbers[i] or 0) for i in counted] for row in section.rows]
    rows = {r for r, row in enumerate(section.rows) if row.code in gone}
    if section.across:
        sums = {r for r, _ in hidden([row[:1] for row in counts], down=section.down)}
        columns = {c for c, i in enumerate(counted[1:]) if section.columns[i].code in gone}
        inner = [row[1:] for row in counts]
        cells = hidden(inner, across=True, down=section.down, rows=sums, columns=columns)
        cells = {(r, c + 1) for r, c in cells} | {(r, 0) for r in sums}
    else:
        cells = hidden(counts, down=section.down, rows=rows)
    few = {(r, counted[c]) for r, c in cells}
    for time in section.times or ():
        few |= {(r, time) for r in range(len(section.rows)) if (r, 0) in few}
    return replace(section, few=frozenset(few))


def _summary(month: Figures, words: Words, n: Column) -> Section:
    t = words.t
    rows = (
        ("submitted", t("受け付けた相談", "Referrals submitted"), month["submitted"]),
        ("cancelled", t("取り消し", "Taken back"), month["cancelled"]),
        ("reopened", t("再開", "Reopened"), month["reopened"]),
        ("expired", t("返事がないまま期限が過ぎた打診", "Offers that ran out unanswered"), month["expired"]),
        ("calls", t("基幹への上申", "Calls to the core centre"), sum(c["raised"] for c in month["calls"])),
    )  # fmt: skip
    return Section(
        "summary", t("概要", "Summary"), (n,), tuple(Row(c, w, (x,)) for c, w, x in rows),
        down=False,
    )  # fmt: skip


def _by_hub(month: Figures, words: Words, what: str, kind: str) -> Section:
    t = words.t
    codes = list(dict.fromkeys(code for hub in month["by_hub"] for code in hub[what]))
    if kind == "urgencies":
        codes = [code for code in _URGENCIES if code in codes]
    total = Column("submitted", t("計", "Total"))
    title = (
        t("拠点別・機能別", "By hub and function")
        if kind == "functions"
        else t("拠点別・緊急度別", "By hub and urgency")
    )
    return Section(
        f"hub_{kind}",
        title,
        (total, *(Column(code, word(code, kind, words)) for code in codes)),
        tuple(
            Row(
                hub["hub"],
                t("地区が未定", "District undecided") if hub["hub"] == "none" else words.agency(hub["hub"]),
                (hub["submitted"], *(hub[what].get(code, 0) for code in codes)),
            )
            for hub in month["by_hub"]
        ),
        across=True,
    )  # fmt: skip


def _counted(
    code: str, title: str, counts: Mapping[str, int], words: Words, kind: str, n: Column,
    note: str = "", *, down: bool = True,
) -> Section:  # fmt: skip
    names: Iterable[str] = counts
    if kind == "urgencies":
        names = [name for name in _URGENCIES if name in counts]
    rows = tuple(Row(name, word(name, kind, words), (counts[name],)) for name in names)
    return Section(code, title, (n,), rows, note, down=down)


def _declines(month: Figures, words: Words, n: Column) -> Section:
    t = words.t
    rows = []
    for told in month["declines"]:
        reason = words.term("decline_reasons", told["reason"])
        who = words.code(told["said_by"], "SaidBy")
        rows.append(
            Row(
                f"{told['reason']}.{told['said_by']}",
                t(f"{reason}（{who}）", f"{reason} ({who})"),
                (told["n"],),
            )
        )
    return Section(
        "declines", t("辞退の理由", "Why offers were declined"), (n,), tuple(rows), down=False
    )


def _beds(beds: Figures, words: Words, n: Column) -> Section:
    t = words.t
    rows = (
        Row("found", t("見つかった", "Found"), (beds["found"],)),
        Row("not_found", t("見つからなかった", "Not found"), (beds["not_found"],)),
        Row("still_looking", t("月末に探している", "Still looking at the month's end"), (beds["still_looking"],)),
    )  # fmt: skip
    title = t("緊急時の受け入れ先", "A bed in an emergency")
    return Section("beds", title, (n,), rows if beds["needed"] else (), down=False)


def _took(code: str, title: str, by_urgency: Figures, words: Words, note: str) -> Section:
    t = words.t
    columns = (
        Column("n", t("件数", "Cases")),
        Column("median", t("中央値", "Median"), "minutes"),
        Column("p90", t("9割がこの時間内", "9 in 10 within"), "minutes"),
        Column("waiting", t("月末に待っている", "Still waiting")),
        Column("without", t("ないまま終わった", "Ended without")),
    )
    rows = tuple(
        Row(name, word(name, "urgencies", words), _times(by_urgency[name]))
        for name in _URGENCIES
        if name in by_urgency
    )
    return Section(code, title, columns, rows, note, of=None, times=(1, 2), down=False)


def _times(took: Figures) -> tuple[float | None, ...]:
    return (took["n"], took["median"], took["p90"], took["waiting"], took["without"])


def _calls(calls: Sequence[Figures], words: Words) -> Section:
    t = words.t
    dispositions = list(dict.fromkeys(d for call in calls for d in call["by_disposition"]))
    columns = (
        Column("raised", t("上申", "Raised")),
        Column("median", t("受け止めるまで（中央値）", "Until in hand (median)"), "minutes"),
        Column("p90", t("9割がこの時間内", "9 in 10 within"), "minutes"),
        Column("passed_on", t("次の窓口へ回った", "Passed on")),
        *(Column(f"disposition.{d}", words.code(d, "Disposition")) for d in dispositions),
    )
    rows = tuple(
        Row(
            call["code"],
            f"{call['code']} {words.term('escalation_reasons', call['code'])}",
            (call["raised"], call["acknowledged"]["median"], call["acknowledged"]["p90"],
             call["passed_on"], *(call["by_disposition"].get(d, 0) for d in dispositions)),
        )
        for call in calls
    )  # fmt: skip
    return Section(
        "calls", t("基幹への上申", "Calls to the core centre"), columns, rows, times=(1, 2)
    )


def _undecided(undecided: Sequence[Figures], words: Words) -> Section:
    t = words.t
    districts = sorted({district for told in undecided for district in told["ruled"]})
    columns = (
        Column("asked", t("求めた判定", "Rulings asked for")),
        *(Column(f"ruled.{d}", t(f"{words.district(d)}と判定", f"ruled {words.district(d)}")) for d in districts),
        Column("open", t("月末に未判定", "Open at the month's end")),
    )  # fmt: skip
    rows = tuple(
        Row(
            ".".join(told["candidates"]),
            t("・", " / ").join(words.district(d) for d in told["candidates"])
            or t("区の外か不明", "outside the ward, or unknown"),
            (told["asked"], *(told["ruled"].get(d, 0) for d in districts), told["open"]),
        )
        for told in undecided
    )
    return Section(
        "undecided", t("境界が決まらない住所", "Addresses between districts"), columns, rows,
        across=True,
    )  # fmt: skip


def word(code: str, kind: str, words: Words) -> str:
    """What a code of the sheet means."""
    match kind:
        case "functions" | "topics" | "outcomes":
            return words.term(kind, code)
        case "urgencies":
            return words.code(code, "Urgency")
        case _:
            return words.code(code, kind)
