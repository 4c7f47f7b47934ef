"""What every suite may ask for."""

import contextlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from tests.builders import FRIDAY_AFTERNOON
from tests.databases import Databases, PostgresServer, SqliteFiles, opened

# A shared machine is slow at times: a property fails by what it finds, not by how long it took.
settings.register_profile(
    "tsunagu", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("tsunagu")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """Started when the first test asks for it. Where it cannot run, that test fails."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def databases(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Databases:
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgresql")
        return server
    return SqliteFiles(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture
def database_of(databases: Databases) -> Iterator[Callable[[str], Engine]]:
    """``database_of("referral")``: a new database with that service's tables."""
    with contextlib.ExitStack() as stack:
        yield lambda service: stack.enter_context(opened(databases, service))


@pytest.fixture
def clock() -> ManualClock:
    """It stands still on a Friday afternoon until a test moves it."""
    return ManualClock(FRIDAY_AFTERNOON)
