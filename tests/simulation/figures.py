"""What happened, counted."""

from collections import Counter
from dataclasses import dataclass, field

from schemas import events as e
from schemas.problems import Refusal
from tests.simulation.decider import Decider, Step


@dataclass
class Figures:
    seeds: int = 0
    referrals: int = 0
    commands: int = 0
    repeated: int = 0
    events: int = 0
    struck: int = 0
    restarts: int = 0
    types: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    levels: Counter[int] = field(default_factory=Counter)
    dispositions: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    desks: Counter[str] = field(default_factory=Counter)

    def step(self, step: Step) -> None:
        self.commands += 1
        if isinstance(step.decision, Refusal):
            self.refusals[step.decision.code.value] += 1
        for entry, _ in step.written:
            event = entry.event
            self.types[event.type] += 1
            match event:
                case e.EscalationRaised():
                    self.codes[event.code] += 1
                    self.levels[event.level] += 1
                    self.desks[event.desk or ""] += 1
                case e.EscalationPassedOn():
                    self.levels[event.level] += 1
                    self.desks[event.desk] += 1
                case e.EscalationResolved():
                    self.dispositions[event.disposition.value] += 1
                case _:
                    pass

    def take_in(self, decider: Decider) -> None:
        """The end of a year."""
        self.seeds += 1
        self.referrals += len(decider.states)
        self.events += len(decider.journal)

    def add(self, other: "Figures") -> None:
        for name, value in vars(other).items():
            mine = getattr(self, name)
            if isinstance(value, Counter):
                mine.update(value)
            else:
                setattr(self, name, mine + value)
