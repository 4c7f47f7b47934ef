"""A referral as it is shown (見える一件): asked of the deciding service, masked. What is personal comes to the
console only when somebody has opened it, by the counter."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from schemas import queries as q
from schemas.base import ReferralRef
from schemas.codes import HandoffState
from schemas.partner import ReferralGiven
from services.console.line import Line
from services.console.person import Person, Role
from services.console.picture.heard import Heard, heard_of

_ref: TypeAdapter[UUID | str] = TypeAdapter(ReferralRef)


@dataclass(frozen=True, slots=True)
class Seen:
    """``opens``: whether this agency may open what is personal. ``opened``: it is open; then ``referral``
    and ``heard`` have it."""

    referral: ReferralGiven
    heard: tuple[Heard, ...]
    opens: bool
    opened: bool = False


async def masked(line: Line, person: Person, ref: str) -> Seen | None:
    """None: there is no such case, or it is none of this agency's. Raises NoAnswer."""
    try:
        named = _ref.validate_python(ref)
    except ValidationError:
        return None
    question = q.ReadReferral(agency=person.agency, ref=named)
    told = await line.ask("referral", "read", question)
    if not told.found:
        return None
    # What may be opened comes sealed; whether there is any is all that is looked at here.
    referral = ReferralGiven.model_validate(told.body)
    return Seen(referral, await _history(line, person, referral.id), bool(told.sealed))


async def opened(line: Line, person: Person, seen: Seen) -> Seen:
    """With what is personal. Where it cannot be opened after all, as it was. Raises NoAnswer."""
    ref = str(seen.referral.id)
    read = await line.call(person, "read_referral", ref=ref)
    history = await line.call(person, "read_history", ref=ref)
    if read.status != HTTPStatus.OK or history.status != HTTPStatus.OK:
        return seen
    referral = ReferralGiven.model_validate_json(read.text)
    if not referral.opened:
        return seen
    return Seen(referral, heard_of(history.body["items"]), seen.opens, opened=True)


async def _history(line: Line, person: Person, referral: UUID) -> tuple[Heard, ...]:
    items: list[dict[str, Any]] = []
    after = 0
    while True:
        question = q.ReadHistory(agency=person.agency, ref=referral, after=after)
        told = await line.ask("referral", "history", question)
        came = told.body.get("items", [])
        items += came
        if not told.body.get("more") or not came:
            return heard_of(items)
        after = came[-1]["data"]["version"]


def why_shut(referral: ReferralGiven, person: Person) -> tuple[str, str]:
    """Why what is personal is not open to somebody, in words. Of a call that few may know of nothing is said
    here: whoever must not know of it could read it off the reason."""
    if person.role is Role.AUDITOR:
        return (
            "監査では、個人情報は開けません。",
            "Auditors do not open personal data.",
        )
    mine = [h for h in referral.handoffs if h.to == person.agency]
    if any(h.withheld and h.state is HandoffState.OFFERED for h in mine):
        return (
            "氏名などは、受諾したあとに開けます。",
            "Who it is about can be opened once you have accepted.",
        )
    return (
        "開けるのは、いまこの件を受け持つ機関だけです。必要なときは、担当機関か基幹相談支援センターへお問い合わせください。",
        "Only agencies that have a part in the case now can open it. If you need it, please ask the custodian or "
        "the core centre.",
    )
