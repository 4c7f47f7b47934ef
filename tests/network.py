"""The real network, for tests that break things: real processes, a real nats-server, real HTTP.

What dies is started again at once by a thread of this module, as `tsunagu up` does it, unless a test
keeps it down.
"""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from runtime.clock import shift, shifted
from runtime.nats_server import free_port
from runtime.settings import Settings
from schemas import subjects
from schemas.logins import LOGINS
from services.supervisor import SERVICES, Network
from tests.nats import TESTER
from tests.partners import Partner

CONSOLE = "console"
EVERYTHING = ("nats-server", *(name for name in SERVICES if name != CONSOLE))
"""What a referral needs, or its evidence; the pages for people are there where a test wants them."""
REPOSITORY = Path(__file__).resolve().parents[1]


class _Supervised(Network):
    """Starts nothing again that is to stay down; has one more login, for tests."""

    logins = (*LOGINS, TESTER)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.down: set[str] = set()

    def _spawn(self, name: str, command: list[str]) -> None:
        if name not in self.down:
            super()._spawn(name, command)


class RunningNetwork:
    """Started and ready when made; ``stop`` it, and ``start`` it again in the same home."""

    def __init__(
        self,
        home: Path,
        *,
        database: str = "",
        keep_down: tuple[str, ...] = (),
        clock_shift: bool = False,
        console: bool = False,
        **more: Any,
    ) -> None:
        """``clock_shift``: its processes go by a clock that ``move_clock`` moves. ``console``: with the
        pages for people. ``more``: other settings."""
        ports = {"port": free_port(), "console_port": free_port()}
        self.settings = Settings(home=home, database=database, **(ports | more))
        self._console = console
        if clock_shift:
            file = home.resolve() / "clock_shift"
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shift(file, shifted(file))
            self.settings = replace(self.settings, clock_shift=file)
        self._partners: dict[str, Partner] = {}
        self._engines: dict[str, sa.Engine] = {}
        self.start(keep_down=keep_down)

    @property
    def home(self) -> Path:
        return self.settings.home

    @property
    def url(self) -> str:
        return self._network.url

    @property
    def console_url(self) -> str:
        return self._network.console_url

    # -- living and dying -------------------------------------------------------------------------

    def start(self, *, keep_down: tuple[str, ...] = ()) -> None:
        self._network = _Supervised(self.settings)
        self._network.down.update(keep_down if self._console else (*keep_down, CONSOLE))
        self._tending = threading.Lock()
        self._stopped = False
        self._network.start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()
        try:
            if not keep_down:
                self.await_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        with self._tending:
            self._stopped = True
        try:
            self._network.stop()
        finally:
            self._keeper.join()
            for partner in self._partners.values():
                partner.close()
            for engine in self._engines.values():
                engine.dispose()
            self._partners.clear()
            self._engines.clear()

    def _keep(self) -> None:
        while True:
            with self._tending:
                if self._stopped:
                    return
                self._network.tend()
            time.sleep(0.02)

    def pid(self, name: str) -> int:
        return self._network.pid(name)

    def kill(self, name: str) -> None:
        """kill -9. The process is gone when this returns; the next one may have started."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not _alive(pid), 5, f"{name} dead")

    def kill_and_await_restart(self, name: str) -> None:
        self.kill(name)
        self.await_ready()

    @contextlib.contextmanager
    def down(self, *names: str) -> Iterator[None]:
        """Killed with -9 and kept down."""
        self._network.down.update(names)
        for name in names:
            self.kill(name)
        try:
            yield
        finally:
            self._network.down.difference_update(names)

    @contextlib.contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """There, and doing nothing (SIGSTOP)."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def no_room_on_disk(self, name: str) -> Iterator[None]:
        """Whatever this process writes to a file fails, as on a full disk."""
        pid = self.pid(name)
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        try:
            yield
        finally:
            if _alive(pid):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, before)

    def move_clock(self, by: timedelta) -> None:
        """For all its processes, at once: the time passes. By less than nothing: the host's clock
        is set back."""
        file = self.settings.clock_shift
        if file is None:
            raise ValueError("made without clock_shift=True")
        shift(file, shifted(file) + by.total_seconds())

    # -- asking it --------------------------------------------------------------------------------

    def partner(self, agency: str) -> Partner:
        if agency not in self._partners:
            self._partners[agency] = self.new_partner(agency)
        return self._partners[agency]

    def new_partner(self, agency: str, timeout: float = 20.0) -> Partner:
        """A client with connections of its own; whoever makes one closes it."""
        keys = tomllib.loads((self.home / "keys.toml").read_text("utf-8"))
        return Partner(self.url, agency, keys[agency], timeout)

    def await_ready(self, seconds: float = 60) -> None:
        """A POST would succeed and every service answers."""

        deadline = time.monotonic() + seconds
        self.await_posts(seconds)

        def ready() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return all(self.is_up(name) for name in SERVICES if self._is_asked(name))
            return False

        eventually(ready, deadline - time.monotonic(), lambda: f"ready; {self.logs()[-2000:]}")

    def _is_asked(self, name: str) -> bool:
        return name != "intake" and (self._console or name != CONSOLE)

    def await_posts(self, seconds: float = 60) -> None:
        """A POST would be made durable; who else is there does not matter."""

        def durable() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
            return False

        eventually(durable, seconds, lambda: f"ready for posts; {self.logs()[-2000:]}")

    def is_up(self, service: str) -> bool:
        return self.metrics().get(("tsunagu_service_up", service, "")) == 1

    def figure(self, service: str, figure: str) -> float:
        return self.metrics()[("tsunagu_figure", service, figure)]

    def metrics(self) -> dict[tuple[str, str, str], float]:
        """Values by name, service and figure."""
        page = httpx.get(f"{self.url}/metrics", timeout=5).text
        return {
            (sample.name, sample.labels.get("service", ""), sample.labels.get("figure", "")): (
                sample.value
            )
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }

    def rows(self, service: str, query: str, **values: Any) -> list[Any]:
        """Rows of a service's database, opened read-only."""
        engine = self._engines.get(service)
        if engine is None:
            engine = sa.create_engine(self._read_only(service), poolclass=sa.NullPool)
            self._engines[service] = engine
        with engine.connect() as connection:
            return list(connection.execute(sa.text(query), values))

    def has(self, service: str) -> bool:
        """Whether the service keeps anything: the console is not always started."""
        return service != CONSOLE or self._console

    def _read_only(self, service: str) -> str:
        if self.settings.database:
            return self.settings.database_url(service)
        path = (self.home / "data" / f"{service}.db").resolve()
        return f"sqlite:///file:{path}?mode=ro&uri=true"

    def settle(self, seconds: float = 30) -> int:
        """Wait until ledger and inboxes hold the whole journal, and the ledger is signed to its
        end. Gives the journal's length."""

        def settled() -> bool:
            head = self.journal_head()
            others = [p for p in subjects.PRODUCERS if p != "referral" and self.has(p)]
            noted = sum(self.rows(p, "SELECT count(*) FROM journal")[0][0] for p in others)
            ledger = self.rows("audit", "SELECT count(*) FROM entries")[0][0]
            signed = self.rows("audit", "SELECT max(size) FROM checkpoints")[0][0]
            read = self.rows("delivery", "SELECT number FROM journals_read")
            whole = head + noted == ledger == (signed or 0)
            return whole and (head == 0 or head == read[0][0])

        eventually(settled, seconds, "the whole journal in ledger and inboxes")
        return self.journal_head()

    def journal_head(self) -> int:
        return int(self.rows("referral", "SELECT max(number) FROM journal")[0][0] or 0)

    def logs(self) -> str:
        files = sorted((self.home / "logs").iterdir())
        return "".join(file.read_text("utf-8", errors="replace") for file in files)

    def nats_settings(self) -> Settings:
        """With which its own processes connect."""
        return self._network.settings

    def nats(self, login: str = TESTER.name) -> dict[str, Any]:
        """How to connect to its nats-server as one of the network's own."""
        settings = self._network.settings
        return {
            "servers": settings.nats_url,
            "user": login,
            "password": settings.nats_password(login),
            "inbox_prefix": subjects.replies(login).encode(),
        }

    def tsunagu(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command line, in a process of its own, on this network's home."""
        return tsunagu(*arguments, settings=self.settings)


def tsunagu(*arguments: str, settings: Settings) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        env={**os.environ, **replace(settings, home=settings.home.resolve()).environment()},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def verified(network: RunningNetwork) -> dict[str, Any]:
    """What `tsunagu verify` says of a ledger that must be whole."""
    done = network.tsunagu("verify", "--json")
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == 0, report
    assert report["whole"]
    return report


@contextlib.contextmanager
def running_network(home: Path, **how: Any) -> Iterator[RunningNetwork]:
    network = RunningNetwork(home, **how)
    try:
        yield network
    finally:
        network.stop()


def eventually(
    holds: Callable[[], object],
    seconds: float,
    what: str | Callable[[], str],
    every: float = 0.05,
) -> None:
    """Wait until something holds. Fails when the time is over; never waits longer than needed."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            told = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {seconds:.0f} s: {told}")
        time.sleep(every)


def _alive(pid: int) -> bool:
    """Running, and not merely waiting to be buried."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")
