"""What may be done now (いまできること), by one person about one referral. Pure.

It follows what the deciding service would accept, from what that person's agency is told of the case; the
deciding service has the last word. Answers to calls belong to the board's page, and accepting and declining
to ``services.console.deeds``; that they are possible is said here all the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from schemas.codes import (
    AgencyKind,
    EscalationState,
    HandoffKind,
    HandoffState,
    Scope,
    Stage,
)
from schemas.partner import HandoffGiven, ReferralGiven
from wards.agencies import Agency
from wards.model import Ward

_TAKEN = (HandoffState.ACCEPTED, HandoffState.COMPLETED)
_ENDED = (Stage.CLOSED, Stage.CANCELLED)


@dataclass(frozen=True, slots=True)
class Possible:
    """``transfer`` and ``request``: the agencies that may be asked. ``listed``: the functions for which the
    ward's own list may be asked. ``escalate``: reasons."""

    transfer: tuple[str, ...] = ()
    request: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    answer: tuple[HandoffGiven, ...] = ()
    withdraw: tuple[HandoffGiven, ...] = ()
    complete: tuple[HandoffGiven, ...] = ()
    escalate: tuple[str, ...] = ()
    note: bool = False
    attach: bool = False
    close: bool = False
    cancel: bool = False
    reopen: bool = False

    @property
    def offer(self) -> bool:
        return bool(self.transfer or self.request)

    @property
    def any(self) -> bool:
        return any(
            (
                self.offer, self.answer, self.withdraw, self.complete, self.escalate, self.note,
                self.attach, self.close, self.cancel, self.reopen,
            )
        )  # fmt: skip

    def allows(self, deed: str, handoff: str = "") -> bool:
        """Whether the form of a deed is on the page."""
        match deed:
            case "withdraw" | "complete":
                among: Sequence[HandoffGiven] = getattr(self, deed)
                return any(str(each.id) == handoff for each in among)
            case _:
                return bool(getattr(self, deed, False))


def possible(referral: ReferralGiven, agency_id: str, ward: Ward, today: date) -> Possible:
    """``agency_id``: whose the person is; it may see the case. ``today``: in Japan."""
    agency = ward.agency(agency_id)
    if agency is None or agency.kind is AgencyKind.AUDITOR or not agency.active_on(today):
        return Possible()
    posts, answers = Scope.POST in agency.scopes, Scope.ANSWER in agency.scopes
    core = agency_id == ward.core
    custodian = referral.custodian == agency_id
    ended = referral.stage in _ENDED
    mine = [h for h in referral.handoffs if h.to == agency_id]
    offers = posts and not ended and (custodian or core)
    return Possible(
        transfer=_transfer(referral, ward, today) if offers else (),
        request=_receivers(referral, HandoffKind.REQUEST, ward, today) if offers else (),
        listed=_listed(referral, ward) if offers else (),
        answer=tuple(h for h in mine if h.state is HandoffState.OFFERED) if answers else (),
        withdraw=tuple(
            h
            for h in referral.handoffs
            if posts and h.state is HandoffState.OFFERED and (h.from_ == agency_id or core)
        ),
        complete=tuple(
            h
            for h in mine
            if answers and h.kind is HandoffKind.REQUEST and h.state is HandoffState.ACCEPTED
        ),
        escalate=_reasons(referral, agency_id, ward) if posts else (),
        note=posts and custodian,
        attach=posts and not ended and (core or _takes_part(referral, agency_id)),
        close=posts and custodian and not ended and not _called(referral),
        cancel=posts and not ended and referral.sender == agency_id and _untaken(referral),
        reopen=posts
        and referral.stage is Stage.CLOSED
        and (custodian or (core and _called(referral))),
    )


def _transfer(referral: ReferralGiven, ward: Ward, today: date) -> tuple[str, ...]:
    if referral.stage is Stage.AWAITING_RULING:
        return ()  # nobody passes the case on by guess
    asked = _receivers(referral, HandoffKind.TRANSFER, ward, today)
    return tuple(each for each in asked if each != referral.custodian)


def _receivers(
    referral: ReferralGiven, kind: HandoffKind, ward: Ward, today: date
) -> tuple[str, ...]:
    standing = {
        h.to for h in referral.handoffs if h.kind is kind and h.state is HandoffState.OFFERED
    }
    return tuple(
        each.id for each in ward.agencies if _may_act(each, today) and each.id not in standing
    )


def _may_act(agency: Agency, today: date) -> bool:
    return agency.kind is not AgencyKind.AUDITOR and agency.active_on(today)


def _listed(referral: ReferralGiven, ward: Ward) -> tuple[str, ...]:
    """Functions for which the ward lists candidates. Whether they are being asked already is not told to
    everybody; the deciding service says so."""
    functions = (term.code for term in ward.functions)
    return tuple(code for code in functions if ward.calls.candidates_for(code) is not None)


def _reasons(referral: ReferralGiven, agency_id: str, ward: Ward) -> tuple[str, ...]:
    """Reasons to call the core centre that this agency has not called for already."""
    ended = referral.stage in _ENDED
    calling = {
        x.code
        for x in referral.escalations
        if x.state is not EscalationState.RESOLVED and x.raised_by == agency_id
    }
    return tuple(
        reason.code
        for reason in ward.escalation_reasons
        if reason.code not in calling and (reason.restricted or not ended)
    )


def _called(referral: ReferralGiven) -> bool:
    """A call stands, as far as this agency knows."""
    return any(x.state is not EscalationState.RESOLVED for x in referral.escalations)


def _takes_part(referral: ReferralGiven, agency_id: str) -> bool:
    """It does something for the person: the sender, the custodian, whoever took something on."""
    taken = {h.to for h in referral.handoffs if h.state in _TAKEN}
    return agency_id in {referral.sender, referral.custodian} | taken


def _untaken(referral: ReferralGiven) -> bool:
    return referral.custodian == referral.sender and not any(
        h.kind is HandoffKind.TRANSFER and h.state is HandoffState.ACCEPTED
        for h in referral.handoffs
    )
