"""A provider says who somebody is (OpenID Connect): it is believed only as far as it can be proved."""

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import RSAKey
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from runtime.settings import Settings, SettingsError
from services.console.people.provider import Provider
from tests.databases import Databases, SqliteFiles, opened
from tests.people_look_at_it.a_provider import (
    CLIENT,
    HOME,
    SECRET,
    OpenIdProvider,
    running_provider,
)
from tests.people_look_at_it.front_door import Browser, FrontDoor
from wards.load import bundled_ward, load_ward

SUBJECT = "sample-subject-0001"
Forge = Callable[[dict[str, Any]], str]


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenIdProvider]:
    with running_provider(tmp_path_factory.mktemp("provider")) as running:
        yield running


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    databases: Databases = SqliteFiles(tmp_path)
    with opened(databases, "console") as found:
        yield found


class Between(httpx.AsyncHTTPTransport):
    """What passes between the console and the provider, and may be changed on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.forge: Forge | None = None
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        answered = await super().handle_async_request(request)
        if self.forge is None or request.url.path != "/token":
            return answered
        said = json.loads(await answered.aread())
        await answered.aclose()
        payload = said["id_token"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        said["id_token"] = self.forge(claims)
        return httpx.Response(200, json=said)


class Place:
    """A console that knows the provider; a browser at its door."""

    def __init__(self, engine: Engine, home: Path, provider: OpenIdProvider) -> None:
        secret = home / "client_secret"
        secret.write_text(SECRET + "\n")
        self.between = Between()
        self.clock = ManualClock(datetime.now(UTC))
        ward = load_ward(bundled_ward())
        told: dict[str, Any] = {
            "console_url": HOME,
            "console_oidc_issuer": provider.issuer,
            "console_oidc_client_id": CLIENT,
            "console_oidc_client_secret_file": secret,
        }
        self.client = Provider(Settings(home=home, **told), self.clock, self.between)
        self.door = FrontDoor(engine, ward, self.clock, home, provider=self.client, **told)
        self.provider = provider

    def somebody(self, subject: str = SUBJECT, agency: str = "core") -> None:
        self.door.people.accounts.new(agency, "a.mihon", "見本 職員", subject)

    async def there(self, browser: Browser, back: str = "/who") -> str:
        sent = await browser.get(f"/login/provider?next={back}")
        assert sent.status_code == 303, sent.text
        return sent.headers["location"]

    async def there_and_back(
        self, browser: Browser, subject: str = SUBJECT, back: str = "/who"
    ) -> str:
        """The path with which the provider sends the browser back."""
        returned = await self.provider.visited(await self.there(browser, back), subject)
        return returned.headers["location"].removeprefix(HOME)


@pytest.fixture
def place(engine: Engine, tmp_path: Path, provider: OpenIdProvider) -> Place:
    return Place(engine, tmp_path, provider)


def play(place: Place, story: Coroutine[Any, Any, None]) -> None:
    async def told() -> None:
        try:
            await story
        finally:
            await place.client.close()

    asyncio.run(told())


def test_who_is_known_to_the_provider_is_let_in_to_the_page_that_was_wanted(place: Place) -> None:
    place.somebody()

    async def story() -> None:
        browser = place.door.browser()
        away = await place.there(browser)
        asked = parse_qs(urlsplit(away).query)
        assert asked["code_challenge_method"] == ["S256"]
        assert asked["scope"] == ["openid"]
        # Where somebody wants to go names a referral at times: the provider is not told.
        assert "who" not in away.replace(HOME, "")
        cookie = browser.http.cookies[place.door.cookie]
        answer = await place.there_and_back(browser)
        let_in = await browser.get(answer)
        assert (let_in.status_code, let_in.headers["location"]) == (303, "/who")
        assert (await browser.get("/who")).text == "a.mihon"
        assert browser.http.cookies[place.door.cookie] != cookie

    play(place, story())


def test_signing_out_offers_to_sign_out_of_the_provider_too(place: Place) -> None:
    place.somebody()

    async def story() -> None:
        browser = place.door.browser()
        await browser.get(await place.there_and_back(browser))
        out = await browser.post("/logout", {}, page="/account")
        shown = await browser.get(out.headers["location"])
        assert 'href="/login/provider/out"' in shown.text
        there = (await browser.get("/login/provider/out")).headers["location"]
        assert there.startswith(place.provider.issuer)
        assert SUBJECT not in there
        async with httpx.AsyncClient() as other:
            assert (await other.get(there)).status_code == 200
        assert not await browser.is_in()

    play(place, story())


def test_who_is_known_to_the_provider_only_is_told_so(place: Place) -> None:
    place.somebody(agency="core")

    async def story() -> None:
        browser = place.door.browser()
        refused = await browser.get(await place.there_and_back(browser, "someone-else"))
        assert refused.status_code == 403
        assert "この画面を使う登録がありません" in refused.text
        assert "someone-else" not in refused.text
        account = place.door.people.accounts.by_login("a.mihon")
        assert account is not None
        place.door.people.accounts.leave(account)
        refused = await browser.get(await place.there_and_back(browser))
        assert refused.status_code == 403
        assert not await browser.is_in()

    play(place, story())


def test_an_answer_is_good_once_and_in_the_browser_that_asked_for_it(place: Place) -> None:
    place.somebody()

    async def story() -> None:
        browser, other = place.door.browser(), place.door.browser()
        await other.get("/login")
        answer = await place.there_and_back(browser)
        stolen = await other.get(answer)
        assert stolen.status_code == 400
        assert not await other.is_in()
        # Nor is anybody signed in as somebody else whose journey was put into their browser.
        for name, value in browser.http.cookies.items():
            if "away" in name:
                other.http.cookies.set(name, value)
        assert (await other.get(answer)).status_code == 400
        assert not await other.is_in()
        # Whom it was meant for it serves all the same: once.
        before = dict(browser.http.cookies)
        assert (await browser.get(answer)).status_code == 303
        assert (await browser.get(answer)).status_code == 400
        asked = place.between.asked.count("/token")
        again = place.door.browser()
        again.http.cookies.update(before)
        assert (await again.get(answer)).status_code == 400
        assert place.between.asked.count("/token") == asked

    play(place, story())


def test_who_is_there_comes_back_whatever_happens_here_in_the_meantime(
    place: Place, engine: Engine, tmp_path: Path
) -> None:
    """Very many others set out and never return; the console is started anew."""
    place.somebody()

    async def story() -> None:
        browser = place.door.browser()
        wanted = f"/who?{'x' * 500}"
        answer = await place.there_and_back(browser, back=wanted)
        cookies = " ".join(f"{name}={value}" for name, value in browser.http.cookies.items())
        assert "xxx" not in cookies
        assert len(cookies) < 4096
        for _ in range(50):
            await place.there(place.door.browser())
        (tmp_path / "anew").mkdir()
        anew = Place(engine, tmp_path / "anew", place.provider)
        later = anew.door.browser()
        later.http.cookies = browser.http.cookies
        let_in = await later.get(answer)
        assert let_in.headers["location"] == wanted
        assert not [name for name in later.http.cookies if "away" in name]
        await anew.client.close()

    play(place, story())


def test_a_browser_keeps_the_last_few_journeys_of_its_tabs(place: Place) -> None:
    place.somebody()

    async def story() -> None:
        browser = place.door.browser()
        first = await place.there_and_back(browser)
        second = await place.there_and_back(browser, back="/account")
        assert (await browser.get(first)).headers["location"] == "/who"
        assert (await browser.get(second)).status_code == 400, "it is another browser now"
        for _ in range(20):
            await place.there(browser)
        assert len([name for name in browser.http.cookies if "away" in name]) == 4

    play(place, story())


class Hanging(httpx.AsyncBaseTransport):
    """A provider that is asked and does not answer until it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_asked = asyncio.Event()
        self.lets_go = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        self.is_asked.set()
        await self.lets_go.wait()
        raise httpx.ReadTimeout("no answer", request=request)


