"""Data keys: made, wrapped and kept before anything sealed with them leaves this process."""

import asyncio
import hashlib
import os
from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.engine import Connection, Engine

from runtime.database import insert_new, reading, writing
from runtime.keys import KeyFileError
from runtime.observability import log
from services.intake import tables as t

_NONCE = 12


class KeyStoreFailed(RuntimeError):
    """The key store cannot be written or read now."""


class KeyStore:
    """Requests that come while a transaction runs share the next one."""

    def __init__(self, engine: Engine, key_encryption_key: bytes) -> None:
        self._engine = engine
        self._wrap = AESGCM(key_encryption_key)
        self._wrapped_by = hashlib.sha256(key_encryption_key).hexdigest()[:16]
        self._waiting: list[tuple[UUID, asyncio.Future[bytes]]] = []
        self._worker: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Raise KeyFileError if there are data keys that another key-encryption key has wrapped:
        with this one, whoever is referred to could never be read again."""
        others = sa.select(t.data_keys.c.wrapped_by).where(
            t.data_keys.c.wrapped_by != self._wrapped_by
        )
        with reading(self._engine) as connection:
            if connection.execute(others.limit(1)).first() is not None:
                raise KeyFileError(
                    "key-encryption.key is not the key that the key store was written with; "
                    "put the right one back"
                )

    async def key_for(self, referral: UUID) -> bytes:
        """The referral's data key, made and durably kept at the first call; the same ever after.
        Raises KeyStoreFailed."""
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append((referral, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await future

    async def find(self, referral: UUID) -> bytes | None:
        """The referral's data key, or None when there is none (never made, or destroyed). Raises
        KeyStoreFailed."""
        try:
            return (await asyncio.to_thread(self._read, [referral])).get(referral)
        except (sa.exc.DBAPIError, InvalidTag) as error:
            raise KeyStoreFailed("the key store cannot be read") from error

    async def can_write(self) -> bool:
        """Would making a key succeed now?"""
        try:
            await asyncio.to_thread(self._probe)
        except sa.exc.DBAPIError:
            return False
        return True

    async def _work(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                keys = await asyncio.to_thread(self._make, [referral for referral, _ in batch])
            except Exception as error:
                if not isinstance(error, sa.exc.DBAPIError):
                    log("key_store_failed", fault=True)
                for _, future in batch:  # nobody is left waiting
                    if not future.done():
                        future.set_exception(KeyStoreFailed("the key store cannot be written"))
                continue
            for referral, future in batch:
                if not future.done():
                    future.set_result(keys[referral])

    def _make(self, referrals: Sequence[UUID]) -> dict[UUID, bytes]:
        with writing(self._engine) as connection:
            keys = self._stored(connection, referrals)
            made = {referral: os.urandom(32) for referral in referrals if referral not in keys}
            rows = [
                {
                    "referral": str(referral),
                    "wrapped": self._wrapped(referral, key),
                    "wrapped_by": self._wrapped_by,
                }
                for referral, key in made.items()
            ]
            # Another intake may have been quicker: then its key is the referral's.
            insert_new(connection, t.data_keys, rows)
            if connection.dialect.name != "sqlite" and rows:
                made = self._stored(connection, list(made))
        return keys | made

    def _read(self, referrals: Sequence[UUID]) -> dict[UUID, bytes]:
        with reading(self._engine) as connection:
            return self._stored(connection, referrals)

    def _stored(self, connection: Connection, referrals: Sequence[UUID]) -> dict[UUID, bytes]:
        k = t.data_keys
        query = sa.select(k.c.referral, k.c.wrapped).where(
            k.c.referral.in_([str(referral) for referral in referrals])
        )
        rows = connection.execute(query).all()
        return {UUID(row.referral): self._unwrapped(row.referral, row.wrapped) for row in rows}

    def _probe(self) -> None:
        # Committed: what is rolled back never reaches the disk, so a full one would go unnoticed.
        with writing(self._engine) as connection:
            connection.execute(sa.delete(t.probes))
            insert_new(connection, t.probes, [{"id": 1}])

    def _wrapped(self, referral: UUID, key: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + self._wrap.encrypt(nonce, key, str(referral).encode())

    def _unwrapped(self, referral: str, wrapped: bytes) -> bytes:
        return self._wrap.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], referral.encode())
