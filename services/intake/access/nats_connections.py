"""Which connections the agencies have (NATS の接続), as nats-server lists them, and which of them have to
end: whoever sends far more than its agency may, and whoever was let in long ago. How many one agency has
is seen to when another one wants in.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from wards.delivery import Limits

MOST = 16
"""Connections of one agency at the same time."""
LONGEST = 12 * 3600
"""Seconds after which nats-server itself ends a connection: also while intake is away."""
RENEWED = LONGEST - 3600
"""Seconds after which we end it: so, not as told of a right that has run out, every client library
connects anew by itself."""
_FLOOD = 50
"""Times the ward's requests a second, over a look."""
_PIECE = 16_384
"""A message counts once for each so many bytes."""
_KEPT_OUT = 60.0
"""Seconds for which the credential of a flood opens nothing."""
_ARRIVING = 5.0
"""Seconds within which somebody who was let in need not be listed yet."""


@dataclass(frozen=True, slots=True)
class Listed:
    """``number``: of the connection, on its server. ``sent``: requests, large ones as several."""

    number: int
    agency: str
    credential: str
    seconds: float
    sent: float


def pieces(messages: int, size: int) -> float:
    return messages + size / _PIECE


@dataclass(slots=True)
class _Connection:
    agency: str
    seen: float
    sent: float | None = None
    """None: no server has listed it yet."""


class Connections:
    """Moments are those of one clock that nobody sets."""

    def __init__(self, limits: Limits) -> None:
        self._flood = _FLOOD * limits.requests_per_second
        self._there: dict[tuple[str, int], _Connection] = {}
        self._kept_out: dict[str, float] = {}

    def has_room(self, agency: str, credential: str, now: float) -> bool:
        """Whether this agency may have one more, by this credential."""
        if now < self._kept_out.get(credential, now):
            return False
        return sum(known.agency == agency for known in self._there.values()) < MOST

    def let_in(self, server: str, number: int, agency: str, now: float) -> None:
        """Before the server lists it."""
        self._there[server, number] = _Connection(agency, now)

    def left(self, server: str, number: int) -> None:
        """It has ended."""
        self._there.pop((server, number), None)

    def listed(self, server: str, listed: Iterable[Listed], now: float) -> list[tuple[Listed, str]]:
        """All that a server has: those which have to end, and why."""
        ending: list[tuple[Listed, str]] = []
        there = {key: known for key, known in self._there.items() if key[0] != server}
        for key, known in self._there.items():
            if key[0] == server and known.sent is None and now - known.seen < _ARRIVING:
                there[key] = known
        for one in listed:
            before = self._there.get((server, one.number))
            there[server, one.number] = _Connection(one.agency, now, one.sent)
            if one.seconds > RENEWED:
                ending.append((one, "renewed"))
            elif before is not None and self._floods(one, before, now):
                self._kept_out[one.credential] = now + _KEPT_OUT
                ending.append((one, "flood"))
        self._there = there
        return ending

    def _floods(self, one: Listed, before: _Connection, now: float) -> bool:
        sent = one.sent - (before.sent or 0)
        # Two looks may be close to one another; a burst between them is no flood.
        return sent > self._flood * max(now - before.seen, 1.0)
