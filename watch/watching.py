"""What somebody at the board sees and does: what is known, which row is selected, what a key means.
Pure: no terminal, no network; ``ticks`` are seconds of a clock that nobody sets."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from schemas.codes import EscalationState
from schemas.partner import BurningGiven, HandoffGiven
from watch.board import Names, Row, rows

LINGERS = 5.0
"""Seconds for which a resolved escalation is still shown."""


class Key(StrEnum):
    UP = "up"
    DOWN = "down"
    ENTER = "enter"
    ESCAPE = "escape"


KEYS = {"k": Key.UP, "j": Key.DOWN, "\r": Key.ENTER, "\n": Key.ENTER}


@dataclass(frozen=True, slots=True)
class Connected:
    """A stream is open. ``names``: as the directory says them now. ``whole``: the picture that follows
    is all there is; otherwise it is what changed since. ``ahead``: of the network's clock, where this
    machine's must be corrected."""

    names: Names
    whole: bool
    ahead: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An escalation that this program does not understand. ``id``: as far as it has one."""

    id: str
    resolved: bool


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything up to now was told."""


@dataclass(frozen=True, slots=True)
class Retrying:
    """The connection is lost and will be tried again."""

    attempt: int
    pause: float


Heard = Connected | BurningGiven | Ready | Unreadable | Retrying


