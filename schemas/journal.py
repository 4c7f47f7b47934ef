"""One line of a service's journal, as it is stored, published and bound into the ledger (台帳)."""

from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from schemas.base import AgencyId, Moment, Said, WardCode, json_object
from schemas.deliveries import DeliveryEvent
from schemas.events import Event
from schemas.looks import LookEvent


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


class _OfNoReferral(Said):
    """``referral`` and ``version`` are said, too: the envelope has the same fields for every producer."""

    def to_json(self) -> bytes:
        said = self.model_dump(mode="json", exclude_none=True)
        return json_object.dump_json({**said, "referral": None, "version": None})


class DeliveryEntry(_OfNoReferral):
    """A fact about the carrying of events, with its place: the same shape, of no referral."""

    v: Literal[1] = 1
    ward: WardCode
    producer: Literal["delivery"] = "delivery"
    number: int = Field(ge=1)
    id: UUID
    referral: None = None
    version: None = None
    occurred_at: Moment
    actor: AgencyId
    command: UUID
    concerns: tuple[AgencyId, ...]
    event: DeliveryEvent


class ConsoleEntry(_OfNoReferral):
    """A look, with its place: the same shape. It is not part of a referral's history, which it does not
    change, so it is of no referral; the event names the one that was looked at. No agency is told."""

    v: Literal[1] = 1
    ward: WardCode
    producer: Literal["console"] = "console"
    number: int = Field(ge=1)
    id: UUID
    referral: None = None
    version: None = None
    occurred_at: Moment
    actor: AgencyId
    command: UUID
    concerns: tuple[()] = ()
    event: LookEvent


AnyEntry = JournalEntry | DeliveryEntry | ConsoleEntry
_OTHERS: dict[object, type[DeliveryEntry | ConsoleEntry]] = {
    "delivery": DeliveryEntry,
    "console": ConsoleEntry,
}


def read_entry(body: bytes | str, value: dict[str, Any] | None = None) -> AnyEntry:
    """An entry of any producer; ``value``: its body, where it was parsed already. Raises ValueError
    (``pydantic.ValidationError`` is one)."""
    said: Any = json_object.validate_json(body) if value is None else value
    if not isinstance(said, dict):
        raise ValueError("not an object")
    producer = said.get("producer")
    shape = _OTHERS.get(producer, JournalEntry) if isinstance(producer, str) else JournalEntry
    return shape.from_json(body)
