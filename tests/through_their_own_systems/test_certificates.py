"""An agency is known by the certificate that was registered for it: where TLS ends here, and where it
ends at a proxy that the settings name."""

import asyncio
import base64
import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from litestar import Litestar
from litestar.testing import TestClient
from pydantic_core import to_json

from runtime.clock import ManualClock
from runtime.credentials import Kind
from runtime.nats_server import free_port
from runtime.settings import Settings, SettingsError
from runtime.web import web_server
from schemas.codes import Scope
from services.intake import responses
from services.intake.access.certificates import networks, thumbprint
from services.intake.edge import Caller, Edge, Http
from services.intake.metrics import Metrics
from tests.builders import ANSHIN, BUNKYO, HUB
from tests.doors import TestDoor, a_door
from tests.network import eventually
from tests.through_their_own_systems.signing import Authority

AUTHORITY = Authority()
HUBS = AUTHORITY.client("sample-hub")
ANOTHERS = AUTHORITY.client("sample-anshin")
STRANGERS = AUTHORITY.client("sample-stranger")


def der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def of_version_six(pem: bytes) -> bytes:
    """X.509 knows versions 1 to 3 (RFC 5280, 4.1.2.1)."""
    six = der(pem).replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020105"), 1)
    lines = base64.encodebytes(six).decode()
    return f"-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n".encode()


def rfc_9440(pem: bytes) -> str:
    """As Caddy and HAProxy send it."""
    lines = pem.decode().replace("\n", "").split("-----")
    return f":{lines[2]}:"


def as_nginx_has_it(pem: bytes) -> str:
    return quote(pem.decode(), safe="")


def registers(door: TestDoor, agency: str, pem: bytes) -> str:
    material = thumbprint(x509.load_pem_x509_certificate(pem))
    made = door.credentials.issue(agency, Kind.CERTIFICATE, material)
    door.watched.refresh()
    return made.id


def an_app(door: TestDoor) -> Litestar:
    async def whoami(_: Http, caller: Caller) -> Any:
        return responses.json_response(to_json({"agency": caller.agency}))

    handler = Edge(door.callers, Metrics()).getting("/me", "me", Scope.READ, whoami)
    return Litestar([handler], openapi_config=None)


