"""Answers to offers (打診への返事): accept and decline, on whichever page the offer is shown.

The forms are ``templates/deeds.html``; ``back`` in them is the page they stand on. Neither answer can be
taken back: custody has moved, or the network has already asked somebody else.
"""

from dataclasses import dataclass, field
from http import HTTPStatus
from uuid import UUID

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from runtime.broker import NoAnswer
from schemas.base import JsonObject
from schemas.my_number import masked
from schemas.problems import MEANINGS, ProblemCode
from services.console.line import Line, Said
from services.console.pages import Pages
from services.console.person import Role
from services.console.reception import Reception
from services.console.visit import Visit, local_path, new_key
from wards.terms import DeclineReason

ANSWERERS = (Role.CORE, Role.STAFF, Role.WARD)
_GONE = (ProblemCode.ALREADY_ANSWERED, ProblemCode.NOT_OFFERED, ProblemCode.ALREADY_CLOSED)
_FIELDS = {"/reason": "reason", "/said_by": "said_by", "/text": "text"}
_UNANSWERED = (
    "いま返事がありません。数秒おいて、そのままもう一度押してください。二重にはなりません",
    "There is no answer just now. Press the button again in a few seconds; it will not count twice",
)


@dataclass(slots=True)
class Answer:
    """An answer as it was typed, and what was wrong with it. ``deed``: accept or decline."""

    deed: str
    handoff: str
    back: str
    key: str
    said_by: str = ""
    reason: str = ""
    text: str = ""
    kind: str = "transfer"
    problems: dict[str, str] = field(default_factory=dict)
    general: str = ""


class Deeds:
    def __init__(self, reception: Reception, pages: Pages, line: Line) -> None:
        self._reception = reception
        self._pages = pages
        self._line = line

    def handlers(self) -> list[HTTPRouteHandler]:
        at = self._reception
        return [
            at.deed("/handoffs/{handoff:str}/accept", "accept", ANSWERERS, self._accept),
            at.deed("/handoffs/{handoff:str}/decline", "decline", ANSWERERS, self._decline),
        ]

    async def _accept(self, visit: Visit) -> Response[bytes]:
        answer = _typed(visit, "accept")
        if answer is None:
            return self._reception.refused(visit, HTTPStatus.NOT_FOUND, "not_found")
        return await self._give(visit, answer, "accept_handoff", _with_text({}, answer))

    async def _decline(self, visit: Visit) -> Response[bytes]:
        answer = _typed(visit, "decline")
        if answer is None:
            return self._reception.refused(visit, HTTPStatus.NOT_FOUND, "not_found")
        answer.problems = _missing(visit, answer)
        if answer.problems:
            return self._again(visit, answer, HTTPStatus.UNPROCESSABLE_ENTITY)
        body = _with_text({"said_by": answer.said_by, "reason": answer.reason}, answer)
        return await self._give(visit, answer, "decline_handoff", body)

    async def _give(
        self, visit: Visit, answer: Answer, name: str, body: JsonObject
    ) -> Response[bytes]:
        try:
            said = await self._line.call(
                visit.person, name, ref=answer.handoff, body=body, key=answer.key
            )
        except NoAnswer:
            answer.general = visit.t(*_UNANSWERED)
            return self._again(visit, answer, HTTPStatus.SERVICE_UNAVAILABLE)
        if said.done:
            visit.flash(*_done(visit, answer, said))
            return visit.goes_to(answer.back)
        if said.code in _GONE:
            meaning = MEANINGS[ProblemCode(said.code)]
            visit.flash(
                f"この打診にはもう返事ができません。{meaning.ja}",
                f"This offer can no longer be answered. {meaning.en}",
                alert=True,
            )
            return visit.goes_to(answer.back)
        if not said.unsure:
            answer.key = new_key()
        for error in said.body.get("errors", ()):
            words = visit.words.of_two(str(error["detail"]))
            at = _FIELDS.get(str(error["pointer"]))
            if at is None:
                answer.general = words
            else:
                answer.problems[at] = words
        if not answer.problems and not answer.general:
            answer.general = visit.words.of_two(str(said.body.get("detail", "")))
        return self._again(visit, answer, said.status)

    def _again(self, visit: Visit, answer: Answer, status: int) -> Response[bytes]:
        """The form by itself, with what was typed."""
        answer.text = masked(answer.text)
        return self._pages.render(visit, "deeds_again.html", int(status), answer=answer)


def _typed(visit: Visit, deed: str) -> Answer | None:
    """None: the path names no offer."""
    try:
        handoff = str(UUID(visit.path("handoff")))
    except ValueError:
        return None
    form = visit.form
    key = form.get("key")
    fits = 1 <= len(key) <= 128 and key.isascii() and key.isprintable()
    return Answer(
        deed,
        handoff,
        local_path(form.get("back"), "/inbox"),
        key if fits else new_key(),
        form.get("said_by"),
        form.get("reason"),
        form.get("text"),
        form.get("kind"),
    )


def _with_text(body: JsonObject, answer: Answer) -> JsonObject:
    text = answer.text.strip()
    return {**body, "text": text} if text else body


def _missing(visit: Visit, answer: Answer) -> dict[str, str]:
    t, problems = visit.t, {}
    reason = visit.words.ward.term("decline_reasons", answer.reason)
    if not isinstance(reason, DeclineReason):
        problems["reason"] = t("理由を選んでください", "Choose a reason")
    if answer.said_by not in ("agency", "person"):
        problems["said_by"] = t("断ったのは誰かを選んでください", "Choose who said no")
    elif isinstance(reason, DeclineReason) and answer.said_by not in reason.said_by:
        problems["said_by"] = t("この理由とは合いません", "Does not go with this reason")
    if isinstance(reason, DeclineReason) and reason.needs_text and not answer.text.strip():
        problems["text"] = t("この理由には説明が要ります", "This reason needs a few words")
    return problems


def _done(visit: Visit, answer: Answer, said: Said) -> tuple[str, str]:
    if said.pending:
        return (
            "返事を送りました。反映まで少しかかります。",
            "Your answer is on its way; it shows here in a moment.",
        )
    if answer.deed == "decline":
        return (
            "辞退しました。ネットワークが次の機関をさがします。",
            "Declined. The network looks for another agency.",
        )
    if said.body.get("custodian") == visit.person.agency:
        return ("受諾しました。担当は貴機関です。", "Accepted. Your agency is responsible now.")
    return ("受諾しました。", "Accepted.")
