"""Where an agency's system gets an access token: OAuth 2.0 client credentials (RFC 6749, 4.4) with an
assertion in place of a password (RFC 7523). Errors have RFC 6749's own form (5.2)."""

import asyncio
import hashlib
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import sqlalchemy as sa
from litestar import Response, get, post
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from pydantic_core import to_json
from sqlalchemy.engine import Engine

from runtime.clock import Clock, utc_text
from runtime.credentials import Kind
from runtime.database import writing
from runtime.observability import log
from runtime.watched_credentials import WatchedCredentials
from schemas.codes import Scope
from schemas.problems import ProblemCode
from services.intake import responses
from services.intake import tables as t
from services.intake.access import assertions
from services.intake.access.assertions import Assertion, NotProven
from services.intake.access.callers import Callers
from services.intake.access.tokens import LIFE, Tokens
from services.intake.access.turns import Turns
from services.intake.bodies import Bodies
from services.intake.edge import Http
from services.intake.metrics import Metrics

TOKEN_PATH = "/oauth2/token"  # noqa: S105  # a path
METADATA_PATH = "/.well-known/oauth-authorization-server"
GRANT = "client_credentials"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST_FORM = 16_384  # bytes: the longest assertion, and as much again
_FORM = "application/x-www-form-urlencoded"
_NOT_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}
# Remembered longer than it can be used: a clock that is set back makes none good again.
_REMEMBERED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Refused(Exception):
    """``error``: a code of RFC 6749, 5.2. ``told``: for the partner's builder; no value of theirs."""

    error: str
    told: str
    status: int = 400


