"""What agencies make of what happens: who answers, how soon, and with what. Each has a character for a
year; what it does about one referral hangs on that referral's own chances alone."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Protocol
from uuid import UUID

from schemas import commands as c
from schemas import events as e
from schemas.codes import (
    Basis,
    Disposition,
    EscalationState,
    HandoffKind,
    MediaType,
    SaidBy,
    Stage,
    Urgency,
)
from schemas.journal import JournalEntry
from schemas.referral import Handoff, Referral
from tests.builders import BUNKYO, HOLIDAYS
from tests.simulation.scenario import DAY, HOUR, HUBS, MINUTE, some, submission
from wards import opening
from wards.agencies import Hours
from wards.model import Ward

CORE = BUNKYO.core
_BY_HAND = {"E01": 5, "E02": 5, "E03": 5} | {f"E{n:02}": 1 for n in range(4, 14)} | {"E99": 1}
_OUTCOMES = ("got_help", "partly_helped", "no_capacity", "could_not_contact", "moved_away")
_REASONS = ("no_capacity", "out_of_scope", "staff_shortage", "needs_medical_care")
_OTHERS = (*HUBS, "ward-office", "anshin-motofuji", "anshin-otsuka", "lien-bunkyo")
_WORK_AT_MOST = 40
"""What is done about one referral of somebody's own accord. Calls are always answered to."""


class Character(StrEnum):
    PROMPT = "prompt"
    SLOW = "slow"
    DECLINING = "declining"
    SILENT = "silent"


_CHARACTERS = {
    Character.PROMPT: 5, Character.SLOW: 2, Character.DECLINING: 2, Character.SILENT: 1,
}  # fmt: skip
_ANSWERS = {
    Character.PROMPT: {"accept": 82, "decline": 8, "person": 4, "silent": 6},
    Character.SLOW: {"accept": 70, "decline": 15, "person": 5, "silent": 10},
    Character.DECLINING: {"accept": 32, "decline": 50, "person": 10, "silent": 8},
    Character.SILENT: {"accept": 30, "decline": 10, "person": 5, "silent": 55},
}


class Time(Protocol):
    """What people need of the world."""

    now: datetime

    def state(self, life: "Life") -> Referral | None: ...

    def at(self, when: datetime, then: Callable[[], None]) -> None: ...

    def send(self, life: "Life", agency: str, action: c.Action) -> None: ...


@dataclass
class Life:
    """One referral's way through the year. ``said``: what was sent about it.

    Its chances begin anew with every occasion, each of which has a name; so leaving one thing out
    leaves what does not follow from it as it was.
    """

    seed: int
    name: str
    id: UUID
    rng: random.Random = field(default_factory=random.Random)
    occasion: str = ""
    said: list[str] = field(default_factory=list)
    work: int = 0
    _looks: int = 0
    _heard: Counter[str] = field(default_factory=Counter)
    _spoken: Counter[tuple[str, str]] = field(default_factory=Counter)

    def at(self, occasion: str) -> None:
        self.occasion, self._looks = occasion, 0
        self.rng.seed(f"{self.seed}/{self.name}/{occasion}")

    def hears(self, what: str) -> None:
        self._heard[what] += 1
        self.at(f"{what} {self._heard[what]}")

    def will_look(self) -> str:
        self._looks += 1
        return f"{self.occasion}/{self._looks}"

    def says(self, agency: str, what: str) -> str:
        self._spoken[agency, what] += 1
        self.said.append(f"{agency} {what} {self._spoken[agency, what]}")
        return self.said[-1]


