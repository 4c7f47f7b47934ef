"""A call's own page (上申の画面): how it stands, and what this person may do about it."""

from dataclasses import dataclass
from http import HTTPStatus
from uuid import UUID

from litestar import Response

from schemas import queries as q
from schemas.codes import (
    AgencyKind,
    Basis,
    Disposition,
    EscalationState,
    HandoffState,
    Stage,
)
from schemas.looks import LookedAt
from schemas.outside import local_day
from schemas.partner import BurningGiven, EscalationGiven, HandoffGiven, ReferralGiven
from services.console.board.rows import is_undecided, left
from services.console.forms import Form
from services.console.line import Line
from services.console.looks import Looks
from services.console.pages import Pages
from services.console.person import Person, Role
from services.console.reception import Reception
from services.console.visit import Visit
from wards.model import Ward


@dataclass(frozen=True, slots=True)
class Known:
    """A call, and the referral that it is about, without personal data."""

    call: EscalationGiven
    referral: ReferralGiven

    @property
    def ended(self) -> bool:
        return self.referral.stage in (Stage.CLOSED, Stage.CANCELLED)


@dataclass(frozen=True, slots=True)
class Possible:
    """What somebody may do about a call. The deciding service has the last word."""

    acknowledge: bool = False
    takes: bool = False
    """To acknowledge is to take the case, unless one only advises."""
    rule: tuple[str, ...] = ()
    dispositions: tuple[Disposition, ...] = ()
    offer: bool = False
    withdraw: tuple[HandoffGiven, ...] = ()

    @property
    def any(self) -> bool:
        return bool(
            self.acknowledge or self.rule or self.dispositions or self.offer or self.withdraw
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something was not done. ``fields``: the field's name, and what is wrong with it."""

    words: str
    fields: tuple[tuple[str, str], ...] = ()
    quicker: bool = False
    """Somebody else was."""


def possible(known: Known, person: Person, ward: Ward) -> Possible:
    if person.role is Role.AUDITOR:
        return Possible()
    call, referral = known.call, known.referral
    core = person.role is Role.CORE
    holds = core and referral.custodian == person.agency
    rule = _districts(known) if core else ()
    waits = referral.stage is Stage.AWAITING_RULING
    mine = core or call.acknowledged_by == person.agency
    decides = call.state is EscalationState.ACKNOWLEDGED and mine
    if waits and is_undecided(call.code, ward):
        decides = False  # the ruling ends it
    return Possible(
        acknowledge=call.state is EscalationState.RAISED,
        takes=core and not known.ended,
        rule=rule,
        dispositions=_dispositions(known, holds=holds) if decides else (),
        offer=(core or referral.custodian == person.agency) and not known.ended and not waits,
        withdraw=tuple(
            h
            for h in referral.handoffs
            if h.state is HandoffState.OFFERED and (h.from_ == person.agency)
        ),
    )


def _districts(known: Known) -> tuple[str, ...]:
    """Between which to rule, or to rule anew."""
    district = known.referral.district
    if district is None or known.ended or district.basis not in (Basis.AMBIGUOUS, Basis.RULED):
        return ()
    return tuple(each for each in district.candidates if each != district.id)


def _dispositions(known: Known, *, holds: bool) -> tuple[Disposition, ...]:
    if not holds:
        return (Disposition.ADVISED,)
    if known.ended:
        return (Disposition.KEPT, Disposition.ADVISED)
    if known.referral.stage is Stage.AWAITING_RULING:
        return (Disposition.KEPT,)
    return (Disposition.RETURNED, Disposition.REASSIGNED, Disposition.KEPT)


class CallPage:
    def __init__(
        self, ward: Ward, reception: Reception, pages: Pages, line: Line, looks: Looks
    ) -> None:
        self._ward = ward
        self._reception = reception
        self._pages = pages
        self._line = line
        self._looks = looks

    async def page(self, visit: Visit) -> Response[bytes]:
        known = await self.read(visit)
        return self.unknown(visit) if known is None else await self.show(visit, known)

    async def read(self, visit: Visit) -> Known | None:
        """None: there is no such call, or it is none of this agency's. Raises NoAnswer."""
        try:
            escalation = UUID(visit.path("escalation"))
        except ValueError:
            return None
        agency = visit.person.agency
        where = q.Locate(agency=agency, escalation=escalation)
        located = await self._line.ask("referral", "locate", where)
        if located.referral is None:
            return None
        asked = q.ReadReferral(agency=agency, ref=located.referral)
        told = await self._line.ask("referral", "read", asked)
        if not told.found:
            return None
        referral = ReferralGiven.model_validate(told.body)
        call = next((x for x in referral.escalations if x.id == escalation), None)
        return None if call is None else Known(call, referral)

    def unknown(self, visit: Visit) -> Response[bytes]:
        return self._reception.refused(visit, HTTPStatus.NOT_FOUND, "not_found")

    async def show(
        self,
        visit: Visit,
        known: Known,
        status: int = HTTPStatus.OK,
        problem: Problem | None = None,
    ) -> Response[bytes]:
        """With what was typed, where it was refused."""
        await self._looks.record(visit.person, known.referral.id, LookedAt.PAGE)
        may = possible(known, visit.person, self._ward)
        typed = visit.form.masked() if problem is not None else Form([])
        agencies = self._agencies(visit, known)
        return self._pages.render(
            visit,
            "board/call.html",
            int(status),
            call=known.call,
            referral=known.referral,
            may=may,
            problem=problem,
            errors=dict(problem.fields) if problem is not None else {},
            typed=typed,
            left=left(_as_row(known), visit.words, visit.now),
            agencies=agencies,
            functions=[(f.code, visit.t(f.ja, f.en)) for f in self._ward.functions],
        )

    def _agencies(self, visit: Visit, known: Known) -> list[tuple[str, str]]:
        """To whom a case can be handed."""
        today = local_day(visit.now)
        return [
            (agency.id, visit.words.agency(agency.id))
            for agency in self._ward.agencies
            if agency.kind is not AgencyKind.AUDITOR
            and agency.id not in (visit.person.agency, known.referral.custodian)
            and agency.active_on(today)
        ]


def _as_row(known: Known) -> BurningGiven:
    call, referral = known.call, known.referral
    return BurningGiven(
        **call.model_dump(),
        change=0,
        referral=referral.id,
        number=referral.number,
        function=referral.function,
        urgency=referral.urgency,
        stage=referral.stage,
        custodian=referral.custodian,
    )
