"""Drafts (下書き): what somebody has begun to write, kept for them alone until it is posted.

Sealed with AES-256-GCM under a key of the console's own; whose it is and which one are bound into the seal
(additional data), so that a row moved to another account, or under another id, does not open. In the clear
is only when it was written last. After ``KEPT`` without a word a draft is gone.

A draft is written by one page at a time. A page that knows an older text than the one that is kept, because
another page has written since, gets a draft of its own: neither text is lost.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy.engine import Connection, Engine

from runtime.clock import Clock, utc_text
from runtime.database import reading, writing
from services.console import tables as t

KEPT = timedelta(days=7)
MOST = 50
"""Drafts of one account."""

_NONCE = 12
_ABOUT = b"tsunagu console draft v1"


class Content(BaseModel):
    """What is sealed; the names are on disk. ``page``: which showing of the form wrote it last, and
    ``written``: that page's own count, so that what overtakes on the way is not put back. ``version``
    grows with every writing."""

    model_config = ConfigDict(frozen=True)

    version: int
    page: str
    written: int
    fields: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Draft:
    id: UUID
    updated_at: datetime
    content: Content


@dataclass(frozen=True, slots=True)
class Saved:
    """``moved``: it is kept as another draft than the one that was named, which another page has
    written to since, or which is not this person's."""

    id: UUID
    version: int
    moved: bool


@dataclass(frozen=True, slots=True)
class Full:
    """There are as many drafts as one account may have; nothing was kept."""


class Drafts:
    """``key``: 32 bytes."""

    def __init__(self, engine: Engine, clock: Clock, key: bytes) -> None:
        self._engine = engine
        self._clock = clock
        self._cipher = AESGCM(key)

    async def of(self, account: UUID) -> list[Draft]:
        """One's own, the last written first."""
        return await asyncio.to_thread(self._of, account)

    async def find(self, account: UUID, draft: UUID) -> Draft | None:
        """None: there is none, it is another's, or its time is over."""
        return await asyncio.to_thread(self._find, account, draft)

    async def save(
        self,
        account: UUID,
        draft: UUID,
        fields: Mapping[str, list[str]],
        *,
        page: str,
        version: int,
        written: int,
    ) -> Saved | Full:
        """``version``: the one that the page knows; 0: none yet."""
        content = Content(version=version, page=page, written=written, fields=dict(fields))
        try:
            return await asyncio.to_thread(self._save, account, draft, content)
        except sa.exc.IntegrityError:
            # The same page wrote its first draft twice at one moment; now it is there.
            return await asyncio.to_thread(self._save, account, draft, content)

    async def drop(self, account: UUID, draft: UUID) -> None:
        await asyncio.to_thread(self._drop, account, draft)

    # --------------------------------------------------------------------------------------------

    def _of(self, account: UUID) -> list[Draft]:
        d = t.drafts
        query = (
            sa.select(d.c.id, d.c.updated_at, d.c.sealed)
            .where(d.c.account == str(account), d.c.updated_at > self._oldest())
            .order_by(d.c.updated_at.desc())
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [draft for row in rows if (draft := self._opened(account, row)) is not None]

    def _find(self, account: UUID, draft: UUID) -> Draft | None:
        with reading(self._engine) as connection:
            return self._read(connection, account, draft)

    def _save(self, account: UUID, draft: UUID, content: Content) -> Saved | Full:
        with writing(self._engine) as connection:
            connection.execute(sa.delete(t.drafts).where(t.drafts.c.updated_at <= self._oldest()))
            kept = self._read(connection, account, draft, lock=True)
            if kept is not None:
                known = kept.content
                if known.page == content.page and known.written > content.written:
                    return Saved(draft, known.version, moved=False)  # overtaken on the way
                if known.page == content.page or known.version == content.version:
                    return self._write(connection, account, draft, content, known.version)
            elif not self._is_there(connection, draft):
                if self._is_full(connection, account):
                    return Full()
                return self._write(connection, account, draft, content, 0)
            if self._is_full(connection, account):
                return Full()
            saved = self._write(connection, account, uuid4(), content, 0)
            return Saved(saved.id, saved.version, moved=True)

    def _drop(self, account: UUID, draft: UUID) -> None:
        d = t.drafts
        with writing(self._engine) as connection:
            connection.execute(
                sa.delete(d).where(d.c.id == str(draft), d.c.account == str(account))
            )

    def _read(
        self, connection: Connection, account: UUID, draft: UUID, *, lock: bool = False
    ) -> Draft | None:
        d = t.drafts
        query = sa.select(d.c.id, d.c.updated_at, d.c.sealed).where(
            d.c.id == str(draft), d.c.account == str(account), d.c.updated_at > self._oldest()
        )
        row = connection.execute(query.with_for_update() if lock else query).first()
        return self._opened(account, row) if row is not None else None

    def _is_there(self, connection: Connection, draft: UUID) -> bool:
        query = sa.select(t.drafts.c.id).where(t.drafts.c.id == str(draft))
        return connection.execute(query).first() is not None

    def _is_full(self, connection: Connection, account: UUID) -> bool:
        query = sa.select(sa.func.count()).where(t.drafts.c.account == str(account))
        return (connection.scalar(query) or 0) >= MOST

    def _write(
        self, connection: Connection, account: UUID, draft: UUID, content: Content, before: int
    ) -> Saved:
        d = t.drafts
        content = content.model_copy(update={"version": before + 1})
        values = {
            "updated_at": utc_text(self._clock.now()),
            "sealed": self._seal(account, draft, content),
        }
        if before:
            connection.execute(sa.update(d).where(d.c.id == str(draft)).values(**values))
        else:
            row = {"id": str(draft), "account": str(account), **values}
            connection.execute(sa.insert(d).values(**row))
        return Saved(draft, content.version, moved=False)

    def _oldest(self) -> str:
        return utc_text(self._clock.now() - KEPT)

    def _seal(self, account: UUID, draft: UUID, content: Content) -> bytes:
        nonce = os.urandom(_NONCE)
        plain = content.model_dump_json().encode()
        return nonce + self._cipher.encrypt(nonce, plain, _bound_to(account, draft))

    def _opened(self, account: UUID, row: Any) -> Draft | None:
        """None: the seal is broken, or the key is another one; it is as good as gone."""
        draft, sealed = UUID(row.id), bytes(row.sealed)
        try:
            plain = self._cipher.decrypt(
                sealed[:_NONCE], sealed[_NONCE:], _bound_to(account, draft)
            )
            content = Content.model_validate_json(plain)
        except (InvalidTag, ValidationError, ValueError):
            return None
        return Draft(draft, datetime.fromisoformat(row.updated_at), content)


def _bound_to(account: UUID, draft: UUID) -> bytes:
    return b"\x1f".join((_ABOUT, str(account).encode(), str(draft).encode()))
