"""`make bench-outside`: requests a second of the door, by a load tool that is not ours: wrk.

A whole network of its own, without limits for each agency, whose inbox has some hundred events. wrk is a
program of its own (`apt-get install wrk`); without it nothing is measured.
"""

import argparse
import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from benchmarks.bare import sample
from benchmarks.load import Connection
from benchmarks.processes import load_average
from runtime.nats_server import free_port
from runtime.settings import Settings
from services.supervisor import network
from tests.wards import without_limits

AGENCY = "anshin-motofuji"
REFERRALS = 200
_CALLS = (
    ("GET /healthz, nothing asked of anybody", "GET", "/healthz", False),
    ("GET /v1/inbox, 20 events", "GET", "/v1/inbox?after=0&limit=20", False),
    ("GET /v1/inbox, nothing new", "GET", "/v1/inbox?after={head}", False),
    ("POST /v1/referrals/check", "POST", "/v1/referrals/check", True),
)
_FIGURES = re.compile(
    r"^\s*(Requests/sec|50%|99%|Non-2xx or 3xx responses|Socket errors):?\s*(.+)$"
)


async def fill(port: int, key: str) -> int:
    """Referrals, one after another. Gives how many events are in the agency's inbox then."""
    connection = Connection("127.0.0.1", port)
    await connection.open()
    headers = f"Authorization: Bearer {key}\r\n"
    for n in range(REFERRALS):
        once = f"Idempotency-Key: outside-{n}\r\n"
        status, answer, _ = await connection.post(
            "/v1/referrals", sample(n, "outside"), headers + once
        )
        assert status in (201, 202), (status, answer)
    await asyncio.sleep(1)
    _, answer, _ = await connection.get("/v1/inbox?limit=1", headers)
    connection.close()
    found = re.search(rb'"head":(\d+)', answer)
    assert found is not None, answer
    return int(found[1])


def by_wrk(folder: Path, url: str, method: str, key: str, body: bytes, seconds: int) -> str:
    """What wrk has to say. The key goes by a file, not by the list of processes."""
    (folder / "body").write_bytes(body)
    script = folder / "call.lua"
    script.write_text(
        f'wrk.method = "{method}"\n'
        f'wrk.headers["Authorization"] = "Bearer {key}"\n'
        + (
            'wrk.headers["Content-Type"] = "application/json"\n'
            f'local file = io.open("{folder / "body"}", "rb")\n'
            'wrk.body = file:read("*all")\nfile:close()\n'
            if body
            else ""
        ),
        "utf-8",
    )
    done = subprocess.run(
        ["wrk", "-t1", "-c32", f"-d{seconds}s", "--latency", "-s", str(script), url],
        capture_output=True,
        text=True,
        check=True,
    )
    figures = dict(m.groups() for line in done.stdout.splitlines() if (m := _FIGURES.match(line)))
    assert "Non-2xx or 3xx responses" not in figures, done.stdout
    assert "Socket errors" not in figures, done.stdout
    return f"{figures['Requests/sec']} requests/s, p50 {figures['50%']}, p99 {figures['99%']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="for each call")
    seconds = parser.parse_args().seconds
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed (apt-get install wrk): nothing was measured")
    print(f"load average at the start: {load_average()}", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        home = folder / "home"
        settings = Settings(home=home, port=free_port(), ward=without_limits(home))
        with network(settings) as running:
            key = tomllib.loads((home / "keys.toml").read_text())[AGENCY]
            head = asyncio.run(fill(settings.port, key))
            print(f"wrk, 32 connections, {seconds} s each; {head} events in the inbox", flush=True)
            for title, method, path, with_body in _CALLS:
                body = sample(REFERRALS, "outside") if with_body else b""
                url = running.url + path.format(head=head)
                print(f"{title}: {by_wrk(folder, url, method, key, body, seconds)}", flush=True)
                time.sleep(1)


if __name__ == "__main__":
    main()
