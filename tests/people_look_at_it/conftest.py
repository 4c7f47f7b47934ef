"""One network with pages for those who only look and fill in; people who sign in through the real form."""

import re
from collections.abc import Callable, Iterator, Mapping
from html import unescape
from typing import Any

import httpx
import pytest

from runtime.clock import SystemClock
from services.console.people.passwords import Passwords
from services.console.people.staff import open_staff
from tests.network import RunningNetwork, running_network
from wards.load import load_ward, ward_in_use

PASSWORD = "umi-kara-kita-kaze-3"
_HIDDEN = re.compile(r'<input type="hidden" name="(csrf|key)" value="([^"]*)">')

Person = Callable[..., "SignedIn"]


@pytest.fixture(scope="package")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    with running_network(tmp_path_factory.mktemp("network"), console=True) as running:
        yield running


@pytest.fixture(scope="package")
def person(network: RunningNetwork) -> Iterator[Person]:
    """``person("core")``: somebody of that agency, signed in; one for each agency and ``login``.
    ``person("core", login="second")``: a second one. ``fresh=True``: in another browser."""
    opened: dict[tuple[str, str], SignedIn] = {}
    more: list[SignedIn] = []

    def of(agency: str, *, login: str = "", fresh: bool = False) -> SignedIn:
        login = login or f"{agency}.mihon"
        if fresh:
            register(network, agency, login)
            more.append(SignedIn(network.console_url, agency, login))
            return more[-1]
        if (agency, login) not in opened:
            register(network, agency, login)
            opened[agency, login] = SignedIn(network.console_url, agency, login)
        return opened[agency, login]

    yield of
    for one in (*opened.values(), *more):
        one.http.close()


def register(
    network: RunningNetwork,
    agency: str,
    login: str,
    password: str = PASSWORD,
    *,
    screen: bool = False,
) -> None:
    """As `tsunagu staff new` does, and with a password; once for each login."""
    ward = load_ward(ward_in_use(network.settings.ward, network.home))
    with open_staff(network.settings, ward, SystemClock()) as staff:
        if staff.accounts.by_login(login) is None:
            made = staff.accounts.new(agency, login, "見本 職員", screen=screen)
            staff.accounts.set_password(made, Passwords().kept_now(password))


class SignedIn:
    """A browser in which somebody has signed in. Redirects are followed, as browsers do."""

    def __init__(
        self, url: str, agency: str, login: str, password: str = PASSWORD, **options: Any
    ) -> None:
        self.agency = agency
        self.login = login
        self.http = httpx.Client(base_url=url, follow_redirects=True, timeout=15, **options)
        fields = {"login": login, "password": password, "next": "/account"}
        entered = self.post("/login", fields, page="/login")
        if entered.url.path != "/account":
            self.http.close()
            raise AssertionError(f"{login} was not let in: {entered.status_code}")

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.http.get(path, **options)

    def post(
        self,
        path: str,
        fields: Mapping[str, str | list[str]] | None = None,
        *,
        page: str = "/account",
        **more: str | list[str],
    ) -> httpx.Response:
        """Send a form: with the token, and the key for one showing, that ``page`` gave. ``fields`` and
        ``more``: what was filled in; a ``key`` among them stays as it is."""
        hidden = hidden_of(self.get(page).text)
        return self.http.post(path, data={**hidden, **(fields or {}), **more})


def hidden_of(page: str) -> dict[str, str]:
    """The token of a page's forms, and a key."""
    found = {name: unescape(value) for name, value in _HIDDEN.findall(page)}
    assert "csrf" in found, "no form on that page"
    return found
