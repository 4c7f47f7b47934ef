"""What is open to everyone, and what a partner's programmer reads first."""

import re
import tomllib
from collections.abc import Callable

import httpx
import pytest

from tests.network import REPOSITORY, RunningNetwork
from tests.partners import Partner, a_referral

Agency = Callable[[str], Partner]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"])
def test_open_pages_need_no_key(network: RunningNetwork, path: str) -> None:
    answer = httpx.get(f"{network.url}{path}")
    assert answer.status_code == 200
    assert answer.content


def test_the_published_contract_has_every_call(network: RunningNetwork) -> None:
    document = httpx.get(f"{network.url}/openapi.json").json()
    assert document["openapi"].startswith("3.")
    calls = {
        f"{method.upper()} {re.sub('{.*?}', '{ref}', path)}"
        for path, methods in document["paths"].items()
        for method in methods
        if method in ("get", "post")
    }
    wanted = {
        "POST /v1/referrals", "GET /v1/referrals", "GET /v1/referrals/{ref}",
        "GET /v1/referrals/{ref}/history", "POST /v1/referrals/{ref}/handoffs",
        "POST /v1/handoffs/{ref}/accept", "POST /v1/handoffs/{ref}/decline",
        "POST /v1/handoffs/{ref}/withdraw", "POST /v1/handoffs/{ref}/complete",
        "POST /v1/referrals/{ref}/ruling", "POST /v1/referrals/{ref}/escalations",
        "POST /v1/referrals/{ref}/notes", "POST /v1/referrals/{ref}/close",
        "POST /v1/referrals/{ref}/cancel", "POST /v1/referrals/{ref}/reopen",
        "GET /v1/inbox", "GET /v1/directory", "GET /v1/requests/{ref}",
    }  # fmt: skip
    assert wanted <= calls, wanted - calls


def test_the_docs_page_is_a_page_and_asks_nobody_else(network: RunningNetwork) -> None:
    page = httpx.get(f"{network.url}/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "/v1/referrals" in page.text
    for elsewhere in ('src="http', "src='http", 'stylesheet" href="http', "@import"):
        assert elsewhere not in page.text


def test_the_metrics_say_that_every_service_does_its_part(
    network: RunningNetwork, partner: Agency
) -> None:
    assert partner("anshin-motofuji").posts(a_referral()).status == 201
    network.settle()
    for service in ("referral", "delivery", "audit"):
        assert network.is_up(service)
    head = network.journal_head()
    assert network.figure("referral", "journal_entries") == head
    assert network.figure("audit", "ledger_entries") == head
    assert network.figure("delivery", "read_referral") == head


def test_the_metrics_name_calls_and_never_paths_or_ids(partner: Agency) -> None:
    partner("core").reads("131059-2026-987654")
    partner("core").get("/v1/nothing-here")
    page = partner("core").get("/metrics").raw.decode()
    assert 'call="read_referral"' in page
    assert "987654" not in page
    assert "nothing-here" not in page


def test_the_directory_is_the_wards_file(partner: Agency) -> None:
    ward = tomllib.loads((REPOSITORY / "wards" / "bunkyo.toml").read_text("utf-8"))
    directory = partner("auditor").get("/v1/directory").body
    assert directory["ward"] == {"code": "131059", "name": "文京区"}
    assert [a["id"] for a in directory["agencies"]] == [a["id"] for a in ward["agencies"]]
    assert {d["id"]: d["hub"] for d in directory["districts"]} == {
        name: f"hub-{name}" for name in ("motofuji", "komagome", "tomisaka", "otsuka")
    }
    assert [f["code"] for f in directory["functions"]] == [f["code"] for f in ward["functions"]]
    icho = next(a for a in directory["agencies"] if a["id"] == "hub-motofuji")
    assert icho["hours"] == "mon tue wed thu fri 10:00-17:30"
