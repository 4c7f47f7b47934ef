"""Which addresses a webhook may go to (宛先の確認), so that nobody makes the network knock at its own doors
(OWASP: server-side request forgery).

The name is looked up here, every address that it has is checked, and the connection goes to an address
that was checked: a name server that answers otherwise a moment later changes nothing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

from wards.delivery import LOOPBACK

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup = Callable[[str, int], list[str]]
"""All addresses of a name, in the order in which they should be tried; raises OSError."""

_GLOBAL_UNICAST = ipaddress.IPv6Network(
    "2000::/3"
)  # RFC 4291: whatever else is global is not a host
# What looks global and leads to an IPv4 address of anybody's choice, or nowhere: Teredo and the other
# special ones (RFC 2928), 6to4 (RFC 3056), documentation (RFC 9637).
_NOT_HOSTS = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2002::/16", "3fff::/20")))
_TRANSLATED = ipaddress.IPv6Network(
    "64:ff9b::/96"
)  # RFC 6052: the IPv4 address is in the last 32 bits
# RFC 7526: 6to4 relays, no longer anybody's; RFC 6890: special ones, of which older Pythons think
# some global.
_NOT_HOSTS_4 = tuple(map(ipaddress.IPv4Network, ("192.88.99.0/24", "192.0.0.0/24")))


class ForbiddenAddress(Exception):
    """A name leads to an address at which no agency's system can be."""


def is_public(address: Address) -> bool:
    """Whether anybody on the internet could reach it, by whichever form it is written."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _TRANSLATED:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
        # An ISATAP address (RFC 5214) has an IPv4 one in its last half.
        isatap = int(address) >> 32 & 0xFCFF_FFFF == 0x0000_5EFE
        if isatap or address not in _GLOBAL_UNICAST or any(address in net for net in _NOT_HOSTS):
            return False
    elif any(address in net for net in _NOT_HOSTS_4):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def may_be_reached(host: str, address: Address, private_hosts: Collection[str]) -> bool:
    """Loopback only where the ward file's own URL says so; other private addresses only of hosts that
    the ward file names. Link-local ones (a cloud's metadata), multicast and 0.0.0.0 never."""
    if host in LOOPBACK:
        return address.is_loopback
    if is_public(address):
        return True
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    never = (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address.is_reserved
    )
    return host in private_hosts and address.is_private and not never


def system_lookup(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


class Destinations:
    """Names looked up and checked. Each agency has a thread of its own for it, and no more than one
    question at a time: a name server that hangs holds up nobody else."""

    def __init__(
        self, agencies: int, private_hosts: Collection[str], lookup: Lookup = system_lookup
    ) -> None:
        self._private_hosts = frozenset(_plain(name) for name in private_hosts)
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(max(agencies, 1), thread_name_prefix="names")
        self._asked: dict[str, asyncio.Future[list[str]]] = {}

    async def addresses(self, agency: str, host: str, port: int) -> list[str]:
        """Raises ForbiddenAddress if a single one of them is; OSError where there is none."""
        asked = self._asked.get(agency)
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = loop.run_in_executor(self._threads, self._lookup, host, port)
            self._asked[agency] = asked
            asked.add_done_callback(lambda _: self._asked.pop(agency, None))
            # Whoever waited may have gone away, and then nobody asks for the exception.
            asked.add_done_callback(lambda done: done.cancelled() or done.exception())
        found = await asyncio.shield(asked)
        if not found:
            raise OSError("no address")
        for text in found:
            try:
                address = ipaddress.ip_address(text)
            except ValueError:
                raise ForbiddenAddress from None
            if not may_be_reached(_plain(host), address, self._private_hosts):
                raise ForbiddenAddress
        return found

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")
