"""Client certificates (RFC 8705): which one came with a request, and whether it is good today.

Two ways: TLS ends here, and the connection knows; or TLS ends at a reverse proxy that is named in the
settings, and the header ``Client-Cert`` (RFC 9440) says. From anyone else that header is nothing.
"""

import base64
import ipaddress
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from runtime.settings import SettingsError
from runtime.streams import TRANSPORT
from services.intake.edge import Http

HEADER = "client-cert"
_LONGEST = 16_384  # characters
_PEM = "-----BEGIN CERTIFICATE-----"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


UNREADABLE = (ValueError, x509.InvalidVersion)
"""What ``cryptography`` raises for what is no certificate."""


class BadCertificate(Exception):
    """What was given for a certificate is none."""


def networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks, separated by commas. Raises SettingsError."""
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        raise SettingsError(
            "TSUNAGU_TRUSTED_PROXIES must be addresses or networks, separated by commas"
        ) from None


class Certificates:
    def __init__(self, trusted: Iterable[Network]) -> None:
        self._trusted = tuple(trusted)

    def presented(self, request: Http, now: datetime) -> bytes | None:
        """The thumbprint of the certificate that came with a request; None: there was none that is
        good now. Raises BadCertificate."""
        der = _of_connection(request)
        if der is None and self._trusts(request):
            der = _of_header(request)
        if der is None:
            return None
        certificate = _read(der)
        good = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
        return thumbprint(certificate) if good else None

    def _trusts(self, request: Http) -> bool:
        """Is whoever is at the other end one of the proxies?"""
        if not self._trusted or request.client is None:
            return False
        try:
            peer = ipaddress.ip_address(request.client.host)
        except ValueError:
            return False
        mapped = getattr(peer, "ipv4_mapped", None)
        return any((mapped or peer) in network for network in self._trusted)


def thumbprint(certificate: x509.Certificate) -> bytes:
    """x5t#S256 (RFC 8705, 3.1), not yet in base64."""
    return certificate.fingerprint(hashes.SHA256())


def _of_connection(request: Http) -> bytes | None:
    extensions: dict[str, Any] = request.scope.get("extensions") or {}
    transport = extensions.get(TRANSPORT, {}).get("transport")
    tls = transport.get_extra_info("ssl_object") if transport is not None else None
    return tls.getpeercert(binary_form=True) if tls is not None else None


def _of_header(request: Http) -> bytes | None:
    given = request.headers.getall(HEADER, [])
    if not given or given in ([""], ["::"]):  # a proxy may say that there was none
        return None
    if len(given) > 1 or len(given[0]) > _LONGEST:
        raise BadCertificate("more than one certificate")
    text = given[0].strip()
    try:
        if text.startswith(":") and text.endswith(":") and len(text) > 2:
            return base64.b64decode(text[1:-1], validate=True)
        # As nginx has it: $ssl_client_escaped_cert, PEM with percent signs.
        pem = unquote(text)
        if pem.startswith(_PEM):
            return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    except UNREADABLE:
        pass
    raise BadCertificate("cannot be read")


def _read(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except UNREADABLE:
        raise BadCertificate("cannot be read") from None
