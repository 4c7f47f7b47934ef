"""The live inbox (受信箱の生中継): how many events came after the newest that a page shows. Nothing of what
they say: the page that is read then does."""

from collections.abc import Awaitable, Callable

from runtime.broker import NoAnswer
from runtime.streams import Ask, NotTold, Page, event
from schemas import queries as q

_MOST = 100


class Inbox:
    """``after``: the newest number on the page. ``still``: may the reader still read?"""

    kind = "console_inbox"

    def __init__(self, agency: str, after: int, still: Callable[[], Awaitable[bool]]) -> None:
        self.what = f"inbox.{agency}"
        self._page = after
        self._asked = q.ReadInbox(agency=agency, after=after, limit=_MOST)
        self._still = still

    async def more(self, ask: Ask) -> Page:
        """Raises NoAnswer and NotTold."""
        if not await self._still():
            raise NotTold
        told: q.Told = await ask("delivery", "inbox", self._asked)
        if not told.found:
            raise NoAnswer
        head: int = told.body["head"]
        if head == self._asked.after:
            return Page([], last=True)
        # Below it: the numbers were put back with their database; the page is to be read anew, too.
        self._asked = self._asked.model_copy(update={"after": head})
        return Page(
            [event("came", head, {"head": head, "new": max(head - self._page, 0)})], last=True
        )
