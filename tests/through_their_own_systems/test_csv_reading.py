"""What Excel leaves of a sheet is read as it was meant, or told where it cannot be. Nothing is guessed."""

import csv
import io
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from partners.csv_files import formulas, writing
from partners.csv_files.columns import Column, Kind, by_name, columns, fold
from partners.csv_files.dates import (
    NO_SUCH_DAY,
    NOT_OF_THAT_ERA,
    WANTED,
    NotADate,
    read_day,
    read_moment,
)
from partners.csv_files.decoding import decode
from partners.csv_files.faults import FileFault
from partners.csv_files.reading import read
from partners.csv_files.template import SAMPLE, template
from partners.csv_files.values import joined, parts
from schemas.outside import JAPAN
from schemas.partner import ReferralSubmission

TERMS = {"function": {"consultation": "相談", "emergency": "緊急時の受け入れ・対応"}}
LIVE = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")

# What people type, and what they never should: line breaks, quotes, signs, 機種依存文字, 𠮷.
# As a list: an alphabet made of both would be drawn from evenly, and have a sign once in a thousand.
_pieces = st.one_of(
    st.sampled_from("'=+-@\t\n\r,;\\\"＝＋－＠ 　髙﨑①㈱ｱ"),
    st.characters(exclude_categories=("Cc", "Cs", "Co"), exclude_characters="\ufffd"),
)
texts = st.lists(_pieces, min_size=1, max_size=12).map("".join)
words = texts.filter(lambda text: text.strip() != "")


def values_of(column: Column) -> st.SearchStrategy[Any]:
    match column.kind:
        case Kind.NUMBER:
            return st.integers(0, 10**9 - 1)
        case Kind.YES_NO:
            return st.booleans()
        case Kind.DAY:
            return st.dates().map(date.isoformat)
        case Kind.MOMENT:
            moments = st.datetimes(datetime.fromisoformat("1952-01-01"))
            # Japan had summer time until 1951: an hour then could be two moments.
            return moments.map(lambda at: at.replace(tzinfo=JAPAN).isoformat())
        case Kind.CODE:
            return st.sampled_from(list(column.words))
        case _:
            known = TERMS.get(column.path)
            return st.sampled_from(list(known)) if known else words


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    body: dict[str, Any] = {}
    lists: dict[str, int] = {}
    for column in columns():
        if not draw(st.booleans()):
            continue
        inner = body
        *way, last = column.steps
        if column.group:
            *way, end = column.group.split(".")
            for step in way:
                inner = inner.setdefault(step, {})
            count = lists.setdefault(column.group, draw(st.integers(1, 3)))
            objects = inner.setdefault(end, [{} for _ in range(count)])
            for one in objects:
                one[last] = draw(values_of(column))
            continue
        for step in way:
            inner = inner.setdefault(step, {})
        value = values_of(column)
        inner[last] = draw(st.lists(value, min_size=1, max_size=3) if column.many else value)
    return body


@settings(max_examples=40)  # each draws every column
@given(
    st.lists(bodies(), min_size=1, max_size=3), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])
)
def test_what_is_written_is_read_again(rows: list[dict[str, Any]], encoding: str) -> None:
    text = writing.sheet(rows, TERMS)
    sheet = read(text.encode(encoding), TERMS, encoding=encoding)
    assert [row.body for row in sheet.rows] == [body for body in rows if body]
    assert not [fault for row in sheet.rows for fault in row.faults if fault.column]


@given(words)
def test_in_cp932_what_fits_is_read_again_and_the_rest_is_told(text: str) -> None:
    encoded, told = writing.encoded([text], "cp932", 2, ["氏名"])
    missing = {int(one.code_point[2:], 16) for one in told}
    (cells,) = csv.reader(io.StringIO(encoded.decode("cp932"), newline=""))
    again = formulas.read(cells[0])
    if not missing:
        assert again == text.translate(writing._SAME_IN_CP932)
    for character in missing:
        with pytest.raises(UnicodeEncodeError):
            chr(character).encode("cp932")
        assert chr(character) in text
    assert {one.row for one in told} <= {2}


@pytest.mark.parametrize(
    ("name", "code_point"),
    [("𠮷野", "U+20BB7"), ("山😀", "U+1F600"), ("葛\U000e0101城", "U+E0101"), ("ｶﾞ゙", "U+3099")],
)
def test_a_character_that_cp932_does_not_have_is_a_geta(name: str, code_point: str) -> None:
    encoded, told = writing.encoded([name], "cp932", 7, ["氏名"])
    assert [(one.row, one.column, one.code_point) for one in told] == [(7, "氏名", code_point)]
    text = encoded.decode("cp932")
    # A selector of variants has no width: 葛 stays 葛, and the form that was lost is told.
    assert (writing.GETA in text) is (code_point != "U+E0101")


@pytest.mark.parametrize("name", ["髙橋", "﨑山", "①②㈱℡", "～－"])
def test_characters_that_only_windows_has_are_written_in_cp932(name: str) -> None:
    encoded, told = writing.encoded([name], "cp932", 2, ["氏名"])
    assert (encoded.decode("cp932").strip().strip('"'), told) == (formulas.written(name), [])