class People:
    def __init__(self, seed: int, ward: Ward, time: Time) -> None:
        self._ward = ward
        self._time = time
        rng = random.Random(f"{seed}/characters")
        self.characters = {a.id: some(rng, _CHARACTERS) for a in ward.agencies}
        self.core_sleeps = rng.choice((0.08, 0.2, 0.35))

    # -- when -----------------------------------------------------------------------------------

    def _hours(self, agency: str) -> Hours:
        found = self._ward.agency(agency)
        assert found is not None
        return found.hours

    def _soon(self, life: Life, low: timedelta, high: timedelta) -> datetime:
        seconds = life.rng.randint(int(low.total_seconds()), int(high.total_seconds()))
        return self._time.now + timedelta(seconds=seconds)

    def _at_work(self, agency: str, when: datetime) -> datetime:
        """Then, or when they are there next."""
        return opening.next_opening(self._hours(agency), when, HOLIDAYS)

    def _plan(self, life: Life, when: datetime, then: Callable[[Referral], None]) -> None:
        """Somebody will look at the case then, as it is then."""
        life.work += 1
        if life.work <= _WORK_AT_MOST:
            self._look(life, when, then)

    def _look(self, life: Life, when: datetime, then: Callable[[Referral], None]) -> None:
        occasion = life.will_look()

        def wake() -> None:
            state = self._time.state(life)
            if state is not None:
                life.at(occasion)
                then(state)

        self._time.at(when, wake)

    def _ask(self, life: Life, agency: str, action: c.Action) -> None:
        self._time.send(life, agency, action)

    def _ref(self, life: Life, state: Referral) -> UUID | str:
        return state.number if life.rng.random() < 0.3 else state.id

    # -- what follows ---------------------------------------------------------------------------

    def arrive(self, life: Life) -> None:
        life.at("arrives")
        sender, action = submission(life.seed, life.name, life.rng)
        self._ask(life, sender, action)

    def hear(self, life: Life, entry: JournalEntry, state: Referral) -> None:
        """Everybody concerned has heard of it; what will they do?"""
        event = entry.event
        life.hears(event.type)
        match event:
            case e.ReferralSubmitted():
                self._sent(life, event)
            case e.RulingRequested():
                self._ruling(life, state)
            case e.DistrictRuled() | e.DistrictFound():
                if state.district and state.district.basis is Basis.RULED:
                    self._second_thoughts(life)
            case e.HandoffOffered():
                self._asked(life, event, state)
            case e.HandoffAccepted():
                self._taken(life, event, state)
            case e.HandoffDeclined() | e.HandoffExpired():
                self._refused(life, event.handoff, state)
            case e.EscalationRaised() | e.EscalationPassedOn():
                self._called(life, event, state)
            case e.EscalationAcknowledged():
                if event.due is not None:
                    self._in_hand(life, event.escalation, event.by, state)
            case e.EscalationResolved():
                if event.disposition is Disposition.KEPT:
                    self._care(life, CORE, state)
            case e.ReferralClosed():
                if life.rng.random() < 0.15:
                    when = self._at_work(event.by, self._soon(life, DAY, 60 * DAY))
                    self._plan(life, when, partial(self._reopen, life))
            case e.ReferralReopened():
                self._care(life, event.by, state)
            case _:
                pass

    def _sent(self, life: Life, event: e.ReferralSubmitted) -> None:
        rng, sender = life.rng, event.sender
        pick = rng.random()
        if pick < 0.07:
            when = self._soon(life, MINUTE, 3 * DAY)
            self._plan(life, when, lambda s: self._ask(life, sender, c.CancelReferral(
                referral=self._ref(life, s))))  # fmt: skip
        elif pick < 0.2:
            when = self._soon(life, MINUTE, 5 * HOUR)
            self._plan(life, when, partial(self._by_hand, life, sender))
        elif pick < 0.25:
            when = self._soon(life, 2 * MINUTE, 2 * HOUR)
            self._plan(life, when, partial(self._withdraw, life))
        elif pick < 0.4 and event.urgency is Urgency.EMERGENCY:
            when = self._soon(life, MINUTE, 30 * MINUTE)
            self._plan(life, when, partial(self._request, life, sender, "emergency"))
        if rng.random() < 0.2:
            when = self._at_work(sender, self._soon(life, MINUTE, 3 * DAY))
            self._plan(life, when, lambda s: self._ask(life, sender, c.AddNote(
                referral=self._ref(life, s))))  # fmt: skip
        if event.to_agency == sender:
            self._look(life, self._soon(life, HOUR, DAY), partial(self._care, life, sender))
        if rng.random() < 0.15:
            self._plan(life, self._soon(life, MINUTE, DAY), partial(self._attach, life, sender))

    def _ruling(self, life: Life, state: Referral) -> None:
        if state.urgency is Urgency.EMERGENCY:
            when = self._soon(life, 4 * MINUTE, 50 * MINUTE)
        else:
            when = self._at_work(CORE, self._soon(life, 20 * MINUTE, 7 * HOUR))
        self._look(life, when, partial(self._rule, life))
        if life.rng.random() < 0.3:
            # Somebody would pass it on by guess, and is told to wait.
            when = self._soon(life, MINUTE, HOUR)
            self._plan(life, when, partial(self._offer, life, state.sender))

    def _rule(self, life: Life, state: Referral) -> None:
        if state.district is None:
            return
        district = life.rng.choice(state.district.candidates)
        remember = life.rng.random() < 0.6
        action = c.RuleDistrict(referral=self._ref(life, state), district=district,
                                remember=remember)  # fmt: skip
        self._ask(life, CORE, action)

    def _second_thoughts(self, life: Life) -> None:
        if life.rng.random() < 0.2:
            when = self._at_work(CORE, self._soon(life, HOUR, 20 * DAY))
            self._plan(life, when, partial(self._rule, life))

    def _asked(self, life: Life, event: e.HandoffOffered, state: Referral) -> None:
        rng, receiver = life.rng, event.receiver
        character = self.characters[receiver]
        answer = some(rng, _ANSWERS[character])
        late = 6 if character is Character.SLOW else 1
        if state.urgency is Urgency.EMERGENCY:
            when = self._soon(life, MINUTE, late * 9 * MINUTE)
        else:
            when = self._soon(life, 5 * MINUTE, late * 5 * HOUR)
        if answer != "silent":
            when = self._at_work(receiver, when)
            self._look(life, when, lambda _: self._answer(life, event.handoff, receiver, answer))

    def _answer(self, life: Life, handoff: UUID, receiver: str, answer: str) -> None:
        if answer == "accept":
            self._ask(life, receiver, c.AcceptHandoff(handoff=handoff))
            return
        said_by = SaidBy.PERSON if answer == "person" else SaidBy.AGENCY
        reason = "person_declined" if answer == "person" else life.rng.choice(_REASONS)
        self._ask(life, receiver, c.DeclineHandoff(handoff=handoff, said_by=said_by, reason=reason))

    def _taken(self, life: Life, event: e.HandoffAccepted, state: Referral) -> None:
        handoff = state.handoff(event.handoff)
        if handoff is not None and handoff.kind is HandoffKind.TRANSFER:
            self._care(life, event.by, state)
        elif life.rng.random() < 0.8:
            when = self._at_work(event.by, self._soon(life, HOUR, 9 * DAY))
            outcome = "bliss" if life.rng.random() < 0.03 else life.rng.choice(_OUTCOMES)
            action = c.CompleteHandoff(handoff=event.handoff, outcome=outcome)
            self._plan(life, when, lambda _: self._ask(life, event.by, action))

    def _refused(self, life: Life, ended: UUID, state: Referral) -> None:
        handoff = state.handoff(ended)
        if handoff is None or state.ended or life.rng.random() > 0.6:
            return
        urgent = state.urgency is Urgency.EMERGENCY
        high = 10 * MINUTE if urgent else 6 * HOUR
        when = self._soon(life, MINUTE, high)
        if not urgent:
            when = self._at_work(handoff.sender, when)
        if handoff.kind is HandoffKind.TRANSFER:
            self._plan(life, when, partial(self._offer, life, handoff.sender))
        elif not handoff.withheld:
            then = partial(self._request, life, handoff.sender, handoff.function)
            self._plan(life, when, then)

    # -- calls ----------------------------------------------------------------------------------

    def _called(
        self, life: Life, event: e.EscalationRaised | e.EscalationPassedOn, state: Referral
    ) -> None:
        escalation = state.escalation(event.escalation)
        agency, due, desk = event.to, event.due, self._ward.desk(event.desk or "")
        if escalation is None or agency is None or due is None or desk is None:
            return
        if escalation.state is EscalationState.ACKNOWLEDGED:
            self._in_hand(life, escalation.id, escalation.acknowledged_by or CORE, state)
            return
        left = (due.at - self._time.now).total_seconds()
        pick = life.rng.random()
        asleep = self.core_sleeps if agency == CORE else 0.15
        if pick < asleep:
            return
        share = life.rng.uniform(0.02, 0.95) if pick < 0.93 else life.rng.uniform(1.0, 1.6)
        when = self._time.now + timedelta(seconds=int(left * share))
        when = opening.next_opening(desk.hours, when, HOLIDAYS)
        self._look(life, when, partial(self._acknowledge, life, escalation.id, agency))

    def _acknowledge(self, life: Life, escalation: UUID, agency: str, state: Referral) -> None:
        found = state.escalation(escalation)
        if found is None or (not found.open and life.rng.random() < 0.8):
            return
        advise = agency == CORE and life.rng.random() < 0.4
        self._ask(life, agency, c.AcknowledgeEscalation(escalation=escalation, advise_only=advise))

    def _in_hand(self, life: Life, escalation: UUID, agency: str, state: Referral) -> None:
        if life.rng.random() < 0.12:
            return  # forgotten, until the clock says so
        urgent = state.urgency is Urgency.EMERGENCY
        when = self._soon(life, 10 * MINUTE, 20 * HOUR if urgent else 4 * DAY)
        by = agency if agency == CORE or life.rng.random() < 0.6 else CORE
        self._look(life, self._at_work(by, when), partial(self._resolve, life, escalation, by))

    def _resolve(self, life: Life, escalation: UUID, by: str, state: Referral) -> None:
        found = state.escalation(escalation)
        if found is None or not found.open:
            return
        if by == CORE and state.stage is Stage.AWAITING_RULING and life.rng.random() < 0.6:
            self._rule(life, state)
            return
        to: str | None = None
        if by == CORE == state.custodian and not state.ended:
            pairs = {Disposition.KEPT: 4, Disposition.RETURNED: 3, Disposition.REASSIGNED: 3}
            disposition = some(life.rng, pairs)
            if disposition is Disposition.REASSIGNED:
                to = life.rng.choice(_OTHERS)
        else:
            disposition = Disposition.ADVISED
        if life.rng.random() < 0.04:
            disposition, to = life.rng.choice(tuple(Disposition)), None
        action = c.ResolveEscalation(escalation=escalation, disposition=disposition, to=to)
        self._ask(life, by, action)
        # Whoever is told "no" looks again.
        tries = life.occasion.count("/")
        if tries < 30:
            when = self._at_work(by, self._time.now + (2 * HOUR if tries < 6 else DAY))
            self._look(life, when, partial(self._resolve, life, escalation, by))

    def _by_hand(self, life: Life, agency: str, state: Referral) -> None:
        reason = some(life.rng, _BY_HAND)
        self._ask(life, agency, c.RaiseEscalation(referral=self._ref(life, state), reason=reason))

    # -- whoever has the case -------------------------------------------------------------------

    def _care(self, life: Life, agency: str, state: Referral) -> None:
        """What whoever took the case will do in the days to come."""
        rng = life.rng

        def plan(high: timedelta, then: Callable[[Referral], None]) -> None:
            self._plan(life, self._at_work(agency, self._soon(life, HOUR, high)), then)

        pick = rng.random()
        if state.urgency is Urgency.EMERGENCY and pick < 0.45:
            when = self._soon(life, MINUTE, 20 * MINUTE)
            self._plan(life, when, partial(self._request, life, agency, "emergency"))
        elif pick < 0.35:
            function = rng.choice(("experience", "experience", "specialist", "consultation"))
            plan(3 * DAY, partial(self._request, life, agency, function))
        if rng.random() < 0.35:
            plan(6 * DAY, lambda s: self._ask(life, agency, c.AddNote(referral=s.id)))
        if rng.random() < 0.1:
            plan(8 * DAY, partial(self._by_hand, life, agency))
        if rng.random() < (0.45 if agency == CORE else 0.16):
            plan(10 * DAY, partial(self._offer, life, agency))
        if rng.random() < 0.85:
            plan(40 * DAY, partial(self._close, life, agency))
        if rng.random() < 0.1:
            plan(9 * DAY, partial(self._attach, life, agency))

    def _attach(self, life: Life, agency: str, state: Referral) -> None:
        """A file for the record, perhaps by somebody who has passed the case on meanwhile."""
        attachment = UUID(int=life.rng.getrandbits(128))
        self._ask(life, agency, c.AddAttachment(
            referral=self._ref(life, state), attachment=attachment, media_type=MediaType.PDF,
            size=life.rng.randint(1, 500_000), ciphertext_sha256=f"{life.rng.getrandbits(256):064x}",
        ))  # fmt: skip

    def _offer(self, life: Life, agency: str, state: Referral) -> None:
        """It is handed on to somebody else."""
        if state.custodian != agency and life.rng.random() < 0.85:
            return
        others = [a for a in _OTHERS if a != agency or life.rng.random() < 0.05]
        to = tuple(life.rng.sample(others, 2 if life.rng.random() < 0.15 else 1))
        by = agency if self._is_here(agency) else CORE
        self._ask(
            life, by, c.OfferHandoff(referral=self._ref(life, state), to=to,
                                     kind=HandoffKind.TRANSFER)
        )  # fmt: skip

    def _is_here(self, agency: str) -> bool:
        day = (self._time.now + 9 * HOUR).date()
        found = self._ward.agency(agency)
        return found is not None and found.active_on(day)

    def _request(self, life: Life, agency: str, function: str, state: Referral) -> None:
        if state.ended and life.rng.random() < 0.9:
            return
        named = life.rng.random() < 0.2 or function not in ("emergency", "experience", "specialist")
        to = (life.rng.choice(_OTHERS),) if named and life.rng.random() < 0.9 else ()
        action = c.OfferHandoff(
            referral=self._ref(life, state), to=to, kind=HandoffKind.REQUEST, function=function
        )
        self._ask(life, agency, action)

    def _withdraw(self, life: Life, state: Referral) -> None:
        standing: list[Handoff] = [h for h in state.handoffs if h.stands]
        if standing:
            handoff = life.rng.choice(standing)
            self._ask(life, handoff.sender, c.WithdrawHandoff(handoff=handoff.id))
            if life.rng.random() < 0.7:
                when = self._soon(life, MINUTE, HOUR)
                self._plan(life, when, partial(self._offer, life, handoff.sender))

    def _close(self, life: Life, agency: str, state: Referral) -> None:
        if state.ended:
            return
        if state.custodian != agency and life.rng.random() < 0.85:
            return
        outcome = life.rng.choice(_OUTCOMES)
        if not self._is_here(agency) and life.rng.random() < 0.7:
            self._offer(life, agency, state)
            return
        self._ask(life, agency, c.CloseReferral(referral=self._ref(life, state), outcome=outcome))
        if any(x.open for x in state.escalations):
            when = self._at_work(agency, self._soon(life, DAY, 5 * DAY))
            self._plan(life, when, partial(self._close, life, agency))

    def _reopen(self, life: Life, state: Referral) -> None:
        by = state.custodian if life.rng.random() < 0.9 else state.sender
        self._ask(life, by, c.ReopenReferral(referral=self._ref(life, state)))
