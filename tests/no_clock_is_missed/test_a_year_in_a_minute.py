"""Two hundred years of a ward, each with its nights, holidays, silences and failures, and at every step
every promise is looked at. ``make simulate`` runs more of them."""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from schemas import commands as c
from schemas import events as e
from schemas.codes import Disposition, EscalationState
from schemas.problems import Refusal
from schemas.referral import Referral
from services.referral.deciding import Context, Decision
from services.referral.lifecycle import decide
from tests.simulation.decider import Decide
from tests.simulation.figures import Figures
from tests.simulation.many import pool, years
from tests.simulation.scenario import scenario
from tests.simulation.shrinking import Shrunk, shrunk
from tests.simulation.world import World

SEEDS, IN_A_ROW = 200, 20
ROWS = range(0, SEEDS, IN_A_ROW)


Years = dict[int, Future[tuple[Figures, str]]]


@pytest.fixture(scope="module")
def rows() -> Iterator[Years]:
    """What happens in twenty years from each seed on, and how a promise was broken, if one was."""
    with pool() as workers:
        yield {first: workers.submit(years, first, IN_A_ROW) for first in ROWS}
        workers.shutdown(cancel_futures=True)


@pytest.mark.slow
@pytest.mark.parametrize("first", ROWS)
def test_every_promise_holds_at_every_step_of_twenty_years(first: int, rows: Years) -> None:
    broken = rows[first].result()[1]
    if broken:
        pytest.fail(broken, pytrace=False)


@pytest.mark.slow
def test_everything_that_can_happen_does_happen_in_these_years(rows: Years) -> None:
    figures = Figures()
    for first in ROWS:
        figures.add(rows[first].result()[0])
    assert figures.seeds == SEEDS
    assert set(figures.codes) == {f"E{n:02}" for n in range(1, 14)}
    assert set(figures.levels) >= {1, 2, 3}
    assert set(figures.dispositions) == set(Disposition)
    assert set(figures.types) == {each.model_fields["type"].default for each in e.EVENT_TYPES}
    assert set(figures.desks) == {
        "core-desk", "core-on-call", "ward-night", "hospital", "abuse-centre",
    }  # fmt: skip
    assert set(figures.refusals) >= {
        "invalid_request", "not_involved", "unknown_agency", "already_answered", "not_offered",
        "not_custodian", "already_closed", "awaiting_ruling", "not_awaiting_ruling",
        "escalation_open",
    }  # fmt: skip
    assert figures.repeated
    assert figures.struck
    assert figures.restarts


def test_a_seed_is_the_same_year_every_time() -> None:
    first, second = (World(scenario(7, referrals=12)).run() for _ in range(2))
    assert first.story == second.story
    assert first.figures == second.figures


def test_a_referral_that_does_not_come_leaves_the_others_as_they_were() -> None:
    """But for the rulings that it would have left behind, which others in its block follow."""
    year = scenario(11, referrals=12)
    settled = {
        name
        for name, step in World(year).run().story
        if isinstance(step.command.action, c.SubmitReferral)
        and (step.command.action.finding is None or step.command.action.finding.district)
    }
    gone = next(a for a in year.arrivals)
    fewer = year.of(arrivals=tuple(a for a in year.arrivals if a is not gone))

    def told(world: World) -> list[tuple[str, c.Command]]:
        return [
            (name, step.command)
            for name, step in world.story
            if name in settled - {gone.name}
            # A number says how many came before.
            and not isinstance(getattr(step.command.action, "referral", None), str)
        ]

    assert told(World(year).run()) == told(World(fewer).run())


# -- it can fail ------------------------------------------------------------------------------------


def first_broken(broken_core: Decide, seeds: int = 10) -> Shrunk:
    """The first year that shows what is wrong with a core, made short."""
    for seed in range(seeds):
        world = World(scenario(seed, referrals=24), broken_core).run()
        if world.failed is not None:
            return shrunk(world)
    raise AssertionError("nothing was found")


def silent(state: Referral | None, command: c.Command, context: Context) -> Decision:
    """Whoever stays silent is forgotten."""
    decision = decide(state, command, context)
    if isinstance(decision, list) and any(isinstance(x, e.HandoffExpired) for x in decision):
        return [x for x in decision if not isinstance(x, e.EscalationRaised)]
    return decision


def endless(state: Referral | None, command: c.Command, context: Context) -> Decision:
    """What was acknowledged is no longer watched."""
    decision = decide(state, command, context)
    if isinstance(decision, Refusal):
        return decision
    return [
        x.model_copy(update={"due": None}) if isinstance(x, e.EscalationAcknowledged) else x
        for x in decision
    ]


def gives_up(state: Referral | None, command: c.Command, context: Context) -> Decision:
    """A call that nobody hears is not passed on."""
    action = command.action
    if isinstance(action, c.StrikeClock) and state is not None:
        escalation = state.escalation(action.subject)
        if escalation is not None and escalation.state is EscalationState.RAISED:
            return []
    return decide(state, command, context)


def raises(state: Referral | None, command: c.Command, context: Context) -> Decision:
    if isinstance(command.action, c.CompleteHandoff):
        raise LookupError("no such hand-off")
    return decide(state, command, context)


@pytest.mark.parametrize(
    ("broken_core", "promise"),
    [
        (silent, "silence leaves another clock running"),
        (endless, "an open call has a live clock"),
        (gives_up, "a missed clock is on record, and no other"),
        (raises, "deciding never raises"),
    ],
)
def test_a_broken_core_is_caught_and_its_year_told_short(broken_core: Decide, promise: str) -> None:
    found = first_broken(broken_core)
    assert found.world.failed is not None
    assert found.world.failed.promise == promise
    assert len(found.world.scenario.arrivals) == 1
    lines = str(found).splitlines()
    assert f"make simulate SEED={found.world.scenario.seed}" in lines[-1]
    assert len(found.world.story) <= 30, str(found)
