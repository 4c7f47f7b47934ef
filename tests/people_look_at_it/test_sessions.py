"""A session begins at the right password, lasts a working day at most, and ends when it should."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from argon2 import profiles
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock, utc_text
from runtime.database import reading, writing
from schemas.outside import local_day
from services.console import tables as t
from services.console.people.accounts import Account, end_sessions
from services.console.people.passwords import Passwords
from services.console.people.people import IDLE, LONGEST, session_id
from tests.people_look_at_it.front_door import PASSWORD, Browser, FrontDoor, csrf_of
from wards.load import bundled_ward, load_ward
from wards.model import Ward

MINUTE = timedelta(minutes=1)
LOGIN = "a.mihon"
Play = Callable[[Callable[[Browser], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def engine(database_of: Callable[[str], Engine]) -> Engine:
    return database_of("console")


@pytest.fixture
def door(engine: Engine, clock: ManualClock, tmp_path: Path) -> FrontDoor:
    return FrontDoor(engine, load_ward(bundled_ward()), clock, tmp_path)


@pytest.fixture
def play(door: FrontDoor) -> Play:
    """With somebody who has signed in."""

    def told(story: Callable[[Browser], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            door.account(LOGIN)
            browser = door.browser()
            await browser.signs_in(LOGIN)
            assert await browser.is_in()
            await story(browser)

        asyncio.run(whole())

    return told


def without(ward: Ward, agency: str, last_day: date | None) -> Ward:
    """The ward, with an agency whose last day it was; None: no longer in the file at all."""
    kept = tuple(
        a if a.id != agency else a.model_copy(update={"valid_to": last_day})
        for a in ward.agencies
        if a.id != agency or last_day is not None
    )
    return ward.model_copy(update={"agencies": kept})


def test_who_types_the_right_password_is_in_under_another_cookie(door: FrontDoor) -> None:
    async def story() -> None:
        door.account(LOGIN)
        browser = door.browser()
        before = await browser.get("/who?page=2")
        assert (before.status_code, before.headers["location"]) == (
            303,
            "/login?next=/who%3Fpage%3D2",
        )
        planted = browser.http.cookies[door.cookie]
        done = await browser.signs_in(LOGIN, back="/who?page=2")
        assert (done.status_code, done.headers["location"]) == (303, "/who?page=2")
        assert (await browser.get("/who")).text == LOGIN
        assert browser.http.cookies[door.cookie] != planted
        given = done.headers["set-cookie"]
        assert "HttpOnly" in given
        assert "SameSite=lax" in given
        # Whoever had planted the first cookie has nothing.
        other = door.browser()
        other.http.cookies.set(door.cookie, planted)
        assert not await other.is_in()

    asyncio.run(story())


def test_over_https_the_cookie_is_for_this_host_alone(
    engine: Engine, clock: ManualClock, tmp_path: Path
) -> None:
    ward = load_ward(bundled_ward())
    door = FrontDoor(engine, ward, clock, tmp_path, console_url="https://console.test")

    async def story() -> None:
        given = (await door.browser().get("/login")).headers["set-cookie"]
        assert given.startswith("__Host-tsunagu=")
        assert "Secure" in given
        assert "Domain" not in given

    asyncio.run(story())


@pytest.mark.parametrize(
    ("agency", "first"),
    [
        ("core", "/board"),
        ("hub-motofuji", "/inbox"),
        ("ward-office", "/ward"),
        ("auditor", "/replay"),
    ],
)
def test_everybody_begins_at_the_page_of_their_role(
    door: FrontDoor, agency: str, first: str
) -> None:
    async def story() -> None:
        door.account(LOGIN, agency)
        browser = door.browser()
        await browser.signs_in(LOGIN)
        assert (await browser.get("/")).headers["location"] == first
        core_only = await browser.get("/core-only")
        assert core_only.status_code == (200 if agency == "core" else 403)

    asyncio.run(story())


def test_a_session_nobody_uses_ends_after_half_an_hour(play: Play, door: FrontDoor) -> None:
    async def story(browser: Browser) -> None:
        for _ in range(3):
            door.clock.move(IDLE - MINUTE)
            assert await browser.is_in()
        door.clock.move(IDLE)
        assert not await browser.is_in()

    play(story)


def test_a_session_ends_after_ten_hours_however_much_it_is_used(
    play: Play, door: FrontDoor
) -> None:
    async def story(browser: Browser) -> None:
        for _ in range(29):
            door.clock.move(LONGEST / 30)
            assert await browser.is_in()
        until = (await browser.get("/session")).json()["until"]
        assert until == (door.clock.now() + LONGEST / 30).isoformat()
        door.clock.move(LONGEST / 30)
        assert not await browser.is_in()

    play(story)


def test_what_a_page_fetches_for_itself_prolongs_nothing(play: Play, door: FrontDoor) -> None:
    async def story(browser: Browser) -> None:
        began = door.clock.now()
        for _ in range(5):
            door.clock.move(IDLE / 6)
            fetched = await browser.get("/who", **{"Sec-Fetch-Dest": "empty"})
            assert fetched.status_code == 200
        told = (await browser.get("/session", **{"Sec-Fetch-Dest": "empty"})).json()
        assert told["until"] == (began + IDLE).isoformat()
        door.clock.move(IDLE / 6)
        assert not await browser.is_in()

    play(story)


def test_a_session_is_continued_when_its_owner_says_so(play: Play, door: FrontDoor) -> None:
    async def story(browser: Browser) -> None:
        csrf = csrf_of(await browser.get("/account"))
        door.clock.move(IDLE - MINUTE / 2)
        fetched = await browser.http.post(
            "/session/continue", data={"csrf": csrf}, headers={"Accept": "application/json"}
        )
        assert fetched.json() == {"until": (door.clock.now() + IDLE).isoformat()}
        door.clock.move(IDLE - MINUTE / 2)
        # Without scripts it is a form like any other.
        form = await browser.http.post("/session/continue", data={"csrf": csrf, "back": "/who"})
        assert (form.status_code, form.headers["location"]) == (303, "/who")
        door.clock.move(IDLE)
        late = await browser.http.post("/session/continue", data={"csrf": csrf})
        assert late.headers["location"] == "/login?next=/"

    play(story)


def test_a_session_in_use_is_written_to_once_a_minute_at_most(play: Play, door: FrontDoor) -> None:
    writes: list[str] = []

    def heard(*said: Any) -> None:
        if said[2].startswith("UPDATE sessions"):
            writes.append(said[2])

    async def story(browser: Browser) -> None:
        sa.event.listen(door.engine, "before_cursor_execute", heard)
        for _ in range(12):
            assert await browser.is_in()
            door.clock.move(MINUTE / 6)
        assert len(writes) == 1

    play(story)


def test_back_after_signing_out_shows_nothing(play: Play, door: FrontDoor) -> None:
    async def story(browser: Browser) -> None:
        shown = await browser.get("/account")
        assert shown.headers["cache-control"] == "no-store"
        old = browser.http.cookies[door.cookie]
        out = await browser.post("/logout", {}, page="/account")
        assert (out.status_code, out.headers["location"]) == (303, "/signed-out")
        assert browser.http.cookies[door.cookie] != old
        again = await browser.get("/account")
        assert (again.status_code, again.headers["location"]) == (303, "/login?next=/account")
        # The cookie that somebody may have copied is worth nothing now.
        browser.http.cookies.set(door.cookie, old)
        assert not await browser.is_in()
        # Signing out twice, from another tab, does no harm.
        assert (await browser.post("/logout", {})).status_code == 303

    play(story)


def test_of_two_tabs_one_signs_in_as_somebody_else(play: Play, door: FrontDoor) -> None:
    async def story(browser: Browser) -> None:
        door.account("b.mihon", "hub-motofuji")
        old_tab = csrf_of(await browser.get("/account"))
        other = await browser.http.get("/login")
        assert other.headers["location"] == "/"  # who is in already has no need of the form
        login = {"login": "b.mihon", "password": "umi-kara-kita-kaze-3", "csrf": old_tab}
        assert (await browser.http.post("/login", data=login)).status_code == 303
        assert (await browser.get("/who")).text == "b.mihon"
        # What the first tab still shows cannot be sent under the second one's name.
        refused = await browser.http.post("/deed", data={"csrf": old_tab})
        assert refused.status_code == 403
        assert "期限が切れています" in refused.text
        with reading(door.engine) as connection:
            assert connection.scalar(sa.select(sa.func.count()).select_from(t.sessions)) == 1

    play(story)


def test_who_left_is_out_at_the_next_request_and_streams_know_within_a_second(
    play: Play, door: FrontDoor
) -> None:
    async def story(browser: Browser) -> None:
        account = door.people.accounts.by_login(LOGIN)
        assert account is not None
        person = await door.people.who(browser.http.cookies[door.cookie])
        assert person is not None
        assert await door.people.still(person)
        door.people.accounts.leave(account)
        assert not await browser.is_in()
        door.clock.move(timedelta(seconds=1))
        assert not await door.people.still(person)
        again = await browser.signs_in(LOGIN)
        assert again.status_code == 422

    play(story)


def test_who_leaves_in_the_moment_of_signing_in_is_not_in(door: FrontDoor) -> None:
    async def story() -> None:
        account = door.account(LOGIN)
        door.people.accounts.leave(account)
        assert await door.people.begin(account, "A" * 43) is None
        browser = door.browser()
        browser.http.cookies.set(door.cookie, "A" * 43)
        assert not await browser.is_in()

    asyncio.run(story())


def test_looking_again_and_again_whether_somebody_is_still_here_is_cheap(
    play: Play, door: FrontDoor
) -> None:
    asked: list[str] = []

    async def story(browser: Browser) -> None:
        person = await door.people.who(browser.http.cookies[door.cookie])
        assert person is not None
        sa.event.listen(door.engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
        for _ in range(100):
            assert await door.people.still(person)
        assert len([said for said in asked if said.startswith("SELECT")]) == 1

    play(story)


OTHER_PASSWORD = "kaze-ga-fuku-hi-ni-2"
AFTER = "A" * 43


@pytest.mark.parametrize("meanwhile", ["another password", "left"])
def test_who_showed_a_password_that_is_none_any_more_does_not_come_in(
    door: FrontDoor, meanwhile: str
) -> None:
    """It takes a while to find out that a password is right: in that while it can be changed, because
    somebody else knows it."""

    async def story() -> None:
        door.account(LOGIN)
        shown = await door.people.sign_in(LOGIN, PASSWORD)
        assert isinstance(shown, Account)
        if meanwhile == "left":
            door.people.accounts.leave(shown)
        else:
            kept = door.people.passwords.kept_now(OTHER_PASSWORD)
            door.people.accounts.set_password(shown, kept)
        assert await door.people.begin(shown, AFTER) is None
        with reading(door.engine) as connection:
            assert not list(connection.execute(sa.select(t.sessions)))
        # Nor is the new password overwritten by whoever knows the old one.
        assert not door.people.accounts.set_password(shown, "argon2 of another", was=shown.password)

    asyncio.run(story())


@pytest.mark.parametrize("ending", ["another password", "signed out everywhere"])
def test_a_session_begins_before_its_account_is_signed_out_or_after_never_beside_it(
    door: FrontDoor, ending: str
) -> None:
    made = door.account(LOGIN)
    hers = t.accounts.c.id == str(made.id)
    with ThreadPoolExecutor(1) as elsewhere:
        with writing(door.engine) as connection:
            if ending == "another password":
                connection.execute(t.accounts.update().where(hers).values(password="another"))
            end_sessions(connection, made.id)
            begun = elsewhere.submit(door.people._begin, made, session_id(AFTER), None)
            _, waits = wait([begun], timeout=0.5)
            assert waits, "it does not wait until the other is through"
        assert (begun.result() is None) is (ending == "another password")


def test_a_password_made_anew_in_the_meantime_is_the_same_password(door: FrontDoor) -> None:
    """With today's parameters: whoever signs in as it happens comes in."""

    async def story() -> None:
        door.account(LOGIN)
        account = door.people.accounts.by_login(LOGIN)
        assert account is not None
        dear = Passwords(profiles.RFC_9106_LOW_MEMORY)
        door.people.passwords = dear
        assert (await door.browser().signs_in(LOGIN)).headers["location"] == "/who"
        found = door.people.accounts.by_login(LOGIN)
        assert found is not None
        assert found.password != account.password

    asyncio.run(story())


