"""How many of a kind each agency has going on, so that none takes all there is."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class AtOnce:
    def __init__(self, most: int) -> None:
        self._most = most
        self._going_on: Counter[str] = Counter()

    def begin(self, agency: str) -> bool:
        """Whether the agency may have one more. Whoever begins ends."""
        if self._going_on[agency] >= self._most:
            return False
        self._going_on[agency] += 1
        return True

    def end(self, agency: str) -> None:
        self._going_on[agency] -= 1

    @contextmanager
    def one_more(self, agency: str) -> Iterator[bool]:
        allowed = self.begin(agency)
        try:
            yield allowed
        finally:
            if allowed:
                self.end(agency)
