"""The two calls about attachments: a file comes in as the body itself, and goes out as one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from uuid import UUID

from litestar import Response
from litestar.exceptions import InternalServerException
from litestar.handlers import HTTPRouteHandler

from schemas.codes import Scope
from schemas.commands import LARGEST_ATTACHMENT
from schemas.my_number import has_my_number
from schemas.problems import FieldProblem, ProblemCode, Refusal, invalid
from services.intake import admission, responses
from services.intake.attachments.at_once import AtOnce
from services.intake.attachments.content import declared_type
from services.intake.attachments.file_name import given_name, safe_name
from services.intake.attachments.keeper import Keeper, Upload
from services.intake.attachments.reader import Found, Reader
from services.intake.attachments.sending import Sending
from services.intake.desk import NOT_INVOLVED, Result
from services.intake.edge import Caller, Edge, Http, awaits

PATIENCE = 30.0
"""Seconds that a sender may send nothing in the middle of a file."""

AT_ONCE = 8
"""Files that one agency may be sending at the same time, and as many that it may be reading. As many
again that are refused may be coming to their end."""

_DRAINED = LARGEST_ATTACHMENT + 4 * 1024 * 1024
"""Bytes of a body that are read although it is refused: many clients hear no answer before they have
sent everything. Whoever sends more is cut off."""


class CutOff(Exception):
    """The body ended before its end, or stood still."""


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
        body = _Body(request)
        try:
            with self._coming.one_more(caller.agency) as allowed:
                result = await self._taken(request, caller, body, allowed)
            with self._refused.one_more(caller.agency) as allowed:
                if allowed:
                    await body.drain()
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

    async def _taken(self, request: Http, caller: Caller, body: "_Body", allowed: bool) -> Result:
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
        if has_my_number(name):
            detail = "ファイル名に個人番号は書けません / no Individual Number in the file's name"
            return Refusal(ProblemCode.MY_NUMBER_REFUSED, (FieldProblem("", detail),))
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
            return Sending(found, over)
        response = responses.refused(found)
        if found.code is ProblemCode.NOT_SCANNED_YET:
            response.headers["Retry-After"] = "5"
        return response


class _Body:
    """The body as it comes: ``ended`` when all of it has come."""

    def __init__(self, request: Http) -> None:
        length = request.headers.get("content-length", "")
        self.announced = int(length) if length.isdecimal() else 0
        self._asks_first = request.headers.get("expect", "").lower() == "100-continue"
        self.ended = False
        self._came = 0
        self._stream = request.stream()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises CutOff."""
        while True:
            try:
                async with asyncio.timeout(PATIENCE):
                    chunk = await anext(self._stream)
            except StopAsyncIteration:
                self.ended = True
                return
            except (InternalServerException, TimeoutError) as error:
                # The first is how the HTTP layer says that the sender has gone.
                raise CutOff from error
            self._came += len(chunk)
            yield chunk

    async def drain(self) -> None:
        """Read what is left of a refused body, if it is not too much, and if the sender did not ask
        first whether to send it (RFC 9110, 10.1.1)."""
        asked_in_vain = self._asks_first and self._came == 0
        if self.ended or asked_in_vain or self.announced > _DRAINED:
            return
        with suppress(CutOff):
            async for _ in self.chunks():
                if self._came > _DRAINED:
                    return


def _key(request: Http) -> str:
    return request.headers.get("idempotency-key", "")
