"""The console's front door by itself, in this process: a real database, a clock that tests move, and browsers
that behave as browsers do."""

import re
from collections.abc import Mapping
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import httpx
from argon2 import profiles
from litestar import Litestar, Response
from litestar.exceptions import HTTPException
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from runtime.settings import Settings
from services.console.metrics import Metrics
from services.console.pages import Pages
from services.console.people.accounts import Account
from services.console.people.pages import SignIn
from services.console.people.passwords import Passwords
from services.console.people.people import People
from services.console.people.provider import Provider
from services.console.person import EVERYBODY, WITH_SCREENS, Role
from services.console.reception import Reception
from services.console.visit import Visit
from wards.model import Ward

PASSWORD = "umi-kara-kita-kaze-3"
OTHER = "kaze-ga-fuku-hi-ni-2"
SECRET = b"s" * 32
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')


class Browser:
    """Keeps cookies, follows nothing by itself, and sends a form with what the page gave it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.http = client

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers=headers)

    async def post(
        self, path: str, fields: Mapping[str, str], *, page: str = "/login", **headers: str
    ) -> httpx.Response:
        """What is on ``page``, sent to ``path``."""
        csrf = csrf_of(await self.http.get(page))
        return await self.http.post(path, data={"csrf": csrf, **fields}, headers=headers)

    async def signs_in(
        self, login: str, password: str = PASSWORD, back: str = "/who", **headers: str
    ) -> httpx.Response:
        fields = {"login": login, "password": password, "next": back}
        return await self.post("/login", fields, **headers)

    async def is_in(self) -> bool:
        return (await self.http.get("/who")).status_code == 200


def csrf_of(page: httpx.Response) -> str:
    found = _CSRF.search(page.text)
    assert found, page.text
    return unescape(found[1])


class FrontDoor:
    def __init__(
        self,
        engine: Engine,
        ward: Ward,
        clock: ManualClock,
        home: Path,
        provider: Provider | None = None,
        **more: Any,
    ) -> None:
        self.engine = engine
        self.clock = clock
        self.settings = Settings(home=home, **more)
        # What makes a password dear to guess is tried by itself; here it would only take time.
        self.people = People(engine, ward, clock, Passwords(profiles.CHEAPEST))
        pages = Pages(ward, self.settings)
        metrics = Metrics()
        at = Reception(self.settings, ward, clock, self.people, pages, metrics, SECRET)
        self.cookie = at.cookie
        self.sign_in = SignIn(self.settings, ward, clock, at, pages, self.people, provider)

        async def who(visit: Visit) -> Response[bytes]:
            return Response(visit.person.login.encode(), media_type="text/plain")

        async def says(visit: Visit) -> Response[bytes]:
            visit.flash("済みました", "done")
            return visit.goes_to("/account")

        self.app = Litestar(
            [
                *pages.handlers(),
                *self.sign_in.handlers(),
                at.page("/who", "who", EVERYBODY, who),
                at.page("/wall", "wall", WITH_SCREENS, who),
                at.page("/core-only", "core", {Role.CORE}, who),
                at.deed("/deed", "deed", EVERYBODY, who),
                at.deed("/said", "said", EVERYBODY, says),
                at.nowhere(),
            ],
            openapi_config=None,
            logging_config=None,
            exception_handlers={HTTPException: at.on_http_exception, Exception: at.on_fault},
        )

    def browser(self, address: str = "192.0.2.7") -> Browser:
        app: Any = self.app  # the two describe the same thing in other words
        transport = httpx.ASGITransport(app, client=(address, 4711))
        return Browser(httpx.AsyncClient(transport=transport, base_url="http://console.test"))

    def account(
        self,
        login: str,
        agency: str = "core",
        password: str = PASSWORD,
        name: str = "見本 職員",
        *,
        screen: bool = False,
    ) -> Account:
        made = self.people.accounts.new(agency, login, name, screen=screen)
        kept = self.people.passwords.kept_now(password)
        self.people.accounts.set_password(made, kept)
        return replace(made, password=kept)
