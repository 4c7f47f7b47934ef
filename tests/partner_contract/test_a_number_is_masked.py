"""Where a 個人番号 stood, a mask stands; every other sign of what somebody wrote stays."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.my_number import MASK, has_my_number, masked

NUMBERS = st.sampled_from(
    ["123456789018", "1234 5678 9018", "１２３４－５６７８－９０１８", "1\u200b23456789018",
     "1 2 3 4 5 6 7 8 9 0 1 8", "①②③④⑤⑥⑦⑧⑨018"]
)  # fmt: skip
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
DIGITS = st.text(st.sampled_from("0123456789１２ -ー・①²"), max_size=60)


@given(st.lists(st.one_of(WORDS, DIGITS, NUMBERS), max_size=8).map("".join))
@example("1234 5678 9018 1234 5678 9018")
@example("123456789018" * 2)
def test_what_is_masked_has_no_number_and_what_has_none_is_unchanged(text: str) -> None:
    after = masked(text)
    assert not has_my_number(after)
    assert len(after) <= len(text)
    if not has_my_number(text):
        assert after == text
    # What stands between the masks stood there before, in that order.
    between = ".*".join(re.escape(kept) for kept in after.split(MASK))
    assert re.fullmatch(between, text, re.DOTALL)


LETTERS = st.text("三日前から眠れていない、。\n姉abc", min_size=1, max_size=20)


@given(LETTERS, NUMBERS, LETTERS)
def test_only_the_number_goes(before: str, number: str, behind: str) -> None:
    assert masked(f"{before}{number}{behind}") == f"{before}{MASK}{behind}"


@pytest.mark.parametrize("text", ["電話 03-3868-3033、16:50 に", "受付番号は123456789017"])
def test_other_numbers_stay(text: str) -> None:
    assert masked(text) == text
