"""A file on its way in: sealed, hashed and measured chunk by chunk; never whole in memory, never in the
clear on the disk."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from schemas.commands import LARGEST_ATTACHMENT
from schemas.problems import ProblemCode, Refusal
from services.intake.attachments.content import Seen
from services.intake.attachments.sealed_file import Sealer
from services.intake.attachments.spool import Part

_AT_ONCE = 256 * 1024
"""Bytes that are sealed and written at a time, beside the event loop."""


@dataclass(frozen=True, slots=True)
class Received:
    """``sha256``: of the file; ``ciphertext_sha256``: of what is stored of it."""

    seen: Seen
    sha256: str
    ciphertext_sha256: str


async def receive(chunks: AsyncIterator[bytes], sealer: Sealer, part: Part) -> Received | Refusal:
    """Take the whole file into ``part``, durably. Raises OSError where it cannot be written."""
    taking = _Taking(sealer, part)
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        if taking.seen.size + len(waiting) > LARGEST_ATTACHMENT:
            return Refusal(ProblemCode.TOO_LARGE)
        if len(waiting) >= _AT_ONCE:
            await asyncio.to_thread(taking.take, bytes(waiting))
            waiting.clear()
    return await asyncio.to_thread(taking.finish, bytes(waiting))


class _Taking:
    def __init__(self, sealer: Sealer, part: Part) -> None:
        self._sealer = sealer
        self._part = part
        self._hash = hashlib.sha256()
        self.seen = Seen()

    def take(self, data: bytes) -> None:
        self.seen.feed(data)
        self._hash.update(data)
        self._part.write(self._sealer.feed(data))

    def finish(self, data: bytes) -> Received:
        self.take(data)
        self._part.write(self._sealer.end())
        stored = self._part.finish()
        return Received(self.seen, self._hash.hexdigest(), stored)
