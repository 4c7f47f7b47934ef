"""What is revoked on the command line acts within a second on a network that runs; what is rotated cuts
nobody off. Intake believes this host when it says with whose certificate somebody came."""

import base64
import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner, Result

from runtime.database import open_database
from services import credentials
from services.cli import app
from services.intake.access.parts import addresses
from tests.builders import BUNKYO
from tests.network import RunningNetwork, eventually, running_network
from tests.partners import Partner, a_referral
from tests.through_their_own_systems.document import blocks
from tests.through_their_own_systems.signing import (
    Authority,
    a_form,
    a_key,
    an_assertion,
    pem_of,
    private_pem,
)

HUB, ANSHIN = "hub-motofuji", "anshin-motofuji"
A_SECOND = 1.0


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    home = tmp_path_factory.mktemp("guarded")
    with running_network(home, trusted_proxies="127.0.0.1") as running:
        yield running


def commanded(network: RunningNetwork, *arguments: str, **settings: Any) -> Result:
    """The command line in this process: a start of Python each time would be most of the test."""
    changed = {"home": network.home.resolve(), **settings}
    environment = replace(network.settings, **changed).environment()
    return CliRunner().invoke(app, ["credentials", *arguments], env=environment)


def administer(network: RunningNetwork, *arguments: str) -> Any:
    done = commanded(network, *arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def directory(network: RunningNetwork, headers: dict[str, str]) -> httpx.Response:
    return httpx.get(f"{network.url}/v1/directory", headers=headers, timeout=10)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def by_certificate(pem: bytes) -> dict[str, str]:
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    return {"Client-Cert": f":{base64.b64encode(der).decode()}:"}


def seconds_until(refused: Callable[[], bool]) -> float:
    began = time.monotonic()
    while not refused():
        assert time.monotonic() - began < 10, "never"
        time.sleep(0.02)
    return time.monotonic() - began


def revoked_within(network: RunningNetwork, credential: str, headers: dict[str, str]) -> float:
    """Seconds from the end of the command to the first refusal."""
    assert directory(network, headers).status_code == 200
    administer(network, "revoke", credential)
    return seconds_until(lambda: directory(network, headers).status_code == 401)


def accepted(network: RunningNetwork, headers: dict[str, str]) -> None:
    """A new credential too is known within a second."""
    took = seconds_until(lambda: directory(network, headers).status_code == 200)
    assert took < A_SECOND


def test_a_revoked_key_is_refused_within_a_second(guarded: RunningNetwork) -> None:
    done = guarded.tsunagu("credentials", "new", "api_key", HUB, "--label", "試験", "--json")
    made = json.loads(done.stdout)
    accepted(guarded, bearer(made["key"]))
    assert revoked_within(guarded, made["id"], bearer(made["key"])) < A_SECOND
    assert guarded.partner(HUB).get("/v1/directory").status == 200, "and only that one"


def test_a_token_is_refused_within_a_second_of_the_end_of_its_key(
    guarded: RunningNetwork, tmp_path: Path
) -> None:
    file = tmp_path / "hub.pem"
    file.write_bytes(pem_of(a_key()))
    made = administer(guarded, "new", "jwt_key", HUB, "--file", str(file))

    def asked() -> httpx.Response:
        now = datetime.now(UTC)
        form = a_form(an_assertion(HUB, f"{guarded.url}/oauth2/token", now))
        return httpx.post(f"{guarded.url}/oauth2/token", data=form, timeout=10)

    assert seconds_until(lambda: asked().status_code == 200) < A_SECOND
    token = asked().json()["access_token"]
    assert revoked_within(guarded, made["id"], bearer(token)) < A_SECOND
    assert asked().status_code == 401


def test_the_document_for_partners_gets_a_token(guarded: RunningNetwork, tmp_path: Path) -> None:
    """With the very lines that it shows."""
    file = tmp_path / "anshin.pem"
    file.write_bytes(pem_of(a_key("ES256", 3)))
    administer(guarded, "new", "jwt_key", ANSHIN, "--file", str(file))
    (shown,) = [b.text for b in blocks() if (b.section, b.language) == ("1.2", "python")]
    names: dict[str, Any] = {}
    exec(shown, names)

    def asked() -> str | None:
        with contextlib.suppress(httpx.HTTPStatusError):
            key = private_pem(a_key("ES256", 3)).decode()
            return str(names["token"](guarded.url, ANSHIN, key))
        return None

    assert seconds_until(lambda: asked() is not None) < A_SECOND
    assert directory(guarded, bearer(asked() or "")).status_code == 200


def test_the_key_of_the_manifests_is_rotated_with_an_overlap(guarded: RunningNetwork) -> None:
    (old,) = administer(guarded, "manifest-key")
    new, before = administer(guarded, "manifest-key", "--rotate", "--overlap", "1h")
    assert before["id"] == old["id"] != new["id"]
    assert (new["signs"], before["signs"]) == (True, True)
    assert (new["until"], before["until"] is None) == (None, False)
    told = (guarded.home / "keys" / "manifest.vkeys").read_text("ascii").splitlines()
    assert len(told) == 2 * len(BUNKYO.agencies)
    assert commanded(guarded, "manifest-key").exit_code == 0


def test_a_certificate_is_refused_within_a_second(guarded: RunningNetwork, tmp_path: Path) -> None:
    pem, _ = Authority().client("sample-hub")
    file = tmp_path / "hub.pem"
    file.write_bytes(pem)
    made = administer(guarded, "new", "certificate", HUB, "--file", str(file))
    accepted(guarded, by_certificate(pem))
    assert revoked_within(guarded, made["id"], by_certificate(pem)) < A_SECOND


def test_a_stream_ends_within_a_second_of_the_end_of_its_key(guarded: RunningNetwork) -> None:
    made = administer(guarded, "new", "api_key", HUB)
    accepted(guarded, bearer(made["key"]))
    partner = Partner(guarded.url, HUB, made["key"])
    with partner.streams("/v1/inbox") as stream, guarded.partner(HUB).streams("/v1/inbox") as other:
        assert (stream.status, other.status) == (200, 200)
        administer(guarded, "revoke", made["id"])
        began = time.monotonic()
        assert all(event.comment for event in stream.everything())
        assert time.monotonic() - began < A_SECOND
        guarded.partner(ANSHIN).posts(a_referral())
        assert next(iter(other.events())).id, "and only that one"
    partner.close()


def test_a_rotation_cuts_nobody_off_until_the_overlap_is_over(guarded: RunningNetwork) -> None:
    old = administer(guarded, "new", "api_key", "lien-bunkyo", "--scopes", "read")
    accepted(guarded, bearer(old["key"]))
    which = commanded(guarded, "rotate", "api_key", "lien-bunkyo")
    assert (which.exit_code, old["id"] in which.stderr) == (1, True), "there is the first key, too"
    new = administer(
        guarded, "rotate", "api_key", "lien-bunkyo", "--id", old["id"], "--overlap", "2s"
    )
    assert set(new["still_good"]) == {old["id"]}
    assert new["scopes"] == ["read"]
    accepted(guarded, bearer(new["key"]))
    assert directory(guarded, bearer(old["key"])).status_code == 200
    assert seconds_until(lambda: directory(guarded, bearer(old["key"])).status_code == 401) < 3
    assert directory(guarded, bearer(new["key"])).status_code == 200
    assert guarded.partner("lien-bunkyo").get("/v1/directory").status == 200, "and only that one"


def test_a_key_that_was_revoked_is_not_made_again_by_a_restart(
    guarded: RunningNetwork,
) -> None:
    listed = administer(guarded, "list", "ward-office")
    (first,) = [one for one in listed if one["kind"] == "api_key"]
    partner = guarded.partner("ward-office")
    assert partner.get("/v1/directory").status == 200
    administer(guarded, "revoke", first["id"])
    guarded.kill("intake")
    guarded.await_ready()
    assert partner.get("/v1/directory").status == 401
    (still,) = administer(guarded, "list", "ward-office")
    assert still["revoked_at"] is not None


def test_a_secret_is_told_once_and_is_in_no_list_no_log_and_no_database(
    guarded: RunningNetwork, tmp_path: Path
) -> None:
    out = tmp_path / "secret.json"
    secrets = [
        administer(guarded, "new", "api_key", ANSHIN)["key"],
        administer(guarded, "new", "nats", ANSHIN)["password"],
        administer(guarded, "new", "webhook_secret", ANSHIN)["secret"],
    ]
    told = commanded(guarded, "new", "api_key", ANSHIN, "--out", str(out))
    assert out.stat().st_mode & 0o777 == 0o600
    secrets.append(json.loads(out.read_text("utf-8"))["key"])
    assert secrets[-1] not in told.stdout + told.stderr
    accepted(guarded, bearer(secrets[0]))
    kept = [path.read_bytes() for path in guarded.home.rglob("*") if path.is_file()]
    listed = commanded(guarded, "list").stdout
    for secret in secrets:
        bare = secret.removeprefix("tsunagu_").removeprefix("whsec_")
        assert bare not in listed + guarded.logs()
        forms = [bare.encode()]
        if secret.startswith("whsec_"):
            forms.append(base64.b64decode(bare))
        assert not any(form in file for form in forms for file in kept)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("new", "api_key", "nobody"), "no such agency"),
        (("new", "api_key", HUB, "--scopes", "core"), "does not give"),
        (("new", "api_key", HUB, "--scopes", "everything"), "scopes are post"),
        (("new", "api_key", HUB, "--scopes", ","), "scopes are post"),
        (("new", "jwt_key", HUB), "--file names"),
        (("new", "jwt_key", HUB, "--file", "/no/such/file"), "cannot be read"),
        (("new", "certificate", HUB, "--file", "pyproject.toml"), "not a certificate"),
        (("new", "jwt_key", HUB, "--file", "pyproject.toml"), "not fit"),
        (("new", "api_key", HUB, "--out", "pyproject.toml"), "cannot be made"),
        (("rotate", "nats", "hub-otsuka"), "none to rotate"),
        (("rotate", "api_key", HUB, "--overlap", "soon"), "7d, 12h or 30m"),
        (("revoke", "no-such-id"), "no credential"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence_and_does_nothing(
    guarded: RunningNetwork, arguments: tuple[str, ...], said: str
) -> None:
    before = administer(guarded, "list")
    done = commanded(guarded, *arguments)
    assert done.exit_code == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert [one["id"] for one in administer(guarded, "list")] == [one["id"] for one in before]


def test_what_may_be_where_this_container_does_not_reach_is_not_called_unknown(
    guarded: RunningNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(url: str) -> Any:
        if "delivery" in url:
            raise sa.exc.OperationalError("", {}, Exception())
        return open_database(url)

    monkeypatch.setattr(credentials, "open_database", reached)
    done = commanded(guarded, "revoke", "no-such-id")
    assert done.exit_code == 1
    assert "the database of delivery cannot be reached" in done.stderr


def test_a_network_without_a_name_of_its_own_takes_no_key_for_assertions(
    guarded: RunningNetwork, tmp_path: Path
) -> None:
    """What is signed for it would be good at any other that listens the same way."""
    file = tmp_path / "hub.pem"
    file.write_bytes(pem_of(a_key("ES256", 5)))
    new = ("new", "jwt_key", HUB, "--file", str(file))
    everywhere = replace(guarded.settings, host="0.0.0.0")
    assert addresses(everywhere) == ()
    refused = commanded(guarded, *new, host="0.0.0.0")
    assert (refused.exit_code, "TSUNAGU_PUBLIC_URL" in refused.stderr) == (1, True)
    named = commanded(guarded, *new, host="0.0.0.0", public_url="https://tsunagu.example")
    assert named.exit_code == 0, named.stderr


def test_whoever_watches_the_network_sees_how_old_what_is_known_of_credentials_is(
    guarded: RunningNetwork,
) -> None:
    page = httpx.get(f"{guarded.url}/metrics").text
    (line,) = [one for one in page.splitlines() if one.startswith("tsunagu_credentials_age")]
    assert 0 <= float(line.split()[1]) < A_SECOND


def test_a_network_that_cannot_read_its_credentials_says_that_it_is_not_ready(
    guarded: RunningNetwork,
) -> None:
    def obstacle() -> str | None:
        return httpx.get(f"{guarded.url}/readyz", timeout=10).headers.get("tsunagu-obstacle")

    with contextlib.closing(sqlite3.connect(guarded.home / "data" / "keys.db")) as outside:
        outside.execute("ALTER TABLE credentials_revision RENAME TO elsewhere")
        eventually(lambda: obstacle() == "credentials", 20, "not ready")
        assert guarded.partner(HUB).get("/v1/directory").status == 200, "who was known stays in"
        outside.execute("ALTER TABLE elsewhere RENAME TO credentials_revision")
    eventually(lambda: obstacle() is None, 20, "ready again")
