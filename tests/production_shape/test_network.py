"""The production shape, for real but for the containers: the cluster, PostgreSQL with a role for each
service, and the services with the commands and settings of compose.yaml."""

import contextlib
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.production_shape.shape import Service, cluster, databases, service

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
            for name in ("intake", "referral", "delivery", "audit")
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

        def whole() -> bool:
            told = _tsunagu(parts["audit"], "verify")
            return told.returncode == 0 and "3 entries, 3 under a signed checkpoint" in told.stdout

        _until(whole, parts["audit"])
        told = _tsunagu(parts["audit"], "replay", answer.json()["number"])
        assert "anshin-motofuji submitted" in told.stdout

        # What compose.yaml gives no volume for must need none: there the root is read-only.
        for name in ("referral", "delivery"):
            assert {path.name for path in parts[name].folder.iterdir()} == {"pgpass"}

        # Who keeps the evidence cannot read the keys, and nobody without a password reads anything.
        with _connected("keys", "password-of-keys", socket) as connection:
            row = connection.execute("SELECT count(*) FROM data_keys").fetchone()
            assert row == (1,)
        for role, password, database in (
            ("audit", "password-of-audit", "keys"),
            ("referral", "password-of-referral", "keys"),
            ("delivery", "password-of-delivery", "referral"),
            ("keys", "", "keys"),
        ):
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(
                    host=str(socket), user=f"tsunagu_{role}", password=password or "wrong",
                    dbname=f"tsunagu_{database}",
                )  # fmt: skip


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
