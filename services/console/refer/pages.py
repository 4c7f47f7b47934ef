"""The referral form's pages (相談をつなぐ): typed in, kept as a draft, posted at intake's counter."""

from collections import OrderedDict
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote
from uuid import UUID, uuid4

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from pydantic_core import to_json

from runtime.broker import NoAnswer
from schemas.base import JsonObject
from schemas.codes import Urgency
from schemas.outside import local_day
from services.console.forms import Form
from services.console.line import Line, Said
from services.console.pages import HEADERS, Pages
from services.console.person import Role
from services.console.reception import Reception
from services.console.refer import whereabouts
from services.console.refer.choices import choices
from services.console.refer.drafts import KEPT, Draft, Drafts, Full, Saved
from services.console.refer.form import (
    FIELDS,
    Problem,
    Typed,
    forbidden,
    label,
    may_be_kept,
    merged,
    read,
    told,
)
from services.console.refer.whereabouts import Whereabouts
from services.console.visit import Visit, new_key

WRITERS = (Role.CORE, Role.STAFF, Role.WARD)
_MOST_POSTED = 10_000
_TRIED_BEFORE = Problem(
    None,
    "このフォームは、別の内容で一度送られています。相談の一覧で届いていないことを確かめてから、もう一度「つなぐ」を押して"
    "ください。新しい一件になります",
    "This form was sent before with other words. Make sure in the list of referrals that it did not arrive; "
    "to send it once more makes a new one",
)
_UNANSWERED = Problem(
    None,
    "いま返事がありません。内容は残っています。数秒おいて、そのまま「つなぐ」を押してください。二重にはなりません",
    "There is no answer just now. Nothing is lost: press the button again in a few seconds, and it will not "
    "arrive twice",
)


