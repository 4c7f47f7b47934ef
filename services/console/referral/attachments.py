"""Attachments on a referral's page (添付): for people whose agency has no system, to save those of a case that
they have opened, and to add a scanned fax or a letter. What a file is, whether it may be taken and who may have
it, intake says."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from uuid import UUID

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from runtime.broker import NoAnswer
from runtime.incoming import CutOff
from runtime.sending import Sending
from schemas.commands import LARGEST_ATTACHMENT
from schemas.looks import LookedAt
from schemas.problems import ProblemCode
from services.console.files import Files
from services.console.line import Line, Said
from services.console.looks import Looks
from services.console.pages import HEADERS
from services.console.person import Role
from services.console.reception import Reception
from services.console.referral import steps
from services.console.referral.openings import Openings
from services.console.referral.seen import Seen, masked
from services.console.visit import Visit
from services.console.words import Words

_DOERS = (Role.CORE, Role.STAFF, Role.WARD)
_FORM = 64 * 1024
"""Bytes that the form itself may take beside the file."""

Again = Callable[[Visit, Seen, int, str], Awaitable[Response[bytes]]]
"""The page once more, with the form under the same key, and what went wrong in words."""

_WORDS: dict[str, tuple[str, str]] = {
    "none": ("ファイルを選んでください", "Choose a file"),
    "cut_off": (
        "ファイルが途中で切れました。もう一度選んで送ってください",
        "The file broke off before its end. Choose it and send it again",
    ),
    "unanswered": (
        "いま返事がありません。数秒おいて、同じファイルをもう一度送ってください。二重にはなりません",
        "There is no answer just now. Send the same file again in a few seconds; it will not count twice",
    ),
    ProblemCode.TOO_LARGE: (
        "ファイルが大きすぎます。20 MiB までです。分けるか、粗く読み取り直してください",
        "The file is too large: up to 20 MiB. Split it, or scan it less finely",
    ),
    ProblemCode.UNSUPPORTED_MEDIA_TYPE: (
        "この種類のファイルは添付できません。PDF か画像（JPEG・PNG・TIFF・HEIC・GIF・WebP）にしてください",
        "This kind of file cannot be attached. Make it a PDF or a picture (JPEG, PNG, TIFF, HEIC, GIF, WebP)",
    ),
    ProblemCode.IDEMPOTENCY_KEY_REUSED: (
        "同じフォームから別のファイルが送られています。ページを読み直してから送ってください",
        "Another file was sent from the same form. Load the page again, then send it",
    ),
    ProblemCode.RATE_LIMITED: (
        "貴機関からいま送受信しているファイルが多すぎます。終わるのを待って、もう一度試してください",
        "Your agency has too many files on their way. Wait for them to end, then try again",
    ),
    ProblemCode.NOT_SCANNED_YET: (
        "ウイルス検査がまだ終わっていません。しばらくして、もう一度保存してください",
        "The file is not scanned for viruses yet. Save it again in a while",
    ),
}


class AttachmentsRoom:
    """``again`` shows the referral's page once more."""

    def __init__(
        self, reception: Reception, line: Line, looks: Looks, openings: Openings, again: Again
    ) -> None:
        self._reception = reception
        self._line = line
        self._looks = looks
        self._openings = openings
        self._again = again
        self._files = Files(line)

    def handlers(self) -> list[HTTPRouteHandler]:
        at, own = self._reception, "/referrals/{ref:str}/attachments"
        return [
            at.page(f"{own}/{{attachment:str}}", "attachment", _DOERS, self._save),
            at.upload(own, "attach", _DOERS, self._add),
        ]

    def _unknown(self, visit: Visit) -> Response[bytes]:
        return self._reception.refused(visit, HTTPStatus.NOT_FOUND, "not_found")

    # -- one is saved ----------------------------------------------------------------------------

    async def _save(self, visit: Visit) -> Response[bytes]:
        person = visit.person
        attachment = _uuid(visit.path("attachment"))
        seen = await masked(self._line, person, visit.path("ref"))
        if seen is None or attachment is None:
            return self._unknown(visit)
        if attachment not in {each.id for each in seen.referral.attachments}:
            return self._unknown(visit)
        referral = seen.referral.id
        opening = await self._openings.find(person.session, referral)
        if opening is None or not seen.opens:
            visit.flash(
                "添付は個人情報です。根拠を選んで開いてから保存してください。",
                "Attachments are personal data. Open it on a basis, then save them.",
                alert=True,
            )
            return visit.goes_to(f"/referrals/{referral}#personal")
        found = await self._files.read(person, attachment)
        if isinstance(found, Said):
            visit.flash(why(found, visit.words), why(found, visit.words), alert=True)
            return visit.goes_to(f"/referrals/{referral}#personal")
        try:
            await self._looks.record(person, referral, LookedAt.ATTACHMENT, opening.basis)
        except BaseException:
            found.close()
            raise
        return Sending(
            found.chunks, found.media_type, found.size, found.disposition, found.close, HEADERS
        )

    # -- one is added ----------------------------------------------------------------------------

    async def _add(self, visit: Visit) -> Response[bytes]:
        person, file = visit.person, visit.file
        seen = await masked(self._line, person, visit.path("ref"))
        if seen is None:
            return self._unknown(visit)
        length = file.body.announced
        if not file.name:
            return await self._not_added(visit, seen, HTTPStatus.UNPROCESSABLE_ENTITY, "none")
        if length > LARGEST_ATTACHMENT + _FORM:
            code = ProblemCode.TOO_LARGE
            return await self._not_added(visit, seen, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, code)
        # What is in the file is not known before it has come; how long it is, is.
        told = ("attach", file.name, file.media_type, str(length))
        key = steps.key_of(visit.form, person.session, *told)
        ref = str(seen.referral.id)
        try:
            said = await self._files.add(
                person, ref, key, file.name, file.media_type, file.chunks()
            )
        except CutOff:
            return await self._not_added(visit, seen, HTTPStatus.UNPROCESSABLE_ENTITY, "cut_off")
        except NoAnswer:
            return await self._not_added(visit, seen, HTTPStatus.SERVICE_UNAVAILABLE, "unanswered")
        if not said.done:
            now = await masked(self._line, person, ref) or seen
            return await self._again(visit, now, said.status, why(said, visit.words))
        if said.pending:
            ja, en = (
                "受け付けました。反映まで少しかかります。",
                "Taken. It takes effect in a moment.",
            )
        else:
            ja, en = "添付しました。", "The file is attached."
        visit.flash(ja, en)
        return visit.goes_to(f"/referrals/{ref}")

    async def _not_added(
        self, visit: Visit, seen: Seen, status: HTTPStatus, what: str
    ) -> Response[bytes]:
        return await self._again(visit, seen, status, visit.t(*_WORDS[what]))


def why(said: Said, words: Words) -> str:
    """Why a file was not taken, or not given out, for people; a detail that says more stands behind it."""
    details = [detail for _, detail in steps.refused(said, words)]
    if said.code == ProblemCode.UNAVAILABLE:
        return words.t(*_WORDS["unanswered"])
    if said.code not in _WORDS:
        return " ".join(details)
    told = words.t(*_WORDS[said.code])
    if not said.body.get("errors"):
        return told
    return f"{told}{words.t('（', ' (')}{' '.join(details)}{words.t('）', ')')}"


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
