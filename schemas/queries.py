"""Questions between services, answered by request-reply. Whoever asks names the agency it asks for;
the service that knows decides what that agency may see."""

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import Field

from schemas.base import AgencyId, Code, JsonObject, Moment, ReferralRef, Said
from schemas.codes import EscalationState, Stage, Urgency
from schemas.commands import SubmitReferral
from schemas.sealed import SealedRecord

LARGEST_NUMBER = 2**53 - 1
"""Larger ones are no longer exact in other languages, and sooner or later in no database."""


class ReadReferral(Said):
    """How does one referral stand?"""

    agency: AgencyId
    ref: ReferralRef


class ReadHistory(Said):
    """What happened to one referral?"""

    agency: AgencyId
    ref: ReferralRef
    after: int = Field(default=0, ge=0)


class ListReferrals(Said):
    """Which referrals does this agency have a part in, newest first?"""

    agency: AgencyId
    stage: Stage | None = None
    function: Code | None = None
    urgency: Urgency | None = None
    custodian: AgencyId | None = None
    before: int | None = Field(
        default=None, ge=0, le=LARGEST_NUMBER, description="cursor: only referrals older than this"
    )
    limit: int = Field(default=50, ge=1, le=200)


class ReadAnswer(Said):
    """What became of a request that was answered 202?"""

    agency: AgencyId
    request: UUID


class Locate(Said):
    """Which referral is this hand-off, escalation or number part of? Asked before a text is sealed."""

    agency: AgencyId
    ref: ReferralRef | None = None
    handoff: UUID | None = None
    escalation: UUID | None = None


class RehearseSubmissions(Said):
    """What would become of these submissions? They are decided and forgotten: nothing happens. Sealed
    data is not needed for it and left out."""

    agency: AgencyId
    actions: tuple[SubmitReferral, ...] = Field(min_length=1, max_length=500)


class ListEscalations(Said):
    """Which escalations are there, newest change first? For the core centre, the desks that were
    called, and auditors. ``states``: none given means those that are not resolved. ``after``: only
    what changed after that change, resolved or not: so a reader that knows the state at ``after``
    learns everything that changed since. Changes of escalations are numbered 1, 2, 3 …"""

    agency: AgencyId
    states: tuple[EscalationState, ...] = ()
    code: Code | None = None
    district: Code | None = None
    custodian: AgencyId | None = None
    after: int | None = Field(default=None, ge=0, le=LARGEST_NUMBER)
    before: int | None = Field(
        default=None, ge=0, le=LARGEST_NUMBER, description="cursor: only changes before this one"
    )
    limit: int = Field(default=100, ge=1, le=500)


class ReadInbox(Said):
    """Which events came for this agency after a number?"""

    agency: AgencyId
    after: int = Field(default=0, ge=0, le=LARGEST_NUMBER)
    limit: int = Field(default=100, ge=1, le=1000)


class ReadManifest(Said):
    """The agency's newest manifest, or the newest of a day (in Japan)."""

    agency: AgencyId
    day: date | None = None


class SignManifest(Said):
    """A manifest of all that the agency's inbox holds now."""

    agency: AgencyId


class SendTest(Said):
    """Send the agency a test event, by the way that all its events go. The same ``key`` is the same
    test."""

    agency: AgencyId
    key: str | None = Field(default=None, min_length=1, max_length=128)


class ReadTest(Said):
    """What became of a test event?"""

    agency: AgencyId
    test: UUID


class Told(Said):
    """The reply to a question: found, or not for this agency (which is also said of what does not
    exist: no probing). ``body`` holds no personal data; ``sealed`` is what intake may open for the
    agency (empty when it may not see it)."""

    found: bool
    referral: UUID | None = None
    body: JsonObject = Field(default_factory=dict)
    sealed: tuple[SealedRecord, ...] = ()


class AskStatus(Said):
    """How is the service? Answered with figures only."""


class ServiceStatus(Said):
    """``figures``: gauges and counters by name; ``ready``: it does its part of the work now."""

    service: str
    ready: bool
    figures: dict[str, float] = Field(default_factory=dict)
    gaps: tuple["Gap", ...] = ()


class Gap(Said):
    """Journal entries that a reader misses, and since when."""

    producer: str
    first: int
    last: int
    since: Moment
    state: Literal["open", "healed"] = "open"
