"""Attachments piece by piece (添付の小分け): for people whom the console has signed in. On the bus there is one
answer to a question and no room for a whole file, so a file goes in pieces, each asked for or brought by
itself. What is done with it is what the HTTP calls do: the same keeper, the same reader, the same limits.

A file is in the hands of one process until it is over: the pieces are for that one alone (``subjects.pieces``).
When it dies, nobody answers, and what came of the file is swept like that of any connection that was lost.
"""

import asyncio
import contextlib
import secrets
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, TypeVar

import nats.errors
from litestar import Response
from nats.aio.msg import Msg
from pydantic import ValidationError

from runtime.broker import Bus
from runtime.incoming import CutOff
from runtime.observability import log
from schemas import queries as q
from schemas import subjects
from schemas.base import Said
from schemas.codes import Scope
from schemas.problems import ProblemCode, Refusal, invalid
from services.intake import admission, responses
from services.intake.access.callers import Callers
from services.intake.attachments.at_once import AtOnce
from services.intake.attachments.content import declared_type
from services.intake.attachments.file_name import (
    disposition,
    refuse_name,
    safe_name,
    type_by_ending,
)
from services.intake.attachments.keeper import Keeper, Upload
from services.intake.attachments.reader import Found, Reader
from services.intake.attachments.sealed_file import Damaged
from services.intake.desk import UNAVAILABLE, Result
from services.intake.edge import Caller, Edge

PIECE = 512 * 1024
"""Bytes from which a piece is given out; with what is read at a time it stays below 1 MiB."""

FORGOTTEN_AFTER = 600.0
"""Seconds after which a file that nobody asks about is let go: on a slow line a piece takes minutes."""

AT_ONCE = 8
"""Files that one agency's people may be sending at the same time, and as many that they may be reading;
as for its own system."""
_ALL_AT_ONCE = 64
"""Of all agencies' people: each holds a file open, and a piece or two in memory."""

_ALL = ""
_TOO_MANY = Refusal(ProblemCode.RATE_LIMITED)
_INTERNAL = Refusal(ProblemCode.INTERNAL)
_CUT_OFF = invalid("", "ファイルが途中で切れました / the file broke off before its end")

Asked = TypeVar("Asked", bound=Said)
Work = Callable[[Caller], Awaitable[Response[bytes]]]


