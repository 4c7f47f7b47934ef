"""The networks of the nights: one for all stories, and one of a ward that is a little different."""

from collections.abc import Iterator

import pytest

from tests.network import RunningNetwork
from tests.no_clock_is_missed.a_night import (
    BUNKYO,
    WHO_HAS_A_TRIAL_STAY,
    WHO_SITS_AT_THE_CORE_DESK,
    Night,
    OfAnotherWard,
    begins,
    ward_file,
)


@pytest.fixture(scope="package")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """In Bunkyo."""
    home = begins(tmp_path_factory.mktemp("night") / "home")
    network = RunningNetwork(home, clock_shift=True)
    try:
        yield Night(network)
    finally:
        network.stop()


@pytest.fixture(scope="package")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """In a ward with a second group home, where the people of 大塚 sit at the core centre's desk."""
    folder = tmp_path_factory.mktemp("elsewhere")
    text = BUNKYO.read_text("utf-8")
    start = text.index('[[agencies]]\nid = "sample-home"')
    home = text[start : text.index("[[agencies]]", start + 1)]
    second = home.replace("sample-home", "second-home").replace("見本グループホーム", "第二ホーム")
    ward = ward_file(
        folder / "ward.toml",
        (
            WHO_SITS_AT_THE_CORE_DESK,
            WHO_SITS_AT_THE_CORE_DESK + 'staffed_by = ["core", "hub-otsuka"]\n',
        ),
        (WHO_HAS_A_TRIAL_STAY, 'agencies = ["sample-home", "second-home"]\n'),
        (home, home + second),
    )
    network = OfAnotherWard(begins(folder / "home"), ward)
    try:
        yield Night(network)
    finally:
        network.stop()
