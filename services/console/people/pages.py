"""Signing in and out (サインイン), the language, and which page is whose first."""

from datetime import timedelta
from math import ceil

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from pydantic_core import to_json

from runtime.clock import Clock
from runtime.settings import Settings
from services.console.pages import HEADERS, Pages
from services.console.people.accounts import login_of
from services.console.people.by_provider import ByProvider
from services.console.people.entrance import Entrance, in_words
from services.console.people.own import OwnAccount
from services.console.people.people import People, Refusal
from services.console.people.provider import Provider
from services.console.person import EVERYBODY, WITH_SCREENS, Person, Role
from services.console.reception import Reception, new_token
from services.console.visit import Visit, local_path
from services.console.words import Language
from wards.model import Ward

FIRST_PAGE = {
    Role.CORE: "/board",
    Role.STAFF: "/inbox",
    Role.WARD: "/ward",
    Role.AUDITOR: "/replay",
    Role.SCREEN: "/board",
}


class SignIn:
    def __init__(
        self,
        settings: Settings,
        ward: Ward,
        clock: Clock,
        reception: Reception,
        pages: Pages,
        people: People,
        provider: Provider | None = None,
    ) -> None:
        """``provider``: another than that of the settings, for tests. Raises SettingsError."""
        self._reception = reception
        self._pages = pages
        self._people = people
        self.entrance = entrance = Entrance(settings, clock, people, reception)
        self._own = OwnAccount(ward, reception, pages, people, entrance)
        if provider is None and settings.console_oidc_issuer:
            provider = Provider(settings, clock)
        self._by_provider = (
            ByProvider(provider, reception, pages, people, entrance, clock)
            if provider is not None
            else None
        )

    def handlers(self) -> list[HTTPRouteHandler]:
        at = self._reception
        return [
            at.page("/", "home", WITH_SCREENS, self._home),
            at.open_page("/login", "login", self._login),
            at.open_deed("/login", "login", self._sign_in),
            at.open_deed("/logout", "logout", self._sign_out),
            at.page("/session", "session", WITH_SCREENS, self._until),
            at.deed("/session/continue", "continue", EVERYBODY, self._continue),
            at.open_deed("/language", "language", self._language),
            at.open_page("/signed-out", "signed_out", self._signed_out),
            *self._own.handlers(),
            *(self._by_provider.handlers() if self._by_provider is not None else ()),
        ]

    async def _home(self, visit: Visit) -> Response[bytes]:
        return visit.goes_to(FIRST_PAGE[visit.person.role])

    # -- in --------------------------------------------------------------------------------------

    async def _login(self, visit: Visit) -> Response[bytes]:
        back = local_path(visit.query.get("next", "/"))
        if visit.signed_in is not None:
            return visit.goes_to(back)
        return self._form(visit, back)

    async def _sign_in(self, visit: Visit) -> Response[bytes]:
        back = local_path(visit.form.get("next", "/"))
        login, password = login_of(visit.form.get("login")), visit.form.get("password")
        missing = [name for name, typed in (("login", login), ("password", password)) if not typed]
        if missing:
            return self._form(visit, back, 422, missing=missing)
        found = await self.entrance.tried(visit, login, password)
        if isinstance(found, Refusal):
            if found.wait is not None:
                return self._form(visit, back, 429, wait=found.wait)
            return self._form(visit, back, 422, wrong=True)
        return await self.entrance.comes_in(visit, found, back)

    def _form(
        self,
        visit: Visit,
        back: str,
        status: int = 200,
        *,
        missing: list[str] | None = None,
        wrong: bool = False,
        wait: timedelta | None = None,
    ) -> Response[bytes]:
        # What was typed as login is shown again; the password never.
        response = self._pages.render(
            visit, "people/login.html", status, back=back, login=visit.form.get("login")[:256],
            missing=missing or [], wrong=wrong, wait=in_words(visit, wait) if wait is not None else "",
        )  # fmt: skip
        if wait is not None:
            response.headers["Retry-After"] = str(ceil(wait.total_seconds()))
        return response

    # -- out, and on -----------------------------------------------------------------------------

    async def _sign_out(self, visit: Visit) -> Response[bytes]:
        if visit.signed_in is not None:
            await self._people.end(visit.signed_in.session)
            visit.signed_in = None
        visit.token = new_token()
        response = visit.goes_to("/signed-out")
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    async def _signed_out(self, visit: Visit) -> Response[bytes]:
        if visit.signed_in is not None:
            return visit.goes_to("/")
        return self._pages.render(visit, "people/signed_out.html")

    async def _until(self, visit: Visit) -> Response[bytes]:
        """For a page's clock: another tab may have prolonged the session. Prolongs nothing itself."""
        return _until(visit.person)

    async def _continue(self, visit: Visit) -> Response[bytes]:
        person = await self._people.prolong(visit.person)
        if person is None:
            return visit.goes_to("/login")
        if "application/json" in visit.request.headers.get("accept", ""):
            return _until(person)
        return visit.goes_to(local_path(visit.form.get("back", "/")))

    async def _language(self, visit: Visit) -> Response[bytes]:
        response = visit.goes_to(local_path(visit.form.get("back", "/")))
        language: Language = "en" if visit.form.get("language") == "en" else "ja"
        self._reception.keep_language(response, language)
        return response


def _until(person: Person) -> Response[bytes]:
    body = to_json({"until": person.until.isoformat()})
    return Response(body, media_type="application/json", headers=HEADERS)
