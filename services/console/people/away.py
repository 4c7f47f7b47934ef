"""Who was sent to the provider, and may come back (認証基盤へ行っている人): kept by the browser itself, sealed, in a
cookie of ten minutes. Here nothing grows with those who are away: very many who never come back push nobody
out, and whoever is away while the console is started anew comes in all the same.

AES-256-GCM under a key of the console's; the browser and ``state`` are bound into the seal, so that what another
browser was given, or for another journey, does not open.
"""

import hashlib
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from runtime.clock import Clock

GOOD_FOR = 600  # seconds to sign in there
COOKIE = "tsunagu_away_"
MOST_AT_ONCE = 4  # journeys of one browser: its tabs
_LONGEST_BACK = 2000  # characters; a cookie has 4,096 bytes
_MOST_SPENT = 10_000
_NONCE = 12
_ABOUT = "tsunagu console away v1"


@dataclass(frozen=True, slots=True)
class Journey:
    """To the provider and ``back``, a path of ours. ``nonce`` and ``verifier`` are secrets."""

    state: str
    nonce: str
    verifier: str
    back: str


class Away:
    def __init__(self, key: bytes, clock: Clock) -> None:
        self._cipher = AESGCM(key)
        self._clock = clock
        self._spent: OrderedDict[str, None] = OrderedDict()

    def sealed(self, token: str, journey: Journey) -> str:
        """For the cookie. ``token``: the visitor's own cookie."""
        said = asdict(journey)
        if len(journey.back) > _LONGEST_BACK:
            said["back"] = "/"
        said["until"] = self._clock.now().timestamp() + GOOD_FOR
        nonce = os.urandom(_NONCE)
        about = _about(token, journey.state)
        sealed = nonce + self._cipher.encrypt(nonce, json.dumps(said).encode(), about)
        return urlsafe_b64encode(sealed).decode()

    def returned(self, token: str, state: str, sealed: str) -> Journey | None:
        """None: not this browser's, too late, or back before. Only the first return counts."""
        try:
            data = urlsafe_b64decode(sealed)
            plain = self._cipher.decrypt(data[:_NONCE], data[_NONCE:], _about(token, state))
        except (ValueError, InvalidTag):
            return None
        said = json.loads(plain)
        if said.pop("until") <= self._clock.now().timestamp() or state in self._spent:
            return None
        # What is pushed out of here, or forgotten by a restart, is refused by the provider: a code is
        # good once.
        self._spent[state] = None
        while len(self._spent) > _MOST_SPENT:
            self._spent.popitem(last=False)
        return Journey(**said)


def cookie_of(state: str) -> str:
    """The name of a journey's cookie: each of one's tabs has its own."""
    return COOKIE + hashlib.sha256(state.encode("utf-8", "replace")).hexdigest()[:16]


def too_many(cookies: Mapping[str, str]) -> list[str]:
    """Names of cookies to be dropped, for journeys that were given up."""
    names = [name for name in cookies if name.startswith(COOKIE)]
    return names[: max(0, len(names) + 1 - MOST_AT_ONCE)]


def _about(token: str, state: str) -> bytes:
    return "\x1f".join((_ABOUT, token, state)).encode("utf-8", "surrogatepass")
