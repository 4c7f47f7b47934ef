"""An agency's FHIR is read in turn: nobody waits behind another's documents, and what is decided is told."""

import asyncio
import threading
from collections.abc import Callable

from schemas.problems import ProblemCode, Refusal
from services.intake.fhir.turns import MOST_WAITING, Turns

NOISY, QUIET = "sample-hospital", "anshin-motofuji"


class Desk:
    """Pieces of work that stand still until they are let go, and the order in which they ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.let_go = threading.Event()

    def work(self, name: str) -> Callable[[], str]:
        def run() -> str:
            assert self.let_go.wait(10)
            self.ran.append(name)
            return name

        return run


def test_a_small_document_waits_for_one_of_another_agencys_and_not_for_all() -> None:
    async def story() -> list[str]:
        turns, desk = Turns(), Desk()
        flood = [
            asyncio.create_task(turns.read(NOISY, desk.work("large"))) for _ in range(MOST_WAITING)
        ]
        await asyncio.sleep(0)
        small = asyncio.create_task(turns.read(QUIET, desk.work("small")))
        await asyncio.sleep(0)
        desk.let_go.set()
        assert await small == "small"
        assert await asyncio.gather(*flood) == ["large"] * MOST_WAITING
        return desk.ran

    assert asyncio.run(story()) == ["large", "small", *["large"] * (MOST_WAITING - 1)]


def test_one_agencys_many_documents_close_the_window_to_nobody_else() -> None:
    async def story() -> None:
        turns, desk = Turns(), Desk()
        flood = [
            asyncio.create_task(turns.read(NOISY, desk.work("large"))) for _ in range(MOST_WAITING)
        ]
        await asyncio.sleep(0)
        more = await turns.read(NOISY, desk.work("one more"))
        assert isinstance(more, Refusal)
        assert more.code is ProblemCode.UNAVAILABLE
        small = asyncio.create_task(turns.read(QUIET, desk.work("small")))
        desk.let_go.set()
        assert await small == "small"
        await asyncio.gather(*flood)
        assert await turns.read(NOISY, desk.work("later")) == "later"
        assert "one more" not in desk.ran

    asyncio.run(story())


def test_what_is_decided_is_told_however_many_wait() -> None:
    async def story() -> None:
        turns, desk = Turns(), Desk()
        flood = [
            asyncio.create_task(turns.read(NOISY, desk.work("large"))) for _ in range(MOST_WAITING)
        ]
        await asyncio.sleep(0)
        answers = [asyncio.create_task(turns.take(NOISY, desk.work("answer"))) for _ in range(20)]
        desk.let_go.set()
        assert await asyncio.gather(*answers) == ["answer"] * 20
        await asyncio.gather(*flood)

    asyncio.run(story())
