"""Clients that tools of others write from our published OpenAPI post, answer and read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from services.publish import PUBLISHED
from tests.network import RunningNetwork
from tests.outside_tools import (
    SOURCES,
    python_tools,
    run,
    typescript_tools,
)

OPENAPI = PUBLISHED / "openapi.json"
KeyOf = Callable[[str], str]


@pytest.fixture
def places(network: RunningNetwork, key_of: KeyOf) -> dict[str, str]:
    return {
        "TSUNAGU_URL": network.url,
        "SENDER_KEY": key_of("anshin-motofuji"),
        "HUB_KEY": key_of("hub-motofuji"),
    }


def check(told: str, network: RunningNetwork, name: str) -> None:
    """What an outside client saw is what happened."""
    saw = json.loads(told)
    read = network.partner("hub-motofuji").reads(saw["number"]).body
    assert (read["stage"], read["custodian"]) == ("in_care", "hub-motofuji")
    assert (saw["stage"], saw["custodian"]) == ("in_care", "hub-motofuji")
    assert (saw["offered_by"], saw["name"]) == ("anshin-motofuji", name)
    assert saw["numbers"] == list(range(1, len(saw["numbers"]) + 1))
    assert saw["refused"] == "already_answered"


@pytest.mark.slow
def test_a_python_client_by_openapi_python_client(
    network: RunningNetwork, places: dict[str, str], tmp_path: Path
) -> None:
    tools = python_tools()
    (tmp_path / "config.yaml").write_text("post_hooks: []\n")
    written = run(
        tools / "openapi-python-client", "generate", "--path", OPENAPI, "--meta", "none",
        "--output-path", tmp_path / "tsunagu_client", "--config", tmp_path / "config.yaml",
    )  # fmt: skip
    # It leaves out what it cannot understand, and goes on: of ours nothing may be left out.
    assert "WARNING" not in written, written
    assert "Unable" not in written, written
    shutil.copy(SOURCES / "a_partner.py", tmp_path)
    told = run(tools / "python", "a_partner.py", cwd=tmp_path, **places)
    check(told, network, "サンプル 次郎")


@pytest.mark.slow
def test_a_typescript_client_by_openapi_typescript(
    network: RunningNetwork, places: dict[str, str]
) -> None:
    folder = typescript_tools()
    bin_ = folder / "node_modules" / ".bin"
    # A field with a default may be left out of a request.
    run(
        bin_ / "openapi-typescript", OPENAPI, "-o", folder / "schema.d.ts",
        "--default-non-nullable", "false",
    )  # fmt: skip
    for name in ("partner.ts", "tsconfig.json"):
        shutil.copy(SOURCES / name, folder)
    run(bin_ / "tsc", "--project", "tsconfig.json", cwd=folder)
    told = run("node", "partner.js", cwd=folder, **places)
    check(told, network, "サンプル 花子")
