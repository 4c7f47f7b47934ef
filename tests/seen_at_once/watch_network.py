"""As much of the network as the board sees, over real sockets: the directory, the stream, the answers.
It does what it is told to, also what a real one does only on a bad day."""

import contextlib
import json
import queue
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

from schemas.partner import BurningGiven
from schemas.problems import ProblemCode, Refusal
from tests.seen_at_once.watch_calls import DIRECTORY, ACall

KEY = "tsunagu_sample-key"
_END = b""


class SmallNetwork:
    """``resumed``: the ``Last-Event-ID`` of every stream that was opened. ``answers``: what the next
    POSTs get, as statuses and bodies; then each is granted. ``posts``: path, body and idempotency
    key of each, given after ``slow`` seconds. ``breaks_off``: the next stream does, after the first,
    newest, event. ``ahead``: seconds, of its clock. ``begins``: what every stream begins with."""

    def __init__(self) -> None:
        self.resumed: list[str | None] = []
        self.posts: list[tuple[str, dict[str, Any], str | None]] = []
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.refusal: ProblemCode | None = None
        self.breaks_off = False
        self.slow = self.ahead = 0.0
        self.begins = b""
        self.handoffs: list[dict[str, Any]] = []
        self.told: list[BurningGiven] = []
        self._streams: list[queue.Queue[bytes]] = []
        self._lock = threading.Lock()
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    # -- living and dying --------------------------------------------------------------------------

    def start(self) -> None:
        network = self

        class Handler(_Handler):
            of = network

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        """Nobody listens any more, and every stream breaks off."""
        self._server.shutdown()
        self._thread.join()
        self._server.socket.close()
        with self._lock:
            for stream in self._streams:
                stream.put(_END)
            self._streams.clear()

    # -- what happens ------------------------------------------------------------------------------

    def happens(self, call: ACall) -> BurningGiven:
        """An escalation is raised, or has changed."""
        with self._lock:
            told = call.told(len(self.told) + 1)
            self.told.append(told)
            for stream in self._streams:
                stream.put(_event(told))
        return told

    def restored(self, head: int) -> None:
        """From a copy that knows so many changes; the following ones get the same numbers again."""
        with self._lock:
            del self.told[head:]

    def says(self, raw: bytes) -> None:
        with self._lock:
            for stream in self._streams:
                stream.put(raw)

    def stream(self, after: str | None) -> "queue.Queue[bytes]":
        with self._lock:
            self.resumed.append(after)
            if int(after or 0) > len(self.told):
                after = None
            stream: queue.Queue[bytes] = queue.Queue()
            newest: dict[UUID, BurningGiven] = {told.id: told for told in self.told}
            stream.put(b"retry: 50\n\n: hello\n\n" + self.begins)
            picture = [told for told in newest.values() if told.change > int(after or 0)]
            for told in sorted(picture, key=lambda t: -t.change):
                stream.put(_event(told))
                if self.breaks_off:
                    self.breaks_off = False
                    stream.put(_END)
                    return stream
            stream.put(f"event: ready\nid: {len(self.told)}\ndata: {{}}\n\n".encode())
            self._streams.append(stream)
        return stream


def _event(told: BurningGiven) -> bytes:
    return f"event: escalation\nid: {told.change}\ndata: {told.model_dump_json()}\n\n".encode()


class _Handler(BaseHTTPRequestHandler):
    of: SmallNetwork

    def do_GET(self) -> None:
        if self._refused():
            return
        if self.path == "/v1/directory":
            self._answer(200, DIRECTORY)
        elif self.path == "/v1/escalations":
            self._stream()
        elif self.path.startswith("/v1/referrals/"):
            self._answer(200, {"handoffs": self.of.handoffs})
        else:
            self._answer(404, Refusal(ProblemCode.NOT_FOUND).document())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.of.posts.append((self.path, body, self.headers.get("Idempotency-Key")))
        time.sleep(self.of.slow)
        status, answer = self.of.answers.pop(0) if self.of.answers else (200, {})
        if status == 0:  # it came, and nobody says so
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self._answer(status, answer)

    def _refused(self) -> bool:
        code = self.of.refusal
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            code = ProblemCode.UNAUTHENTICATED
        if code is None or (code is ProblemCode.NOT_INVOLVED and self.path == "/v1/directory"):
            return False
        self._answer(Refusal(code).status, Refusal(code).document())
        return True

    def _stream(self) -> None:
        assert self.headers["Accept"] == "text/event-stream"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.end_headers()
        said = self.of.stream(self.headers.get("Last-Event-ID"))
        with contextlib.suppress(OSError):
            while (raw := said.get()) != _END:
                self.wfile.write(raw)
        self.close_connection = True

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string((timestamp or time.time()) + self.of.ahead)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def small_network() -> Iterator[SmallNetwork]:
    network = SmallNetwork()
    try:
        yield network
    finally:
        network.stop()