def test_a_provider_that_hangs_is_waited_for_once_by_everybody_together(
    engine: Engine, tmp_path: Path
) -> None:
    told: dict[str, Any] = {
        "console_oidc_issuer": "https://provider.example",
        "console_oidc_client_id": CLIENT,
    }
    clock, hanging = ManualClock(datetime.now(UTC)), Hanging()
    provider = Provider(Settings(home=tmp_path, **told), clock, hanging)
    ward = load_ward(bundled_ward())
    door = FrontDoor(engine, ward, clock, tmp_path, provider=provider, **told)

    async def story() -> None:
        async def sets_out() -> int:
            return (await door.browser().get("/login/provider?next=/who")).status_code

        everybody = [asyncio.create_task(sets_out()) for _ in range(10)]
        everybody.append(asyncio.create_task(sets_out()))
        await hanging.is_asked.wait()
        everybody.pop().cancel()
        out = asyncio.create_task(door.browser().get("/login/provider/out"))
        hanging.lets_go.set()
        assert await asyncio.gather(*everybody) == [503] * 10
        assert (await out).headers["location"] == "/login"
        assert await sets_out() == 503
        assert hanging.asked == 1
        clock.move(timedelta(seconds=5))
        assert await sets_out() == 503
        assert hanging.asked == 2
        await provider.close()

    asyncio.run(story())


