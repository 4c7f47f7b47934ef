"""The month's sheet: what is told in it, what is hidden before it is published, what a spreadsheet gets."""

import csv
import io
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit.month import HubMonth, Month, Took, month_of
from services.console.ward import chart
from services.console.ward.few import FEW, hidden
from services.console.ward.month import Section, published, sections
from services.console.ward.sheet_csv import month_csv
from services.console.words import Words
from wards.load import bundled_ward, load_ward

BUNKYO = load_ward(bundled_ward())
JA, EN = Words(BUNKYO), Words(BUNKYO, "en")


def a_month(**figures: Any) -> dict[str, Any]:
    """What audit tells of a month in which nothing happened but ``figures``."""
    empty = month_of([], 2026, 10, BUNKYO, datetime(2026, 11, 1, tzinfo=UTC))
    return asdict(replace(empty, **figures))


def hub_month(hub: str, **by_function: int) -> HubMonth:
    n = sum(by_function.values())
    return HubMonth(hub, n, dict(by_function), {"routine": n})


def section(month: dict[str, Any], code: str, words: Words = JA) -> Section:
    return next(s for s in sections(month, words) if s.code == code)


def cells(section: Section, words: Words = JA) -> list[list[str]]:
    return [
        [row.title, *(section.cell(r, c, words) for c in range(len(section.columns)))]
        for r, row in enumerate(section.rows)
    ]


def test_every_figure_of_audit_is_in_a_section() -> None:
    told = {
        "submitted", "by_hub", "by_function", "by_urgency", "by_stage", "by_topic",
        "by_reported_by", "outcomes", "cancelled", "reopened", "declines", "expired", "beds",
        "first_answer", "between_desks", "calls", "undecided",
    }  # fmt: skip
    about_itself = {"year", "month", "complete", "not_counted"}
    assert set(Month.__dataclass_fields__) == told | about_itself
    assert len(sections(a_month(), JA)) == 15


def test_a_month_without_anything_has_all_its_sections_and_no_rows_but_the_summary() -> None:
    found = sections(a_month(), JA)
    assert [s.code for s in found if s.rows] == ["summary"]
    assert len(month_csv(2026, 10, found, JA).splitlines()) == 1 + 5


def test_codes_are_told_in_words_and_urgency_in_its_own_order() -> None:
    month = a_month(
        by_urgency={"routine": 9, "emergency": 2},
        outcomes={"got_help": 7},
        by_hub=(hub_month("hub-motofuji", emergency=3), hub_month("none", consultation=1)),
    )
    assert cells(section(month, "urgency")) == [["緊急", "2"], ["通常", "9"]]
    assert cells(section(month, "outcome")) == [["支援につながった", "7"]]
    hubs = section(month, "hub_functions")
    assert [row.title for row in hubs.rows][-1] == "地区が未定"
    assert cells(hubs)[0][1:] == ["3", "3", "0"]
    assert cells(section(month, "urgency", EN), EN)[0][0] == "emergency"


def test_times_are_told_in_words_and_as_dots() -> None:
    month = a_month(first_answer={"emergency": Took(12, 1, 0, 7.5, 95.0)})
    sheet = section(month, "first_answer")
    assert cells(sheet) == [["緊急", "12", "8分", "1時間35分", "1", "0"]]
    assert sheet.times == (1, 2)


# -- small numbers -----------------------------------------------------------------------------------


def test_a_single_small_count_takes_the_next_smallest_with_it() -> None:
    """Or the total would tell it."""
    assert hidden([[20], [3], [9], [0]]) == {(1, 0), (2, 0)}


def test_two_ones_take_a_third_with_them() -> None:
    """Whoever knows that they are two together knows both."""
    assert hidden([[20], [1], [1], [8]]) == {(1, 0), (2, 0), (3, 0)}


def test_where_no_total_is_told_only_the_small_ones_are_hidden() -> None:
    assert hidden([[20], [3], [9]], down=False) == {(1, 0)}


Table = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(st.integers(0, 12), min_size=width, max_size=width), min_size=1, max_size=5
    )
)


