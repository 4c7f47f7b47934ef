"""A webhook goes to the agency's own server and nowhere else: to no address of ours, whatever its name is
said to mean, and to nobody with another's certificate."""

import asyncio
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from runtime.settings import SettingsError
from services.delivery.addresses import Destinations, ForbiddenAddress, may_be_reached
from services.delivery.webhook import trusted
from tests.databases import SqliteFiles, opened
from tests.nats import until
from tests.through_their_own_systems.carriage import HOME, HOSPITAL, Carriage, Cases
from tests.through_their_own_systems.receivers import TAKES, Receiver, answers
from tests.through_their_own_systems.signing import Authority

HOST = "partner.example"

FORBIDDEN = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.5.5",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.0.8",
    "192.0.2.7",
    "198.18.0.1",
    "198.51.100.4",
    "203.0.113.9",
    "192.88.99.1",
    "224.0.0.251",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0.0.0.0",
    "::127.0.0.1",
    "::10.0.0.1",
    "2002:7f00:0001::1",
    "2002:0a00:0001::1",
    "2002:a9fe:a9fe::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2a00:1450:4004::5efe:7f00:1",
    "2a00:1450:4004:0:200:5efe:0a00:1",
]
PUBLIC = [
    "8.8.8.8",
    "203.178.137.58",
    "2a00:1450:4004:801::200e",
    "2400:8500:2801::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("text", FORBIDDEN)
def test_an_address_that_is_not_public_is_not_called(text: str) -> None:
    assert not may_be_reached(HOST, ipaddress.ip_address(text), ())


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_called(text: str) -> None:
    assert may_be_reached(HOST, ipaddress.ip_address(text), ())


@pytest.mark.parametrize(
    ("text", "reached"),
    [
        ("10.1.2.3", True),
        ("fd12:3456::1", True),
        ("::ffff:10.1.2.3", True),
        ("8.8.8.8", True),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("::1", False),
        ("fe80::1", False),
        ("224.0.0.1", False),
        ("0.0.0.0", False),
    ],
)
def test_a_host_that_the_ward_file_names_may_be_private_but_never_the_machine_or_its_cloud(
    text: str, reached: bool
) -> None:
    address = ipaddress.ip_address(text)
    assert may_be_reached("hospital.internal", address, {"hospital.internal"}) is reached
    assert may_be_reached("evil.hospital.internal", address, {"hospital.internal"}) is (
        text == "8.8.8.8"
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_only_where_the_ward_files_own_address_says_so(host: str) -> None:
    assert may_be_reached(host, ipaddress.ip_address("127.0.0.1"), ())
    assert not may_be_reached(host, ipaddress.ip_address("10.0.0.1"), ())
    assert not may_be_reached(host, ipaddress.ip_address("8.8.8.8"), ())


@pytest.mark.parametrize(
    "found",
    [["8.8.8.8", "127.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["fe80::1%eth0"], ["not an address"]],
)
def test_one_forbidden_address_among_many_forbids_the_name(found: list[str]) -> None:
    async def story() -> None:
        destinations = Destinations(1, (), lambda host, port: found)
        with pytest.raises(ForbiddenAddress):
            await destinations.addresses(HOME, HOST, 443)
        destinations.close()

    asyncio.run(story())


@pytest.mark.parametrize("spelling", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1"])
def test_an_address_in_disguise_is_what_it_means(spelling: str) -> None:
    async def story() -> None:
        destinations = Destinations(1, ())
        with pytest.raises((ForbiddenAddress, OSError)):
            await destinations.addresses(HOME, spelling, 443)
        destinations.close()

    asyncio.run(story())


@pytest.fixture
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with opened(SqliteFiles(tmp_path_factory.mktemp("sqlite")), "delivery") as engine:
        yield engine


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def cases(clock: ManualClock) -> Cases:
    return Cases(clock)


def test_a_name_that_leads_home_is_not_called_and_told(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        async with Receiver().open() as receiver:
            url = f"https://{HOST}:{receiver.port}/"
            with Carriage(engine, clock, {HOME: url}, lookup=lambda *_: ["127.0.0.1"]) as carriage:
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: carriage.row(HOME, 1).reason == "forbidden_address")
            assert receiver.connections == 0

    asyncio.run(story())


def test_a_name_server_that_answers_otherwise_the_second_time_changes_nothing(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    """Checked and called is the same address: whoever looks the name up again is led astray."""

    async def story() -> None:
        asked: list[str] = []

        def rebinding(host: str, _: int) -> list[str]:
            asked.append(host)
            return ["198.41.0.4"] if len(asked) == 1 else ["127.0.0.1"]

        async with Receiver().open() as receiver:
            url = f"https://{HOST}:{receiver.port}/"
            with Carriage(engine, clock, {HOME: url}, lookup=rebinding, patience=1) as carriage:
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: carriage.row(HOME, 1).attempts == 1)
            assert asked == [HOST]
            assert receiver.connections == 0

    asyncio.run(story())


def test_a_name_server_that_hangs_for_one_agency_holds_up_no_other(
    engine: Engine, clock: ManualClock, cases: Cases
) -> None:
    async def story() -> None:
        released = threading.Event()

        def lookup(host: str, port: int) -> list[str]:
            if host == HOST:
                released.wait(20)
            return ["127.0.0.1"]

        async with Receiver().open() as receiver:
            urls = {HOME: f"https://{HOST}/", HOSPITAL: receiver.url}
            with Carriage(engine, clock, urls, lookup=lookup, patience=1.0) as carriage:
                async with carriage.running():
                    carriage.take_in(*(cases.one(f"{n}", HOME, HOSPITAL) for n in range(40)))
                    await until(lambda: len(carriage.delivered(HOSPITAL)) == 40, 5)
                    await until(lambda: carriage.row(HOME, 1).reason == "hangs")
                    released.set()

    asyncio.run(story())


def server_context(authority: Authority, folder: Path, ends: datetime | None = None) -> Any:
    """A server's own certificate, for the name localhost."""
    certificate, key = authority.client("localhost", ends=ends)
    (folder / "server.pem").write_bytes(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


def trusting(authority: Authority, folder: Path) -> ssl.SSLContext:
    (folder / "ca.pem").write_bytes(authority.pem())
    return trusted(folder / "ca.pem")


def test_under_tls_it_arrives_by_the_name_and_the_connection_is_kept(
    engine: Engine, clock: ManualClock, cases: Cases, authority: Authority, tmp_path: Path
) -> None:
    async def story() -> None:
        server = server_context(authority, tmp_path)
        trust = trusting(authority, tmp_path)
        async with Receiver(host="localhost").open(server) as receiver:
            with Carriage(engine, clock, {HOME: receiver}, trust=trust) as carriage:
                async with carriage.running():
                    carriage.take_in(*(cases.one("a", HOME) for _ in range(3)))
                    await until(lambda: carriage.delivered(HOME) == [1, 2, 3])
        assert receiver.connections == 1
        assert receiver.came[0].headers["host"] == f"localhost:{receiver.port}"

    asyncio.run(story())


@pytest.mark.parametrize("fault", ["nobody vouches for it", "another's name", "expired"])
def test_a_certificate_that_is_not_good_gets_no_event(
    engine: Engine,
    clock: ManualClock,
    cases: Cases,
    authority: Authority,
    tmp_path: Path,
    fault: str,
) -> None:
    async def story() -> None:
        host = "127.0.0.1" if fault == "another's name" else "localhost"
        yesterday = datetime.now(UTC) - timedelta(days=1)
        server = server_context(authority, tmp_path, yesterday if fault == "expired" else None)
        trust = trusted(None) if "vouches" in fault else trusting(authority, tmp_path)
        async with Receiver(host=host).open(server) as receiver:
            with Carriage(engine, clock, {HOME: receiver}, trust=trust) as carriage:
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: carriage.row(HOME, 1).reason == "untrusted")
        assert not receiver.came

    asyncio.run(story())


def test_a_redirect_is_not_followed(engine: Engine, clock: ManualClock, cases: Cases) -> None:
    async def story() -> None:
        async with Receiver().open() as elsewhere, Receiver().open() as receiver:
            receiver.behave = answers(308, f"Location: {elsewhere.url}")
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: carriage.row(HOME, 1).reason == "redirects")
                    receiver.behave = TAKES
            assert elsewhere.connections == 0

    asyncio.run(story())


def test_no_proxy_of_the_environment_is_asked(
    engine: Engine, clock: ManualClock, cases: Cases, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with Receiver().open() as proxy, Receiver().open() as receiver:
            for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            with Carriage(engine, clock, {HOME: receiver}) as carriage:
                async with carriage.running():
                    carriage.take_in(cases.one("a", HOME))
                    await until(lambda: carriage.delivered(HOME) == [1])
            assert proxy.connections == 0

    asyncio.run(story())


def test_a_file_of_certificates_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for file in (tmp_path / "ca.pem", tmp_path / "nothing.pem"):
        with pytest.raises(SettingsError):
            trusted(file)