def test_a_code_that_was_used_is_refused_by_the_provider_itself(place: Place) -> None:
    place.somebody()

    async def story() -> None:
        browser = place.door.browser()
        answer = await place.there_and_back(browser)
        code = parse_qs(urlsplit(answer).query)["code"][0]
        assert (await browser.get(answer)).status_code == 303
        other = place.door.browser()
        state = parse_qs(urlsplit(await place.there(other)).query)["state"][0]
        issuer = place.provider.issuer
        injected = await other.get(f"/login/provider/back?code={code}&state={state}&iss={issuer}")
        assert injected.status_code == 400
        assert not await other.is_in()

    play(place, story())


def test_an_answer_comes_too_late_after_ten_minutes(place: Place) -> None:
    place.somebody()

    async def story() -> None:
        browser = place.door.browser()
        answer = await place.there_and_back(browser)
        place.clock.move(timedelta(minutes=10))
        assert (await browser.get(answer)).status_code == 400
        assert not await browser.is_in()

    play(place, story())


def test_another_providers_answer_is_not_taken_for_this_ones(place: Place) -> None:
    async def story() -> None:
        browser = place.door.browser()
        for issuer in ("https://other.example", ""):
            state = parse_qs(urlsplit(await place.there(browser)).query)["state"][0]
            named = f"&iss={issuer}" if issuer else ""
            refused = await browser.get(f"/login/provider/back?code=c&state={state}{named}")
            assert refused.status_code == 403
        assert "/token" not in place.between.asked

    play(place, story())


def test_who_changes_their_mind_at_the_provider_is_told_what_to_do(place: Place) -> None:
    async def story() -> None:
        browser = place.door.browser()
        state = parse_qs(urlsplit(await place.there(browser)).query)["state"][0]
        said = f"error=access_denied&error_description=%3Cscript%3E&iss={place.provider.issuer}"
        refused = await browser.get(f"/login/provider/back?state={state}&{said}")
        assert refused.status_code == 403
        assert "取りやめられました" in refused.text
        assert "<script>" not in refused.text

    play(place, story())


OTHERS = RSAKey.generate_key(2048, {"kid": "sample"}, private=True)


def unsigned(claims: dict[str, Any]) -> str:
    parts = [json.dumps({"alg": "none"}), json.dumps(claims)]
    return ".".join(base64.urlsafe_b64encode(p.encode()).rstrip(b"=").decode() for p in parts) + "."


