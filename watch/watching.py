"""What somebody at the board sees and does: what is known, which row is selected, what a key means.
Pure: no terminal, no network; ``ticks`` are seconds of a clock that nobody sets."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
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
    """``complete``: the first picture is. ``link``: what is wrong with the connection, in words;
    empty if nothing. ``as_of``: when it was lost."""

    names: Names
    calls: dict[UUID, BurningGiven] = field(default_factory=dict)
    complete: bool = False
    link: str = ""
    as_of: datetime | None = None
    status: str = ""
    selected: UUID | None = None
    asking: Acknowledge | None = None
    opened: BurningGiven | None = None
    handoffs: Sequence[HandoffGiven] | str = ""
    helping: bool = False
    _place: int = 0
    _resolved: dict[UUID, float] = field(default_factory=dict)

    # -- what comes from the network ---------------------------------------------------------------

    def hear(self, call: BurningGiven, ticks: float) -> bool:
        """An escalation as it stands now. True if somebody should look up: a desk was called."""
        known = self.calls.get(call.id)
        if known is not None and known.change >= call.change:
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

    def ready(self) -> None:
        self.complete = True
        self.link = ""
        self.as_of = None

    def pass_time(self, ticks: float) -> None:
        """What was resolved a moment ago leaves the board."""
        for call, since in list(self._resolved.items()):
            if ticks - since >= LINGERS:
                del self._resolved[call], self.calls[call]

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
        elif newest.change > self.opened.change:
            self.opened = newest
            return ReadHandoffs(newest)
        return None

    def _look(self, call: BurningGiven) -> ReadHandoffs:
        self.opened = call
        self.handoffs = "読んでいます…"
        return ReadHandoffs(call)

    def _ask(self, wish: Acknowledge) -> None:
        if wish.call.state is EscalationState.RESOLVED:
            self.status = f"{wish.call.number} は解決しました"
            return
        self.asking = wish
        self.status = ""

    def _answer(self, key: str) -> Wish | None:
        wish = self.asking
        if key == "y":
            self.asking = None
            return wish
        if key in ("n", "q", Key.ESCAPE):
            self.asking = None
            self.status = "やめました"
        return None

    def question(self) -> str:
        """What is asked before anything is changed; empty if nothing is."""
        if self.asking is None:
            return ""
        call = self.asking.call
        does = "助言だけで応答します" if self.asking.advise_only else "応答し、担当を引き受けます"
        return f"{call.number} {call.code} に{does}。よろしいですか y/n"
