"""Services as processes of their own, and what each costs."""

import os
import subprocess
import sys
from pathlib import Path

from runtime.settings import Settings


def a_service(settings: Settings, name: str) -> subprocess.Popen[bytes]:
    log = (settings.home / f"{name}.log").open("ab")
    return subprocess.Popen(
        [sys.executable, "-m", "services.cli", "serve", name],
        env={**os.environ, **settings.environment()},
        stderr=log,
    )


def stop(*services: subprocess.Popen[bytes]) -> None:
    for service in services:
        service.terminate()
    for service in services:
        service.wait()


def processor_time(pid: int) -> float:
    """Seconds that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Megabytes (10^6 bytes) that a process holds in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def load_average() -> str:
    """Of the machine, over 1, 5 and 15 minutes: what else was going on when measuring began."""
    return ", ".join(f"{load:.2f}" for load in os.getloadavg())
