"""Proofs for an agency's own system: the manifest of its inbox (送達目録) and test events (通信試験).
Delivery knows both; here is how they are asked for."""

import asyncio
from datetime import date
from typing import TYPE_CHECKING
from uuid import UUID

from litestar import Response
from pydantic_core import to_json

from schemas import queries as q
from schemas.base import JsonObject
from schemas.partner import DeliveryTestGiven, ManifestGiven
from schemas.problems import FieldProblem, ProblemCode, Refusal, invalid
from services.intake import admission, responses
from services.intake.desk import NOT_INVOLVED
from services.intake.gateway import Gateway
from services.intake.openapi_parts import (
    UUID_SCHEMA,
    answer,
    idempotency_key,
    path_parameter,
    problems,
    query_parameter,
)

if TYPE_CHECKING:
    from services.intake.counter import Said

PATIENCE = 2.0
"""Seconds that a test event may take to arrive before the answer says that it is on its way."""
_LOOK = 0.05

_NOTE = "text/plain"
_P = ProblemCode
_PROBLEMS = (_P.UNAUTHENTICATED, _P.RATE_LIMITED, _P.INTERNAL, _P.UNAVAILABLE)
_DAY = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "examples": ["2026-11-20"]}
_NO_MANIFEST = Refusal(
    ProblemCode.NOT_FOUND,
    (
        FieldProblem(
            "",
            "その送達目録はまだありません。POST /v1/inbox/manifest で求められます / "
            "no such manifest yet; POST /v1/inbox/manifest has one signed",
        ),
    ),
)


class Proofs:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def manifest(self, agency: str, said: "Said") -> Response[bytes]:
        """The newest, or a day's."""
        unknown = set(said.query) - {"day"}
        given = said.query.get("day")
        if unknown or (given is not None and (day := _day(given)) is None):
            wrong = "day は YYYY-MM-DD です / day is written YYYY-MM-DD"
            return responses.refused(invalid("", wrong))
        question = q.ReadManifest(agency=agency, day=None if given is None else day)
        return _told_manifest(await self._gateway.ask("delivery", "manifest", question), said)

    async def sign(self, agency: str, said: "Said") -> Response[bytes]:
        refusal = _refuse(said)
        if refusal is not None:
            return responses.refused(refusal)
        question = q.SignManifest(agency=agency)
        told = await self._gateway.ask("delivery", "sign_manifest", question)
        return _told_manifest(told, said) if told.found else _too_soon(told)

    async def test(self, agency: str, said: "Said") -> Response[bytes]:
        """Made at once; answered when it has arrived, or after a moment."""
        refusal = _refuse(said)
        if refusal is not None:
            return responses.refused(refusal)
        told = await self._gateway.ask("delivery", "test", q.SendTest(agency=agency, key=said.key))
        if not told.found:
            return _too_soon(told)
        if said.wait and told.body["state"] == "pending":
            told = await self._await_arrival(agency, told)
        headers = {"Location": f"/v1/inbox/test/{told.body['id']}"}
        return responses.json_response(to_json(told.body), 201, headers=headers)

    async def _await_arrival(self, agency: str, told: q.Told) -> q.Told:
        question = q.ReadTest(agency=agency, test=UUID(told.body["id"]))
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE
        while told.body["state"] == "pending" and loop.time() < until:
            await asyncio.sleep(_LOOK)
            told = await self._gateway.ask("delivery", "read_test", question)
        return told

    async def read_test(self, agency: str, said: "Said") -> Response[bytes]:
        try:
            test = UUID(said.ref)
        except ValueError:
            return responses.refused(NOT_INVOLVED)
        question = q.ReadTest(agency=agency, test=test)
        told = await self._gateway.ask("delivery", "read_test", question)
        if not told.found:
            return responses.refused(NOT_INVOLVED)
        return responses.json_response(to_json(told.body))


def _too_soon(told: q.Told) -> Response[bytes]:
    return responses.refused(Refusal(_P.RATE_LIMITED), str(told.body["retry_after"]))


