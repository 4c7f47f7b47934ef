"""What a stream follows: the board of escalations, or an agency's inbox, from a position on.

A position and a question, no connection and no clock: ``more`` asks for what comes after the position
and moves it. What was read once is told again to nobody but to whoever begins at an earlier position.
"""

from runtime.streams import Ask, Beyond, NotTold, Page, event
from schemas import queries as q
from schemas.base import JsonObject

PAGE = 100


class Board:
    """Escalations: first a picture, then every change. The picture is what is open, or, for a reader
    that says what it knew last, everything that changed since; ``ready`` tells that it is whole.

    The picture is told oldest change first, too: a reader that is cut off in the midst of it goes on
    after the last change that it got, and has missed nothing before. What changes while it is told
    comes after it.

    A filter narrows the picture. Of what comes after it only the code, which never changes: who
    follows the calls of one custodian has to be told when one gets another.

    What changes are numbered by may be put back, with the deciding service's database: a reader that
    stands beyond the newest change gets the whole picture anew.
    """

    kind = "escalations"
    what = "escalations"

    def __init__(self, asked: q.ListEscalations, last_event: int | None) -> None:
        """``asked``: whose eyes, and the filters of the picture."""
        self._picture = asked.model_copy(update={"limit": PAGE, "before": None})
        self._changes = q.ListEscalations(agency=asked.agency, code=asked.code, limit=PAGE)
        self._begin_at(last_event)

    def _begin_at(self, last_event: int | None) -> None:
        self._position = last_event or 0
        self._head: int | None = None  # of the journal, when the picture was begun
        self._ready = False
        # Where the picture's pages begin that are still to be told, newest first; the last of them
        # is where reading has got to. The service gives newest first, so they are found that way.
        self._pages: list[int | None] = [None] if last_event is None else []
        self._found = False

    async def more(self, ask: Ask) -> Page:
        if self._pages:
            return await self._page_of_picture(ask)
        body = await _told(ask, "referral", "escalations", self._changes, after=self._position)
        if self._position > body["head"]:
            self._begin_at(None)
            return await self._page_of_picture(ask)
        changed = body["items"]
        following = body.get("next")
        if self._ready:
            if changed:
                self._position = changed[-1]["change"]
            if following is not None:
                self._position = int(following)
            return Page(_escalations(changed), last=following is None)
        head = self._head_of(body)
        known = [item for item in changed if item["change"] <= head]
        if following is not None and int(following) < head:
            self._position = int(following)
            return Page(_escalations(known), last=False)
        return Page([*_escalations(known), self._whole(head)], last=False)

    async def _page_of_picture(self, ask: Ask) -> Page:
        while True:
            before = self._pages[-1]
            body = await _told(ask, "referral", "escalations", self._picture, before=before)
            head = self._head_of(body)
            # What changes from now on does not push anything out of the first page.
            self._pages[0] = head + 1
            if self._found or "next" not in body:
                break
            self._pages.append(int(body["next"]))
        self._found = True
        self._pages.pop()
        # Some may have left a page since it was found: then it reaches down into what was told.
        items = [i for i in reversed(body["items"]) if self._position < i["change"] <= head]
        if items:
            self._position = items[-1]["change"]
        if self._pages:
            return Page(_escalations(items), last=False)
        return Page([*_escalations(items), self._whole(head)], last=False)

    def _head_of(self, body: JsonObject) -> int:
        if self._head is None:
            self._head = body["head"]
        return self._head

    def _whole(self, head: int) -> bytes:
        self._ready = True
        self._position = head
        return event("ready", head, {"head": head})


class Inbox:
    """An agency's inbox: each item once, in the order of its numbers."""

    kind = "inbox"

    def __init__(self, agency: str, after: int) -> None:
        self.what = f"inbox.{agency}"
        self._asked = q.ReadInbox(agency=agency, after=after, limit=PAGE)

    async def more(self, ask: Ask) -> Page:
        body = await _told(ask, "delivery", "inbox", self._asked)
        items: list[JsonObject] = body["items"]
        if self._asked.after > body["head"]:
            raise Beyond(body["head"])
        if items:
            self._asked = self._asked.model_copy(update={"after": items[-1]["number"]})
        last = self._asked.after >= body["head"] or not items
        return Page([event("inbox", item["number"], item) for item in items], last)


async def _told(
    ask: Ask,
    service: str,
    name: str,
    question: q.ListEscalations | q.ReadInbox,
    **where: int | None,
) -> JsonObject:
    told: q.Told = await ask(service, name, question.model_copy(update=where))
    if not told.found:
        raise NotTold
    return told.body


def _escalations(items: list[JsonObject]) -> list[bytes]:
    return [event("escalation", item["change"], item) for item in items]
