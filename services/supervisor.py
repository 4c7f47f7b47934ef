"""The whole network in the foreground: nats-server and one process per service (`tsunagu up`).

A process that dies is started again; when this one goes, all go. In production a container engine
does the same (compose.yaml).
"""

import contextlib
import fcntl
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from runtime.nats_issuer import KEY_FILE, Issuer
from runtime.nats_server import find_server, free_port, make_passwords, write_configuration
from runtime.settings import Settings
from schemas.logins import LOGINS, Login
from schemas.publishing.nats_accounts import ISSUER, nats_accounts, password_variable

SERVICES = ("referral", "delivery", "audit", "intake", "console")
_LOOK_EVERY = 5.0  # seconds
_STUCK_LOOKS = 3  # so many looks running before the broker is started again


class AlreadyRunning(RuntimeError):
    """Another network lives in this home."""


class NotReady(RuntimeError):
    """The network did not become ready in time."""


@dataclass(slots=True)
class _Child:
    command: list[str]
    process: subprocess.Popen[bytes]
    started: float


def nats_configuration(home: Path, port: int, logins: tuple[Login, ...] = LOGINS) -> Path:
    """The embedded server's, with new passwords for all of ours."""
    keys = home / "keys"
    passwords = make_passwords(keys, [login.name for login in logins])
    variables = {password_variable(login): given for login, given in passwords.items()}
    variables[ISSUER] = Issuer(keys / KEY_FILE).public
    return write_configuration(home, port, nats_accounts(logins), variables)


class Network:
    """Start with ``start``, keep alive with ``tend``, end with ``stop``."""

    logins: tuple[Login, ...] = LOGINS

    def __init__(self, settings: Settings) -> None:
        home = settings.home.resolve()
        self._nats_port = settings.nats_port or free_port()
        self.settings = replace(
            settings,
            home=home,
            nats_url=f"nats://127.0.0.1:{self._nats_port}",
            nats_logins=home / "keys",
            console_port=settings.console_port or free_port(),
        )
        self._children: dict[str, _Child] = {}
        self._lock: IO[bytes] | None = None
        self._looked_at = time.monotonic()
        self._stuck = 0

    @property
    def url(self) -> str:
        return f"http://{self.settings.host}:{self.settings.port}"

    @property
    def console_url(self) -> str:
        """Of the pages for people."""
        return f"http://{self.settings.host}:{self.settings.console_port}"

    def pid(self, name: str) -> int:
        """The process of ``nats-server`` or a service; another one after a restart."""
        return self._children[name].process.pid

    def start(self) -> None:
        """Raises AlreadyRunning, ``runtime.nats_server.NoServer``."""
        home = self.settings.home
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / "logs").mkdir(exist_ok=True)
        self._lock = open(home / "lock", "ab")  # noqa: SIM115  # held while the network runs
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"a network is running in {home} already") from None
        self._refuse_taken_port(self.settings.host, self.settings.port)
        self._refuse_taken_port("127.0.0.1", self._nats_port)
        self._refuse_taken_port(self.settings.host, self.settings.console_port)
        (home / "url").write_text(self.url + "\n", encoding="ascii")
        (home / "console_url").write_text(self.console_url + "\n", encoding="ascii")
        (home / "nats_url").write_text(self.settings.nats_url + "\n", encoding="ascii")
        # For the commands that are given no ward file: they mean this network's.
        ward = str(self.settings.ward.resolve()) if self.settings.ward is not None else ""
        (home / "ward").write_text(ward + "\n", encoding="utf-8")
        configuration = nats_configuration(home, self._nats_port, self.logins)
        self._spawn("nats-server", [find_server(), "-c", str(configuration)])
        for service in SERVICES:
            self._spawn(service, [sys.executable, "-m", "services.cli", "serve", service])

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        """Until a POST would succeed and every service does its part. Raises NotReady."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.tend()
            if self._is_ready():
                return
            time.sleep(0.05)
        raise NotReady(f"not ready after {seconds:.0f} s; see {self.settings.home / 'logs'}")

    @staticmethod
    def _refuse_taken_port(host: str, port: int) -> None:
        """Whoever answers there would be taken for this network."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise AlreadyRunning(f"port {port}: {error.strerror}") from None

    def tend(self) -> None:
        """Start again whatever has died, and a broker that no longer takes commands."""
        self._watch_broker()
        for name, child in list(self._children.items()):
            # One that dies at once is not restarted in a storm.
            if child.process.poll() is not None and time.monotonic() - child.started > 0.5:
                self._spawn(name, child.command)

    def _watch_broker(self) -> None:
        """nats-server keeps a write error (a full disk) until it is started again, even when there
        is room: intake tells, by ``Tsunagu-Obstacle``, that no command can be made durable."""
        if time.monotonic() - self._looked_at < _LOOK_EVERY or "intake" not in self._children:
            return
        self._looked_at = time.monotonic()
        stuck = False
        try:
            urllib.request.urlopen(f"{self.url}/readyz", timeout=4).close()  # noqa: S310
        except urllib.error.HTTPError as error:
            stuck = error.headers.get("Tsunagu-Obstacle") == "commands"
            error.close()
        except OSError:
            pass  # intake itself is not there: that is seen to below
        self._stuck = self._stuck + 1 if stuck else 0
        if self._stuck >= _STUCK_LOOKS:
            self._stuck = 0
            self._children["nats-server"].process.kill()

    def stop(self) -> None:
        """SIGTERM to all, the services before the broker; SIGKILL to what does not go."""
        # The broker last: a service that cannot say goodbye to it waits until it is killed.
        for names in (SERVICES, ("nats-server",)):
            going = [self._children[name] for name in names if name in self._children]
            for child in going:
                if child.process.poll() is None:
                    child.process.terminate()
            for child in going:
                self._await_end(child)
        self._children.clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @staticmethod
    def _await_end(child: _Child) -> None:
        try:
            child.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=4) as answer:  # noqa: S310
                if answer.status != 200:
                    return False
            with urllib.request.urlopen(f"{self.url}/metrics", timeout=4) as answer:  # noqa: S310
                page = answer.read().decode()
        except (urllib.error.URLError, OSError):
            return False
        return all(
            f'tsunagu_service_up{{service="{name}"}} 1.0' in page
            for name in SERVICES
            if name != "intake"
        )

    def _spawn(self, name: str, command: list[str]) -> None:
        with open(self.settings.home / "logs" / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "runtime.tether", str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # What the settings leave empty is empty for the children too.
                env={
                    **{k: v for k, v in os.environ.items() if not k.startswith("TSUNAGU_")},
                    **self.settings.environment(),
                },
                start_new_session=True,
            )
        self._children[name] = _Child(command, process, time.monotonic())


@contextlib.contextmanager
def network(settings: Settings, seconds: float = 60.0) -> Iterator[Network]:
    """A running network, ready for POSTs; stopped at the end, whatever happens."""
    running = Network(settings)
    try:
        running.start()
        running.wait_until_ready(seconds)
        yield running
    finally:
        running.stop()


def running_url(home: Path) -> str:
    """Where the network that lives in ``home`` listens."""
    return (home / "url").read_text(encoding="ascii").strip()
