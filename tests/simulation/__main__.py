"""Many years, with figures; or one seed, with its story where it fails.

python -m tests.simulation --seeds 2000
python -m tests.simulation --seed 17
"""

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import as_completed

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tests.simulation.figures import Figures
from tests.simulation.many import pool, years
from tests.simulation.scenario import REFERRALS

_IN_A_ROW = 5


def simulate(seeds: range, referrals: int, console: Console) -> int:
    """The exit code: 1 where a promise broke."""
    figures, began = Figures(), time.monotonic()
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress, pool() as workers:
        task = progress.add_task("years", total=len(seeds))
        rows = [range(n, min(n + _IN_A_ROW, seeds.stop)) for n in seeds[::_IN_A_ROW]]
        running = {workers.submit(years, row.start, len(row), referrals): row for row in rows}
        for done in as_completed(running):
            more, story = done.result()
            if story:
                progress.stop()
                workers.shutdown(wait=False, cancel_futures=True)
                console.print(story, markup=False, highlight=False, soft_wrap=True)
                return 1
            figures.add(more)
            progress.advance(task, len(running[done]))
    _print(figures, time.monotonic() - began, console)
    return 0


def _print(figures: Figures, seconds: float, console: Console) -> None:
    table = Table(show_header=False, box=None)
    for name, value in vars(figures).items():
        if isinstance(value, Counter):
            pairs = sorted(value.items(), key=lambda pair: str(pair[0]))
            table.add_row(name, "  ".join(f"{each} {count:,}" for each, count in pairs))
        else:
            table.add_row(name, f"{value:,}")
    table.add_row("seconds", f"{seconds:.1f}")
    table.add_row("virtual years per minute", f"{figures.seeds / seconds * 60:,.0f}")
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--referrals", type=int, default=REFERRALS, help="in a year")
    arguments = parser.parse_args()
    one = arguments.seed
    seeds = range(arguments.seeds) if one is None else range(one, one + 1)
    return simulate(seeds, arguments.referrals, Console())


if __name__ == "__main__":
    sys.exit(main())
