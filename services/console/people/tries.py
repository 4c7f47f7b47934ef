"""How often one address may be wrong (試行の上限): against whoever tries many logins with one password.
In memory: a restart gives such a one another chance, and locks nobody out."""

import ipaddress
from collections import OrderedDict, deque

from runtime.clock import Clock

WINDOW = 600.0  # seconds
MOST_OF_ONE = 50  # wrong ones of an address: a ward office may be one address to us
MOST_OF_ALL = 1000
_MOST_ADDRESSES = 10_000

Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


class Tries:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._of: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque()

    def wait(self, address: str) -> float:
        """Seconds for which nothing more of this address is looked at; 0: it is."""
        now = self._clock.ticks()
        of_one, of_all = self._of.get(address, deque()), self._all
        waits = [
            found[0] + WINDOW - now
            for found, most in ((of_one, MOST_OF_ONE), (of_all, MOST_OF_ALL))
            if len(_lately(found, now)) >= most
        ]
        return max(waits, default=0.0)

    def wrong(self, address: str) -> None:
        now = self._clock.ticks()
        found = self._of.setdefault(address, deque())
        self._of.move_to_end(address)
        for kept in (found, self._all):
            _lately(kept, now).append(now)
        while len(self._of) > _MOST_ADDRESSES:
            self._of.popitem(last=False)


def _lately(moments: deque[float], now: float) -> deque[float]:
    while moments and moments[0] + WINDOW <= now:
        moments.popleft()
    return moments


def proxies_of(text: str) -> Networks:
    """``trusted_proxies`` of the settings."""
    return tuple(ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip())


def address_of(peer: str, forwarded: str, proxies: Networks) -> str:
    """From where a request comes: what a proxy that is trusted says, else whoever is connected. Of IPv6
    the network, for a house has as many addresses as it likes."""
    found = _address(peer)
    for said in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
        if found is None or not any(found in network for network in proxies):
            break
        found = _address(said) or found
    if found is None:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
