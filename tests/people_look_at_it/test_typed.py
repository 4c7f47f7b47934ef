"""Dates, times, kana and telephone numbers are read as people type them; what cannot be told for certain is
refused in words."""

import unicodedata
from datetime import date, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.refer.typed import (
    ERAS,
    Era,
    Unread,
    in_era,
    read_date,
    read_kana,
    read_phone,
    read_time,
    refuse_text,
)

BIRTHDAY = date(1980, 4, 1)


@pytest.mark.parametrize(
    "text",
    [
        "1980-04-01", "1980-4-1", "１９８０／４／１", "1980.4.1", "1980年4月1日", "19800401", "１９８００４０１",
        "一九八〇年四月一日", "千九百八十年四月一日", "昭和55年4月1日", "昭和５５年４月１日", "昭和五十五年四月一日",
        "昭和五五年四月一日", "S55.4.1", "s55/4/1", "Ｓ５５．４．１", "昭55.4.1", "昭 55 4 1", "S550401",
        "㍼55年4月1日",
        "1980(昭和55)年4月1日", "1980年（昭和55年）4月1日", "昭和55年（1980年）4月1日", "昭和55年4月1日生",
        "  1980年 4月 1日 ", "昭和５５年４月１日（火）", "1980ー4ー1", "昭和五拾五年四月壱日",
    ],
)  # fmt: skip
def test_one_day_is_written_in_many_ways(text: str) -> None:
    assert read_date(text) == BIRTHDAY


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("令和元年5月1日", date(2019, 5, 1)),
        ("R1.5.1", date(2019, 5, 1)),
        ("㋿8年11月22日", date(2026, 11, 22)),
        ("平31.4.30", date(2019, 4, 30)),
        ("平成元年1月8日", date(1989, 1, 8)),
        ("昭和64年1月7日", date(1989, 1, 7)),
        ("昭和元年12月25日", date(1926, 12, 25)),
        ("大正15年12月25日", date(1926, 12, 25)),
        ("大正元年7月30日", date(1912, 7, 30)),
        ("明治45年7月30日", date(1912, 7, 30)),
        ("明治6年1月1日", date(1873, 1, 1)),
        ("2024年2月29日", date(2024, 2, 29)),
    ],
)
def test_eras_begin_and_end_on_their_days(text: str, day: date) -> None:
    assert read_date(text) == day


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("昭和64年1月8日", "昭和は64年1月7日まで"),
        ("平成31年5月1日", "平成は31年4月30日まで"),
        ("平成元年1月7日", "平成は元年1月8日から"),
        ("令和元年4月30日", "令和は元年5月1日から"),
        ("大正元年7月29日", "大正は元年7月30日から"),
        ("明治5年12月2日", "旧暦"),
        ("1980(昭和56)年4月1日", "西暦と和暦が合いません"),
        ("昭和55年（1981年）4月1日", "西暦と和暦が合いません"),
        ("2023-02-29", "暦にない"),
        ("昭和55年13月1日", "暦にない"),
        ("昭和0年1月1日", "暦にない"),
        ("80/4/1", "読み取れません"),
        ("4/1", "読み取れません"),
        ("1980年4月", "読み取れません"),
        ("昭和55年4月1日または2日", "読み取れません"),
        ("昨日", "読み取れません"),
        ("1" * 5_000, "読み取れません"),
        (" (" * 5_000, "読み取れません"),
    ],
)
def test_a_date_that_cannot_be_is_refused_in_words(text: str, words: str) -> None:
    found = read_date(text)
    assert isinstance(found, Unread)
    assert words in found.ja


def in_kanji(number: int) -> str:
    digits = "〇一二三四五六七八九"
    tens, ones = divmod(number, 10)
    head = "" if tens == 0 else "十" if tens == 1 else f"{digits[tens]}十"
    return head + (digits[ones] if ones or not tens else "")


def wide(text: str) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in text)


STYLES = (
    lambda era, y, m, d: f"{era.name}{'元' if y == 1 else y}年{m}月{d}日",
    lambda era, y, m, d: f"{era.name[0]}{y}.{m}.{d}",
    lambda era, y, m, d: f"{era.letter}{y}/{m}/{d}",
    lambda era, y, m, d: f"{era.letter.lower()}{y:02d}{m:02d}{d:02d}",
    lambda era, y, m, d: f"{era.name}{in_kanji(y)}年{in_kanji(m)}月{in_kanji(d)}日",
    lambda era, y, m, d: f"{era.name} {y:02d} 年 {m:02d} 月 {d:02d} 日",
    lambda era, y, m, d: f"{era.before + y}（{era.name}{y}）年{m}月{d}日",
)


@st.composite
def days_of_an_era(draw: st.DrawFn) -> tuple[Era, date]:
    era = draw(st.sampled_from(ERAS))
    return era, draw(st.dates(era.first, min(era.last, date(2118, 12, 31))))


