"""A receiver on a port of this machine, and how it can be made to misbehave: slow, down, or wrong."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from partners.receiver import Reply

LARGEST = 4 * 1_048_576
_HUGE = 1_073_741_824
_HANGS = 3600.0

Receive = Callable[[Mapping[str, str], bytes], Reply]


class Wrong(StrEnum):
    """What a wrong endpoint does (誤った受け口)."""

    STATUS = "status"  # answers a status of its own
    REDIRECT = "redirect"  # sends elsewhere
    HANG = "hang"  # never answers
    HUGE = "huge"  # answers with a gigabyte


@dataclass(frozen=True, slots=True)
class Manners:
    """``slow``: seconds before each answer. ``down``: seconds from the start in which nobody
    listens. ``wrong``, ``status``: instead of an answer."""

    slow: float = 0.0
    down: float = 0.0
    wrong: Wrong | None = None
    status: int = 500


GOOD = Manners()


@contextlib.contextmanager
def listening(
    receive: Receive, *, host: str = "127.0.0.1", port: int = 0, manners: Manners = GOOD
) -> Iterator[str]:
    """Gives the address to which webhooks go."""
    ended = threading.Event()
    handler = _handler(receive, manners, ended)
    server = _Server((host, port), handler, bind_and_activate=False)
    server.allow_reuse_address = True
    server.server_bind()
    thread = threading.Thread(target=_serve, args=(server, manners.down, ended), daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}/webhook"
    finally:
        ended.set()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Somebody hung up; what they do is theirs."""


def _serve(server: _Server, down: float, ended: threading.Event) -> None:
    """Bound and not listening is refused, like a machine that is there and a program that is not."""
    ended.wait(down)
    if ended.is_set():
        return
    server.server_activate()
    server.timeout = 0.1
    while not ended.is_set():
        server.handle_request()


def _handler(
    receive: Receive, manners: Manners, ended: threading.Event
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_POST(self) -> None:
            length = self.headers.get("content-length", "")
            if not length.isdigit() or int(length) > LARGEST:
                self.close_connection = True
                self._say(413)
                return
            body = self.rfile.read(int(length))
            ended.wait(manners.slow)
            match manners.wrong:
                case Wrong.HANG:
                    ended.wait(_HANGS)
                    self.close_connection = True
                case Wrong.REDIRECT:
                    self._say(307, {"Location": "http://127.0.0.1:9/elsewhere"})
                case Wrong.HUGE:
                    self._say_much()
                case Wrong.STATUS:
                    self._say(manners.status)
                case None:
                    self._say(self._received(body))

        def _received(self, body: bytes) -> int:
            try:
                return receive(dict(self.headers.items()), body).status
            except Exception:
                return 500  # it comes again, and then perhaps it can be dealt with

        def _say(self, status: int, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", "0")
            self.end_headers()

        def _say_much(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(_HUGE))
            self.end_headers()
            piece, until = b"\0" * 65_536, time.monotonic() + 60
            with contextlib.suppress(OSError):
                for _ in range(_HUGE // len(piece)):
                    if ended.is_set() or time.monotonic() > until:
                        break
                    self.wfile.write(piece)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """What came is told by whoever receives it."""

    return Handler
