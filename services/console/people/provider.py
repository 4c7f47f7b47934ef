"""The provider (認証基盤): who somebody is, by OpenID Connect (authorization code with PKCE). The addresses and
keys are those that the provider itself publishes; what it says is believed only if it is signed by one of
its keys, meant for us, fresh, and an answer to what this very browser was sent to ask.

OpenID Connect Core 1.0, Discovery 1.0 and RP-Initiated Logout 1.0; RFC 7636 (PKCE), RFC 9207 (``iss``).
"""

import asyncio
import contextlib
import ipaddress
import logging
import secrets
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # type: ignore[import-untyped]
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]
from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from runtime.clock import Clock
from runtime.observability import log
from runtime.settings import Settings, SettingsError
from services.console.people.away import Journey

T = TypeVar("T")

PATH_BACK = "/login/provider/back"
PATH_OUT = "/signed-out"
# Signed by a key of the provider's: never ``none``, and never a secret that two know.
_ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
_PATIENCE = 5.0  # seconds for each of the provider's answers
_KNOWN_FOR = 3600.0  # seconds for which what it published is believed
_KEYS_AT_MOST_EVERY = 30.0  # seconds between two looks at its keys
_DOWN_FOR = 5.0  # seconds for which it is not asked again after it gave no answer
_LEEWAY = 60  # seconds by which its clock may differ from ours
_LARGEST = 1_048_576


class Why(StrEnum):
    """Why the provider's answer lets nobody in."""

    DOWN = "down"  # it cannot be reached, or answers nonsense
    DENIED = "denied"  # it says no, or its user did
    STALE = "stale"  # not asked by this browser, too late, or answered before
    FORGED = "forged"  # what it says does not hold
    UNKNOWN = "unknown"  # nobody here is known to it by that name


class NotBelieved(Exception):
    def __init__(self, why: Why, detail: str) -> None:
        """``detail``: for the log; never anything that somebody sent."""
        super().__init__(detail)
        self.why = why


@dataclass(frozen=True, slots=True)
class _Published:
    """What the provider says of itself."""

    authorize: str
    token: str
    keys: str
    out: str | None
    names_itself: bool


