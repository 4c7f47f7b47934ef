"""Work for a question that takes longer than whoever asks waits: begun once, told when it is done."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Done = TypeVar("Done")


class Errand(Generic[Done]):
    """``work`` in a thread that does not keep the process from ending."""

    def __init__(self, work: Callable[[], Done]) -> None:
        self._work = work
        self._ended = threading.Event()
        self._result: Done | None = None
        self._fault: Exception | None = None
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def running(self) -> bool:
        return not self._ended.is_set()

    def wait(self, seconds: float) -> None:
        """Until it has ended, but no longer."""
        self._ended.wait(seconds)

    def result(self, wait: float = 0.0) -> Done | None:
        """None while it runs still, after ``wait`` seconds. Raises what the work raised."""
        self.wait(wait)
        if self._fault is not None:
            raise self._fault
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._work()
        except Exception as fault:
            self._fault = fault
        finally:
            self._ended.set()
