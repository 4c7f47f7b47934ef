"""A first password by a code that is good once; another one; where one is signed in. And who administers."""

import asyncio
import json
import re
import stat
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.engine import Engine
from typer.testing import CliRunner

from runtime.clock import ManualClock
from services.cli import app
from services.console.people.accounts import CODE_GOOD_FOR
from tests.people_look_at_it.front_door import PASSWORD, Browser, FrontDoor
from wards.load import bundled_ward, load_ward

LOGIN = "a.mihon"
OTHER = "kaze-ga-fuku-hi-ni-2"
SCRIPT = "<script>alert('名')</script>\"&"


@pytest.fixture
def door(database_of: Callable[[str], Engine], clock: ManualClock, tmp_path: Path) -> FrontDoor:
    return FrontDoor(database_of("console"), load_ward(bundled_ward()), clock, tmp_path)


def invited(door: FrontDoor, name: str = "見本 職員") -> str:
    return door.people.accounts.invite(door.people.accounts.new("core", LOGIN, name))


async def sets(browser: Browser, code: str, new: str = OTHER, **more: str) -> Any:
    fields = {"login": LOGIN, "code": code, "new": new, "again": new, **more}
    return await browser.post("/welcome", fields, page="/welcome")


def test_a_code_sets_a_password_once(door: FrontDoor) -> None:
    async def story() -> None:
        code = invited(door)
        assert len(code.replace("-", "")) * 5 >= 80
        browser = door.browser()
        done = await sets(browser, f" {code.lower().replace('-', ' ')} ")
        assert (done.status_code, done.headers["location"]) == (303, "/")
        assert await browser.is_in()
        again = await sets(door.browser(), code)
        assert again.status_code == 422
        assert (await door.browser().signs_in(LOGIN, OTHER)).status_code == 303

    asyncio.run(story())


def test_a_code_is_good_for_three_days_and_for_its_owner(door: FrontDoor) -> None:
    async def story() -> None:
        code = invited(door)
        door.account("b.mihon")
        for login in ("b.mihon", "nobody"):
            assert (await sets(door.browser(), code, login=login)).status_code == 422
        assert (await sets(door.browser(), "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA")).status_code == 422
        door.clock.move(CODE_GOOD_FOR)
        late = await sets(door.browser(), code)
        assert late.status_code == 422
        assert "期限が切れています" in late.text
        assert code not in late.text
        account = door.people.accounts.by_login(LOGIN)
        assert account is not None
        new = door.people.accounts.invite(account)
        newer = door.people.accounts.invite(account)
        assert (await sets(door.browser(), new)).status_code == 422
        assert (await sets(door.browser(), newer)).status_code == 303

    asyncio.run(story())


def test_of_two_windows_with_one_code_one_is_first(door: FrontDoor) -> None:
    async def story() -> None:
        code = invited(door)
        browsers = [door.browser() for _ in range(4)]
        told = await asyncio.gather(
            *(sets(b, code, f"{OTHER}-{n}") for n, b in enumerate(browsers))
        )
        assert sorted(one.status_code for one in told) == [303, 422, 422, 422]
        first = [one.status_code for one in told].index(303)
        assert (await door.browser().signs_in(LOGIN, f"{OTHER}-{first}")).status_code == 303

    asyncio.run(story())


def test_what_is_wrong_is_said_at_its_field_and_no_password_is_shown_again(door: FrontDoor) -> None:
    async def story() -> None:
        code = invited(door, "海野 灯台守")
        browser = door.browser()
        for fields, words in (
            ({"new": "short-one", "again": "short-one"}, "12文字以上"),
            ({"new": "x1" * 5000, "again": "x1" * 5000}, "256文字以内"),
            ({"new": "tsunagu-2026-11", "again": "tsunagu-2026-11"}, "推測されやすい"),
            ({"new": "a.mihon-a.mihon", "again": "a.mihon-a.mihon"}, "推測されやすい"),
            # What only the account tells: the name of its owner.
            (
                {"new": "灯台守灯台守灯台守灯台守", "again": "灯台守灯台守灯台守灯台守"},
                "推測されやすい",
            ),
            ({"again": OTHER + "!"}, "同じではありません"),
            ({"new": "", "again": ""}, "新しいパスワードを入力"),
            ({"login": ""}, "ログイン名を入力"),
            ({"code": ""}, "コードを入力"),
        ):
            told = await sets(browser, **{"code": code, **fields})
            assert told.status_code == 422, words
            assert words in told.text
            assert 'id="problems"' in told.text
            assert fields.get("new", OTHER) not in told.text or not fields.get("new", OTHER)
        assert (await sets(browser, code)).status_code == 303

    asyncio.run(story())


