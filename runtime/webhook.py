"""How a webhook is signed (Standard Webhooks 1.0, symmetric signatures): HMAC-SHA256 over id, moment and
the very bytes of the body. Pure; the other side verifies it with libraries that are not ours.

``webhook-id`` is the same on every repetition of a message, the moment and the signature are not.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Final

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"
PREFIX: Final = "whsec_"


class SecretError(ValueError):
    """Not a webhook secret. The text never repeats it."""


def secret_key(secret: str) -> bytes:
    """The key in ``whsec_…`` (base64); raises SecretError."""
    try:
        key = base64.b64decode(secret.strip().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SecretError("a webhook secret is whsec_ and base64") from None
    if not 24 <= len(key) <= 64:
        raise SecretError("a webhook secret has 24 to 64 bytes")
    return key


def signature(key: bytes, message_id: str, moment: datetime, body: bytes) -> str:
    said = f"{message_id}.{int(moment.timestamp())}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()


def signed_headers(
    message_id: str, moment: datetime, body: bytes, keys: Sequence[bytes]
) -> dict[str, str]:
    """With one signature for each key: while a secret is changed for another, both are good."""
    return {
        ID: message_id,
        TIMESTAMP: str(int(moment.timestamp())),
        SIGNATURE: " ".join(signature(key, message_id, moment, body) for key in keys),
    }
