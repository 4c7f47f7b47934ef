"""What partners send and get: the bodies of the contract.

This file is written by ``python -m services.publish`` from the OpenAPI document; a test fails
while it differs. Change the contract, not this file."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Known = TypeVar("Known", bound=StrEnum)
Open = Annotated[Known | str, Field(union_mode="left_to_right")]
"""A code of an answer: one of those known here, or the text of one that came later."""


class Body(BaseModel):
    """Frozen. A misspelt field is refused when it is made; an unknown one in an answer is passed
    over by ``Client``."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_by_name=True,
        validate_by_alias=True,
    )


class AddressKind(StrEnum):
    """住所の種類 / Kind of address

    What an address is (住民登録地・居所・施設・なし・秘匿). ``protected``: masked for all but
    core and receiver (DV and the like).

    registered 住民登録地 · actual 居所 · facility 施設 · none なし · protected 秘匿（DV など）"""

    REGISTERED = "registered"
    ACTUAL = "actual"
    FACILITY = "facility"
    NONE = "none"
    PROTECTED = "protected"


class AddressWarning(StrEnum):
    """住所の注意 / What to know of an address

    What whoever looks at an address should know (住所の注意). None of them stops it.

    alias 町名は別の書き方 · impossible_number ありえない番・号（ないものと読む） ·
    chome_missing 丁目がない · ban_missing 番がない · go_missing 号がない"""

    ALIAS = "alias"
    IMPOSSIBLE_NUMBER = "impossible_number"
    CHOME_MISSING = "chome_missing"
    BAN_MISSING = "ban_missing"
    GO_MISSING = "go_missing"


class AgencyKind(StrEnum):
    """機関の種類 / Kind of agency

    What an organisation is on the network.

    core 基幹相談支援センター · hub 地域生活支援拠点 · anshin 高齢者あんしん相談センター ·
    provider 障害福祉サービス事業所 · hospital 医療機関 · ward_office 区役所 · auditor 監査"""

    CORE = "core"
    HUB = "hub"
    ANSHIN = "anshin"
    PROVIDER = "provider"
    HOSPITAL = "hospital"
    WARD_OFFICE = "ward_office"
    AUDITOR = "auditor"


class Basis(StrEnum):
    """地区の判定根拠 / Basis of the district

    Why a district was found (地区の判定根拠).

    whole 丁目の全域 · enumerated 番が表にある · eliminated 他地区の表にない · ruled 基幹の判定
    · stated 送り手の指定 · ambiguous 未定（基幹が判定）"""

    WHOLE = "whole"
    ENUMERATED = "enumerated"
    ELIMINATED = "eliminated"
    RULED = "ruled"
    STATED = "stated"
    AMBIGUOUS = "ambiguous"


class ClockKind(StrEnum):
    """時計の種類 / Kind of clock

    ``wall`` runs day and night (実時間); ``business`` only in somebody's opening hours (開所時
    間).

    wall 実時間 · business 開所時間"""

    WALL = "wall"
    BUSINESS = "business"


class DeliveryTestState(StrEnum):
    """通信試験の状態 / State of a test event

    What became of a test event (通信試験の状態).

    in_inbox 受信箱にある（取りに来る機関） · pending 配送中 · delivered 届いた · failed 届かな
    かった"""

    IN_INBOX = "in_inbox"
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class DisabilityKind(StrEnum):
    """障害の種別 / Kind of disability

    physical 身体 · intellectual 知的 · mental 精神 · developmental 発達 · higher_brain 高次脳機
    能 · intractable 難病 · multiple 重複 · medical_care 医療的ケア · undiagnosed 診断なし"""

    PHYSICAL = "physical"
    INTELLECTUAL = "intellectual"
    MENTAL = "mental"
    DEVELOPMENTAL = "developmental"
    HIGHER_BRAIN = "higher_brain"
    INTRACTABLE = "intractable"
    MULTIPLE = "multiple"
    MEDICAL_CARE = "medical_care"
    UNDIAGNOSED = "undiagnosed"


class Disposition(StrEnum):
    """上申の結末 / Disposition

    How an escalation ended (上申の結末).

    returned 助言して戻した · reassigned 他機関へつないだ · kept 困難ケースとして基幹が担当 ·
    advised 助言した（担当は変わらない） · cancelled 送り手が依頼を取り消した"""

    RETURNED = "returned"
    REASSIGNED = "reassigned"
    KEPT = "kept"
    ADVISED = "advised"
    CANCELLED = "cancelled"


class EscalationState(StrEnum):
    """上申の状態 / State of an escalation

    Where a call to the core centre stands (上申の状態).

    raised 応答待ち · acknowledged 応答あり · resolved 解決"""

    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Group(StrEnum):
    """封緘の単位 / Sealed group

    What is sealed together, so that it can be opened apart from the rest.

    identity 本人を特定する項目 · address 住所 · situation 状況 · consent 同意・根拠 · text 添え
    られた言葉 · attachment 添付の名前"""

    IDENTITY = "identity"
    ADDRESS = "address"
    SITUATION = "situation"
    CONSENT = "consent"
    TEXT = "text"
    ATTACHMENT = "attachment"


class HandoffKind(StrEnum):
    """打診の種類 / Kind of hand-off

    ``transfer`` moves custody on acceptance (引き継ぎ); ``request`` asks for a service (依頼).

    transfer 引き継ぎ（担当が移る） · request 依頼（担当は移らない）"""

    TRANSFER = "transfer"
    REQUEST = "request"


class HandoffState(StrEnum):
    """打診の状態 / State of a hand-off

    offered 打診中 · accepted 受諾 · declined 辞退 · expired 期限切れ · withdrawn 取り下げ ·
    completed 完了"""

    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    COMPLETED = "completed"


class Household(StrEnum):
    """世帯状況 / Household

    single 単身 · nuclear 核家族 · with_ageing_parents 高齢の親と同居 · disabled_only 障害者の
    み · with_elderly 高齢者と同居 · with_children 子と同居 · unknown 不明"""

    SINGLE = "single"
    NUCLEAR = "nuclear"
    WITH_AGEING_PARENTS = "with_ageing_parents"
    DISABLED_ONLY = "disabled_only"
    WITH_ELDERLY = "with_elderly"
    WITH_CHILDREN = "with_children"
    UNKNOWN = "unknown"


class MediaType(StrEnum):
    """添付の種類 / Kind of attachment

    What an attachment may be (添付の種類): PDF, and images without code in them. Never SVG or
    HTML.

    application/pdf PDF · image/png PNG · image/jpeg JPEG · image/tiff TIFF · image/heic HEIC ·
    image/gif GIF · image/webp WebP"""

    APPLICATION_PDF = "application/pdf"
    IMAGE_PNG = "image/png"
    IMAGE_JPEG = "image/jpeg"
    IMAGE_TIFF = "image/tiff"
    IMAGE_HEIC = "image/heic"
    IMAGE_GIF = "image/gif"
    IMAGE_WEBP = "image/webp"


class PreferredContact(StrEnum):
    """希望する連絡方法 / Preferred contact

    phone 電話 · fax FAX · mail メール · letter 手紙 · visit 訪問 · sign_language 手話 ·
    writing 筆談"""

    PHONE = "phone"
    FAX = "fax"
    MAIL = "mail"
    LETTER = "letter"
    VISIT = "visit"
    SIGN_LANGUAGE = "sign_language"
    WRITING = "writing"


class ReportedBy(StrEnum):
    """相談の経路 / Reported by

    Who asks (相談の経路).

    self 本人 · family 家族 · neighbour 近隣 · agency 機関"""

    SELF = "self"
    FAMILY = "family"
    NEIGHBOUR = "neighbour"
    AGENCY = "agency"


class SaidBy(StrEnum):
    """断ったのは誰か / Said by

    Who said no: the agency that was asked, or the person concerned.

    agency 機関 · person 本人"""

    AGENCY = "agency"
    PERSON = "person"


class ScanState(StrEnum):
    """ウイルス検査の状態 / What the scanner says

    What a scanner says of an attachment (検査の状態).

    unscanned 検査なし · pending 検査待ち · clean 問題なし · infected ウイルスあり（削除済み）
    · unscannable 検査できない"""

    UNSCANNED = "unscanned"
    PENDING = "pending"
    CLEAN = "clean"
    INFECTED = "infected"
    UNSCANNABLE = "unscannable"


