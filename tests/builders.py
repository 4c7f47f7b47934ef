"""Builders that read aloud: ``a_referral().accepted_by("hub-motofuji")``.

A ``Town`` is the deciding service without a database: it asks ``decide`` and folds what happened.
"""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self
from uuid import NAMESPACE_OID, UUID, uuid5

from runtime.clock import ManualClock, utc_text
from schemas import commands as c
from schemas import events as e
from schemas.base import NETWORK
from schemas.codes import AddressKind, Basis, Disposition, HandoffKind, SaidBy, Urgency
from schemas.journal import JournalEntry
from schemas.outside import JAPAN
from schemas.problems import Refusal
from schemas.referral import Escalation, Handoff, LiveClock, Referral
from schemas.sealed import Group, SealedGroup
from services.referral.deciding import Context, Decision, written_down
from services.referral.involvement import concerned
from services.referral.lifecycle import decide
from services.referral.policy import Remembered
from wards import Ward, bundled_ward, load_ward
from wards.holidays import NationalHolidays

BUNKYO: Ward = load_ward(bundled_ward())
HOLIDAYS = NationalHolidays()
FRIDAY_AFTERNOON = datetime(2026, 11, 20, 7, 50, tzinfo=UTC)  # 16:50 in Japan

ANSHIN = "anshin-motofuji"
HUB = "hub-motofuji"
CORE = "core"
LIEN = "lien-bunkyo"
AUDITOR = "auditor"
STRANGER = "hub-komagome"  # on the network, with no part in the case

BLOCK = "b1" * 32
"""The keyed hash of a block that two districts claim."""


def an_id(name: str) -> UUID:
    return uuid5(NAMESPACE_OID, name)


def words(text: str, group: Group = Group.TEXT) -> SealedGroup:
    """Personal words as intake seals them (nobody opens them here)."""
    digest = hashlib.sha256(f"{group} {text}".encode()).hexdigest()
    return SealedGroup(group=group, commitment=digest, ciphertext=f"c2VhbGVk{digest}")


def settled_in(district: str, basis: Basis = Basis.WHOLE) -> c.Finding:
    """An address that lies in one district."""
    return c.Finding(district=district, basis=basis, candidates=(district,))


def between(*candidates: str, block: str | None = BLOCK) -> c.Finding:
    """An address that may lie in several districts."""
    return c.Finding(district=None, basis=Basis.AMBIGUOUS, candidates=candidates, block_key=block)


_names = itertools.count(1)


def a_submission(**fields: object) -> c.SubmitReferral:
    given: dict[str, object] = {
        "referral": an_id(f"referral {next(_names)}"),
        "function": "emergency",
        "urgency": Urgency.EMERGENCY,
        "requested_action": "short_stay",
        "address_kind": AddressKind.REGISTERED,
        "consent_basis": "C2",
        "finding": settled_in("motofuji"),
    }
    return c.SubmitReferral.model_validate(given | fields)


def a_command(
    action: c.Action,
    by: str = ANSHIN,
    *,
    key: str | None = None,
    meaning: str | None = None,
    ward: str = BUNKYO.code,
) -> c.Command:
    """One agency asks one thing. The same ``key`` is the same command; ``meaning`` stands for the
    body (by default the action itself)."""
    key = f"key {next(_names)}" if key is None else key
    body = action.to_json() if meaning is None else meaning.encode()
    return c.Command(
        id=an_id(f"{by} {key}"),
        ward=ward,
        agency=by,
        issued_at=FRIDAY_AFTERNOON,
        fingerprint=hashlib.sha256(body).hexdigest(),
        action=action,
    )


def a_strike(state: Referral, clock: LiveClock) -> c.Command:
    """The command that a clock is when it runs out, under the id that the writer gives it."""
    action = c.StrikeClock(referral=state.id, subject=clock.subject, due_at=clock.due_at)
    command = a_command(action, NETWORK)
    return command.model_copy(update={"id": uuid5(clock.subject, utc_text(clock.due_at))})


@dataclass
class Town:
    """All referrals of a ward, decided in memory."""

    ward: Ward = BUNKYO
    clock: ManualClock = field(default_factory=lambda: ManualClock(FRIDAY_AFTERNOON))
    states: dict[UUID, Referral] = field(default_factory=dict)
    entries: list[JournalEntry] = field(default_factory=list)
    rulings: dict[str, Remembered] = field(default_factory=dict)
    last_number: dict[int, int] = field(default_factory=dict)

    def context(self) -> Context:
        return Context(self.clock.now(), self.ward, HOLIDAYS, self.rulings, self.last_number)

    def referral_of(self, action: c.Action) -> Referral | None:
        """The referral that an action names, by id, by number or by hand-off."""
        if isinstance(action, c.SubmitReferral):
            return self.states.get(action.referral)
        ref = next(
            found
            for name in ("handoff", "escalation", "referral")
            if (found := getattr(action, name, None)) is not None
        )
        return next((s for s in self.states.values() if ref in _names_of(s)), None)

    def ask(self, command: c.Command) -> Decision:
        """Decide, and let what was decided happen."""
        action = command.action
        before = self.referral_of(action)
        decision = decide(before, command, self.context())
        if not isinstance(decision, Refusal):
            self._happen(before, command, decision)
        return decision

    def strike(self) -> int:
        """Let every clock that has run out by now strike, the longest overdue first; gives how
        many did."""
        struck = 0
        while due := self._first_due():
            self.ask(a_strike(*due))
            struck += 1
        return struck

    def _first_due(self) -> tuple[Referral, LiveClock] | None:
        now = self.clock.now()
        running = [(state, k) for state in self.states.values() for k in state.clocks]
        due = [(state, k) for state, k in running if k.due_at <= now]
        return min(due, key=lambda pair: (pair[1].due_at, pair[1].subject), default=None)

    def _happen(
        self, state: Referral | None, command: c.Command, events: Sequence[e.Event]
    ) -> None:
        now = self.clock.now()
        for entry, after in written_down(state, command, events, now):
            if state is None:
                year = now.astimezone(JAPAN).year
                self.last_number[year] = self.last_number.get(year, 0) + 1
            state = self.states[after.id] = after
            known = {
                "number": len(self.entries) + 1,
                "concerns": concerned(after, entry.event, self.ward),
            }
            self.entries.append(entry.model_copy(update=known))
            event = entry.event
            if isinstance(event, e.DistrictRuled) and event.remember and event.block_key:
                self.rulings[event.block_key] = Remembered(event.district, entry.id)


