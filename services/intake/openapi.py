"""OpenAPI 3.1 of what intake offers: the calls that change something (``calls.CALLS``), and the reads.

Built when intake starts, published in ``schemas/published/openapi.json``, and drawn for people by
``docs_page``.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from schemas import queries as q
from schemas.base import AgencyId, Code, JsonObject, ReferralRef
from schemas.partner import (
    DirectoryGiven,
    EscalationList,
    Given,
    HistoryGiven,
    InboxGiven,
    ReferralGiven,
    ReferralList,
    ReferralSubmission,
)
from schemas.problems import ProblemCode
from schemas.publishing.json_schema import component_schemas
from schemas.publishing.messages import GIVEN, SENT, TOLD
from services.intake.access.openapi import ANY_WAY, SCHEMES, with_scopes
from services.intake.asked import STATES
from services.intake.attachments.openapi import operations as attaching
from services.intake.calls import CALLS
from services.intake.checking import operations as checks
from services.intake.fhir.openapi import fhir_operations
from services.intake.openapi_parts import (
    LAST_EVENT_ID,
    PREFER,
    UUID_SCHEMA,
    all_examples,
    answer,
    answer_or_stream,
    component,
    decided,
    idempotency_key,
    path_parameter,
    problem_code,
    problems,
    query_parameter,
    request_body,
    type_schema,
)
from services.intake.proofs import operations as proofs

_P = ProblemCode

_ALWAYS = (_P.RATE_LIMITED, _P.INTERNAL, _P.UNAVAILABLE)
_AGENCY = (_P.UNAUTHENTICATED, *_ALWAYS)
_POSTED = (
    _P.INVALID_REQUEST, _P.MY_NUMBER_REFUSED, _P.NOT_INVOLVED, _P.IDEMPOTENCY_KEY_REUSED,
    _P.TOO_LARGE, *_AGENCY,
)  # fmt: skip
_SUBMITTED = (_P.UNKNOWN_AGENCY, _P.ADDRESS_UNREADABLE, _P.OUT_OF_WARD)
_REFERRAL = path_parameter("ref", "受付番号または ID / number or id", type_schema(ReferralRef))
_HANDOFF = path_parameter("ref", "打診の ID / id of the hand-off", UUID_SCHEMA)
_ESCALATION = path_parameter("ref", "上申の ID / id of the escalation", UUID_SCHEMA)
_TARGETS = {"referral": _REFERRAL, "handoff": _HANDOFF, "escalation": _ESCALATION}
_DECIDED = (_P.NOT_INVOLVED, _P.UNKNOWN_AGENCY, *(code for c in CALLS for code in c.refusals))


def openapi_document() -> JsonObject:
    """The whole contract, in the order in which people read it."""
    paths: dict[str, JsonObject] = {}
    operations = (
        *_changing(),
        *checks(),
        *proofs(),
        *attaching(),
        *_reading(),
        *fhir_operations(),
        *_open(),
    )
    for path, method, operation in with_scopes(operations):
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "つなぐ: 関係機関の接続仕様 / Tsunagu: the partner contract",
            "version": "1.0.0",
            "summary": "地域生活支援拠点の連携ネットワーク / A ward's referral network",
            "description": _INTRODUCTION,
        },
        "servers": [{"url": "/", "description": "この窓口 / this network"}],
        "security": ANY_WAY,
        "tags": [
            {"name": "refer", "description": "つなぐ・答える / Refer and answer"},
            {"name": "read", "description": "見る / Read"},
            {"name": "fhir", "description": "HL7 FHIR R4 でつなぐ / Through HL7 FHIR R4"},
            {"name": "run", "description": "動作を確かめる / See that it runs"},
        ],
        "paths": paths,
        "components": {
            "schemas": {
                **component_schemas((*SENT, *GIVEN, *TOLD)),
                "ProblemCode": problem_code(),
            },
            "examples": all_examples(),
            "securitySchemes": SCHEMES,
        },
    }


_INTRODUCTION = """\
JSON（UTF-8）。時刻は RFC 3339。どの POST にも Idempotency-Key を付けられ、同じ鍵と本文には何度でも同じ答えを\
返します。決定に 2 秒より長くかかるとき、または Prefer: respond-async を付けたときは 202 と Location を返し、\
受け付けたことは失われません。503 のときは受け付けを約束していません。同じ鍵で送り直せば、\
二重になることはありません。本文の知らない項目は断り、答えの知らない項目は読み飛ばしてください。個人番号（マイナンバー）は受け付けません。

