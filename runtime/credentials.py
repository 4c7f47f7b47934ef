"""Credentials (資格情報): by what an agency is known, from when to when, and who took it away.

What is kept is never enough to use one: of a key or a password its hash, of a certificate its
thumbprint, of a key pair the public half; what must be read again (a webhook's secret) is sealed by
whoever keeps it here. A process that checks credentials keeps them in memory
(``runtime.watched_credentials``) and looks at ``revision``, which every change moves in the same
transaction; so a change acts within a second, whoever made it.
"""

import contextlib
import hashlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from runtime.clock import Clock, utc_text
from runtime.database import insert_new, reading, writing
from runtime.ids import new_id


class Kind(StrEnum):
    """On disk; never renamed. ``material`` of each: what is kept of it."""

    API_KEY = "api_key"
    """API の鍵. SHA-256 of the key."""
    JWT_KEY = "jwt_key"
    """署名鍵（公開側）. The agency's public key as a JWK (RFC 7517), for private_key_jwt."""
    CERTIFICATE = "certificate"
    """クライアント証明書. SHA-256 of the certificate's DER (RFC 8705, 3.1)."""
    NATS = "nats"
    """NATS の合言葉. SHA-256 of the password; the user is the agency's id."""
    WEBHOOK_SECRET = "webhook_secret"  # noqa: S105  # a name, not a secret
    """Webhook の署名の秘密. The text ``whsec_…``, sealed with ``keys/delivery.key``
    (``runtime.sealed_credentials``)."""


class CredentialRefused(ValueError):
    """It cannot be issued as asked; the text says why and repeats nothing secret."""


@dataclass(frozen=True, slots=True)
class CredentialTables:
    credentials: sa.Table
    revision: sa.Table


def credential_tables(metadata: sa.MetaData) -> CredentialTables:
    """The tables of a database that keeps credentials. Their names and columns are on disk."""
    return CredentialTables(
        sa.Table(
            "credentials",
            metadata,
            sa.Column("id", sa.String(36), primary_key=True),
            sa.Column("agency", sa.String(64), nullable=False, index=True),
            sa.Column("kind", sa.String(32), nullable=False),
            sa.Column("material", sa.LargeBinary, nullable=False),
            # A JSON list; null: all that its agency may do.
            sa.Column("scopes", sa.Text),
            sa.Column("made_at", sa.String(32), nullable=False),
            sa.Column("valid_from", sa.String(32), nullable=False),
            sa.Column("valid_to", sa.String(32)),
            sa.Column("revoked_at", sa.String(32)),
            sa.Column("label", sa.String(128), nullable=False),
            # To the minute, and for people only: nothing is decided by it.
            sa.Column("last_used_at", sa.String(32)),
        ),
        sa.Table(
            "credentials_revision",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("number", sa.BigInteger, nullable=False),
        ),
    )


@dataclass(frozen=True, slots=True)
class Credential:
    id: str
    agency: str
    kind: str
    material: bytes
    scopes: tuple[str, ...] | None
    made_at: datetime
    valid_from: datetime
    valid_to: datetime | None
    """The first moment at which it is no longer good; None: until revoked."""
    revoked_at: datetime | None
    label: str
    last_used_at: datetime | None

    def live(self, now: datetime) -> bool:
        if self.revoked_at is not None or now < self.valid_from:
            return False
        return self.valid_to is None or now < self.valid_to

    def ended(self, now: datetime) -> bool:
        """It will never be good again."""
        return self.revoked_at is not None or (self.valid_to is not None and self.valid_to <= now)


def new_secret(prefix: str) -> str:
    """256 random bits that tell at a glance what they are for: ``tsunagu_…``."""
    return f"{prefix}{secrets.token_urlsafe(32)}"


def hashed(secret: str) -> bytes:
    """What is kept of a secret of ours. It has 256 random bits, so nobody can guess it from its
    hash, and a slow hash would only slow the door; of what people think up this would not hold."""
    return hashlib.sha256(secret.encode()).digest()


