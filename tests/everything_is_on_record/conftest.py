"""What the suites of this folder may ask for."""

from collections.abc import Callable

import pytest
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from tests.everything_is_on_record.office import Office


@pytest.fixture
def office(database_of: Callable[[str], Engine], clock: ManualClock) -> Office:
    """Whoever answers for a new, empty ledger."""
    return Office(database_of("audit"), clock)
