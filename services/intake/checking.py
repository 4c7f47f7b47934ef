"""Checking (下見): would this referral be taken, and where would it go? Admitted and decided as in
earnest, and nothing happens: no number, no offer, nothing on record.
"""

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from pydantic_core import from_json, to_json

from schemas.base import JsonObject
from schemas.codes import Scope
from schemas.partner import (
    AddressLocated,
    AddressToLocate,
    BatchGiven,
    CheckGiven,
    ReferralBatch,
    ReferralSubmission,
)
from schemas.problems import ProblemCode, Refusal, invalid
from services.intake import responses
from services.intake.counter import LOCATE, Said, Service
from services.intake.desk import Desk
from services.intake.edge import Caller, Edge, Http
from services.intake.openapi_parts import answer, problems, request_body

LARGEST_BATCH = 500
CHECKED_AS_ONE = 10
"""So many items of a batch are one request more for the agency's rate."""

_P = ProblemCode
_PROBLEMS = (
    _P.INVALID_REQUEST, _P.MY_NUMBER_REFUSED, _P.NOT_INVOLVED, _P.TOO_LARGE, _P.UNAUTHENTICATED,
    _P.RATE_LIMITED, _P.INTERNAL, _P.UNAVAILABLE,
)  # fmt: skip
_REFUSED = (*_PROBLEMS, _P.UNKNOWN_AGENCY, _P.ADDRESS_UNREADABLE, _P.OUT_OF_WARD)


class Checking:
    def __init__(self, edge: Edge, desk: Desk) -> None:
        self._edge = edge
        self._desk = desk

    def handlers(self) -> list[HTTPRouteHandler]:
        posting = self._edge.posting
        return [
            posting("/v1/referrals/check", "check_referral", Scope.POST, self._one),
            posting("/v1/referrals/check/batch", "check_referrals", Scope.POST, self._many),
        ]

    def services(self) -> tuple[Service, ...]:
        """What can be called by other doors than HTTP."""
        return (Service("check_referral", "/v1/referrals/check", Scope.POST, True, self._check),)

    async def _one(self, request: Http, caller: Caller) -> Response[bytes]:
        return await self._check(caller.agency, Said(body=await request.body()))

    async def _check(self, agency: str, said: Said) -> Response[bytes]:
        (told,) = await self._desk.rehearse(agency, [said.body])
        problem = told.get("problem")
        if problem is not None:
            return responses.json_response(to_json(problem), problem["status"], responses.PROBLEM)
        return responses.json_response(to_json(told))

    async def _many(self, request: Http, caller: Caller) -> Response[bytes]:
        bodies = _bodies(await request.body())
        if isinstance(bodies, Refusal):
            return responses.refused(bodies)
        self._edge.charge(caller, len(bodies) // CHECKED_AS_ONE)
        told = await self._desk.rehearse(caller.agency, bodies)
        return responses.json_response(to_json({"items": told}))


def _bodies(raw: bytes) -> list[bytes] | Refusal:
    """Each item as bytes of its own, so that one that is wrong is told for itself."""
    try:
        given = from_json(raw)
    except ValueError:
        return invalid("", "JSON として読めません / not valid JSON")
    items = given.get("items") if isinstance(given, dict) and len(given) == 1 else None
    if not isinstance(items, list) or not 1 <= len(items) <= LARGEST_BATCH:
        needed = "1〜500 件の依頼を items に書きます / items holds 1 to 500 referrals, nothing else"
        return invalid("/items", needed)
    return [to_json(item) for item in items]


def operations() -> list[tuple[str, str, JsonObject]]:
    """Their part of the published OpenAPI."""
    same = (
        "送るときと同じ検査と判定を行い、何も起こしません。Idempotency-Key は要りません。答えはいまの"
        "状態についてのもので、送るまでに判定や名簿が変わることがあります。\n\n"
        "The same checks and the same decision as on submitting, and nothing happens. Needs no "
        "Idempotency-Key. It holds for the moment: rulings and directory may change before you submit."
    )
    return [
        _locating(),
        (
            "/v1/referrals/check",
            "post",
            {
                "operationId": "check_referral",
                "summary": "依頼を下見する（何も起きません） / Check a referral; nothing happens",
                "description": same,
                "tags": ["refer"],
                "requestBody": request_body(ReferralSubmission),
                "responses": {
                    "200": answer("受け付けられる / It would be taken", CheckGiven),
                    **problems(_REFUSED),
                },
            },
        ),
        (
            "/v1/referrals/check/batch",
            "post",
            {
                "operationId": "check_referrals",
                "summary": "依頼をまとめて下見する / Check up to 500 referrals at once",
                "description": same,
                "tags": ["refer"],
                "requestBody": request_body(ReferralBatch),
                "responses": {
                    "200": answer("一件ごとの答え / What each would be answered", BatchGiven),
                    **problems(_PROBLEMS),
                },
            },
        ),
    ]


def _locating() -> tuple[str, str, JsonObject]:
    words = (
        "依頼に書いたときと同じように住所を読み、基幹の判定も含めていまの担当地区を答えます。"
        "決まらないときは district がなく、candidates が候補です。住所はどこにも残りません。\n\n"
        "Reads an address as that of a referral is read, follows what the core centre has ruled, and tells "
        "the district as things stand. Where it is not settled there is no district, and candidates are "
        "what it may be. The address is kept nowhere."
    )
    refused = (
        _P.INVALID_REQUEST, _P.MY_NUMBER_REFUSED, _P.TOO_LARGE, _P.UNAUTHENTICATED, _P.RATE_LIMITED,
        _P.INTERNAL, _P.UNAVAILABLE, _P.ADDRESS_UNREADABLE, _P.OUT_OF_WARD,
    )  # fmt: skip
    operation: JsonObject = {
        "operationId": "locate_address",
        "summary": "住所の担当地区を見る（何も起きません） / Find an address's district; nothing happens",
        "description": words,
        "tags": ["refer"],
        "requestBody": request_body(AddressToLocate),
        "responses": {
            "200": answer("住所を読めた / The address was read", AddressLocated),
            **problems(refused),
        },
    }
    return LOCATE, "post", operation
