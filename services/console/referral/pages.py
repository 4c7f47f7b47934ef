"""A referral's page (相談の画面): how it stands, the way it went, what may be done now; and the list."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.engine import Engine

from runtime.broker import NoAnswer
from runtime.clock import Clock
from schemas import queries as q
from schemas.codes import Stage, Urgency
from schemas.looks import LookedAt
from schemas.outside import JAPAN, local_day
from schemas.partner import ReferralGiven
from schemas.telling import Names
from services.console.forms import Form
from services.console.line import Line, Said
from services.console.looks import Looks
from services.console.pages import HEADERS, Pages
from services.console.person import EVERYBODY, Role
from services.console.picture.band import story
from services.console.picture.drawing import draw
from services.console.picture.heard import lines
from services.console.picture.signs import FRAMES, SIGNS
from services.console.reception import Reception
from services.console.referral import receipts, steps
from services.console.referral.attachments import AttachmentsRoom
from services.console.referral.numbers import number_of
from services.console.referral.openings import OPEN_FOR, Openings
from services.console.referral.possible import Possible, possible
from services.console.referral.seen import Seen, masked, opened, why_shut
from services.console.visit import Flash, Visit, new_key
from wards.model import Ward

DOERS = (Role.CORE, Role.STAFF, Role.WARD)
ROWS = 50
_LONGEST_TYPED = 200
_UNANSWERED = (
    "いま返事がありません。書いたものは残っています。数秒おいて、そのままもう一度押してください。二重にはなりません。",
    "There is no answer just now. What you wrote is still here: press the button again in a few seconds; it "
    "will not count twice.",
)


@dataclass(slots=True)
class Problem:
    """A deed that was not done, and why. ``form``: what was typed; ``key``: under which it may be sent once
    more. ``quicker``: the case has changed meanwhile. ``left``: words whose form is gone."""

    deed: str
    handoff: str
    form: Form
    told: steps.Problems
    key: str = field(default_factory=new_key)
    quicker: bool = False
    left: str = ""

    def at(self, name: str) -> str:
        return next((words for at, words in self.told if at == name), "")


class ReferralRoom:
    def __init__(
        self,
        engine: Engine,
        ward: Ward,
        clock: Clock,
        reception: Reception,
        pages: Pages,
        line: Line,
        looks: Looks,
    ) -> None:
        self._ward = ward
        self._names = Names.of(ward)
        self._reception = reception
        self._pages = pages
        self._line = line
        self._looks = looks
        self._openings = Openings(engine, clock)

    def handlers(self) -> list[HTTPRouteHandler]:
        at, one = self._reception, "/referrals/{ref:str}"
        return [
            at.page("/referrals", "referrals", EVERYBODY, self._list),
            at.deed("/referrals", "referrals", EVERYBODY, self._find),
            at.page(one, "referral", EVERYBODY, self._page),
            at.deed(f"{one}/open", "referral_open", DOERS, self._open),
            at.deed(f"{one}/shut", "referral_open", EVERYBODY, self._shut),
            at.deed(f"{one}/do/{{deed:str}}", "referral_deed", DOERS, self._do),
            at.page(f"{one}/receipts/{{event:str}}", "receipt", EVERYBODY, self._receipt),
            *AttachmentsRoom(
                at, self._line, self._looks, self._openings, self._attach_again
            ).handlers(),
        ]

    # -- the list --------------------------------------------------------------------------------

    async def _find(self, visit: Visit) -> Response[bytes]:
        """Posted, so that a name that was typed by mistake stands in no address."""
        typed = visit.form.get("number").strip()[:_LONGEST_TYPED]
        if not typed:
            return visit.goes_to("/referrals")
        ref = _id(typed) or number_of(typed, self._ward.code, visit.now.astimezone(JAPAN).year)
        if ref is not None and await self._is_there(visit, ref):
            return visit.goes_to(f"/referrals/{ref}")
        return await self._list(visit, typed)

    async def _list(self, visit: Visit, typed: str = "") -> Response[bytes]:
        """``typed``: what was looked for and is not there."""
        query = visit.query
        stage, urgency = (
            _code_of(Stage, query.get("stage")),
            _code_of(Urgency, query.get("urgency")),
        )
        before = query.get("before", "")
        mine = query.get("mine") == "yes"
        question = q.ListReferrals(
            agency=visit.person.agency,
            stage=stage,
            urgency=urgency,
            custodian=visit.person.agency if mine else None,
            before=int(before)
            if before.isascii() and before.isdecimal() and len(before) < 16
            else None,
            limit=ROWS,
        )
        told = await self._line.ask("referral", "list", question)
        kept = {
            "stage": str(stage or ""),
            "urgency": str(urgency or ""),
            "mine": "yes" if mine else "",
        }
        kept = {name: value for name, value in kept.items() if value}
        older = told.body.get("next")
        return self._pages.render(
            visit,
            "referral/list.html",
            HTTPStatus.NOT_FOUND if typed else HTTPStatus.OK,
            rows=[ReferralGiven.model_validate(row) for row in told.body["items"]],
            chosen=kept,
            typed=typed,
            stages=list(Stage),
            urgencies=list(Urgency),
            older=f"/referrals?{urlencode({**kept, 'before': older})}" if older else "",
            newest=f"/referrals?{urlencode(kept)}" if question.before is not None else "",
        )

    async def _is_there(self, visit: Visit, ref: str) -> bool:
        question = q.Locate.model_validate({"agency": visit.person.agency, "ref": ref})
        return (await self._line.ask("referral", "locate", question)).found

    # -- one referral ----------------------------------------------------------------------------

    async def _page(self, visit: Visit) -> Response[bytes]:
        seen = await masked(self._line, visit.person, visit.path("ref"))
        if seen is None:
            return self._unknown(visit)
        return await self._show(visit, seen)

    def _unknown(self, visit: Visit) -> Response[bytes]:
        # What does not exist and what is none of one's business look the same.
        return self._reception.refused(visit, HTTPStatus.NOT_FOUND, "not_found")

    async def _show(
        self, visit: Visit, seen: Seen, status: int = 200, problem: Problem | None = None
    ) -> Response[bytes]:
        person, referral = visit.person, seen.referral
        await self._looks.record(person, referral.id, LookedAt.PAGE)
        opening = await self._openings.find(person.session, referral.id)
        cannot_open = False
        if opening is not None and seen.opens:
            await self._looks.record(person, referral.id, LookedAt.PERSONAL, opening.basis)
            try:
                seen = await opened(self._line, person, seen)
            except NoAnswer:
                cannot_open = True
        may = self._may(visit, seen.referral)
        if problem is not None and not may.allows(problem.deed, problem.handoff):
            problem.left = problem.form.get("text").strip()
        return self._pages.render(
            visit,
            "referral/page.html",
            int(status),
            referral=seen.referral,
            seen=seen,
            may=may,
            problem=problem,
            opening=opening if seen.opened else None,
            cannot_open=cannot_open,
            why_shut="" if seen.opens else visit.t(*why_shut(referral, person)),
            bases=self._bases(visit, referral),
            open_for=int(OPEN_FOR.total_seconds() // 60),
            reads_only=person.role is Role.AUDITOR,
            drawing=draw(story(seen.heard, visit.now)),
            signs=SIGNS,
            frames=FRAMES,
            told=lines(seen.heard, self._names),
            agencies=visit.words.agency,
        )

    def _may(self, visit: Visit, referral: ReferralGiven) -> Possible:
        return possible(referral, visit.person.agency, self._ward, local_day(visit.now))

    def _bases(self, visit: Visit, referral: ReferralGiven) -> list[tuple[str, str]]:
        """Grounds on which something may be disclosed; the one on record is the first choice."""
        return [
            (basis.code, f"{visit.t(basis.ja, basis.en)}（{basis.code}）")
            for basis in self._ward.consent_bases
            if basis.discloses
        ]

    # -- opening what is personal ----------------------------------------------------------------

    async def _open(self, visit: Visit) -> Response[bytes]:
        person = visit.person
        seen = await masked(self._line, person, visit.path("ref"))
        if seen is None:
            return self._unknown(visit)
        basis = visit.form.get("basis")
        if not seen.opens:
            visit.flash(*why_shut(seen.referral, person), alert=True)
        elif basis not in dict(self._bases(visit, seen.referral)):
            words = visit.t("根拠を選んでください", "Choose the basis")
            problem = Problem("open", "", visit.form, [("basis", words)])
            return await self._show(visit, seen, HTTPStatus.UNPROCESSABLE_ENTITY, problem)
        else:
            # The look is on record, with its basis, before the page shows anything of it.
            await self._openings.open(person.session, seen.referral.id, basis)
        return visit.goes_to(f"/referrals/{seen.referral.id}#personal")

    async def _shut(self, visit: Visit) -> Response[bytes]:
        try:
            referral = UUID(visit.path("ref"))
        except ValueError:
            return self._unknown(visit)
        await self._openings.shut(visit.person.session, referral)
        visit.flash("個人情報を閉じました。", "Personal data is masked again.")
        return visit.goes_to(f"/referrals/{referral}")

    # -- what is done ----------------------------------------------------------------------------

    async def _do(self, visit: Visit) -> Response[bytes]:
        deed = visit.path("deed")
        if deed not in steps.STEPS:
            return self._unknown(visit)
        try:
            seen = await masked(self._line, visit.person, visit.path("ref"))
        except NoAnswer:
            return self._kept(visit)
        if seen is None:
            return self._unknown(visit)
        step, form = steps.STEPS[deed], visit.form
        # One field of a form, so that several are taken back by one press.
        handoffs = form.get("handoff").split() if step.about == "handoff" else []
        targets = handoffs if step.about == "handoff" else [str(seen.referral.id)]
        told = steps.missing(deed, form, visit.words)
        if not targets or len(targets) > len(seen.referral.handoffs) + 1:
            return self._unknown(visit)
        handoff = targets[0] if handoffs else ""
        if told:
            problem = Problem(deed, handoff, form, told)
            return await self._show(visit, seen, HTTPStatus.UNPROCESSABLE_ENTITY, problem)
        said: Said | None = None
        for target in targets:
            key = steps.key_of(form, visit.person.session, deed, target)
            try:
                said = await self._line.call(
                    visit.person, step.call, ref=target, body=step.body(form), key=key
                )
            except NoAnswer:
                return await self._unanswered(visit, seen, deed, handoff)
            if not said.done:
                return await self._refuse(visit, seen, deed, target if handoffs else "", said)
        if said is not None:
            self._tell(visit, seen, deed, said)
        return visit.goes_to(f"/referrals/{seen.referral.id}")

    async def _unanswered(
        self, visit: Visit, seen: Seen, deed: str, handoff: str
    ) -> Response[bytes]:
        """The same form with the same key: it is one deed, however often it is sent."""
        told = [("", visit.t(*_UNANSWERED))]
        key = visit.form.get("key") or new_key()
        problem = Problem(deed, handoff, visit.form.masked(), told, key)
        return await self._show(visit, seen, HTTPStatus.SERVICE_UNAVAILABLE, problem)

    def _kept(self, visit: Visit) -> Response[bytes]:
        """Where not even how it stands can be had: nothing but the form, to be sent again with its key."""
        kept = visit.form.kept()
        response = self._pages.render(
            visit,
            "referral/kept.html",
            int(HTTPStatus.SERVICE_UNAVAILABLE),
            path=visit.request.url.path,
            text="".join(value for name, value in kept if name == "text"),
            kept=[item for item in kept if item[0] != "text"],
        )
        response.headers["Retry-After"] = "5"
        return response

    async def _refuse(
        self, visit: Visit, seen: Seen, deed: str, handoff: str, said: Said
    ) -> Response[bytes]:
        if said.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return await self._unanswered(visit, seen, deed, handoff)
        try:
            now = await masked(self._line, visit.person, str(seen.referral.id)) or seen
        except NoAnswer:
            now = seen
        told = steps.refused(said, visit.words)
        quicker = said.code in steps.QUICKER
        problem = Problem(deed, handoff, visit.form.masked(), told, quicker=quicker)
        return await self._show(visit, now, said.status, problem)

    def _tell(self, visit: Visit, seen: Seen, deed: str, said: Said) -> None:
        step, own = steps.STEPS[deed], f"/referrals/{seen.referral.id}"
        if said.pending:
            visit.flash(
                "受け付けました。反映まで少しかかります。",
                "Taken. It takes effect in a moment.",
            )
            return
        undo: str | None = None
        fields: Mapping[str, str] = {}
        if deed == "offer":
            made = steps.made_offers({str(h.id) for h in seen.referral.handoffs}, said)
            if made:
                undo, fields = f"{own}/do/withdraw", {"handoff": " ".join(made)}
        elif deed == "close":
            undo = f"{own}/do/reopen"
        said_once = Flash(step.ja, step.en, undo=undo, undo_fields=fields)
        visit.flashes.add(visit.person.session, said_once)

    async def _attach_again(
        self, visit: Visit, seen: Seen, status: int, told: str
    ) -> Response[bytes]:
        key = visit.form.get("key") or new_key()
        problem = Problem("attach", "", visit.form, [("file", told)], key)
        return await self._show(visit, seen, status, problem)

    # -- receipts --------------------------------------------------------------------------------

    async def _receipt(self, visit: Visit) -> Response[bytes]:
        person = visit.person
        seen = await masked(self._line, person, visit.path("ref"))
        event = _uuid(visit.path("event"))
        if seen is None or event is None:
            return self._unknown(visit)
        own = f"/referrals/{seen.referral.id}"
        question = q.ReadReceipt(agency=person.agency, ref=seen.referral.id, event=event)
        try:
            told = await self._line.ask("audit", "receipt", question)
        except NoAnswer:
            visit.flash(
                "監査がいま答えないため、受領証を出せません。相談は続けられます。受領証はあとで保存できます。",
                "Audit does not answer just now, so there is no receipt. The referral goes on; save the receipt "
                "later.",
                alert=True,
            )
            return visit.goes_to(own)
        if not told.found or not told.body.get("signed"):
            known = told.found
            visit.flash(
                "台帳の署名がまだです。数秒おいて、もう一度保存してください。"
                if known
                else "この出来事の受領証はありません。台帳にまだないか、貴機関に知らされた出来事ではありません。",
                "The ledger is not signed that far yet. Save it again in a few seconds."
                if known
                else "There is no receipt of this event: it is not in the ledger yet, or was not told to your "
                "agency.",
                alert=True,
            )
            return visit.goes_to(own)
        await self._looks.record(person, seen.referral.id, LookedAt.RECEIPT)
        name = f"receipt-{seen.referral.number}-{event}.zip"
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
        return Response(receipts.packed(told.body), media_type="application/zip", headers=headers)


def _code_of(kind: type[StrEnum], given: str | None) -> Any:
    """None for what is none of the words."""
    return next((each for each in kind if each.value == given), None)


def _id(text: str) -> str | None:
    found = _uuid(text)
    return str(found) if found is not None else None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
