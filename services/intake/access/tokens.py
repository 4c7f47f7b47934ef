"""Access tokens (RFC 9068) that this network gives out, and knows again: signed with its own key, five
minutes long, and good only as long as the credential by which they were got."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.clock import Clock
from runtime.ids import new_id

LIFE = 300  # seconds
_TYPE = "at+jwt"
_ALGORITHM = "EdDSA"


@dataclass(frozen=True, slots=True)
class Token:
    agency: str
    credential: str
    scopes: frozenset[str]


class Tokens:
    """``issuer``: this network's own address. Every intake with the same key knows them."""

    def __init__(self, key: Ed25519PrivateKey, issuer: str, clock: Clock) -> None:
        self._key = key
        self._public = key.public_key()
        self._issuer = issuer
        self._clock = clock
        self._jwt = jwt.PyJWT({"verify_exp": False, "verify_iat": False})

    def make(self, agency: str, credential: str, scopes: Collection[str]) -> str:
        now = self._clock.now()
        claims = {
            "iss": self._issuer,
            "sub": agency,
            "client_id": agency,
            "aud": self._issuer,
            "iat": int(now.timestamp()),
            "exp": int(now.timestamp()) + LIFE,
            "jti": str(new_id(now)),
            "scope": " ".join(sorted(scopes)),
            "credential": credential,
        }
        return self._jwt.encode(claims, self._key, _ALGORITHM, headers={"typ": _TYPE})

    def read(self, text: str) -> Token | None:
        """None: not ours, or over."""
        try:
            told = self._jwt.decode_complete(
                text, self._public, [_ALGORITHM], audience=self._issuer, issuer=self._issuer
            )
            claims = told["payload"]
            if told["header"].get("typ") != _TYPE or not self._is_now(claims["iat"], claims["exp"]):
                return None
            scopes = frozenset(claims["scope"].split())
            return Token(claims["sub"], claims["credential"], scopes)
        except (jwt.PyJWTError, KeyError, ValueError):
            return None

    def _is_now(self, begun: float, ends: float) -> bool:
        now: datetime = self._clock.now()
        # Two intakes on two hosts: one may be a moment behind the other.
        return begun - LIFE < now.timestamp() < ends
