"""What is done about a call (応答・判定・解決・打診), and what is said of it: one deed for one form sent,
however often it arrives."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from http import HTTPStatus
from typing import Any
from uuid import UUID

from litestar import Response
from pydantic_core import to_json

from runtime.broker import NoAnswer
from schemas.base import JsonObject
from schemas.codes import Disposition, EscalationState, HandoffKind, HandoffState, Stage
from schemas.outside import JAPAN
from schemas.problems import MEANINGS, ProblemCode
from services.console.board.call import CallPage, Known, Problem
from services.console.board.rows import answered_already, is_undecided
from services.console.line import Line, Said
from services.console.pages import HEADERS, Pages
from services.console.visit import Flash, Visit, local_path, new_key
from wards.model import Ward

JSON = "application/json"
_FIELDS = {"text": "text", "note": "text", "to": "to", "disposition": "disposition",
           "district": "district", "function": "function", "kind": "kind"}  # fmt: skip
_UNANSWERED = (
    "いま返事がありません。数秒おいて、このままもう一度送ってください。二重にはなりません。",
    "There is no answer just now. Send it once more in a few seconds, as it is; it will not count twice.",
)
_NAMES = {
    "acknowledge": ("応答する", "Acknowledge"),
    "rule": ("地区を判定する", "Rule the district"),
    "resolve": ("対応を決める", "Decide what becomes of it"),
    "offer": ("他機関に打診する", "Ask other agencies"),
    "withdraw": ("打診を取り下げる", "Withdraw an offer"),
}
Row = Callable[[Visit, UUID], Awaitable[tuple[int, str]]]
Deed = Callable[["Answering", Visit], Awaitable[Response[bytes]]]


def _or_again(act: Deed) -> Deed:
    """Where nobody answers, whoever typed something has it still."""

    @wraps(act)
    async def deed(self: "Answering", visit: Visit) -> Response[bytes]:
        try:
            return await act(self, visit)
        except NoAnswer:
            return self.again(visit, HTTPStatus.SERVICE_UNAVAILABLE)

    return deed


@dataclass(frozen=True, slots=True)
class Done:
    """What is said when it is done. ``undo``: the last part of the path that takes it back."""

    ja: str
    en: str
    undo: str | None = None
    undo_fields: dict[str, str] = field(default_factory=dict)
    back: str = ""
    """Where one goes on, if not where one was."""


class Answering:
    def __init__(self, ward: Ward, pages: Pages, line: Line, page: CallPage, row: Row) -> None:
        """``row``: a call's row on the board as it stands, and the number of its newest change."""
        self._ward = ward
        self._pages = pages
        self._line = line
        self._page = page
        self._row = row

    # -- deeds -----------------------------------------------------------------------------------

    @_or_again
    async def acknowledge(self, visit: Visit) -> Response[bytes]:
        known = await self._page.read(visit)
        if known is None:
            return self._page.unknown(visit)
        advise = visit.form.get("advise_only") == "yes"
        body = _with_text(visit, {"advise_only": advise})
        said = await self._call(visit, "acknowledge_escalation", str(known.call.id), body)
        took = said.done and not said.pending and said.body.get("custodian") == visit.person.agency
        done = Done("応答しました。", "Acknowledged.")
        if advise:
            done = Done("助言のみで応答しました。", "Acknowledged, advising only.")
        elif took and known.referral.custodian != visit.person.agency:
            done = Done("応答し、担当になりました。", "Acknowledged; you hold the case now.")
            if not self._waits_for_ruling(known):
                back_to = {"disposition": str(Disposition.RETURNED)}
                done = Done(done.ja, done.en, "resolve", back_to)
        return await self._answer(visit, known, said, done)

    @_or_again
    async def rule(self, visit: Visit) -> Response[bytes]:
        known = await self._page.read(visit)
        if known is None:
            return self._page.unknown(visit)
        district = visit.form.get("district")
        if self._ward.district(district) is None:
            words = visit.t("地区を選んでください。", "Choose a district.")
            return await self._refuse(visit, known, 422, Problem(words, (("district", words),)))
        remember = visit.form.get("remember") == "yes"
        body = _with_text(visit, {"district": district, "remember": remember})
        said = await self._call(visit, "rule_district", str(known.referral.id), body)
        name = visit.words.district(district)
        done = Done(
            f"{name}と判定しました。変えるときは、ここで判定し直せます。",
            f"Ruled: {name}. You can rule anew here.",
            back=f"/board/{known.call.id}",
        )
        return await self._answer(visit, known, said, done)

    @_or_again
    async def resolve(self, visit: Visit) -> Response[bytes]:
        known = await self._page.read(visit)
        if known is None:
            return self._page.unknown(visit)
        try:
            disposition = Disposition(visit.form.get("disposition"))
        except ValueError:
            words = visit.t("対応を選んでください。", "Choose what becomes of it.")
            problem = Problem(words, (("disposition", words),))
            return await self._refuse(visit, known, 422, problem)
        body: JsonObject = {"disposition": str(disposition)}
        to = visit.form.text("to")
        if disposition is Disposition.REASSIGNED and to is None:
            words = visit.t("つなぐ先を選んでください。", "Choose the agency it goes to.")
            return await self._refuse(visit, known, 422, Problem(words, (("to", words),)))
        if to is not None and disposition in (Disposition.REASSIGNED, Disposition.RETURNED):
            body["to"] = to
        said = await self._call(
            visit, "resolve_escalation", str(known.call.id), _with_text(visit, body)
        )
        return await self._answer(visit, known, said, self._resolved(visit, known, said, body))

    def _resolved(self, visit: Visit, known: Known, said: Said, body: JsonObject) -> Done:
        match body["disposition"]:
            case Disposition.RETURNED:
                done = ("戻す打診をしました。受諾までは担当のままです。",
                        "Offered back. You hold the case until it is accepted.")  # fmt: skip
            case Disposition.REASSIGNED:
                name = visit.words.agency(body["to"])
                done = (f"{name}に打診しました。受諾までは担当のままです。",
                        f"Offered to {name}. You hold the case until it is accepted.")  # fmt: skip
            case Disposition.KEPT:
                return Done("担当を続けることにしました。", "You keep the case.")
            case _:
                return Done("助言して解決しました。", "Resolved with advice.")
        return Done(*done, *self._withdrawal(known, said))

    @_or_again
    async def offer(self, visit: Visit) -> Response[bytes]:
        known = await self._page.read(visit)
        if known is None:
            return self._page.unknown(visit)
        to = list(dict.fromkeys(visit.form.all("offer_to")))
        kind = visit.form.get("kind")
        if not to and kind != HandoffKind.REQUEST:
            words = visit.t("打診する機関を選んでください。", "Choose whom to ask.")
            return await self._refuse(visit, known, 422, Problem(words, (("offer_to", words),)))
        body: JsonObject = {"kind": kind} | ({"to": to} if to else {})
        function, note = visit.form.text("function"), visit.form.text("text")
        body |= ({"function": function} if function else {}) | ({"note": note} if note else {})
        said = await self._call(visit, "offer_handoff", str(known.referral.id), body)
        undo, fields = self._withdrawal(known, said)
        done = Done("打診しました。", "Asked.", undo, fields)
        return await self._answer(visit, known, said, done)

    @_or_again
    async def withdraw(self, visit: Visit) -> Response[bytes]:
        """One offer, or all those that one deed made."""
        known = await self._page.read(visit)
        if known is None:
            return self._page.unknown(visit)
        standing = {str(h.id) for h in known.referral.handoffs if h.state is HandoffState.OFFERED}
        asked = visit.form.get("handoffs").split()[:20]
        said: Said | None = None
        for handoff in asked:
            # What somebody has answered meanwhile stays answered.
            if handoff in standing or len(asked) == 1:
                said = await self._call(visit, "withdraw_handoff", handoff, {}, handoff)
                if not said.done:
                    break
        if said is None:
            words = visit.t(
                "その打診はもうありません。すでに答えがあったか、取り下げられています。",
                "That offer no longer stands: it was answered or withdrawn.",
            )
            return await self._refuse(visit, known, 409, Problem(words, quicker=True))
        done = Done("打診を取り下げました。", "The offer was withdrawn.")
        return await self._answer(visit, known, said, done)

    # -- how -------------------------------------------------------------------------------------

    async def _call(
        self, visit: Visit, name: str, ref: str, body: JsonObject, part: str = ""
    ) -> Said:
        key = _key(visit, name, ref, part)
        return await self._line.call(visit.person, name, ref=ref, body=body, key=key)

    def _waits_for_ruling(self, known: Known) -> bool:
        waits = known.referral.stage is Stage.AWAITING_RULING
        return waits and is_undecided(known.call.code, self._ward)

    @staticmethod
    def _withdrawal(known: Known, said: Said) -> tuple[str | None, dict[str, str]]:
        """The deed that takes back the offers that were made just now."""
        if not said.done or said.pending:
            return None, {}
        before = {str(h.id) for h in known.referral.handoffs}
        made = [
            h["id"]
            for h in said.body.get("handoffs", ())
            if h["id"] not in before and h["state"] == HandoffState.OFFERED
        ]
        return ("withdraw", {"handoffs": " ".join(made)}) if made else (None, {})

    async def _answer(self, visit: Visit, known: Known, said: Said, done: Done) -> Response[bytes]:
        if said.unsure:
            return self.again(visit, said.status)
        if not said.done:
            now = await self._now(visit, known)
            problem = _problem(visit, now, said)
            return await self._refuse(visit, now, said.status, problem)
        if said.pending:
            done = Done(
                "受け付けました。反映を待っています。", "Taken. Waiting for it to take effect."
            )
        back = _back(visit)
        undo, fields = None, dict[str, str]()
        if done.undo is not None:
            undo = f"/board/{known.call.id}/{done.undo}"
            fields = done.undo_fields | {"back": back}
        flash = Flash(done.ja, done.en, undo=undo, undo_fields=fields)
        if visit.request.headers.get("accept") == JSON:
            return await self._json(visit, known, 200, flash, done.back)
        visit.flashes.add(visit.person.session, flash)
        own = f"/board/{known.call.id}"
        goes = done.back or back
        return visit.goes_to(goes if goes == own else f"{goes}#call-{known.call.id}")

    async def _refuse(
        self, visit: Visit, known: Known, status: int, problem: Problem
    ) -> Response[bytes]:
        if visit.request.headers.get("accept") == JSON:
            flash = Flash(problem.words, problem.words, alert=True)
            return await self._json(visit, known, status, flash, "")
        return await self._page.show(visit, known, status, problem)

    async def _now(self, visit: Visit, known: Known) -> Known:
        try:
            return await self._page.read(visit) or known
        except NoAnswer:
            return known

    def again(self, visit: Visit, status: int) -> Response[bytes]:
        """The form by itself, as it was sent and with its key: it may have been taken all the same."""
        call, deed = visit.path("escalation"), visit.request.url.path.rpartition("/")[2]
        why = visit.t(*_UNANSWERED)
        if visit.request.headers.get("accept") == JSON:
            note = self._pages.html(
                visit, "board/said.html", said=Flash(*_UNANSWERED, alert=True), link=""
            )
            told = {"said": why, "alert": True, "note": note, "id": call, "change": 0, "html": ""}
            return Response(to_json(told), status_code=status, media_type=JSON, headers=HEADERS)
        form = visit.form.masked()
        not_again = ("csrf", "key", "text")
        response = self._pages.render(
            visit,
            "board/again.html",
            status,
            what=visit.t(*_NAMES[deed]),
            why=why,
            chosen=_chosen(visit),
            path=visit.request.url.path,
            fields=[item for item in form.items() if item[0] not in not_again],
            text=form.get("text"),
            same_key=form.get("key") or new_key(),
            back=_back(visit),
        )
        response.headers["Retry-After"] = "5"
        return response

    async def _json(
        self, visit: Visit, known: Known, status: int, flash: Flash, link: str
    ) -> Response[bytes]:
        """For the board's own script, which stays where it is."""
        try:
            change, html = await self._row(visit, known.call.id)
        except NoAnswer:
            change, html = 0, ""  # it comes with the stream
        told = {
            "said": visit.t(flash.ja, flash.en),
            "alert": flash.alert,
            "note": self._pages.html(visit, "board/said.html", said=flash, link=link),
            "id": str(known.call.id),
            "change": change,
            "html": html,
        }
        return Response(to_json(told), status_code=status, media_type=JSON, headers=HEADERS)


