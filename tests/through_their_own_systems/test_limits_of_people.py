"""An agency's own system and its people at the console stand in nobody's way, not even in each other's."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator

import nats
import pytest

from schemas import queries as q
from schemas import subjects
from tests.builders import BUNKYO, CORE, HUB
from tests.network import RunningNetwork, running_network
from tests.wards import a_ward_file

FEW = 5
SUBJECT = subjects.query(BUNKYO.code, "intake", "call")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    home = tmp_path_factory.mktemp("network")
    few = a_ward_file(home, f"requests_per_second = 1\nburst = {FEW}\nat_once = 2")
    with running_network(home, ward=few) as running:
        yield running


def by_its_people(network: RunningNetwork, agency: str, times: int) -> Counter[int]:
    """The statuses of so many calls, all at once."""
    asked = q.CallCounter(agency=agency, call="read_directory").to_json()

    async def ask() -> list[int]:
        client = await nats.connect(**network.nats())
        try:
            replies = await asyncio.gather(
                *(client.request(SUBJECT, asked, timeout=20) for _ in range(times))
            )
            return [q.CounterSaid.from_json(reply.data).status for reply in replies]
        finally:
            await client.close()

    return Counter(asyncio.run(ask()))


def by_its_system(network: RunningNetwork, agency: str, times: int) -> Counter[int]:
    return Counter(network.partner(agency).get("/v1/directory").status for _ in range(times))


Asking = Callable[[RunningNetwork, str, int], Counter[int]]


@pytest.mark.parametrize(
    ("agency", "flooding", "other"),
    [(HUB, by_its_system, by_its_people), (CORE, by_its_people, by_its_system)],
)
def test_when_one_of_them_floods_the_other_is_let_in(
    network: RunningNetwork, agency: str, flooding: Asking, other: Asking
) -> None:
    flooded = flooding(network, agency, 4 * FEW)
    assert flooded[429] > 0
    assert set(flooded) == {200, 429}
    assert other(network, agency, 1) == {200: 1}
