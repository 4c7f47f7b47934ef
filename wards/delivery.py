"""How events reach an agency, how often what fails is tried again, and how much one agency may ask
(配送と利用の決まり)."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PositiveInt

from wards.frozen import Frozen, Words
from wards.times import ClockTime


def _a_web_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("a web address: https://…")
    if parts.username or parts.password or parts.fragment:
        raise ValueError("a web address without a user, a password and a fragment")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("https:// outside this host")
    return url


LOOPBACK = ("127.0.0.1", "::1", "localhost")
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
    at_once: PositiveInt = 4
    """So many requests of one agency are in work at the same moment; the next wait their turn. At a
    rate of 100 a second none waits while answers take less than 40 ms."""