class Refer:
    def __init__(self, reception: Reception, pages: Pages, line: Line, drafts: Drafts) -> None:
        self._reception = reception
        self._pages = pages
        self._line = line
        self._drafts = drafts
        # Keys of forms that were posted: a draft that is saved by a page about to close comes too late.
        self._posted: OrderedDict[str, None] = OrderedDict()

    def handlers(self) -> list[HTTPRouteHandler]:
        at = self._reception
        return [
            at.page("/refer", "refer", WRITERS, self._begin),
            at.deed("/refer", "refer", WRITERS, self._act),
            at.deed("/refer/district", "refer_district", WRITERS, self._district),
            at.deed("/refer/draft", "refer_draft", WRITERS, self._autosave),
            at.deed("/refer/draft/delete", "refer_draft", WRITERS, self._delete),
            at.page("/refer/sent/{posted:str}", "refer_sent", WRITERS, self._sent),
        ]

    # -- a page ----------------------------------------------------------------------------------

    async def _begin(self, visit: Visit) -> Response[bytes]:
        named = visit.query.get("draft")
        if named is None:
            return await self._show(visit, {"staff": [visit.person.name]}, Sheet())
        draft = await self._drafts.find(visit.person.id, _uuid(named))
        if draft is None:
            return await self._show(
                visit, {"staff": [visit.person.name]}, Sheet(), HTTPStatus.NOT_FOUND, gone=True
            )
        sheet = Sheet(
            draft=draft.id,
            version=draft.content.version,
            key=_key_of(draft.content.fields),
        )
        return await self._show(visit, draft.content.fields, sheet)

    async def _show(
        self,
        visit: Visit,
        typed: Typed,
        sheet: "Sheet",
        status: int = 200,
        *,
        problems: list[Problem] | None = None,
        found: Whereabouts | None = None,
        gone: bool = False,
        full: bool = False,
    ) -> Response[bytes]:
        t = visit.t
        # Each showing is a page of its own: one to which the browser goes back is an older one.
        sheet.page, sheet.written = new_key(), 0
        at_fields = {p.field: t(p.ja, p.en) for p in problems or () if p.field is not None}
        kept = [d for d in await self._drafts.of(visit.person.id) if d.id != sheet.draft]
        return self._pages.render(
            visit,
            "refer/form.html",
            int(status),
            label=lambda name: t(*label(name)),
            value=lambda name: next(iter(typed.get(name, ())), ""),
            values=lambda name: typed.get(name, []),
            error=lambda name: at_fields.get(name, ""),
            touched=lambda *names: any(
                any(typed.get(name, ())) or name in at_fields for name in names
            ),
            problems=[(p.field, t(p.ja, p.en)) for p in problems or ()],
            choices=choices(visit.words, local_day(visit.now)),
            sheet=sheet,
            found=found,
            gone=gone,
            full=full,
            drafts=[self._in_list(visit, draft) for draft in kept],
            kept_days=KEPT.days,
        )

    def _in_list(self, visit: Visit, draft: Draft) -> JsonObject:
        """When, and codes; nothing that says who it is about."""
        fields, ward = draft.content.fields, visit.words.ward
        function = next(iter(fields.get("function", ())), "")
        return {
            "id": draft.id,
            "at": draft.updated_at,
            "function": function if ward.knows("functions", function) else None,
            "urgency": next(iter(fields.get("urgency", ())), None),
        }

    # -- what is done ----------------------------------------------------------------------------

    async def _act(self, visit: Visit) -> Response[bytes]:
        typed, sheet = _typed(visit.form), Sheet.of(visit.form)
        match visit.form.get("act", "district"):
            case "send":
                return await self._send(visit, typed, sheet)
            case "save":
                return await self._save(visit, typed, sheet)
            case _:
                found = await self._locate(visit, typed)
                return await self._kept(visit, typed, sheet, found=found)

    async def _send(self, visit: Visit, typed: Typed, sheet: "Sheet") -> Response[bytes]:
        reading = read(typed, visit.now)
        if reading.problems:
            more = await self._checked(visit, reading.body)
            return await self._refused(visit, typed, sheet, merged([*reading.problems, *more]))
        try:
            said = await self._call(visit, "submit_referral", reading.body, sheet.key)
        except NoAnswer:
            return await self._kept(
                visit, typed, sheet, HTTPStatus.SERVICE_UNAVAILABLE, problems=[_UNANSWERED]
            )
        if said.pending:
            await self._store(visit, typed, sheet)
            return visit.goes_to(f"/refer/sent/{said.body['request']}?draft={sheet.draft}")
        if said.done:
            return await self._arrived(visit, said, sheet.draft, sheet.key)
        return await self._no(visit, typed, sheet, said)

    async def _checked(self, visit: Visit, body: JsonObject) -> list[Problem]:
        """What the counter would say to the rest: told at once, not after the next try. Nothing happens
        by a check, so something may stand in for what is missing, of which is told already."""
        ward = visit.words.ward
        stand_in: JsonObject = {
            "function": ward.functions[0].code,
            "urgency": Urgency.ROUTINE,
            "summary": "-",
        }
        consent = {"basis": ward.consent_bases[0].code, **body.get("consent", {})}
        try:
            whole = {**stand_in, **body, "consent": consent}
            said = await self._call(visit, "check_referral", whole)
        except NoAnswer:
            return []
        return told(said.body) if said.status == HTTPStatus.UNPROCESSABLE_ENTITY else []

    async def _arrived(self, visit: Visit, said: Said, draft: UUID, key: str) -> Response[bytes]:
        self._remember(key)
        await self._drafts.drop(visit.person.id, draft)
        number, referral = said.body["number"], said.body["id"]
        visit.flash(
            f"つなぎました。番号は {number} です。",
            f"It has been referred. Its number is {number}.",
        )
        return visit.goes_to(f"/referrals/{referral}")

    async def _no(self, visit: Visit, typed: Typed, sheet: "Sheet", said: Said) -> Response[bytes]:
        if said.code == "idempotency_key_reused":
            return await self._refused(visit, typed, sheet, [_TRIED_BEFORE])
        problems = told(said.body)
        if said.unsure:
            return await self._kept(visit, typed, sheet, said.status, problems=problems)
        return await self._refused(visit, typed, sheet, merged(problems))

    async def _refused(
        self, visit: Visit, typed: Typed, sheet: "Sheet", problems: list[Problem]
    ) -> Response[bytes]:
        """The form again. What is sent next is another request: with a key of its own."""
        sheet.key = new_key()
        return await self._kept(
            visit, typed, sheet, HTTPStatus.UNPROCESSABLE_ENTITY, problems=problems
        )

    async def _kept(
        self,
        visit: Visit,
        typed: Typed,
        sheet: "Sheet",
        status: int = 200,
        *,
        problems: list[Problem] | None = None,
        found: Whereabouts | None = None,
    ) -> Response[bytes]:
        """The form again with what was typed, which is kept as a draft, too."""
        saved = await self._store(visit, typed, sheet)
        typed = may_be_kept(typed)
        full = isinstance(saved, Full)
        return await self._show(
            visit, typed, sheet, status, problems=problems, found=found, full=full
        )

    async def _call(
        self, visit: Visit, name: str, body: JsonObject, key: str | None = None
    ) -> Said:
        return await self._line.call(visit.person, name, body=body, key=key)

    async def _sent(self, visit: Visit) -> Response[bytes]:
        """What became of a post that was durable before it was decided."""
        request = visit.path("posted")
        draft_id = _uuid(visit.query.get("draft", ""))
        draft = await self._drafts.find(visit.person.id, draft_id)
        problem = None
        try:
            said = await self._line.call(visit.person, "read_request", ref=request)
        except NoAnswer:
            pass  # as long as nobody says what became of it, it is on its way
        else:
            if said.done and not said.pending:
                key = _key_of(draft.content.fields) if draft is not None else new_key()
                return await self._arrived(visit, said, draft_id, key)
            if HTTPStatus.BAD_REQUEST <= said.status < 500 and said.code != "rate_limited":
                if draft is not None:
                    sheet = Sheet(draft=draft.id, version=draft.content.version)
                    return await self._no(visit, draft.content.fields, sheet, said)
                problem = told(said.body)[0]
        return self._pages.render(
            visit,
            "refer/sent.html",
            200 if problem is None else HTTPStatus.UNPROCESSABLE_ENTITY,
            problem=problem,
            again=f"/refer/sent/{quote(request, safe='')}?draft={draft_id}",
        )

    # -- drafts ----------------------------------------------------------------------------------

    async def _store(self, visit: Visit, typed: Typed, sheet: "Sheet") -> Saved | Full | None:
        """None: it was posted already. ``sheet`` knows where it is kept then."""
        if sheet.key in self._posted:
            return None
        fields = {**may_be_kept(typed), "key": [sheet.key]}
        saved = await self._drafts.save(
            visit.person.id, sheet.draft, fields,
            page=sheet.page, version=sheet.version, written=sheet.written,
        )  # fmt: skip
        if isinstance(saved, Saved):
            sheet.draft, sheet.version = saved.id, saved.version
        return saved

    async def _save(self, visit: Visit, typed: Typed, sheet: "Sheet") -> Response[bytes]:
        saved = await self._store(visit, typed, sheet)
        if isinstance(saved, Full):
            return await self._kept(visit, typed, sheet, HTTPStatus.CONFLICT)
        if saved is None:
            return visit.goes_to("/refer")
        if saved.moved:
            visit.flash(
                "別の画面でも書かれていたので、この画面の内容は別の下書きとして保存しました。",
                "Another page has written to this draft; what was on yours is kept as another draft.",
            )
        else:
            visit.flash("下書きを保存しました。", "The draft is saved.")
        return visit.goes_to(f"/refer?draft={saved.id}")

    async def _autosave(self, visit: Visit) -> Response[bytes]:
        typed, sheet = _typed(visit.form), Sheet.of(visit.form)
        saved = await self._store(visit, typed, sheet)
        if isinstance(saved, Full):
            return _json({"full": True}, HTTPStatus.CONFLICT)
        if saved is None:
            return _json({"posted": True})
        left_out = [visit.t(*label(name)) for name in sorted(forbidden(typed)) if name in FIELDS]
        return _json(
            {
                "draft": str(saved.id),
                "version": saved.version,
                "moved": saved.moved,
                "left_out": left_out,
            }
        )

    async def _delete(self, visit: Visit) -> Response[bytes]:
        await self._drafts.drop(visit.person.id, _uuid(visit.form.get("draft")))
        visit.flash("下書きを消しました。", "The draft is deleted.")
        return visit.goes_to("/refer")

    def _remember(self, key: str) -> None:
        self._posted[key] = None
        while len(self._posted) > _MOST_POSTED:
            self._posted.popitem(last=False)

    # -- the district ----------------------------------------------------------------------------

    async def _locate(self, visit: Visit, typed: Typed) -> Whereabouts:
        text = next(iter(typed.get("address", ())), "").strip()
        if not text:
            return Whereabouts("", visit.t("住所がまだありません", "There is no address yet"))
        try:
            said = await self._call(visit, "locate_address", {"text": text})
        except NoAnswer:
            return Whereabouts(
                "", visit.t("いまは確かめられません", "This cannot be looked up just now")
            )
        if said.done:
            return whereabouts.located(said.body, visit.words)
        return whereabouts.refused(said.body, visit.words)

    async def _district(self, visit: Visit) -> Response[bytes]:
        found = await self._locate(visit, _typed(visit.form))
        return _json({"tone": found.tone, "text": found.text})


