from collections.abc import Iterator

import pytest

from tests.network import RunningNetwork, running_network


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    """One network a module: each test leaves it whole, and the module's last test checks that."""
    with running_network(tmp_path_factory.mktemp("network")) as running:
        yield running
