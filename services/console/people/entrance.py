"""The entrance (入口): whoever has shown who they are comes in, and whoever was wrong too often waits."""

from datetime import timedelta
from math import ceil

from litestar import Response

from runtime.clock import Clock
from runtime.settings import Settings, SettingsError
from services.console.people.accounts import Account
from services.console.people.known import COOKIE, GOOD_FOR, Known
from services.console.people.passwords import Busy
from services.console.people.people import People, Refusal
from services.console.people.tries import Tries, address_of, proxies_of
from services.console.reception import Reception, new_token
from services.console.visit import Visit

_BUSY = timedelta(seconds=10)


class Entrance:
    def __init__(
        self, settings: Settings, clock: Clock, people: People, reception: Reception
    ) -> None:
        """Raises SettingsError."""
        self._people = people
        self._reception = reception
        self._known = Known(reception.key_for("known"), clock)
        self.tries = Tries(clock)
        try:
            self._proxies = proxies_of(settings.trusted_proxies)
        except ValueError as error:
            raise SettingsError(f"TSUNAGU_TRUSTED_PROXIES: {error}") from None

    def wait(self, visit: Visit) -> timedelta | None:
        """How long nothing more is looked at from where this visit comes; None: it is."""
        seconds = self.tries.wait(self._address(visit), self._whose(visit))
        return timedelta(seconds=seconds) if seconds > 0 else None

    def wrong(self, visit: Visit) -> None:
        self.tries.wrong(self._address(visit), self._whose(visit))

    async def tried(self, visit: Visit, login: str, password: str) -> Account | Refusal:
        """Whose login and password these are, unless too many were wrong."""
        wait = self.wait(visit)
        if wait is not None:
            return Refusal(wait)
        try:
            found = await self._people.sign_in(login, password)
        except Busy:
            return Refusal(_BUSY)
        if isinstance(found, Refusal):
            self.wrong(visit)
        return found

    async def comes_in(self, visit: Visit, account: Account, back: str) -> Response[bytes]:
        """Under a cookie that nobody has had before: one that was planted in the browser opens
        nothing."""
        token = new_token()
        visit.signed_in = await self._people.begin(account, token, visit.signed_in)
        visit.token = token
        response = visit.goes_to(back)
        if visit.signed_in is not None:
            mark, age = self._known.mark(account.id), int(GOOD_FOR.total_seconds())
            self._reception.keep(response, self._cookie, mark, age)
        return response

    @property
    def _cookie(self) -> str:
        return self._reception.for_this_host(COOKIE)

    def _whose(self, visit: Visit) -> str | None:
        return self._known.whose(visit.request.cookies.get(self._cookie, ""))

    def _address(self, visit: Visit) -> str:
        request = visit.request
        peer = request.client.host if request.client is not None else ""
        return address_of(peer, request.headers.get("x-forwarded-for", ""), self._proxies)


def in_words(visit: Visit, wait: timedelta) -> str:
    """``2分``: rounded up, so that whoever waits so long need not wait again."""
    seconds = ceil(wait.total_seconds())
    minutes = ceil(seconds / 60)
    if seconds < 60:
        return visit.t(f"{seconds}秒", f"{seconds} seconds")
    return visit.t(f"{minutes}分", f"{minutes} minute{'s' if minutes > 1 else ''}")
