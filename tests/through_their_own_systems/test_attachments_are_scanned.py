"""With a scanner nothing is handed out that it has not passed: a real clamd, whose one signature is that
of the EICAR test file."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.nats_server import free_port
from services.intake.attachments.scanner import Clamd, ScannerFailed, ScanRefused
from tests.network import RunningNetwork, eventually, running_network, verified
from tests.partners import Partner, a_referral
from tests.through_their_own_systems.files import (
    EICAR,
    MIB,
    attached,
    code,
    fetch,
    given,
    parts,
    pdf,
    stored,
)

CLAMD = shutil.which("clamd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
needs_clamd = pytest.mark.skipif(
    CLAMD is None, reason="no clamd here: apt-get install clamav-daemon, as .ci/run does"
)
INFECTED = pdf(600)[:-7] + EICAR + b"\n%%EOF\n"


class AScanner:
    """A clamd of the test's own, by socket and by TCP."""

    def __init__(self, home: Path, most: str) -> None:
        home.mkdir()
        self.socket = str(home / "clamd.sock")
        self.address = f"127.0.0.1:{free_port()}"
        (home / "signatures").mkdir()
        (home / "signatures/test.ndb").write_text(f"Test.EICAR:0:*:{EICAR.hex()}\n")
        self._configuration = home / "clamd.conf"
        self._configuration.write_text(
            f"Foreground yes\nDatabaseDirectory {home / 'signatures'}\nLocalSocket {self.socket}\n"
            f"TCPAddr 127.0.0.1\nTCPSocket {self.address.rpartition(':')[2]}\n"
            f"StreamMaxLength {most}\nTemporaryDirectory {home}\n"
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        assert CLAMD
        process = subprocess.Popen(
            [CLAMD, f"--config-file={self._configuration}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            eventually(self._answers, 20, "clamd answers")
            yield
        finally:
            process.kill()
            process.wait()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.socket)
            connection.sendall(b"zPING\0")
            return connection.recv(16).startswith(b"PONG")
        return False


@pytest.fixture
def scanner(tmp_path: Path) -> AScanner:
    return AScanner(tmp_path / "clamd", most="3M")


def a_case(network: RunningNetwork) -> tuple[Partner, str]:
    sender = network.partner("anshin-motofuji")
    return sender, sender.posts(a_referral()).id


def scan(partner: Partner, ref: str, attachment: str) -> str:
    return str(given(partner, ref, attachment)["scan"])


@needs_clamd
def test_a_file_waits_for_its_scan_and_an_infected_one_is_deleted_and_told(
    tmp_path: Path, scanner: AScanner
) -> None:
    """Kept in JetStream's object store; the scanner is asked by TCP."""
    with running_network(tmp_path / "home", clamd=scanner.address, attachments="nats") as network:
        sender, ref = a_case(network)
        # The scanner is down: the file is taken all the same, and handed to nobody.
        clean, infected = (attached(sender, ref, content) for content in (pdf(2 * MIB), INFECTED))
        for waiting in (clean, infected):
            answer = fetch(sender, waiting)
            assert (answer.status_code, code(answer)) == (409, "not_scanned_yet")
            assert answer.headers["Retry-After"] == "5"
            assert scan(sender, ref, waiting) == "pending"
        waiting_now = ("tsunagu_attachments_unscanned", "", "")
        eventually(lambda: network.metrics()[waiting_now] == 2, 10, "operators see two waiting")
        with scanner.running():
            eventually(lambda: scan(sender, ref, clean) == "clean", 20, "scanned")
            eventually(lambda: scan(sender, ref, infected) == "infected", 20, "found")
            assert fetch(sender, clean).content == pdf(2 * MIB)
            for reader in ("anshin-motofuji", "hub-motofuji", "core"):
                answer = fetch(network.partner(reader), infected)
                assert (answer.status_code, code(answer)) == (410, "attachment_infected")
                assert scan(network.partner(reader), ref, infected) == "infected"
            # With the scanner there, it takes no longer than looking.
            later = attached(sender, ref, pdf(3000))
            eventually(lambda: fetch(sender, later).status_code == 200, 5, "scanned at once")
            eventually(lambda: network.metrics()[waiting_now] == 0, 10, "nothing waits")
        assert fetch(sender, clean).status_code == 200  # what was passed stays passed
        assert "attachment_infected" in network.logs()
        assert "scanner_lost" in network.logs()
        network.settle()
        assert verified(network)["whole"]


@needs_clamd
def test_what_came_before_there_was_a_scanner_is_scanned_and_what_it_refuses_stays_shut(
    tmp_path: Path, scanner: AScanner
) -> None:
    """Kept in a folder; the scanner is asked by its socket, and takes 3 MiB."""
    with scanner.running(), running_network(tmp_path / "home") as network:
        sender, ref = a_case(network)
        large, clean, infected = (
            attached(sender, ref, content) for content in (pdf(4 * MIB), pdf(), INFECTED)
        )
        hashes = {x: given(sender, ref, x)["ciphertext_sha256"] for x in (large, clean)}
        for unscanned in (large, clean, infected):
            assert fetch(sender, unscanned).status_code == 200
            assert scan(sender, ref, unscanned) == "unscanned"
        network.stop()
        network.settings = replace(network.settings, clamd=scanner.socket)
        network.start()
        sender = network.partner("anshin-motofuji")
        eventually(lambda: scan(sender, ref, infected) == "infected", 20, "found")
        eventually(lambda: fetch(sender, clean).status_code == 200, 20, "passed")
        assert code(fetch(sender, infected)) == "attachment_infected"
        eventually(lambda: set(stored(network)) == set(hashes.values()), 10, "and deleted")
        # The large one was shown to it first, and held up nobody.
        assert "attachment_not_scanned" in network.logs()
        assert scan(sender, ref, large) == "unscannable"
        answer = fetch(sender, large)
        assert (answer.status_code, code(answer)) == (409, "attachment_unscannable")
        assert parts(network) == []


@needs_clamd
def test_clamd_is_asked_by_socket_and_by_tcp(tmp_path: Path) -> None:
    scanner = AScanner(tmp_path / "clamd", most="25M")
    with scanner.running():
        for address in (scanner.socket, scanner.address):
            assert _verdict(address, pdf(LARGE)) is True
            assert _verdict(address, INFECTED) is False


LARGE = 20 * MIB


def _verdict(address: str, content: bytes) -> bool:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 65_536):
            yield content[start : start + 65_536]

    return asyncio.run(Clamd(address).is_clean(chunks()))


@contextlib.asynccontextmanager
async def a_scanner_that_says(*parts: bytes) -> AsyncIterator[Clamd]:
    asked = 0
    answered = asyncio.Semaphore(0)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readexactly(10)
            for part in parts:
                writer.write(part)
                await asyncio.sleep(0.05)
        writer.close()
        answered.release()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        try:
            yield Clamd(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        finally:
            for _ in range(asked):
                await answered.acquire()


async def some_file() -> AsyncIterator[bytes]:
    yield pdf()


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"stream: OK",  # broke off: what comes behind might be "and more"
        b"stream: OK and more\0",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"x" * 100_000,
    ],
)
def test_only_a_clear_word_is_a_verdict(says: bytes) -> None:
    async def asked() -> None:
        async with a_scanner_that_says(says) as scanner:
            with pytest.raises(ScanRefused):
                await scanner.is_clean(some_file())

    asyncio.run(asked())


def test_a_verdict_may_come_in_pieces() -> None:
    async def asked() -> None:
        async with a_scanner_that_says(b"stre", b"am: OK", b"\0") as scanner:
            assert await scanner.is_clean(some_file()) is True
        async with a_scanner_that_says(b"stream: Eicar", b" FOUND\0") as scanner:
            assert await scanner.is_clean(some_file()) is False

    asyncio.run(asked())


def test_a_scanner_that_is_not_there_is_told() -> None:
    for address in (f"127.0.0.1:{free_port()}", "/nowhere/clamd.sock"):
        with pytest.raises(ScannerFailed):
            _verdict(address, pdf())
