"""`make bench`: the figures side by side, in one run. Ratios count; the machine is what it is."""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks import bare, journeys, peer
from benchmarks.load import percentiles
from runtime.database import open_database, reading
from services.audit import ledger
from services.audit.replay import fold_ward
from services.audit.verify_sqlite import verify_file


def replayed_and_verified(home: Path) -> tuple[float, float, int]:
    """Ledger entries/s folded, entries/s verified, and how many there were."""
    engine = open_database(f"sqlite:///{home / 'data' / 'audit.db'}")
    with reading(engine) as connection:
        bodies = list(ledger.bodies(connection))
        began = time.perf_counter()
        states = fold_ward(ledger.bodies(connection))
        folded = len(bodies) / (time.perf_counter() - began)
    engine.dispose()
    assert states
    vkey = (home / "keys" / "ledger.vkey").read_text().strip()
    began = time.perf_counter()
    report = verify_file(home / "data" / "audit.db", vkey)
    verified = report.entries / (time.perf_counter() - began)
    assert report.kind is None, report
    return folded, verified, report.entries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of load, each time")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    figures: dict[str, list[float]] = {name: [] for name in ("C", "J", "E", "R", "P", "V")}
    for number in range(1, options.rounds + 1):
        # A folder for each round: nothing is measured on what another round left.
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            home = Path(folder)
            body = bare.sample(1, "partner 1")
            c, _ = asyncio.run(bare.measure(home / "bare", body, options.seconds))
            measured = asyncio.run(journeys.measure(home / "network", options.seconds))
            e, p = peer.measure(home / "peer", options.seconds / 2)
            r, v, entries = replayed_and_verified(home / "network")
        for name, value in zip("CJERPV", (c, measured.per_second, e, r, p, v), strict=True):
            figures[name].append(value)
        print(
            f"round {number}: C {c:,.0f} POST/s  J {measured.per_second:,.0f} journeys/s  "
            f"E {e:,.0f} journeys/s  R {r:,.0f} (peer {p:,.0f}) entries/s  V {v:,.0f} entries/s\n"
            f"  {measured.journeys} journeys ({measured.late} answers 202), "
            f"{entries} entries in the ledger; ms p50/p95/p99: "
            f"POST {percentiles(measured.posts)}, accept {percentiles(measured.accepts)}, "
            f"accept → ledgered {percentiles(measured.to_ledger)}\n  CPU ms a journey: "
            + ", ".join(
                f"{name} {1000 * spent / measured.journeys:.2f}"
                for name, spent in measured.cpu.items()
            ),
            flush=True,
        )
    middle = {name: statistics.median(values) for name, values in figures.items()}

    def ratio(top: str, bottom: str) -> str:
        pairs = [a / b for a, b in zip(figures[top], figures[bottom], strict=True)]
        return f"{statistics.median(pairs):.2f} ({min(pairs):.2f}-{max(pairs):.2f})"

    print("\nmedian of the rounds (and the range), goal")
    print(f"  J/C  {ratio('J', 'C')}   >= 0.15")
    print(f"  J/E  {ratio('J', 'E')}   >= 0.7")
    print(f"  R/its replay  {ratio('R', 'P')}   >= 2")
    print(f"  V  {middle['V']:,.0f} entries/s   >= 100,000")


if __name__ == "__main__":
    main()