@given(days_of_an_era(), st.sampled_from(STYLES), st.booleans())
def test_every_day_of_an_era_reads_back_in_every_style(
    where: tuple[Era, date], style: object, is_wide: bool
) -> None:
    era, day = where
    text = style(era, day.year - era.before, day.month, day.day)  # type: ignore[operator]
    assert read_date(wide(text) if is_wide else text) == day


@given(st.dates(date(1873, 1, 1), date(2118, 12, 31)))
def test_a_day_that_is_said_in_its_era_reads_back(day: date) -> None:
    assert read_date(in_era(day)) == day


@given(days_of_an_era(), st.integers(1, 400))
def test_a_day_outside_its_era_is_never_moved_into_it(where: tuple[Era, date], beyond: int) -> None:
    era, _ = where
    for outside in (era.first - timedelta(beyond), *(
        [era.last + timedelta(beyond)] if era.last < date(9000, 1, 1) else []
    )):  # fmt: skip
        year = outside.year - era.before
        if year >= 1:
            found = read_date(f"{era.name}{year}年{outside.month}月{outside.day}日")
            assert isinstance(found, Unread)


@given(st.text(max_size=80))
def test_whatever_is_typed_gets_an_answer(text: str) -> None:
    for read in (read_date, read_time, read_kana, read_phone):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "16:50",
        "１６：５０",
        "１６時５０分",
        "16 時 50 分",
        "十六時五十分",
        "午後4時50分",
        "1650",
        "4:50pm",
        "PM 4:50",
    ],
)
def test_one_time_is_written_in_many_ways(text: str) -> None:
    assert read_time(text) == time(16, 50)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("9時", time(9)),
        ("午後4時半", time(16, 30)),
        ("正午", time(12)),
        ("0:00", time(0)),
        ("12:15am", time(0, 15)),
    ],
)
def test_times_of_the_clock(text: str, at: time) -> None:
    assert read_time(text) == at


@pytest.mark.parametrize(
    "text", ["24:00", "16:60", "9:5", "午後12時", "午後16時", "夕方", "25時", ""]
)
def test_a_time_that_cannot_be_told_is_refused(text: str) -> None:
    assert isinstance(read_time(text), Unread)


@given(st.times())
def test_every_minute_reads_back(at: time) -> None:
    for text in (f"{at:%H:%M}", f"{at.hour}時{at.minute}分", f"{at:%H%M}"):
        assert read_time(text) == at.replace(second=0, microsecond=0)


@pytest.mark.parametrize(
    "text",
    [
        "ほんごう　はなこ",
        "ﾎﾝｺﾞｳ ﾊﾅｺ",
        "ホンゴウ　ハナコ",
        " ほんごう   ハナコ ",
        "ほんご\u3099う はなこ".replace("ご\u3099", "こ\u3099"),
    ],
)
def test_kana_become_full_width_katakana(text: str) -> None:
    assert read_kana(text) == "ホンゴウ　ハナコ"


@pytest.mark.parametrize("text", ["本郷", "Hanako", "はなこ1", "", "はなこ\u202e"])
def test_what_is_no_kana_is_refused(text: str) -> None:
    assert isinstance(read_kana(text), Unread)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("０３－１２３４－５６７８", "03-1234-5678"),
        ("03ー1234ー5678", "03-1234-5678"),
        ("03(1234)5678", "03-1234-5678"),
        ("（０３）１２３４－５６７８", "03-1234-5678"),
        ("０３　１２３４　５６７８", "03-1234-5678"),
        ("09000000000", "09000000000"),
        ("+81 3 1234 5678", "+81-3-1234-5678"),
        ("03-1234-5678（内線１２）", "03-1234-5678 内線12"),
    ],
)
def test_telephone_numbers_as_they_are_written(text: str, number: str) -> None:
    assert read_phone(text) == number


@pytest.mark.parametrize(
    "text", ["なし", "1234-5678", "03-1234-567", "0" * 40, "03-1234-5678か090-0000-0000", ""]
)
def test_what_is_no_telephone_number_is_refused(text: str) -> None:
    assert isinstance(read_phone(text), Unread)


@given(st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffd")))
def test_every_text_of_characters_is_kept(text: str) -> None:
    assert refuse_text(text) is None
    assert refuse_text(f"{text}\n\t") is None


@given(st.characters(categories=("Cc", "Cs")))
def test_controls_and_lone_surrogates_are_refused(sign: str) -> None:
    assert (refuse_text(f"見{sign}本") is None) == (sign in "\n\t")


def test_the_styles_are_full_width_for_real() -> None:
    assert unicodedata.normalize("NFKC", wide("S55.4.1")) == "S55.4.1"
    assert wide("S55.4.1") != "S55.4.1"
