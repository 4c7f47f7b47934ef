"""FHIR over HTTP (https://hl7.org/fhir/R4/http.html): media types, versions, and answers. Not what they
are about."""

from litestar import Response
from pydantic_core import from_json, to_json

from schemas.base import JsonObject
from schemas.problems import FieldProblem, ProblemCode, Refusal
from services.intake import responses
from services.intake.edge import Http
from services.intake.fhir.outcome import in_fhir, outcome

FHIR_JSON = "application/fhir+json"
_OURS = (FHIR_JSON, responses.JSON)
_FORMATS = ("json", *_OURS)
_VERSIONS = ("4.0", "4.0.1", "4.3", "4.3.0")
_ACCEPTED = ("*/*", "application/*", *_OURS)


def resource_response(
    resource: JsonObject, status: int = 200, headers: dict[str, str] | None = None
) -> Response[bytes]:
    """With its version as a weak ETag, where it has one."""
    version = (resource.get("meta") or {}).get("versionId")
    tag = {"ETag": f'W/"{version}"'} if version is not None else {}
    return responses.json_response(to_json(resource), status, FHIR_JSON, {**tag, **(headers or {})})


def refused(refusal: Refusal) -> Response[bytes]:
    return told_in_fhir(responses.refused(refusal))


def told_in_fhir(response: Response[bytes]) -> Response[bytes]:
    """A problem document of the edge as OperationOutcome; any other answer as it is."""
    if response.media_type != responses.PROBLEM:
        return response
    refusal = in_fhir(from_json(response.content), lambda where: where)
    headers = {name: str(response.headers[name]) for name in response.headers}
    return resource_response(outcome(refusal), refusal.status, headers)


def unacceptable(request: Http) -> Response[bytes] | None:
    """Only JSON is spoken: 415 for anything else that comes, 406 where only something else is
    wanted."""
    if request.method in ("POST", "PUT"):
        kind, _, more = request.headers.get("content-type", "").partition(";")
        version = more.partition("fhirVersion=")[2].partition(";")[0].strip(' "')
        if kind.strip().lower() not in _OURS or (version and version not in _VERSIONS):
            detail = f"{FHIR_JSON}（FHIR R4）で送ってください。XML は使えません / send FHIR R4 as JSON, not XML"
            return refused(_because(ProblemCode.UNSUPPORTED_FORMAT, detail))
    wanted = request.headers.get("accept", "*/*").split(",")
    kinds = {part.partition(";")[0].strip().lower() for part in wanted}
    form = request.query_params.get("_format", FHIR_JSON).replace(" ", "+")
    if kinds.isdisjoint(_ACCEPTED) or form not in _FORMATS:
        detail = f"{FHIR_JSON} でだけ答えます / answers come as JSON only"
        return refused(_because(ProblemCode.NOT_ACCEPTABLE, detail))
    return None


def stale(request: Http, resource: JsonObject) -> bool:
    """Whether ``If-Match`` names another version than the one that there is now."""
    wanted = request.headers.get("if-match")
    if wanted is None or wanted.strip() == "*":
        return False
    tags = {part.strip().removeprefix("W/").strip('"') for part in wanted.split(",")}
    return resource["meta"]["versionId"] not in tags


def _because(code: ProblemCode, detail: str) -> Refusal:
    return Refusal(code, (FieldProblem("", detail),))
