"""Attachments taken in and handed out: who may, in which order things become durable, and what is said
when it cannot be."""

import asyncio
import hashlib
import logging
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import ValidationError

from runtime.broker import NotDurable
from runtime.clock import Clock
from runtime.observability import log
from schemas import commands as c
from schemas import queries as q
from schemas.base import json_object
from schemas.codes import MediaType, ScanState
from schemas.partner import Sent
from schemas.problems import ProblemCode, Refusal
from schemas.sealed import Group
from services.intake.attachments.content import judge
from services.intake.attachments.receiving import Received, receive
from services.intake.attachments.records import ASKED, GONE, SETTLED, Kept, Records
from services.intake.attachments.sealed_file import CHUNK, Damaged, Opener, Sealer
from services.intake.attachments.spool import Spool
from services.intake.attachments.store import NotKept, Store, StoreFailed
from services.intake.desk import NOT_INVOLVED, UNAVAILABLE, Pending, Result
from services.intake.gateway import Gateway
from services.intake.identity import Names
from services.intake.key_store import KeyStore, KeyStoreFailed
from services.intake.sealing import SealBroken, seal, unseal

_ERASED = Refusal(ProblemCode.ATTACHMENT_ERASED)
_DAMAGED = Refusal(ProblemCode.ATTACHMENT_DAMAGED)
_READ_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it comes in: from whom, with which idempotency key, for which referral, and as what;
    ``name``: a safe one."""

    agency: str
    key: str
    ref: str
    declared: MediaType
    name: str
    wait: bool
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be handed out. ``chunks``: the file in the clear; whoever has it reads it to the
    end or closes it."""

    name: str
    media_type: MediaType
    size: int
    chunks: AsyncIterator[bytes]


class _Meaning(Sent):
    """What makes two uploads the same."""

    media_type: MediaType
    name: str
    sha256: str


