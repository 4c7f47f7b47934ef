"""The promises, looked at after every step: of the referral that was touched, cheaply; of the whole
ward now and then. Nothing here asks the code under test what it meant."""

from collections import Counter
from datetime import datetime
from uuid import UUID

from schemas import commands as c
from schemas import events as e
from schemas.base import NETWORK
from schemas.codes import ClockKind, EscalationState, HandoffKind, Urgency
from schemas.due import Due
from schemas.journal import JournalEntry
from schemas.outside import JAPAN
from schemas.problems import Refusal
from schemas.referral import LiveClock, Referral, evolve, fold
from services.referral import clocks
from services.referral.deciding import Context
from services.referral.policy import Remembered
from tests.builders import HOLIDAYS
from tests.simulation.decider import Decider, Step
from tests.simulation.scenario import BRANCH, Outage
from wards import opening
from wards.escalation import Desk

_ONCE = (
    c.SubmitReferral, c.AcceptHandoff, c.DeclineHandoff, c.WithdrawHandoff, c.CompleteHandoff,
    c.RuleDistrict, c.AcknowledgeEscalation, c.ResolveEscalation, c.CloseReferral,
    c.CancelReferral, c.ReopenReferral,
)  # fmt: skip
"""What can be done once: asked again under another key it is refused."""


class Broken(Exception):
    """A promise that did not hold, of which referral, and how."""

    def __init__(self, promise: str, detail: str, name: str = "") -> None:
        super().__init__(f"{promise}: {detail}")
        self.promise, self.detail, self.name = promise, detail, name