class Stage(StrEnum):
    """段階 / Stage

    Where a referral stands (段階).

    awaiting_ruling 地区の判定待ち · offered 打診中 · in_care 担当機関が支援中 · closed 終結 ·
    cancelled 取消"""

    AWAITING_RULING = "awaiting_ruling"
    OFFERED = "offered"
    IN_CARE = "in_care"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class Undelivered(StrEnum):
    """届かない理由 / Why an event is not delivered

    Why a receiver does not have an event (不達の理由).

    hangs 時間内に答えがない · unreachable つながらない · not_connected NATS で接続していない ·
    refused 受け取らないと答えた · redirects 別の場所へ誘導した · untrusted 証明書が信頼できな
    い · forbidden_address 公開されていない宛先 · no_secret 署名の秘密がない"""

    HANGS = "hangs"
    UNREACHABLE = "unreachable"
    NOT_CONNECTED = "not_connected"
    REFUSED = "refused"
    REDIRECTS = "redirects"
    UNTRUSTED = "untrusted"
    FORBIDDEN_ADDRESS = "forbidden_address"
    NO_SECRET = "no_secret"


class Urgency(StrEnum):
    """緊急度 / Urgency

    How soon someone must answer (緊急・至急・通常・情報提供).

    emergency 緊急 · urgent 至急 · routine 通常 · information 情報提供"""

    EMERGENCY = "emergency"
    URGENT = "urgent"
    ROUTINE = "routine"
    INFORMATION = "information"


class WithdrawnBecause(StrEnum):
    """取り下げの理由 / Why withdrawn

    Why an offer stopped standing without an answer of its own.

    by_sender 送り手が取り下げた · accepted_elsewhere 他の機関が受諾した · cancelled 取り消され
    た · closed 終結した · taken_by_core 基幹が引き取った · ruled_elsewhere 別の地区と判定された"""

    BY_SENDER = "by_sender"
    ACCEPTED_ELSEWHERE = "accepted_elsewhere"
    CANCELLED = "cancelled"
    CLOSED = "closed"
    TAKEN_BY_CORE = "taken_by_core"
    RULED_ELSEWHERE = "ruled_elsewhere"


class ProblemCode(StrEnum):
    """誤りのコード / Problem code

    - `invalid_request` (422): 内容に誤りがあります。errors の各項目を直して送り直してください。
    / The request is not valid. Correct each field named in errors and send it again.
    - `unauthenticated` (401): 機関の鍵が確認できません。Authorization: Bearer に鍵を付けてくだ
    さい。 / The agency key was not recognised. Send it as Authorization: Bearer.
    - `insufficient_scope` (403): この資格情報ではこの操作はできません。権限の範囲を区の管理者に
    確かめてください。 / These credentials do not permit this call. Ask the ward's
    administrator about their scopes.
    - `not_involved` (403): この件はないか、貴機関の関わる件ではありません。番号と宛先を確かめて
    ください。 / There is no such case, or your agency has no part in it. Check the number.
    - `not_found` (404): この場所はありません。/docs をご覧ください。 / There is nothing here.
    See /docs.
    - `method_not_allowed` (405): この場所ではその操作はできません。/docs をご覧ください。 /
    That method is not offered here. See /docs.
    - `not_acceptable` (406): その形式では答えられません。Accept を直してください。 / There is
    no answer in that format. Correct Accept.
    - `unknown_agency` (422): 宛先の機関が名簿にありません。/v1/directory で確かめてください。
    / The agency named is not in the directory. See /v1/directory.
    - `address_unreadable` (422): 住所が読み取れません。町名・丁目・番・号を確かめてください。
    / The address cannot be read. Check town, chome, block and number.
    - `out_of_ward` (422): 住所がこの区の外です。その区市町村の窓口へおつなぎください。 / The
    address lies outside this ward. Turn to the municipality it belongs to.
    - `my_number_refused` (422): 個人番号（マイナンバー）と見られる数字があります。取り除いて送
    り直してください。 / What looks like an Individual Number (My Number) was found. Remove it
    and send again.
    - `idempotency_key_reused` (409): この Idempotency-Key は別の内容で使用済みです。新しい鍵で
    送ってください。 / This Idempotency-Key was used with another request. Send with a new key.
    - `already_answered` (409): すでに回答済みです。最新の状態を確かめてください。 / It has
    been answered already. Look at the current state.
    - `not_offered` (409): この打診は取り下げられたか、期限が過ぎています。 / This offer no
    longer stands: it was withdrawn or has expired.
    - `not_custodian` (409): 現在の担当機関だけが行えます。担当機関を確かめてください。 / Only
    the agency responsible now can do this. See who is custodian.
    - `already_closed` (409): この件は終結または取消済みです。必要なら再開してください。 / This
    case is closed or cancelled. Reopen it if need be.
    - `awaiting_ruling` (409): 地区が未定です。基幹相談支援センターの判定をお待ちください。 /
    The district is undecided. Await the core centre's ruling.
    - `not_awaiting_ruling` (409): この件の地区は判定待ちではありません。 / This case does not
    await a ruling.
    - `not_acknowledged` (409): この上申にはまだ誰も応じていません。先に応答してください。 /
    Nobody has acknowledged this escalation yet. Acknowledge it first.
    - `escalation_open` (409): 解決していない上申があります。基幹相談支援センターの解決を待って
    ください。 / An escalation is not resolved yet. Await the core centre's resolution.
    - `version_changed` (412): If-Match の版はもう今の版ではありません。読み直して、今の版で送っ
    てください。 / It has changed since the version in If-Match. Read it again and send with
    the version it has now.
    - `not_scanned_yet` (409): この添付はウイルス検査がまだです。Retry-After の秒数を待って読み
    直してください。 / This attachment is not scanned yet. Wait the seconds in Retry-After,
    then read it again.
    - `attachment_unscannable` (409): この添付はウイルス検査ができず、渡せません。送り手に小さな
    ファイルで添付し直してもらってください。 / This attachment cannot be scanned, so it is not
    handed out. Ask the sender for a smaller one.
    - `attachment_infected` (410): この添付からウイルスが見つかり、削除しました。送り手に安全な
    ファイルを添付し直してもらってください。 / A virus was found in this attachment and it was
    deleted. Ask the sender for a safe one.
    - `attachment_erased` (410): この添付は消去されました。もう読めません。 / This attachment
    was erased. It cannot be read any more.
    - `attachment_damaged` (500): 保管した添付が壊れているか、見つかりません。送り手に添付し直し
    てもらい、区の管理者に知らせてください。 / What is stored of this attachment is damaged or
    missing. Ask the sender to attach it again, and tell the ward's administrator.
    - `unsupported_media_type` (415): 受け取れないファイルです。PDF か画像（PNG・JPEG・TIFF・
    HEIC・GIF・WebP）を、中身どおりの Content-Type で送ってください。 / This file is not
    accepted. Send PDF, PNG, JPEG, TIFF, HEIC, GIF or WebP, with the Content-Type of what it
    really is.
    - `unsupported_format` (415): この窓口では読めない形式です。Content-Type と本文の形式を確か
    めてください。 / That format is not read here. Check the Content-Type and what the body is
    written in.
    - `too_large` (413): 本文が大きすぎます（上限 1 MiB、添付は 20 MiB）。 / The body is too
    large (limit 1 MiB, for an attachment 20 MiB).
    - `rate_limited` (429): 要求が多すぎます。Retry-After の秒数を待って送り直してください。 /
    Too many requests. Wait the seconds in Retry-After, then send again.
    - `unavailable` (503): いま受け付けられません。Retry-After の秒数を待ち、同じ
    Idempotency-Key で送り直してください。 / It cannot be taken now. Wait the seconds in
    Retry-After and repeat with the same Idempotency-Key.
    - `internal` (500): 内部の誤りです。同じ Idempotency-Key で送り直し、続く場合はご連絡くださ
    い。 / An internal fault. Repeat with the same Idempotency-Key; tell us if it persists."""

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


class Acceptance(Body):
    """受諾 / Acceptance

    The receiver takes it (受諾)."""

    text: str | None = None
    """添える言葉 / words that go with it"""