class Keeper:
    """``scans``: whether there is a scanner, so that only what it has passed is handed out."""

    def __init__(
        self,
        ward: str,
        names: Names,
        keys: KeyStore,
        gateway: Gateway,
        records: Records,
        spool: Spool,
        store: Store,
        clock: Clock,
        *,
        scans: bool,
    ) -> None:
        self._ward = ward
        self._names = names
        self._keys = keys
        self._gateway = gateway
        self.records = records
        self.spool = spool
        self.store = store
        self._clock = clock
        self._scans = scans
        self._reading = asyncio.Semaphore(_READ_AT_ONCE)
        self.came = asyncio.Event()
        """Something was taken in that a scanner has not seen."""

    def attachment_id(self, agency: str, key: str) -> UUID:
        """What a file sent with an idempotency key is known by."""
        return self._names.attachment_id(self._names.request_id(agency, key))

    # -- taking in -------------------------------------------------------------------------------

    async def add(self, upload: Upload) -> Result:
        """Seal and store the bytes, then ask for them to be put on record: so what is on record can
        be read. Whatever comes between leaves bytes that are on no record, which are swept. Raises
        NoAnswer, KeyStoreFailed."""
        referral = await self._locate(upload.agency, upload.ref)
        if referral is None:
            return NOT_INVOLVED
        # Never made anew: a key that is not there was destroyed.
        key = await self._keys.find(referral)
        if key is None:
            return _ERASED
        request = self._names.request_id(upload.agency, upload.key)
        attachment = self._names.attachment_id(request)
        try:
            with self.spool.part() as part:
                sealer = Sealer(key, referral, attachment)
                received = await receive(upload.chunks, sealer, part)
                if isinstance(received, Refusal):
                    return received
                refusal = judge(upload.declared, received.seen)
                if refusal is not None:
                    return refusal
                stored = received.ciphertext_sha256
                await asyncio.to_thread(
                    self.records.add, stored, attachment, referral, upload.agency, request,
                    self._clock.now(),
                )  # fmt: skip
                await self.store.keep(stored, part.path)
            return await self._put_on_record(upload, received, referral, key, request, attachment)
        except (OSError, StoreFailed, sa.exc.DBAPIError) as error:
            log("attachment_not_stored", level=logging.WARNING, error=type(error).__name__)
            return UNAVAILABLE

    async def _locate(self, agency: str, ref: str) -> UUID | None:
        try:
            question = q.Locate(agency=agency, ref=ref)
        except ValidationError:
            return None
        told = await self._gateway.ask("referral", "locate", question)
        return told.referral if told.found else None

    async def _put_on_record(
        self,
        upload: Upload,
        received: Received,
        referral: UUID,
        key: bytes,
        request: UUID,
        attachment: UUID,
    ) -> Result:
        stored = received.ciphertext_sha256
        sealed = seal(
            key,
            referral,
            Group.ATTACHMENT,
            {"attachment": str(attachment), "name": upload.name, "sha256": received.sha256},
        )
        meaning = _Meaning(media_type=upload.declared, name=upload.name, sha256=received.sha256)
        command = c.Command(
            id=request,
            ward=self._ward,
            agency=upload.agency,
            issued_at=self._clock.now(),
            fingerprint=self._names.fingerprint("add_attachment", upload.ref, meaning),
            action=c.AddAttachment(
                sealed=(sealed,),
                referral=referral,
                attachment=attachment,
                media_type=upload.declared,
                size=received.seen.size,
                ciphertext_sha256=stored,
            ),
        )
        await asyncio.to_thread(self.records.move, stored, ASKED)
        try:
            answer = await self._gateway.send(command, wait=upload.wait)
        except NotDurable as error:
            if error.refused:
                await self.discard(stored)
            return UNAVAILABLE
        if answer is None:
            return Pending(request)
        # Decided, whatever goes wrong now: the sweep settles it later.
        with suppress(StoreFailed, sa.exc.DBAPIError):
            await self.settle(stored, attachment, answer)
        return answer

    async def settle(self, stored: str, attachment: UUID, answer: c.Answer) -> None:
        """What was stored is on record now; or something else is (the same was sent twice), or
        nothing (it was refused), and then it goes."""
        if _on_record(stored, attachment, answer):
            await asyncio.to_thread(self.records.move, stored, SETTLED)
            self.came.set()
        else:
            await self.discard(stored)

    async def discard(self, stored: str) -> None:
        """The note goes last: what could not be deleted is not forgotten."""
        await self.store.delete(stored)
        await asyncio.to_thread(self.records.forget, stored)

    async def destroy(self, kept: Kept) -> None:
        """The bytes of what is on record and must not be read."""
        await self.store.delete(kept.ciphertext_sha256)
        await asyncio.to_thread(self.records.move, kept.ciphertext_sha256, GONE)

    # -- handing out -----------------------------------------------------------------------------

    async def find(self, agency: str, attachment: UUID) -> Found | Refusal:
        """An attachment, for an agency that may open the referral it belongs to. The bytes are those
        on record, all of them, before the first is handed out. Raises NoAnswer, KeyStoreFailed."""
        try:
            rows = await asyncio.to_thread(self.records.of_attachment, attachment)
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
            return _ERASED
        stored = given["ciphertext_sha256"]
        refusal = self._withheld(next((r for r in rows if r.ciphertext_sha256 == stored), None))
        if refusal is not None:
            return refusal
        try:
            payloads = [unseal(key, referral, record) for record in sealed]
            name = next(p["name"] for p in payloads if p["attachment"] == str(attachment))
            async with self._reading:
                file = await self.store.fetch(stored)
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
        scan = self.shown(row.scan) if row is not None else ScanState.PENDING
        if scan is ScanState.INFECTED:
            return Refusal(ProblemCode.ATTACHMENT_INFECTED)
        if scan is ScanState.PENDING and self._scans:
            return Refusal(ProblemCode.NOT_SCANNED_YET)
        return None

    def shown(self, scan: ScanState) -> ScanState:
        """As people see it: with a scanner, what was not scanned will be."""
        waits = scan is ScanState.UNSCANNED and self._scans
        return ScanState.PENDING if waits else scan

    async def scans_of(self, referral: UUID) -> dict[str, ScanState]:
        """What the scanner says of each attachment of a referral, by the hash on record. Raises
        KeyStoreFailed: it is the same database."""
        try:
            rows = await asyncio.to_thread(self.records.of_referral, referral)
        except sa.exc.DBAPIError as error:
            raise KeyStoreFailed("what is stored cannot be looked up") from error
        return {row.ciphertext_sha256: self.shown(row.scan) for row in rows}

    async def to_scan(self, kept: Kept) -> AsyncIterator[bytes]:
        """A stored file in the clear, for the scanner. Raises NotKept (also where its key was
        destroyed), Damaged, StoreFailed, KeyStoreFailed."""
        key = await self._keys.find(kept.referral)
        if key is None:
            raise NotKept
        file = await self.store.fetch(kept.ciphertext_sha256)
        async for chunk in opened(file, Opener(key, kept.referral, kept.attachment)):
            yield chunk


async def opened(file: IO[bytes], opener: Opener) -> AsyncIterator[bytes]:
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


def _on_record(stored: str, attachment: UUID, answer: c.Answer) -> bool:
    if answer.status >= 400:
        return False
    told = q.Told(found=True, body=json_object.validate_json(answer.body))
    given = _given(told, attachment)
    return given is not None and given["ciphertext_sha256"] == stored