@pytest.mark.parametrize("gone", ["yesterday", "from the file"])
def test_whose_agency_left_the_network_is_out(
    engine: Engine, door: FrontDoor, clock: ManualClock, tmp_path: Path, gone: str
) -> None:
    async def story() -> None:
        door.account(LOGIN, "hub-motofuji")
        browser = door.browser()
        await browser.signs_in(LOGIN)
        today = local_day(clock.now())
        last_day = today - timedelta(days=1) if gone == "yesterday" else None
        ward = without(load_ward(bundled_ward()), "hub-motofuji", last_day)
        after = FrontDoor(engine, ward, clock, tmp_path)
        later = after.browser()
        later.http.cookies = browser.http.cookies
        assert not await later.is_in()
        assert (await later.signs_in(LOGIN)).status_code == 422

    asyncio.run(story())


def test_an_agencys_last_day_is_japans_day(
    engine: Engine, clock: ManualClock, tmp_path: Path
) -> None:
    ward = without(load_ward(bundled_ward()), "hub-motofuji", date(2026, 11, 20))
    door = FrontDoor(engine, ward, clock, tmp_path)

    async def story() -> None:
        door.account(LOGIN, "hub-motofuji")
        browser = door.browser()
        for at, is_in in (
            ("2026-11-20T14:59:00+00:00", True),
            ("2026-11-20T15:00:00+00:00", False),
        ):
            clock.move(clock.now().fromisoformat(at) - clock.now())
            await browser.signs_in(LOGIN)
            assert await browser.is_in() is is_in

    asyncio.run(story())