class Acknowledgement(Body):
    """上申への応答 / Acknowledgement

    A call is taken in hand (応答). The core centre takes custody, unless ``advise_only``."""

    advise_only: bool = False
    """助言だけで担当は移らない / advise only; custody stays"""
    text: str | None = None
    """添える言葉 / words that go with it"""


class Address(Body):
    """住所 / Address

    ``kind`` none: no fixed address, no text. ``protected``: masked for all but core and
    receiver."""

    text: str | None = None
    """住所（町名・丁目・番・号） / address as text"""
    kind: Open[AddressKind] = AddressKind.REGISTERED
    """種類 / kind"""


class AddressRead(Body):
    """読み取った住所 / Address as it was read

    What was read of an address: the town's name as the ward has it, and the numbers that are
    certain (読み取った住所)."""

    town: str
    """町名（区の書き方で） / town, as the ward writes it"""
    chome: int | None = None
    """丁目 / chome"""
    ban: int | None = None
    """番 / block"""
    go: int | None = None
    """号 / house number"""


class AddressLocated(Body):
    """住所の地区 / District of an address

    The district in which an address lies, as a referral with it would have it now; without a
    ``district`` the core centre would be asked which of the ``candidates`` it is (住所の地区)."""

    basis: Open[Basis]
    """地区の判定根拠 / basis of the district"""
    candidates: tuple[str, ...]
    """候補の地区 / districts it may be"""
    address: AddressRead
    """読み取った住所 / the address as it was read"""
    district: str | None = None
    """地区 / district"""
    warnings: tuple[Open[AddressWarning], ...] = ()
    """知っておくこと / what to know of it"""


class AddressToLocate(Body):
    """地区を知りたい住所 / Address to be located

    ``POST /v1/addresses/locate``: an address as people write it (住所)."""

    text: str
    """住所（町名・丁目・番・号）。どこにも残りません / address as text; kept nowhere"""


class AgencyGiven(Body):
    """関係機関 / Agency

    An agency on the network (関係機関). ``sample``: invented, for trying out. ``active``: on
    the network today."""

    id: str
    """ID / id"""
    name: str
    """名称 / name"""
    name_en: str
    """英語の名称 / name in English"""
    kind: Open[AgencyKind]
    """種類 / kind"""
    hours: str
    """開所時間 / opening hours"""
    functions: tuple[str, ...] = ()
    """機能 / functions"""
    district: str | None = None
    """地区 / district"""
    phone: str | None = None
    """電話番号 / telephone"""
    sample: bool = False
    """見本の機関 / invented, for trying out"""
    active: bool = True
    """いま参加しているか / on the network today"""


class Commitment(Body):
    """封緘の証 / Commitment

    Binds a sealed group to its event: SHA-256 over nonce and plaintext."""

    group: Group
    """項目群 / group of fields"""
    commitment: str
    """SHA-256 による証 / commitment, SHA-256"""


class AttachmentAdded(Body):
    """添付が加わった / Attachment added

    A file was put on the record (添付). ``ciphertext_sha256``: of the encrypted bytes that are
    kept of it; ``size``: of the file itself, in bytes. Name and SHA-256 of the file are sealed."""

    type: Literal["attachment_added"] = "attachment_added"
    """種類 / type"""
    attachment: UUID
    """添付の ID / the attachment"""
    by: str
    """行った機関 / the agency that did it"""
    media_type: Open[MediaType]
    """ファイルの種類 / what kind of file"""
    size: int
    """大きさ（バイト） / size in bytes"""
    ciphertext_sha256: str
    """保管している暗号文の SHA-256 / SHA-256 of the encrypted bytes that are kept"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""


class AttachmentGiven(Body):
    """添付 / Attachment

    A file on the record (添付). ``ciphertext_sha256``: of the bytes that are kept, as in the
    ledger. ``name`` and ``scan`` are there only when this agency may open it."""

    id: UUID
    """ID / id"""
    media_type: Open[MediaType]
    """ファイルの種類 / what kind of file"""
    size: int
    """大きさ（バイト） / size in bytes"""
    ciphertext_sha256: str
    """保管している暗号文の SHA-256 / SHA-256 of the encrypted bytes that are kept"""
    added_at: AwareDatetime
    """添付の日時 / when it was added"""
    added_by: str
    """添付した機関 / who added it"""
    name: str | None = None
    """ファイル名。開ける機関だけに示す / file name, for whoever may open it"""
    scan: Open[ScanState] | None = None
    """ウイルス検査の状態 / what the scanner says"""


class DistrictGiven(Body):
    """地区 / District

    The district found, or between which the core centre is to decide (地区)."""

    id: str | None
    """ID / id"""
    basis: Open[Basis]
    """根拠 / basis"""
    candidates: tuple[str, ...]
    """候補の地区 / districts it may be"""


class FieldProblemGiven(Body):
    """項目ごとの誤り / Problem of one field

    One mistake: where (RFC 6901 pointer), and what to do about it."""

    pointer: str
    """本文のどこか（JSON Pointer） / where in the body"""
    detail: str
    """何をすればよいか / what to do about it"""


class ProblemGiven(Body):
    """誤りの文書 / Problem document (RFC 9457)

    RFC 9457, with the stable ``code``."""

    type: str
    """誤りの URN / URN of the problem"""
    title: str
    """何が起きたか / what happened"""
    detail: str
    """何をすればよいか / what to do about it"""
    status: int
    """HTTP の状態 / HTTP status"""
    code: str
    """コード / code"""
    errors: tuple[FieldProblemGiven, ...] = ()
    """項目ごとの誤り / problem by problem"""


class BatchItemGiven(Body):
    """下見の一件 / One item of a batch

    What one referral of a batch would be answered: ``problem`` where it would be refused."""

    district: DistrictGiven | None = None
    """いまの決まりでつながる地区 / the district it would go to"""
    problem: ProblemGiven | None = None
    """断られる場合の理由 / why it would be refused"""


class BatchGiven(Body):
    """まとめて下見した答え / What a batch of checks says

    ``items``: in the order in which they were sent (まとめて下見した答え)."""

    items: tuple[BatchItemGiven, ...]
    """並び順どおりの各件 / the items, in order"""


class BurningGiven(Body):
    """見張りの一件 / Escalation on the board

    An escalation on the board (見張り), with what is needed to see whose it is. ``change``:
    the number of its newest change, among all changes of escalations; also its id in the
    stream."""

    id: UUID
    """ID / id"""
    code: str
    """上申の理由 E01〜E13 / reason"""
    state: Open[EscalationState]
    """状態 / state"""
    raised_at: AwareDatetime
    """上申の日時 / when it was raised"""
    raised_by: str
    """上申した機関。network は区の決まりによる / who raised it; network: the ward's own rule"""
    change: int
    """最新の変化の番号（上申全体での通し） / number of its newest change, among all escalations"""
    referral: UUID
    """依頼の ID / the referral"""
    number: str
    """受付番号（電話で伝える番号） / the number people say on the phone"""
    function: str
    """拠点の機能。コードは名簿にあります / function of the hub; codes are in the directory"""
    urgency: Open[Urgency]
    """緊急度 / how soon someone must answer"""
    stage: Open[Stage]
    """段階 / stage"""
    custodian: str
    """いまの担当機関 / the agency responsible now"""
    level: int = 1
    """何番目の窓口か / which desk, counted from 1"""
    desk: str | None = None
    """呼ばれた窓口 / the desk that was called"""
    due_at: AwareDatetime | None = None
    """応答（応答後は解決）の期限 / until when it must be acknowledged, then resolved"""
    handoff: UUID | None = None
    """打診の ID / the hand-off"""
    acknowledged_at: AwareDatetime | None = None
    """応答の日時 / when it was acknowledged"""
    acknowledged_by: str | None = None
    """応答した機関 / who acknowledged it"""
    resolved_at: AwareDatetime | None = None
    """解決の日時 / when it was resolved"""
    disposition: Open[Disposition] | None = None
    """上申の結末 / how it ended"""
    district: str | None = None
    """地区 / district"""
    candidates: tuple[str, ...] = ()
    """候補の地区 / districts it may be"""


