"""A password is long and not easily guessed; whoever guesses waits, and learns nothing of who exists."""

import asyncio
import re
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from services.console.people.accounts import Accounts, Refused, code_hash, login_of
from services.console.people.failures import Failures
from services.console.people.passwords import Bad, Busy, Passwords, plain, why_not
from services.console.people.tries import (
    MOST_OF_ALL,
    MOST_OF_OFFICE,
    MOST_OF_ONE,
    Tries,
    address_of,
    proxies_of,
)
from tests.people_look_at_it.front_door import PASSWORD, Browser, FrontDoor, csrf_of
from wards.load import bundled_ward, load_ward

LOGIN = "a.mihon"
WRONG = "not the right one"
KNOWN = "tsunagu_known"
NAMES = (LOGIN, "a", "mihon", "基幹相談支援センター", "Core Centre", "文京区", "Bunkyo")
_TOKEN = re.compile(r'value="[A-Za-z0-9_-]{20,}"|/static/[0-9a-f]+/')


@pytest.fixture
def engine(database_of: Callable[[str], Engine]) -> Engine:
    return database_of("console")


@pytest.fixture
def door(engine: Engine, clock: ManualClock, tmp_path: Path) -> FrontDoor:
    return FrontDoor(engine, load_ward(bundled_ward()), clock, tmp_path)


# -- which will do -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "good",
    [
        PASSWORD, "うみからきたかぜがふいた", "🐟🐟🐟🐡🐡🐡🐙🐙🐙🦑🦑🦑", "correct horse battery",
        "   spaces at both ends   ", "x9" * 3 + "tsunagu-lighthouse", "a" * 6 + "bcdxyzqpw" * 20,
    ],
)  # fmt: skip
def test_a_sentence_of_any_kind_will_do(good: str) -> None:
    assert why_not(good, NAMES) is None


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("", Bad.SHORT),
        ("elevenchars", Bad.SHORT),
        ("ｅｌｅｖｅｎｃｈａｒｓ", Bad.SHORT),
        ("x" * 257, Bad.LONG),
        ("㍿" * 100, Bad.LONG),  # one character, four when it is written plainly
        ("漢" * 10_000, Bad.LONG),
        ("aaaaaaaaaaaa", Bad.GUESSABLE),
        ("ababababababab", Bad.GUESSABLE),
        ("123456789012", Bad.GUESSABLE),
        ("qwertyuiopas", Bad.GUESSABLE),
        ("password1234", Bad.GUESSABLE),
        ("PASSWORD2026!!", Bad.GUESSABLE),
        ("ｐａｓｓｗｏｒｄ１２３４", Bad.GUESSABLE),
        ("tsunagu2026!", Bad.GUESSABLE),
        ("Tsunagu-Bunkyo-2026", Bad.GUESSABLE),
        ("bunkyo-bunkyo", Bad.GUESSABLE),
        ("mihon-mihon-1", Bad.GUESSABLE),
        ("基幹相談支援センター2026", Bad.GUESSABLE),
        ("つなぐつなぐつなぐつなぐ", Bad.GUESSABLE),
    ],
)
def test_what_everybody_would_try_first_will_not_do(bad: str, why: Bad) -> None:
    assert why_not(bad, NAMES) is why


@given(st.text(alphabet=st.characters(), max_size=600))
def test_any_text_is_a_password_or_is_told_why_not(text: str) -> None:
    made = plain(text)
    found = why_not(text, NAMES)
    assert (found is Bad.LONG) == (made is None)
    if made is not None:
        assert plain(made) in (made, None)


def test_a_password_is_the_same_in_full_width_and_with_marks_apart() -> None:
    passwords = Passwords()
    kept = passwords.kept_now("がぎぐげご-abc-123")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert passwords.is_right_now(kept, "がぎぐげご－ａｂｃ－１２３")
    assert passwords.is_right_now(kept, "か\u3099き\u3099く\u3099け\u3099こ\u3099-abc-123")
    for wrong in ("がぎぐげご-abc-124", "", "がぎぐげご-ABC-123", "x" * 10_000):
        assert not passwords.is_right_now(kept, wrong)
    assert not passwords.is_right_now(None, "がぎぐげご-abc-123")
    assert not passwords.is_right_now("$argon2id$nonsense", "がぎぐげご-abc-123")
    # A lone surrogate cannot come by the form; by the command line it can.
    odd = passwords.kept_now("\ud800 and eleven more")
    assert passwords.is_right_now(odd, "\ud800 and eleven more")


