"""C, the ceiling: a bare Litestar route that validates a referral and awaits JetStream's
acknowledgement. Nothing is decided, sealed or recorded."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import nats
import uvicorn
from litestar import Litestar, Response, post
from litestar.connection import Request
from nats.js import api

from benchmarks.load import Connection
from runtime.nats_server import find_server, free_port, make_passwords, write_configuration
from schemas.partner import ReferralSubmission

PARTNERS = 64
_ACCOUNTS = "accounts { A { jetstream: enabled, users: [{ user: bench, password: $BENCH }] } }\n"


def serve(nats_url: str, password: str, port: int) -> None:
    """The process that is measured."""
    state: dict[str, object] = {}

    async def start() -> None:
        nc = await nats.connect(nats_url, user="bench", password=password)
        js = nc.jetstream(timeout=5)
        await js.add_stream(api.StreamConfig(name="BARE", subjects=["bare.>"]))
        state["js"] = js

    @post("/referrals", status_code=201)
    async def handler(request: Request) -> Response[bytes]:  # type: ignore[type-arg]
        body = ReferralSubmission.model_validate_json(await request.body())
        ack = await state["js"].publish("bare.referral", body.model_dump_json().encode())  # type: ignore[attr-defined]
        return Response(b'{"seq":%d}' % ack.seq, media_type="application/json")

    app = Litestar([handler], on_startup=[start], openapi_config=None, logging_config=None)
    uvicorn.run(app, port=port, log_config=None, access_log=False)


async def measure(home: Path, body: bytes, seconds: float) -> tuple[float, list[float]]:
    """Validated POST/s with 64 concurrent partners, and each one's seconds."""
    home.mkdir(parents=True)
    port, nats_port = free_port(), free_port()
    password = make_passwords(home, ["bench"])["bench"]
    configuration = write_configuration(home, nats_port, _ACCOUNTS, {"BENCH": password})
    server = subprocess.Popen([find_server(), "-c", str(configuration)], stderr=subprocess.DEVNULL)
    nats_url = f"nats://127.0.0.1:{nats_port}"
    arguments = [nats_url, password, str(port)]
    web = subprocess.Popen([sys.executable, "-m", "benchmarks.bare", *arguments], env=os.environ)
    try:
        connections = await _connect(port)
        took: list[float] = []
        until = time.perf_counter() + seconds

        async def partner(connection: Connection) -> None:
            while time.perf_counter() < until:
                status, _, spent = await connection.post("/referrals", body, "")
                assert status == 201, status
                took.append(spent)

        began = time.perf_counter()
        await asyncio.gather(*map(partner, connections))
        return len(took) / (time.perf_counter() - began), took
    finally:
        web.terminate()
        web.wait()
        server.terminate()
        server.wait()


async def _connect(port: int) -> list[Connection]:
    deadline = time.monotonic() + 20
    connections = [Connection("127.0.0.1", port) for _ in range(PARTNERS)]
    for connection in connections:
        while True:
            try:
                await connection.open()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)
    return connections


def sample(number: int, sender: str) -> bytes:
    """A referral like a partner's; the person is a sample."""
    return json.dumps(
        {
            "sender_reference": f"BENCH-{number}",
            "function": "consultation",
            "urgency": "routine",
            "person": {"name": "見本 太郎", "kana": "ミホン タロウ", "phone": "03-0000-0000"},
            "address": {"text": "文京区本郷二丁目２１番３号"},
            "household": "nuclear",
            "summary": f"見本の相談です。{sender} から。" + "経過の記録。" * 20,
            "consent": {"basis": "C1", "obtained_at": "2026-11-20T16:50:00+09:00"},
        },
        ensure_ascii=False,
    ).encode()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
