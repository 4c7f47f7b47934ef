"""The proof that an inbox is whole (送達の証明): a hash over all its events, each bound to those before.

h(0) is 32 zero bytes; h(n) = SHA-256(h(n-1) ‖ SHA-256(canonical JSON of the n-th CloudEvent)), the
canonical JSON being RFC 8785's and the CloudEvent as in the inbox, without ``agencynumber``. Whoever has
the events 1 … n and the head of n knows that none is missing, changed or in another place.
"""

import hashlib

from runtime.canonical import canonical_json
from schemas.base import JsonObject

EMPTY = bytes(32)


def event_hash(event: JsonObject) -> bytes:
    return hashlib.sha256(canonical_json(event)).digest()


def next_head(head: bytes, event: bytes) -> bytes:
    """The head after one more event, of which ``event`` is the hash."""
    return hashlib.sha256(head + event).digest()
