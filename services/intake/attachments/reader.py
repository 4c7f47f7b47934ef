"""Attachments handed out: who may have one, and only as it is on record."""

import asyncio
import hashlib
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import IO, Any
from uuid import UUID

import sqlalchemy as sa

from runtime.observability import log
from schemas import queries as q
from schemas.codes import MediaType, ScanState
from schemas.problems import ProblemCode, Refusal
from schemas.sealed import Group
from services.intake.attachments.records import Kept, Records
from services.intake.attachments.sealed_file import CHUNK, Damaged, Opener
from services.intake.attachments.store import NotKept, Store, StoreFailed
from services.intake.desk import NOT_INVOLVED, UNAVAILABLE
from services.intake.gateway import Gateway
from services.intake.key_store import KeyStore, KeyStoreFailed
from services.intake.sealing import SealBroken, unseal

ERASED = Refusal(ProblemCode.ATTACHMENT_ERASED)
_DAMAGED = Refusal(ProblemCode.ATTACHMENT_DAMAGED)
_WITHHELD = {
    ScanState.INFECTED: Refusal(ProblemCode.ATTACHMENT_INFECTED),
    ScanState.PENDING: Refusal(ProblemCode.NOT_SCANNED_YET),
    ScanState.UNSCANNABLE: Refusal(ProblemCode.ATTACHMENT_UNSCANNABLE),
}
_READ_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be handed out. ``chunks``: the file in the clear; whoever has it reads it to the
    end or closes it."""

    name: str
    media_type: MediaType
    size: int
    chunks: AsyncGenerator[bytes, None]


class Reader:
    """``scans``: whether there is a scanner, so that only what it has passed is handed out."""

    def __init__(
        self, keys: KeyStore, gateway: Gateway, records: Records, store: Store, *, scans: bool
    ) -> None:
        self._keys = keys
        self._gateway = gateway
        self._records = records
        self._store = store
        self._scans = scans
        self._reading = asyncio.Semaphore(_READ_AT_ONCE)

    async def find(self, agency: str, attachment: UUID) -> Found | Refusal:
        """An attachment, for an agency that may open the referral it belongs to. The bytes are those
        on record, all of them, before the first is handed out. Raises NoAnswer, KeyStoreFailed."""
        try:
            rows = await asyncio.to_thread(self._records.of_attachment, attachment)
        except sa.exc.DBAPIError as error:
            raise KeyStoreFailed("what is stored cannot be looked up") from error
        if not rows:
            return NOT_INVOLVED
        referral = rows[0].referral
        question = q.ReadReferral(agency=agency, ref=referral)
        told = await self._gateway.ask("referral", "read", question)
        given = _given(told, attachment)
        sealed = [record for record in told.sealed if record.group is Group.ATTACHMENT]
        if given is None or not sealed:
            return NOT_INVOLVED
        key = await self._keys.find(referral)
        if key is None:
            return ERASED
        stored = given["ciphertext_sha256"]
        refusal = self._withheld(next((r for r in rows if r.ciphertext_sha256 == stored), None))
        if refusal is not None:
            return refusal
        try:
            payloads = [unseal(key, referral, record) for record in sealed]
            name = next(p["name"] for p in payloads if p["attachment"] == str(attachment))
            async with self._reading:
                file = await self._store.fetch(stored)
                await asyncio.to_thread(_check, file, stored)
        except (NotKept, Damaged, SealBroken, StopIteration) as error:
            why = type(error).__name__
            log("attachment_damaged", level=logging.ERROR, attachment=str(attachment), why=why)
            return _DAMAGED
        except StoreFailed:
            return UNAVAILABLE
        chunks = opened(file, Opener(key, referral, attachment))
        return Found(name, MediaType(given["media_type"]), given["size"], chunks)

    def _withheld(self, row: Kept | None) -> Refusal | None:
        return _WITHHELD.get(self._shown(row.scan if row is not None else ScanState.UNSCANNED))

    def _shown(self, scan: ScanState) -> ScanState:
        """As people see it: with a scanner, what was not scanned will be."""
        if scan is ScanState.UNSCANNED and self._scans:
            return ScanState.PENDING
        if scan is ScanState.UNSCANNABLE and not self._scans:
            return ScanState.UNSCANNED
        return scan

    async def scans_of(self, referral: UUID) -> dict[str, ScanState]:
        """What the scanner says of each attachment of a referral, by the hash on record. Raises
        KeyStoreFailed: it is the same database."""
        try:
            rows = await asyncio.to_thread(self._records.of_referral, referral)
        except sa.exc.DBAPIError as error:
            raise KeyStoreFailed("what is stored cannot be looked up") from error
        return {row.ciphertext_sha256: self._shown(row.scan) for row in rows}

    async def to_scan(self, kept: Kept) -> AsyncIterator[bytes]:
        """A stored file in the clear, for the scanner. Raises NotKept (also where its key was
        destroyed), Damaged, StoreFailed, KeyStoreFailed."""
        key = await self._keys.find(kept.referral)
        if key is None:
            raise NotKept
        file = await self._store.fetch(kept.ciphertext_sha256)
        async for chunk in opened(file, Opener(key, kept.referral, kept.attachment)):
            yield chunk


async def opened(file: IO[bytes], opener: Opener) -> AsyncGenerator[bytes, None]:
    """The file in the clear, chunk by chunk; closes it. Raises Damaged."""
    with file:
        while sealed := await asyncio.to_thread(file.read, 4 * CHUNK):
            yield opener.feed(sealed)
        yield opener.end()


def _check(file: IO[bytes], stored: str) -> None:
    """What is stored is what is on record. Closes the file where it is not. Raises Damaged."""
    if hashlib.file_digest(file, "sha256").hexdigest() != stored:  # type: ignore[arg-type]
        file.close()
        raise Damaged("other bytes than those on record")
    file.seek(0, os.SEEK_SET)


def _given(told: q.Told, attachment: UUID) -> dict[str, Any] | None:
    items = told.body.get("attachments", ()) if told.found else ()
    return next((item for item in items if item["id"] == str(attachment)), None)
