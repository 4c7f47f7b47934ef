"""Attachments taken in: in which order things become durable, and what is said when it cannot be."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from pydantic import ValidationError

from runtime.broker import NotDurable
from runtime.clock import Clock
from runtime.observability import log
from schemas import commands as c
from schemas import queries as q
from schemas.base import json_object
from schemas.codes import MediaType
from schemas.partner import Sent
from schemas.problems import Refusal
from schemas.sealed import Group
from services.intake.attachments.content import judge
from services.intake.attachments.reader import ERASED
from services.intake.attachments.receiving import Received, receive
from services.intake.attachments.records import (
    ASKED,
    DISCARDING,
    GONE,
    KEPT,
    SETTLED,
    Kept,
    Records,
)
from services.intake.attachments.sealed_file import Sealer
from services.intake.attachments.spool import Spool
from services.intake.attachments.store import Store, StoreFailed
from services.intake.desk import NOT_INVOLVED, UNAVAILABLE, Pending, Result
from services.intake.gateway import Gateway
from services.intake.identity import Names
from services.intake.key_store import KeyStore
from services.intake.sealing import seal


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


class _Meaning(Sent):
    """What makes two uploads the same."""

    media_type: MediaType
    name: str
    sha256: str


class Keeper:
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
    ) -> None:
        self._ward = ward
        self._names = names
        self._keys = keys
        self._gateway = gateway
        self.records = records
        self.spool = spool
        self.store = store
        self._clock = clock
        self.came = asyncio.Event()
        """Something was taken in that a scanner has not seen."""

    def attachment_id(self, agency: str, key: str) -> UUID:
        """What a file sent with an idempotency key is known by."""
        return self._names.attachment_id(self._names.request_id(agency, key))

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
            return ERASED
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
            if not await asyncio.to_thread(self.records.move, stored, KEPT, ASKED):
                # This process slept, or the clock was set, so long that the sweep has claimed it.
                await self.store.delete(stored)
                return UNAVAILABLE
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
        try:
            answer = await self._gateway.send(command, wait=upload.wait)
        except NotDurable as error:
            if error.refused:
                await self.discard(stored, ASKED)
            return UNAVAILABLE
        if answer is None:
            return Pending(request)
        # Decided, whatever goes wrong now: the sweep settles it later.
        with suppress(StoreFailed, sa.exc.DBAPIError):
            await self.settle(stored, ASKED, attachment, answer)
        return answer

    async def settle(self, stored: str, state: str, attachment: UUID, answer: c.Answer) -> None:
        """What was stored is on record now; or something else is (the same was sent twice), or
        nothing (it was refused), and then it goes."""
        if _on_record(stored, attachment, answer):
            await asyncio.to_thread(self.records.move, stored, state, SETTLED)
            self.came.set()
        else:
            await self.discard(stored, state)

    async def discard(self, stored: str, state: str) -> None:
        """Of what is in this state. Claimed before it is deleted, so that nobody asks for it to be
        put on record any more; the note goes last, so what could not be deleted is not forgotten."""
        if await asyncio.to_thread(self.records.move, stored, state, DISCARDING):
            await self.store.delete(stored)
            await asyncio.to_thread(self.records.forget, stored)

    async def destroy(self, kept: Kept) -> None:
        """The bytes of what is on record and must not be read."""
        await self.store.delete(kept.ciphertext_sha256)
        await asyncio.to_thread(self.records.move, kept.ciphertext_sha256, kept.state, GONE)


def _on_record(stored: str, attachment: UUID, answer: c.Answer) -> bool:
    if answer.status >= 400:
        return False
    items = json_object.validate_json(answer.body).get("attachments", ())
    return any(
        item["id"] == str(attachment) and item["ciphertext_sha256"] == stored for item in items
    )
