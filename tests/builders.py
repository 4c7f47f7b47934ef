"""Builders that read aloud: ``a_referral().accepted_by("hub-motofuji")``.

A ``Town`` is the deciding service without a database: it asks ``decide`` and folds what happened.
"""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self
from uuid import NAMESPACE_OID, UUID, uuid5

from runtime.clock import ManualClock
from runtime.ids import derived_id
from schemas import commands as c
from schemas import events as e
from schemas.codes import Basis, HandoffKind, SaidBy, Urgency
from schemas.journal import JournalEntry
from schemas.outside import JAPAN
from schemas.problems import Refusal
from schemas.referral import Handoff, Referral, evolve
from schemas.sealed import Group, SealedGroup
from services.referral.involvement import concerned
from services.referral.lifecycle import Context, Decision, decide
from services.referral.policy import Remembered
from wards import Ward, bundled_ward, load_ward

BUNKYO: Ward = load_ward(bundled_ward())
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
        return Context(self.clock.now(), self.ward, self.rulings, self.last_number)

    def referral_of(self, action: c.Action) -> Referral | None:
        """The referral that an action names, by id, by number or by hand-off."""
        if isinstance(action, c.SubmitReferral):
            return self.states.get(action.referral)
        ref = getattr(action, "handoff", None) or getattr(action, "referral", None)
        return next(
            (
                state
                for state in self.states.values()
                if ref in (state.id, state.number) or any(h.id == ref for h in state.handoffs)
            ),
            None,
        )

    def ask(self, command: c.Command) -> Decision:
        """Decide, and let what was decided happen."""
        action = command.action
        before = self.referral_of(action)
        decision = decide(before, command, self.context())
        if not isinstance(decision, Refusal):
            referral = action.referral if isinstance(action, c.SubmitReferral) else before.id
            self._happen(referral, before, command, decision)
        return decision

    def _happen(
        self,
        referral: UUID,
        state: Referral | None,
        command: c.Command,
        events: Sequence[e.Event],
    ) -> None:
        now = self.clock.now()
        for position, event in enumerate(events):
            entry = JournalEntry(
                ward=self.ward.code,
                producer="referral",
                number=len(self.entries) + 1,
                id=derived_id(now, command.id, "event", str(position)),
                referral=referral,
                version=state.version + 1 if state else 1,
                occurred_at=now,
                actor=command.agency,
                command=command.id,
                concerns=(),
                event=event,
            )
            before, state = state, evolve(state, entry)
            told = concerned(state, event, self.ward)
            self.entries.append(entry.model_copy(update={"concerns": told}))
            if before is None:
                year = now.astimezone(JAPAN).year
                self.last_number[year] = self.last_number.get(year, 0) + 1
            if isinstance(event, e.DistrictRuled) and event.remember and event.block_key:
                self.rulings[event.block_key] = Remembered(event.district, entry.id)
        self.states[referral] = state


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

    def closed(self, outcome: str = "got_help") -> Self:
        return self.asks(self.state.custodian, c.CloseReferral(referral=self.id, outcome=outcome))

    def cancelled(self) -> Self:
        return self.asks(self.state.sender, c.CancelReferral(referral=self.id))

    def reopened(self) -> Self:
        return self.asks(self.state.custodian, c.ReopenReferral(referral=self.id))


def a_referral(by: str = ANSHIN, town: Town | None = None, **fields: object) -> Case:
    """Submitted at anshin-motofuji for an address in Motofuji, so its hub is asked."""
    return Case(town or Town(), a_submission(**fields), by)
