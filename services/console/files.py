"""Files to and from intake, piece by piece (ファイルの運搬). Nothing of them is kept here: of each there is one
piece in memory at a time, whatever its size."""

import asyncio
import contextlib
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from uuid import UUID

from runtime.broker import NoAnswer
from runtime.observability import log
from runtime.sending import BrokenOff
from schemas import queries as q
from services.console.line import Line, Said
from services.console.person import Person

PIECE = 512 * 1024
"""Bytes that go to intake at a time."""

_LONGEST_NAME = 500
"""Characters of a file's name, from its end, that are told; intake keeps fewer."""

_TO_BEGIN = 30.0
"""Seconds: before the first piece is given out, all of the file is read and held against the record."""
_FOR_A_PIECE = 15.0
_TO_FINISH = 45.0
"""Seconds: to store the file, where that is an object store of the broker's, and to put it on record. The
answer may come for 60 (``schemas.logins``)."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file to be given out, the first piece of which is here. ``chunks`` raises BrokenOff; ``close`` where
    it is not read to its end."""

    media_type: str
    size: int
    disposition: str
    chunks: AsyncGenerator[bytes, None]
    close: Callable[[], None]


class Files:
    def __init__(self, line: Line) -> None:
        self._line = line
        self._leaving: set[asyncio.Task[None]] = set()

    async def read(self, person: Person, attachment: UUID) -> Found | Said:
        """A file, for the person's agency; or why it is not given out. Raises NoAnswer."""
        question = q.OpenAttachment(agency=person.agency, attachment=attachment)
        told = await self._line.about_file(question, timeout=_TO_BEGIN)
        if told.media_type is None or told.size is None or told.disposition is None:
            return Said(told.status, told.body)
        hand = _Hand(self._line, person, told)
        first = await hand.move()
        if first.data is None:
            return Said(first.status, first.body)
        chunks = _given_out(hand, first)
        return Found(
            told.media_type.value, told.size, told.disposition, chunks, lambda: self._leave(hand)
        )

    async def add(
        self,
        person: Person,
        ref: str,
        key: str,
        name: str,
        media_type: str,
        chunks: AsyncIterator[bytes],
    ) -> Said:
        """A file for a referral, as it comes; what became of it, as soon as that is clear. ``name`` and
        ``media_type`` as a browser says. Raises NoAnswer, and whatever ``chunks`` raises."""
        question = q.BeginAttachment(
            agency=person.agency,
            ref=ref,
            key=key,
            name=name[-_LONGEST_NAME:],
            media_type=media_type[:200],
        )
        told = await self._line.about_file(question, timeout=_TO_BEGIN)
        if told.status != 200:
            return Said(told.status, told.body)
        hand = _Hand(self._line, person, told)
        waiting = bytearray()
        try:
            async for chunk in chunks:
                waiting += chunk
                while len(waiting) > PIECE:
                    told = await hand.move(bytes(waiting[:PIECE]))
                    del waiting[:PIECE]
                    if told.status != 200:
                        return Said(told.status, told.body)
            told = await hand.move(bytes(waiting), last=True)
        except BaseException:
            self._leave(hand)
            raise
        return Said(told.status, told.body)

    def _leave(self, hand: "_Hand") -> None:
        """Beside, for whoever waited for the file is gone; without it intake would forget it later."""
        if hand.over:
            return

        async def leave() -> None:
            with contextlib.suppress(NoAnswer):
                await hand.leave()

        task = asyncio.create_task(leave())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


async def _given_out(hand: "_Hand", piece: q.FileSaid) -> AsyncGenerator[bytes, None]:
    while piece.data is not None:
        yield b64decode(piece.data)
        if piece.last:
            return
        try:
            piece = await hand.move()
        except NoAnswer:
            break
    log("attachment_broke_off")
    raise BrokenOff


class _Hand:
    """A file that one process of intake has in hand."""

    def __init__(self, line: Line, person: Person, told: q.FileSaid) -> None:
        self._line = line
        self._agency = person.agency
        self._at = told.at or ""
        self._token = told.token or ""
        self._number = 0
        self.over = False

    async def move(self, data: bytes = b"", *, last: bool = False) -> q.FileSaid:
        asked = q.MovePiece(
            agency=self._agency,
            token=self._token,
            number=self._number,
            data=b64encode(data).decode() if data else None,
            last=last,
        )
        self._number += 1
        timeout = _TO_FINISH if last else _FOR_A_PIECE
        said = await self._line.about_file(asked, at=self._at, timeout=timeout)
        self.over = said.last or last or said.status != 200
        return said

    async def leave(self) -> None:
        self.over = True
        asked = q.MovePiece(agency=self._agency, token=self._token, leave=True)
        await self._line.about_file(asked, at=self._at)
