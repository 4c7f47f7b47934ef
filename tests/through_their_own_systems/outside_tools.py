"""The tools of others that write clients from our OpenAPI, installed once for each lock file, in a folder
that git does not see."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[1] / "outside_clients"
MADE = SOURCES / ".made"

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
    folder, fresh = _folder("python", "requirements.lock")
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
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            _cannot(f"{program} is not installed here (Debian: apt-get install nodejs npm)")
    folder, fresh = _folder("typescript", "package-lock.json")
    if fresh:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCES / name, folder)
        # By itself it tries for more than a minute where there is no network, and for longer where it
        # is not refused but hears nothing.
        soon = (
            "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000", "--fetch-timeout=30000",
        )  # fmt: skip
        _installed(
            folder, "npm", "ci", "--ignore-scripts", "--no-fund", "--no-audit", *soon, cwd=folder
        )
        (folder / ".ready").touch()
    return folder


def _folder(kind: str, lock: str) -> tuple[Path, bool]:
    """The folder for what this very lock file names, and whether it is still to be filled."""
    named = hashlib.sha256((SOURCES / lock).read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = MADE / f"{kind}-{named}"
    if not (folder / ".ready").exists():
        for old in MADE.glob(f"{kind}-*"):
            shutil.rmtree(old)
        return folder, True
    return folder, False


def _installed(folder: Path, *command: str | Path, cwd: Path = SOURCES) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        run(*command, cwd=cwd)
    except subprocess.TimeoutExpired:
        _cannot(f"no network here? the packages for {_kind(folder)} have not come in time")
    except AssertionError as error:
        if any(sign in str(error) for sign in _NO_NETWORK):
            _cannot(f"no network here: the packages for {_kind(folder)} cannot be fetched")
        raise


def _kind(folder: Path) -> str:
    return folder.name.partition("-")[0]


def _cannot(why: str) -> None:
    """Where everything is tested (CI), a tool that is missing is a failure; elsewhere it is told."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