def test_another_password_ends_every_other_session(door: FrontDoor) -> None:
    async def story() -> None:
        door.account(LOGIN)
        here, there = door.browser(), door.browser()
        await here.signs_in(LOGIN)
        await there.signs_in(LOGIN)
        fields = {"password": PASSWORD, "new": OTHER, "again": OTHER}
        wrong = await here.post("/account/password", {**fields, "password": "no"}, page="/account")
        assert wrong.status_code == 422
        assert "いまのパスワードが違います" in wrong.text
        cookie = here.http.cookies[door.cookie]
        done = await here.post("/account/password", fields, page="/account")
        assert (done.status_code, done.headers["location"]) == (303, "/account")
        assert "パスワードを変えました" in (await here.get("/account")).text
        assert here.http.cookies[door.cookie] != cookie
        assert not await there.is_in()
        assert (await there.signs_in(LOGIN)).status_code == 422
        assert (await there.signs_in(LOGIN, OTHER)).status_code == 303

    asyncio.run(story())


def test_a_stolen_session_cannot_guess_the_password_without_end(door: FrontDoor) -> None:
    async def story() -> None:
        door.account(LOGIN)
        browser = door.browser()
        await browser.signs_in(LOGIN)
        fields = {"password": "guess", "new": OTHER, "again": OTHER}
        told = [
            (await browser.post("/account/password", fields, page="/account")).status_code
            for _ in range(6)
        ]
        assert told == [422] * 5 + [429]

    asyncio.run(story())


def test_one_sees_and_ends_ones_own_sessions_and_nobody_elses(door: FrontDoor) -> None:
    async def story() -> None:
        for login in (LOGIN, "b.mihon"):
            door.account(login)
        here, there, third, others = (door.browser() for _ in range(4))
        for browser in (here, there, third):
            await browser.signs_in(LOGIN)
            door.clock.move(timedelta(minutes=2))
        await others.signs_in("b.mihon")
        shown = (await here.get("/account")).text
        ids = re.findall(r'name="session" value="([0-9a-f]{64})"', shown)
        assert len(ids) == 2
        await others.post("/account/end", {"session": ids[0]}, page="/account")
        assert await there.is_in()
        assert await third.is_in()
        # The newest is first: that is the third one.
        await here.post("/account/end", {"session": ids[0]}, page="/account")
        assert not await third.is_in()
        assert "もう終わって" not in (await here.get("/account")).text
        await here.post("/account/end", {"session": "x' OR 1=1"}, page="/account")
        assert await there.is_in()
        await here.post("/account/end-others", {}, page="/account")
        assert not await there.is_in()
        assert await here.is_in()
        assert await others.is_in()

    asyncio.run(story())


def test_a_script_for_a_name_is_words(door: FrontDoor) -> None:
    async def story() -> None:
        code = invited(door, SCRIPT)
        browser = door.browser()
        told = await sets(browser, code, login=SCRIPT)
        assert "<script>alert" not in told.text
        assert (await sets(browser, code)).status_code == 303
        shown = (await browser.get("/account")).text
        assert "<script>alert" not in shown
        assert "&lt;script&gt;alert" in shown
        wrong = await browser.get(f"/login?next={SCRIPT}")
        assert wrong.headers["location"] == "/"

    asyncio.run(story())


def test_who_comes_by_a_provider_has_no_password_to_change(door: FrontDoor) -> None:
    async def story() -> None:
        account = door.people.accounts.new("core", LOGIN, "見本 職員", "sample-subject")
        browser = door.browser()
        token = "A" * 43
        assert await door.people.begin(account, token) is not None
        browser.http.cookies.set(door.cookie, token)
        shown = (await browser.get("/account")).text
        assert "ここにパスワードはありません" in shown
        assert 'type="password"' not in shown
        assert (await door.browser().signs_in(LOGIN, "")).status_code == 422
        assert (await door.browser().signs_in(LOGIN, "anything at all")).status_code == 422

    asyncio.run(story())


# -- `tsunagu staff` -----------------------------------------------------------------------------