class Cancelling(Body):
    """取消 / Cancelling

    The sender takes the referral back before anyone accepted (取消)."""

    text: str | None = None
    """添える言葉 / words that go with it"""


class CheckGiven(Body):
    """依頼の下見の答え / What a check says

    The referral would be taken (下見). ``district``: where it would go, as things stand."""

    district: DistrictGiven | None = None
    """いまの決まりでつながる地区 / the district it would go to"""


class Closing(Body):
    """終結 / Closing

    The case ends, with an outcome (終結)."""

    outcome: str
    """結果のコード / outcome, a code of the directory"""
    text: str | None = None
    """添える言葉 / words that go with it"""


class CloudEvent(Body):
    """出来事 / Event (CloudEvents 1.0)

    One event as the outside sees it (CloudEvents 1.0). ``data``: the event; in a history with
    its words (``opened``), where this agency may read them."""

    specversion: Literal["1.0"] = "1.0"
    """CloudEvents の版 / version of CloudEvents"""
    id: UUID
    """ID / id"""
    type: str
    """出来事の種類 / type of event"""
    source: str
    """区 / the ward"""
    subject: str
    """依頼の ID / id of the referral"""
    time: AwareDatetime
    """日時 / when"""
    datacontenttype: Literal["application/json"] = "application/json"
    """data の形式 / format of data"""
    data: dict[str, Any]
    """出来事の中身 / the event itself"""


class Completion(Body):
    """完了報告 / Completion

    How a request went (完了報告)."""

    outcome: str
    """結果のコード / outcome, a code of the directory"""
    text: str | None = None
    """添える言葉 / words that go with it"""


class Consent(Body):
    """同意・提供の根拠 / Consent

    On which basis the data is disclosed (同意・根拠). E27-1-2 (protection of life, body or
    property) needs why, danger and who decided; SW106-6 (支援会議) the meeting's id."""

    basis: str
    """根拠のコード（C1、E27-1-2 など） / basis, a code of the directory"""
    obtained_at: AwareDatetime | None = None
    """同意を得た日時 / when consent was given"""
    why: str | None = None
    """同意を得られない理由 / why consent is hard to get"""
    danger: str | None = None
    """危険の内容 / what the danger is"""
    decided_by: str | None = None
    """提供を判断した人 / who decided"""
    meeting: str | None = None
    """支援会議の番号 / id of the support meeting"""
    agencies: tuple[str, ...] = ()
    """提供先の機関 / agencies it may go to"""
    items: tuple[str, ...] = ()
    """提供する項目 / what may be handed over"""
    expires_at: AwareDatetime | None = None
    """同意の期限 / until when"""


class Contact(Body):
    """緊急連絡先 / Contact

    Someone to call (緊急連絡先など)."""

    name: str | None = None
    """氏名 / name"""
    relation: str | None = None
    """続柄 / relation"""
    phone: str | None = None
    """電話番号 / telephone"""


class CurrentService(Body):
    """利用中のサービス / Service in use

    A service in use: its code (24 短期入所 …) and the provider's 10-character number."""

    code: str
    """サービス種類コード（24 短期入所 など） / service code"""
    provider_number: str | None = None
    """事業所番号（10 桁） / provider's number, 10 characters"""


class CustodyTaken(Body):
    """引き取られた / Custody taken

    The core centre took the case over (引き取り). Said where the call that led to it is known
    to named readers only; otherwise the acknowledgement says it."""

    type: Literal["custody_taken"] = "custody_taken"
    """種類 / type"""
    by: str
    """行った機関 / the agency that did it"""
    custodian: str
    """いまの担当機関 / the agency responsible now"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""


class Decline(Body):
    """辞退 / Decline

    No, and who said so (辞退)."""

    said_by: SaidBy
    """断ったのは機関か本人か / who said no"""
    reason: str
    """理由のコード / reason, a code of the directory"""
    text: str | None = None
    """添える言葉 / words that go with it"""


class DeliveryGivenUp(Body):
    """届かなかった / Delivery given up

    An event could not be delivered for too long (不達): it is a dead letter, and nothing more
    is sent to the agency until a test event arrives there. ``sender``: who did what the event
    tells; ``inbox_number``: the receiver's own number of it."""

    type: Literal["delivery_given_up"] = "delivery_given_up"
    """種類 / type"""
    agency: str
    """機関の ID / agency"""
    sender: str
    """出来事を起こした機関 / who did what the event tells"""
    event: UUID
    """届かなかった出来事 / the event that was not delivered"""
    inbox_number: int
    """受け手の受信箱の番号 / the receiver's own number of it"""
    reason: Open[Undelivered]
    """届かない理由 / why"""
    attempts: int
    """試みた回数 / how often it was tried"""
    since: AwareDatetime
    """最初に試みた日時 / when it was first tried"""
    status: int | None = None
    """相手の HTTP の答え / what the receiver answered (HTTP)"""


class DeliveryTestGiven(Body):
    """通信試験の結果 / Test event

    A test event and what became of it (通信試験). ``number``: in the agency's inbox.
    ``took_ms``: from the event to the agency's answer; ``reason``, ``status``: of the last
    attempt that failed."""

    id: UUID
    """ID / id"""
    daily: bool
    """毎日の試験か / whether it is the day's own test"""
    way: Literal["inbox", "webhook", "nats"] | str
    """受け取り方 / how its events reach the agency"""
    state: Open[DeliveryTestState]
    """状態 / state"""
    delivered: bool
    """届いたか / whether it arrived"""
    asked_at: AwareDatetime
    """求めた日時 / when it was asked for"""
    number: int | None = None
    """番号 / number"""
    attempts: int | None = None
    """試みた回数 / how often it was tried"""
    delivered_at: AwareDatetime | None = None
    """届いた日時 / when it arrived"""
    took_ms: int | None = None
    """届くまでのミリ秒 / milliseconds until it had arrived"""
    reason: str | None = None
    """届かない理由 / why it has not arrived"""
    status: int | None = None
    """相手の HTTP の答え / what the receiver answered (HTTP)"""


class DeliveryTested(Body):
    """通信試験 / Delivery tested

    A test event, by the way that all others go (通信試験). ``daily``: the day's own; otherwise
    somebody asked for it."""

    type: Literal["delivery_tested"] = "delivery_tested"
    """種類 / type"""
    agency: str
    """機関の ID / agency"""
    daily: bool
    """毎日の試験か / whether it is the day's own test"""


class DeskGiven(Body):
    """窓口 / Desk

    Where a call to the core centre arrives (窓口)."""

    id: str
    """ID / id"""
    agency: str
    """機関の ID / agency"""
    name: str
    """名称 / name"""
    name_en: str
    """英語の名称 / name in English"""
    hours: str
    """開所時間 / opening hours"""


class EscalationReasonGiven(Body):
    """上申の理由 / Reason to call the core centre

    A reason to call the core centre (上申の理由), and what follows (その後)."""

    code: str
    """コード / code"""
    ja: str
    """日本語 / in Japanese"""
    en: str
    """英語 / in English"""
    then_ja: str = ""
    """その後どうなるか（日本語） / what follows, in Japanese"""
    then_en: str = ""
    """その後どうなるか（英語） / what follows, in English"""


class TermGiven(Body):
    """区のコード / Code of the ward

    A code of the ward and what it means."""

    code: str
    """コード / code"""
    ja: str
    """日本語 / in Japanese"""
    en: str
    """英語 / in English"""


class WardDistrictGiven(Body):
    """地区と拠点 / District and hub

    A district (地区) and the agency that serves it today."""

    id: str
    """ID / id"""
    name: str
    """名称 / name"""
    hub: str
    """いま地区を受け持つ機関 / the agency that serves it today"""


class WardGiven(Body):
    """区 / Ward

    The ward whose network this is (区)."""

    code: str
    """コード / code"""
    name: str
    """名称 / name"""


