"""Who opens a page about somebody is on record before the page is shown, and stays on record."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.network import RunningNetwork, eventually, running_network
from tests.partners import a_referral
from tests.people_look_at_it.conftest import SignedIn, register
from tests.record import check_everything

CORE, ANSHIN = "core", "anshin-motofuji"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    """Of its own: here the console dies."""
    with running_network(tmp_path_factory.mktemp("network"), console=True) as running:
        yield running


@contextlib.contextmanager
def somebody(network: RunningNetwork, agency: str = CORE) -> Iterator[SignedIn]:
    register(network, agency, f"{agency}.mihon")
    who = SignedIn(network.console_url, agency, f"{agency}.mihon")
    try:
        yield who
    finally:
        who.http.close()


def a_call(network: RunningNetwork) -> tuple[str, str]:
    """A case and the path of the page about its call."""
    sent = network.partner(ANSHIN).posts(a_referral())
    raised = network.partner(ANSHIN).escalates(sent.id)
    assert raised.status == 201
    return sent.number, f"/board/{raised.body['escalations'][-1]['id']}"


def looks_at(network: RunningNetwork, number: str) -> list[dict[str, Any]]:
    network.settle()
    told: list[dict[str, Any]] = json.loads(network.tsunagu("looks", number, "--json").stdout)[
        "looks"
    ]
    return told


def test_a_page_that_was_opened_is_in_the_ledger_also_when_the_console_is_killed(
    network: RunningNetwork,
) -> None:
    number, path = a_call(network)
    assert looks_at(network, number) == []
    with somebody(network) as who:
        opened = who.get(path)
        assert opened.status_code == 200
        assert number in opened.text
        network.kill("console")  # at once: what was shown is on disk, published or not
    network.await_ready()
    (look,) = looks_at(network, number)
    assert (look["agency"], look["what"]) == (CORE, "page")
    (account,) = network.rows("console", "SELECT id FROM accounts WHERE login = 'core.mihon'")
    assert look["staff"] == account.id
    check_everything(network)


def test_what_cannot_be_put_on_record_is_not_shown(network: RunningNetwork) -> None:
    number, path = a_call(network)
    with somebody(network) as who:
        with network.no_room_on_disk("console"):
            refused = who.get(path)
            assert refused.status_code == 503
            assert number not in refused.text
        eventually(lambda: who.get(path).status_code == 200, 20, "shown when there is room again")
    assert [look["what"] for look in looks_at(network, number)] == ["page"]
    check_everything(network)


def test_an_agency_that_has_no_part_in_a_case_is_on_no_record_of_it(
    network: RunningNetwork,
) -> None:
    number, path = a_call(network)
    with somebody(network, "anshin-otsuka") as stranger:
        assert stranger.get(path).status_code in (403, 404)
    assert looks_at(network, number) == []
