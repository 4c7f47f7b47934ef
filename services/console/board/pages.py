"""The board (見張り): what burns first, live; each call's own page, and what is done there."""

from dataclasses import asdict
from http import HTTPStatus
from uuid import UUID

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from markupsafe import Markup

from runtime.broker import NoAnswer
from runtime.clock import Clock
from runtime.streams import Ended, NotTold, Streams, TooMany
from schemas.codes import Urgency
from services.console.board.answering import Answering
from services.console.board.call import CallPage
from services.console.board.drawing import Drawing
from services.console.board.following import Board as Following
from services.console.board.picture import Picture, Pictures
from services.console.board.sight import STANDING, UNDECIDED, Filters, sheet
from services.console.line import Line
from services.console.looks import Looks
from services.console.pages import HEADERS, Pages
from services.console.people.people import People
from services.console.person import Role
from services.console.reception import Reception
from services.console.visit import Visit
from wards.model import Ward

LOOKERS = (Role.CORE, Role.STAFF, Role.WARD, Role.AUDITOR)
WITH_SCREENS = (*LOOKERS, Role.SCREEN)
DOERS = (Role.CORE, Role.STAFF, Role.WARD)
_LONGEST_NUMBER = 15  # digits: exact in every language


class Board:
    def __init__(
        self,
        ward: Ward,
        clock: Clock,
        reception: Reception,
        pages: Pages,
        line: Line,
        streams: Streams,
        people: People,
        looks: Looks,
    ) -> None:
        self._ward = ward
        self._clock = clock
        self._reception = reception
        self._pages = pages
        self._line = line
        self._streams = streams
        self._people = people
        self._pictures = Pictures()
        self.drawing = Drawing(pages)
        self._call = CallPage(ward, reception, pages, line, looks)
        self._answering = Answering(ward, pages, line, self._call, self._row)

    def handlers(self) -> list[HTTPRouteHandler]:
        at, call, answering = self._reception, self._call, self._answering
        return [
            at.page("/board", "board", WITH_SCREENS, self._board),
            at.page("/board/stream", "board_stream", WITH_SCREENS, self._stream),
            at.page("/board/{escalation:str}", "call", LOOKERS, call.page),
            at.deed("/board/{escalation:str}/acknowledge", "call", DOERS, answering.acknowledge),
            at.deed("/board/{escalation:str}/rule", "call", DOERS, answering.rule),
            at.deed("/board/{escalation:str}/resolve", "call", DOERS, answering.resolve),
            at.deed("/board/{escalation:str}/offer", "call", DOERS, answering.offer),
            at.deed("/board/{escalation:str}/withdraw", "call", DOERS, answering.withdraw),
        ]

    async def _board(self, visit: Visit) -> Response[bytes]:
        picture = self._pictures.of(visit.person.agency)
        try:
            fresh = await self._seen(picture)
        except NotTold:
            return self._reception.refused(visit, HTTPStatus.FORBIDDEN, "role")
        filters, understood = Filters.read(visit.query, self._ward)
        now = self._clock.now()
        shown = sheet(picture.standing(), filters, visit.query.get("page", "1"), now)
        page = str(shown.here) if shown.here > 1 else ""
        query = filters.query()
        again = filters.query(page=page)
        on_the_wall = visit.person.role is Role.SCREEN
        return self._pages.render(
            visit,
            "board/wall.html" if on_the_wall else "board/board.html",
            at=now,
            now_ms=int(now.timestamp() * 1000),
            fresh=fresh,
            counts=picture.counts(now),
            filters=asdict(filters) | {"any": filters.any},
            understood=understood,
            choices=self._choices(visit),
            sheet=shown,
            rows=Markup("").join(self.drawing.rows(visit, shown.calls, now)),
            head=picture.head,
            again=f"/board?{again}" if again else "/board",
            page_link=f"/board?{query}&page=" if query else "/board?page=",
            stream=f"/board/stream?{filters.query(mark=picture.mark)}",
        )

    async def _seen(self, picture: Picture) -> bool:
        """Whether it is how things stand now; if not, an older picture is better than none. Raises
        NoAnswer where there is none, and NotTold."""
        try:
            await picture.catch_up(self._line.ask)
        except NoAnswer:
            if picture.head is None:
                raise
            return False
        return True

    async def _stream(self, visit: Visit) -> Response[bytes]:
        person = visit.person
        after = _number(visit.request.headers.get("last-event-id") or visit.query.get("after", ""))
        filters, _ = Filters.read(visit.query, self._ward)
        following = Following(
            self._pictures.of(person.agency), filters, visit, self.drawing, self._clock, after,
            visit.query.get("mark", ""),
            lambda: self._people.still(person),
        )  # fmt: skip
        try:
            return await self._streams.open(str(person.id), following, lambda: True)
        except NotTold:
            return _plain(403)
        except TooMany:
            return _plain(429)
        except Ended:
            return _plain(503)

    async def _row(self, visit: Visit, escalation: UUID) -> tuple[int, str]:
        """The row as it stands now, and its change; an empty one where it is not known."""
        picture = self._pictures.of(visit.person.agency)
        await self._seen(picture)
        found = picture.find(escalation)
        if found is None:
            return 0, ""
        [html] = self.drawing.rows(visit, [found], self._clock.now())
        return found.change, html

    def _choices(self, visit: Visit) -> list[tuple[str, str, list[tuple[str, str]]]]:
        words, ward = visit.words, self._ward
        undecided = (UNDECIDED, words.t("未定", "undecided"))
        return [
            ("state", words.t("応答", "In hand"), [(str(s), words.code(s)) for s in STANDING]),
            ("urgency", words.t("緊急度", "Urgency"), [(str(u), words.code(u)) for u in Urgency]),
            (
                "code", words.t("理由", "Reason"),
                [(r.code, f"{r.code} {words.t(r.ja, r.en)}") for r in ward.escalation_reasons],
            ),
            (
                "district", words.t("地区", "District"),
                [*((d.id, words.district(d.id)) for d in ward.districts), undecided],
            ),
            (
                "custodian", words.t("担当機関", "Custodian"),
                [(a.id, words.agency(a.id)) for a in ward.agencies],
            ),
            ("desk", words.t("窓口", "Desk"), [(d.id, words.desk(d.id)) for d in ward.desks]),
        ]  # fmt: skip


def _number(text: str) -> int:
    """A position; what is none begins at the beginning, which is to read the page anew."""
    plain = text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER
    return int(text) if plain else 0


def _plain(status: int) -> Response[bytes]:
    return Response(b"", status_code=status, media_type="text/plain", headers=HEADERS)
