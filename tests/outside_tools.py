"""The tools of others that tests need, installed once for each lock file, in a folder that git does not
see: those that write clients from our OpenAPI, and what looks at our pages for barriers."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parent / "outside_clients"

_NO_NETWORK = (
    "ENOTFOUND", "ECONNREFUSED", "EAI_AGAIN", "ETIMEDOUT", "ECONNRESET", "ENETUNREACH",
    "error sending request", "dns error", "Failed to fetch",
)  # fmt: skip


def run(*command: str | Path, cwd: Path = SOURCES, **environment: str) -> str:
    """What it printed; fails with that if it failed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def python_tools() -> Path:
    """A virtualenv with openapi-python-client; gives its ``bin``."""
    with _folder(SOURCES, "python", "requirements.lock") as (folder, fresh):
        if fresh:
            uv = (sys.executable, "-m", "uv", "--quiet")
            _installed(folder, *uv, "venv", "--clear", "--python", sys.executable, folder)
            lock = SOURCES / "requirements.lock"
            python = folder / "bin" / "python"
            _installed(
                folder, *uv, "pip", "install", "--python", python, "--require-hashes", "-r", lock
            )
            (folder / ".ready").touch()
    return folder / "bin"


def typescript_tools() -> Path:
    """A folder with ``node_modules``."""
    return node_packages(SOURCES, "typescript")


def node_packages(sources: Path, kind: str) -> Path:
    """A folder with the ``node_modules`` that ``sources/package-lock.json`` names."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            cannot(f"{program} is not installed here (Debian: apt-get install nodejs npm)")
    with _folder(sources, kind, "package-lock.json") as (folder, fresh):
        if fresh:
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(sources / name, folder)
            # By itself it tries for more than a minute where there is no network, and for longer where
            # it is not refused but hears nothing.
            soon = (
                "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000",
                "--fetch-timeout=30000",
            )  # fmt: skip
            _installed(
                folder, "npm", "ci", "--ignore-scripts", "--no-fund", "--no-audit", *soon,
                cwd=folder,
            )  # fmt: skip
            (folder / ".ready").touch()
    return folder


@contextlib.contextmanager
def _folder(sources: Path, kind: str, lock: str) -> Iterator[tuple[Path, bool]]:
    """The folder for what this very lock file names, and whether it is still to be filled; by one
    process at a time."""
    made = sources / ".made"
    made.mkdir(exist_ok=True)
    named = hashlib.sha256((sources / lock).read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = made / f"{kind}-{named}"
    with (made / f"{kind}.lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        fresh = not (folder / ".ready").exists()
        if fresh:
            for old in made.glob(f"{kind}-*"):
                shutil.rmtree(old)
        yield folder, fresh


def _installed(folder: Path, *command: str | Path, cwd: Path = SOURCES) -> None:
    kind = folder.name.partition("-")[0]
    try:
        run(*command, cwd=cwd)
    except subprocess.TimeoutExpired:
        cannot(f"no network here? the packages for {kind} have not come in time")
    except AssertionError as error:
        if any(sign in str(error) for sign in _NO_NETWORK):
            cannot(f"no network here: the packages for {kind} cannot be fetched")
        raise


def cannot(why: str) -> None:
    """Where everything is tested (CI), a tool that is missing is a failure; elsewhere it is told."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
