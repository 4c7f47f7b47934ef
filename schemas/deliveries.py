"""What can happen to the carrying of events: tests of the way, what could not be delivered, what was
carried again, and what an agency's inbox held at the end of a day (配送の記録).

These names and shapes are on disk and in the ledger for ever. They tell of agencies and of events by
their ids, of no person and of no address.
"""

from enum import StrEnum
from typing import Annotated, Literal, get_args
from uuid import UUID

from pydantic import Field

from schemas.base import AgencyId, Code, Hex64, Moment, ReferralRef, Said


class Undelivered(StrEnum):
    """Why a receiver does not have an event (不達の理由)."""

    HANGS = "hangs"  # no answer within the time that it has
    UNREACHABLE = "unreachable"  # no connection
    NOT_CONNECTED = "not_connected"  # its NATS client is not there
    REFUSED = "refused"  # it answered, and not with 2xx
    REDIRECTS = "redirects"  # it sends elsewhere, which is never followed
    UNTRUSTED = "untrusted"  # its certificate is not good
    FORBIDDEN_ADDRESS = "forbidden_address"  # its name leads to an address that is not public
    NO_SECRET = "no_secret"  # noqa: S105  # nothing to sign with: no webhook secret is good now


class DeliveryHappened(Said):
    """A fact about the carrying of events."""


class DeliveryTested(DeliveryHappened):
    """A test event, by the way that all others go (通信試験). ``daily``: the day's own; otherwise
    somebody asked for it."""

    type: Literal["delivery_tested"] = "delivery_tested"
    agency: AgencyId
    daily: bool


class DeliveryGivenUp(DeliveryHappened):
    """An event could not be delivered for too long (不達): it is a dead letter, and nothing more is
    sent to the agency until a test event arrives there. ``sender``: who did what the event tells;
    ``inbox_number``: the receiver's own number of it."""

    type: Literal["delivery_given_up"] = "delivery_given_up"
    agency: AgencyId
    sender: AgencyId
    event: UUID
    inbox_number: int = Field(ge=1)
    reason: Undelivered
    status: int | None = Field(default=None, ge=100, le=599)
    attempts: int = Field(ge=1)
    since: Moment


class EndpointEnabled(DeliveryHappened):
    """A test event arrived at an agency to which nothing was sent any more (配送再開)."""

    type: Literal["endpoint_enabled"] = "endpoint_enabled"
    agency: AgencyId
    test: UUID


class RedriveStarted(DeliveryHappened):
    """Events are carried to an agency once more (再配送). ``count``: how many; the filter that chose
    them: numbers of its inbox, a referral, why they had failed, only what was given up. ``asked_by``: how
    the operator named a desk or a ticket, never a person."""

    type: Literal["redrive_started"] = "redrive_started"
    redrive: UUID
    agency: AgencyId
    count: int = Field(ge=0)
    first: int | None = Field(default=None, ge=1)
    last: int | None = Field(default=None, ge=1)
    referral: ReferralRef | None = None
    reason: Code | None = None
    given_up: bool | None = None
    per_second: int = Field(ge=1)
    asked_by: Code | None = None


class RedrivePaused(DeliveryHappened):
    """A re-drive waits for an operator (再配送の一時停止): one wanted it so, or ``inbox_number`` failed again
    and again, for this ``reason``."""

    type: Literal["redrive_paused"] = "redrive_paused"
    redrive: UUID
    agency: AgencyId
    inbox_number: int | None = Field(default=None, ge=1)
    reason: Undelivered | None = None
    asked_by: Code | None = None


class RedriveResumed(DeliveryHappened):
    """An operator let it go on (再配送の再開). ``skipped``: the number that it had stopped at, which the
    operator passed over."""

    type: Literal["redrive_resumed"] = "redrive_resumed"
    redrive: UUID
    agency: AgencyId
    skipped: int | None = Field(default=None, ge=1)
    asked_by: Code | None = None


class RedriveEnded(DeliveryHappened):
    """``delivered`` of them arrived (再配送の終わり); ``failed`` did not: an operator passed them over
    (``redrive_resumed`` names them), or they are not there any more. ``cancelled``: it was stopped before the
    end, by ``asked_by``."""

    type: Literal["redrive_ended"] = "redrive_ended"
    redrive: UUID
    agency: AgencyId
    delivered: int = Field(ge=0)
    failed: int = Field(ge=0)
    cancelled: bool = False
    asked_by: Code | None = None


class ManifestSigned(DeliveryHappened):
    """An agency's inbox held 1 … ``size``, with this head hash (送達目録)."""

    type: Literal["manifest_signed"] = "manifest_signed"
    agency: AgencyId
    size: int = Field(ge=0)
    head: Hex64


DeliveryEvent = Annotated[
    DeliveryTested
    | DeliveryGivenUp
    | EndpointEnabled
    | RedriveStarted
    | RedrivePaused
    | RedriveResumed
    | RedriveEnded
    | ManifestSigned,
    Field(discriminator="type"),
]

DELIVERY_EVENT_TYPES: tuple[type[DeliveryHappened], ...] = get_args(get_args(DeliveryEvent)[0])
