"""Whose turn it is (順番): reading and checking FHIR takes milliseconds of a processor, so it is done in
one thread, an agency's work one after the other. So the thread holds at most one piece of work of each
agency, and nobody waits behind all the documents of another.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from schemas.problems import Refusal
from services.intake.desk import UNAVAILABLE

Made = TypeVar("Made")

MOST_WAITING = 4
"""Documents of one agency that wait to be read; more are told to come again."""


class Turns:
    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fhir")
        self._turn: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: Counter[str] = Counter()

    async def read(self, agency: str, work: Callable[[], Made]) -> Made | Refusal:
        """What came, read in the agency's turn, or refused: nothing has happened yet."""
        if self._waiting[agency] >= MOST_WAITING:
            return UNAVAILABLE
        self._waiting[agency] += 1
        try:
            return await self.take(agency, work)
        finally:
            self._waiting[agency] -= 1

    async def take(self, agency: str, work: Callable[[], Made]) -> Made:
        """Work in the agency's turn. Never refused: it may be the answer to what is decided already."""
        async with self._turn[agency]:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
