"""One network for those who only write and read; whoever breaks something starts one of their own."""

import tomllib
from collections.abc import Callable, Iterator

import pytest

from partners.client import Client
from tests.network import RunningNetwork, running_network


@pytest.fixture(scope="package")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    with running_network(tmp_path_factory.mktemp("network")) as running:
        yield running


@pytest.fixture
def key_of(network: RunningNetwork) -> Callable[[str], str]:
    keys: dict[str, str] = tomllib.loads((network.home / "keys.toml").read_text("utf-8"))
    return keys.__getitem__


@pytest.fixture
def client(
    network: RunningNetwork, key_of: Callable[[str], str]
) -> Iterator[Callable[[str], Client]]:
    """``client("hub-motofuji")``: our typed client, as that agency."""
    opened: list[Client] = []

    def of(agency: str) -> Client:
        opened.append(Client(network.url, key_of(agency)))
        return opened[-1]

    yield of
    for one in opened:
        one.close()