class Sheet:
    """One showing of the form. ``draft``: where its text is kept; ``version``: of it, 0 before it is kept;
    ``page``: this showing; ``written``: how often this page has written; ``key``: the idempotency key."""

    def __init__(
        self,
        draft: UUID | None = None,
        version: int = 0,
        page: str = "",
        written: int = 0,
        key: str = "",
    ) -> None:
        self.draft = draft or uuid4()
        self.version = version
        self.page = page or new_key()
        self.written = written
        self.key = key or new_key()

    @classmethod
    def of(cls, form: Form) -> "Sheet":
        """As the page said it; what is forged in it is worth nothing, for a draft opens to nobody else."""
        page, key = form.get("page")[:64], form.get("key")
        fits = 1 <= len(key) <= 128 and key.isascii() and key.isprintable()
        return cls(
            _uuid(form.get("draft")),
            _count(form.get("version")),
            page,
            _count(form.get("written")),
            key if fits else "",
        )


def _typed(form: Form) -> dict[str, list[str]]:
    """What was typed into the form's fields, and nothing else that was posted."""
    return {name: form.all(name) for name in FIELDS if any(form.all(name))}


def _key_of(fields: Mapping[str, list[str]]) -> str:
    return next(iter(fields.get("key", ())), "")


def _uuid(text: str) -> UUID:
    """An id that is none stands for one that nothing has."""
    try:
        return UUID(text)
    except ValueError:
        return uuid4()


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _json(body: JsonObject, status: int = 200) -> Response[bytes]:
    return Response(
        to_json(body), status_code=int(status), media_type="application/json", headers=HEADERS
    )
