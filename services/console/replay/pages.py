"""The replay's room (経過をたどる): one referral, or the whole ward, as it stood at any moment, with the
checkpoint that vouches for it; a verification; an export. For the core centre and auditors.

Nothing here asks anybody but audit: what is shown is what the ledger holds."""

import json
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from runtime.broker import NoAnswer
from runtime.clock import Clock
from schemas.base import JsonObject
from schemas.looks import LedgerPart, LookedAt
from services.console.line import Line
from services.console.looks import Looks
from services.console.pages import HEADERS, HTML, Pages
from services.console.person import Role
from services.console.picture.band import story
from services.console.picture.drawing import draw
from services.console.picture.signs import FRAMES, SIGNS
from services.console.reception import Act, Reception
from services.console.replay.asking import Asking, NoSuchReferral
from services.console.replay.moments import Steps, exactly, just_before, mark, read_mark, typed
from services.console.replay.report import EXIT_CODES, said
from services.console.replay.seen import Seen
from services.console.visit import Visit
from wards.model import Ward

READERS = (Role.CORE, Role.AUDITOR)
_LONGEST_REF = 64


class Replay:
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
        self._looks = looks
        self._asking = Asking(line)
        self._seen = Seen()

    def handlers(self) -> list[HTTPRouteHandler]:
        at, going = self._reception, self._while_audit_answers
        return [
            at.page("/replay", "replay", READERS, going(self._start)),
            at.deed("/replay", "replay", READERS, going(self._choose)),
            at.page("/replay/of/{ref:str}", "replay_referral", READERS, going(self._referral)),
            at.deed("/replay/of/{ref:str}/export", "replay_export", READERS, going(self._export)),
            at.page("/replay/ward", "replay_ward", READERS, going(self._whole_ward)),
            at.page("/replay/verify", "replay_verify", READERS, going(self._verifying)),
            at.deed("/replay/verify", "replay_verify", READERS, going(self._verify)),
            at.page("/replay/checkpoint.txt", "replay_checkpoint", READERS, going(self._note)),
        ]

    def _while_audit_answers(self, act: Act) -> Act:
        """While it does not, people are told what that means: nothing for the referrals."""

        async def acts(visit: Visit) -> Response[bytes]:
            try:
                return await act(visit)
            except NoAnswer:
                again = str(visit.request.url.path)
                response = self._pages.render(
                    visit, "replay/no_answer.html", int(HTTPStatus.SERVICE_UNAVAILABLE), again=again
                )
                response.headers["Retry-After"] = "5"
                return response
            except NoSuchReferral:
                typed_in = visit.form.get("ref") or visit.path("ref")
                return self._choosing(visit, typed_in[:_LONGEST_REF], HTTPStatus.NOT_FOUND)

        return acts

    # -- which one -------------------------------------------------------------------------------

    async def _start(self, visit: Visit) -> Response[bytes]:
        return self._choosing(visit, "")

    async def _choose(self, visit: Visit) -> Response[bytes]:
        """Posted, so that a name that was typed by mistake stands in no address."""
        ref = _half_width(visit.form.get("ref").strip()[:_LONGEST_REF])
        await self._asking.id_of(visit.person.agency, ref)
        return visit.goes_to(f"/replay/of/{ref}")

    def _choosing(
        self, visit: Visit, typed_in: str, status: HTTPStatus = HTTPStatus.OK
    ) -> Response[bytes]:
        missing = status == HTTPStatus.NOT_FOUND
        return self._pages.render(
            visit, "replay/start.html", int(status), ref=typed_in, missing=missing
        )

    # -- one referral ----------------------------------------------------------------------------

    async def _referral(self, visit: Visit) -> Response[bytes]:
        person, ref, query = visit.person, visit.path("ref"), visit.query
        referral = await self._asking.id_of(person.agency, ref)
        await self._look(visit, referral)
        at, understood = _asked(query)
        if "step" in query:
            at, understood = await self._of_step(person.agency, ref, query["step"])
        as_known = query.get("known") == "1" and at is not None
        body = await self._asking.referral(person.agency, ref, at, as_known=as_known)
        if "problem" in body:
            return self._broken(visit, body)
        steps = Steps([datetime.fromisoformat(one) for one in body["steps"]], at)
        now = self._clock.now()
        moment = at or now
        heard = await self._asking.heard(person.agency, referral, body["entries"])
        context = {
            **self._place(visit, f"/replay/of/{quote(ref, safe='')}", steps, now, known=as_known),
            "ref": ref,
            "told": body,
            "state": body["state"],
            "drawing": draw(story(heard, now, moment)),
            "signs": SIGNS,
            "frames": FRAMES,
            "as_known": as_known,
            "understood": understood,
            "looks": [x for x in body["looks"] if datetime.fromisoformat(x["at"]) <= moment],
            "befores": {
                entry["index"]: mark(just_before(datetime.fromisoformat(entry["occurred_at"])))
                for entry in body["entries"]
                if entry["type"] == "escalation_raised"
            },
        }
        return self._shown(visit, "replay/referral.html", "replay/referral_then.html", context)

    async def _of_step(self, agency: str, ref: str, step: str) -> tuple[datetime | None, bool]:
        """The slider was sent as a form: the moment of the step where it stands."""
        body = await self._asking.referral(agency, ref, None)
        return _step_of([datetime.fromisoformat(one) for one in body.get("steps", [])], step)

    async def _export(self, visit: Visit) -> Response[bytes]:
        person = visit.person
        referral = await self._asking.id_of(person.agency, visit.path("ref"))
        await self._looks.record(person, referral, LookedAt.EXPORT)
        exported = await self._asking.export(person.agency, referral)
        name = f"{exported.get('number') or referral}.json"
        body = json.dumps(exported, ensure_ascii=False, indent=1).encode()
        return _file(body, name, "application/json")

    async def _look(self, visit: Visit, referral: UUID) -> None:
        now, session = visit.now, visit.person.session
        if self._seen.is_new(session, str(referral), now):
            await self._looks.record(visit.person, referral, LookedAt.REPLAY)
            self._seen.recorded(session, str(referral), now)

    # -- the whole ward --------------------------------------------------------------------------

    async def _whole_ward(self, visit: Visit) -> Response[bytes]:
        person, query = visit.person, visit.query
        part, session = LedgerPart.WARD_REPLAY, visit.person.session
        if self._seen.is_new(session, part, visit.now):
            await self._looks.record_of_ledger(person, part)
            self._seen.recorded(session, part, visit.now)
        at, understood = _asked(query)
        if "step" in query:
            body = await self._asking.ward(person.agency, None)
            moments = [datetime.fromisoformat(one) for one in body.get("steps", [])]
            at, understood = _step_of(moments, query["step"])
        body = await self._asking.ward(person.agency, at)
        if not body.get("ready"):
            return self._pages.render(
                visit, "replay/reading.html", folded=body.get("folded"), of=body.get("of")
            )
        now = self._clock.now()
        steps = Steps([datetime.fromisoformat(one) for one in body["steps"]], at)
        place = self._place(visit, "/replay/ward", steps, now)
        # Of many steps the slider has some; these two lead to the very next ones.
        for name in ("previous", "next"):
            told = body[name]
            place[name] = mark(datetime.fromisoformat(told)) if told is not None else None
        context = {**place, "told": body, "understood": understood}
        return self._shown(visit, "replay/ward.html", "replay/ward_then.html", context)

    # -- is it whole -----------------------------------------------------------------------------

    async def _verify(self, visit: Visit) -> Response[bytes]:
        await self._looks.record_of_ledger(visit.person, LedgerPart.VERIFY)
        await self._asking.verify(visit.person.agency, start=True)
        return visit.goes_to("/replay/verify")

    async def _verifying(self, visit: Visit) -> Response[bytes]:
        agency = visit.person.agency
        told = await self._asking.verify(agency, start=False)
        report = told.get("report")
        context = {
            "told": told,
            "report": report,
            "kind_said": lambda kind: said(kind, visit.words),
            "exit_code": EXIT_CODES.get(report["kind"]) if report is not None else None,
            "checkpoint": await self._asking.checkpoint(agency),
            "exactly": lambda moment: exactly(_moment(moment), visit.words),
        }
        return self._shown(visit, "replay/verify.html", "replay/verify_now.html", context)

    async def _note(self, visit: Visit) -> Response[bytes]:
        """The newest checkpoint, to keep (C2SP signed note)."""
        checkpoint = await self._asking.checkpoint(visit.person.agency)
        if not checkpoint.get("note"):
            return self._reception.refused(visit, HTTPStatus.NOT_FOUND, "not_found")
        name = f"checkpoint-{self._ward.code}-{checkpoint['size']}.txt"
        return _file(checkpoint["note"].encode(), name, "text/plain; charset=utf-8")

    # -- what both have --------------------------------------------------------------------------

    def _place(
        self, visit: Visit, path: str, steps: Steps, now: datetime, *, known: bool = False
    ) -> dict[str, Any]:
        """Where on the way one stands, and how to go on from there."""
        moment = steps.at or now

        def link(at: str | None, known: bool = known) -> str:
            more = {"at": at, "known": "1" if known and at else None}
            query = urlencode({name: value for name, value in more.items() if value})
            return f"{path}?{query}" if query else path

        return {
            "path": path,
            "link": link,
            "at": steps.at,
            "moment_mark": mark(moment),
            "moment_said": exactly(moment, visit.words),
            "moment_typed": typed(moment),
            "exactly": lambda one: exactly(_moment(one), visit.words),
            "marked": lambda one: mark(_moment(one)),
            "span_to": lambda one: visit.words.span(abs(_moment(one) - moment)),
            "index": steps.index,
            "marks": [mark(one) for one in steps.moments],
            "first": mark(steps.first) if steps.first else None,
            "previous": mark(steps.previous) if steps.previous else None,
            "next": mark(steps.next) if steps.next else None,
        }

    def _shown(
        self, visit: Visit, whole: str, part: str, context: Mapping[str, Any]
    ) -> Response[bytes]:
        """The page; or the part of it that changes with the moment, for the script."""
        if visit.query.get("part") == "1":
            body = self._pages.html(visit, part, **context)
            return Response(body.encode(), media_type=HTML, headers=HEADERS)
        return self._pages.render(visit, whole, part=part, **context)

    def _broken(self, visit: Visit, body: JsonObject) -> Response[bytes]:
        return self._pages.render(visit, "replay/broken.html", problem=body["problem"])


def _asked(query: Mapping[str, str]) -> tuple[datetime | None, bool]:
    """The moment that is asked for, None for now; and whether it was one."""
    text = query.get("at", "")
    at = read_mark(text) if text else None
    return at, at is not None or not text


def _step_of(moments: list[datetime], step: str) -> tuple[datetime | None, bool]:
    if not (step.isascii() and step.isdecimal() and len(step) < 7) or not moments:
        return None, False
    return moments[min(int(step), len(moments) - 1)], True


def _half_width(ref: str) -> str:
    """A number as it was typed, with a Japanese keyboard perhaps."""
    table = {
        ord(full): half
        for full, half in zip("０１２３４５６７８９－ー−", "0123456789---", strict=True)
    }
    return ref.translate(table)


def _moment(moment: datetime | str) -> datetime:
    return moment if isinstance(moment, datetime) else datetime.fromisoformat(moment)


def _file(body: bytes, name: str, media_type: str) -> Response[bytes]:
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(body, media_type=media_type, headers=headers)
