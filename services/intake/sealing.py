"""Sealing personal data (封緘): AES-256-GCM (NIST SP 800-38D) under a key per referral.

The commitment that goes on record is over nonce and plaintext, not over the ciphertext: AES-GCM does
not commit to its key, and re-encrypting must not touch the record.
"""

import base64
import binascii
import os
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from runtime.canonical import CanonicalError, canonical_json, commitment, parse_canonical
from schemas.sealed import Group, SealedGroup

_NONCE = 12
_BLINDING = 32


class SealBroken(ValueError):
    """The sealed data cannot be opened, or is not what was committed to."""


def seal(key: bytes, referral: UUID, group: Group, payload: dict[str, Any]) -> SealedGroup:
    """Encrypt one field group. A fresh nonce each time: sealing twice gives other bytes."""
    blinding = os.urandom(_BLINDING)
    committed = commitment(_domain(group), blinding, payload)
    plain = canonical_json({"nonce": blinding.hex(), "payload": payload})
    nonce = os.urandom(_NONCE)
    ciphertext = nonce + AESGCM(key).encrypt(nonce, plain, _bound_to(referral, group, committed))
    return SealedGroup(
        group=group, commitment=committed, ciphertext=base64.b64encode(ciphertext).decode()
    )


def unseal(key: bytes, referral: UUID, sealed: SealedGroup) -> dict[str, Any]:
    """Decrypt one field group and check it against its commitment. Raises SealBroken."""
    try:
        data = base64.b64decode(sealed.ciphertext, validate=True)
        bound_to = _bound_to(referral, sealed.group, sealed.commitment)
        plain = parse_canonical(AESGCM(key).decrypt(data[:_NONCE], data[_NONCE:], bound_to))
        payload: dict[str, Any] = plain["payload"]
        blinding = bytes.fromhex(plain["nonce"])
        genuine = commitment(_domain(sealed.group), blinding, payload) == sealed.commitment
    except (binascii.Error, InvalidTag, CanonicalError, KeyError, ValueError) as error:
        raise SealBroken("sealed data cannot be opened") from error
    if not genuine:
        raise SealBroken("sealed data is not what was committed to")
    return payload


def _domain(group: Group) -> str:
    return f"tsunagu/sealed/{group.value}/v1"


def _bound_to(referral: UUID, group: Group, committed: str) -> bytes:
    return f"{referral}/{group.value}/{committed}".encode()
