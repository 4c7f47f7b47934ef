"""The calls about attachments, in the published OpenAPI."""

from schemas.base import JsonObject, ReferralRef
from schemas.codes import MediaType
from schemas.problems import ProblemCode
from services.intake.openapi_parts import (
    PREFER,
    UUID_SCHEMA,
    decided,
    idempotency_key,
    path_parameter,
    problems,
    type_schema,
)

_P = ProblemCode
_AGENCY = (_P.UNAUTHENTICATED, _P.RATE_LIMITED, _P.INTERNAL, _P.UNAVAILABLE)
_ADDED = (
    _P.INVALID_REQUEST, _P.MY_NUMBER_REFUSED, _P.NOT_INVOLVED, _P.ALREADY_CLOSED,
    _P.IDEMPOTENCY_KEY_REUSED, _P.UNSUPPORTED_MEDIA_TYPE, _P.TOO_LARGE, _P.ATTACHMENT_ERASED,
    *_AGENCY,
)  # fmt: skip
_READ = (
    _P.NOT_INVOLVED, _P.NOT_SCANNED_YET, _P.ATTACHMENT_UNSCANNABLE, _P.ATTACHMENT_INFECTED,
    _P.ATTACHMENT_ERASED, _P.ATTACHMENT_DAMAGED, *_AGENCY,
)  # fmt: skip
_FILE: JsonObject = {
    media_type.value: {"schema": {"type": "string", "format": "binary"}} for media_type in MediaType
}
_DISPOSITION = {
    "name": "Content-Disposition",
    "in": "header",
    "description": "ファイル名（RFC 6266）。パスと制御文字は取り除きます / the file's name; path and control "
    "characters are taken out",
    "schema": {"type": "string"},
    "example": "attachment; filename*=UTF-8''%E7%B4%B9%E4%BB%8B%E7%8A%B6.pdf",
}
_ADDING = """\
本文はファイルそのもの（20 MiB まで）です。種類は中身で確かめ、Content-Type と違うもの、二種類を兼ねるもの、途中で\
切れたものは断ります。送り手・担当機関・受諾した機関・基幹が付けられます。暗号化して保管し、\
暗号文の SHA-256 が記録に残ります。答えの Location が添付の場所です。一件に 50 まで、\
一機関が同時に送れるのは 8 つまでで、超えると 429 です。

The body is the file itself (up to 20 MiB). What it is is told by its content: what differs from \
Content-Type, is two kinds at once, or breaks off is refused. For the sender, the custodian, whoever \
accepted, and the core centre. It is kept encrypted, and the SHA-256 of the ciphertext is on record. \
Location says where to read it. At most 50 a referral; an agency may be sending 8 at the same time, \
beyond that it is told 429."""
_READING = """\
その件の個人情報を開ける機関だけが読めます（住所を秘匿した件では、受諾した機関と基幹だけ）。ウイルス検査のある網では、\
検査を通ったものだけを渡します。答えの前に、保管したすべてのバイトを記録の SHA-256 と照らします。

Only for agencies that may open the case's personal data (where the address is protected: whoever \
accepted, and the core centre). Where the network has a virus scanner, only what it has passed is handed \
out. Before the answer begins, all that is stored is held against the SHA-256 on record."""


def operations() -> list[tuple[str, str, JsonObject]]:
    given = decided(created=True)
    place = {"description": "添付の場所 / where it can be read", "schema": {"type": "string"}}
    given["201"]["headers"] = {"Location": place}
    ref = path_parameter("ref", "受付番号または ID / number or id", type_schema(ReferralRef))
    return [
        (
            "/v1/referrals/{ref}/attachments",
            "post",
            {
                "operationId": "add_attachment",
                "summary": "ファイルを添付する / Attach a file",
                "description": _ADDING,
                "tags": ["refer"],
                "parameters": [ref, idempotency_key(required=True), PREFER, _DISPOSITION],
                "requestBody": {"required": True, "content": _FILE},
                "responses": {**given, **problems(_ADDED)},
            },
        ),
        (
            "/v1/attachments/{id}",
            "get",
            {
                "operationId": "read_attachment",
                "summary": "添付を読む / Read an attachment",
                "description": _READING,
                "tags": ["read"],
                "parameters": [
                    path_parameter("id", "添付の ID / id of the attachment", UUID_SCHEMA)
                ],
                "responses": {
                    "200": {"description": "ファイル / The file", "content": _FILE},
                    **problems(_READ),
                },
            },
        ),
    ]