class Checks:
    def __init__(self, decider: Decider, outages: list[Outage]) -> None:
        self._decider = decider
        self._ward = decider.ward
        self._outages = outages
        self._agencies = {a.id for a in self._ward.agencies}
        self._name = ""

    def context(self, now: datetime) -> Context:
        d = self._decider
        return Context(now, d.ward, HOLIDAYS, d.rulings, d.last_number)

    def _hold(self, held: bool, promise: str, detail: object = "") -> None:
        if not held:
            raise Broken(promise, str(detail), self._name)

    # -- one step -------------------------------------------------------------------------------

    def step(self, name: str, step: Step, *, again: bool) -> None:
        """``again``: also look at what costs more."""
        self._name = name
        after, command = step.after, step.command
        self._hold(isinstance(step.decision, list | Refusal), "a decision is events or a refusal")
        if isinstance(command.action, c.StrikeClock):
            self._struck(step, command.action)
        elif after is not None:
            self._hold(
                bool(step.written) or isinstance(step.decision, Refusal)
                or any(x.open for x in after.escalations),
                "what is asked leads to something, is refused, or the core centre has the call",
            )  # fmt: skip
            self._answered_in_time(step)
        if after is None or not step.written:
            return
        before = step.before
        for entry, state in step.written:
            self._entry(entry, before, state, step.context)
            before = state
        self._state(after, step.context.now)
        self._emergencies(step)
        if isinstance(command.action, _ONCE):
            once_more = self._decider.decide(after, command, self.context(step.context.now))
            self._hold(isinstance(once_more, Refusal), "doing twice changes nothing", once_more)
        if again:
            self._dearer(step, after)

    def _dearer(self, step: Step, after: Referral) -> None:
        if step.before is not None:
            once_more = self._decider.decide(step.before, step.command, step.context)
            self._hold(once_more == step.decision, "the same question has the same answer")
        history = self._decider.histories[after.id]
        self._hold(fold(history) == after, "the journal folds to the state")

    def _entry(
        self, entry: JournalEntry, before: Referral | None, after: Referral, context: Context
    ) -> None:
        event = entry.event
        version = before.version + 1 if before is not None else 1
        self._hold(entry.version == after.version == version, "versions have no gaps")
        self._hold(after.custodian in self._agencies, "the custodian is in the directory")
        if before is not None and after.custodian != before.custodian:
            self._custody(event, after)
        if isinstance(event, e.ReferralSubmitted):
            self._hold(after.custodian == event.sender, "a referral begins with its sender")
            year = entry.occurred_at.astimezone(JAPAN).year
            number = f"{self._ward.code}-{year}-{self._decider.last_number[year]:06d}"
            self._hold(event.number == number, "numbers have no gaps", event.number)
        elif isinstance(event, e.HandoffOffered):
            self._offered(event, after, context)
        elif isinstance(event, e.EscalationRaised | e.EscalationPassedOn):
            self._called(event, before, after, context)
        due = getattr(event, "due", None)
        if due is not None:
            self._due(due, entry.occurred_at)

    def _custody(self, event: e.Event, after: Referral) -> None:
        match event:
            case e.HandoffAccepted():
                handoff = after.handoff(event.handoff)
                moved = handoff is not None and handoff.kind is HandoffKind.TRANSFER
                to = handoff.receiver if handoff is not None else ""
                moved = moved and event.by == to == after.custodian
            case e.EscalationAcknowledged():
                moved = event.by == after.custodian == self._ward.core and not event.advise_only
            case e.CustodyTaken():
                moved = event.by == after.custodian == self._ward.core
            case _:
                moved = False
        self._hold(moved, "custody moves by acceptance, or to the core centre", event.type)

    def _offered(self, event: e.HandoffOffered, after: Referral, context: Context) -> None:
        receiver = self._ward.agency(event.receiver)
        self._hold(
            receiver is not None and receiver.active_on(context.day),
            "nobody is asked who is not on the network", event.receiver,
        )  # fmt: skip
        self._hold(event.due is not None, "an offer has a clock")
        listed = self._ward.calls.candidates_for(event.function)
        asked_from_list = event.listed and listed is not None and event.receiver in listed.agencies
        if after.urgency is Urgency.EMERGENCY and asked_from_list and event.due and receiver:
            there = opening.stays_open(receiver.hours, context.now, event.due.at, HOLIDAYS)
            self._hold(there, "in an emergency the list asks only who is there", event.receiver)

    def _called(
        self,
        event: e.EscalationRaised | e.EscalationPassedOn,
        before: Referral | None,
        after: Referral,
        context: Context,
    ) -> None:
        escalation = after.escalation(event.escalation)
        old = before.escalation(event.escalation) if before is not None else None
        desk = self._ward.desk(event.desk or "")
        reason = self._ward.reason(escalation.code) if escalation is not None else None
        if escalation is None or desk is None or event.due is None or reason is None:
            raise Broken("a call has a reason, a desk and a clock", event.type, self._name)
        self._hold(event.to == desk.agency, "a call goes to the agency of its desk", desk.id)
        level = old.level if old is not None else 0
        self._hold(event.level >= max(level, 1), "levels never decrease", (level, event.level))
        desks = self._ward.desks_of(reason)
        handoff = after.handoff(escalation.handoff) if escalation.handoff else None
        whose = {after.custodian, escalation.raised_by}
        if handoff is not None:
            whose.add(handoff.receiver)
        whose -= {self._ward.core, NETWORK}
        there = [desk for desk in desks if self._there(desk, event.due, context)]
        others = [desk for desk in there if not whose & set(desk.staff)]
        own = whose & set(desk.staff)
        self._hold(
            BRANCH not in own or not others, "the branch's cases are not called to its own people",
            desk.id,
        )  # fmt: skip
        self._hold(not own or not others, "nobody is called about their own case", desk.id)
        self._hold(
            desk in there or not there, "a call finds somebody there for the whole of its clock",
            desk.id,
        )  # fmt: skip
        rest = [desk for desk in desks[level:] if desk in others]
        self._hold(
            event.level > level or not rest, "an unanswered call goes to the next desk",
            (event.type, escalation.code, level, event.level),
        )  # fmt: skip
        if isinstance(event, e.EscalationRaised) and event.by == NETWORK and before is not None:
            # What was acknowledged may have been advice only; what waits for an answer is enough.
            waits = any(
                x.state is EscalationState.RAISED and x.code == event.code
                for x in before.escalations
            )
            self._hold(not waits, "the network calls once for one thing", event.code)

    @staticmethod
    def _there(desk: Desk, due: Due, context: Context) -> bool:
        """Whether somebody is at a desk for the whole of a wall clock; a business clock waits."""
        return due.clock is ClockKind.BUSINESS or opening.stays_open(
            desk.hours, context.now, due.at, HOLIDAYS
        )

    def _due(self, due: Due, occurred_at: datetime) -> None:
        agency = self._ward.agency(due.hours_of or self._ward.core)
        assert agency is not None
        recomputed = clocks.recomputed(due, occurred_at, agency.hours)
        self._hold(recomputed == due.at, "a due is what its record works out to", due)
        self._hold(due.at > occurred_at, "a clock has time to run", due)

    def _state(self, state: Referral, now: datetime, *, still_striking: bool = True) -> None:
        for handoff in state.handoffs:
            if handoff.stands:
                self._hold(handoff.due_at is not None, "a standing offer has a live clock")
                self._hold(not state.ended, "what has ended has no standing offer")
        for x in state.escalations:
            if x.open:
                self._hold(x.due_at is not None, "an open call has a live clock", x.code)
                # Once acknowledged, or of a suspicion of abuse: only whoever has it in hand ends it.
                raised = x.state is EscalationState.RAISED and x.level == 1 and not x.restricted
                self._hold(not (state.ended and raised), "what has ended calls nobody anew", x.code)
            else:
                self._hold(x.due_at is None, "a call that ended has no clock", x.code)
        # Within one round of strikes another clock of the same case may still be about to strike.
        running = state.clocks
        for clock in running:
            known = self._decider.live.get(clock.subject)
            self._hold(known == clock, "a clock that runs is known to the decider", clock)
            if not still_striking:
                self._hold(clock.due_at > now, "no clock is both live and past", clock)
        self._hold(len(running) == len({k.subject for k in running}), "one subject, one clock")

    def _struck(self, step: Step, action: c.StrikeClock) -> None:
        """A clock ran out: if it still ran, it is on record at the first moment it could be."""
        now = step.context.now
        clock = LiveClock(action.subject, action.due_at)
        ran = step.before is not None and clock in step.before.clocks
        self._hold(isinstance(step.decision, list), "a clock is never refused", step.decision)
        missed = [
            entry.event
            for entry, _ in step.written
            if isinstance(entry.event, e.HandoffExpired | e.EscalationPassedOn)
            and entry.event.overdue_since == action.due_at
            and action.subject
            in (getattr(entry.event, "handoff", None), getattr(entry.event, "escalation", None))
        ]
        self._hold(bool(missed) == ran, "a missed clock is on record, and no other", action)
        self._hold(ran or not step.written, "a clock that was stopped does nothing")
        if ran:
            first = self._first_up(action.due_at)
            self._hold(now == first, "a clock strikes as soon as it can", (action.due_at, now))
        after = step.after
        if after is None:
            return
        self._hold(clock not in after.clocks, "a clock that struck is over", action)
        if ran:
            self._hold(after.ended or bool(after.clocks), "silence leaves another clock running")
        once_more = self._decider.decide(after, step.command, self.context(now))
        self._hold(once_more == [], "a clock strikes once", once_more)

    def _first_up(self, moment: datetime) -> datetime:
        return next((o.ends for o in self._outages if o.begins < moment < o.ends), moment)

    def _answered_in_time(self, step: Step) -> None:
        """Whoever stops a clock does so before it has run out: the clocks come first."""
        if step.before is None or step.after is None:
            return
        stopped = set(step.before.clocks) - set(step.after.clocks)
        for clock in stopped:
            self._hold(step.context.now < clock.due_at, "a clock that ran out has struck", clock)

    def _emergencies(self, step: Step) -> None:
        after, now = step.after, step.context.now
        if after is None or after.urgency is not Urgency.EMERGENCY or after.ended:
            return
        offered = [
            entry.event
            for entry, _ in step.written
            if isinstance(entry.event, e.HandoffOffered)
            and entry.event.kind is HandoffKind.TRANSFER
        ]
        if offered:
            there = False
            for event in offered:
                receiver = self._ward.agency(event.receiver)
                assert receiver is not None
                assert event.due is not None
                there |= opening.stays_open(receiver.hours, now, event.due.at, HOLIDAYS)
            called = any(x.open and x.code == "E07" for x in after.escalations)
            self._hold(there or called, "an emergency never waits for opening time")
        if after.clocks:
            return
        # Nothing runs: somebody has answered, in person, and the case is with who knows of it.
        answers = (
            e.HandoffAccepted, e.HandoffDeclined, e.HandoffCompleted, e.HandoffWithdrawn,
            e.EscalationResolved, e.NoteAdded, e.AttachmentAdded, e.ReferralReopened,
            e.DistrictRuled,
        )  # fmt: skip
        own = step.before is None and after.sender in (
            getattr(step.command.action, "to_agency", None), after.custodian,
        ) and not after.handoffs  # fmt: skip
        said = any(isinstance(entry.event, answers) for entry, _ in step.written)
        self._hold(own or said, "an emergency that nobody answered has a live clock")

    def a_clock_that_struck_is_stopped(self, name: str, command: c.Command) -> None:
        """It has its recorded answer already; were it live, it would be lost."""
        action = command.action
        if isinstance(action, c.StrikeClock):
            self._name = name
            state = self._decider.states.get(action.referral)
            live = state is not None and LiveClock(action.subject, action.due_at) in state.clocks
            self._hold(not live, "a clock has a name of its own", action)

    # -- all of it ------------------------------------------------------------------------------

    def remembers_the_same(
        self,
        states: tuple[dict[UUID, Referral], dict[str, Remembered]],
        numbers: dict[int, int],
        live: dict[UUID, LiveClock],
    ) -> None:
        """After a restart."""
        d = self._decider
        self._name = ""
        for referral, state in states[0].items():
            self._hold(d.states.get(referral) == state, "what is rebuilt is what was", state.number)
        self._hold(d.states.keys() == states[0].keys(), "what is rebuilt is what was", "states")
        self._hold(d.rulings == states[1], "what is rebuilt is what was", "rulings")
        self._hold(d.last_number == numbers, "what is rebuilt is what was", "numbers")
        self._hold(d.live == live, "what is rebuilt is what was", "clocks")

    def whole(
        self, now: datetime, *, still_striking: bool = False, again_from_disk: bool = False
    ) -> None:
        """Every referral of the ward."""
        d = self._decider
        self._name = ""
        running: dict[UUID, LiveClock] = {}
        for state in d.states.values():
            self._state(state, now, still_striking=still_striking)
            self._hold(state.custodian in self._agencies, "the custodian is in the directory")
            running |= {clock.subject: clock for clock in state.clocks}
        self._hold(running == d.live, "the live clocks are those of the states")
        by_year = Counter(s.number.split("-")[1] for s in d.states.values())
        for year, count in by_year.items():
            numbers = sorted(s.number for s in d.states.values() if s.number.split("-")[1] == year)
            wanted = [f"{self._ward.code}-{year}-{n:06d}" for n in range(1, count + 1)]
            self._hold(numbers == wanted, "numbers have no gaps", year)
        if not still_striking:
            self._hold(len({x.id for x in d.journal}) == len(d.journal), "every entry has an id")
            self._folded(again_from_disk)

    def _folded(self, from_disk: bool) -> None:
        states: dict[UUID, Referral] = {}
        for number, entry in enumerate(self._decider.journal, start=1):
            read = entry
            if from_disk:
                known = entry.model_copy(update={"number": number})
                read = JournalEntry.from_json(known.to_json())
                self._hold(read == known, "an entry survives being written down")
            states[entry.referral] = evolve(states.get(entry.referral), read)
        self._hold(states == self._decider.states, "the journal folds to the states")
