"""The way a referral went, as a picture (経過の帯): who was responsible when, and what happened. Pure.

Here is what is to be drawn, in columns and lanes; ``drawing`` gives it places. Every event has a column of
its own, in order, so two things that happened at the same instant are both seen; how long it was between
them stands in words. One lane for each agency, in the order in which they appear.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from schemas import events as e
from schemas.base import NETWORK
from schemas.codes import HandoffKind
from services.console.picture.heard import Heard, Telling, until


class Kind(StrEnum):
    """What a mark shows. Each has a shape and a word of its own."""

    SUBMITTED = "submitted"
    DISTRICT = "district"
    RULING = "ruling"
    RULED = "ruled"
    TRANSFER = "transfer"
    REQUEST = "request"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    COMPLETED = "completed"
    CALLED = "called"
    PASSED_ON = "passed_on"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    TAKEN = "taken"
    NOTE = "note"
    ATTACHMENT = "attachment"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    REOPENED = "reopened"


@dataclass(frozen=True, slots=True)
class Mark:
    """One event, in its column. ``lane``: whose; ``to``: the lane that it leads to. ``code``: of the call
    that it is about; ``level``: which desk was called. ``about``: the hand-off or call."""

    column: int
    id: UUID
    at: datetime
    kind: Kind
    lane: int
    to: int | None = None
    code: str | None = None
    level: int | None = None
    about: UUID | None = None


@dataclass(frozen=True, slots=True)
class Band:
    """Who was responsible from column to column; ``lane`` None: nobody, for the case had ended. The last
    one's ``until`` is the picture's end."""

    lane: int | None
    since: datetime
    until: datetime
    begins: int
    ends: int


@dataclass(frozen=True, slots=True)
class Wait:
    """A clock, from when it began to when it stopped (``ends`` None: it runs). ``code`` None: an offer."""

    about: UUID
    lane: int
    begins: int
    ends: int | None
    due_at: datetime | None
    code: str | None = None
    taken: bool = False

    def overdue(self, now: datetime) -> bool:
        return self.ends is None and self.due_at is not None and self.due_at < now


@dataclass(frozen=True, slots=True)
class Story:
    """``end``: the moment at which the picture ends: now, the moment asked for, or when the case ended.
    ``open``: it goes on; then there is one more column, the end. ``lanes``: agencies."""

    lanes: tuple[str, ...]
    marks: tuple[Mark, ...]
    bands: tuple[Band, ...]
    waits: tuple[Wait, ...]
    end: datetime
    open: bool

    @property
    def columns(self) -> int:
        return len(self.marks) + (1 if self.open else 0)

    @property
    def custodian(self) -> str | None:
        """Who is responsible at the end; None: the case has ended, or nothing was heard of it."""
        lane = self.bands[-1].lane if self.bands else None
        return self.lanes[lane] if lane is not None else None


def story(heard: Sequence[Heard], now: datetime, at: datetime | None = None) -> Story:
    """``at``: as it was then, with the clocks that ran then; None: now."""
    teller = _Teller(Telling.of(heard))
    for each in until(heard, at):
        teller.tell(each)
    return teller.told(at if at is not None else now)


class _Teller:
    def __init__(self, telling: Telling) -> None:
        self._telling = telling
        self._lanes: dict[str, int] = {}
        self._marks: list[Mark] = []
        self._bands: list[Band] = []
        self._waits: dict[tuple[UUID, int], Wait] = {}
        self._latest: dict[UUID, int] = {}  # of each hand-off or call, the column its wait began
        self._open = True

    def tell(self, heard: Heard) -> None:
        column = len(self._marks)
        mark = self._mark(heard, column)
        self._marks.append(mark)
        custodian = self._custodian(heard.event)
        match heard.event:
            case e.ReferralClosed() | e.ReferralCancelled():
                self._open = False
                self._held_by(None, heard.occurred_at, column)
            case e.ReferralReopened():
                self._open = True
                self._held_by(self._last_holder(), heard.occurred_at, column)
            case _:
                if custodian is not None and (self._open or not self._bands):
                    self._held_by(self._lane(custodian), heard.occurred_at, column)
        self._wait(heard, mark)

    def told(self, end: datetime) -> Story:
        runs = any(wait.ends is None for wait in self._waits.values())
        if not self._bands:
            # A history begins with its submission; without one nobody knows who was responsible.
            return Story((), (), (), (), end, False)
        # A call may still be open after a case has ended; then the picture goes on, too.
        goes_on = self._open or runs
        last = len(self._marks) - (0 if goes_on else 1)
        end = max(end, self._marks[-1].at) if goes_on else self._marks[-1].at
        bands = [
            replace(band, until=after.since, ends=after.begins)
            for band, after in zip(self._bands, self._bands[1:], strict=False)
        ]
        bands.append(replace(self._bands[-1], until=end, ends=last))
        return Story(
            tuple(self._lanes),
            tuple(self._marks),
            tuple(band for band in bands if band.ends > band.begins or band is bands[-1]),
            tuple(self._waits.values()),
            end,
            goes_on,
        )

    # -- lanes and bands -------------------------------------------------------------------------

    def _lane(self, agency: str) -> int:
        return self._lanes.setdefault(agency, len(self._lanes))

    def _held_by(self, lane: int | None, since: datetime, column: int) -> None:
        if not self._bands or self._bands[-1].lane != lane:
            self._bands.append(Band(lane, since, since, column, column))

    def _last_holder(self) -> int:
        held = [band.lane for band in self._bands if band.lane is not None]
        return held[-1] if held else 0

    def _custodian(self, event: e.Event) -> str | None:
        match event:
            case e.ReferralSubmitted():
                return event.sender
            case e.HandoffAccepted() | e.EscalationAcknowledged() | e.CustodyTaken():
                return event.custodian
            case _:
                return None

    # -- marks -----------------------------------------------------------------------------------

    def _mark(self, heard: Heard, column: int) -> Mark:
        event = heard.event
        match event:
            case e.ReferralSubmitted():
                return self._plain(heard, column, Kind.SUBMITTED, event.sender)
            case e.DistrictFound():
                return self._plain(heard, column, Kind.DISTRICT, heard.actor)
            case e.RulingRequested():
                return self._plain(heard, column, Kind.RULING, heard.actor)
            case e.DistrictRuled():
                return self._plain(heard, column, Kind.RULED, event.by)
            case e.HandoffOffered():
                kind = Kind.TRANSFER if event.kind is HandoffKind.TRANSFER else Kind.REQUEST
                mark = self._plain(heard, column, kind, event.sender)
                return replace(mark, to=self._lane(event.receiver), about=event.handoff)
            case e.HandoffAccepted():
                return self._answer(heard, column, Kind.ACCEPTED, event.by, event.handoff)
            case e.HandoffDeclined():
                return self._answer(heard, column, Kind.DECLINED, event.by, event.handoff)
            case e.HandoffExpired():
                return self._answer(heard, column, Kind.EXPIRED, heard.actor, event.handoff)
            case e.HandoffWithdrawn():
                return self._answer(heard, column, Kind.WITHDRAWN, event.by, event.handoff)
            case e.HandoffCompleted():
                return self._answer(heard, column, Kind.COMPLETED, event.by, event.handoff)
            case e.EscalationRaised():
                mark = self._plain(heard, column, Kind.CALLED, event.by)
                to = self._lane(event.to) if event.to is not None else None
                about = event.escalation
                return replace(mark, to=to, code=event.code, level=event.level, about=about)
            case e.EscalationPassedOn():
                mark = self._call(heard, column, Kind.PASSED_ON, event.to, event.escalation)
                return replace(mark, level=event.level)
            case e.EscalationAcknowledged():
                return self._call(heard, column, Kind.ACKNOWLEDGED, event.by, event.escalation)
            case e.EscalationResolved():
                return self._call(heard, column, Kind.RESOLVED, event.by, event.escalation)
            case e.CustodyTaken():
                return self._plain(heard, column, Kind.TAKEN, event.custodian)
            case e.NoteAdded():
                return self._plain(heard, column, Kind.NOTE, event.by)
            case e.AttachmentAdded():
                return self._plain(heard, column, Kind.ATTACHMENT, event.by)
            case e.ReferralClosed():
                return self._plain(heard, column, Kind.CLOSED, event.by)
            case e.ReferralCancelled():
                return self._plain(heard, column, Kind.CANCELLED, event.by)
            case e.ReferralReopened():
                return self._plain(heard, column, Kind.REOPENED, event.by)
            case _:
                assert_never(event)

    def _plain(self, heard: Heard, column: int, kind: Kind, agency: str) -> Mark:
        # What the network did by itself stands with whoever is responsible: it has no lane of its own.
        if agency == NETWORK:
            held = self._bands[-1].lane if self._bands else None
            lane = held if held is not None else self._last_holder()
        else:
            lane = self._lane(agency)
        return Mark(column, heard.id, heard.occurred_at, kind, lane)

    def _answer(self, heard: Heard, column: int, kind: Kind, by: str, handoff: UUID) -> Mark:
        offered = self._telling.handoff(handoff)
        receiver = offered.receiver if offered is not None else by
        return replace(self._plain(heard, column, kind, receiver), about=handoff)

    def _call(self, heard: Heard, column: int, kind: Kind, agency: str, call: UUID) -> Mark:
        raised = self._telling.escalation(call)
        code = raised.code if raised is not None else None
        return replace(self._plain(heard, column, kind, agency), code=code, about=call)

    # -- clocks ----------------------------------------------------------------------------------

    def _wait(self, heard: Heard, mark: Mark) -> None:
        event, column = heard.event, mark.column
        match event:
            case e.HandoffOffered():
                due = event.due.at if event.due is not None else None
                lane = mark.to if mark.to is not None else mark.lane
                self._begin(Wait(event.handoff, lane, column, None, due))
            case (
                e.HandoffAccepted()
                | e.HandoffDeclined()
                | e.HandoffExpired()
                | e.HandoffWithdrawn()
            ):
                self._stop(event.handoff, column)
            case e.EscalationRaised():
                due = event.due.at if event.due is not None else None
                lane = mark.to if mark.to is not None else mark.lane
                self._begin(Wait(event.escalation, lane, column, None, due, event.code))
            case e.EscalationPassedOn():
                self._stop(event.escalation, column)
                code = mark.code or "?"
                wait = Wait(event.escalation, mark.lane, column, None, event.due.at, code)
                self._begin(wait)
            case e.EscalationAcknowledged():
                self._stop(event.escalation, column)
                due = event.due.at if event.due is not None else None
                code = mark.code or "?"
                self._begin(Wait(event.escalation, mark.lane, column, None, due, code, taken=True))
            case e.EscalationResolved():
                self._stop(event.escalation, column)
            case _:
                pass

    def _begin(self, wait: Wait) -> None:
        self._latest[wait.about] = wait.begins
        self._waits[wait.about, wait.begins] = wait

    def _stop(self, about: UUID, column: int) -> None:
        began = self._latest.pop(about, None)
        if began is not None:
            self._waits[about, began] = replace(self._waits[about, began], ends=column)
