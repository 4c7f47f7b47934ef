"""A year that fails, made short: fewer referrals, fewer disturbances, fewer words, and the same promise
still breaks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tests.simulation.decider import Decide
from tests.simulation.scenario import Scenario, Unsaid
from tests.simulation.telling import told
from tests.simulation.world import World

T = TypeVar("T")
_AT_MOST = 300
"""Years tried. What is left then is told, however long."""


@dataclass
class Shrunk:
    """``world``: the shortest year found, as it failed."""

    world: World
    tries: int

    def __str__(self) -> str:
        scenario, failed = self.world.scenario, self.world.failed
        assert failed is not None
        return "\n".join(
            (
                f"seed {scenario.seed}: {failed.promise}",
                *([f"  {failed.detail}"] if failed.detail else []),
                f"shrunk in {self.tries} tries to {len(scenario.arrivals)} of the year's referrals "
                f"({', '.join(a.name for a in scenario.arrivals)}) "
                f"and {len(scenario.disturbances)} disturbances:",
                *told(self.world),
                f"again: make simulate SEED={scenario.seed}",
            )
        )


def shrunk(failing: World) -> Shrunk:
    """The same promise broken by as little as can be found."""
    return _Shrinking(failing).shrink()


class _Shrinking:
    def __init__(self, failing: World) -> None:
        assert failing.failed is not None
        self._decide: Decide = failing.decide
        self._promise = failing.failed.promise
        self._best = failing
        self._tries = 0

    def shrink(self) -> Shrunk:
        scenario, failed = self._best.scenario, self._best.failed
        assert failed is not None
        # Mostly it is one referral's own affair.
        alone = [a for a in scenario.arrivals if a.name == failed.name]
        if alone and not self._fails(scenario.of(arrivals=tuple(alone))):
            self._ddmin(scenario.arrivals, lambda kept: self._best.scenario.of(arrivals=kept))
        self._quiet()
        self._ddmin(
            self._best.scenario.disturbances,
            lambda kept: self._best.scenario.of(disturbances=kept),
        )
        self._unsay()
        return Shrunk(self._best, self._tries)

    def _fails(self, scenario: Scenario) -> bool:
        self._tries += 1
        world = World(scenario, self._decide, at_most=len(self._best.story)).run()
        fails = world.failed is not None and world.failed.promise == self._promise
        if fails:
            self._best = world
        return fails

    def _quiet(self) -> None:
        """Nothing disturbs who does not come."""
        names = {a.name for a in self._best.scenario.arrivals}
        kept = tuple(
            d for d in self._best.scenario.disturbances if getattr(d, "name", None) in names
        )
        if not self._fails(self._best.scenario.of(disturbances=())):
            outages = tuple(d for d in self._best.scenario.disturbances if not hasattr(d, "name"))
            self._fails(self._best.scenario.of(disturbances=(*outages, *kept)))

    def _unsay(self) -> None:
        """Leave out what was said, for as long as something can be: large pieces first."""
        while self._tries < _AT_MOST:
            before = self._best.scenario.unsaid
            size = max(1, len(self._said()) // 2)
            while size:
                self._unsay_pieces(size)
                size //= 2
            if self._best.scenario.unsaid == before:
                return

    def _unsay_pieces(self, size: int) -> None:
        end = len(self._said())
        while end > 0 and self._tries < _AT_MOST:
            piece = self._said()[max(0, end - size) : end]
            if piece:
                unsaid = self._best.scenario.unsaid | set(piece)
                self._fails(self._best.scenario.of(unsaid=unsaid))
            end -= size

    def _said(self) -> list[Unsaid]:
        """What is still said, but for the submission itself."""
        unsaid = self._best.scenario.unsaid
        return [s for s in self._best.said() if s not in unsaid and "submit" not in s[1]]

    def _ddmin(self, parts: Sequence[T], scenario: Callable[[tuple[T, ...]], Scenario]) -> None:
        """Zeller's ddmin: leave out ever smaller pieces while it still fails."""
        kept, pieces = tuple(parts), 2
        while kept and self._tries < _AT_MOST:
            size = -(-len(kept) // pieces)
            for start in range(0, len(kept), size):
                rest = (*kept[:start], *kept[start + size :])
                if self._tries < _AT_MOST and self._fails(scenario(rest)):
                    kept, pieces = rest, max(pieces - 1, 2)
                    break
            else:
                if size == 1:
                    return
                pieces = min(pieces * 2, len(kept))