def _with_text(visit: Visit, body: JsonObject) -> JsonObject:
    text = visit.form.text("text")
    return body if text is None else body | {"text": text}


def _chosen(visit: Visit) -> list[tuple[str, str]]:
    """What was chosen in a form, in words; what was typed is none of it."""
    form, words = visit.form, visit.words
    given = {
        visit.t("応答", "Acknowledge"): [
            visit.t("助言のみ", "Advise only") for how in form.all("advise_only") if how == "yes"
        ],
        visit.t("対応", "What becomes of it"): [
            words.code(way, "Disposition") for way in form.all("disposition")
        ],
        visit.t("つなぐ先", "Hand on to"): [words.agency(each) for each in form.all("to") if each],
        visit.t("地区", "District"): [words.district(each) for each in form.all("district")],
        visit.t("打診の種類", "What is asked"): [
            words.code(kind, "HandoffKind") for kind in form.all("kind")
        ],
        visit.t("打診する機関", "Whom to ask"): [
            words.agency(each) for each in form.all("offer_to")
        ],
        visit.t("求める機能", "Function"): [
            words.term("functions", each) for each in form.all("function") if each
        ],
    }
    return [(name, visit.t("、", ", ").join(those)) for name, those in given.items()]


def _back(visit: Visit) -> str:
    path = local_path(visit.form.get("back"), "/board")
    return path if path.split("?")[0].split("/")[1] == "board" else "/board"


