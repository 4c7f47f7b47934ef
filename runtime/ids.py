"""Identifiers: time-ordered where a clock gave them birth, derived where they must be repeatable."""

import hashlib
import os
from datetime import datetime
from uuid import UUID

_VERSION_7 = 0x7 << 76
_VERSION_8 = 0x8 << 76
_VARIANT = 0x2 << 62
_LOW_BITS = (1 << 62) - 1
_MID_BITS = (1 << 12) - 1


def _uuid(high48: int, random: bytes, version: int) -> UUID:
    mid = int.from_bytes(random[:2], "big") & _MID_BITS
    low = int.from_bytes(random[2:10], "big") & _LOW_BITS
    return UUID(int=(high48 << 80) | version | (mid << 64) | _VARIANT | low)


def new_id(now: datetime) -> UUID:
    """A UUIDv7 (RFC 9562): 48 bits of milliseconds, the rest random."""
    return _uuid(int(now.timestamp() * 1000), os.urandom(10), _VERSION_7)


def derived_id(now: datetime, *names: str | UUID) -> UUID:
    """A UUIDv7 whose random part is a hash of ``names``: the same names at the same moment give
    the same id, so deciding is a pure function of what it is given."""
    digest = hashlib.sha256("\x1f".join(map(str, names)).encode()).digest()
    return _uuid(int(now.timestamp() * 1000), digest, _VERSION_7)


def id_from_digest(digest: bytes) -> UUID:
    """A UUIDv8 (RFC 9562) from at least 16 bytes of a keyed hash."""
    return _uuid(int.from_bytes(digest[10:16], "big"), digest, _VERSION_8)
