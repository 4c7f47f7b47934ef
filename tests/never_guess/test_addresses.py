"""Addresses as people write them: read for what they say, and never for more."""

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.intake.addressing import AddressProblem, AddressWarning, Located, locate
from wards import Ward

VECTORS: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).parent / "addresses.yaml").read_text(encoding="utf-8")
)


def _named(vectors: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(v, id=f"{number}: {v['why']}") for number, v in enumerate(vectors)]


@pytest.mark.parametrize("vector", _named(VECTORS["read"]))
def test_an_address_is_read_and_settled_only_as_far_as_the_table_goes(
    bunkyo: Ward, vector: dict[str, Any]
) -> None:
    found = locate(vector["text"], bunkyo)
    assert isinstance(found, Located)
    address, finding = found.address, found.finding
    assert [address.town, address.chome, address.ban, address.go] == vector["parts"]
    assert list(finding.candidates) == vector["districts"]
    assert finding.basis == vector["basis"]
    settled = len(vector["districts"]) == 1
    assert finding.district == (vector["districts"][0] if settled else None)
    assert address.rest == vector.get("rest", "")


@pytest.mark.parametrize("vector", _named(VECTORS["refused"]))
def test_an_address_that_is_none_of_the_wards_is_refused_without_repeating_it(
    bunkyo: Ward, vector: dict[str, Any]
) -> None:
    problem = locate(vector["text"], bunkyo)
    assert isinstance(problem, AddressProblem)
    assert problem.code == vector["problem"]
    said = problem.ja + problem.en
    pairs = {vector["text"][i : i + 2] for i in range(len(vector["text"]) - 1)}
    told = {pair for pair in pairs if pair in said and not pair.isascii()}
    assert told <= {"文京", "京区", "丁目"}
    assert not any(character.isdigit() for character in said)


def test_another_spelling_of_a_town_is_read_with_a_warning(bunkyo: Ward) -> None:
    found = locate("文京区西方1-20-1", bunkyo)
    assert isinstance(found, Located)
    assert found.address.warnings == (AddressWarning.ALIAS,)


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("文京区白山", AddressWarning.CHOME_MISSING),
        ("白山1丁目", AddressWarning.BAN_MISSING),
        ("向丘2-11", AddressWarning.GO_MISSING),
        ("向丘2-0", AddressWarning.IMPOSSIBLE_NUMBER),
    ],
)
def test_an_undecided_address_says_what_would_decide_it(
    bunkyo: Ward, text: str, warning: AddressWarning
) -> None:
    found = locate(text, bunkyo)
    assert isinstance(found, Located)
    assert warning in found.finding.warnings


def test_a_log_line_about_an_address_shows_neither_block_nor_building(bunkyo: Ward) -> None:
    shown = repr(locate("本郷2-21-3 青木ビル1階", bunkyo))
    assert "21" not in shown
    assert "青木" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "本郷" + "9" * 200_000 + "F",
        "本郷" + "一" * 100_000 + "F",
        "a " * 100_000,
        "文京区" * 50_000,
        "本郷2" + " " * 100_000,
        "本" + " " * 100_000,
        "本郷2-" * 50_000,
    ],
    ids=["digits", "kanji", "letters", "wards", "spaces", "town", "numbers"],
)
def test_a_text_of_any_length_is_answered_at_once(bunkyo: Ward, text: str) -> None:
    began = time.perf_counter()
    locate(text, bunkyo)
    assert time.perf_counter() - began < 3
