"""How often one address may be wrong (試行の上限): against whoever tries many logins with one password.
In memory: a restart gives such a one another chance, and locks nobody out."""

import ipaddress
from collections import OrderedDict, deque

from runtime.clock import Clock

WINDOW = 600.0  # seconds
MOST_OF_ONE = 50  # wrong ones of an address: a ward office may be one address to us
MOST_OF_OFFICE = 200  # of all networks that one customer of a provider may have (IPv6)
MOST_OF_ALL = 1000
_MOST_ADDRESSES = 10_000
# Of IPv6 a house is given up to a /56, an office up to a /48 (RFC 6177).
_HOUSE, _OFFICE = 56, 48

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


class Tries:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._of: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque()

    def wait(self, address: str, known: str | None = None) -> float:
        """Seconds for which nothing more of this address is looked at; 0: it is. ``known``: somebody
        signed in with this browser lately, who that was being nobody's business here. What all the
        others do wrong does not keep such a one out, as long as it is not wrong too often itself."""
        now = self._clock.ticks()
        limits = [(self._of.get(one, deque()), most) for one, most in _counted(address)]
        of_known = self._of.get(_mark(known), deque()) if known is not None else None
        if of_known is None or len(_lately(of_known, now)) >= MOST_OF_ONE:
            limits.append((self._all, MOST_OF_ALL))
        waits = [
            found[0] + WINDOW - now for found, most in limits if len(_lately(found, now)) >= most
        ]
        return max(waits, default=0.0)

    def wrong(self, address: str, known: str | None = None) -> None:
        now = self._clock.ticks()
        names = [one for one, _ in _counted(address)]
        for name in [*names, _mark(known)] if known is not None else names:
            _lately(self._of.setdefault(name, deque()), now).append(now)
            self._of.move_to_end(name)
        _lately(self._all, now).append(now)
        while len(self._of) > _MOST_ADDRESSES:
            self._of.popitem(last=False)


def _counted(address: str) -> list[tuple[str, int]]:
    """As what an address is counted, and how often each may be wrong."""
    counted = [(address, MOST_OF_ONE)]
    if ":" in address:
        network = ipaddress.IPv6Network(address)
        counted.append((str(network.supernet(new_prefix=_OFFICE)), MOST_OF_OFFICE))
    return counted


def _mark(known: str) -> str:
    return f"known {known}"


def _lately(moments: deque[float], now: float) -> deque[float]:
    while moments and moments[0] + WINDOW <= now:
        moments.popleft()
    return moments


def proxies_of(text: str) -> Networks:
    """``trusted_proxies`` of the settings."""
    return tuple(ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip())


def address_of(peer: str, forwarded: str, proxies: Networks) -> str:
    """From where a request comes: what a proxy that is trusted says, else whoever is connected. Of IPv6
    the network (/56), for a house has as many addresses as it likes."""
    found = _address(peer)
    for said in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
        if found is None or not any(found in network for network in proxies):
            break
        found = _address(said) or found
    if found is None:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(found), _HOUSE), strict=False))
    return str(found)


def _address(text: str) -> Address | None:
    """A socket for both kinds of addresses writes one of IPv4 as ``::ffff:203.0.113.9`` (RFC 4291)."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
