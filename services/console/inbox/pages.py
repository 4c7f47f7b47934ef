"""The inbox's page (受信箱): what waits for an answer, what is held, what came, and word of what comes."""

import asyncio
from collections.abc import Iterable
from http import HTTPStatus

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from runtime.broker import NoAnswer
from runtime.streams import Beyond, Ended, NotTold, Streams, TooMany
from schemas import queries as q
from schemas.codes import Stage
from schemas.partner import CloudEvent, ReferralGiven
from schemas.telling import Names
from services.console.inbox.following import Inbox as Following
from services.console.inbox.seen import Seen
from services.console.inbox.standing import OPEN, held, offers
from services.console.inbox.told import Item, items
from services.console.line import Line
from services.console.pages import HEADERS, Pages
from services.console.people.people import People
from services.console.person import Role
from services.console.reception import Reception
from services.console.visit import Visit
from wards.model import Ward

READERS = (Role.CORE, Role.STAFF, Role.WARD)
PAGE = 20
"""Events on one page."""
MOST_HELD = 50
_AT_ONCE = 200
_MOST_PAGES = 10
"""Of the list of one stage. Whoever has a part in more is told that there are more."""


class Inbox:
    def __init__(
        self,
        ward: Ward,
        reception: Reception,
        pages: Pages,
        line: Line,
        streams: Streams,
        people: People,
        seen: Seen,
    ) -> None:
        self._names = Names.of(ward)
        self._reception = reception
        self._pages = pages
        self._line = line
        self._streams = streams
        self._people = people
        self._seen = seen

    def handlers(self) -> list[HTTPRouteHandler]:
        at = self._reception
        return [
            at.page("/inbox", "inbox", READERS, self._inbox),
            at.page("/inbox/stream", "inbox_stream", READERS, self._stream),
        ]

    async def _inbox(self, visit: Visit) -> Response[bytes]:
        agency = visit.person.agency
        (open_now, whole), came = await asyncio.gather(self._open(agency), self._came(visit))
        mine = held(open_now, agency)
        known = {str(referral.id): referral for referral in open_now}
        return self._pages.render(
            visit,
            "inbox/inbox.html",
            offers=offers(open_now, agency),
            held=mine[:MOST_HELD],
            holds=len(mine),
            whole=whole,
            came=await self._told(visit, came, known) if came is not None else None,
            head=came.head if came is not None else 0,
        )

    # -- what stands -----------------------------------------------------------------------------

    async def _open(self, agency: str) -> tuple[list[ReferralGiven], bool]:
        """Referrals that go on and that the agency has a part in; whether these are all. Masked."""
        found = await asyncio.gather(*(self._in_stage(agency, stage) for stage in OPEN))
        referrals = {one.id: one for part, _ in found for one in part}
        return list(referrals.values()), all(whole for _, whole in found)

    async def _in_stage(self, agency: str, stage: Stage) -> tuple[list[ReferralGiven], bool]:
        referrals: list[ReferralGiven] = []
        before: int | None = None
        for _ in range(_MOST_PAGES):
            question = q.ListReferrals(agency=agency, stage=stage, before=before, limit=_AT_ONCE)
            body = (await self._line.ask("referral", "list", question)).body
            referrals += [ReferralGiven.model_validate(item) for item in body["items"]]
            if "next" not in body:
                return referrals, True
            before = int(body["next"])
        return referrals, False

    # -- what came -------------------------------------------------------------------------------

    async def _came(self, visit: Visit) -> "_Came | None":
        """A page of events; None: whoever keeps the inbox does not answer, which stops nothing else."""
        agency = visit.person.agency
        try:
            head = (await self._read(agency, 0, 1)).body["head"]
            before = min(_number(visit.query.get("before", ""), head + 1), head + 1)
            told = await self._read(agency, max(before - 1 - PAGE, 0), PAGE)
        except NoAnswer:
            return None
        newest = before > head
        seen = await self._seen.mark(visit.person, head) if newest else head
        events = [
            (item["number"], CloudEvent.model_validate(item["event"]))
            for item in told.body["items"]
            if item["number"] < before
        ]
        return _Came(head, before, seen, events)

    async def _read(self, agency: str, after: int, limit: int) -> q.Told:
        question = q.ReadInbox(agency=agency, after=after, limit=limit)
        return await self._line.ask("delivery", "inbox", question)

    async def _told(
        self, visit: Visit, came: "_Came", known: dict[str, ReferralGiven]
    ) -> dict[str, object]:
        agency = visit.person.agency
        unknown = {event.subject for _, event in came.events} - known.keys()
        read = await asyncio.gather(*(self._referral(agency, ref) for ref in sorted(unknown)))
        known |= {str(one.id): one for one in read if one is not None}
        told: list[Item] = items(came.events, known, self._names)
        first = came.before - 1 - PAGE
        last = min(came.before + PAGE, came.head + 1)
        return {
            "items": told,
            "seen": came.seen,
            "new": max(came.head - came.seen, 0) if came.before > came.head else 0,
            "older": f"/inbox?before={came.before - PAGE}" if first > 0 else "",
            "newer": (f"/inbox?before={last}" if last <= came.head else "/inbox")
            if came.before <= came.head
            else "",
        }

    async def _referral(self, agency: str, ref: str) -> ReferralGiven | None:
        """For its number, whom it asked and why it called; None where that is not to be had."""
        try:
            question = q.ReadReferral(agency=agency, ref=ref)
            told = await self._line.ask("referral", "read", question)
        except (NoAnswer, ValueError):
            return None
        return ReferralGiven.model_validate(told.body) if told.found else None

    # -- word of more ----------------------------------------------------------------------------

    async def _stream(self, visit: Visit) -> Response[bytes]:
        person = visit.person
        given = visit.request.headers.get("last-event-id") or visit.query.get("after", "")
        following = Following(person.agency, _number(given, 0), lambda: self._people.still(person))
        try:
            return await self._streams.open(str(person.id), following, lambda: True)
        except (NotTold, Beyond):
            return _plain(HTTPStatus.FORBIDDEN)
        except TooMany:
            return _plain(HTTPStatus.TOO_MANY_REQUESTS)
        except Ended:
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE)


class _Came:
    """A page of an inbox. ``before``: all events are below it; ``seen``: up to there nothing is new."""

    def __init__(
        self, head: int, before: int, seen: int, events: Iterable[tuple[int, CloudEvent]]
    ) -> None:
        self.head = head
        self.before = before
        self.seen = seen
        self.events = list(events)


def _number(text: str, otherwise: int) -> int:
    plain = text.isascii() and text.isdecimal() and len(text) <= 15
    return int(text) if plain else otherwise


def _plain(status: int) -> Response[bytes]:
    return Response(b"", status_code=int(status), media_type="text/plain", headers=HEADERS)
