"""The FHIR calls in the published OpenAPI. Their bodies are FHIR's own: https://hl7.org/fhir/R4/."""

from collections.abc import Iterable, Iterator

from schemas.base import JsonObject
from schemas.problems import MEANINGS, ProblemCode
from services.intake.fhir.http import FHIR_JSON
from services.intake.openapi_parts import (
    PREFER,
    UUID_SCHEMA,
    idempotency_key,
    path_parameter,
    query_parameter,
)

_P = ProblemCode
_ALWAYS = (
    _P.UNAUTHENTICATED, _P.INSUFFICIENT_SCOPE, _P.NOT_ACCEPTABLE, _P.RATE_LIMITED, _P.INTERNAL,
    _P.UNAVAILABLE,
)  # fmt: skip
_SENT = (
    _P.INVALID_REQUEST, _P.MY_NUMBER_REFUSED, _P.IDEMPOTENCY_KEY_REUSED, _P.TOO_LARGE,
    _P.UNSUPPORTED_FORMAT, _P.NOT_INVOLVED,
)  # fmt: skip
_REFERRAL = path_parameter("ref", "依頼の ID / id of the referral", {"type": "string"})
_TASK = path_parameter("ref", "依頼または打診の ID / id of a referral or a hand-off", UUID_SCHEMA)
_SUBMIT = (
    "Bundle（transaction・batch・collection・message）か ServiceRequest、または診療情報提供書（JP eReferral、type "
    "document）を、一件の依頼として受け付けます。Idempotency-Key がなければ Bundle.identifier か "
    "ServiceRequest.identifier で同じ要求を見分けます。答えは ServiceRequest と Task と、取り込まなかったものを告げる "
    "OperationOutcome の Bundle です。対応表は docs/partners.md の 8。\n\n"
    "Takes a Bundle (transaction, batch, collection, message), a ServiceRequest, or a JP eReferral "
    "document as one referral. Without Idempotency-Key the identifier of the Bundle or ServiceRequest "
    "names the request. The answer is a Bundle of ServiceRequest, Tasks, and an OperationOutcome that "
    "names what was not taken. What maps to what: docs/partners.md, 8."
)
_UPDATE = (
    "status を accepted（受諾）・rejected（辞退、statusReason）・completed（完了、output）・"
    "cancelled（取り下げ）にします。依頼そのものの Task では completed（終結）・cancelled（取消）・"
    "in-progress（再開）。If-Match が今の版と違えば 412。\n\n"
    "Sets the status: accepted, rejected (with statusReason), completed (with output) or cancelled; of "
    "the referral's own Task completed (closed), cancelled or in-progress (reopened). 412 where If-Match "
    "is not the version there is now."
)


def fhir_operations() -> Iterator[tuple[str, str, JsonObject]]:
    yield "/fhir", "post", {
        "operationId": "fhir_submit",
        "summary": "FHIR で依頼を出す / Submit a referral as FHIR",
        "description": _SUBMIT,
        "tags": ["fhir"],
        "parameters": [idempotency_key(required=False), PREFER],
        "requestBody": {"required": True, "content": _content()},
        "responses": {
            **_answer("201", "作成した / Created", _LOCATION),
            **_answer("202", "受け付けた。決定はこれから / Taken, not decided yet", _PENDING),
            **_refusals((*_SENT, _P.UNKNOWN_AGENCY, _P.ADDRESS_UNREADABLE, _P.OUT_OF_WARD)),
        },
    }  # fmt: skip
    for path, name, summary, parameters, codes in (
        ("/fhir/ServiceRequest/{ref}", "fhir_read_request",
         "依頼を ServiceRequest で見る / Read a referral as ServiceRequest", [_REFERRAL], (_P.NOT_INVOLVED,)),
        ("/fhir/Task/{ref}", "fhir_read_task", "状態を Task で見る / Read a status as Task", [_TASK],
         (_P.NOT_INVOLVED,)),
        ("/fhir/Task", "fhir_search_tasks", "依頼の Task をすべて見る / Find the Tasks of a referral",
         [query_parameter("based-on", "ServiceRequest/{id}", {"type": "string"}) | {"required": True}],
         (_P.INVALID_REQUEST,)),
    ):  # fmt: skip
        yield path, "get", {
            "operationId": name,
            "summary": summary,
            "tags": ["fhir"],
            "parameters": parameters,
            "responses": {**_answer("200", "成功 / OK"), **_refusals(codes)},
        }  # fmt: skip
    yield "/fhir/Task/{ref}", "put", {
        "operationId": "fhir_update_task",
        "summary": "Task の状態で答える / Answer by the status of a Task",
        "description": _UPDATE,
        "tags": ["fhir"],
        "parameters": [_TASK, idempotency_key(required=False), PREFER, _IF_MATCH],
        "requestBody": {"required": True, "content": _content()},
        "responses": {
            **_answer("200", "成功 / OK"),
            **_answer("202", "受け付けた。決定はこれから / Taken, not decided yet", _PENDING),
            **_refusals(
                (*_SENT, _P.ALREADY_ANSWERED, _P.NOT_OFFERED, _P.NOT_CUSTODIAN, _P.VERSION_CHANGED)
            ),
        },
    }  # fmt: skip
    yield "/fhir/metadata", "get", {
        "operationId": "fhir_metadata",
        "summary": "FHIR でできること / What is offered as FHIR",
        "tags": ["fhir"],
        "security": [],
        "responses": _answer("200", "成功 / OK"),
    }  # fmt: skip


def _content() -> JsonObject:
    return {FHIR_JSON: {"schema": {"type": "object"}}}


def _answer(status: str, words: str, headers: JsonObject | None = None) -> JsonObject:
    response: JsonObject = {"description": words, "content": _content()}
    return {status: response | ({"headers": headers} if headers else {})}


def _refusals(codes: Iterable[ProblemCode]) -> JsonObject:
    """OperationOutcomes by status, with the codes that each may carry."""
    by_status: dict[int, list[str]] = {}
    for code in (*codes, *_ALWAYS):
        by_status.setdefault(MEANINGS[code].status, []).append(code.value)
    refusals: JsonObject = {}
    for status in sorted(by_status):
        again = _RETRY if status in (429, 503) else None
        words = f"OperationOutcome: {', '.join(dict.fromkeys(by_status[status]))}"
        refusals |= _answer(str(status), words, again)
    return refusals


def _header(words: str, kind: str) -> JsonObject:
    return {"description": words, "schema": {"type": kind}}


_RETRY = {"Retry-After": _header("待つ秒数 / seconds to wait", "integer")}
_LOCATION = {"Location": _header("ServiceRequest の場所 / where the ServiceRequest is", "string")}
_PENDING = {
    "Location": _header("答えを見る場所 / where the answer will be", "string"),
    **_RETRY,
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": '知っている版（W/"3"）。違えば 412 / the version you know; another is 412',
    "schema": {"type": "string"},
}