class Credentials:
    """All credentials of one database, for whoever administers them."""

    def __init__(self, engine: Engine, tables: CredentialTables, clock: Clock) -> None:
        self._engine = engine
        self._t = tables.credentials
        self._revision = tables.revision
        self._clock = clock

    def issue(
        self,
        agency: str,
        kind: str,
        material: bytes,
        *,
        scopes: tuple[str, ...] | None = None,
        label: str = "",
        valid_from: datetime | None = None,
        valid_to: datetime | None = None,
    ) -> Credential:
        """Raises CredentialRefused: the same material is somebody's already."""
        with self._changing() as connection:
            return self._insert(
                connection, agency, kind, material, scopes, label, valid_from, valid_to
            )

    def rotate(
        self,
        agency: str,
        kind: str,
        material: bytes,
        overlap: timedelta,
        *,
        follows: str | None = None,
        label: str = "",
    ) -> Credential:
        """A new one in the place of the one that stands, or of several the one whose id is ``follows``:
        with its scopes, good at once and for as long as that was made for. The old one ends when the
        overlap is over, or earlier if it was to. Raises CredentialRefused: there is none to follow, or
        which one is not said."""
        with self._changing() as connection:
            now = self._clock.now()
            standing = [c for c in self._read(connection, agency, kind) if not c.ended(now)]
            chosen = [c for c in standing if follows in (None, c.id)]
            if not chosen:
                raise CredentialRefused("there is none to rotate; issue a new one")
            if len(chosen) > 1:
                raise CredentialRefused(
                    "several stand; which one? " + ", ".join(f"{c.id} ({c.label})" for c in chosen)
                )
            (old,) = chosen
            ends = now + overlap
            if old.valid_to is None or old.valid_to > ends:
                self._set(connection, old.id, valid_to=utc_text(ends))
            lasts = None if old.valid_to is None else now + (old.valid_to - old.valid_from)
            return self._insert(
                connection, agency, kind, material, old.scopes, label or old.label, None, lasts
            )

    def revoke(self, credential: str) -> bool:
        """At once and for good. False: there is no such one, or it was revoked before."""
        t = self._t
        with self._changing() as connection:
            changed = connection.execute(
                sa.update(t)
                .where(t.c.id == credential, t.c.revoked_at.is_(None))
                .values(revoked_at=utc_text(self._clock.now()))
            )
            return bool(changed.rowcount)

    def all(self, agency: str | None = None, kind: str | None = None) -> list[Credential]:
        """All that ever were, oldest first."""
        with reading(self._engine) as connection:
            return self._read(connection, agency, kind)

    # -- for the watch ---------------------------------------------------------------------------

    def now(self) -> datetime:
        return self._clock.now()

    def changed_since(self, revision: int | None) -> tuple[int, list[Credential]] | None:
        """The revision and all that are not revoked, unless ``revision`` is the newest still."""
        with reading(self._engine) as connection:
            # The revision first: what is committed in between is then read again, not missed.
            newest = connection.scalar(sa.select(self._revision.c.number)) or 0
            if newest == revision:
                return None
            return newest, [c for c in self._read(connection) if c.revoked_at is None]

    def used(self, at: dict[str, datetime]) -> None:
        """When credentials were last used, by id."""
        with writing(self._engine) as connection:
            # In the same order whoever writes, so that two never wait for each other.
            for credential, moment in sorted(at.items()):
                self._set(connection, credential, last_used_at=utc_text(moment))

    # -- inside ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Connection]:
        """One transaction, one revision. Moving it first makes changes wait for one another."""
        r = self._revision
        with writing(self._engine) as connection:
            insert_new(connection, r, [{"id": 1, "number": 0}])
            connection.execute(sa.update(r).values(number=r.c.number + 1))
            yield connection

    def _insert(
        self,
        connection: Connection,
        agency: str,
        kind: str,
        material: bytes,
        scopes: tuple[str, ...] | None,
        label: str,
        valid_from: datetime | None,
        valid_to: datetime | None,
    ) -> Credential:
        now = self._clock.now()
        begins = valid_from or now
        if valid_to is not None and valid_to <= begins:
            raise CredentialRefused("it would end before it begins")
        same = [c for c in self._read(connection, kind=kind) if c.material == material]
        if any(not c.ended(now) for c in same):
            raise CredentialRefused("the same one is registered already")
        made = Credential(
            str(new_id(now)), agency, kind, material, scopes, now, begins, valid_to, None, label, None
        )  # fmt: skip
        connection.execute(sa.insert(self._t), [_row(made)])
        return made

    def _set(self, connection: Connection, credential: str, **values: str) -> None:
        connection.execute(sa.update(self._t).where(self._t.c.id == credential).values(**values))

    def _read(
        self, connection: Connection, agency: str | None = None, kind: str | None = None
    ) -> list[Credential]:
        t = self._t
        query = sa.select(t).order_by(t.c.made_at, t.c.id)
        if agency is not None:
            query = query.where(t.c.agency == agency)
        if kind is not None:
            query = query.where(t.c.kind == kind)
        return [_credential(row) for row in connection.execute(query)]


def _row(made: Credential) -> dict[str, Any]:
    return {
        "id": made.id,
        "agency": made.agency,
        "kind": made.kind,
        "material": made.material,
        "scopes": None if made.scopes is None else json.dumps(made.scopes),
        "made_at": utc_text(made.made_at),
        "valid_from": utc_text(made.valid_from),
        "valid_to": None if made.valid_to is None else utc_text(made.valid_to),
        "label": made.label,
    }


def _credential(row: sa.Row[Any]) -> Credential:
    return Credential(
        row.id,
        row.agency,
        row.kind,
        bytes(row.material),
        None if row.scopes is None else tuple(json.loads(row.scopes)),
        _moment(row.made_at),
        _moment(row.valid_from),
        None if row.valid_to is None else _moment(row.valid_to),
        None if row.revoked_at is None else _moment(row.revoked_at),
        row.label,
        None if row.last_used_at is None else _moment(row.last_used_at),
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