class DirectoryGiven(Body):
    """名簿 / Directory

    ``GET /v1/directory``: who is on the network, and which codes this ward uses (名簿)."""

    ward: WardGiven
    """区 / the ward"""
    districts: tuple[WardDistrictGiven, ...]
    """地区 / districts"""
    agencies: tuple[AgencyGiven, ...]
    """関係機関 / agencies"""
    functions: tuple[TermGiven, ...]
    """機能 / functions"""
    topics: tuple[TermGiven, ...]
    """相談内容のコード / topics, codes of the directory"""
    outcomes: tuple[TermGiven, ...]
    """結果 / outcomes"""
    decline_reasons: tuple[TermGiven, ...]
    """辞退の理由 / reasons to decline"""
    consent_bases: tuple[TermGiven, ...]
    """提供の根拠 / bases of disclosure"""
    requested_actions: tuple[TermGiven, ...]
    """依頼内容 / requested actions"""
    escalation_reasons: tuple[EscalationReasonGiven, ...]
    """上申の理由 / reasons to escalate"""
    desks: tuple[DeskGiven, ...] = ()
    """窓口 / desks"""


class DistrictFound(Body):
    """地区が決まった / District found

    The address, or the sender, settles the district. ``ruling``: the event of the core
    centre's ruling that settles it, when the basis is ``ruled`` and it was remembered for the
    block."""

    type: Literal["district_found"] = "district_found"
    """種類 / type"""
    district: str
    """地区 / district"""
    basis: Open[Basis]
    """根拠 / basis"""
    candidates: tuple[str, ...]
    """候補の地区 / districts it may be"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""
    ruling: UUID | None = None
    """もとになった判定の ID / the ruling that settles it"""
    block_key: str | None = None
    """街区の鍵付きハッシュ / keyed hash of the block"""


class DistrictRuled(Body):
    """地区が判定された / District ruled

    The core centre decided the district (判定). ``remember``: the next address in that block
    resolves the same way; the block is named by a keyed hash, not by its address. ``revises``:
    the event of the ruling that this one takes the place of, from now on (判定の変更)."""

    type: Literal["district_ruled"] = "district_ruled"
    """種類 / type"""
    district: str
    """地区 / district"""
    by: str
    """行った機関 / the agency that did it"""
    remember: bool
    """この街区に今後も適用する / for this block from now on"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""
    block_key: str | None = None
    """街区の鍵付きハッシュ / keyed hash of the block"""
    revises: UUID | None = None
    """これが改める判定の ID / the ruling that this one takes the place of"""


class Due(Body):
    """期限とその数え方 / Due: until when, and by which clock

    A deadline as it was computed, once and for ever: whoever replays it takes ``at`` and
    computes nothing. ``rule``: the ward's rule, such as ``answer.urgent`` or
    ``E07.acknowledge``; either ``minutes`` or ``days``. Of a business clock also:
    ``hours_of``, the agency whose opening hours it ran in, ``holidays``, the national holidays
    (祝日) it passed over, and ``calendar``, which says where those were taken from."""

    at: AwareDatetime
    """期限の時刻。決めたときのまま / the moment, as it was computed once"""
    rule: str
    """区の決まりの名 / the ward's rule, such as answer.urgent or E07.acknowledge"""
    clock: ClockKind
    """実時間か開所時間か / wall, or opening hours only"""
    minutes: int | None = None
    """分 / minutes"""
    days: int | None = None
    """日 / days"""
    hours_of: str | None = None
    """どの機関の開所時間か / whose opening hours"""
    holidays: tuple[date, ...] = ()
    """数えなかった祝日 / the national holidays it passed over"""
    calendar: str | None = None
    """祝日の出典 / where the holidays were taken from"""


class EndpointEnabled(Body):
    """配送が再開した / Endpoint enabled

    A test event arrived at an agency to which nothing was sent any more (配送再開)."""

    type: Literal["endpoint_enabled"] = "endpoint_enabled"
    """種類 / type"""
    agency: str
    """機関の ID / agency"""
    test: UUID
    """届いた通信試験 / the test that arrived"""


class EscalationAcknowledged(Body):
    """上申に応答があった / Escalation acknowledged

    Somebody at a desk that was called has it in hand (応答). ``custodian``: responsible from
    here: the core centre, or unchanged where it only advises. ``due``: until when it must be
    resolved."""

    type: Literal["escalation_acknowledged"] = "escalation_acknowledged"
    """種類 / type"""
    escalation: UUID
    """上申の ID / the escalation"""
    by: str
    """行った機関 / the agency that did it"""
    custodian: str
    """いまの担当機関 / the agency responsible now"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""
    advise_only: bool = False
    """助言だけで担当は移らない / the core centre only advises"""
    due: Due | None = None
    """解決の期限 / until when it must be resolved"""


class EscalationCall(Body):
    """上申 / Escalation

    A call to the core centre (上申)."""

    reason: str
    """理由のコード / reason, a code of the directory"""
    text: str | None = None
    """添える言葉 / words that go with it"""


class EscalationGiven(Body):
    """上申 / Escalation

    A call to the core centre (上申), and where it stands. ``due_at``: until when the desk must
    acknowledge, or whoever acknowledged must resolve."""

    id: UUID
    """ID / id"""
    code: str
    """上申の理由 E01〜E13 / reason"""
    state: Open[EscalationState]
    """状態 / state"""
    raised_at: AwareDatetime
    """上申の日時 / when it was raised"""
    raised_by: str
    """上申した機関。network は区の決まりによる / who raised it; network: the ward's own rule"""
    level: int = 1
    """何番目の窓口か / which desk, counted from 1"""
    desk: str | None = None
    """呼ばれた窓口 / the desk that was called"""
    due_at: AwareDatetime | None = None
    """応答（応答後は解決）の期限 / until when it must be acknowledged, then resolved"""
    handoff: UUID | None = None
    """打診の ID / the hand-off"""
    acknowledged_at: AwareDatetime | None = None
    """応答の日時 / when it was acknowledged"""
    acknowledged_by: str | None = None
    """応答した機関 / who acknowledged it"""
    resolved_at: AwareDatetime | None = None
    """解決の日時 / when it was resolved"""
    disposition: Open[Disposition] | None = None
    """上申の結末 / how it ended"""


class EscalationList(Body):
    """見張り / Board of escalations

    ``GET /v1/escalations``, newest change first. ``head``: the newest change that the answer
    knows of: a stream opened with it as ``Last-Event-ID`` misses nothing."""

    items: tuple[BurningGiven, ...]
    """並び順どおりの各件 / the items, in order"""
    head: int
    """この答えが知る最新の変化の番号 / the newest change that the answer knows of"""
    next: str | None = None
    """続き（より前の変化）があれば、その頁を求める値 / for the next page, of earlier changes"""


class EscalationPassedOn(Body):
    """次の窓口へ回った / Escalation passed on

    Nobody acknowledged, or whoever did has not resolved it in time: the next desk is called,
    and the last one again and again (次の窓口へ). From here nobody has it in hand."""

    type: Literal["escalation_passed_on"] = "escalation_passed_on"
    """種類 / type"""
    escalation: UUID
    """上申の ID / the escalation"""
    level: int
    """何番目の窓口か / which desk, counted from 1"""
    desk: str
    """呼ばれた窓口 / the desk that was called"""
    to: str
    """呼ばれた窓口の機関 / the agency whose desk was called"""
    due: Due
    """応答の期限 / until when it must be acknowledged"""
    overdue_since: AwareDatetime
    """過ぎた期限 / the time by which it was due"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""


class EscalationRaised(Body):
    """上申された / Escalation raised

    The core centre was called (上申). ``code``: E01-E13. ``by``: the agency that called, or
    ``network`` where the ward's own rule did. ``desk`` of the agency ``to`` is called first
    and must acknowledge until ``due``. ``handoff``: the one whose receiver is closed, silent
    or has refused; ``overdue_since``: the clock that was missed. ``restricted``: only named
    readers from here on."""

    type: Literal["escalation_raised"] = "escalation_raised"
    """種類 / type"""
    escalation: UUID
    """上申の ID / the escalation"""
    code: str
    """上申の理由 E01〜E13 / reason"""
    by: str
    """上申した機関。network は区の決まりによる / who raised it; network: the ward's own rule"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""
    level: int = 1
    """何番目の窓口か / which desk, counted from 1"""
    desk: str | None = None
    """呼ばれた窓口 / the desk that was called"""
    to: str | None = None
    """呼ばれた窓口の機関 / the agency whose desk was called"""
    due: Due | None = None
    """応答の期限 / until when it must be acknowledged"""
    handoff: UUID | None = None
    """打診の ID / the hand-off"""
    overdue_since: AwareDatetime | None = None
    """過ぎた期限 / the time by which it was due"""
    restricted: bool = False
    """閲覧制限（決められた人だけ） / only named readers from here on"""


