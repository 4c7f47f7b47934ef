"""What the published OpenAPI is put together from: bodies, answers, problems and parameters."""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

import schemas
from schemas.base import JsonObject
from schemas.partner import Given, ReferralGiven, RequestGiven, Sent
from schemas.problems import MEANINGS, ProblemCode, Refusal
from schemas.publishing.json_schema import untitled
from schemas.publishing.messages import GIVEN, SENT, Message
from schemas.publishing.words import TITLES
from schemas.queries import LARGEST_NUMBER

_STATUS_WORDS = {
    401: "鍵が確認できない / the key is not recognised",
    403: "関わりがない / no part in it",
    404: "ない / not there",
    409: "いまの状態ではできない / not as things stand",
    410: "もうない / gone",
    413: "大きすぎる / too large",
    415: "受け取れない種類 / not a kind that is taken",
    422: "内容の誤り / not valid",
    429: "要求が多すぎる / too many requests",
    500: "内部の誤り / an internal fault",
    503: "いま受け付けられない / cannot be taken now",
}
_EXAMPLES = Path(schemas.__file__).with_name("examples") / "good"


def decided(created: bool) -> JsonObject:
    """The final answer, or 202 when it is not there yet."""
    status, words = ("201", "作成した / Created") if created else ("200", "成功 / OK")
    pending = answer("受け付けた。決定はこれから / Taken, not decided yet", RequestGiven)
    pending["headers"] = {
        "Location": _header("答えを見る場所 / where the answer will be", {"type": "string"}),
        "Retry-After": _RETRY_AFTER,
    }
    return {status: answer(words, ReferralGiven), "202": pending}


def problems(codes: Iterable[ProblemCode]) -> JsonObject:
    """One response per status; the codes that it may carry are its examples."""
    by_status: dict[int, list[ProblemCode]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(MEANINGS[code].status, []).append(code)
    return {str(status): _problem(status, by_status[status]) for status in sorted(by_status)}


def _problem(status: int, codes: list[ProblemCode]) -> JsonObject:
    response: JsonObject = {
        "description": f"{_STATUS_WORDS[status]}: {', '.join(codes)}",
        "content": {
            "application/problem+json": {
                "schema": component("ProblemGiven"),
                "examples": {
                    code.value: {"$ref": f"#/components/examples/{code.value}"} for code in codes
                },
            }
        },
    }
    if status in (429, 503):
        response["headers"] = {"Retry-After": _RETRY_AFTER}
    if status == 401:
        bearer = _header("Bearer realm", {"type": "string"})
        response["headers"] = {"WWW-Authenticate": bearer}
    return response


def problem_code() -> JsonObject:
    lines = [f"- `{code}` ({m.status}): {m.ja} / {m.en}" for code, m in MEANINGS.items()]
    return untitled(
        {
            "type": "string",
            "title": TITLES["ProblemCode"],
            "description": "\n".join(lines),
            "enum": [code.value for code in ProblemCode],
        }
    )


def request_body(model: type[Sent]) -> JsonObject:
    return {"required": bool(_needed(model)), "content": _content(model)}


def _needed(model: type[Sent]) -> list[str]:
    """Without a field that must be there, the body itself may be left out."""
    return [name for name, field in model.model_fields.items() if field.is_required()]


def answer(words: str, model: type[Given]) -> JsonObject:
    return {"description": words, "content": _content(model)}


def answer_or_stream(words: str, model: type[Given], example: str) -> JsonObject:
    """An answer that is streamed instead to whoever accepts server-sent events."""
    given = answer(words, model)
    given["content"]["text/event-stream"] = {
        "schema": {"type": "string", "format": "event-stream"},
        "examples": {"stream": {"value": example}},
    }
    return given


def _content(model: type[Sent] | type[Given]) -> JsonObject:
    examples = {name: {"$ref": f"#/components/examples/{name}"} for name in _examples_of(model)}
    schema = component(model.__name__)
    return {"application/json": {"schema": schema, "examples": examples}}


def all_examples() -> JsonObject:
    """By name: the good examples of every body, and one document per problem code."""
    bodies = {name: {"value": v} for m in (*SENT, *GIVEN) for name, v in _examples_of(m).items()}
    return bodies | {code.value: {"value": Refusal(code).document()} for code in ProblemCode}


@cache
def _examples_of(model: type[Sent] | type[Given]) -> JsonObject:
    name = Message(model).name
    files = sorted([*_EXAMPLES.glob(f"{name}.json"), *_EXAMPLES.glob(f"{name}__*.json")])
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}


def component(name: str) -> JsonObject:
    return {"$ref": f"#/components/schemas/{name}"}


def type_schema(annotation: Any) -> JsonObject:
    return TypeAdapter(annotation).json_schema()


def _header(words: str, schema: JsonObject) -> JsonObject:
    return {"description": words, "schema": schema}


def query_parameter(name: str, words: str, schema: JsonObject) -> JsonObject:
    return {"name": name, "in": "query", "description": words, "schema": schema}


def path_parameter(name: str, words: str, schema: JsonObject) -> JsonObject:
    return {"name": name, "in": "path", "required": True, "description": words, "schema": schema}


def idempotency_key(*, required: bool) -> JsonObject:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": required,
        "description": "同じ要求を見分ける鍵。印字可能な ASCII 1〜128 文字 / "
        "names this request; 1-128 printable ASCII characters",
        "schema": {"type": "string", "pattern": "^[ -~]{1,128}$"},
        "example": "OUR-2026-0001",
    }


UUID_SCHEMA = {"type": "string", "format": "uuid"}
_RETRY_AFTER = _header("待つ秒数 / seconds to wait", {"type": "integer"})
LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "流れで受け取った最後の id。その後から続ける / of a stream: the last id received; go on after it",
    "schema": {"type": "integer", "minimum": 0, "maximum": LARGEST_NUMBER},
}
PREFER = {
    "name": "Prefer",
    "in": "header",
    "description": "respond-async: 決定を待たずに 202 を返す / answer 202 without waiting",
    "schema": {"type": "string", "examples": ["respond-async"]},
}
