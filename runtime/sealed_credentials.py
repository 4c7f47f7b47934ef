"""Credentials whose secret must be read again (a webhook's): sealed, so that whoever has the database
has no secret (AES-256-GCM, NIST SP 800-38D)."""

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from runtime.credentials import Credential
from runtime.keys import KeyFileError, secret_bytes

_NONCE = 12


class CredentialSeal:
    """Over the key in one file. What is sealed is bound to its agency and kind: moved to another
    row it does not open."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._key = AESGCM(secret_bytes(path))

    def seal(self, agency: str, kind: str, secret: bytes) -> bytes:
        """The ``material`` to keep."""
        nonce = os.urandom(_NONCE)
        return nonce + self._key.encrypt(nonce, secret, _about(agency, kind))

    def unseal(self, credential: Credential) -> bytes:
        """Raises KeyFileError: sealed with another key, or altered."""
        sealed, about = credential.material, _about(credential.agency, credential.kind)
        try:
            return self._key.decrypt(sealed[:_NONCE], sealed[_NONCE:], about)
        except (InvalidTag, ValueError):
            raise KeyFileError(
                f"{self._name} is not the key that a secret was sealed with"
            ) from None


def _about(agency: str, kind: str) -> bytes:
    return f"{kind}\x1f{agency}".encode()