def test_sessions_that_are_over_are_not_kept(play: Play, door: FrontDoor) -> None:
    async def story(browser: Browser) -> None:
        person = await door.people.who(browser.http.cookies[door.cookie])
        assert person is not None
        opened = {"session": person.session, "referral": "r", "basis": "b"}
        with writing(door.engine) as connection:
            connection.execute(
                t.openings.insert(), {**opened, "until": utc_text(door.clock.now() + LONGEST)}
            )
        door.clock.move(IDLE + MINUTE)
        await door.browser().signs_in(LOGIN)
        with reading(door.engine) as connection:
            assert len(list(connection.execute(sa.select(t.sessions)))) == 1
            assert not list(connection.execute(sa.select(t.openings)))

    play(story)


def test_the_table_of_sessions_opens_no_door(play: Play, door: FrontDoor) -> None:
    async def story(browser: Browser) -> None:
        with reading(door.engine) as connection:
            kept = str(connection.scalar(sa.select(t.sessions.c.id)))
        for cookie in (kept, kept[:43]):
            other = door.browser()
            other.http.cookies.set(door.cookie, cookie)
            assert not await other.is_in()
        assert browser.http.cookies[door.cookie] not in kept

    play(story)


@pytest.mark.parametrize(
    "cookie",
    ["", "x", "A" * 42, "A" * 43, "A" * 44, "A" * 5000, "' OR 1=1 --" + "A" * 32, "%00" * 14 + "A"],
)
def test_a_forged_cookie_is_nobody(play: Play, door: FrontDoor, cookie: str) -> None:
    async def story(_: Browser) -> None:
        other = door.browser()
        shown = await other.get("/who", Cookie=f"{door.cookie}={cookie}")
        assert (shown.status_code, shown.headers["location"]) == (303, "/login?next=/who")

    play(story)


