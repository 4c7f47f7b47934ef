"""Signing in by the provider (認証基盤でのサインイン): there, back, and out."""

import asyncio
from http import HTTPStatus

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from runtime.clock import Clock
from runtime.observability import log
from services.console.pages import Pages
from services.console.people.away import GOOD_FOR, Away, Journey, cookie_of, too_many
from services.console.people.entrance import Entrance
from services.console.people.people import People
from services.console.people.provider import PATH_BACK, NotBelieved, Provider, Why
from services.console.reception import Reception
from services.console.visit import Visit, local_path

_THERE = "/login/provider"
_STATUS = {
    Why.DOWN: HTTPStatus.SERVICE_UNAVAILABLE,
    Why.DENIED: HTTPStatus.FORBIDDEN,
    Why.STALE: HTTPStatus.BAD_REQUEST,
    Why.FORGED: HTTPStatus.FORBIDDEN,
    Why.UNKNOWN: HTTPStatus.FORBIDDEN,
}


class ByProvider:
    def __init__(
        self,
        provider: Provider,
        reception: Reception,
        pages: Pages,
        people: People,
        entrance: Entrance,
        clock: Clock,
    ) -> None:
        self._provider = provider
        self._reception = reception
        self._pages = pages
        self._people = people
        self._entrance = entrance
        self._away = Away(reception.key_for("away"), clock)

    def handlers(self) -> list[HTTPRouteHandler]:
        at = self._reception
        return [
            at.open_page(_THERE, "provider", self._there),
            at.open_page(PATH_BACK, "provider_back", self._back),
            at.open_page("/login/provider/out", "provider_out", self._out),
        ]

    async def _there(self, visit: Visit) -> Response[bytes]:
        # A link, not a form: a browser that keeps forms to our own pages lets none lead elsewhere.
        back = local_path(visit.query.get("next", "/"))
        try:
            address, journey = await self._provider.sends(back)
        except NotBelieved as refused:
            return self._refused(visit, refused.why, str(refused))
        response = _elsewhere(address)
        for name in too_many(visit.request.cookies):
            self._keep(response, name, "", 0)
        sealed = self._away.sealed(visit.token, journey)
        self._keep(response, cookie_of(journey.state), sealed, GOOD_FOR)
        return response

    async def _back(self, visit: Visit) -> Response[bytes]:
        state = visit.query.get("state", "")
        name = cookie_of(state)
        journey = self._away.returned(visit.token, state, visit.request.cookies.get(name, ""))
        if journey is None:
            return self._refused(visit, Why.STALE, "no such journey of this browser's")
        response = await self._came(visit, journey)
        self._keep(response, name, "", 0)
        return response

    async def _came(self, visit: Visit, journey: Journey) -> Response[bytes]:
        try:
            subject = await self._provider.takes(journey, visit.query)
        except NotBelieved as refused:
            return self._refused(visit, refused.why, str(refused))
        accounts = self._people.accounts
        account = await asyncio.to_thread(accounts.by_subject, subject)
        if account is None or not accounts.may_come(account):
            return self._refused(visit, Why.UNKNOWN, "no account of that subject")
        return await self._entrance.comes_in(visit, account, journey.back)

    async def _out(self, visit: Visit) -> Response[bytes]:
        address = await self._provider.out()
        return visit.goes_to("/login") if address is None else _elsewhere(address)

    def _keep(self, response: Response[bytes], name: str, value: str, age: int) -> None:
        self._reception.keep(response, name, value, age, _THERE)

    def _refused(self, visit: Visit, why: Why, detail: str) -> Response[bytes]:
        log("provider_let_nobody_in", why=why.value, detail=detail)
        return self._pages.render(visit, "people/provider.html", int(_STATUS[why]), why=why.value)


def _elsewhere(address: str) -> Response[bytes]:
    """To a page of the provider's; the address is the provider's own."""
    headers = {"Location": address, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Response(b"", status_code=303, headers=headers)
