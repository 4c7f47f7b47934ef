"""How a client says who it is: an agency's API key, or short-lived tokens got with a private key."""

import time
import uuid
from collections.abc import Generator
from typing import Any

import httpx

from .problem import Problem

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_EARLY = 30.0
"""Seconds before its end that a token is no longer used."""


class BearerKey(httpx.Auth):
    """The agency's API key, with every call."""

    def __init__(self, key: str) -> None:
        self._key = key.strip()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._key}"
        yield request


class PrivateKeyJwt(httpx.Auth):
    """OAuth 2.0 client credentials with ``private_key_jwt`` (RFC 7523). The private key never leaves
    this process; every assertion is used once. Needs ``pyjwt[crypto]``.

    ``key``: the private key, PEM. ``kid``: the id under which the network knows its public half.
    ``audience``: what the network calls itself, where that is not the token's address.
    """

    requires_response_body = True

    def __init__(
        self,
        agency: str,
        key: str | bytes,
        *,
        kid: str | None = None,
        algorithm: str = "EdDSA",
        audience: str | None = None,
        token_path: str = "/oauth2/token",  # noqa: S107 - a place, not a password
        scope: str | None = None,
    ) -> None:
        self._agency = agency
        self._key = key
        self._kid = kid
        self._algorithm = algorithm
        self._audience = audience
        self._token_path = token_path
        self._scope = scope
        self._token = ""
        self._good_until = 0.0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if time.monotonic() > self._good_until:
            self._keep((yield self._asking(request)))
        request.headers["Authorization"] = f"Bearer {self._token}"
        answer = yield request
        if answer.status_code == 401:
            # Revoked, or the network began anew: once more with a new one.
            self._keep((yield self._asking(request)))
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    def _asking(self, request: httpx.Request) -> httpx.Request:
        where = request.url.copy_with(raw_path=self._token_path.encode())
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": _ASSERTION,
            "client_assertion": self._assertion(self._audience or str(where)),
        }
        if self._scope is not None:
            form["scope"] = self._scope
        return httpx.Request("POST", where, data=form)

    def _assertion(self, audience: str) -> str:
        import jwt

        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self._agency,
            "sub": self._agency,
            "aud": audience,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + 60,
        }
        headers = {"kid": self._kid} if self._kid else None
        return jwt.encode(claims, self._key, algorithm=self._algorithm, headers=headers)

    def _keep(self, answer: httpx.Response) -> None:
        if answer.status_code != 200:
            raise Problem(answer.status_code, "unauthenticated", "no token was given", {})
        token = answer.json()
        self._token = str(token["access_token"])
        lasts = float(token.get("expires_in", 60))
        self._good_until = time.monotonic() + max(lasts - _EARLY, lasts / 2)
