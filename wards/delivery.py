"""How events reach an agency, how often what fails is tried again, and how much one agency may ask
(配送と利用の決まり)."""

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveInt

from wards.frozen import Frozen, Words
from wards.times import ClockTime

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\Z")
"""Of a host, as DNS knows it (RFC 1035, 2.3.4)."""


def _a_web_address(url: str) -> str:
    # By this it is read when something is posted there too; only a ward with webhooks waits for it.
    import httpx

    try:
        parts = httpx.URL(url)
        host = parts.raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError):
        raise ValueError("a web address: https://…") from None
    if parts.scheme not in ("https", "http") or not _a_host(host) or parts.port == 0:
        raise ValueError("a web address: https://…")
    if parts.port is not None and parts.port > 65535:
        raise ValueError("a port up to 65535")
    if parts.userinfo or parts.fragment:
        raise ValueError("a web address without a user, a password and a fragment")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise ValueError("https:// outside this host")
    return url


def _a_host(host: str) -> bool:
    try:
        return not getattr(ipaddress.ip_address(host), "scope_id", None)
    except ValueError:
        return _NAME.match(host.removesuffix(".")) is not None


WebAddress = Annotated[Words, AfterValidator(_a_web_address)]


class ByInbox(Frozen):
    """The agency fetches its events itself: ``GET /v1/inbox``, page by page or as a stream."""

    way: Literal["inbox"] = "inbox"


class ByWebhook(Frozen):
    """Each event is posted to the agency's own system (Standard Webhooks)."""

    way: Literal["webhook"]
    url: WebAddress


class ByNats(Frozen):
    """Each event is sent to the agency's NATS client, which answers that it has it."""

    way: Literal["nats"]


Way = Annotated[ByInbox | ByWebhook | ByNats, Field(discriminator="way")]


class Delivery(Frozen):
    """What holds for all agencies of the ward (配送の決まり)."""

    retry_after_seconds: tuple[PositiveInt, ...] = Field(min_length=1)
    """After the first failure, the second, …; the last one again and again."""
    give_up_after_hours: PositiveInt
    test_at: ClockTime
    """When each agency gets the day's test event (通信試験), Japan's time."""
    manifest_at: ClockTime
    """When the day's manifest (送達目録) is signed."""
    private_hosts: tuple[Words, ...] = ()
    """Names of hosts that webhooks may reach although their address is not a public one."""


class Limits(Frozen):
    """How much one agency may ask (利用の上限)."""

    requests_per_second: PositiveInt
    burst: PositiveInt
    """So many at once, before the rate counts."""
    at_once: PositiveInt = 2
    """So many requests of one agency are in work at the same moment; the next wait their turn. At a
    rate of 100 a second none waits while answers take less than 20 ms."""
