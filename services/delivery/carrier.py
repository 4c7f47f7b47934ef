"""How an event is carried to an agency's own system (配送): one carrier for each way of the ward file.

A carrier tries once and tells what became of it. When it is tried again, in which order, and when it is
given up is the dispatcher's (``services.delivery.dispatcher``).
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from schemas.base import JsonObject
from schemas.deliveries import Undelivered


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has answered that it has the event."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The receiver does not have it, or nobody knows. ``status``: of an HTTP answer. ``soon``: look
    again every few seconds, without a step of the schedule being used (a client that is not
    connected). ``not_before``: the receiver asked for so much time. ``for_good``: it wants no more
    events, so trying again is no use."""

    reason: Undelivered
    status: int | None = None
    soon: bool = False
    not_before: timedelta | None = None
    for_good: bool = False


Outcome = Delivered | Failed


def told_status(status: int) -> int | None:
    """As it goes on record; none for one that HTTP does not know (RFC 9110, 15)."""
    return status if 100 <= status <= 599 else None


class Carrier(Protocol):
    async def carry(self, agency: str, event: JsonObject) -> Outcome:
        """Try once to bring the CloudEvent ``event``, which bears the agency's own number of it
        (``agencynumber``), to the agency. Takes ten seconds at most; raises nothing but a
        cancellation. Called for several events of an agency at once, never for two of one referral.
        """

    async def close(self) -> None:
        """Let go of connections; nothing is carried after it."""