# -- formulas --------------------------------------------------------------------------------------


@given(texts)
@example("'=1")
@example("''=1")
@example("'")
@example(" =1")
@example("\r\n=1")
def test_no_cell_that_goes_out_is_a_formula_and_reading_takes_the_apostrophe_off(text: str) -> None:
    out = formulas.written(text)
    assert not formulas.is_live(out)
    assert not out.startswith(LIVE)
    assert not out.strip().startswith(LIVE)
    assert formulas.read(out) == text


@given(st.lists(texts, min_size=1, max_size=4))
def test_a_written_line_is_one_row_and_has_no_formula(cells: list[str]) -> None:
    (row,) = csv.reader(io.StringIO(writing.line(cells), newline=""))
    assert [formulas.read(cell) for cell in row] == cells
    assert not any(formulas.is_live(cell) for cell in row)


# -- encodings -------------------------------------------------------------------------------------

SHEET = "機能,氏名,状況\r\n相談,サンプル 太郎,見本\r\n相談,髙橋①,見本\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "utf-16"])
def test_the_encoding_is_found(encoding: str) -> None:
    decoded = decode(SHEET.encode(encoding))
    assert decoded == (SHEET, encoding)


# Characters that Python writes in CP932 and reads as others again (U+301C and the like).
@given(st.text(st.characters(codec="cp932", exclude_characters="¢£¬‖−〜"), max_size=30))
def test_cp932_is_found_or_told_never_read_as_something_else(text: str) -> None:
    raw = text.encode("cp932")
    try:
        decoded = decode(raw)
    except FileFault:
        return
    if decoded.encoding == "cp932":
        assert decoded.text == text
    else:
        # UTF-8 by chance: only where every byte is ASCII, or pairs that no kana can be.
        assert raw.isascii() or not any("\uff61" <= c <= "\uff9f" for c in text)


def test_a_file_of_two_encodings_is_told_with_its_lines() -> None:
    first, *rest = SHEET.splitlines(keepends=True)
    mixed = first.encode() + rest[0].encode("cp932") + rest[1].encode()
    with pytest.raises(FileFault, match=r"UTF-8 の行: 1, 3。それ以外の行: 2 "):
        decode(mixed)
    # Read as CP932 the whole of it would have been characters, all of them wrong.
    with pytest.raises(FileFault, match="2"):
        decode(mixed, "utf-8")


def test_bytes_of_no_encoding_are_told_with_their_line() -> None:
    broken = SHEET.encode("cp932").replace("見本".encode("cp932"), b"\x81\xff", 1)
    with pytest.raises(FileFault, match=r"行があります: 2 "):
        decode(broken)
    with pytest.raises(FileFault, match=r"行があります: 3 "):
        decode(SHEET.encode("utf-8-sig")[:-4] + b"\xe8\r\n")


def test_half_width_kana_that_could_be_either_is_asked_about() -> None:
    with pytest.raises(FileFault, match="--encoding"):
        decode("ﾃｱ".encode("cp932"))
    assert decode("ﾃｱ".encode("cp932"), "cp932").text == "ﾃｱ"


@pytest.mark.parametrize("cell", ["\ue000", "名\uf8ff", "a\x00", "\ufffd"])
def test_a_character_that_means_nothing_elsewhere_is_told_by_line_and_column(cell: str) -> None:
    sheet = read(f"氏名,状況\n見本,見本\n{cell},見本\n".encode())
    assert [row.line for row in sheet.rows if row.faults] == [3]
    assert sheet.rows[1].faults[0].column == "氏名"


# -- tables ----------------------------------------------------------------------------------------


def test_headers_in_japanese_english_or_both_and_any_width_are_known() -> None:
    for column in columns():
        for name in (column.ja, column.path, column.path.upper(), f" {column.ja} "):
            assert by_name()[fold(name)] == column
    sheet = read("氏 名\tperson.kana\tＳＵＭＭＡＲＹ\n見本\tミホン\t見本\n".encode())
    assert sheet.delimiter == "\t"
    assert sheet.rows[0].body == {"person": {"name": "見本", "kana": "ミホン"}, "summary": "見本"}


def test_japanese_names_are_told_apart() -> None:
    names = [column.ja for column in columns()]
    assert len(set(names)) == len(names)


def test_rows_keep_their_lines_past_line_breaks_and_empty_rows() -> None:
    text = '氏名,状況\r\n見本,"一行目\r\n二行目"\r\n,\r\n\r\n見本二,"a ""b"", c"\r\n'
    sheet = read(text.encode())
    assert [row.line for row in sheet.rows] == [2, 6]
    assert [row.body["summary"] for row in sheet.rows] == ["一行目\r\n二行目", 'a "b", c']


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "見出し"),
        ("氏名,電話\n見本,1\n", "電話"),
        ("氏名,person.name,状況\n見本,見本,見本\n", "氏名"),
        ('氏名,状況\n見本,見本\n見本,"開いたまま\n見本,見本\n', "3 行目"),
        ('氏名,状況\n見本,"見"本\n', "2 行目"),
    ],
)
def test_a_sheet_that_cannot_be_relied_on_is_refused_as_a_whole(text: str, told: str) -> None:
    with pytest.raises(FileFault, match=told):
        read(text.encode())


