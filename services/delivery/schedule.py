"""When what failed is tried again (再送の間隔). Pure."""

import hashlib
from datetime import timedelta

from wards.delivery import Delivery

SOON = timedelta(seconds=5)
"""Until whoever is not connected is looked for again."""
_SPREAD = 0.1  # of a step, so that what failed together does not come back in one moment
_LONGEST_PAUSE = timedelta(hours=1)  # what a receiver may ask for


def wait_after(delivery: Delivery, agency: str, number: int, attempts: int) -> timedelta:
    """How long to wait after the ``attempts``-th failure: the ward's step, and up to a tenth more. How
    much more follows from the event and the try, so that it can be worked out again."""
    steps = delivery.retry_after_seconds
    step = steps[min(attempts, len(steps)) - 1]
    drawn = hashlib.sha256(f"{agency} {number} {attempts}".encode()).digest()[0] / 256
    return timedelta(seconds=step * (1 + _SPREAD * drawn))


def longest_step(delivery: Delivery) -> timedelta:
    """No row is put off for longer."""
    step = timedelta(seconds=max(delivery.retry_after_seconds) * (1 + _SPREAD))
    return max(step, _LONGEST_PAUSE, SOON)
