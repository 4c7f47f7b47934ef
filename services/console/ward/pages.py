"""The ward's rooms (区のいま・月の実績): how the ward stands now, and a month's sheet for the council."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from runtime.broker import NoAnswer
from runtime.clock import Clock
from schemas import queries as q
from schemas.base import JsonObject
from schemas.looks import LedgerPart
from schemas.outside import JAPAN
from services.console.line import Line
from services.console.looks import Looks
from services.console.pages import HEADERS, Pages
from services.console.person import EVERYBODY, Role
from services.console.reception import Reception
from services.console.visit import Visit
from services.console.ward import chart, glance
from services.console.ward.few import FEW
from services.console.ward.month import Section, published, sections
from services.console.ward.said import hours_said, month_said, until_said
from services.console.ward.sheet_csv import month_csv
from wards.holidays import NationalHolidays
from wards.model import Ward

FIGURES = (Role.CORE, Role.WARD, Role.AUDITOR)
_FIRST_YEAR, _LAST_YEAR = 2000, 9998
_ASKED_AGAIN = 3  # times, until a month is worked out; each waits a second or so
CSV = "text/csv; charset=utf-8"


class WardRoom:
    def __init__(
        self,
        ward: Ward,
        clock: Clock,
        reception: Reception,
        pages: Pages,
        line: Line,
        looks: Looks,
    ) -> None:
        self._ward = ward
        self._clock = clock
        self._reception = reception
        self._pages = pages
        self._line = line
        self._looks = looks
        self._holidays = NationalHolidays()

    def handlers(self) -> list[HTTPRouteHandler]:
        at = self._reception
        return [
            at.page("/ward", "ward", EVERYBODY, self._glance),
            at.page("/ward/month", "month", FIGURES, self._month),
            at.page("/ward/month.csv", "month_csv", FIGURES, self._csv),
        ]

    # -- how the ward stands now -----------------------------------------------------------------

    async def _glance(self, visit: Visit) -> Response[bytes]:
        ward, now = self._ward, self._clock.now()
        try:
            question = q.ReadOverview(agency=visit.person.agency)
            told: JsonObject | None = (await self._line.ask("referral", "overview", question)).body
        except NoAnswer:
            # Who is open people may know whatever has stopped.
            told = None
        body = told or {}
        rulings = body.get("rulings", {})
        return self._pages.render(
            visit,
            "ward/now.html",
            at=now,
            places=glance.places(ward, now, self._holidays),
            desks=glance.desks(ward.desks, now, self._holidays),
            answered=told is not None,
            oversees="districts" in body,
            loads=glance.loads(body.get("agencies", ()), body.get("called")),
            by_district=glance.by_district(ward, body.get("districts", ())),
            withheld=body.get("withheld", 0),
            borders=glance.borders(ward, rulings.get("between", ())),
            rulings=rulings,
            waiting=body.get("waiting", []),
            calls=glance.calls(body.get("calls", ())),
            may_open=visit.person.role in (Role.CORE, Role.AUDITOR),
            hours_said=lambda week: hours_said(week, visit.words),
            until_said=lambda standing: until_said(standing, visit.words),
            since=lambda moment: visit.words.span(now - _moment(moment)),
        )

    # -- a month ---------------------------------------------------------------------------------

    async def _month(self, visit: Visit) -> Response[bytes]:
        year, month, asked_well = self._asked(visit.query)
        try:
            told = await self._figures(visit, year, month)
        except NoAnswer:
            return self._not_now(visit, year, month)
        if not told.get("ready") or "problem" in told:
            return self._not_ready(visit, year, month, told)
        await self._looks.record_of_ledger(visit.person, LedgerPart.MONTH)
        hides = visit.query.get("few") == "hidden"
        checkpoint = await self._checkpoint(visit)
        return self._pages.render(
            visit,
            "ward/month.html",
            **self._which(visit, year, month),
            told=told,
            ready=True,
            asked_well=asked_well,
            sheets=[drawn(section) for section in self._sections(visit, told, hides=hides)],
            hides=hides,
            few=FEW,
            scale=[(chart.place(minutes), visit.t(ja, en)) for minutes, ja, en in chart.SCALE],
            checkpoint=checkpoint,
            made_at=self._clock.now(),
        )

    async def _csv(self, visit: Visit) -> Response[bytes]:
        year, month, _ = self._asked(visit.query)
        try:
            told = await self._figures(visit, year, month)
        except NoAnswer:
            return self._not_now(visit, year, month)
        if not told.get("ready") or "problem" in told:
            return self._not_ready(visit, year, month, told)
        await self._looks.record_of_ledger(visit.person, LedgerPart.MONTH)
        hides = visit.query.get("few") == "hidden"
        sheet = self._sections(visit, told, hides=hides)
        name = f"{self._ward.code}-{year}-{month:02d}{'-few-hidden' if hides else ''}.csv"
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
        body = month_csv(year, month, sheet, visit.words)
        return Response(body, media_type=CSV, headers=headers)

    def _sections(self, visit: Visit, told: Mapping[str, Any], *, hides: bool) -> list[Section]:
        all_of_them = sections(told, visit.words)
        return published(all_of_them) if hides else all_of_them

    async def _figures(self, visit: Visit, year: int, month: int) -> JsonObject:
        question = q.ReadMonth(agency=visit.person.agency, year=year, month=month)
        body: JsonObject = {}
        for _ in range(_ASKED_AGAIN):
            told = await self._line.ask("audit", "month", question)
            body = told.body
            if not told.found or body.get("ready"):
                break
            await asyncio.sleep(0.2)
        return body

    async def _checkpoint(self, visit: Visit) -> JsonObject:
        question = q.ReadCheckpoint(agency=visit.person.agency)
        return (await self._line.ask("audit", "checkpoint", question)).body

    def _asked(self, query: Mapping[str, str]) -> tuple[int, int, bool]:
        """The month that is asked for; the last one that is over where none is, or no such month."""
        today = self._clock.now().astimezone(JAPAN)
        last = (today.year, today.month - 1) if today.month > 1 else (today.year - 1, 12)
        if "year" not in query and "month" not in query:
            return *last, True
        year, month = (_number(query.get(name, "")) for name in ("year", "month"))
        if _FIRST_YEAR <= year <= _LAST_YEAR and 1 <= month <= 12:
            return year, month, True
        return *last, False

    def _which(self, visit: Visit, year: int, month: int) -> dict[str, Any]:
        before = (year, month - 1) if month > 1 else (year - 1, 12)
        after = (year, month + 1) if month < 12 else (year + 1, 1)
        return {
            "year": year,
            "month": month,
            "month_said": month_said(year, month, visit.words),
            "before": before if before[0] >= _FIRST_YEAR else None,
            "after": after if after[0] <= _LAST_YEAR else None,
        }

    def _not_ready(
        self, visit: Visit, year: int, month: int, told: Mapping[str, Any]
    ) -> Response[bytes]:
        return self._pages.render(
            visit, "ward/month_later.html", **self._which(visit, year, month),
            problem=told.get("problem"), read=told.get("folded"), of=told.get("of"),
        )  # fmt: skip

    def _not_now(self, visit: Visit, year: int, month: int) -> Response[bytes]:
        response = self._pages.render(
            visit, "ward/month_later.html", int(HTTPStatus.SERVICE_UNAVAILABLE),
            **self._which(visit, year, month), problem="no_answer", read=None, of=None,
        )  # fmt: skip
        response.headers["Retry-After"] = "5"
        return response


def drawn(section: Section) -> dict[str, Any]:
    """A section and its pictures: the length of each row's bar, where its dots lie."""
    shown = section.of
    bars: list[float | None] = [None] * len(section.rows)
    if shown is not None:
        bars = chart.bars(
            [
                None if (r, shown) in section.few else row.numbers[shown]
                for r, row in enumerate(section.rows)
            ]
        )
    dots: list[tuple[float | None, float | None]] = []
    if section.times is not None:
        for r, row in enumerate(section.rows):
            one, other = (
                None if (r, c) in section.few else chart.place(row.numbers[c])
                for c in section.times
            )
            dots.append((one, other))
    return {"section": section, "bars": bars, "dots": dots}


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 4 else 0


def _moment(moment: datetime | str) -> datetime:
    return moment if isinstance(moment, datetime) else datetime.fromisoformat(moment)