def test_agency_and_role_follow_from_the_account_never_from_what_is_sent(door: FrontDoor) -> None:
    async def story() -> None:
        door.account(LOGIN, "hub-motofuji")
        browser = door.browser()
        forged = {"agency": "core", "role": "core", "next": "/core-only"}
        login = {"login": LOGIN, "password": "umi-kara-kita-kaze-3"}
        await browser.post("/login?role=core&agency=core", {**forged, **login})
        shown = await browser.get("/core-only?role=core", **{"X-Role": "core"})
        assert shown.status_code == 403
        assert "権限がありません" in shown.text
        assert (await browser.get("/account")).text.count("基幹相談支援センター") == 0

    asyncio.run(story())


def test_a_form_that_is_not_from_our_page_does_nothing(play: Play, door: FrontDoor) -> None:
    async def story(browser: Browser) -> None:
        csrf = csrf_of(await browser.get("/account"))
        stranger = csrf_of(await door.browser().get("/login"))
        post = browser.http.post
        assert (await post("/deed", data={"csrf": csrf})).text == LOGIN
        assert (await post("/deed", data={})).status_code == 403
        assert (await post("/deed", data={"csrf": ""})).status_code == 403
        assert (await post("/deed", data={"csrf": stranger})).status_code == 403
        assert (await post("/deed", data={"csrf": csrf + "\u3042"})).status_code == 403
        for site in ("cross-site", "same-site"):
            headers = {"Sec-Fetch-Site": site}
            assert (await post("/deed", data={"csrf": csrf}, headers=headers)).status_code == 403
            out = await post("/logout", data={"csrf": csrf}, headers=headers)
            assert out.status_code == 403
        assert await browser.is_in()
        many = "&".join(f"f{n}=1" for n in range(2000))
        raw = await post("/deed", content=f"csrf={csrf}&{many}".encode())
        assert raw.status_code == 403

    play(story)


