"""The one vocabulary of what can go wrong, as partners see it (RFC 9457)."""

from dataclasses import dataclass
from enum import StrEnum

from schemas.base import JsonObject


class ProblemCode(StrEnum):
    """Stable codes; partners' programs branch on them. Never renamed."""

    INVALID_REQUEST = "invalid_request"
    UNAUTHENTICATED = "unauthenticated"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    NOT_INVOLVED = "not_involved"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    UNKNOWN_AGENCY = "unknown_agency"
    ADDRESS_UNREADABLE = "address_unreadable"
    OUT_OF_WARD = "out_of_ward"
    MY_NUMBER_REFUSED = "my_number_refused"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    ALREADY_ANSWERED = "already_answered"
    NOT_OFFERED = "not_offered"
    NOT_CUSTODIAN = "not_custodian"
    ALREADY_CLOSED = "already_closed"
    AWAITING_RULING = "awaiting_ruling"
    NOT_AWAITING_RULING = "not_awaiting_ruling"
    NOT_ACKNOWLEDGED = "not_acknowledged"
    ESCALATION_OPEN = "escalation_open"
    VERSION_CHANGED = "version_changed"
    NOT_SCANNED_YET = "not_scanned_yet"
    ATTACHMENT_INFECTED = "attachment_infected"
    ATTACHMENT_UNSCANNABLE = "attachment_unscannable"
    ATTACHMENT_ERASED = "attachment_erased"
    ATTACHMENT_DAMAGED = "attachment_damaged"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Meaning:
    """``status``: HTTP. ``ja``/``en``: a sentence a person can act on."""

    status: int
    ja: str
    en: str


