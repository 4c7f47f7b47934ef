"""A reader who takes nothing of a file holds it open for so long, and no longer."""

import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import uvicorn
from litestar import Litestar, get

from runtime import sending
from runtime.connection import Connection
from runtime.nats_server import free_port
from runtime.sending import Sending
from tests.network import eventually

SIZE = 50_000_000


@contextlib.contextmanager
def serving(app: Litestar) -> Iterator[int]:
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(app, port=port, http=Connection, log_config=None, lifespan="off")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started, 10, "it serves")
        yield port
    finally:
        server.should_exit = True
        thread.join()


def test_a_reader_who_takes_nothing_is_cut_off_and_one_who_is_slow_is_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sending, "PATIENCE", 0.5)
    closed, over = threading.Event(), threading.Event()

    async def chunks() -> AsyncIterator[bytes]:
        try:
            for _ in range(SIZE // 500_000):
                yield bytes(500_000)
        finally:
            closed.set()

    @get("/file", sync_to_thread=False)
    def file() -> Sending:
        return Sending(chunks(), "application/pdf", SIZE, "attachment", over.set)

    with serving(Litestar([file], openapi_config=None)) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as slow:
            slow.sendall(b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n")
            got = 0
            while got < SIZE:
                got += len(slow.recv(2_000_000))
                if got < 20_000_000:
                    time.sleep(0.05)
        assert over.wait(5)
        closed.clear()
        over.clear()
        with socket.create_connection(("127.0.0.1", port), timeout=5) as idle:
            idle.sendall(b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n")
            assert closed.wait(5), "the file stays open"
            assert over.wait(5)
            # And the connection is gone: what was sent already is all that comes.
            got = 0
            with contextlib.suppress(ConnectionResetError):
                while data := idle.recv(1_000_000):
                    got += len(data)
            assert got < SIZE
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