def test_nobody_is_signed_in_by_somebody_elses_page(door: FrontDoor) -> None:
    """Else a victim would type into the attacker's account."""

    async def story() -> None:
        door.account(LOGIN)
        browser = door.browser()
        fields = {"login": LOGIN, "password": "umi-kara-kita-kaze-3"}
        await browser.get("/login")
        refused = await browser.http.post("/login", data=fields)
        assert refused.status_code == 403
        csrf = csrf_of(await browser.get("/login"))
        refused = await browser.http.post(
            "/login", data={**fields, "csrf": csrf}, headers={"Sec-Fetch-Site": "cross-site"}
        )
        assert refused.status_code == 403
        assert not await browser.is_in()

    asyncio.run(story())


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/", "//evil.example/", "/\\evil.example", "\\/evil.example", "evil",
        "/\t/evil.example", "/\n/evil.example", "javascript:alert(1)", "/あ", "",
    ],
)  # fmt: skip
def test_after_signing_in_one_goes_nowhere_else(door: FrontDoor, back: str) -> None:
    async def story() -> None:
        door.account(LOGIN)
        browser = door.browser()
        assert (await browser.signs_in(LOGIN, back=back)).headers["location"] == "/"

    asyncio.run(story())


def test_the_language_is_kept_and_leads_back(door: FrontDoor) -> None:
    async def story() -> None:
        browser = door.browser()
        assert '<html lang="ja"' in (await browser.get("/login")).text
        chosen = await browser.post("/language", {"language": "en", "back": "/login"})
        assert chosen.headers["location"] == "/login"
        shown = (await browser.get("/login")).text
        assert '<html lang="en"' in shown
        assert "Sign in" in shown
        away = await browser.post("/language", {"language": "xx", "back": "//evil.example"})
        assert away.headers["location"] == "/"
        assert '<html lang="ja"' in (await browser.get("/login")).text

    asyncio.run(story())


