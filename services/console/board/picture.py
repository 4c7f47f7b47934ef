"""The picture (見張りの絵): every call that one agency may see, as it stands, kept in memory and never a
fact. The deciding service knows; the picture asks it what has changed since, and begins anew where the
changes are numbered anew.
"""

import asyncio
from collections import deque
from datetime import datetime
from uuid import UUID

from pydantic import ValidationError

from runtime.observability import log
from runtime.streams import Ask, NotTold
from schemas import queries as q
from schemas.base import JsonObject
from schemas.codes import EscalationState
from schemas.partner import BurningGiven
from services.console.board.sight import Counts, Placed, in_place, placed

_PAGE = 500
REMEMBERED = 4_000
"""So many of the newest changes: whoever has been away for longer reads the whole anew."""


class Picture:
    """``head``: the newest change that is in it; None before it was asked for. ``mark``: which giving
    of numbers that is of."""

    def __init__(self, agency: str, remembered: int = REMEMBERED) -> None:
        self.agency = agency
        self.head: int | None = None
        self.mark = ""
        self._remembered = remembered
        self._calls: dict[UUID, Placed] = {}
        self._standing: list[Placed] | None = None
        self._counted: tuple[int, Counts] | None = None
        self._changes: deque[tuple[int, UUID]] = deque()
        self._floor = 0  # what changed up to here is not remembered one by one
        self._beginning = asyncio.Lock()
        self._begun = 0

    async def catch_up(self, ask: Ask) -> None:
        """All that is decided by now. Raises NoAnswer, and NotTold for an agency without a desk."""
        while True:
            if self.head is None:
                await self._begin(ask)
            begun, position = self._begun, self.head or 0
            told = await self._told(ask, after=position)
            body = told.body
            if begun != self._begun:
                continue  # meanwhile somebody found that it has to begin anew
            if told.mark != self.mark or body["head"] < position:
                # The numbers may have been put back, with the database of the service that gives them,
                # and have come as far as before, or farther, in another way.
                self.head = None
                continue
            self._take(body["items"])
            following = body.get("next")
            self.head = max(self.head or 0, int(following or body["head"]))
            if following is None:
                return

    def standing(self) -> list[Placed]:
        """The calls that are not resolved, in place; nobody changes the list."""
        if self._standing is None:
            resolved = EscalationState.RESOLVED
            calls = self._calls.values()
            self._standing = in_place(each for each in calls if each.call.state is not resolved)
        return self._standing

    def counts(self, now: datetime) -> Counts:
        """Of those that stand, right to the second."""
        standing = self.standing()
        second = int(now.timestamp())
        if self._counted is None or self._counted[0] != second:
            self._counted = (second, Counts.of(standing, now))
        return self._counted[1]

    def find(self, escalation: UUID) -> BurningGiven | None:
        """One call; a resolved one for as long as its last change is remembered."""
        found = self._calls.get(escalation)
        return found.call if found is not None else None

    def since(self, change: int) -> list[BurningGiven] | None:
        """What changed after that change, resolved or not, oldest change first; None where that is
        not remembered, or was never come to."""
        if change < self._floor or change > (self.head or 0):
            return None
        changed: list[BurningGiven] = []
        for number, escalation in reversed(self._changes):
            if number <= change:
                break
            call = self.find(escalation)
            if call is not None and call.change == number:
                changed.append(call)
        changed.reverse()
        return changed

    async def _begin(self, ask: Ask) -> None:
        async with self._beginning:
            if self.head is not None:
                return
            calls: dict[UUID, Placed] = {}
            head: int | None = None
            mark = ""
            before: int | None = None
            while True:
                told = await self._told(ask, before=before)
                body = told.body
                # What changes while the pages are read comes after the first one's head, and is told
                # as a change.
                if head is None:
                    head, mark = body["head"], told.mark
                for item in body["items"]:
                    call = _read(item) if item["change"] <= head else None
                    if call is not None:
                        calls.setdefault(call.id, placed(call))
                if "next" not in body:
                    break
                before = int(body["next"])
            self._calls = calls
            self._changed()
            self._changes.clear()
            self._floor = self.head = head
            self.mark = mark
            self._begun += 1

    def _take(self, items: list[JsonObject]) -> None:
        for item in items:
            known = self.find(UUID(item["id"]))
            if known is not None and known.change >= item["change"]:
                continue  # several ask at once, and are told the same
            call = _read(item)
            if call is not None:
                self._calls[call.id] = placed(call)
                self._changes.append((call.change, call.id))
                self._changed()
        while len(self._changes) > self._remembered:
            self._floor, escalation = self._changes.popleft()
            gone = self.find(escalation)
            if (
                gone is not None
                and gone.change == self._floor
                and gone.state is EscalationState.RESOLVED
            ):
                del self._calls[escalation]

    def _changed(self) -> None:
        self._standing = None
        self._counted = None

    async def _told(self, ask: Ask, **where: int | None) -> q.Told:
        question = q.ListEscalations(agency=self.agency, limit=_PAGE).model_copy(update=where)
        told: q.Told = await ask("referral", "escalations", question)
        if not told.found:
            raise NotTold
        return told


def _read(item: JsonObject) -> BurningGiven | None:
    try:
        return BurningGiven.model_validate(item)
    except ValidationError:
        # A service that is newer than this one: all other calls are shown all the same.
        log("call_unreadable", fault=True, escalation=item.get("id"))
        return None


class Pictures:
    """One for each agency whose people look."""

    def __init__(self) -> None:
        self._pictures: dict[str, Picture] = {}

    def of(self, agency: str) -> Picture:
        return self._pictures.setdefault(agency, Picture(agency))
