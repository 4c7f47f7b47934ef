"""`tsunagu up` starts nothing on a ward file that contradicts itself."""

from pathlib import Path

import pytest

from runtime.settings import Settings
from tests.network import REPOSITORY, tsunagu

BROKEN = REPOSITORY / "tests" / "ward_is_data" / "broken"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("block_enumerated_for_two_districts", "竹丘1-1"),
        ("whole_in_one_district_and_shared_in_another", "districts["),
        ("syntax_error", "toml"),
    ],
)
def test_a_broken_ward_file_is_refused_naming_the_place(
    tmp_path: Path, name: str, place: str
) -> None:
    home = tmp_path / "home"
    done = tsunagu("up", "--ward", str(BROKEN / f"{name}.toml"), settings=Settings(home=home))
    assert done.returncode == 2
    assert "ready" not in done.stdout
    assert place in done.stderr.replace("\n", "")
    assert "Traceback" not in done.stderr
    assert not (home / "data").exists()


def test_districts_of_bunkyo_that_overlap_are_refused_naming_the_block(tmp_path: Path) -> None:
    text = (REPOSITORY / "wards" / "bunkyo.toml").read_text("utf-8")
    ours = '{ town = "千駄木", chome = [1, 2, 3, 4, 5] },'
    assert ours in text
    bad = tmp_path / "bad.toml"
    bad.write_text(text.replace(ours, ours + ' { town = "本郷", chome = [2] },'), "utf-8")
    done = tsunagu("up", "--ward", str(bad), settings=Settings(home=tmp_path / "home"))
    assert done.returncode == 2
    assert "本郷2" in done.stderr.replace("\n", "")


def test_a_ward_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    done = tsunagu("up", "--ward", str(tmp_path / "no.toml"), settings=Settings(home=tmp_path))
    assert done.returncode == 2
    assert "no.toml" in done.stderr.replace("\n", "")