def _names_of(state: Referral) -> set[object]:
    """Every id and number by which an action may name a referral."""
    parts = {h.id for h in state.handoffs} | {x.id for x in state.escalations}
    return {state.id, state.number} | parts


class Case:
    """One referral on its way. Each step must be possible; ``no`` tells why one is not."""

    def __init__(self, town: Town, submission: c.SubmitReferral, sender: str) -> None:
        self.town = town
        self.id = submission.referral
        self.happened: list[e.Event] = []
        self.asks(sender, submission)

    @property
    def state(self) -> Referral:
        return self.town.states[self.id]

    def asks(self, by: str, action: c.Action) -> Self:
        decision = self.town.ask(a_command(action, by))
        assert not isinstance(decision, Refusal), decision
        self.happened = decision
        return self

    def no(self, by: str, action: c.Action) -> Refusal:
        """Why ``by`` may not do it now; nothing happens."""
        entries, before = len(self.town.entries), self.state
        decision = self.town.ask(a_command(action, by))
        assert isinstance(decision, Refusal), decision
        assert len(self.town.entries) == entries
        assert self.state == before
        return decision

    def handoff(self, to: str) -> Handoff:
        """The newest hand-off to an agency."""
        return next(h for h in reversed(self.state.handoffs) if h.receiver == to)

    def offered_to(
        self, *to: str, by: str | None = None, kind: HandoffKind = HandoffKind.TRANSFER
    ) -> Self:
        return self.asks(
            by or self.state.custodian, c.OfferHandoff(referral=self.id, to=to, kind=kind)
        )

    def requested_from(self, *to: str) -> Self:
        return self.offered_to(*to, kind=HandoffKind.REQUEST)

    def accepted_by(self, agency: str) -> Self:
        return self.asks(agency, c.AcceptHandoff(handoff=self.handoff(agency).id))

    def declined_by(self, agency: str, reason: str = "no_capacity") -> Self:
        handoff = self.handoff(agency).id
        return self.asks(
            agency, c.DeclineHandoff(handoff=handoff, said_by=SaidBy.AGENCY, reason=reason)
        )

    def withdrawn_from(self, agency: str) -> Self:
        handoff = self.handoff(agency)
        return self.asks(handoff.sender, c.WithdrawHandoff(handoff=handoff.id))

    def completed_by(self, agency: str, outcome: str = "got_help") -> Self:
        return self.asks(
            agency, c.CompleteHandoff(handoff=self.handoff(agency).id, outcome=outcome)
        )

    def ruled(self, district: str, *, remember: bool = False) -> Self:
        return self.asks(
            CORE, c.RuleDistrict(referral=self.id, district=district, remember=remember)
        )

    def escalation(self, code: str | None = None) -> Escalation:
        """The newest escalation (of a reason)."""
        return next(x for x in reversed(self.state.escalations) if code in (None, x.code))

    def codes(self) -> list[str]:
        """The reasons of all escalations so far, in order."""
        return [x.code for x in self.state.escalations]

    def escalated_by(self, agency: str, reason: str) -> Self:
        return self.asks(agency, c.RaiseEscalation(referral=self.id, reason=reason))

    def acknowledged_by(
        self, agency: str = CORE, code: str | None = None, *, advise_only: bool = False
    ) -> Self:
        escalation = self.escalation(code).id
        return self.asks(
            agency, c.AcknowledgeEscalation(escalation=escalation, advise_only=advise_only)
        )

    def resolved(
        self,
        disposition: Disposition,
        to: str | None = None,
        *,
        by: str = CORE,
        code: str | None = None,
    ) -> Self:
        escalation = self.escalation(code).id
        return self.asks(
            by, c.ResolveEscalation(escalation=escalation, disposition=disposition, to=to)
        )

    def later(self, by: timedelta) -> Self:
        """The clock moves on, and what has run out strikes."""
        self.town.clock.move(by)
        self.town.strike()
        return self

    def closed(self, outcome: str = "got_help") -> Self:
        return self.asks(self.state.custodian, c.CloseReferral(referral=self.id, outcome=outcome))

    def cancelled(self) -> Self:
        return self.asks(self.state.sender, c.CancelReferral(referral=self.id))

    def reopened(self) -> Self:
        return self.asks(self.state.custodian, c.ReopenReferral(referral=self.id))


def a_referral(by: str = ANSHIN, town: Town | None = None, **fields: object) -> Case:
    """Submitted at anshin-motofuji for an address in Motofuji, so its hub is asked."""
    return Case(town or Town(), a_submission(**fields), by)
