"""The one place where results become HTTP."""

from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException
from pydantic_core import to_json

from runtime.observability import log
from schemas.commands import Answer
from schemas.problems import ProblemCode, Refusal
from services.intake.desk import Pending, Result

JSON = "application/json"
PROBLEM = "application/problem+json"
RETRY_AFTER = "2"

_BY_STATUS = {
    401: ProblemCode.UNAUTHENTICATED,
    404: ProblemCode.NOT_FOUND,
    405: ProblemCode.METHOD_NOT_ALLOWED,
    413: ProblemCode.TOO_LARGE,
    429: ProblemCode.RATE_LIMITED,
    503: ProblemCode.UNAVAILABLE,
}


def json_response(
    body: bytes, status: int = 200, media_type: str = JSON, headers: dict[str, str] | None = None
) -> Response[bytes]:
    return Response(body, status_code=status, media_type=media_type, headers=headers)


def refused(refusal: Refusal, retry_after: str = RETRY_AFTER) -> Response[bytes]:
    headers: dict[str, str] = {}
    if refusal.status in (429, 503):
        headers["Retry-After"] = retry_after
    if refusal.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="tsunagu"'
    return json_response(to_json(refusal.document()), refusal.status, PROBLEM, headers)


def answered(result: Result) -> Response[bytes]:
    """201/200 and the body as recorded, a problem document, or 202 with a place to look."""
    match result:
        case Refusal():
            return refused(result)
        case Pending():
            body = to_json({"request": result.request, "state": "pending"})
            location = f"/v1/requests/{result.request}"
            return json_response(body, 202, headers={"Location": location, "Retry-After": "1"})
        case Answer():
            media_type = PROBLEM if result.status >= 400 else JSON
            return json_response(result.body.encode(), result.status, media_type)


def on_http_exception(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What the HTTP layer itself refuses, in the same words as everything else."""
    code = _BY_STATUS.get(error.status_code, ProblemCode.INVALID_REQUEST)
    return refused(Refusal(code))


def on_fault(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A fault of ours: a plain 500 that leaks nothing."""
    log("request_failed", fault=True, error=type(error).__name__)
    return refused(Refusal(ProblemCode.INTERNAL))
