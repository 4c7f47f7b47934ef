"""What OpenAPI tells of the door: the three ways to say who one is, and which scope a call needs.

Where a token is got is no call of the contract but part of a scheme (``tokenUrl``), as OpenAPI has it.
"""

from collections.abc import Iterable, Mapping

from schemas.base import JsonObject
from schemas.codes import Scope
from schemas.problems import ProblemCode
from services.intake.access.token_endpoint import METADATA_PATH, TOKEN_PATH
from services.intake.calls import CALLS
from services.intake.openapi_parts import problems

SCOPES: Mapping[str, Scope] = {
    "submit_referral": Scope.POST,
    "check_referral": Scope.POST,
    "check_referrals": Scope.POST,
    "add_attachment": Scope.POST,
    "fhir_submit": Scope.POST,
    "fhir_update_task": Scope.ANSWER,
    **{call.name: call.scope for call in CALLS},
}
"""Of every call that needs another scope than ``read``, by ``operationId``."""

_MEANT = {
    Scope.POST: "依頼・打診・取り下げ・上申・記録・終結 / refer, offer, withdraw, escalate, note, close",
    Scope.ANSWER: "打診と上申に答える / answer offers and calls",
    Scope.READ: "関わる件、受信箱、名簿を読む / read its own cases, its inbox, the directory",
    Scope.CORE: "基幹だけが行うこと / what only the core centre does",
    Scope.AUDIT: "すべての経過を読む / read every history, change nothing",
}

SCHEMES: JsonObject = {
    "agencyKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "機関の鍵（API キー） / the agency's API key",
    },
    "oauth2": {
        "type": "oauth2",
        "description": "private_key_jwt（RFC 7523）で 5 分間のトークンを得る。"
        f"client_id は機関の id。詳しくは {METADATA_PATH} / "
        "a token for five minutes, got with private_key_jwt (RFC 7523); client_id is the agency's id; "
        f"see {METADATA_PATH}",
        "flows": {
            "clientCredentials": {
                "tokenUrl": TOKEN_PATH,
                "scopes": {scope.value: words for scope, words in _MEANT.items()},
            }
        },
    },
    "certificate": {
        "type": "mutualTLS",
        "description": "登録したクライアント証明書 / a client certificate that was registered",
    },
}
ANY_WAY: list[JsonObject] = [{"agencyKey": []}, {"oauth2": []}, {"certificate": []}]


def with_scopes(
    operations: Iterable[tuple[str, str, JsonObject]],
) -> Iterable[tuple[str, str, JsonObject]]:
    """Each operation that is not open to all says which scope it needs."""
    for path, method, operation in operations:
        if operation.get("security") == []:
            yield path, method, operation
            continue
        scope = SCOPES.get(operation["operationId"], Scope.READ)
        security = [{"agencyKey": []}, {"oauth2": [scope.value]}, {"certificate": []}]
        responses = _with_refusal(operation["responses"], scope)
        yield path, method, {**operation, "security": security, "responses": responses}


def _with_refusal(responses: JsonObject, scope: Scope) -> JsonObject:
    """403 for whoever has not this scope, beside what else 403 may mean."""
    code = ProblemCode.INSUFFICIENT_SCOPE
    refused: JsonObject = problems((code,))["403"]
    there: JsonObject = responses.get("403") or refused
    (media_type, content), *_ = there["content"].items()
    words = there["description"].split(": ", 1)[-1].split(", ")
    codes = ", ".join(dict.fromkeys([*words, str(code)]))
    told = f"権限 {scope} がないか、関わりがない / not the scope {scope}, or no part in it: {codes}"
    examples = content.get("examples", {})
    if media_type in refused["content"]:
        examples = {**examples, **refused["content"][media_type]["examples"]}
    document = {**content, **({"examples": examples} if examples else {})}
    return {
        **responses,
        "403": {**there, "description": told, "content": {media_type: document}},
    }
