"""The web server of an edge (HTTP の口): uvicorn, with connections that nobody can hold for ever."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from litestar import Litestar

from runtime.connection import Connection
from runtime.settings import Settings
from runtime.streams import Streams


async def serve(server: uvicorn.Server, streams: Streams) -> None:
    """Until cancelled; then the streams end, what has come is answered, and it is over."""
    serving = asyncio.create_task(server.serve())
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        streams.end()
        server.should_exit = True
        await serving


def web_server(
    app: Litestar, host: str, port: int, settings: Settings | None = None
) -> uvicorn.Server:
    """``settings``: of TLS, where it ends here and at no proxy before us."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=Connection,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
        **(_tls(settings) if settings is not None else {}),
    )
    return _Server(config)


def _tls(settings: Settings) -> dict[str, Any]:
    """A client may show a certificate, and need not: it may have a key instead."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return {}
    asked = ssl.CERT_NONE if settings.tls_client_ca is None else ssl.CERT_OPTIONAL
    return {
        "ssl_certfile": settings.tls_certificate,
        "ssl_keyfile": settings.tls_key,
        "ssl_ca_certs": settings.tls_client_ca,
        "ssl_cert_reqs": asked,
    }


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals are the process's own affair (services.cli): they cancel ``run``.
        yield
