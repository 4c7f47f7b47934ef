"""A mail goes to its server under TLS or not at all, and the login never in plain text."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from runtime.settings import Settings
from tests.nats import until
from tests.seen_at_once.post_office import (
    DESK,
    Delivery,
    Journal,
    PostOffice,
    address,
    open_post_office,
)


class Certificate:
    """The server's own, signed by itself for 127.0.0.1, and whoever trusts it."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
        now = dt.datetime.now(dt.UTC)
        loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (folder / "mail.pem").write_bytes(pem + secret)
        self.servers = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.servers.load_cert_chain(folder / "mail.pem")
        self.trusting = ssl.create_default_context(cadata=pem.decode("ascii"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def engine(database_of: Callable[[str], Engine]) -> Engine:
    return database_of("delivery")


Play = Callable[..., Delivery]


@pytest.fixture
def play(engine: Engine, clock: ManualClock) -> Play:
    """One call, and a process that sends its mail until it was sent or failed once."""

    def playing(settings: Settings, trust: ssl.SSLContext | None = None) -> Delivery:
        with Delivery(engine, clock, settings, trust=trust) as delivery:
            journal = Journal(clock)
            delivery.take_in(journal.submitted(), journal.raised(DESK))

            async def story() -> None:
                async with asyncio.timeout(30), delivery.process():
                    await until(lambda: delivery.failures() != [0])

            asyncio.run(story())
        return delivery

    return playing


def test_a_server_that_offers_no_tls_is_not_spoken_to_in_plain_text(play: Play) -> None:
    with open_post_office() as office:
        delivery = play(office.settings(smtp_tls="starttls"))
        assert office.knocked == 1  # it was asked, and what it said was not enough
        assert office.mails == []
        assert delivery.counted() == (1, 0, 0)
        assert delivery.failures() == [1]


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_under_tls_it_arrives(play: Play, certificate: Certificate, tls: str) -> None:
    how: dict[str, Any] = (
        {"tls_context": certificate.servers, "require_starttls": True}
        if tls == "starttls"
        else {"ssl_context": certificate.servers}
    )
    with open_post_office(**how) as office:
        delivery = play(office.settings(smtp_tls=tls), certificate.trusting)
        assert delivery.counted() == (0, 1, 0)
        (mail,) = office.mails
        assert mail.to == address(DESK)
        assert mail.tls or tls == "tls"  # aiosmtpd notes only what began by STARTTLS


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_server_with_a_certificate_that_nobody_vouches_for_gets_no_mail(
    play: Play, certificate: Certificate, tls: str
) -> None:
    context = "tls_context" if tls == "starttls" else "ssl_context"
    with open_post_office(**{context: certificate.servers}) as office:
        delivery = play(office.settings(smtp_tls=tls))
        assert (office.mails, delivery.counted(), delivery.failures()) == ([], (1, 0, 0), [1])


class Doorkeeper:
    """Knows one password, and remembers what it was told."""

    def __init__(self, password: str) -> None:
        self.password = password
        self.heard: list[tuple[str, str, bool]] = []

    def __call__(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        user, password = data.login.decode(), data.password.decode()
        self.heard.append((user, password, session.ssl is not None))
        return AuthResult(success=password == self.password)


def login(folder: Path, password: str) -> dict[str, Any]:
    (folder / "smtp_password").write_text(password + "\n", encoding="utf-8")
    return {"smtp_user": "tsunagu", "smtp_password_file": folder / "smtp_password"}


def an_office_with_a(doorkeeper: Doorkeeper, certificate: Certificate | None) -> PostOffice:
    return PostOffice(
        authenticator=doorkeeper,
        auth_required=certificate is not None,
        auth_require_tls=certificate is not None,
        tls_context=certificate.servers if certificate else None,
    )


@pytest.mark.parametrize("right", [True, False])
def test_a_server_that_wants_a_login_gets_it_under_tls_and_a_wrong_one_is_tried_again_later(
    play: Play, certificate: Certificate, tmp_path: Path, right: bool
) -> None:
    doorkeeper = Doorkeeper("open-sesame")
    office = an_office_with_a(doorkeeper, certificate)
    office.open()
    try:
        given = login(tmp_path, "open-sesame" if right else "shut")
        settings = office.settings(smtp_tls="starttls", **given)
        delivery = play(settings, certificate.trusting)
    finally:
        office.close()
    assert doorkeeper.heard
    assert all(tls for _, _, tls in doorkeeper.heard)
    assert delivery.counted() == ((0, 1, 0) if right else (1, 0, 0))
    assert delivery.dead_letters() == []


def test_the_password_is_not_said_to_a_server_without_tls(play: Play, tmp_path: Path) -> None:
    doorkeeper = Doorkeeper("open-sesame")
    office = an_office_with_a(doorkeeper, None)
    office.open()
    try:
        settings = office.settings(smtp_tls="starttls", **login(tmp_path, "open-sesame"))
        delivery = play(settings)
    finally:
        office.close()
    assert (doorkeeper.heard, office.mails, delivery.failures()) == ([], [], [1])


def test_a_password_file_that_is_not_there_loses_no_mail(play: Play, tmp_path: Path) -> None:
    with open_post_office() as office:
        gone = {"smtp_user": "tsunagu", "smtp_password_file": tmp_path / "gone"}
        delivery = play(office.settings(**gone))
        assert (office.mails, delivery.counted()) == ([], (1, 0, 0))