def test_a_form_shown_again_leads_back_to_the_page_that_it_was_sent_from(door: FrontDoor) -> None:
    """Not to the address of the deed, which nobody can go to."""

    async def story() -> None:
        browser = door.browser()
        wrong = {"login": LOGIN, "password": "no-such-words-at-all", "next": "/"}
        sent_from = "http://console.test/login?next=/account"
        shown = await browser.post("/login", wrong, referer=sent_from)
        assert 'name="back" value="/login?next=/account"' in shown.text
        elsewhere = await browser.post(
            "/login", wrong, referer="https://evil.example//evil.example/"
        )
        assert 'name="back" value="/"' in elsewhere.text

    asyncio.run(story())


def test_where_there_is_no_page_the_menu_is_still_there(play: Play, door: FrontDoor) -> None:
    async def story(browser: Browser) -> None:
        lost = await browser.get("/no/such/page")
        assert lost.status_code == 404
        assert "サインアウト" in lost.text

    play(story)


def test_a_stream_of_somebody_who_is_signed_out_ends_for_good(door: FrontDoor) -> None:
    """A browser opens a stream that ended again and again, unless it is answered 204."""

    async def story() -> None:
        stranger = door.browser()
        assert (await stranger.get("/who", accept="text/event-stream")).status_code == 204
        assert (await stranger.get("/who")).status_code == 303

    asyncio.run(story())


SAME_SITE = {"sec-fetch-site": "same-origin"}
TYPED = {"situation": "見本の相談 <b>長い</b> 文章", "key": "one", "choice": "a"}


def test_what_was_typed_is_not_lost_when_the_session_has_ended_meanwhile(
    play: Play, door: FrontDoor
) -> None:
    async def story(browser: Browser) -> None:
        old = csrf_of(await browser.get("/account"))
        door.clock.move(IDLE + MINUTE)
        late = await browser.http.post("/deed", data={"csrf": old, **TYPED}, headers=SAME_SITE)
        assert late.status_code == 401
        assert 'name="situation" value="見本の相談 &lt;b&gt;長い&lt;/b&gt; 文章"' in late.text
        assert 'name="key" value="one"' in late.text, "sent again, it is the same deed"
        assert "b>長い" not in late.text

        # Signed in again in another tab: the page that was left open is sent once more, and once again.
        held = csrf_of(late)
        await browser.signs_in(LOGIN)
        again = await browser.http.post("/deed", data={"csrf": held, **TYPED}, headers=SAME_SITE)
        assert again.status_code == 403
        assert "見本 職員" in again.text
        form = {"csrf": csrf_of(again), **TYPED}
        assert (await browser.http.post("/deed", data=form, headers=SAME_SITE)).text == LOGIN

    play(story)


def test_a_form_that_came_too_late_gives_back_no_secret_and_nothing_to_another_site(
    play: Play, door: FrontDoor
) -> None:
    async def story(browser: Browser) -> None:
        old = csrf_of(await browser.get("/account"))
        await browser.post("/logout", {}, page="/account")
        await browser.signs_in(LOGIN)
        for fields in (
            {"password": "umi-kara", "login": "mihon-login-9"},
            {"new": "umi-kara", "again": "umi-kara"},
            {"number": "123456789018"},
        ):
            told = await browser.http.post("/deed", data={"csrf": old, **fields}, headers=SAME_SITE)
            assert told.status_code == 403
            assert not any(value in told.text for value in fields.values())
        elsewhere = {"sec-fetch-site": "cross-site"}
        for headers in (elsewhere, {}):
            told = await browser.http.post("/deed", data={"csrf": old, **TYPED}, headers=headers)
            assert told.status_code == 403
            assert "見本の相談" not in told.text

    play(story)


def test_what_is_said_once_waits_for_a_page_that_somebody_looks_at(
    play: Play, door: FrontDoor
) -> None:
    async def story(browser: Browser) -> None:
        csrf = csrf_of(await browser.get("/account"))
        for _ in range(9):
            await browser.http.post("/said", data={"csrf": csrf})
        lost = await browser.get("/no/such/page")
        fetched = await browser.get("/account", **{"sec-fetch-dest": "empty"})
        assert "済みました" not in lost.text + fetched.text
        assert (await browser.get("/account")).text.count("済みました") == 5, "the last few"
        assert "済みました" not in (await browser.get("/account")).text

    play(story)