def test_nobody_can_eat_all_memory_by_trying(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords()
    at_once, most = 0, 0

    def slow(kept: str | None, typed: str) -> bool:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.005)
        at_once -= 1
        return False

    monkeypatch.setattr(passwords, "is_right_now", slow)

    async def story() -> list[bool | BaseException]:
        tried = (passwords.is_right(None, "x") for _ in range(60))
        return await asyncio.gather(*tried, return_exceptions=True)

    told = asyncio.run(story())
    assert most == 2
    assert sum(isinstance(one, Busy) for one in told) == 20


def test_a_password_made_with_yesterdays_parameters_is_made_anew(door: FrontDoor) -> None:
    async def story() -> None:
        account = door.account(LOGIN)
        weak = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
        door.people.accounts.set_password(account, weak)
        browser = door.browser()
        await browser.signs_in(LOGIN)
        assert await browser.is_in()
        found = door.people.accounts.by_login(LOGIN)
        assert found is not None
        assert not door.people.passwords.is_outdated(str(found.password))
        assert found.password != weak
        assert (await door.browser().signs_in(LOGIN)).status_code == 303

    asyncio.run(story())


# -- whoever guesses -----------------------------------------------------------------------------


async def guesses(browser: Browser, login: str, times: int) -> list[int]:
    return [(await browser.signs_in(login, WRONG)).status_code for _ in range(times)]


def test_after_five_wrong_ones_there_is_a_pause_that_doubles_up_to_an_hour(
    engine: Engine, clock: ManualClock
) -> None:
    failures = Failures(engine, clock)
    assert [failures.begin(LOGIN) for _ in range(5)] == [None] * 5
    pauses = []
    for _ in range(9):
        wait = failures.begin(LOGIN)
        assert wait is not None
        pauses.append(wait.total_seconds() / 60)
        clock.move(wait - timedelta(milliseconds=1))
        assert failures.begin(LOGIN) == timedelta(milliseconds=1)
        clock.move(timedelta(milliseconds=1))
        assert failures.begin(LOGIN) is None
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    clock.move(timedelta(hours=24, seconds=1))
    assert failures.begin(LOGIN) is None
    assert failures.locked_until(LOGIN) is None


def test_a_restart_forgets_no_failure_and_the_right_password_does(
    door: FrontDoor, engine: Engine, clock: ManualClock, tmp_path: Path
) -> None:
    async def story() -> None:
        door.account(LOGIN)
        assert await guesses(door.browser(), LOGIN, 4) == [422] * 4
        restarted = FrontDoor(engine, load_ward(bundled_ward()), clock, tmp_path)
        assert await guesses(restarted.browser(), LOGIN, 2) == [422, 429]
        locked = await restarted.browser().signs_in(LOGIN)
        assert (locked.status_code, locked.headers["retry-after"]) == (429, "60")
        assert "しばらくサインインできません。1分ほど" in locked.text
        clock.move(timedelta(minutes=1))
        assert (await restarted.browser().signs_in(LOGIN)).status_code == 303
        assert await guesses(restarted.browser(), LOGIN, 5) == [422] * 5

    asyncio.run(story())


def test_many_guesses_at_once_are_all_counted(door: FrontDoor) -> None:
    async def story() -> None:
        door.account(LOGIN)
        browsers = [door.browser() for _ in range(12)]
        for browser in browsers:
            await browser.get("/login")
        told = await asyncio.gather(*(guesses(browser, LOGIN, 1) for browser in browsers))
        assert sorted(status for one in told for status in one) == [422] * 5 + [429] * 7

    asyncio.run(story())


def test_whether_a_login_exists_shows_in_no_answer(door: FrontDoor) -> None:
    """The same words and the same statuses, wrong or locked; ``left`` has left, ``new`` has no password yet."""

    async def story() -> None:
        for login in ("known", "left"):
            door.account(login)
        left = door.people.accounts.by_login("left")
        assert left is not None
        door.people.accounts.leave(left)
        door.people.accounts.new("core", "new", "見本 職員")
        told = {}
        for login in ("known", "left", "new", "nobody"):
            browser = door.browser()
            answers = [await browser.signs_in(login, WRONG) for _ in range(7)]
            told[login] = [
                (one.status_code, _TOKEN.sub("", one.text).replace(login, "…")) for one in answers
            ]
        assert told["known"] == told["left"] == told["new"] == told["nobody"]

    asyncio.run(story())


