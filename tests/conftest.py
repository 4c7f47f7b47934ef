"""What every suite may ask for."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

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

IN_A_BROWSER = "tests/in_a_browser/"


def pytest_sessionstart(session: pytest.Session) -> None:
    # Of this run, and not of the one before; with several workers, once.
    if not hasattr(session.config, "workerinput"):
        for report in _reports():
            report.unlink(missing_ok=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not tried in a browser is said at the very end, and what axe-core looked at."""
    stats = terminalreporter.stats
    left_out = [one for one in stats.get("skipped", ()) if one.nodeid.startswith(IN_A_BROWSER)]
    if left_out:
        reason = left_out[0].longrepr[2].removeprefix("Skipped: ")
        terminalreporter.section("NOT TRIED IN A BROWSER", yellow=True)
        terminalreporter.line(f"{len(left_out)} tests: {reason}")
    looked = [json.loads(path.read_text("utf-8")) for path in _reports()]
    if looked:
        found = sum(len(one["violations"]) for one in looked)
        checks = sum(one["checks"] for one in looked)
        terminalreporter.section(f"axe-core {looked[0]['axe']}")
        terminalreporter.line(
            f"{len(looked)} states of pages, {checks} checks passed, {found} violations"
        )


def _reports() -> list[Path]:
    return sorted((Path(__file__).parent / "in_a_browser/.made/looked_at").glob("*.json"))


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
