"""The live board (見張りの生中継): a position in the picture, and what changed after it, as rows."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict

from runtime.broker import NoAnswer
from runtime.clock import Clock
from runtime.streams import Ask, NotTold, Page, event
from schemas.codes import EscalationState
from schemas.partner import BurningGiven
from services.console.board.drawing import Drawing
from services.console.board.picture import Picture
from services.console.board.sight import Filters
from services.console.visit import Visit

_SILENT = 3.0  # seconds


class Board:
    """What one browser is told: ``call``, a row that is new or changed; ``counts``; ``again``, the page
    has to be read anew; ``fresh``, whether the state is known now; ``beat``, where nothing else is told
    for a while, for a script does not see that a line is dead. ``still``: may the reader still read? The
    position is the number of the newest change that was told; ``mark``: of which giving of numbers."""

    kind = "board"
    what = "escalations"

    def __init__(
        self,
        picture: Picture,
        filters: Filters,
        visit: Visit,
        drawing: Drawing,
        clock: Clock,
        after: int,
        mark: str,
        still: Callable[[], Awaitable[bool]],
    ) -> None:
        self._picture = picture
        self._filters = filters
        self._visit = visit
        self._drawing = drawing
        self._clock = clock
        self._position = after
        self._mark = mark
        self._still = still
        self._counts: dict[str, int] | None = None
        self._fresh = True
        self._over = False
        self._told_at = clock.ticks()

    async def more(self, ask: Ask) -> Page:
        """Raises NotTold."""
        if self._over or not await self._still():
            raise NotTold
        try:
            await self._picture.catch_up(ask)
        except NoAnswer:
            return Page(self._said_fresh(fresh=False), last=True)
        events = self._said_fresh(fresh=True)
        # Whoever does not say of which giving its number is has it of this one.
        self._mark = self._mark or self._picture.mark
        same = self._mark == self._picture.mark
        changed = self._picture.since(self._position) if same else None
        head = self._picture.head or 0
        if changed is None:
            # The browser reads the page, and comes back with the position that it has then.
            self._over = True
            return Page([*events, event("again", head, {})], last=True)
        events += [event("call", call.change, self._told(call)) for call in changed]
        self._position = head
        counts = self._counted()
        if counts != self._counts:
            self._counts = counts
            events.append(event("counts", head, counts))
        if not events and self._clock.ticks() - self._told_at > _SILENT:
            events = [event("beat", head, {})]
        if events:
            self._told_at = self._clock.ticks()
        return Page(events, last=True)

    def _counted(self) -> dict[str, int]:
        """``of``: how many fit the filters."""
        filters, standing = self._filters, self._picture.standing()
        of = sum(filters.fit(each.call) for each in standing) if filters.any else len(standing)
        return {**asdict(self._picture.counts(self._clock.now())), "of": of}

    def _told(self, call: BurningGiven) -> dict[str, object]:
        now = self._clock.now()
        words = self._visit.words
        [html] = self._drawing.rows(self._visit, [call], now)
        return {
            "id": str(call.id),
            "change": call.change,
            "state": call.state,
            "urgency": call.urgency,
            "fits": call.state is not EscalationState.RESOLVED and self._filters.fit(call),
            "said": self._drawing.said(self._visit, call, now),
            # Without names of agencies and districts: others may look at the desktop.
            "brief": f"{words.code(call.urgency)} {call.code}",
            "by": words.agency(call.acknowledged_by) if call.acknowledged_by else "",
            "html": html,
        }

    def _said_fresh(self, *, fresh: bool) -> list[bytes]:
        if fresh == self._fresh:
            return []
        self._fresh = fresh
        return [event("fresh", self._position, {"fresh": fresh})]