class _Shared(Generic[T]):
    """What the provider publishes. However many want it at once, it is asked for once, and all of them
    have what comes of that; that it did not answer is known for a few seconds as well."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._found: tuple[T, float] | None = None
        self._failed: tuple[NotBelieved, float] | None = None
        self._asking: asyncio.Task[T] | None = None

    async def now(self, fetch: Callable[[], Coroutine[Any, Any, T]], good_for: float) -> T:
        """What was found at most ``good_for`` seconds ago, else what ``fetch`` finds. Raises NotBelieved."""
        ticks = self._clock.ticks()
        if self._found is not None and ticks - self._found[1] < good_for:
            return self._found[0]
        if self._failed is not None and ticks - self._failed[1] < _DOWN_FOR:
            raise NotBelieved(self._failed[0].why, str(self._failed[0]))
        if self._asking is None:
            self._asking = asyncio.create_task(fetch())
            self._asking.add_done_callback(self._asked)
        try:
            # Whoever does not wait any longer takes it from nobody else.
            return await asyncio.shield(self._asking)
        except NotBelieved as failed:
            raise NotBelieved(failed.why, str(failed)) from None

    def _asked(self, task: asyncio.Task[T]) -> None:
        self._asking = None
        if task.cancelled():
            return
        error, ticks = task.exception(), self._clock.ticks()
        if error is None:
            self._found, self._failed = (task.result(), ticks), None
        elif isinstance(error, NotBelieved):
            self._failed = (error, ticks)


class Provider:
    def __init__(
        self, settings: Settings, clock: Clock, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """Raises SettingsError."""
        self.issuer = settings.console_oidc_issuer
        self._client = settings.console_oidc_client_id
        try:
            _safe(self.issuer)
        except ValueError:
            raise SettingsError("TSUNAGU_CONSOLE_OIDC_ISSUER must begin with https://") from None
        if not self._client:
            raise SettingsError("TSUNAGU_CONSOLE_OIDC_CLIENT_ID is missing")
        self._secret = _secret_of(settings)
        url = settings.console_url or f"http://{settings.host}:{settings.console_port}"
        self._home = url.rstrip("/")
        self._clock = clock
        self._http = httpx.AsyncClient(timeout=_PATIENCE, transport=transport)
        self._published = _Shared[_Published](clock)
        self._keys = _Shared[KeySet](clock)

    # -- there and back --------------------------------------------------------------------------

    async def sends(self, back: str) -> tuple[str, Journey]:
        """The address at which somebody says who it is, and what has to be known of it when the browser is
        back. Raises NotBelieved."""
        published = await self._metadata()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        address = str(
            prepare_grant_uri(
                published.authorize,
                self._client,
                "code",
                redirect_uri=self._home + PATH_BACK,
                scope="openid",
                state=state,
                nonce=nonce,
                code_challenge=create_s256_code_challenge(verifier),
                code_challenge_method="S256",
            )
        )
        return address, Journey(state, nonce, verifier, back)

    async def takes(self, journey: Journey, answer: Mapping[str, str]) -> str:
        """Who it is (``sub``). ``journey``: the one that this browser was sent on; ``answer``: the query
        with which it came back. Raises NotBelieved."""
        published = await self._metadata()
        # RFC 9207: an answer of another provider that was mixed up with this one.
        named = answer.get("iss")
        if named != self.issuer and (named is not None or published.names_itself):
            raise NotBelieved(Why.FORGED, "iss of the answer")
        if "error" in answer:
            raise NotBelieved(Why.DENIED, "the provider said no")
        code = answer.get("code", "")
        if not code:
            raise NotBelieved(Why.FORGED, "no code")
        said = await self._exchange(published, code, journey.verifier)
        return await self._subject(published, said, journey.nonce)

    async def out(self) -> str | None:
        """Where one signs out of the provider; None: it offers none, or cannot be reached."""
        try:
            published = await self._metadata()
        except NotBelieved:
            return None
        if published.out is None:
            return None
        # No id_token_hint: it would say in an address who somebody is. The provider asks instead.
        asked = {"client_id": self._client, "post_logout_redirect_uri": self._home + PATH_OUT}
        return str(httpx.URL(published.out).copy_merge_params(asked))

    async def close(self) -> None:
        await self._http.aclose()

    # -- what it says ----------------------------------------------------------------------------

    async def _exchange(self, published: _Published, code: str, verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._home + PATH_BACK,
            "code_verifier": verifier,
        }
        options: dict[str, Any] = {}
        if self._secret:
            # RFC 6749, 2.3.1: both are form-encoded before they are put into the header.
            options["auth"] = httpx.BasicAuth(
                _form_encoded(self._client), _form_encoded(self._secret)
            )
        else:
            form["client_id"] = self._client
        with self._answering():
            answered = await self._http.post(published.token, data=form, **options)
            if answered.status_code in (400, 401):
                raise NotBelieved(Why.STALE, "the code was refused")
            return _document(answered)

    async def _subject(self, published: _Published, said: dict[str, Any], nonce: str) -> str:
        token = said.get("id_token")
        if not isinstance(token, str):
            raise NotBelieved(Why.FORGED, "no ID token")
        read = await self._read(published, token)
        claims = CodeIDToken(
            read.claims,
            read.header,
            options={
                "iss": {"essential": True, "value": self.issuer},
                "aud": {"essential": True, "value": self._client},
            },
            params={
                "nonce": nonce,
                "client_id": self._client,
                "access_token": said.get("access_token"),
            },
        )
        try:
            claims.validate(now=int(self._clock.now().timestamp()), leeway=_LEEWAY)
        except (JoseError, ValueError, TypeError, AttributeError) as error:
            raise NotBelieved(Why.FORGED, f"claims: {type(error).__name__}") from None
        # Nobody else is trusted with what is meant for us (OpenID Connect Core, 3.1.3.7, step 3).
        if read.claims["aud"] not in (self._client, [self._client]):
            raise NotBelieved(Why.FORGED, "claims: aud")
        subject = read.claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise NotBelieved(Why.FORGED, "sub")
        return subject

    async def _read(self, published: _Published, token: str) -> jwt.Token:
        """The token, if its signature is the provider's."""
        for fresh in (False, True):
            keys = await self._key_set(published, fresh=fresh)
            try:
                return jwt.decode(token, keys, algorithms=_ALGORITHMS)
            except InvalidKeyIdError:
                continue  # it may have a new key that we have not seen
            except (JoseError, ValueError) as error:
                raise NotBelieved(Why.FORGED, f"ID token: {type(error).__name__}") from None
        raise NotBelieved(Why.FORGED, "ID token: no such key")

    # -- what it publishes -----------------------------------------------------------------------

    async def _metadata(self) -> _Published:
        return await self._published.now(self._fetch_metadata, _KNOWN_FOR)

    async def _fetch_metadata(self) -> _Published:
        url = self.issuer.rstrip("/") + "/.well-known/openid-configuration"
        with self._answering():
            async with asyncio.timeout(_PATIENCE):
                found = _document(await self._http.get(url))
        if found.get("issuer") != self.issuer:
            raise NotBelieved(Why.DOWN, "it publishes another issuer")
        out = found.get("end_session_endpoint")
        try:
            return _Published(
                authorize=_safe(found.get("authorization_endpoint")),
                token=_safe(found.get("token_endpoint")),
                keys=_safe(found.get("jwks_uri")),
                out=_safe(out) if out is not None else None,
                names_itself=found.get("authorization_response_iss_parameter_supported") is True,
            )
        except ValueError:
            raise NotBelieved(Why.DOWN, "it publishes addresses that are not safe") from None

    async def _key_set(self, published: _Published, *, fresh: bool) -> KeySet:
        async def fetch() -> KeySet:
            with self._answering():
                async with asyncio.timeout(_PATIENCE):
                    found: Any = _document(await self._http.get(published.keys))
                return KeySet.import_key_set(found)

        return await self._keys.now(fetch, _KEYS_AT_MOST_EVERY if fresh else _KNOWN_FOR)

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        """Whatever comes of talking to it that is no answer."""
        try:
            yield
        except (
            httpx.HTTPError,
            httpx.InvalidURL,
            JoseError,
            ValueError,
            KeyError,
            TypeError,
            TimeoutError,
        ) as error:
            log("provider_failed", level=logging.WARNING, error=type(error).__name__)
            raise NotBelieved(Why.DOWN, type(error).__name__) from None


def _document(answered: httpx.Response) -> dict[str, Any]:
    """Raises httpx.HTTPError or ValueError."""
    if answered.status_code != 200 or len(answered.content) > _LARGEST:
        raise ValueError("not an answer")
    found = answered.json()
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def _safe(url: object) -> str:
    """Only https, or this very host (for trying out). Raises ValueError."""
    text = url if isinstance(url, str) else ""
    parts = urlsplit(text)
    host = parts.hostname or ""
    loopback = host == "localhost"
    with contextlib.suppress(ValueError):
        loopback = loopback or ipaddress.ip_address(host).is_loopback
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and loopback)):
        raise ValueError("not safe")
    return text


def _secret_of(settings: Settings) -> str:
    file = settings.console_oidc_client_secret_file
    if file is None:
        return ""
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        raise SettingsError("TSUNAGU_CONSOLE_OIDC_CLIENT_SECRET_FILE cannot be read") from None


def _form_encoded(text: str) -> str:
    return str(httpx.QueryParams({"": text}))[1:]