def test_whether_a_login_exists_shows_in_no_clock(
    engine: Engine, clock: ManualClock, tmp_path: Path
) -> None:
    """Measured where it could show: argon2 is asked as often for nobody as for somebody."""
    door = FrontDoor(engine, load_ward(bundled_ward()), clock, tmp_path)
    asked: list[str] = []
    hasher = door.people.passwords._hasher
    verify = hasher.verify

    class Counted:
        def verify(self, kept: str, typed: bytes) -> bool:
            asked.append(kept.rsplit("$", 2)[0])
            return verify(kept, typed)

    door.people.passwords._hasher = Counted()  # type: ignore[assignment]

    async def story() -> None:
        made = door.people.accounts.new("core", LOGIN, "見本 職員")
        door.people.accounts.set_password(made, hasher.hash(PASSWORD.encode()))
        for login in (LOGIN, "nobody", "x" * 5000):
            await door.browser().signs_in(login, WRONG)
        await door.browser().signs_in("nobody", "x" * 10_000)

    asyncio.run(story())
    assert len(asked) == 4
    assert set(asked) == {asked[0]}


def test_whoever_tries_many_logins_from_one_place_is_stopped(door: FrontDoor) -> None:
    async def story() -> None:
        door.account(LOGIN)
        browser = door.browser()
        await browser.get("/login")
        csrf = csrf_of(await browser.get("/login"))

        async def guess(n: int) -> int:
            form = {"csrf": csrf, "login": f"someone{n}", "password": WRONG}
            return (await browser.http.post("/login", data=form)).status_code

        assert {await guess(n) for n in range(MOST_OF_ONE)} == {422}
        assert await guess(1000) == 429
        assert (await browser.signs_in(LOGIN)).status_code == 429
        # From elsewhere all is as it was; and here, ten minutes later.
        assert (await door.browser("198.51.100.9").signs_in(LOGIN)).status_code == 303
        door.clock.move(timedelta(minutes=10))
        assert (await browser.signs_in(LOGIN)).status_code == 303

    asyncio.run(story())


def test_all_together_are_limited_as_well(clock: ManualClock) -> None:
    tries = Tries(clock)
    for n in range(MOST_OF_ALL):
        assert tries.wait("203.0.113.1") == 0
        tries.wrong(f"192.0.2.{n}")
    assert tries.wait("203.0.113.1") == 600
    clock.move(timedelta(minutes=10))
    assert tries.wait("203.0.113.1") == 0


def test_one_line_with_very_many_networks_is_one_place(clock: ManualClock) -> None:
    """A house is given 256 networks of IPv6, an office 65,536: they share what one may be wrong."""
    tries = Tries(clock)
    house = [f"2001:db8:1:{n:x}::5" for n in range(256)]
    for n in range(MOST_OF_ONE):
        tries.wrong(address_of(house[n], "", ()))
    assert all(tries.wait(address_of(one, "", ())) == 600 for one in house)
    assert tries.wait(address_of("2001:db8:1:100::5", "", ())) == 0
    office = [f"2001:db8:2:{n:x}00::5" for n in range(256)]
    for n in range(MOST_OF_OFFICE):
        tries.wrong(address_of(office[n % 256], "", ()))
    assert all(tries.wait(address_of(one, "", ())) == 600 for one in office)
    assert tries.wait(address_of("2001:db8:3::5", "", ())) == 0