class EscalationResolved(Body):
    """上申が解決した / Escalation resolved

    An escalation ended (解決): what became of the case."""

    type: Literal["escalation_resolved"] = "escalation_resolved"
    """種類 / type"""
    escalation: UUID
    """上申の ID / the escalation"""
    by: str
    """行った機関 / the agency that did it"""
    disposition: Open[Disposition]
    """上申の結末 / how it ended"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""


class Handbook(Body):
    """手帳 / Handbook

    手帳: kind and grade. Never mandatory."""

    kind: str
    """手帳の種類 / kind of handbook"""
    grade: str | None = None
    """等級 / grade"""


class HandoffAccepted(Body):
    """受諾された / Hand-off accepted

    The receiver took it (受諾). ``custodian``: who is responsible from this instant."""

    type: Literal["handoff_accepted"] = "handoff_accepted"
    """種類 / type"""
    handoff: UUID
    """打診の ID / the hand-off"""
    by: str
    """行った機関 / the agency that did it"""
    custodian: str
    """いまの担当機関 / the agency responsible now"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""


class HandoffCompleted(Body):
    """完了した / Hand-off completed

    The receiver of a request reports how it went (完了報告)."""

    type: Literal["handoff_completed"] = "handoff_completed"
    """種類 / type"""
    handoff: UUID
    """打診の ID / the hand-off"""
    by: str
    """行った機関 / the agency that did it"""
    outcome: str
    """結果のコード / outcome, a code of the directory"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""


class HandoffDeclined(Body):
    """辞退された / Hand-off declined

    The agency, or the person, said no (辞退)."""

    type: Literal["handoff_declined"] = "handoff_declined"
    """種類 / type"""
    handoff: UUID
    """打診の ID / the hand-off"""
    by: str
    """行った機関 / the agency that did it"""
    said_by: Open[SaidBy]
    """断ったのは機関か本人か / who said no"""
    reason: str
    """理由のコード / reason, a code of the directory"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""


class HandoffExpired(Body):
    """期限が過ぎた / Hand-off expired

    The receiver stayed silent until the clock ran out (無回答). ``overdue_since``: when it
    should have answered."""

    type: Literal["handoff_expired"] = "handoff_expired"
    """種類 / type"""
    handoff: UUID
    """打診の ID / the hand-off"""
    overdue_since: AwareDatetime
    """過ぎた期限 / the time by which it was due"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""


class HandoffGiven(Body):
    """打診とその答え / Hand-off

    One offer to one agency, and its answer (打診)."""

    id: UUID
    """ID / id"""
    kind: Open[HandoffKind]
    """種類 / kind"""
    function: str
    """拠点の機能。コードは名簿にあります / function of the hub; codes are in the directory"""
    from_: str = Field(alias="from")
    """打診した機関 / the agency that asks"""
    to: str
    """打診先 / the agency asked"""
    state: Open[HandoffState]
    """状態 / state"""
    offered_at: AwareDatetime
    """打診の日時 / when it was offered"""
    due_at: AwareDatetime | None = None
    """回答の期限 / until when it must answer"""
    withheld: bool = False
    """氏名等は受諾後に伝わる / about whom is told on acceptance"""
    answered_at: AwareDatetime | None = None
    """回答の日時 / when it was answered"""
    said_by: Open[SaidBy] | None = None
    """断ったのは機関か本人か / who said no"""
    reason: str | None = None
    """理由のコード / reason, a code of the directory"""
    outcome: str | None = None
    """結果のコード / outcome, a code of the directory"""


class HandoffOffer(Body):
    """打診 / Offer

    ``POST /v1/referrals/{id}/handoffs``. Several ``to``: the first acceptance wins. A request
    without ``to`` goes to the ward's candidates for its function (空き照会)."""

    kind: HandoffKind
    """種類 / kind"""
    to: tuple[str, ...] | None = None
    """打診先。複数なら最初の受諾で決まります。依頼で省けば区の候補へ / whom to ask; the first
    acceptance wins; a request without it goes to the ward's candidates"""
    function: str | None = None
    """拠点の機能。コードは名簿にあります / function of the hub; codes are in the directory"""
    note: str | None = None
    """添える言葉 / words that go with it"""


class HandoffOffered(Body):
    """打診した / Hand-off offered

    One agency was asked (打診). ``offer``: shared by all receivers asked in the same step.
    ``due``: until when it must answer. ``withheld``: it is not told about whom before it
    accepts (氏名等は受諾後). ``listed``: the sender named nobody, the ward's list did (空き照会
    )."""

    type: Literal["handoff_offered"] = "handoff_offered"
    """種類 / type"""
    handoff: UUID
    """打診の ID / the hand-off"""
    offer: UUID
    """同時に打診した組の ID / shared by all asked in the same step"""
    kind: Open[HandoffKind]
    """種類 / kind"""
    function: str
    """拠点の機能。コードは名簿にあります / function of the hub; codes are in the directory"""
    sender: str
    """送り手の機関 / the agency that sent it"""
    receiver: str
    """打診先の機関 / the agency asked"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""
    due: Due | None = None
    """回答の期限 / until when it must answer"""
    withheld: bool = False
    """氏名等は受諾後に伝わる / about whom is told on acceptance"""
    listed: bool = False
    """区の候補として照会された / asked because the ward's list says so"""


class HandoffWithdrawn(Body):
    """取り下げられた / Hand-off withdrawn

    The offer stopped standing without an answer of its own (取り下げ)."""

    type: Literal["handoff_withdrawn"] = "handoff_withdrawn"
    """種類 / type"""
    handoff: UUID
    """打診の ID / the hand-off"""
    by: str
    """行った機関。network は仕組み自身 / the agency that did it; network: the network itself"""
    because: Open[WithdrawnBecause]
    """取り下げの理由 / why it stopped standing"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""


class HistoryGiven(Body):
    """経過 / History

    Every event of one referral that this agency may see, in order (経過)."""

    items: tuple[CloudEvent, ...]
    """並び順どおりの各件 / the items, in order"""


class InboxItem(Body):
    """受信箱の一件 / Inbox item

    ``number``: this agency's own numbering, 1, 2, 3 … without a hole."""

    number: int
    """貴機関だけの通し番号。欠番なし / this agency's own numbering, without a hole"""
    event: CloudEvent
    """出来事 / event"""


class InboxGiven(Body):
    """受信箱 / Inbox

    Events for this agency after a number, oldest first (受信箱)."""

    items: tuple[InboxItem, ...]
    """並び順どおりの各件 / the items, in order"""
    head: int
    """貴機関の最新の番号 / the newest number that this agency has"""


class ManifestGiven(Body):
    """送達目録 / Manifest

    What an agency's inbox held, signed (送達目録): 1 … ``size``, with this head hash.
    ``note``: the C2SP signed note that says it; ``key``: the verifier key to check it by, kept
    from an earlier day or got from the ward; ``keys``: all there ever were, newest first."""

    agency: str
    """機関の ID / agency"""
    day: date
    """日付（日本時間） / the day, in Japan"""
    size: int
    """受信箱の件数 / how many events the inbox holds"""
    head: str
    """受信箱の証明値 / hash over all of them"""
    signed_at: AwareDatetime
    """署名した日時 / when it was signed"""
    note: str
    """署名付きの文書（C2SP signed note） / the signed note"""
    key: str
    """署名を確かめる鍵 / the verifier key"""
    keys: tuple[str, ...]
    """これまでの鍵（新しい順） / all verifier keys, newest first"""


class ManifestSigned(Body):
    """送達目録に署名した / Manifest signed

    An agency's inbox held 1 … ``size``, with this head hash (送達目録)."""

    type: Literal["manifest_signed"] = "manifest_signed"
    """種類 / type"""
    agency: str
    """機関の ID / agency"""
    size: int
    """受信箱の件数 / how many events the inbox holds"""
    head: str
    """受信箱の証明値 / hash over all of them"""


