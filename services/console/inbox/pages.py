"""The inbox's page (受信箱): what waits for an answer, what is held, what came, and word of what comes."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from runtime.broker import NoAnswer
from runtime.streams import Beyond, Ended, NotTold, Streams, TooMany
from schemas import queries as q
from schemas.partner import CloudEvent, ReferralGiven
from schemas.telling import Names
from services.console.inbox.following import Inbox as Following
from services.console.inbox.seen import Seen
from services.console.inbox.standing import offers
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
MOST_SHOWN = 50
"""Of the offers that wait, and of what is held. Whoever has more is told how many there are."""


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
        stands, came = await asyncio.gather(self._stands(agency), self._came(visit))
        known = {str(referral.id): referral for referral in (*stands.offered, *stands.held)}
        return self._pages.render(
            visit,
            "inbox/inbox.html",
            offers=offers(stands.offered, agency),
            waiting=stands.waiting,
            held=stands.held,
            holds=stands.holds,
            came=await self._told(visit, came, known) if came is not None else None,
            head=came.head if came is not None else 0,
        )

    # -- what stands -----------------------------------------------------------------------------

    async def _stands(self, agency: str) -> "_Stands":
        """Masked."""
        question = q.ListStanding(agency=agency, limit=MOST_SHOWN)
        body = (await self._line.ask("referral", "standing", question)).body
        return _Stands(
            [ReferralGiven.model_validate(item) for item in body["offers"]],
            body["waiting"],
            [ReferralGiven.model_validate(item) for item in body["held"]],
            body["holds"],
        )

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


@dataclass(frozen=True, slots=True)
class _Stands:
    """The first due of the offers that wait, and the oldest of what is held; how many of each there are."""

    offered: list[ReferralGiven]
    waiting: int
    held: list[ReferralGiven]
    holds: int


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