class ByPieces:
    """``edge``: that of the inside door, with the limits of people. ``patience``: seconds."""

    def __init__(
        self,
        bus: Bus,
        ward: str,
        callers: Callers,
        edge: Edge,
        keeper: Keeper,
        reader: Reader,
        patience: float = FORGOTTEN_AFTER,
    ) -> None:
        self._bus = bus
        self._ward = ward
        self._callers = callers
        self._edge = edge
        self._keeper = keeper
        self._reader = reader
        self._patience = patience
        self._at = secrets.token_hex(16)
        self._in_hand: dict[str, _InHand] = {}
        self._coming, self._all_coming = AtOnce(AT_ONCE), AtOnce(_ALL_AT_ONCE)
        self._going, self._all_going = AtOnce(AT_ONCE), AtOnce(_ALL_AT_ONCE)
        self._at_work: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Answer from here on; the bus is connected."""
        # Several intakes share what begins; what has begun is one's own.
        await self._answer("begin_attachment", q.BeginAttachment, self._begin, queue="intake")
        await self._answer("open_attachment", q.OpenAttachment, self._open, queue="intake")
        await self._answer(self._at, q.MovePiece, self._move)

    async def close(self) -> None:
        """What is half here is not finished any more; what has come is put on record."""
        files = [file.leave() for file in self._in_hand.values()]
        if files or self._at_work:
            await asyncio.wait([*map(asyncio.ensure_future, files), *self._at_work], timeout=5)

    async def _answer(
        self,
        name: str,
        kind: type[Asked],
        act: Callable[[Asked], Awaitable[q.FileSaid]],
        queue: str = "",
    ) -> None:
        subject = subjects.query(self._ward, "intake", name)

        async def serve(message: Msg) -> None:
            try:
                said = await act(kind.from_json(message.data))
            except ValidationError as error:
                # By its faults alone: the values may be personal.
                faults = sorted({str(e["type"]) for e in error.errors(include_input=False)})
                log("question_refused", subject=subject, faults=faults)
                said = _refused(invalid("", "読めません / cannot be read"))
            # Whoever asked may be gone; what was decided is on record.
            with contextlib.suppress(nats.errors.Error, OSError):
                await self._bus.nc.publish(message.reply, said.to_json())

        async def take(message: Msg) -> None:
            if message.reply:
                # Beside, so that nobody waits for another's file.
                task = asyncio.create_task(serve(message))
                self._at_work.add(task)
                task.add_done_callback(self._at_work.discard)

        await self._bus.nc.subscribe(subject, queue=queue, cb=take)

    # -- a file comes in -------------------------------------------------------------------------

    async def _begin(self, asked: q.BeginAttachment) -> q.FileSaid:
        coming = _Coming(asked.agency, self._patience)

        async def act(caller: Caller) -> Response[bytes]:
            with (
                self._all_coming.one_more(_ALL) as room,
                self._coming.one_more(caller.agency) as allowed,
            ):
                if not (room and allowed):
                    return responses.refused(_TOO_MANY)
                return responses.answered(await self._taken(asked, caller, coming))

        return await self._take_in_hand(coming, "add_attachment", Scope.POST, act)

    async def _taken(self, asked: q.BeginAttachment, caller: Caller, coming: "_Coming") -> Result:
        refusal = admission.refuse_header(asked.key)
        if refusal is not None:
            return refusal
        declared = declared_type(asked.media_type) or type_by_ending(asked.name)
        if declared is None:
            return Refusal(ProblemCode.UNSUPPORTED_MEDIA_TYPE)
        name = safe_name(asked.name, declared)
        refusal = refuse_name(name)
        if refusal is not None:
            return refusal
        async with aclosing(coming.chunks()) as chunks:
            upload = Upload(caller.agency, asked.key, asked.ref, declared, name, True, chunks)
            try:
                return await self._keeper.add(upload)
            except CutOff:
                return _CUT_OFF

    # -- a file goes out -------------------------------------------------------------------------

    async def _open(self, asked: q.OpenAttachment) -> q.FileSaid:
        going = _Going(asked.agency, self._patience)

        async def act(caller: Caller) -> Response[bytes]:
            with (
                self._all_going.one_more(_ALL) as room,
                self._going.one_more(caller.agency) as allowed,
            ):
                if not (room and allowed):
                    return responses.refused(_TOO_MANY)
                found = await self._reader.find(caller.agency, asked.attachment)
                if isinstance(found, Refusal):
                    return responses.refused(found)
                return await going.give(found)

        said = await self._take_in_hand(going, "read_attachment", Scope.READ, act)
        found = going.found
        if found is None:
            return said
        more = {
            "name": found.name,
            "media_type": found.media_type,
            "size": found.size,
            "disposition": disposition(found.name),
        }
        return said.model_copy(update=more)

    # -- what is in hand -------------------------------------------------------------------------

    async def _take_in_hand(
        self, file: "_InHand", name: str, scope: Scope, act: Work
    ) -> q.FileSaid:
        """Until it is over. A file takes as long as the line is slow, so it holds no turn."""

        async def work() -> Response[bytes]:
            caller = self._callers.by_name(file.agency)
            try:
                return await self._edge.let(caller, name, scope, act, in_turn=False)
            except Exception as error:
                log("call_failed", fault=True, call=name, error=type(error).__name__)
                return responses.refused(_INTERNAL)

        token = secrets.token_hex(16)
        self._in_hand[token] = file
        refused = await file.begin(work(), lambda: self._in_hand.pop(token))
        return refused or q.FileSaid(status=HTTPStatus.OK, at=self._at, token=token)

    async def _move(self, asked: q.MovePiece) -> q.FileSaid:
        file = self._in_hand.get(asked.token)
        if file is None or file.agency != asked.agency:
            return _refused(UNAVAILABLE)
        return await (file.leave() if asked.leave else file.move(asked))


class _InHand:
    """A file on its way, and the task that has to do with it. Questions come one by one."""

    def __init__(self, agency: str, patience: float) -> None:
        self.agency = agency
        self._patience = patience
        self._number = 0
        self._questions: asyncio.Queue[tuple[q.MovePiece, asyncio.Future[q.FileSaid]] | None]
        self._questions = asyncio.Queue()
        self._ready = asyncio.Event()
        self._task: asyncio.Task[Response[bytes]]

    async def begin(
        self, work: Coroutine[Any, Any, Response[bytes]], over: Callable[[], object]
    ) -> q.FileSaid | None:
        """None when it waits for questions; else it is over already, and why."""
        self._task = asyncio.create_task(work)
        self._task.add_done_callback(lambda _: over())
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait((self._task, ready), return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        return _of(self._task.result()) if self._task.done() else None

    async def move(self, asked: q.MovePiece) -> q.FileSaid:
        """The answer; or, when the file is over with this question, what became of it."""
        if asked.number != self._number:
            return _refused(UNAVAILABLE)
        self._number += 1
        answer: asyncio.Future[q.FileSaid] = asyncio.get_running_loop().create_future()
        self._questions.put_nowait((asked, answer))
        await asyncio.wait((self._task, answer), return_when=asyncio.FIRST_COMPLETED)
        return answer.result() if answer.done() else _of(self._task.result())

    async def leave(self) -> q.FileSaid:
        """Whoever was at the other end is gone."""
        self._questions.put_nowait(None)
        await asyncio.wait((self._task,))
        return _of(self._task.result())

    async def _next(self) -> tuple[q.MovePiece, asyncio.Future[q.FileSaid]]:
        """Raises CutOff."""
        self._ready.set()
        try:
            async with asyncio.timeout(self._patience):
                question = await self._questions.get()
        except TimeoutError as error:
            raise CutOff from error
        if question is None:
            raise CutOff
        return question


class _Coming(_InHand):
    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Each is answered when more is wanted; the last when the file is on record. Raises CutOff."""
        last = False
        while not last:
            asked, answer = await self._next()
            last = asked.last
            if asked.data is not None:
                yield b64decode(asked.data)
            if not last:
                answer.set_result(q.FileSaid(status=HTTPStatus.OK))


