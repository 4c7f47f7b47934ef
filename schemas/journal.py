"""One line of a service's journal, as it is stored, published and bound into the ledger (台帳)."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from schemas.base import AgencyId, Moment, Said, WardCode
from schemas.events import Event


class JournalEntry(Said):
    """A fact with its place. ``number`` is contiguous from 1 per producer, ``version`` contiguous
    from 1 per referral: a reader can prove that nothing is missing. ``concerns``: the agencies that
    are told of it. ``id`` is the ``Nats-Msg-Id`` it is published under."""

    v: Literal[1] = 1
    ward: WardCode
    producer: str
    number: int = Field(ge=1)
    id: UUID
    referral: UUID
    version: int = Field(ge=1)
    occurred_at: Moment
    actor: AgencyId
    command: UUID
    concerns: tuple[AgencyId, ...]
    event: Event