class Needs(Body):
    """状態像・支援の状況 / Needs

    What is known of the person's condition and support (状態像・支援の状況)."""

    disability_kinds: tuple[Open[DisabilityKind], ...] = ()
    """障害の種別 / kinds of disability"""
    handbooks: tuple[Handbook, ...] = ()
    """手帳 / handbooks"""
    support_category: int | None = None
    """障害支援区分 1〜6 / support category"""
    care_level: str | None = None
    """要介護度 / care level"""
    medical_care: tuple[int, ...] = ()
    """医療的ケアの項目 1〜14 / items of medical care"""
    handbook_held: bool | None = None
    """手帳を持っているか。なければ不明 / holds any handbook; absent: not known"""
    current_services: tuple[CurrentService, ...] = ()
    """利用中のサービス / services in use"""
    doctor: str | None = None
    """主治医 / doctor"""


class Note(Body):
    """記録 / Note

    Words for the record (記録)."""

    text: str
    """記録の文 / the note"""


class NoteAdded(Body):
    """記録が加わった / Note added

    Words were added to the record (記録); only their commitment is here."""

    type: Literal["note_added"] = "note_added"
    """種類 / type"""
    note: UUID
    """記録の ID / the note"""
    by: str
    """行った機関 / the agency that did it"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""


class Person(Body):
    """本人 / Person concerned

    The person concerned (本人). A name is never "corrected". Either a birth date or an age
    band."""

    name: str | None = None
    """氏名。書かれたまま扱います / name, kept as written"""
    kana: str | None = None
    """フリガナ / reading of the name"""
    birth_date: date | None = None
    """生年月日 / date of birth"""
    age_band: str | None = None
    """年齢層（生年月日が不明のとき） / age band, when the birth date is unknown"""
    phone: str | None = None
    """電話番号 / telephone"""
    preferred_contact: Open[PreferredContact] | None = None
    """希望する連絡方法 / preferred way of contact"""
    communication: str | None = None
    """意思疎通の配慮 / what helps communication"""
    emergency_contacts: tuple[Contact, ...] = ()
    """緊急連絡先 / whom to call"""


class RedriveEnded(Body):
    """再配送が終わった / Redrive ended

    ``delivered`` of them arrived (再配送の終わり); ``failed`` did not: an operator passed them
    over (``redrive_resumed`` names them), or they are not there any more. ``cancelled``: it
    was stopped before the end, by ``asked_by``."""

    type: Literal["redrive_ended"] = "redrive_ended"
    """種類 / type"""
    redrive: UUID
    """再配送の ID / id of the redrive"""
    agency: str
    """機関の ID / agency"""
    delivered: int
    """届いた件数 / how many arrived"""
    failed: int
    """届かなかった件数 / how many did not"""
    cancelled: bool = False
    """途中で止めたか / whether it was stopped before the end"""
    asked_by: str | None = None
    """指図した窓口や受付番号 / the desk or ticket that asked for it"""


class RedrivePaused(Body):
    """再配送が一時停止した / Redrive paused

    A re-drive waits for an operator (再配送の一時停止): one wanted it so, or ``inbox_number``
    failed again and again, for this ``reason``."""

    type: Literal["redrive_paused"] = "redrive_paused"
    """種類 / type"""
    redrive: UUID
    """再配送の ID / id of the redrive"""
    agency: str
    """機関の ID / agency"""
    inbox_number: int | None = None
    """受け手の受信箱の番号 / the receiver's own number of it"""
    reason: Open[Undelivered] | None = None
    """届かない理由 / why"""
    asked_by: str | None = None
    """指図した窓口や受付番号 / the desk or ticket that asked for it"""


class RedriveResumed(Body):
    """再配送が再開した / Redrive resumed

    An operator let it go on (再配送の再開). ``skipped``: the number that it had stopped at,
    which the operator passed over."""

    type: Literal["redrive_resumed"] = "redrive_resumed"
    """種類 / type"""
    redrive: UUID
    """再配送の ID / id of the redrive"""
    agency: str
    """機関の ID / agency"""
    skipped: int | None = None
    """飛ばした番号 / the number that was passed over"""
    asked_by: str | None = None
    """指図した窓口や受付番号 / the desk or ticket that asked for it"""


class RedriveStarted(Body):
    """再配送が始まった / Redrive started

    Events are carried to an agency once more (再配送). ``count``: how many; the filter that
    chose them: numbers of its inbox, a referral, why they had failed, only what was given up.
    ``asked_by``: how the operator named a desk or a ticket, never a person."""

    type: Literal["redrive_started"] = "redrive_started"
    """種類 / type"""
    redrive: UUID
    """再配送の ID / id of the redrive"""
    agency: str
    """機関の ID / agency"""
    count: int
    """対象の件数 / how many"""
    per_second: int
    """毎秒の件数 / how many a second"""
    first: int | None = None
    """最初の番号 / first number"""
    last: int | None = None
    """最後の番号 / last number"""
    referral: UUID | str | None = None
    """依頼の ID / the referral"""
    reason: str | None = None
    """不達の理由で選んだとき / chosen by why they had failed"""
    given_up: bool | None = None
    """不達のものだけか / only what was given up"""
    asked_by: str | None = None
    """指図した窓口や受付番号 / the desk or ticket that asked for it"""


class To(Body):
    """宛先 / Where to

    Where to: one agency, or a district's hub. Absent: by address."""

    agency: str | None = None
    """機関の ID / agency"""
    district: str | None = None
    """地区 / district"""


class ReferralSubmission(Body):
    """つなぎの依頼 / Referral

    ``POST /v1/referrals``: one person's need, handed to the network (つなぎの依頼)."""

    function: str
    """拠点の機能。コードは名簿にあります / function of the hub; codes are in the directory"""
    urgency: Urgency
    """緊急度 / how soon someone must answer"""
    summary: str
    """状況。これのない引き継ぎは丸投げです / the situation; a hand-off without one is 丸投げ"""
    consent: Consent
    """同意・提供の根拠 / on which basis the data is disclosed"""
    sender_reference: str | None = None
    """送り手の整理番号 / the sender's own reference"""
    staff: str | None = None
    """送り手の担当者 / the sender's contact"""
    requested_action: str | None = None
    """依頼内容のコード / what is asked for, a code of the directory"""
    requested_by: AwareDatetime | None = None
    """希望の期限 / wanted by"""
    topics: tuple[str, ...] = ()
    """相談内容のコード / topics, codes of the directory"""
    reported_by: ReportedBy = ReportedBy.AGENCY
    """相談の経路 / who asks"""
    person: Person | None = None
    """本人 / the person concerned"""
    address: Address | None = None
    """住所 / address"""
    household: Household = Household.UNKNOWN
    """世帯状況 / household"""
    registered: bool | None = None
    """世帯の事前登録。なければ不明 / registered beforehand; absent: not known"""
    needs: Needs | None = None
    """状態像・支援の状況 / condition and support"""
    complaint: str | None = None
    """主訴（本人の言葉で） / in the person's words"""
    risks: str | None = None
    """リスク・留意点 / risks"""
    to: To | None = None
    """宛先。なければ住所から決まります / where to; absent: by address"""


class ReferralBatch(Body):
    """まとめて確かめる依頼 / Referrals to be checked

    ``POST /v1/referrals/check/batch``: referrals to be checked, nothing more. One that is
    wrong is told for itself and spoils no other (まとめて確かめる)."""

    items: tuple[ReferralSubmission, ...]
    """確かめる依頼（500 件まで） / the referrals to be checked, up to 500"""


class ReferralCancelled(Body):
    """取り消された / Referral cancelled

    The sender took it back before anyone accepted (取消)."""

    type: Literal["referral_cancelled"] = "referral_cancelled"
    """種類 / type"""
    by: str
    """行った機関 / the agency that did it"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""


class ReferralClosed(Body):
    """終結した / Referral closed

    The case ended with an outcome (終結)."""

    type: Literal["referral_closed"] = "referral_closed"
    """種類 / type"""
    by: str
    """行った機関 / the agency that did it"""
    outcome: str
    """結果のコード / outcome, a code of the directory"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""