@pytest.mark.parametrize(
    ("wrong", "changed"),
    [
        ("nonce", {"nonce": "another"}),
        ("no nonce", {"nonce": None}),
        ("audience", {"aud": "another-client"}),
        ("audiences and no party", {"aud": [CLIENT, "another-client"]}),
        ("audience, in our name", {"aud": "another-client", "azp": CLIENT}),
        ("another audience beside us", {"aud": [CLIENT, "another-client"], "azp": CLIENT}),
        ("party", {"azp": "another-client"}),
        ("issuer", {"iss": "https://other.example"}),
        ("expired", {"exp": 1_000_000_000}),
        ("expiry no number", {"exp": "tomorrow"}),
        ("no expiry", {"exp": None}),
        ("of the future", {"nbf": 9_000_000_000, "iat": 9_000_000_000}),
        ("no subject", {"sub": None}),
        ("subject a list", {"sub": [SUBJECT]}),
        ("another's access token", {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
    ],
)
def test_what_the_provider_signed_but_does_not_fit_lets_nobody_in(
    place: Place, wrong: str, changed: dict[str, Any]
) -> None:
    place.somebody()

    def forge(claims: dict[str, Any]) -> str:
        made = {**claims, **changed}
        return place.provider.signs({k: v for k, v in made.items() if v is not None})

    async def story() -> None:
        browser = place.door.browser()
        place.between.forge = forge
        refused = await browser.get(await place.there_and_back(browser))
        assert refused.status_code == 403, wrong
        assert not await browser.is_in()
        # Unchanged, signed anew by the same hand, it is good: it was the change that was refused.
        place.between.forge = place.provider.signs
        assert (await browser.get(await place.there_and_back(browser))).status_code == 303

    play(place, story())


@pytest.mark.parametrize(
    "forge",
    [
        unsigned,
        lambda claims: OpenIdProvider.signs(None, claims, OTHERS),  # type: ignore[arg-type]
        lambda _: "no token at all",
        lambda _: "",
        lambda _: {"a": "dict"},
    ],
    ids=["alg none", "another's key", "garbage", "empty", "no text"],
)
def test_what_the_provider_did_not_sign_lets_nobody_in(place: Place, forge: Forge) -> None:
    place.somebody()

    async def story() -> None:
        browser = place.door.browser()
        place.between.forge = forge
        refused = await browser.get(await place.there_and_back(browser))
        assert refused.status_code == 403
        assert "確かめられません" in refused.text
        assert not await browser.is_in()

    play(place, story())


def test_a_provider_that_is_down_is_told_in_words_and_passwords_go_on(
    engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    with running_provider(tmp_path / "own") as provider:
        place = Place(engine, tmp_path, provider)
        provider.stop()
    place.door.account("b.mihon")

    async def story() -> None:
        browser = place.door.browser()
        down = await browser.get("/login/provider?next=/who")
        assert down.status_code == 503
        assert "認証基盤から返事がありません" in down.text
        assert (await browser.signs_in("b.mihon")).headers["location"] == "/who"

    play(place, story())


def test_it_goes_down_while_somebody_is_there(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    with running_provider(tmp_path / "own") as provider:
        place = Place(engine, tmp_path, provider)
        place.somebody()

        async def story() -> None:
            browser = place.door.browser()
            answer = await place.there_and_back(browser)
            provider.stop()
            assert (await browser.get(answer)).status_code == 503
            assert not await browser.is_in()

        play(place, story())


@pytest.mark.parametrize(
    "issuer",
    ["http://provider.example", "ftp://127.0.0.1", "provider.example", "https://", "http://["],
)
def test_a_provider_without_tls_is_refused_at_the_start(tmp_path: Path, issuer: str) -> None:
    settings = Settings(home=tmp_path, console_oidc_issuer=issuer, console_oidc_client_id=CLIENT)
    with pytest.raises(SettingsError, match="https"):
        Provider(settings, ManualClock(datetime.now(UTC)))
