from collections.abc import Callable, Iterator

import pytest
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from tests.desk import Desk


@pytest.fixture
def desk(database_of: Callable[[str], Engine], clock: ManualClock) -> Iterator[Desk]:
    with Desk(database_of("referral"), clock) as desk:
        yield desk