MEANINGS: dict[ProblemCode, Meaning] = {
    ProblemCode.INVALID_REQUEST: Meaning(
        422, "内容に誤りがあります。errors の各項目を直して送り直してください。",
        "The request is not valid. Correct each field named in errors and send it again.",
    ),
    ProblemCode.UNAUTHENTICATED: Meaning(
        401, "機関の鍵が確認できません。Authorization: Bearer に鍵を付けてください。",
        "The agency key was not recognised. Send it as Authorization: Bearer.",
    ),
    ProblemCode.INSUFFICIENT_SCOPE: Meaning(
        403, "この資格情報ではこの操作はできません。権限の範囲を区の管理者に確かめてください。",
        "These credentials do not permit this call. Ask the ward's administrator about their scopes.",
    ),
    ProblemCode.NOT_INVOLVED: Meaning(
        403, "この件はないか、貴機関の関わる件ではありません。番号と宛先を確かめてください。",
        "There is no such case, or your agency has no part in it. Check the number.",
    ),
    ProblemCode.NOT_FOUND: Meaning(
        404, "この場所はありません。/docs をご覧ください。", "There is nothing here. See /docs.",
    ),
    ProblemCode.METHOD_NOT_ALLOWED: Meaning(
        405, "この場所ではその操作はできません。/docs をご覧ください。",
        "That method is not offered here. See /docs.",
    ),
    ProblemCode.NOT_ACCEPTABLE: Meaning(
        406, "その形式では答えられません。Accept を直してください。",
        "There is no answer in that format. Correct Accept.",
    ),
    ProblemCode.UNKNOWN_AGENCY: Meaning(
        422, "宛先の機関が名簿にありません。/v1/directory で確かめてください。",
        "The agency named is not in the directory. See /v1/directory.",
    ),
    ProblemCode.ADDRESS_UNREADABLE: Meaning(
        422, "住所が読み取れません。町名・丁目・番・号を確かめてください。",
        "The address cannot be read. Check town, chome, block and number.",
    ),
    ProblemCode.OUT_OF_WARD: Meaning(
        422, "住所がこの区の外です。その区市町村の窓口へおつなぎください。",
        "The address lies outside this ward. Turn to the municipality it belongs to.",
    ),
    ProblemCode.MY_NUMBER_REFUSED: Meaning(
        422, "個人番号（マイナンバー）と見られる数字があります。取り除いて送り直してください。",
        "What looks like an Individual Number (My Number) was found. Remove it and send again.",
    ),
    ProblemCode.IDEMPOTENCY_KEY_REUSED: Meaning(
        409, "この Idempotency-Key は別の内容で使用済みです。新しい鍵で送ってください。",
        "This Idempotency-Key was used with another request. Send with a new key.",
    ),
    ProblemCode.ALREADY_ANSWERED: Meaning(
        409, "すでに回答済みです。最新の状態を確かめてください。",
        "It has been answered already. Look at the current state.",
    ),
    ProblemCode.NOT_OFFERED: Meaning(
        409, "この打診は取り下げられたか、期限が過ぎています。",
        "This offer no longer stands: it was withdrawn or has expired.",
    ),
    ProblemCode.NOT_CUSTODIAN: Meaning(
        409, "現在の担当機関だけが行えます。担当機関を確かめてください。",
        "Only the agency responsible now can do this. See who is custodian.",
    ),
    ProblemCode.ALREADY_CLOSED: Meaning(
        409, "この件は終結または取消済みです。必要なら再開してください。",
        "This case is closed or cancelled. Reopen it if need be.",
    ),
    ProblemCode.AWAITING_RULING: Meaning(
        409, "地区が未定です。基幹相談支援センターの判定をお待ちください。",
        "The district is undecided. Await the core centre's ruling.",
    ),
    ProblemCode.NOT_AWAITING_RULING: Meaning(
        409, "この件の地区は判定待ちではありません。", "This case does not await a ruling.",
    ),
    ProblemCode.NOT_ACKNOWLEDGED: Meaning(
        409, "この上申にはまだ誰も応じていません。先に応答してください。",
        "Nobody has acknowledged this escalation yet. Acknowledge it first.",
    ),
    ProblemCode.ESCALATION_OPEN: Meaning(
        409, "解決していない上申があります。基幹相談支援センターの解決を待ってください。",
        "An escalation is not resolved yet. Await the core centre's resolution.",
    ),
    ProblemCode.VERSION_CHANGED: Meaning(
        412, "If-Match の版はもう今の版ではありません。読み直して、今の版で送ってください。",
        "It has changed since the version in If-Match. Read it again and send with the version it "
        "has now.",
    ),
    ProblemCode.NOT_SCANNED_YET: Meaning(
        409, "この添付はウイルス検査がまだです。Retry-After の秒数を待って読み直してください。",
        "This attachment is not scanned yet. Wait the seconds in Retry-After, then read it again.",
    ),
    ProblemCode.ATTACHMENT_UNSCANNABLE: Meaning(
        409, "この添付はウイルス検査ができず、渡せません。送り手に小さなファイルで添付し直してもらってください。",
        "This attachment cannot be scanned, so it is not handed out. Ask the sender for a smaller one.",
    ),
    ProblemCode.ATTACHMENT_INFECTED: Meaning(
        410, "この添付からウイルスが見つかり、削除しました。送り手に安全なファイルを添付し直してもらってください。",
        "A virus was found in this attachment and it was deleted. Ask the sender for a safe one.",
    ),
    ProblemCode.ATTACHMENT_ERASED: Meaning(
        410, "この添付は消去されました。もう読めません。",
        "This attachment was erased. It cannot be read any more.",
    ),
    ProblemCode.ATTACHMENT_DAMAGED: Meaning(
        500, "保管した添付が壊れているか、見つかりません。送り手に添付し直してもらい、区の管理者に知らせてください。",
        "What is stored of this attachment is damaged or missing. Ask the sender to attach it again, "
        "and tell the ward's administrator.",
    ),
    ProblemCode.UNSUPPORTED_MEDIA_TYPE: Meaning(
        415, "受け取れないファイルです。PDF か画像（PNG・JPEG・TIFF・HEIC・GIF・WebP）を、"
        "中身どおりの Content-Type で送ってください。",
        "This file is not accepted. Send PDF, PNG, JPEG, TIFF, HEIC, GIF or WebP, with the "
        "Content-Type of what it really is.",
    ),
    ProblemCode.UNSUPPORTED_FORMAT: Meaning(
        415, "この窓口では読めない形式です。Content-Type と本文の形式を確かめてください。",
        "That format is not read here. Check the Content-Type and what the body is written in.",
    ),
    ProblemCode.TOO_LARGE: Meaning(
        413, "本文が大きすぎます（上限 1 MiB、添付は 20 MiB）。",
        "The body is too large (limit 1 MiB, for an attachment 20 MiB).",
    ),
    ProblemCode.RATE_LIMITED: Meaning(
        429, "要求が多すぎます。Retry-After の秒数を待って送り直してください。",
        "Too many requests. Wait the seconds in Retry-After, then send again.",
    ),
    ProblemCode.UNAVAILABLE: Meaning(
        503, "いま受け付けられません。Retry-After の秒数を待ち、同じ Idempotency-Key で送り直してください。",
        "It cannot be taken now. Wait the seconds in Retry-After and repeat with the same "
        "Idempotency-Key.",
    ),
    ProblemCode.INTERNAL: Meaning(
        500, "内部の誤りです。同じ Idempotency-Key で送り直し、続く場合はご連絡ください。",
        "An internal fault. Repeat with the same Idempotency-Key; tell us if it persists.",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """``pointer``: RFC 6901, where in the body. The texts never repeat the value given."""

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A "no", as a value: what was asked cannot be, and why."""

    code: ProblemCode
    errors: tuple[FieldProblem, ...] = ()

    @property
    def status(self) -> int:
        return MEANINGS[self.code].status

    def document(self) -> JsonObject:
        """The RFC 9457 problem document, Japanese first."""
        meaning = MEANINGS[self.code]
        document: JsonObject = {
            "type": f"urn:tsunagu:problem:{self.code}",
            "title": meaning.ja,
            "detail": f"{meaning.ja} / {meaning.en}",
            "status": meaning.status,
            "code": str(self.code),
        }
        if self.errors:
            document["errors"] = [{"pointer": e.pointer, "detail": e.detail} for e in self.errors]
        return document


def invalid(pointer: str, detail: str) -> Refusal:
    return Refusal(ProblemCode.INVALID_REQUEST, (FieldProblem(pointer, detail),))
