"""The two calls about attachments: a file comes in as the body itself, and goes out as one."""

from functools import partial
from uuid import UUID

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from runtime.incoming import CutOff, Incoming
from runtime.sending import Sending
from schemas.codes import Scope
from schemas.commands import LARGEST_ATTACHMENT
from schemas.problems import ProblemCode, Refusal, invalid
from services.intake import admission, responses
from services.intake.attachments.at_once import AtOnce
from services.intake.attachments.content import declared_type
from services.intake.attachments.file_name import disposition, given_name, refuse_name, safe_name
from services.intake.attachments.keeper import Keeper, Upload
from services.intake.attachments.reader import Found, Reader
from services.intake.desk import NOT_INVOLVED, Result
from services.intake.edge import Caller, Edge, Http, awaits

AT_ONCE = 8
"""Files that one agency may be sending at the same time, and as many that it may be reading. As many
again that are refused may be coming to their end."""

_DRAINED = LARGEST_ATTACHMENT + 4 * 1024 * 1024
"""Bytes of a body that are read although it is refused: many clients hear no answer before they have
sent everything. Whoever sends more is cut off."""


class Attachments:
    def __init__(self, edge: Edge, keeper: Keeper, reader: Reader) -> None:
        self._edge = edge
        self._keeper = keeper
        self._reader = reader
        self._coming = AtOnce(AT_ONCE)
        self._refused = AtOnce(AT_ONCE)
        self._going = AtOnce(AT_ONCE)

    def handlers(self) -> list[HTTPRouteHandler]:
        return [
            self._edge.uploading(
                "/v1/referrals/{ref:str}/attachments", "add_attachment", Scope.POST, self._add
            ),
            self._edge.getting(
                "/v1/attachments/{ref:str}", "read_attachment", Scope.READ, self._read
            ),
        ]

    async def _add(self, request: Http, caller: Caller) -> Response[bytes]:
        body = Incoming(request)
        try:
            with self._coming.one_more(caller.agency) as allowed:
                result = await self._taken(request, caller, body, allowed)
            with self._refused.one_more(caller.agency) as allowed:
                if allowed:
                    await body.drain(_DRAINED)
        except CutOff:
            cut = "本文が途中で切れました / the body broke off before its end"
            result = invalid("", cut)
        response = responses.answered(result)
        if not body.ended:
            response.headers["Connection"] = "close"
        if response.status_code == 201:
            attachment = self._keeper.attachment_id(caller.agency, _key(request))
            response.headers["Location"] = f"/v1/attachments/{attachment}"
        return response

    async def _taken(self, request: Http, caller: Caller, body: Incoming, allowed: bool) -> Result:
        if not allowed:
            return Refusal(ProblemCode.RATE_LIMITED)
        key = _key(request)
        if not key:
            needed = "Idempotency-Key ヘッダーが要ります / the header Idempotency-Key is needed"
            return invalid("", needed)
        refusal = admission.refuse_header(key)
        if refusal is not None:
            return refusal
        declared = declared_type(request.headers.get("content-type"))
        if declared is None:
            return Refusal(ProblemCode.UNSUPPORTED_MEDIA_TYPE)
        if body.announced > LARGEST_ATTACHMENT:
            return Refusal(ProblemCode.TOO_LARGE)
        name = safe_name(given_name(request.headers.get("content-disposition")), declared)
        refusal = refuse_name(name)
        if refusal is not None:
            return refusal
        wait = awaits(request.headers.get("prefer"))
        ref = request.path_params["ref"]
        upload = Upload(caller.agency, key, ref, declared, name, wait, body.chunks())
        return await self._keeper.add(upload)

    async def _read(self, request: Http, caller: Caller) -> Response[bytes]:
        try:
            attachment = UUID(request.path_params["ref"])
        except ValueError:
            return responses.refused(NOT_INVOLVED)
        if not self._going.begin(caller.agency):
            return responses.refused(Refusal(ProblemCode.RATE_LIMITED), retry_after="1")
        over, found = partial(self._going.end, caller.agency), None
        try:
            found = await self._reader.find(caller.agency, attachment)
        finally:
            if not isinstance(found, Found):
                over()
        if isinstance(found, Found):
            named = disposition(found.name)
            return Sending(found.chunks, found.media_type.value, found.size, named, over)
        response = responses.refused(found)
        if found.code is ProblemCode.NOT_SCANNED_YET:
            response.headers["Retry-After"] = "5"
        return response


def _key(request: Http) -> str:
    return request.headers.get("idempotency-key", "")
