"""One network with its console and one browser for the folder; whoever breaks something starts a network of
their own. Playwright's synchronous calls: within one of these tests ``asyncio.run`` cannot be used.

    def test_…(visitor, person):
        page = person("core")                       signed in through the login page, at /
        page = person("hub-motofuji", name="見本 二郎", viewport=PHONE, java_script_enabled=False)
        page = visitor()                            nobody has signed in
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.in_a_browser.chromium import FLAGS, MISSING, Watched, chromium
from tests.in_a_browser.staff import PASSWORD, Staff
from tests.network import RunningNetwork, running_network

HERE = "tests/in_a_browser/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if chromium() is None:
        for item in items:
            if item.nodeid.startswith(HERE):
                item.add_marker(pytest.mark.skip(reason=MISSING))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    # What Chromium says of the machine it runs on is no part of what is told here.
    os.environ.setdefault("DBUS_SESSION_BUS_ADDRESS", "disabled:")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture(scope="package")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    home = tmp_path_factory.mktemp("network")
    with running_network(home, console=True, clock_shift=True) as running:
        yield running


@pytest.fixture(scope="package")
def staff(network: RunningNetwork) -> Staff:
    return Staff(network)


@pytest.fixture
def watched(browser: Browser, network: RunningNetwork) -> Iterator[Callable[..., Watched]]:
    """``watched(viewport=PHONE)``: a browser of somebody's own, whose faults fail the test."""
    opened: list[Watched] = []

    def one(**how: Any) -> Watched:
        opened.append(Watched(browser, network.console_url, **how))
        return opened[-1]

    yield one
    faults = [fault for context in opened for fault in context.faults]
    for context in opened:
        context.context.close()
    assert not faults, "\n".join(faults)


@pytest.fixture
def visitor(watched: Callable[..., Watched]) -> Callable[..., Page]:
    def come(**how: Any) -> Page:
        page = watched(**how).page()
        page.goto("/login")
        return page

    return come


@pytest.fixture
def person(watched: Callable[..., Watched], staff: Staff) -> Callable[..., Page]:
    def come(agency: str, name: str = "見本 花子", **how: Any) -> Page:
        page = watched(**how).page()
        page.goto("/login")
        signs_in(page, staff.login(agency, name))
        return page

    return come


def signs_in(page: Page, login: str, password: str = PASSWORD) -> None:
    """With the form of the login page, where it is."""
    page.locator("input[name=login]").fill(login)
    page.locator("input[name=password]").fill(password)
    page.locator("main form button").click()
    page.wait_for_url(lambda url: "/login" not in url)