def _told_manifest(told: q.Told, said: "Said") -> Response[bytes]:
    if not told.found:
        return responses.refused(_NO_MANIFEST)
    if said.accept.partition(";")[0].strip().lower() == _NOTE:
        note: str = told.body["note"]
        return responses.json_response(note.encode(), media_type="text/plain; charset=utf-8")
    return responses.json_response(to_json(told.body))


def _refuse(said: "Said") -> Refusal | None:
    """Nothing is said but that it is asked for."""
    if said.key is not None and (refusal := admission.refuse_header(said.key)) is not None:
        return refusal
    if said.body.strip() not in (b"", b"{}"):
        return invalid("", "本文は要りません / there is nothing to say in the body")
    return None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == len("2026-11-20") else None
    except ValueError:
        return None


def operations() -> list[tuple[str, str, JsonObject]]:
    """Their part of the published OpenAPI."""
    manifest = answer("成功 / OK", ManifestGiven)
    manifest["content"][_NOTE] = {"schema": {"type": "string"}}
    whole = (
        "受信箱の 1〜size がこの証明値であったという、署名付きの文書です（C2SP signed note）。毎日一度署名され、"
        "求めればその場で署名します（5 秒に一度まで）。Accept: text/plain では文書そのものを返します。手元の出来事から"
        "同じ値になれば、抜けも書き換えも入れ替わりもありません。確かめ方は docs/partners.md の 4 章、道具は"
        " tsunagu inbox verify です。\n\n"
        "A signed note (C2SP) which says that the inbox held 1 … size with this head hash. One is signed "
        "every day, and one whenever you ask, every 5 s at most. Accept: text/plain gives the note "
        "itself. If your own events give the same hash, none is missing, altered or in another place. How to "
        "check: docs/partners.md, chapter 4; the tool is tsunagu inbox verify."
    )
    test = (
        "ほかの出来事と同じ番号・署名・経路で、試験の出来事を貴機関に送ります。2 秒以内に届けば delivered が "
        "true です。5 秒に一度まで。停止中の Webhook は、届いた試験で再開します。\n\n"
        "Sends your agency a test event: numbered, signed and carried like all others. delivered is true "
        "if it arrives within 2 s. One every 5 s at most. A webhook that was disabled is enabled again by a "
        "test that arrives."
    )
    day = query_parameter(
        "day",
        "この日（日本時間）の目録 / of this day in Japan",
        _DAY,
    )
    key = idempotency_key(required=False)
    common = {"tags": ["read"]}
    return [
        (
            "/v1/inbox/manifest",
            "get",
            {
                "operationId": "read_manifest",
                "summary": "送達目録を見る / Read the manifest of your inbox",
                "description": whole,
                **common,
                "parameters": [day],
                "responses": {
                    "200": manifest,
                    **problems((_P.INVALID_REQUEST, _P.NOT_FOUND, *_PROBLEMS)),
                },
            },
        ),
        (
            "/v1/inbox/manifest",
            "post",
            {
                "operationId": "sign_manifest",
                "summary": "いまの送達目録を求める / Have a manifest signed now",
                "description": whole,
                **common,
                "parameters": [key],
                "responses": {
                    "200": manifest,
                    **problems((_P.INVALID_REQUEST, *_PROBLEMS)),
                },
            },
        ),
        (
            "/v1/inbox/test",
            "post",
            {
                "operationId": "test_delivery",
                "summary": "通信試験を求める / Ask for a test event",
                "description": test,
                **common,
                "parameters": [key],
                "responses": {
                    "201": answer("送った / Sent", DeliveryTestGiven),
                    **problems((_P.INVALID_REQUEST, *_PROBLEMS)),
                },
            },
        ),
        (
            "/v1/inbox/test/{id}",
            "get",
            {
                "operationId": "read_test",
                "summary": "通信試験の結果を見る / Read what became of a test event",
                **common,
                "parameters": [path_parameter("id", "試験の ID / id of the test", UUID_SCHEMA)],
                "responses": {
                    "200": answer("成功 / OK", DeliveryTestGiven),
                    **problems((_P.NOT_INVOLVED, *_PROBLEMS)),
                },
            },
        ),
    ]
