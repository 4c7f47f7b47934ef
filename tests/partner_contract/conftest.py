"""One network for the whole contract: these tests read mostly, and none kills anything."""

from collections.abc import Callable, Iterator

import pytest

from tests.network import RunningNetwork, running_network
from tests.partners import Partner
from tests.wards import without_limits


@pytest.fixture(scope="package")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    # How much one agency may ask is another promise: tests/through_their_own_systems/test_limits.py.
    home = tmp_path_factory.mktemp("network")
    with running_network(home, ward=without_limits(home)) as running:
        yield running


@pytest.fixture
def partner(network: RunningNetwork) -> Callable[[str], Partner]:
    return network.partner
