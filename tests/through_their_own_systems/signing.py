"""What a partner's system does to say who it is: keys, assertions and certificates of its own, made
with a library that is not ours to check."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from services.intake.access.token_endpoint import ASSERTION_TYPE

PEM = serialization.Encoding.PEM


def a_key(algorithm: str = "ES256", which: int = 0) -> Any:
    """The same one each time; ``which`` tells several apart."""
    return _made(algorithm, which)


@cache
def _made(algorithm: str, which: int) -> Any:
    match algorithm:
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ES384":
            return ec.generate_private_key(ec.SECP384R1())
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case "RSA-1024":
            return rsa.generate_private_key(65537, 1024)
        case _:
            return rsa.generate_private_key(65537, 2048)


def pem_of(key: Any) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_key().public_bytes(PEM, form))


def private_pem(key: Any) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return bytes(key.private_bytes(PEM, form, serialization.NoEncryption()))


def jwk_of(key: Any) -> bytes:
    public = key.public_key()
    kinds: tuple[tuple[type, Any], ...] = (
        (rsa.RSAPublicKey, RSAAlgorithm),
        (ec.EllipticCurvePublicKey, ECAlgorithm),
    )
    algorithm = next((a for kind, a in kinds if isinstance(public, kind)), OKPAlgorithm)
    return json.dumps(algorithm.to_jwk(public, as_dict=True)).encode()


def an_assertion(
    agency: str,
    audience: Any,
    now: datetime,
    key: Any = None,
    algorithm: str = "ES256",
    headers: dict[str, Any] | None = None,
    **changed: Any,
) -> str:
    """``changed``: claims that are otherwise; None: left out."""
    claims = {
        "iss": agency,
        "sub": agency,
        "aud": audience,
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(minutes=5)).timestamp()),
        "jti": str(uuid.uuid4()),
        **changed,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    # By hand where the library would rather not: it refuses to make some of what is wrong.
    plain = jwt.PyJWS().encode
    payload = json.dumps(claims).encode()
    return plain(payload, key or a_key(algorithm), algorithm, headers=headers)


def a_form(assertion: str, **more: str) -> dict[str, str]:
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        **more,
    }


class Authority:
    """Whoever signs certificates."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._signed("sample-ca", self.key.public_key(), None, ca=True)

    def client(
        self, name: str, begins: datetime | None = None, ends: datetime | None = None
    ) -> tuple[bytes, bytes]:
        """Certificate and key, in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        signed = self._signed(name, key.public_key(), (begins, ends))
        return signed.public_bytes(PEM), private_pem(key)

    def pem(self) -> bytes:
        return self.certificate.public_bytes(PEM)

    def _signed(
        self,
        name: str,
        key: Any,
        valid: tuple[datetime | None, datetime | None] | None,
        ca: bool = False,
    ) -> x509.Certificate:
        begins, ends = valid or (None, None)
        now = datetime.now(UTC)
        called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sample-ca")])
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = (
            x509.CertificateBuilder()
            .subject_name(called)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins or now - timedelta(days=400))
            .not_valid_after(ends or now + timedelta(days=400))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True, key_cert_sign=ca, crl_sign=ca,
                    content_commitment=False, key_encipherment=False, data_encipherment=False,
                    key_agreement=False, encipher_only=False, decipher_only=False,
                ),
                critical=True,
            )
        )  # fmt: skip
        if not ca:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False
            )
        return builder.sign(self.key, hashes.SHA256())
