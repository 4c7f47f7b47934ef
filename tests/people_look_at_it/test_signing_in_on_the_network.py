"""The console as it runs: people sign in, are who they are, and are out when they should be."""

import pytest

from runtime.clock import SystemClock
from services.console.people.staff import open_staff
from tests.network import RunningNetwork
from tests.people_look_at_it.conftest import PASSWORD, Person, SignedIn, register
from wards.load import load_ward, ward_in_use


@pytest.mark.parametrize("agency", ["core", "hub-motofuji", "ward-office", "auditor"])
def test_somebody_of_each_kind_of_agency_is_let_in(person: Person, agency: str) -> None:
    shown = person(agency).get("/account")
    assert shown.status_code == 200
    assert f"{agency}.mihon" in shown.text
    assert shown.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in shown.headers["content-security-policy"]


def test_who_leaves_is_out_of_a_running_console_at_the_next_request(
    network: RunningNetwork, person: Person
) -> None:
    leaving = person("core", login="leaving.mihon")
    assert leaving.get("/account").url.path == "/account"
    ward = load_ward(ward_in_use(network.settings.ward, network.home))
    with open_staff(network.settings, ward, SystemClock()) as staff:
        staff.accounts.leave(staff.of("leaving.mihon"))
    assert leaving.get("/account").url.path == "/login"


def test_nothing_of_who_signs_in_is_in_the_logs_or_the_figures(network: RunningNetwork) -> None:
    register(network, "core", "quiet.mihon")
    with pytest.raises(AssertionError):
        SignedIn(network.console_url, "core", "quiet.mihon", "a-wrong-word-for-logs")
    browser = SignedIn(network.console_url, "core", "quiet.mihon")
    cookie = next(iter(browser.http.cookies.values()))
    told = network.logs() + browser.get("/metrics").text
    browser.http.close()
    assert "tsunagu_console_requests" in told
    for secret in (PASSWORD, "a-wrong-word-for-logs", cookie, "quiet.mihon", "見本 職員"):
        assert secret not in told