class ReferralGiven(Body):
    """一件の現状 / Referral as it stands

    A referral as the asking agency may see it. ``person`` … ``texts`` are there only when this
    agency may open them (``opened``)."""

    id: UUID
    """ID / id"""
    number: str
    """受付番号（電話で伝える番号） / the number people say on the phone"""
    ward: str
    """区の 6 桁コード / the ward's 6-digit code"""
    version: int
    """版。出来事ごとに 1 増えます / goes up by 1 with each event"""
    stage: Open[Stage]
    """段階 / stage"""
    custodian: str
    """いまの担当機関 / the agency responsible now"""
    sender: str
    """送り手の機関 / the agency that sent it"""
    function: str
    """拠点の機能。コードは名簿にあります / function of the hub; codes are in the directory"""
    urgency: Open[Urgency]
    """緊急度 / how soon someone must answer"""
    reported_by: Open[ReportedBy]
    """相談の経路 / who asks"""
    household: Open[Household]
    """世帯状況 / household"""
    consent_basis: str
    """根拠のコード / basis of the disclosure"""
    submitted_at: AwareDatetime
    """受付の日時 / when it was taken in"""
    updated_at: AwareDatetime
    """更新の日時 / when it last changed"""
    sender_reference: str | None = None
    """送り手の整理番号 / the sender's own reference"""
    requested_action: str | None = None
    """依頼内容のコード / what is asked for, a code of the directory"""
    requested_by: AwareDatetime | None = None
    """希望の期限 / wanted by"""
    topics: tuple[str, ...] = ()
    """相談内容のコード / topics, codes of the directory"""
    outcome: str | None = None
    """結果のコード / outcome, a code of the directory"""
    district: DistrictGiven | None = None
    """地区 / district"""
    handoffs: tuple[HandoffGiven, ...] = ()
    """打診 / offers and their answers"""
    escalations: tuple[EscalationGiven, ...] = ()
    """上申 / calls to the core centre"""
    attachments: tuple[AttachmentGiven, ...] = ()
    """添付 / attachments"""
    opened: bool = False
    """個人情報を開いて示しているか / whether personal data is shown"""
    registered: bool | None = None
    """世帯の事前登録。なければ不明 / registered beforehand; absent: not known"""
    person: Person | None = None
    """本人 / the person concerned"""
    address: Address | None = None
    """住所 / address"""
    staff: str | None = None
    """送り手の担当者 / the sender's contact"""
    needs: Needs | None = None
    """状態像・支援の状況 / condition and support"""
    complaint: str | None = None
    """主訴（本人の言葉で） / in the person's words"""
    summary: str | None = None
    """状況。これのない引き継ぎは丸投げです / the situation; a hand-off without one is 丸投げ"""
    risks: str | None = None
    """リスク・留意点 / risks"""
    consent: Consent | None = None
    """同意・提供の根拠 / on which basis the data is disclosed"""


class ReferralList(Body):
    """一覧 / List of referrals

    Newest first. ``next``: give it as ``after`` for the following page; absent at the end."""

    items: tuple[ReferralGiven, ...]
    """並び順どおりの各件 / the items, in order"""
    next: str | None = None
    """続きがあれば、次の after に渡す値 / give it as after for the next page"""


class ReferralReopened(Body):
    """再開した / Referral reopened

    A closed case goes on (再開)."""

    type: Literal["referral_reopened"] = "referral_reopened"
    """種類 / type"""
    by: str
    """行った機関 / the agency that did it"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""


class ReferralSubmitted(Body):
    """受付 / Referral submitted

    A partner's referral was accepted; the sender is custodian from here (受付)."""

    type: Literal["referral_submitted"] = "referral_submitted"
    """種類 / type"""
    number: str
    """番号 / number"""
    sender: str
    """送り手の機関 / the agency that sent it"""
    function: str
    """拠点の機能。コードは名簿にあります / function of the hub; codes are in the directory"""
    urgency: Open[Urgency]
    """緊急度 / how soon someone must answer"""
    consent_basis: str
    """根拠のコード / basis of the disclosure"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""
    sender_reference: str | None = None
    """送り手の整理番号 / the sender's own reference"""
    requested_action: str | None = None
    """依頼内容のコード / what is asked for, a code of the directory"""
    requested_by: AwareDatetime | None = None
    """希望の期限 / wanted by"""
    topics: tuple[str, ...] = ()
    """相談内容のコード / topics, codes of the directory"""
    reported_by: Open[ReportedBy] = ReportedBy.AGENCY
    """相談の経路 / who asks"""
    household: Open[Household] = Household.UNKNOWN
    """世帯状況 / household"""
    address_kind: Open[AddressKind] = AddressKind.NONE
    """住所の種類 / kind of address"""
    consent_obtained_at: AwareDatetime | None = None
    """同意を得た日時 / when consent was given"""
    unregistered: bool = False
    """事前登録も手帳もない / not registered beforehand, or no handbook held"""
    to_agency: str | None = None
    """宛先の機関 / the agency it is for"""
    to_district: str | None = None
    """宛先の地区 / the district it is for"""


class Reopening(Body):
    """再開 / Reopening

    A closed case goes on (再開)."""

    text: str | None = None
    """添える言葉 / words that go with it"""


class RequestGiven(Body):
    """受け付けた要求 / Request taken, not decided yet

    A request that was answered 202: durable, not decided yet."""

    request: UUID
    """要求の ID / id of the request"""
    state: Literal["pending"] = "pending"
    """状態 / state"""


class Resolution(Body):
    """上申の解決 / Resolution

    A call ends (解決): ``returned`` with advice (``to``: by default whoever had the case
    before), ``reassigned`` (to ``to``), ``kept`` as a difficult case, or ``advised``."""

    disposition: Literal["returned", "reassigned", "kept", "advised"]
    """結末: returned 助言して戻す · reassigned 他機関へつなぐ · kept 困難ケースとして担当 ·
    advised 助言 / how it ends"""
    to: str | None = None
    """つなぐ先・戻す先 / whom it is handed on or returned to"""
    text: str | None = None
    """添える言葉 / words that go with it"""


class Ruling(Body):
    """地区の判定 / Ruling

    The core centre decides the district (判定). ``remember``: for this block from now on."""

    district: str
    """地区 / district"""
    remember: bool = False
    """この街区に今後も適用する / for this block from now on"""
    text: str | None = None
    """添える言葉 / words that go with it"""


class RulingRequested(Body):
    """判定を依頼した / Ruling requested

    The address may lie in several districts: the core centre is asked (判定依頼)."""

    type: Literal["ruling_requested"] = "ruling_requested"
    """種類 / type"""
    candidates: tuple[str, ...]
    """候補の地区 / districts it may be"""
    sealed: tuple[Commitment, ...] = ()
    """封緘された個人情報の証 / commitments to sealed personal data"""
    block_key: str | None = None
    """街区の鍵付きハッシュ / keyed hash of the block"""


class Withdrawal(Body):
    """取り下げ / Withdrawal

    The sender takes an offer back (取り下げ)."""

    text: str | None = None
    """添える言葉 / words that go with it"""


EVENTS: dict[str, type[Body]] = {
    "attachment_added": AttachmentAdded,
    "custody_taken": CustodyTaken,
    "delivery_given_up": DeliveryGivenUp,
    "delivery_tested": DeliveryTested,
    "district_found": DistrictFound,
    "district_ruled": DistrictRuled,
    "endpoint_enabled": EndpointEnabled,
    "escalation_acknowledged": EscalationAcknowledged,
    "escalation_passed_on": EscalationPassedOn,
    "escalation_raised": EscalationRaised,
    "escalation_resolved": EscalationResolved,
    "handoff_accepted": HandoffAccepted,
    "handoff_completed": HandoffCompleted,
    "handoff_declined": HandoffDeclined,
    "handoff_expired": HandoffExpired,
    "handoff_offered": HandoffOffered,
    "handoff_withdrawn": HandoffWithdrawn,
    "manifest_signed": ManifestSigned,
    "note_added": NoteAdded,
    "redrive_ended": RedriveEnded,
    "redrive_paused": RedrivePaused,
    "redrive_resumed": RedriveResumed,
    "redrive_started": RedriveStarted,
    "referral_cancelled": ReferralCancelled,
    "referral_closed": ReferralClosed,
    "referral_reopened": ReferralReopened,
    "referral_submitted": ReferralSubmitted,
    "ruling_requested": RulingRequested,
}
"""The types of ``CloudEvent.data``, by what is between ``tsunagu.`` and ``.v1``."""
