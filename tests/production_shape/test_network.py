"""The production shape, for real but for the containers: the cluster, PostgreSQL with a role for each
service, and the services with the commands and settings of compose.yaml."""

import asyncio
import contextlib
import json
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import nats
import psycopg
import pytest

from schemas import subjects
from tests.production_shape.shape import Cluster, Service, cluster, databases, service

REFERRAL = {
    "function": "consultation",
    "urgency": "routine",
    "person": {"name": "見本 花子"},
    "address": {"text": "文京区本郷二丁目21番3号"},
    "summary": "見本の相談です。",
    "consent": {"basis": "C1"},
}


@pytest.mark.slow
def test_a_referral_goes_from_the_door_to_the_ledger(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        nodes = stack.enter_context(cluster(tmp_path))
        socket = stack.enter_context(databases(tmp_path))
        parts = {
            name: stack.enter_context(service(name, tmp_path, nodes, socket))
            for name in ("intake", "referral", "delivery", "audit", "console")
        }
        for part in parts.values():
            _until(part.healthy, part)

        intake = parts["intake"].environment
        keys = tomllib.loads((Path(intake["TSUNAGU_HOME"]) / "keys.toml").read_text("utf-8"))
        with httpx.Client(base_url=f"http://127.0.0.1:{intake['TSUNAGU_PORT']}") as client:
            headers = {
                "Authorization": f"Bearer {keys['anshin-motofuji']}",
                "Idempotency-Key": "one",
            }

            def accepted() -> bool:
                # 202 or 503 while the cluster settles; the same key is the same request.
                answer = client.post("/v1/referrals", json=REFERRAL, headers=headers, timeout=10)
                return answer.status_code == 201

            _until(accepted, parts["intake"])
            answer = client.post("/v1/referrals", json=REFERRAL, headers=headers, timeout=10)
            hub = {"Authorization": f"Bearer {keys['hub-motofuji']}"}

            def arrived() -> bool:
                return bool(client.get("/v1/inbox", headers=hub).json()["items"])

            _until(arrived, parts["delivery"])

        asyncio.run(_an_agency_by_nats(parts["intake"], nodes))

        def whole() -> bool:
            told = _tsunagu(parts["audit"], "verify")
            return told.returncode == 0 and "3 entries, 3 under a signed checkpoint" in told.stdout

        _until(whole, parts["audit"])
        told = _tsunagu(parts["audit"], "replay", answer.json()["number"])
        assert "anshin-motofuji submitted" in told.stdout

        # What compose.yaml gives no volume for must need none: there the root is read-only.
        assert {path.name for path in parts["referral"].folder.iterdir()} == {"pgpass"}

        # Who keeps the evidence cannot read the keys, and nobody without a password reads anything.
        with _connected("keys", "password-of-keys", socket) as connection:
            row = connection.execute("SELECT count(*) FROM data_keys").fetchone()
            assert row == (1,)
        for role, password, database in (
            ("audit", "password-of-audit", "keys"),
            ("referral", "password-of-referral", "keys"),
            ("console", "password-of-console", "keys"),
            ("delivery", "password-of-delivery", "referral"),
            ("keys", "", "keys"),
        ):
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(
                    host=str(socket), user=f"tsunagu_{role}", password=password or "wrong",
                    dbname=f"tsunagu_{database}",
                )  # fmt: skip


async def _an_agency_by_nats(intake: Service, nodes: Cluster) -> None:
    """Let in by each node, heard from each, and put out of each within a second."""
    agency = "hub-motofuji"
    told = _tsunagu(intake, "credentials", "new", "nats", agency, "--json")
    assert told.returncode == 0, told.stdout + told.stderr
    made = json.loads(told.stdout)
    await asyncio.sleep(1)
    clients = [
        await nats.connect(
            f"nats://127.0.0.1:{port}",
            user=agency,
            password=made["password"],
            inbox_prefix=subjects.agency_replies(agency).encode(),
            allow_reconnect=False,
        )
        for port in nodes.client_ports.values()
    ]
    for client in clients:
        asked = subjects.door("131059", agency, "read_inbox")
        answer = await client.request(asked, b"", timeout=10)
        assert (answer.headers or {})[subjects.STATUS] == "200"
        # Addresses that only our own can reach are not told.
        assert len(client.servers) == 1
    began = time.monotonic()
    assert _tsunagu(intake, "credentials", "revoke", made["id"]).returncode == 0
    told_at = time.monotonic()
    while any(client.is_connected for client in clients):
        assert time.monotonic() - told_at < 1.0, (told_at - began, clients)
        await asyncio.sleep(0.01)


def _tsunagu(part: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As `docker compose exec` runs it."""
    environment = {**part.environment, "COLUMNS": "200"}
    return subprocess.run(
        ["tsunagu", *arguments], env=environment, cwd=part.folder, capture_output=True, text=True
    )


def _until(holds: Callable[[], bool], part: Service, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert part.process.poll() is None, (part.folder.parent / f"{part.name}.log").read_text()
        assert time.monotonic() < deadline, (part.folder.parent / f"{part.name}.log").read_text()
        time.sleep(0.2)


@contextlib.contextmanager
def _connected(name: str, password: str, socket: Path) -> Iterator[psycopg.Connection]:
    with psycopg.connect(
        host=str(socket), user=f"tsunagu_{name}", password=password, dbname=f"tsunagu_{name}"
    ) as connection:
        yield connection
