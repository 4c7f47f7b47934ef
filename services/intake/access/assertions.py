"""Assertions of agencies (RFC 7523, section 3; private_key_jwt of OpenID Connect Core, section 9): a
short text, signed with the agency's own key, that says "it is I, for you, now, and this once".
"""

import base64
import binascii
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt

from runtime.credentials import Credential
from services.intake.access import public_keys

LONGEST_LIFE = 300  # seconds that may lie between now and its end
LEEWAY = 30  # seconds by which two clocks may differ
LONGEST = 8192  # characters
_LONGEST_JTI = 256
_FAR = 1e15  # no moment that anybody means, in seconds


class NotProven(Exception):
    """It proves nothing. The reason is for logs and for the partner's builder, and names no value."""


@dataclass(frozen=True, slots=True)
class Assertion:
    credential: Credential
    jti: str
    expires_at: datetime


def claimed(assertion: str) -> str:
    """The agency that an assertion says it is of. Nothing is proven by it. Raises NotProven."""
    if len(assertion) > LONGEST or assertion.count(".") != 2:
        raise NotProven("not a signed JWT")
    issuer = _part(assertion, 1).get("iss")
    if not isinstance(issuer, str) or not issuer:
        raise NotProven("iss is missing")
    return issuer


def proven(
    assertion: str,
    keys: Iterable[Credential],
    audience: Collection[str],
    now: datetime,
) -> Assertion:
    """Signed by one of the agency's ``keys``, for this network, good now. Whether it was used before
    is for the caller to see. Raises NotProven."""
    agency = claimed(assertion)
    header = _part(assertion, 0)
    if "crit" in header or "b64" in header:
        raise NotProven("crit is not understood")
    for credential in keys:
        claims = _signed_by(credential, assertion, header)
        if claims is not None:
            _check(claims, agency, audience, now)
            expires = datetime.fromtimestamp(claims["exp"], UTC)
            return Assertion(credential, claims["jti"], expires)
    raise NotProven("no registered key has signed it")


def _signed_by(credential: Credential, assertion: str, header: dict[str, Any]) -> Any:
    """The claims, if this key has signed them."""
    named = header.get("kid")
    if named is not None and named not in (public_keys.key_id(credential.material), credential.id):
        return None
    key = public_keys.read(credential.material)
    try:
        return _JWT.decode(assertion, key, algorithms=list(public_keys.algorithms(key)))
    except (jwt.PyJWTError, ValueError):
        return None


# Signatures only: what it says is checked below, by the service's clock.
_JWT = jwt.PyJWT(
    {
        "verify_exp": False,
        "verify_nbf": False,
        "verify_iat": False,
        "verify_aud": False,
        "verify_iss": False,
        "verify_sub": False,
        "verify_jti": False,
    }
)


def _check(claims: dict[str, Any], agency: str, audience: Collection[str], now: datetime) -> None:
    if claims.get("sub") != agency:
        raise NotProven("iss and sub differ")
    named = claims.get("aud")
    named = [named] if isinstance(named, str) else named
    # Every one of them: an assertion that is for another too, that other could use here.
    if (
        not isinstance(named, list)
        or not named
        or not all(isinstance(one, str) and one in audience for one in named)
    ):
        raise NotProven("aud is not this network's token endpoint or issuer")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_JTI or not jti.isprintable():
        raise NotProven("jti is missing, too long or not printable")
    seconds = now.timestamp()
    expires = _number(claims, "exp", needed=True)
    if expires <= seconds - LEEWAY:
        raise NotProven("exp is over")
    if expires > seconds + LONGEST_LIFE + LEEWAY:
        raise NotProven(f"exp lies more than {LONGEST_LIFE} s ahead")
    for name in ("nbf", "iat"):
        if _number(claims, name, needed=False) > seconds + LEEWAY:
            raise NotProven(f"{name} lies ahead")


def _number(claims: dict[str, Any], name: str, *, needed: bool) -> float:
    value = claims.get(name)
    if value is None and not needed:
        return 0.0
    # The bound refuses NaN and infinity too, and what is too large for a float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _FAR:
        raise NotProven(f"{name} is not a number")
    return float(value)


def _part(assertion: str, place: int) -> dict[str, Any]:
    """The header or the claims, before anything is proven."""
    text = assertion.split(".")[place]
    try:
        part = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        raise NotProven("not a signed JWT") from None
    if not isinstance(part, dict):
        raise NotProven("not a signed JWT")
    return part
