"""One network for the whole contract: these tests read mostly, and none kills anything."""

from collections.abc import Callable, Iterator

import pytest

from tests.network import RunningNetwork, running_network
from tests.partners import Partner


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    with running_network(tmp_path_factory.mktemp("network")) as running:
        yield running


@pytest.fixture
def partner(network: RunningNetwork) -> Callable[[str], Partner]:
    return network.partner
