"""What every decision has in common: what it may know, what it may say, and how its events are
written down. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from runtime.ids import derived_id
from schemas import commands as c
from schemas import events as e
from schemas.codes import AgencyKind
from schemas.journal import JournalEntry
from schemas.outside import local_day
from schemas.problems import FieldProblem, ProblemCode, Refusal
from schemas.referral import Referral, evolve
from schemas.sealed import Commitment
from services.referral.policy import Remembered
from wards.holidays import Calendar
from wards.model import Ward

Decision = list[e.Event] | Refusal


@dataclass(frozen=True, slots=True)
class Context:
    """What deciding may know beside the state: the moment, the ward, its calendar of holidays, the
    rulings remembered (by the block's keyed hash) and the last referral number given per year."""

    now: datetime
    ward: Ward
    holidays: Calendar
    rulings: Mapping[str, Remembered]
    last_number: Mapping[int, int]

    @property
    def day(self) -> date:
        """The day in Japan."""
        return local_day(self.now)

    def may_act(self, agency_id: str) -> bool:
        """On the network today, and not merely looking on."""
        agency = self.ward.agency(agency_id)
        return (
            agency is not None
            and agency.kind is not AgencyKind.AUDITOR
            and agency.active_on(self.day)
        )


def sealed_of(action: c.Asked) -> tuple[Commitment, ...]:
    return tuple(Commitment(group=s.group, commitment=s.commitment) for s in action.sealed)


def unknown_agency(pointer: str) -> Refusal:
    detail = "名簿にない機関です / not in the directory"
    return Refusal(ProblemCode.UNKNOWN_AGENCY, (FieldProblem(pointer, detail),))


def written_down(
    state: Referral | None, command: c.Command, events: Sequence[e.Event], now: datetime
) -> list[tuple[JournalEntry, Referral]]:
    """The journal entries of ``events``, each with the state after it. Their ``number`` and
    ``concerns`` are still open: whoever keeps the journal knows them."""
    referral = command.action.referral if isinstance(command.action, c.SubmitReferral) else None
    written: list[tuple[JournalEntry, Referral]] = []
    for position, event in enumerate(events):
        entry = JournalEntry.model_construct(
            v=1,
            ward=command.ward,
            producer="referral",
            number=0,
            id=derived_id(now, command.id, "event", str(position)),
            referral=_referral_of(state, referral),
            version=state.version + 1 if state is not None else 1,
            occurred_at=now,
            actor=command.agency,
            command=command.id,
            concerns=(),
            event=event,
        )
        state = evolve(state, entry)
        written.append((entry, state))
    return written


def _referral_of(state: Referral | None, submitted: UUID | None) -> UUID:
    found = state.id if state is not None else submitted
    if found is None:
        raise ValueError("events on a referral that does not exist")
    return found