JSON in UTF-8; times are RFC 3339. Every POST takes an Idempotency-Key: the same key and body give the \
same answer for ever. If deciding takes longer than 2 s, or with Prefer: respond-async, the answer is 202 \
with a Location, and nothing is lost. After 503 nothing was promised: repeat with the same key, and \
it cannot happen twice. Unknown fields in a body are refused; ignore those that you do not know in an answer. \
Individual Numbers (マイナンバー) are never accepted."""


_STREAM = (
    "15 秒ごとに注釈行で接続を保ち、30 秒受け取らない相手は切ります。"
    "一機関が同時に開けるのは 32 本までで、超えると 429 です。limit は使いません。"
)
_STREAM_EN = (
    "A comment every 15 s keeps the connection open; a reader that takes nothing for 30 s is cut off. "
    "An agency may have 32 streams open, beyond that it is told 429. limit is not used."
)
_BOARD = (
    "基幹、上申の窓口の機関、監査だけが見られます。Accept: text/event-stream では、まず未解決の上申"
    '（state で選べます）を変化の古い順に escalation として送り、ready（data は {"head": 番号}）で'
    "出揃ったことを告げ、その後は解決も含めすべての変化を送ります。届くのは、それぞれの上申のそのときの姿です。"
    "state、district、custodian で絞られるのは最初の一覧だけです。その後の変化は code のほかでは絞らないので、"
    "担当が替わるなどして条件から外れた上申も届きます。どれを見せるかは受け手が決めてください。"
    "Last-Event-ID を付けて開き直せば、その後に変わった上申がすべて（code のほかでは絞らずに）届き、続いて ready です。"
    "Last-Event-ID が最後の変化より先のとき（控えから戻したときなど）と、開いている間に番号が戻ったときは、"
    "最初の一覧からやり直します。そのときの ready の head は知っていた番号より小さいので、覚えたものは捨ててください。"
    f"after は使いません。{_STREAM}\n\n"
    "For the core centre, the agencies of the desks and auditors. With Accept: text/event-stream it "
    "first tells the open escalations (or those of state), oldest change first, as escalation; ready "
    '(data {"head": number}) says that the picture is whole; then every change, resolutions too. Each '
    "event is the escalation as it stands then. state, district and custodian narrow only the picture; "
    "what changes after it is narrowed by code alone, so that you learn of a call that no longer fits, "
    "such as one whose custodian changed: what to show is yours to decide. Opened again with "
    "Last-Event-ID it tells everything that changed since (narrowed by code alone), and then ready. "
    "Where Last-Event-ID is beyond the newest change (a database restored from a copy), or the numbers "
    "go back while it is open, the picture is told anew; the head of its ready is then less than the "
    f"number you knew: forget what you knew before. after is not used. {_STREAM_EN}"
)
_INBOX = (
    "Accept: text/event-stream では after（または Last-Event-ID）より後の各件を inbox として番号順に送り、"
    "その後は届くたびに送ります。"
    "id は番号で、それを Last-Event-ID に付けて開き直せば、抜けも重なりもなく続きから届きます。"
    "一覧でも流れでも、after や Last-Event-ID が受信箱の最後の番号より先なら 422 で、最後の番号を告げます"
    "（開いている流れは終わります）。"
    f"{_STREAM}\n\n"
    "With Accept: text/event-stream it tells each item after the number (or Last-Event-ID) as inbox, in "
    "order, then each new one as it comes. The id is the number: opened again with it as Last-Event-ID "
    "the stream goes on from there, nothing missing and nothing twice. In list and stream alike, after "
    "or Last-Event-ID beyond the newest number of the inbox is 422, which names that number (an open "
    f"stream ends). {_STREAM_EN}"
)
_BOARD_STREAM = (
    'retry: 1000\n\nid: 41\nevent: escalation\ndata: {"id":"…","code":"E07","state":"raised","change":41,…}'
    '\n\nid: 45\nevent: ready\ndata: {"head":45}\n\n: keep-alive\n\n'
)
_INBOX_STREAM = (
    'retry: 1000\n\nid: 1\nevent: inbox\ndata: {"number":1,"event":{…}}\n\n: keep-alive\n\n'
)


def _changing() -> Iterable[tuple[str, str, JsonObject]]:
    yield (
        "/v1/referrals",
        "post",
        {
            "operationId": "submit_referral",
            "summary": "依頼を出す / Submit a referral",
            "tags": ["refer"],
            "parameters": [idempotency_key(required=True), PREFER],
            "requestBody": request_body(ReferralSubmission),
            "responses": {**decided(created=True), **problems((*_POSTED, *_SUBMITTED))},
        },
    )
    for call in CALLS:
        yield (
            call.path.replace(":str", ""),
            "post",
            {
                "operationId": call.name,
                "summary": f"{call.ja} / {call.en}",
                "tags": ["refer"],
                "parameters": [_TARGETS[call.target], idempotency_key(required=False), PREFER],
                "requestBody": request_body(call.body),
                "responses": {**decided(call.created), **problems((*_POSTED, *call.refusals))},
            },
        )


@dataclass(frozen=True, slots=True)
class _Read:
    path: str
    name: str
    summary: str
    given: type[Given]
    parameters: tuple[JsonObject, ...] = ()
    problems: tuple[ProblemCode, ...] = ()
    stream: str = ""
    """What a stream of it looks like; empty where there is none."""
    description: str = ""


def _reading() -> Iterable[tuple[str, str, JsonObject]]:
    listing = q.ListReferrals.model_json_schema()["properties"]
    burning = q.ListEscalations.model_json_schema()["properties"]
    inbox = q.ReadInbox.model_json_schema()["properties"]
    after_number = query_parameter("after", "この番号より後 / after this number", inbox["after"])
    for read in (
        _Read(
            "/v1/referrals", "list_referrals",
            "関わる依頼の一覧（新しい順） / List your referrals, newest first", ReferralList,
            (
                query_parameter("stage", "段階 / stage", component("Stage")),
                query_parameter("function", "機能 / function", type_schema(Code)),
                query_parameter("urgency", "緊急度 / urgency", component("Urgency")),
                query_parameter("custodian", "担当機関 / custodian", type_schema(AgencyId)),
                query_parameter("after", "前の頁の next / next of the page before", {"type": "string"}),
                query_parameter("limit", "件数 / how many", listing["limit"]),
            ),
            (_P.INVALID_REQUEST,),
        ),
        _Read("/v1/referrals/{ref}", "read_referral", "依頼を見る / Read a referral",
              ReferralGiven, (_REFERRAL,), (_P.NOT_INVOLVED,)),
        _Read("/v1/referrals/{ref}/history", "read_history", "経過を見る / Read its history",
              HistoryGiven, (_REFERRAL,), (_P.NOT_INVOLVED,)),
        _Read(
            "/v1/escalations", "list_escalations",
            "上申を見張る（新しい変化の順） / Watch escalations, newest change first", EscalationList,
            (
                query_parameter("state", "状態（省けば open） / state, open if absent",
                                {"type": "string", "enum": list(STATES), "default": "open"}),
                query_parameter("code", "上申の理由 E01〜E13 / reason", type_schema(Code)),
                query_parameter("district", "地区 / district", type_schema(Code)),
                query_parameter("custodian", "担当機関 / custodian", type_schema(AgencyId)),
                query_parameter("after", "前の頁の next / next of the page before", {"type": "string"}),
                query_parameter("limit", "件数 / how many", burning["limit"]),
                LAST_EVENT_ID,
            ),
            (_P.INVALID_REQUEST, _P.NOT_INVOLVED),
            stream=_BOARD_STREAM, description=_BOARD,
        ),
        _Read(
            "/v1/inbox", "read_inbox", "貴機関あての出来事を読む / Read your agency's events", InboxGiven,
            (after_number, query_parameter("limit", "件数 / how many", inbox["limit"]), LAST_EVENT_ID),
            (_P.INVALID_REQUEST,),
            stream=_INBOX_STREAM, description=_INBOX,
        ),
        _Read("/v1/directory", "read_directory", "名簿と区のコードを見る / Read the directory",
              DirectoryGiven),
    ):  # fmt: skip
        yield (
            read.path,
            "get",
            {
                "operationId": read.name,
                "summary": read.summary,
                **({"description": read.description} if read.description else {}),
                "tags": ["read"],
                "parameters": list(read.parameters),
                "responses": {
                    "200": (
                        answer_or_stream("成功 / OK", read.given, read.stream)
                        if read.stream
                        else answer("成功 / OK", read.given)
                    ),
                    **problems((*read.problems, *_AGENCY)),
                },
            },
        )
    yield "/v1/requests/{id}", "get", {
        "operationId": "read_request",
        "summary": "202 の後の答えを見る / Read what became of a request that was answered 202",
        "tags": ["read"],
        "parameters": [path_parameter("id", "Location の ID / the id in Location", UUID_SCHEMA)],
        "responses": {
            **decided(created=False), **decided(created=True), **problems((*_DECIDED, *_AGENCY)),
        },
    }  # fmt: skip


def _open() -> Iterable[tuple[str, str, JsonObject]]:
    """Calls without a key."""
    for path, name, summary, media_type in (
        ("/healthz", "healthz", "生きているか / Is it alive?", "application/json"),
        ("/readyz", "readyz", "受け付けられるか / Would a POST succeed?", "application/json"),
        ("/metrics", "metrics", "計測値（Prometheus） / Metrics", "text/plain"),
        ("/openapi.json", "openapi", "この仕様（機械用） / This contract", "application/json"),
        ("/docs", "docs", "この仕様（人間用） / This contract, for people", "text/html"),
    ):
        content: JsonObject = {media_type: {}}
        failing = (_P.UNAVAILABLE,) if name == "readyz" else ()
        yield path, "get", {
            "operationId": name,
            "summary": summary,
            "tags": ["run"],
            "security": [],
            "responses": {
                "200": {"description": "成功 / OK", "content": content}, **problems(failing),
            },
        }  # fmt: skip