class _Going(_InHand):
    def __init__(self, agency: str, patience: float) -> None:
        super().__init__(agency, patience)
        self.found: Found | None = None

    async def give(self, found: Found) -> Response[bytes]:
        """Until all of it was asked for, or nobody asks any more."""
        self.found = found
        left = found.size
        async with aclosing(found.chunks) as chunks:
            with contextlib.suppress(CutOff):
                while left > 0:
                    _, answer = await self._next()
                    try:
                        piece = await _piece(chunks)
                    except Damaged:
                        return responses.refused(Refusal(ProblemCode.ATTACHMENT_DAMAGED))
                    left -= len(piece)
                    data = b64encode(piece).decode()
                    answer.set_result(q.FileSaid(status=HTTPStatus.OK, data=data, last=left <= 0))
        return responses.json_response(b"")


async def _piece(chunks: AsyncIterator[bytes]) -> bytes:
    """Raises Damaged, also where nothing is left."""
    piece = bytearray()
    async for chunk in chunks:
        piece += chunk
        if len(piece) >= PIECE:
            break
    if not piece:
        raise Damaged("shorter than it is on record")
    return bytes(piece)


def _refused(refusal: Refusal) -> q.FileSaid:
    return _of(responses.refused(refusal))


def _of(response: Response[bytes]) -> q.FileSaid:
    return q.FileSaid(status=response.status_code or 200, body=response.content.decode())
