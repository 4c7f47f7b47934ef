"""Whom nats-server lets in on our word: the answers to its auth callouts (ADR-26), signed.

nats-server sends a request, a token signed by itself, with what the client said; it believes an
answer that names the user key of that request and is signed by the issuer of its configuration. In
server configuration mode the user's audience is the account it is put in. The tokens are NATS's own
kind of JWT (nats-io/jwt v2): EdDSA under the name ``ed25519-nkey``, keys as nkeys.

Of a user's limits nats-server 2.15 heeds its permissions and its end only, for a user of a callout.
"""

import base64
import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nkeys  # type: ignore[import-untyped]

from runtime.keys import secret_bytes

KEY_FILE = "nats-issuer.key"
"""Under the keys of whoever lets agencies in."""
_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}


class NotAsked(ValueError):
    """A request that cannot be read."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody wants in. ``user_key`` and ``server`` are what an answer has to name; ``number``: of its
    connection, on that server."""

    user: str
    password: str
    user_key: str
    server: str
    number: int


def asked(token: bytes) -> Asked:
    """Read a callout's request. Its signature is not looked at: only nats-server itself may publish
    on the callout's subject, and an answer to anything else opens nothing. Raises NotAsked."""
    try:
        body = token.decode("ascii").split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["nats"]
        given = said["connect_opts"]
        return Asked(
            str(given.get("user", "")),
            str(given.get("pass", "")),
            str(said["user_nkey"]),
            str(said["server_id"]["id"]),
            int(said["client_info"]["id"]),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise NotAsked("not a callout's request") from None


class Issuer:
    """``public``: what nats-server's configuration names as ``issuer``."""

    def __init__(self, key: Path) -> None:
        seed = nkeys.encode_seed(secret_bytes(key), nkeys.PREFIX_BYTE_ACCOUNT)
        self._key = nkeys.from_seed(seed)
        self.public: str = self._key.public_key.decode()

    def admit(
        self,
        asked: Asked,
        *,
        account: str,
        name: str,
        publish: Sequence[str],
        subscribe: Sequence[str],
        replies: int,
        seconds: float,
    ) -> bytes:
        """Let it in. ``name``: how the server calls it in its lists and logs. ``replies``: seconds
        within which a message may be answered, once. ``seconds``: after which nats-server ends the
        connection, whether we are there or not."""
        user: dict[str, Any] = {
            "pub": {"allow": list(publish)},
            "sub": {"allow": list(subscribe)},
            "resp": {"max": 1, "ttl": replies * 1_000_000_000},
            "subs": -1,
            "data": -1,
            "payload": -1,
            "type": "user",
            "version": 2,
        }
        claims: dict[str, Any] = {
            "sub": asked.user_key,
            "aud": account,
            "name": name,
            "nats": user,
            "exp": math.ceil(time.time() + seconds),
        }
        return self._answer(asked, {"jwt": self._signed(claims)})

    def refuse(self, asked: Asked) -> bytes:
        """The client is told no more than that it may not."""
        return self._answer(asked, {"error": "not let in"})

    def _answer(self, asked: Asked, said: dict[str, Any]) -> bytes:
        said = {**said, "type": "authorization_response", "version": 2}
        return self._signed({"sub": asked.user_key, "aud": asked.server, "nats": said}).encode()

    def _signed(self, claims: dict[str, Any]) -> str:
        said = {**claims, "iss": self.public, "iat": int(time.time())}
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).digest()
        said["jti"] = base64.b32encode(digest).decode().rstrip("=")
        signed = f"{_encoded(_HEADER)}.{_encoded(said)}"
        return f"{signed}.{_base64(self._key.sign(signed.encode()))}"


def _encoded(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