def test_a_row_of_data_in_the_place_of_the_header_is_not_repeated() -> None:
    with pytest.raises(FileFault) as refused:
        read("サンプル 太郎,03-0000-0000\n".encode())
    assert "サンプル" not in str(refused.value)


def test_a_row_with_too_many_or_too_few_cells_is_told_for_the_others_may_have_shifted() -> None:
    sheet = read("氏名,状況\n見本,見,本\n見本\n見本,見本\n".encode())
    assert [bool(row.faults) for row in sheet.rows] == [True, True, False]


def test_a_cell_without_a_header_is_told() -> None:
    sheet = read("氏名,,状況\n見本,,見本\n見本二,何か,見本\n".encode())
    assert [row.faults[0].column if row.faults else "" for row in sheet.rows] == ["", "2 列目"]


def test_two_rows_that_cannot_be_told_apart_are_told() -> None:
    text = "整理番号,状況\n,見本\n,見本\nA,見本\nA,別の\nB,見本\n"
    sheet = read(text.encode())
    assert [row.line for row in sheet.rows if row.faults] == [3, 5]


@pytest.mark.parametrize("cells", ["サンプル 一;サンプル 二,弟", "サンプル 一,弟;叔父"])
def test_parts_that_belong_together_must_be_as_many(cells: str) -> None:
    sheet = read(f"緊急連絡先の氏名,続柄\n{cells}\n".encode())
    assert sheet.rows[0].faults[0].column == "続柄"


@given(st.lists(texts, min_size=1, max_size=5))
def test_a_list_is_one_cell_and_a_list_again(given_parts: list[str]) -> None:
    assert parts(joined(given_parts)) == given_parts


# -- days and times --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2026-04-01", "2026-04-01"), ("2026/4/1", "2026-04-01"), ("２０２６／４／１", "2026-04-01"),
        ("2026.4.1", "2026-04-01"), ("2026年4月1日", "2026-04-01"), ("令和8年4月1日", "2026-04-01"),
        ("令和 ８年 ４月 １日", "2026-04-01"), ("R8.4.1", "2026-04-01"), ("r8/4/1", "2026-04-01"),
        ("令和元年5月1日", "2019-05-01"), ("平成31年4月30日", "2019-04-30"),
        ("平成元年1月8日", "1989-01-08"), ("昭和64年1月7日", "1989-01-07"),
        ("昭和元年12月25日", "1926-12-25"), ("大正15年12月25日", "1926-12-25"),
        ("大正元年7月30日", "1912-07-30"), ("明治45年7月30日", "1912-07-30"),
        ("明治6年1月1日", "1873-01-01"), ("昭和55年4月1日", "1980-04-01"),
    ],
)  # fmt: skip
def test_a_day_is_read_as_people_write_it(written: str, day: str) -> None:
    assert read_day(written).isoformat() == day


@pytest.mark.parametrize(
    "written",
    [
        "80/4/1", "8年4月1日", "4/1/2026", "1/4/26", "29312", "20260401", "2026-13-01", "2026-02-29",
        "平成31年5月1日", "昭和64年1月8日", "令和元年4月30日", "明治5年12月2日", "令和0年4月1日",
        "元年4月1日", "2026/4-1", "R2026.4.1", "令和八年四月一日", "4月1日", "2026-04-01x", "不明",
    ],
)  # fmt: skip
def test_a_day_that_could_be_another_is_refused_and_not_repeated(written: str) -> None:
    with pytest.raises(NotADate) as refused:
        read_day(written)
    assert str(refused.value) in (WANTED, NO_SUCH_DAY, NOT_OF_THAT_ERA)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026/11/20 16:50", "2026-11-20T16:50:00+09:00"),
        ("令和8年11月20日 16時50分", "2026-11-20T16:50:00+09:00"),
        ("2026年11月20日１６時", "2026-11-20T16:00:00+09:00"),
        ("2026-11-20T07:50:00Z", "2026-11-20T07:50:00+00:00"),
        ("2026-11-20T16:50:00.25+09:00", "2026-11-20T16:50:00.250000+09:00"),
    ],
)
def test_a_time_without_an_offset_is_japans(written: str, moment: str) -> None:
    assert read_moment(written).isoformat() == moment


@pytest.mark.parametrize(
    "written", ["2026/11/20", "16:50", "2026/11/20 25:00", "2026/11/20 4:50 PM"]
)
def test_a_time_without_its_hour_is_refused(written: str) -> None:
    with pytest.raises(NotADate):
        read_moment(written)


# -- the template ----------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp932"])
def test_the_template_has_every_column_and_its_sample_reads_as_it_was_meant(encoding: str) -> None:
    sheet = read(template().encode(encoding))
    assert set(sheet.header) == {column.path for column in columns()}
    assert sheet.rows[0].body == SAMPLE
    ReferralSubmission.model_validate(SAMPLE)
