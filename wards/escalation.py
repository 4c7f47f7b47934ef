"""When the core centre is called, which desk, and by when somebody must answer (上申の決まり).

The code knows what can be seen of a case; the ward file says what of it calls whom.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from schemas.codes import AddressKind, Household, ReportedBy, Urgency
from wards.agencies import Hours
from wards.frozen import Code, Frozen, Id, Words
from wards.terms import Deadline, Term


class UrgencyDeadline(Deadline):
    """A deadline for one urgency."""

    urgency: Urgency


class Pattern(Frozen):
    """What a case looks like. Every key that is written must hold; a list holds when the case has one
    of its values."""

    urgency: tuple[Urgency, ...] = ()
    functions: tuple[Code, ...] = ()
    requested_actions: tuple[Code, ...] = ()
    topics: tuple[Code, ...] = ()
    reported_by: tuple[ReportedBy, ...] = ()
    household: tuple[Household, ...] = ()
    address_kind: tuple[AddressKind, ...] = ()
    consent_bases: tuple[Code, ...] = ()
    unregistered: bool | None = None
    """The household is not registered beforehand, or the person holds no 手帳."""
    topics_at_least: PositiveInt | None = None
    agencies_at_least: PositiveInt | None = None
    """So many agencies have a part in it now."""


class WhenCase(Frozen):
    """The case itself: at least so many of the patterns fit."""

    is_: Literal["case"] = Field(alias="is")
    of: tuple[Pattern, ...] = Field(min_length=1)
    at_least: PositiveInt = 1


class WhenUndecided(Frozen):
    """The address may lie in several districts (地区未定)."""

    is_: Literal["undecided"] = Field(alias="is")


class WhenReceiverClosed(Frozen):
    """A case of this urgency is handed to somebody who will not be there for the whole of the clock
    (閉所中)."""

    is_: Literal["receiver_closed"] = Field(alias="is")
    urgency: tuple[Urgency, ...]


class WhenSilent(Frozen):
    """The receiver's clock ran out (無回答)."""

    is_: Literal["silent"] = Field(alias="is")


class WhenPassedRound(Frozen):
    """Handed on and refused so often, agencies' refusals and onward hand-offs together (たらい回し)."""

    is_: Literal["passed_round"] = Field(alias="is")
    times: PositiveInt


class WhenRefusedInARow(Frozen):
    """So many agencies running refused what was requested (続けて断られた)."""

    is_: Literal["refused_in_a_row"] = Field(alias="is")
    times: PositiveInt


class WhenNoCandidate(Frozen):
    """There is nobody (left) who could be asked for it (空きなし)."""

    is_: Literal["no_candidate"] = Field(alias="is")


class WhenUntaken(Frozen):
    """The core centre carries the case and nobody takes it over (引き継ぎ先なし)."""

    is_: Literal["untaken"] = Field(alias="is")


Condition = Annotated[
    WhenCase
    | WhenUndecided
    | WhenReceiverClosed
    | WhenSilent
    | WhenPassedRound
    | WhenRefusedInARow
    | WhenNoCandidate
    | WhenUntaken,
    Field(discriminator="is_"),
]


class EscalationReason(Term):
    """A call to the core centre (上申の理由): what raises it, how long the desk that is called has,
    and which desks follow. Whoever has a part in a case may also raise any of them by hand."""

    when: tuple[Condition, ...] = ()
    acknowledge: Deadline
    by_urgency: tuple[UrgencyDeadline, ...] = ()
    later: Deadline | None = None
    """How long every desk has that is called after the first, where it differs."""
    desks: tuple[Id, ...] = ()
    """In the order in which they are called; none: the ward's own order."""
    restricted: bool = Field(default=False)
    """Only named readers may see it, and open the case from then on (虐待など)."""
    then_ja: Words
    then_en: Words

    def deadline(self, urgency: Urgency, *, again: bool = False) -> Deadline:
        """How long the desk that is called has to acknowledge a call of this urgency: at first, or
        when it is called ``again``, because nobody did."""
        if again and self.later is not None:
            return self.later
        return next((d for d in self.by_urgency if d.urgency is urgency), self.acknowledge)


class Desk(Frozen):
    """Where a call arrives (窓口): a place with hours of its own, answered by an agency's people."""

    id: Id
    agency: Id
    """Whoever acknowledges here acts as this agency."""
    name: Words
    name_en: Words
    hours: Hours
    staffed_by: tuple[Id, ...] = ()
    """The agencies whose people sit here, where it is not just ``agency``: a case of theirs is called
    to another desk."""
    mail: Words | None = None
    assumed: tuple[Words, ...] = ()

    @property
    def staff(self) -> tuple[str, ...]:
        return self.staffed_by or (self.agency,)


class Ask(StrEnum):
    """How candidates are asked: one after another (順に), or all together (一斉に)."""

    IN_ORDER = "in_order"
    AT_ONCE = "at_once"


class Candidates(Frozen):
    """Who is asked for a function when a request names nobody (空き照会の順)."""

    function: Code
    ask: Ask
    agencies: tuple[Id, ...] = Field(min_length=1)
    """In the order in which they are asked."""


class Calls(Frozen):
    """The ward's clocks and desks. ``answer``: how long a receiver may be silent; ``resolve``: how
    long an acknowledged call may stay unresolved; both for every urgency."""

    desks: tuple[Id, ...] = Field(min_length=1)
    answer: tuple[UrgencyDeadline, ...]
    resolve: tuple[UrgencyDeadline, ...]
    candidates: tuple[Candidates, ...] = ()

    def to_answer(self, urgency: Urgency) -> Deadline:
        return next(d for d in self.answer if d.urgency is urgency)

    def to_resolve(self, urgency: Urgency) -> Deadline:
        return next(d for d in self.resolve if d.urgency is urgency)

    def candidates_for(self, function: str) -> Candidates | None:
        return next((c for c in self.candidates if c.function == function), None)
