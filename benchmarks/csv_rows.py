"""`python -m benchmarks.csv_rows`: 10,000 rows of a spreadsheet, one of them wrong, on a network of its
own with the ward's own limits: how long all-or-nothing takes to say no, and how long the rest takes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.network import RunningNetwork, running_network
from tests.through_their_own_systems.csv_sheets import cells, report_of, table, written

AGENCY = "anshin-otsuka"


def timed(network: RunningNetwork, *arguments: object) -> tuple[float, str]:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "csv", *map(str, arguments), "--agency", AGENCY],
        env={**os.environ, **network.settings.environment()}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    took = time.perf_counter() - began
    return took, (done.stdout + done.stderr).splitlines()[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    rows = parser.parse_args().rows
    broken = rows * 2 // 3
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        sheet = [cells(f"bench-{n:05}") for n in range(rows)]
        sheet[broken] = cells(f"bench-{broken:05}", address="新宿区西新宿二丁目8番1号")
        file = written(home / "in.csv", *sheet)
        print(f"{rows} rows, {file.stat().st_size / 1e6:.1f} MB in CP932", flush=True)
        with running_network(home / "network") as network:
            took, told = timed(network, "post", file)
            (wrong,) = [r for r in report_of(file) if r["status"] == "refused"]
            held = network.rows("referral", "SELECT count(*) FROM referrals")[0][0]
            print(f"all or nothing: {took:.1f} s; {told}; line {wrong['line']}: {wrong['errors']}")
            print(f"  referrals that came of it: {held}", flush=True)
            took, told = timed(network, "post", file, "--partial")
            print(f"partial: {took:.1f} s, {(rows - 1) / took:.0f} rows/s; {told}", flush=True)
            took, told = timed(network, "post", file, "--partial", "--resume")
            print(f"again with --resume: {took:.1f} s; {told}", flush=True)
            took, told = timed(network, "get", "--out", home / "out.csv")
            print(f"get: {took:.1f} s; {told}", flush=True)
            took, told = timed(
                network, "get", "--out", home / "932.csv", "--with-persons", "--encoding", "cp932"
            )
            print(f"get --with-persons, CP932: {took:.1f} s; {told}", flush=True)
            states = network.rows("referral", "SELECT state FROM referrals")
            count = Counter(json.loads(state)["sender_reference"] for (state,) in states)
            assert len(count) == rows - 1, "not every row became a referral"
            assert set(count.values()) == {1}, "a row became more than one"
            assert len(table(home / "out.csv")) == rows - 1


if __name__ == "__main__":
    main()