@given(Table)
def test_no_total_gives_a_hidden_count_away(counts: list[list[int]]) -> None:
    gone = hidden(counts, across=True, down=True)
    assert {
        (r, c) for r, row in enumerate(counts) for c, n in enumerate(row) if 0 < n < FEW
    } <= gone
    assert all(counts[r][c] > 0 for r, c in gone)
    width = len(counts[0])
    lines = [[(r, c) for c in range(width)] for r in range(len(counts))]
    lines += [[(r, c) for r in range(len(counts))] for c in range(width)]
    for line in lines:
        its = [cell for cell in line if cell in gone]
        told = [counts[r][c] for r, c in line if (r, c) not in gone and counts[r][c]]
        alone = len(its) == 1 or 0 < sum(counts[r][c] for r, c in its) < FEW
        assert not (its and alone and told), "what is left can be subtracted from the total"


def test_what_is_hidden_in_one_section_is_not_told_by_another() -> None:
    month = a_month(
        submitted=40,
        by_hub=(
            hub_month("hub-motofuji", consultation=20, emergency=6),
            hub_month("hub-komagome", consultation=10),
            hub_month("core", experience=4),
        ),
        by_function={"consultation": 30, "emergency": 6, "experience": 4},
        by_urgency={"routine": 37, "emergency": 3},
        first_answer={"emergency": Took(3, 0, 0, 5.0, 9.0), "routine": Took(37, 0, 0, 60.0, 90.0)},
    )
    told = {s.code: s for s in published(sections(month, JA))}
    functions = cells(told["function"])
    # 4 is small; 6 would give it away.
    assert functions == [["相談", "30"], [JA.term("functions", "emergency"), "秘匿"],
                         [JA.term("functions", "experience"), "秘匿"]]  # fmt: skip
    hubs = {row[0]: row[1:] for row in cells(told["hub_functions"])}
    motofuji, core = JA.agency("hub-motofuji"), JA.agency("core")
    assert hubs[core] == ["秘匿", "0", "0", "秘匿"]
    # The only 6 of that function is hidden, for its total is; so what is left of the row must not tell it.
    assert hubs[motofuji] == ["26", "秘匿", "秘匿", "0"]
    answers = {row[0]: row[1:] for row in cells(told["first_answer"])}
    assert answers["緊急"][:3] == ["秘匿", "秘匿", "秘匿"]
    assert answers["通常"][:3] == ["秘匿", "秘匿", "秘匿"]


def test_nothing_is_hidden_unless_somebody_asks() -> None:
    month = a_month(by_function={"consultation": 1}, submitted=1)
    assert all(not s.few for s in sections(month, JA))


# -- the spreadsheet ---------------------------------------------------------------------------------


def read(body: bytes) -> list[list[str]]:
    assert body.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))


def test_a_spreadsheet_gets_every_figure_on_a_line_of_its_own() -> None:
    month = a_month(by_urgency={"emergency": 2}, submitted=2,
                    first_answer={"emergency": Took(2, 0, 0, 7.5, 12.0)})  # fmt: skip
    header, *lines = read(month_csv(2026, 10, sections(month, JA), JA))
    assert header[:4] == ["年月", "区分コード", "区分", "項目コード"]
    assert [
        "2026-10",
        "urgency",
        "緊急度別",
        "emergency",
        "緊急",
        "n",
        "件数",
        "2",
        "件",
        "",
    ] in lines
    assert ["7.5", "分"] in [line[7:9] for line in lines]


def test_a_hidden_figure_is_not_in_the_spreadsheet_and_is_said_to_be_hidden() -> None:
    month = a_month(by_function={"consultation": 3}, submitted=3)
    _, *lines = read(month_csv(2026, 10, published(sections(month, JA)), JA))
    (line,) = [line for line in lines if line[1] == "function"]
    assert line[7:] == ["", "件", "1"]


@pytest.mark.parametrize("name", ["=1+1", "+81", "-2", "@SUM(A1)", "\tx"])
def test_no_text_is_a_formula(name: str) -> None:
    evil = section(a_month(by_function={"consultation": 3}), "function")
    row = replace(evil.rows[0], title=name)
    _, line = read(month_csv(2026, 10, [replace(evil, rows=(row,))], JA))
    assert line[4] == f"'{name}"


# -- charts ------------------------------------------------------------------------------------------


def test_the_largest_bar_is_as_wide_as_the_cell_and_nothing_has_none() -> None:
    assert chart.bars([40, 10, 0, None]) == [100.0, 25.0, None, None]
    assert chart.bars([0, None]) == [None, None]
    assert chart.bars([]) == []


@given(st.floats(0, 1e7), st.floats(0, 1e7))
def test_what_took_longer_lies_further_and_within_the_picture(one: float, other: float) -> None:
    first, second = chart.place(min(one, other)), chart.place(max(one, other))
    assert first is not None
    assert second is not None
    assert 0 < first <= second < 100
