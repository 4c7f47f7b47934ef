"""Many years at once: each row of seeds in a process of its own."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.figures import Figures
from tests.simulation.scenario import REFERRALS, scenario
from tests.simulation.shrinking import shrunk
from tests.simulation.world import World


def years(first: int, count: int, referrals: int = REFERRALS) -> tuple[Figures, str]:
    """What happened in the years from seed ``first`` on; and, where a promise broke, the story."""
    figures = Figures()
    for seed in range(first, first + count):
        world = World(scenario(seed, referrals)).run()
        if world.failed is not None:
            return figures, str(shrunk(world))
        figures.add(world.figures)
    return figures, ""


def pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn"))