class Desk:
    def __init__(self, home: Path) -> None:
        self._environment = {"TSUNAGU_HOME": str(home), "TSUNAGU_CONSOLE_URL": "https://c.example/"}

    def does(self, *words: str, fails: bool = False) -> str:
        done = CliRunner().invoke(app, ["staff", *words], env=self._environment)
        assert done.exit_code == (1 if fails else 0), done.output
        return done.output

    def tells(self, *words: str) -> Any:
        return json.loads(self.does(*words, "--json"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "home")


def test_staff_are_registered_listed_and_leave(desk: Desk) -> None:
    told = desk.does("new", "core", "Ａ.Mihon", "--name", "見本 [red]職員[/red]")
    assert "https://c.example/welcome" in told
    code = re.search(r"[A-Z2-7]{4}(-[A-Z2-7]{4}){5}", told)
    assert code
    # The code is in no address: those are kept in histories and logs.
    assert f"welcome#{code[0]}" not in told
    made = desk.tells("new", "hub-motofuji", "b.mihon", "--name", "見本", "--subject", "sub-1")
    assert (made["code"], made["by"], made["state"]) == (None, ["provider"], "in")
    listed = desk.tells("list")
    assert [(one["login"], one["state"]) for one in listed] == [
        ("a.mihon", "invited"),
        ("b.mihon", "in"),
    ]
    assert not {"password", "subject", "code"} & set(listed[0])
    # The ledger tells of people by this id alone: it stands whole in the list beside the login.
    assert str(UUID(made["id"])) == listed[1]["id"]
    assert any("b.mihon" in x and made["id"] in x for x in desk.does("list").splitlines())
    assert "見本 [red]職員[/red]" in desk.does("list", "core")
    desk.does("leave", "a.mihon")
    assert [one["state"] for one in desk.tells("list", "core")] == ["left"]
    assert "もう退いた人です" in desk.does("reset", "a.mihon", fails=True)
    assert "もう使われています" in desk.does("new", "core", "a.mihon", "--name", "別人", fails=True)


def test_what_cannot_be_done_is_said(desk: Desk) -> None:
    assert "この区にありません" in desk.does("new", "nowhere", "x.y", "--name", "n", fails=True)
    assert "ログイン名" in desk.does("new", "core", "日本", "--name", "n", fails=True)
    for name in ("", " ", "a\nb", "x" * 10_000, "a\u202eb"):
        assert "氏名" in desk.does("new", "core", "x.y", "--name", name, fails=True)
    assert "sub" in desk.does("new", "core", "x.y", "--name", "n", "--subject", "", fails=True)
    desk.does("new", "core", "x.y", "--name", "n", "--subject", "same")
    desk.does("new", "core", "x.z", "--name", "n", "--subject", "same", fails=True)
    for command in ("leave", "unlock", "reset", "end-sessions"):
        assert "登録はありません" in desk.does(command, "nobody", fails=True)


def test_a_code_goes_to_a_file_of_its_own(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "code"
    told = desk.does("new", "core", "a.mihon", "--name", "見本", "--out", str(file))
    code = file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert code not in told
    assert "もうあります" in desk.does("reset", "a.mihon", "--out", str(file), fails=True)
    assert file.read_text().strip() == code


def test_a_locked_account_is_unlocked_and_sessions_are_ended(
    desk: Desk, door: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the database of a console that runs."""
    url = door.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("TSUNAGU_DATABASE", url)
    shift = door.settings.home / "shift"
    offset = door.clock.now().timestamp() - time.time()
    shift.write_text(f"{offset}\n")
    monkeypatch.setenv("TSUNAGU_CLOCK_SHIFT", str(shift))

    async def story() -> None:
        door.account(LOGIN)
        browser = door.browser()
        await browser.signs_in(LOGIN)
        for _ in range(5):
            await door.browser().signs_in(LOGIN, "wrong")
        assert (await door.browser().signs_in(LOGIN)).status_code == 429
        assert [one["state"] for one in desk.tells("list")] == ["locked"]
        assert desk.tells("unlock", LOGIN)["unlocked"] is True
        assert desk.tells("unlock", LOGIN)["unlocked"] is False
        assert (await door.browser().signs_in(LOGIN)).status_code == 303
        assert desk.tells("end-sessions", LOGIN)["ended"] == 2
        assert not await browser.is_in()
        await browser.signs_in(LOGIN)
        code = desk.tells("reset", LOGIN)["code"]
        assert await browser.is_in()  # until the code is used
        assert (await sets(door.browser(), code)).status_code == 303
        assert not await browser.is_in()
        desk.does("leave", LOGIN)
        assert (await door.browser().signs_in(LOGIN, OTHER)).status_code == 422

    asyncio.run(story())
