"""One's own account (アカウント): the first password, another one, and where one is signed in."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from services.console.pages import Pages
from services.console.people.accounts import Account, login_of
from services.console.people.entrance import Entrance, in_words
from services.console.people.passwords import LONGEST, SHORTEST, Bad, Busy, why_not
from services.console.people.people import People, Refusal
from services.console.person import EVERYBODY, WITH_SCREENS, Role
from services.console.reception import Reception
from services.console.visit import Visit
from wards.model import Ward

Problems = dict[str, str]
"""What is wrong, by the field in which it was typed."""


class OwnAccount:
    def __init__(
        self, ward: Ward, reception: Reception, pages: Pages, people: People, entrance: Entrance
    ) -> None:
        self._ward = ward
        self._reception = reception
        self._pages = pages
        self._people = people
        self._entrance = entrance

    def handlers(self) -> list[HTTPRouteHandler]:
        at = self._reception
        return [
            at.open_page("/welcome", "welcome", self._welcome),
            at.open_deed("/welcome", "welcome", self._first_password),
            at.page("/account", "account", WITH_SCREENS, self._account),
            at.deed("/account/password", "account_password", EVERYBODY, self._change_password),
            at.deed("/account/end", "account_end", EVERYBODY, self._end),
            at.deed("/account/end-others", "account_end_others", EVERYBODY, self._end_others),
        ]

    # -- the first password ----------------------------------------------------------------------

    async def _welcome(self, visit: Visit) -> Response[bytes]:
        return self._welcome_form(visit, {})

    async def _first_password(self, visit: Visit) -> Response[bytes]:
        form = visit.form
        login, code = login_of(form.get("login")), form.get("code")
        wrong = self._new_password(visit, login)
        if not login:
            wrong["login"] = visit.t("ログイン名を入力してください", "Please type your login")
        if not code.strip():
            wrong["code"] = visit.t("コードを入力してください", "Please type the code")
        if wrong:
            return self._welcome_form(visit, wrong, 422)
        wait = self._entrance.wait(visit)
        if wait is not None:
            return self._welcome_form(visit, {"": _wait(visit, wait)}, 429)
        account = await asyncio.to_thread(self._people.accounts.by_code, login, code)
        if account is None:
            self._entrance.wrong(visit)
            return self._no_such_code(visit)
        # What its owner is called was not known before.
        wrong = self._new_password(visit, login, account)
        if wrong:
            return self._welcome_form(visit, wrong, 422)
        try:
            kept = await self._people.passwords.kept(form.get("new"))
        except Busy:
            return self._welcome_form(visit, {"": _wait(visit, timedelta(seconds=10))}, 503)
        accounts = self._people.accounts
        if not await asyncio.to_thread(accounts.set_password, account, kept, code):
            return self._no_such_code(visit)  # used in another window in the meantime
        await asyncio.to_thread(self._people.failures.forget, account.login)
        return await self._entrance.comes_in(visit, replace(account, password=kept), "/")

    def _no_such_code(self, visit: Visit) -> Response[bytes]:
        words = visit.t(
            "ログイン名とコードの組み合わせが違うか、コードの期限が切れています",
            "The login and the code do not belong together, or the code is good no longer",
        )
        return self._welcome_form(visit, {"code": words}, 422)

    def _welcome_form(self, visit: Visit, wrong: Problems, status: int = 200) -> Response[bytes]:
        return self._pages.render(
            visit, "people/welcome.html", status, login=visit.form.get("login")[:256],
            rules=_rules(visit), **_told(wrong),
        )  # fmt: skip

    # -- the account -----------------------------------------------------------------------------

    async def _account(self, visit: Visit) -> Response[bytes]:
        if visit.person.role is Role.SCREEN:
            return self._pages.render(visit, "people/screen.html")
        return await self._account_page(visit, {})

    async def _account_page(
        self, visit: Visit, wrong: Problems, status: int = 200
    ) -> Response[bytes]:
        account = await asyncio.to_thread(self._people.accounts.by_id, visit.person.id)
        return self._pages.render(
            visit, "people/account.html", status, rules=_rules(visit), **_told(wrong),
            sittings=await self._people.sittings(visit.person),
            has_password=account is not None and account.password is not None,
        )  # fmt: skip

    async def _change_password(self, visit: Visit) -> Response[bytes]:
        person, form = visit.person, visit.form
        account = await asyncio.to_thread(self._people.accounts.by_id, person.id)
        wrong = self._new_password(visit, person.login, account)
        if not form.get("password"):
            wrong["password"] = visit.t(
                "いまのパスワードを入力してください", "Please type your password of now"
            )
        if wrong:
            return await self._account_page(visit, wrong, 422)
        found = await self._entrance.tried(visit, person.login, form.get("password"))
        if isinstance(found, Refusal):
            if found.wait is not None:
                return await self._account_page(visit, {"": _wait(visit, found.wait)}, 429)
            return await self._not_of_now(visit)
        try:
            kept = await self._people.passwords.kept(form.get("new"))
        except Busy:
            wait = _wait(visit, timedelta(seconds=10))
            return await self._account_page(visit, {"": wait}, 503)
        accounts, was = self._people.accounts, found.password
        if not await asyncio.to_thread(accounts.set_password, found, kept, was=was):
            return await self._not_of_now(visit)  # changed elsewhere in the meantime
        found = replace(found, password=kept)
        response = await self._entrance.comes_in(visit, found, "/account")
        if visit.signed_in is not None:
            visit.flash("パスワードを変えました", "The password was changed")
        return response

    async def _not_of_now(self, visit: Visit) -> Response[bytes]:
        words = visit.t("いまのパスワードが違います", "That is not your password of now")
        return await self._account_page(visit, {"password": words}, 422)

    async def _end(self, visit: Visit) -> Response[bytes]:
        if await self._people.end_sitting(visit.person, visit.form.get("session")):
            visit.flash("サインアウトさせました", "It was signed out")
        else:
            visit.flash("もう終わっています", "It had ended already")
        return visit.goes_to("/account")

    async def _end_others(self, visit: Visit) -> Response[bytes]:
        await self._people.end_others(visit.person)
        visit.flash("この画面のほかを終わらせました", "All but this one were ended")
        return visit.goes_to("/account")

    # -- a new password --------------------------------------------------------------------------

    def _new_password(self, visit: Visit, login: str, account: Account | None = None) -> Problems:
        """What is wrong with what was typed as ``new`` and ``again``."""
        new = visit.form.get("new")
        if not new:
            return {
                "new": visit.t("新しいパスワードを入力してください", "Please type a new password")
            }
        names = [login, *login.replace("@", ".").split("."), self._ward.name, self._ward.name_en]
        if account is not None:
            names += [account.name, *account.name.split(), account.agency]
            found = self._ward.agency(account.agency)
            names += [found.name, found.name_en] if found is not None else []
        bad = why_not(new, names)
        if bad is not None:
            return {"new": _why(visit, bad)}
        if visit.form.get("again") != new:
            return {
                "again": visit.t("2回の入力が同じではありません", "The two are not the same"),
            }
        return {}


def _told(wrong: Problems) -> dict[str, object]:
    """For a template: the summary, and the words at each field."""
    fields = ("login", "code", "password", "new", "again")
    return {
        "problems": list(wrong.items()),
        "errors": {name: wrong.get(name, "") for name in fields},
    }


def _rules(visit: Visit) -> str:
    return visit.t(
        f"{SHORTEST}文字以上。文字の種類は問いません。好きな文でもかまいません。",
        f"At least {SHORTEST} characters of any kind; a sentence is fine.",
    )


def _why(visit: Visit, bad: Bad) -> str:
    match bad:
        case Bad.SHORT:
            return visit.t(
                f"{SHORTEST}文字以上にしてください",
                f"It has to have at least {SHORTEST} characters",
            )
        case Bad.LONG:
            return visit.t(
                f"{LONGEST}文字以内にしてください", f"It may have {LONGEST} characters at most"
            )
        case Bad.GUESSABLE:
            return visit.t(
                "推測されやすいため使えません。名前やよくある語のほかに、言葉を足してください",
                "It is too easily guessed; add words other than names and the usual ones",
            )


def _wait(visit: Visit, wait: timedelta) -> str:
    words = in_words(visit, wait)
    return visit.t(
        f"試行が続いたため、{words}ほど待ってから、もう一度お試しください",
        f"There were too many attempts; please wait {words}, then try again",
    )
