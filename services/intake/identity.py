"""Names that intake derives with its own secret, so that they say nothing to anyone else.

A request's id comes from the agency and its idempotency key: the same key is the same command for
ever. A fingerprint is over what a body *means*: a bare hash of a small body could be guessed, and
sealing the same body twice gives other bytes. A block's key stands for an address's block.
"""

import hashlib
import hmac
from uuid import UUID

from runtime.canonical import canonical_json
from runtime.ids import id_from_digest
from schemas.partner import Sent


class Names:
    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def request_id(self, agency: str, idempotency_key: str) -> UUID:
        return id_from_digest(self._keyed("request", agency, idempotency_key))

    def referral_id(self, request: UUID) -> UUID:
        return id_from_digest(self._keyed("referral", str(request)))

    def attachment_id(self, request: UUID) -> UUID:
        return id_from_digest(self._keyed("attachment", str(request)))

    def fingerprint(self, call: str, target: str, body: Sent) -> str:
        meaning = body.model_dump(mode="json", exclude_defaults=True)
        return self._keyed("body", call, target, canonical_json(meaning).decode()).hex()

    def block_key(self, ward: str, block: str) -> str:
        return self._keyed("block", ward, block).hex()

    def _keyed(self, *parts: str) -> bytes:
        message = "\x1f".join(parts).encode()
        return hmac.new(self._secret, message, hashlib.sha256).digest()
