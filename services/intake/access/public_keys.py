"""Public keys of agencies (公開鍵) that their assertions are signed with: JWK, RFC 7517 and 8037.

What a key may be used for is decided by the key, never by the token that names an algorithm
(RFC 8725, 3.1): so neither ``none`` nor an HMAC over a public key is anybody's signature.
"""

import base64
import hashlib
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

SMALLEST_RSA = 2048  # bits
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "k", "oth"}
_THUMBED = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}


class UnfitKey(ValueError):
    """Not a public key that assertions may be signed with; the text says why."""


def algorithms(key: PublicKey) -> tuple[str, ...]:
    """By which names of RFC 7518 and 8037 this key signs. Raises UnfitKey."""
    match key:
        case ed25519.Ed25519PublicKey():
            return ("EdDSA",)
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
            return ("ES256",)
        case ec.EllipticCurvePublicKey(curve=ec.SECP384R1()):
            return ("ES384",)
        case rsa.RSAPublicKey() if key.key_size >= SMALLEST_RSA:
            return ("PS256", "RS256")
        case rsa.RSAPublicKey():
            raise UnfitKey(f"an RSA key of fewer than {SMALLEST_RSA} bits")
        case _:
            raise UnfitKey("a key of another kind than P-256, P-384, Ed25519 or RSA")


def read(material: bytes) -> PublicKey:
    """The key that is kept as a JWK. Raises UnfitKey."""
    jwk = json.loads(material)
    try:
        key = _AS[jwk["kty"]].from_jwk(jwk)
    except (KeyError, ValueError, jwt.InvalidKeyError) as error:
        raise UnfitKey("a JWK that cannot be read") from error
    algorithms(key)
    return key  # type: ignore[no-any-return]  # ``algorithms`` knows no other


def jwk_of(text: bytes) -> bytes:
    """What is kept of a public key given as PEM or as a JWK. Raises UnfitKey; a private key is refused,
    for nobody but its owner may have it."""
    if b"PRIVATE KEY" in text:
        raise UnfitKey("a private key; give the public half")
    if b"-----BEGIN" in text:
        return _from_pem(text)
    try:
        jwk: Any = json.loads(text)
    except ValueError:
        raise UnfitKey("neither PEM nor JSON") from None
    if not isinstance(jwk, dict) or jwk.get("kty") not in _THUMBED:
        raise UnfitKey("not a JWK of kty EC, OKP or RSA")
    if _PRIVATE & jwk.keys():
        raise UnfitKey("a private key; give the public half")
    if jwk.get("use", "sig") != "sig":
        raise UnfitKey("a key that is not for signatures")
    needed = _THUMBED[jwk["kty"]]
    if any(not isinstance(jwk.get(name), str) for name in needed):
        raise UnfitKey("a JWK in which something is missing")
    return _kept({name: jwk[name] for name in needed}, jwk.get("kid"))


def key_id(material: bytes) -> str:
    return str(json.loads(material)["kid"])


def _from_pem(text: bytes) -> bytes:
    try:
        key = load_pem_public_key(text)
    except ValueError:
        raise UnfitKey("a PEM file that holds no public key") from None
    if not isinstance(key, PublicKey):
        raise UnfitKey("a key of another kind than P-256, P-384, Ed25519 or RSA")
    algorithms(key)
    kind = {ec.EllipticCurvePublicKey: "EC", rsa.RSAPublicKey: "RSA"}
    kty = next((name for of, name in kind.items() if isinstance(key, of)), "OKP")
    jwk = _AS[kty].to_jwk(key, as_dict=True)
    return _kept({name: jwk[name] for name in _THUMBED[kty]}, None)


def _kept(jwk: dict[str, str], kid: object) -> bytes:
    """Its ``kid``: the one given, or its thumbprint (RFC 7638)."""
    canonical = json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()
    thumb = base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()
    name = kid if isinstance(kid, str) and 0 < len(kid) <= 128 else thumb
    material = json.dumps({**jwk, "kid": name}, sort_keys=True).encode()
    read(material)
    return material


_AS: dict[str, Any] = {"EC": ECAlgorithm, "OKP": OKPAlgorithm, "RSA": RSAAlgorithm}