def _key(visit: Visit, *what: str) -> str:
    """One for one showing of a form, one deed and what was typed. Letters only: digits could look like a
    number that must not be written anywhere."""
    shown = visit.form.get("key") or new_key()
    not_typed = ("csrf", "key", "back")
    # A field that was left empty is none, in whichever form.
    typed = sorted(item for item in visit.form.items() if item[1] and item[0] not in not_typed)
    material = to_json([visit.person.session, shown, what, typed])
    digest = hashlib.sha256(material).hexdigest()
    return digest.translate(str.maketrans("0123456789abcdef", "abcdefghijklmnop"))


def _problem(visit: Visit, now: Known, said: Said) -> Problem:
    body: dict[str, Any] = said.body
    try:
        code = ProblemCode(str(body.get("code")))
    except ValueError:
        code = ProblemCode.INTERNAL
    call = now.call
    if code is ProblemCode.ALREADY_ANSWERED:
        if call.state is EscalationState.RESOLVED and call.resolved_at is not None:
            at, how = _at(call.resolved_at), visit.words.code(call.disposition, "Disposition")
            words = visit.t(f"{at} に解決済みです（{how}）。", f"Already resolved at {at} ({how}).")
            return Problem(words, quicker=True)
        if call.acknowledged_by is not None:
            words = answered_already(
                call.acknowledged_by, call.acknowledged_at, visit.person, visit.words
            )
            return Problem(words, quicker=True)
    district = now.referral.district
    if code is ProblemCode.NOT_AWAITING_RULING and district is not None and district.id is not None:
        name = visit.words.district(district.id)
        words = visit.t(f"すでに{name}と判定済みです。", f"It was ruled already: {name}.")
        return Problem(words, quicker=True)
    meaning = MEANINGS[code]
    fields = tuple(
        (_FIELDS.get(error["pointer"].split("/")[1], ""), visit.words.of_two(error["detail"]))
        for error in body.get("errors", ())
        if error["pointer"].startswith("/")
    )
    return Problem(visit.t(meaning.ja, meaning.en), fields)


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(JAPAN):%H:%M}"