@dataclass(frozen=True, slots=True)
class Quit:
    """Leave the board."""


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Answer a call: with custody, or advising only."""

    call: BurningGiven
    advise_only: bool


@dataclass(frozen=True, slots=True)
class ReadHandoffs:
    """Find out who was asked about the case of this call."""

    call: BurningGiven


Wish = Quit | Acknowledge | ReadHandoffs


@dataclass
class Watching:
    """``complete``: the picture is. ``unreadable``: calls that are not on the board. ``ahead``: how far
    the network's clock is. ``link``: what is wrong with the connection, in words; empty if nothing.
    ``as_of``: when it was lost. ``under_way``: calls whose acknowledgement nobody has answered yet."""

    names: Names = field(default_factory=Names)
    calls: dict[UUID, BurningGiven] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)
    complete: bool = False
    ahead: timedelta = timedelta(0)
    link: str = ""
    as_of: datetime | None = None
    status: str = ""
    selected: UUID | None = None
    asking: Acknowledge | None = None
    under_way: set[UUID] = field(default_factory=set)
    opened: BurningGiven | None = None
    handoffs: Sequence[HandoffGiven] | str = ""
    helping: bool = False
    _place: int = 0
    _resolved: dict[UUID, float] = field(default_factory=dict)
    _unconfirmed: set[UUID] = field(default_factory=set)  # known from before this whole picture

    # -- what comes from the network ---------------------------------------------------------------

    def hear(self, heard: Heard, ticks: float, now: datetime) -> bool:
        """True if somebody should look up: a desk was called."""
        match heard:
            case Connected():
                self.names, self.ahead = heard.names, heard.ahead
                if heard.whole:
                    self.complete = False
                    self.unreadable.clear()
                    self._unconfirmed = set(self.calls)
            case BurningGiven():
                return self._stands(heard, ticks)
            case Unreadable():
                (self.unreadable.discard if heard.resolved else self.unreadable.add)(heard.id)
            case Ready():
                for gone in self._unconfirmed:
                    del self.calls[gone]
                self._unconfirmed.clear()
                self.complete = True
                self.link, self.as_of = "", None
            case Retrying():
                lost = "接続が切れました" if self.complete else "まだつながりません"
                self.as_of = self.as_of or (now if self.complete else None)
                self.link = f"{lost}、再接続中（{heard.attempt}回目、次は {heard.pause:.0f}秒後）"
        return False

    def _stands(self, call: BurningGiven, ticks: float) -> bool:
        """An escalation as it stands now."""
        self.unreadable.discard(str(call.id))
        known = self.calls.get(call.id)
        if call.id in self._unconfirmed:
            self._unconfirmed.discard(call.id)  # a restored network counts its changes anew
        elif known is not None and known.change >= call.change:
            return False
        if call.state is EscalationState.RESOLVED:
            if known is None:
                return False
            self._resolved[call.id] = ticks
        else:
            self._resolved.pop(call.id, None)
        self.calls[call.id] = call
        raised = call.state is EscalationState.RAISED
        return self.complete and raised and (known is None or call.level > known.level)

    def pass_time(self, ticks: float) -> None:
        """What was resolved a moment ago leaves the board."""
        for call, since in list(self._resolved.items()):
            if ticks - since >= LINGERS:
                del self._resolved[call]
                self._unconfirmed.discard(call)
                self.calls.pop(call, None)

    def rows(self, now: datetime) -> list[Row]:
        """Newest first. Whichever was selected stays selected, and if it is gone, whatever came
        into its place."""
        found = rows(self.calls.values(), self.names, now)
        ids = [row.id for row in found]
        if self.selected in ids:
            self._place = ids.index(self.selected)
        elif self.complete:
            # Not before: the first picture comes in any order.
            self._place = min(self._place, max(0, len(ids) - 1))
            self.selected = ids[self._place] if ids else None
        return found

    # -- what comes from the keyboard --------------------------------------------------------------

    def press(self, key: str, now: datetime) -> Wish | None:
        key = KEYS.get(key, key)
        if self.asking is not None:
            return self._answer(key)
        if self.helping:
            self.helping = False
            return Quit() if key == "q" else None
        found = self.rows(now)
        call = self.calls.get(self.selected) if self.selected is not None else None
        match key:
            case "q":
                return Quit()
            case "?":
                self.helping = True
            case Key.UP | Key.DOWN if found:
                step = -1 if key == Key.UP else 1
                self._place = max(0, min(len(found) - 1, self._place + step))
                self.selected = found[self._place].id
                return self._look(self.calls[self.selected]) if self.opened else None
            case Key.ESCAPE:
                self.opened = None
                self.status = ""
            case Key.ENTER if self.opened is not None:
                self.opened = None
            case Key.ENTER if call is not None:
                return self._look(call)
            case "a" | "v" if call is not None:
                self._ask(Acknowledge(call, advise_only=key == "v"))
            case _:
                pass
        return None

    def refresh(self) -> ReadHandoffs | None:
        """The call that is open in full has changed: what is shown of it is read again."""
        if self.opened is None:
            return None
        newest = self.calls.get(self.opened.id)
        if newest is None:
            self.opened = None
        elif newest.change != self.opened.change:
            self.opened = newest
            return ReadHandoffs(newest)
        return None

    def _look(self, call: BurningGiven) -> ReadHandoffs:
        self.opened = call
        self.handoffs = "読んでいます…"
        return ReadHandoffs(call)

    def _ask(self, wish: Acknowledge) -> None:
        call = wish.call
        if call.id in self.under_way:
            self.status = f"{call.number} 送っています…"
        elif call.state is EscalationState.RESOLVED:
            self.status = f"{call.number} は解決しました"
        elif call.state is EscalationState.ACKNOWLEDGED:
            self.status = f"{call.number} はすでに応答済みです"
        else:
            self.asking = wish
            self.status = ""

    def _answer(self, key: str) -> Wish | None:
        wish = self.asking
        if key == "y" and wish is not None:
            self.asking = None
            self.under_way.add(wish.call.id)
            self.status = f"{wish.call.number} 送っています…"
            return wish
        if key in ("n", "q", Key.ESCAPE):
            self.asking = None
            self.status = "やめました"
        return None

    def answered(self, wish: Acknowledge, told: str) -> None:
        """What came of an acknowledgement."""
        self.under_way.discard(wish.call.id)
        self.status = told

    def question(self) -> str:
        """What is asked before anything is changed; empty if nothing is."""
        if self.asking is None:
            return ""
        call = self.asking.call
        does = "助言だけで応答します" if self.asking.advise_only else "応答し、担当を引き受けます"
        return f"{call.number} {call.code} に{does}。よろしいですか y/n"