class TokenEndpoint:
    """``issuers``: by which addresses this network is known, the published one first; none: nobody
    gets a token."""

    def __init__(
        self,
        engine: Engine,
        watched: WatchedCredentials,
        callers: Callers,
        tokens: Tokens,
        turns: Turns,
        metrics: Metrics,
        clock: Clock,
        issuers: tuple[str, ...],
    ) -> None:
        self._engine = engine
        self._watched = watched
        self._callers = callers
        self._tokens = tokens
        self._turns = turns
        self._metrics = metrics
        self._clock = clock
        self._bodies = Bodies()
        self._issuer = issuers[0] if issuers else ""
        self._audience = frozenset((*issuers, *(f"{issuer}{TOKEN_PATH}" for issuer in issuers)))

    def handlers(self) -> list[HTTPRouteHandler]:
        @post(TOKEN_PATH, name="get_token", status_code=200, request_max_body_size=_LONGEST_FORM)
        async def get_token(request: Http) -> Response[bytes]:
            began = time.perf_counter()
            try:
                response = await self._token(await self._form(request))
            except _Refused as refused:
                response = _answer(
                    {"error": refused.error, "error_description": refused.told}, refused.status
                )
            status = response.status_code or 200
            self._metrics.observe("get_token", status, time.perf_counter() - began)
            return response

        @get(METADATA_PATH, name="token_metadata")
        async def token_metadata() -> Response[bytes]:
            return responses.json_response(to_json(self._metadata()))

        return [get_token, token_metadata]

    async def _form(self, request: Http) -> dict[str, str]:
        """Whoever sends it is a stranger until it is read."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != _FORM:
            raise _Refused("invalid_request", f"Content-Type must be {_FORM}")
        try:
            async with self._bodies.whole(request, "") as refusal:
                body = await request.body() if refusal is None else b""
        except HTTPException:
            raise _Refused("invalid_request", "the body is too large", 413) from None
        if refusal is None:
            return _read(body)
        if refusal.code is ProblemCode.RATE_LIMITED:
            raise _Refused("temporarily_unavailable", "too many bodies are coming in", 503)
        raise _Refused("invalid_request", "the body came too slowly", 408)

    async def _token(self, form: dict[str, str]) -> Response[bytes]:
        if form.get("grant_type") != GRANT:
            given = "grant_type" in form
            error = "unsupported_grant_type" if given else "invalid_request"
            raise _Refused(error, f"grant_type must be {GRANT}")
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise _Refused("invalid_request", f"client_assertion_type must be {ASSERTION_TYPE}")
        assertion = self._proven(form.get("client_assertion", ""), form.get("client_id"))
        credential = assertion.credential
        wait = self._turns.take(credential.agency)
        if wait:
            refused = _answer({"error": "slow_down", "error_description": "too many requests"}, 429)
            refused.headers["Retry-After"] = str(wait)
            return refused
        scopes = self._scopes(assertion, form.get("scope"))
        try:
            first = await asyncio.to_thread(self._remember, assertion)
        except sa.exc.DBAPIError:
            log("assertion_not_remembered", fault=True, agency=credential.agency)
            # It could have been used before: whoever cannot know says no.
            raise _Refused("temporarily_unavailable", "try again", 503) from None
        if not first:
            raise _not_proven(credential.agency, "jti was used before")
        self._watched.used(credential)
        token = self._tokens.make(credential.agency, credential.id, scopes)
        return _answer(
            {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": LIFE,
                "scope": " ".join(sorted(scopes)),
            }
        )

    def _proven(self, text: str, client: str | None) -> Assertion:
        agency = ""
        try:
            agency = assertions.claimed(text)
            if client is not None and client != agency:
                raise NotProven("client_id is not iss")
            keys = self._watched.live(agency, Kind.JWT_KEY)
            proven = assertions.proven(text, keys, self._audience, self._clock.now())
        except NotProven as reason:
            known = bool(agency) and bool(self._watched.live(agency, Kind.JWT_KEY))
            raise _not_proven(agency if known else "", str(reason)) from None
        if not self._callers.allowed(proven.credential):
            raise _not_proven(agency, "not on the network today")
        return proven

    def _scopes(self, assertion: Assertion, wanted: str | None) -> frozenset[Scope]:
        allowed = self._callers.allowed(assertion.credential)
        if wanted is None:
            return allowed
        named = frozenset(wanted.split())
        scopes = frozenset(scope for scope in allowed if scope in named)
        if not named or len(scopes) != len(named):
            raise _Refused("invalid_scope", "not among this agency's scopes")
        return scopes

    def _remember(self, assertion: Assertion) -> bool:
        """False: it was used before, here or at another intake."""
        now = self._clock.now()
        row = {
            "agency": assertion.credential.agency,
            "jti": hashlib.sha256(assertion.jti.encode()).digest(),
            "expires_at": utc_text(assertion.expires_at),
        }
        a = t.assertions
        try:
            with writing(self._engine) as connection:
                over = utc_text(now - _REMEMBERED)
                connection.execute(sa.delete(a).where(a.c.expires_at < over))
                connection.execute(sa.insert(a), [row])
        except sa.exc.IntegrityError:
            return False
        return True

    def _metadata(self) -> dict[str, Any]:
        """RFC 8414."""
        return {
            "issuer": self._issuer,
            "token_endpoint": f"{self._issuer}{TOKEN_PATH}",
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": [
                "ES256", "ES384", "EdDSA", "PS256", "RS256",
            ],
            "grant_types_supported": [GRANT],
            "response_types_supported": [],
            "scopes_supported": [scope.value for scope in Scope],
            "service_documentation": f"{self._issuer}/docs",
        }  # fmt: skip


def _read(body: bytes) -> dict[str, str]:
    try:
        text = body.decode("ascii")
        fields = parse_qsl(text, keep_blank_values=True, strict_parsing=True, max_num_fields=32)
    except ValueError:
        raise _Refused("invalid_request", "the body is not a form") from None
    if len(dict(fields)) != len(fields):
        raise _Refused("invalid_request", "a field was given twice")
    return dict(fields)


def _not_proven(agency: str, reason: str) -> _Refused:
    # The agency only where it is a known one: what strangers claim is not for the log.
    log("assertion_refused", agency=agency, reason=reason)
    return _Refused("invalid_client", reason, 401)


def _answer(body: dict[str, Any], status: int = 200) -> Response[bytes]:
    return responses.json_response(to_json(body), status, headers=dict(_NOT_STORED))