class Proxied:
    """Somebody at ``peer`` asks an intake that believes ``proxies``."""

    def __init__(self, clock: ManualClock, proxies: str) -> None:
        self.door = a_door(BUNKYO, clock, {HUB: "their-key"}, proxies=proxies)
        registers(self.door, HUB, HUBS[0])
        registers(self.door, ANSHIN, ANOTHERS[0])
        self.app = an_app(self.door)

    def asks(self, peer: str, *headers: tuple[str, str]) -> str | int:
        """The agency that it was taken for, or the status."""

        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]

        async def from_peer(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":  # as a server gives them: a client would join those alike
                scope = {**scope, "client": (peer, 50_000), "headers": [*scope["headers"], *raw]}
            await self.app(scope, receive, send)

        with TestClient(from_peer) as client:  # type: ignore[arg-type]
            answer = client.get("/me")
        return str(answer.json()["agency"]) if answer.status_code == 200 else answer.status_code


@pytest.fixture
def at_proxy(clock: ManualClock) -> Callable[..., str | int]:
    """``at_proxy(("client-cert", …))``: by way of the proxy."""
    proxied = Proxied(clock, "192.0.2.1")
    return lambda *headers: proxied.asks("192.0.2.1", *headers)


@pytest.mark.parametrize("written", [rfc_9440, as_nginx_has_it])
def test_a_proxy_that_is_trusted_says_whose_certificate_came(
    at_proxy: Callable[..., str | int], written: Callable[[bytes], str]
) -> None:
    assert at_proxy(("client-cert", written(HUBS[0]))) == HUB
    assert at_proxy(("client-cert", written(ANOTHERS[0]))) == ANSHIN
    assert at_proxy(("client-cert", written(STRANGERS[0]))) == 401


@pytest.mark.parametrize(
    ("proxies", "peer", "told"),
    [
        ("192.0.2.1", "192.0.2.1", HUB),
        ("192.0.2.1", "192.0.2.2", 401),
        ("192.0.2.0/24, 2001:db8::/32", "192.0.2.77", HUB),
        ("192.0.2.0/24, 2001:db8::/32", "2001:db8::7", HUB),
        ("192.0.2.0/24", "::ffff:192.0.2.7", HUB),
        ("192.0.2.0/24", "2001:db8::7", 401),
        ("", "127.0.0.1", 401),
        ("192.0.2.1", "no-address", 401),
    ],
)
def test_only_a_proxy_that_the_settings_name_is_believed(
    clock: ManualClock, proxies: str, peer: str, told: str | int
) -> None:
    assert Proxied(clock, proxies).asks(peer, ("client-cert", rfc_9440(HUBS[0]))) == told


def test_the_header_of_a_stranger_takes_nothing_from_a_key(clock: ManualClock) -> None:
    proxied = Proxied(clock, "192.0.2.1")
    headers = (("authorization", "Bearer their-key"), ("client-cert", rfc_9440(ANOTHERS[0])))
    assert proxied.asks("198.51.100.7", *headers) == HUB, "not even that it is looked at"
    assert proxied.asks("192.0.2.1", *headers) == 401, "two that are not the same"


GARBAGE: dict[str, tuple[tuple[str, str], ...]] = {
    "two certificates": (
        ("client-cert", rfc_9440(HUBS[0])), ("client-cert", rfc_9440(ANOTHERS[0])),
    ),
    "the same twice": (("client-cert", rfc_9440(HUBS[0])),) * 2,
    "not base64": (("client-cert", ":!!!!:"),),
    "not a certificate": (("client-cert", f":{base64.b64encode(b'x' * 99).decode()}:"),),
    "bare base64": (("client-cert", base64.b64encode(der(HUBS[0])).decode()),),
    "one colon": (("client-cert", ":"),),
    "PEM of garbage": (("client-cert", quote("-----BEGIN CERTIFICATE-----\nx\n")),),
    "too long": (("client-cert", f":{'A' * 20_000}:"),),
    "a version that there is not": (("client-cert", rfc_9440(of_version_six(HUBS[0]))),),
    "the same, as nginx has it": (("client-cert", as_nginx_has_it(of_version_six(HUBS[0]))),),
    "a name instead": (("client-cert", HUB),),
}  # fmt: skip


@pytest.mark.parametrize("headers", GARBAGE.values(), ids=GARBAGE)
def test_what_is_no_certificate_is_nobody_even_beside_a_key(
    at_proxy: Callable[..., str | int], headers: tuple[tuple[str, str], ...]
) -> None:
    assert at_proxy(*headers) == 401
    assert at_proxy(*headers, ("authorization", "Bearer their-key")) == 401


@pytest.mark.parametrize("empty", ["", "::"])
def test_an_empty_header_means_that_there_was_no_certificate(
    at_proxy: Callable[..., str | int], empty: str
) -> None:
    assert at_proxy(("client-cert", empty)) == 401
    assert at_proxy(("client-cert", empty), ("authorization", "Bearer their-key")) == HUB


@pytest.mark.parametrize(
    "authorization",
    [
        ("Bearer their-key", "Bearer their-key"), ("Bearer their-key", "Basic eDp5"),
        ("Basic eDp5",), ("Bearer",), ("Bearer ",), ("Bearer \u00e9",), ("their-key",), ("",),
        ("Bearer " + "x" * 5000,), ("Bearer a.b.c",), ("Bearer ..",), ("Bearer their-key x",),
        ("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJjb3JlIn0.",),
    ],
)  # fmt: skip
def test_garbage_in_authorization_is_nobody_and_no_certificate_makes_it_good(
    at_proxy: Callable[..., str | int], authorization: tuple[str, ...]
) -> None:
    headers = [("authorization", one) for one in authorization]
    assert at_proxy(*headers) == 401
    assert at_proxy(*headers, ("client-cert", rfc_9440(HUBS[0]))) == 401


def test_a_certificate_that_is_over_or_has_not_begun_is_refused(clock: ManualClock) -> None:
    now = clock.now().replace(microsecond=0)
    short = AUTHORITY.client("sample", now - timedelta(hours=1), now + timedelta(hours=1))[0]
    proxied = Proxied(clock, "192.0.2.1")
    registers(proxied.door, "lien-bunkyo", short)

    def asked() -> str | int:
        return proxied.asks("192.0.2.1", ("client-cert", rfc_9440(short)))

    assert asked() == "lien-bunkyo"
    clock.move(timedelta(hours=1, seconds=2))
    assert asked() == 401
    clock.set_back(timedelta(hours=2, seconds=10))
    assert asked() == 401


def test_a_key_counts_beside_a_certificate_that_is_nobodys_today(clock: ManualClock) -> None:
    """Whoever has the key could leave the certificate out."""
    now = clock.now().replace(microsecond=0)
    over = AUTHORITY.client("sample", now - timedelta(hours=2), now - timedelta(hours=1))[0]
    mine = AUTHORITY.client("sample")[0]
    proxied = Proxied(clock, "192.0.2.1")
    registers(proxied.door, HUB, over)
    registers(proxied.door, ANSHIN, of_another := AUTHORITY.client("sample")[0])
    proxied.door.credentials.revoke(registers(proxied.door, HUB, mine))
    proxied.door.watched.refresh()
    for certificate in (over, mine, STRANGERS[0]):
        shown = ("client-cert", rfc_9440(certificate))
        assert proxied.asks("192.0.2.1", shown) == 401
        assert proxied.asks("192.0.2.1", shown, ("authorization", "Bearer their-key")) == HUB
    shown = ("client-cert", rfc_9440(of_another))
    assert proxied.asks("192.0.2.1", shown, ("authorization", "Bearer their-key")) == 401


@pytest.mark.parametrize("text", ["proxy.example", "192.0.2.1/8", "192.0.2.300", "*"])
def test_proxies_that_are_no_addresses_do_not_start(text: str) -> None:
    with pytest.raises(SettingsError, match="TSUNAGU_TRUSTED_PROXIES"):
        networks(text)


@pytest.mark.parametrize(
    "given", [{"certificate"}, {"key"}, {"client_ca"}, {"key", "client_ca"}], ids=sorted
)
def test_half_of_what_tls_needs_does_not_start(given: set[str]) -> None:
    """It would speak without, and nobody would notice."""
    environment = {f"TSUNAGU_TLS_{name.upper()}": "/some.pem" for name in given}
    with pytest.raises(SettingsError, match="TSUNAGU_TLS_CERTIFICATE"):
        Settings.from_environment(environment)
    both = {"TSUNAGU_TLS_CERTIFICATE": "/some.pem", "TSUNAGU_TLS_KEY": "/some.pem"}
    assert Settings.from_environment({**environment, **both}).tls_key


# -- where TLS ends here ---------------------------------------------------------------------------


class Tls:
    """An intake's own server with TLS, in a thread."""

    def __init__(self, folder: Path) -> None:
        own = AUTHORITY.client("localhost")
        settings = Settings()
        for name, pem in (
            ("tls_certificate", own[0]), ("tls_key", own[1]), ("tls_client_ca", AUTHORITY.pem()),
        ):  # fmt: skip
            (folder / name).write_bytes(pem)
            settings = replace(settings, **{name: folder / name})
        self.folder = folder
        self.port = free_port()
        # Today, for OpenSSL goes by the host's clock.
        self.door = a_door(BUNKYO, ManualClock(datetime.now(UTC)), {HUB: "their-key"})
        registers(self.door, HUB, HUBS[0])
        self.server = web_server(an_app(self.door), "127.0.0.1", self.port, settings)

    def asks(
        self, client: tuple[bytes, bytes] | None, headers: dict[str, str] | None = None
    ) -> str | int:
        context = ssl.create_default_context(cadata=AUTHORITY.pem().decode())
        if client is not None:
            mine = self.folder / "client.pem"
            mine.write_bytes(b"".join(client))
            context.load_cert_chain(mine)
        answer = httpx.get(f"https://localhost:{self.port}/me", verify=context, headers=headers)
        return str(answer.json()["agency"]) if answer.status_code == 200 else answer.status_code

    @contextlib.contextmanager
    def running(self) -> Iterator["Tls"]:
        thread = threading.Thread(target=lambda: asyncio.run(self.server.serve()))
        thread.start()
        eventually(lambda: self.server.started, 10, "the server")
        try:
            yield self
        finally:
            self.server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    with Tls(tmp_path_factory.mktemp("tls")).running() as running:
        yield running


def test_a_certificate_is_known_where_tls_ends_here(tls: Tls) -> None:
    assert tls.asks(HUBS) == HUB
    assert tls.asks(STRANGERS) == 401
    assert tls.asks(None) == 401
    assert tls.asks(None, {"Authorization": "Bearer their-key"}) == HUB
    assert tls.asks(STRANGERS, {"Authorization": "Bearer their-key"}) == HUB


def test_a_header_says_nothing_where_tls_ends_here(tls: Tls) -> None:
    assert tls.asks(STRANGERS, {"Client-Cert": rfc_9440(HUBS[0])}) == 401


def test_a_certificate_of_another_authority_is_not_let_in(tls: Tls) -> None:
    with pytest.raises(httpx.TransportError):
        tls.asks(Authority().client("sample-hub"))


def test_a_certificate_that_is_over_is_not_let_in_where_tls_ends_here(tls: Tls) -> None:
    now = datetime.now(UTC)
    over = AUTHORITY.client("sample-hub", now - timedelta(days=2), now - timedelta(days=1))
    registers(tls.door, ANSHIN, over[0])
    with pytest.raises(httpx.TransportError):
        tls.asks(over)


def test_a_certificate_that_is_revoked_is_known_no_more(tls: Tls) -> None:
    mine = AUTHORITY.client("sample-lien")
    made = registers(tls.door, "lien-bunkyo", mine[0])
    assert tls.asks(mine) == "lien-bunkyo"
    tls.door.credentials.revoke(made)
    tls.door.watched.refresh()
    assert tls.asks(mine) == 401