def test_who_signed_in_here_before_comes_in_whatever_everybody_else_does(door: FrontDoor) -> None:
    """Very many wrong ones from very many addresses shut out nobody who works here."""

    async def story() -> None:
        door.account(LOGIN)
        known, stranger = door.browser(), door.browser("198.51.100.20")
        given = (await known.signs_in(LOGIN)).headers.get_list("set-cookie")
        [cookie] = [one for one in given if one.startswith(KNOWN)]
        assert LOGIN not in cookie
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        await known.post("/logout", {}, page="/account")
        tries = door.sign_in.entrance.tries
        for n in range(MOST_OF_ALL):
            tries.wrong(f"203.0.{n // 250}.{n % 250}")
        assert (await stranger.signs_in(LOGIN)).status_code == 429
        assert (await known.signs_in(LOGIN)).status_code == 303
        # A mark that somebody made up, or that is too old, is none.
        mark = known.http.cookies[KNOWN]
        for other in (
            "",
            "x",
            mark[:-1] + ("A" if mark[-1] != "A" else "B"),
            "9" + mark[1:],
            "1.2.あ",
        ):
            forged = await stranger.get("/login")
            fields = {"csrf": csrf_of(forged), "login": LOGIN, "password": PASSWORD}
            cookies = f"{door.cookie}={stranger.http.cookies[door.cookie]}; {KNOWN}={other}"
            told = await stranger.http.post(
                "/login", data=fields, headers={b"cookie": cookies.encode()}
            )
            assert told.status_code == 429, other
        await known.post("/logout", {}, page="/account")
        door.clock.move(timedelta(days=90, seconds=1))
        for n in range(MOST_OF_ALL):
            tries.wrong(f"203.0.{n // 250}.{n % 250}")
        known.http.cookies.set(KNOWN, mark)
        assert (await known.signs_in(LOGIN)).status_code == 429

    asyncio.run(story())


def test_having_signed_in_once_gives_no_leave_to_guess(door: FrontDoor) -> None:
    """From however many addresses, and however often the mark was given: it is the account's."""

    async def story() -> None:
        door.account(LOGIN)
        marked = [door.browser(f"203.0.113.{n}") for n in range(4)]
        for browser in marked:
            await browser.signs_in(LOGIN)
            await browser.post("/logout", {}, page="/account")
        for n in range(MOST_OF_ONE):
            browser = marked[n % 4]
            assert (await browser.signs_in(f"someone{n}", WRONG)).status_code == 422
        tries = door.sign_in.entrance.tries
        for n in range(MOST_OF_ALL):
            tries.wrong(f"192.0.{n // 250}.{n % 250}")
        for browser in marked:
            assert (await browser.signs_in(LOGIN)).status_code == 429

    asyncio.run(story())


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "203.0.113.5", "192.0.2.1"),  # not a proxy of ours
        ("10.0.0.2", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.2", "1.1.1.1, 203.0.113.5", "203.0.113.5"),  # the first is what a client says
        ("10.0.0.2", "203.0.113.5, 10.0.0.9", "203.0.113.5"),
        ("10.0.0.2", "garbage", "10.0.0.2"),
        ("10.0.0.2", "", "10.0.0.2"),
        ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1::/56"),
        # A socket for both kinds of addresses writes the older ones so.
        ("::ffff:203.0.113.9", "", "203.0.113.9"),
        ("::ffff:10.0.0.2", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.2", "203.0.113.5, ::ffff:10.0.0.9", "203.0.113.5"),
        ("", "", "unknown"),
    ],
)
def test_where_a_request_comes_from(peer: str, forwarded: str, address: str) -> None:
    assert address_of(peer, forwarded, proxies_of("10.0.0.0/24")) == address


# -- logins --------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["A.Mihon", "ａ．ｍｉｈｏｎ", "  a.mihon ", "Ａ.MIHON\u3000"])
def test_a_login_is_taken_as_it_comes(door: FrontDoor, typed: str) -> None:
    async def story() -> None:
        door.account(LOGIN)
        assert (await door.browser().signs_in(typed)).status_code == 303

    asyncio.run(story())


@pytest.mark.parametrize(
    "login",
    ["a", "", ".a", "x" * 65, "а.mihon", "a mihon", "a\u200bmihon", "見本\U000e0100", "a\u202emihon",
     "<script>", "a/b", "a\x00b", "\ud800bc"],
)  # fmt: skip
def test_a_login_that_could_be_taken_for_another_is_not_made(
    engine: Engine, clock: ManualClock, login: str
) -> None:
    accounts = Accounts(engine, load_ward(bundled_ward()), clock)
    with pytest.raises(Refused):
        accounts.new("core", login, "見本 職員")
    assert accounts.by_login(login) is None


@given(st.text(alphabet=st.characters(), max_size=400))
def test_any_login_can_be_asked_for(text: str) -> None:
    assert len(login_of(text)) <= 256
    assert len(code_hash(text)) == 64
