"""A screen on the wall (掲示用の画面) shows the board of its agency for four weeks, and can do nothing else."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine
from typer.testing import CliRunner

from runtime.clock import ManualClock
from services.cli import app
from services.console.people.people import IDLE, LONGEST, LONGEST_OF_SCREEN
from services.console.person import Role
from tests.network import RunningNetwork
from tests.people_look_at_it.conftest import Person, SignedIn, hidden_of, register
from tests.people_look_at_it.front_door import OTHER, PASSWORD, Browser, FrontDoor, csrf_of
from tests.people_look_at_it.test_board import raised, row_of
from wards.load import bundled_ward, load_ward

LOGIN = "kabe.mihon"
DAY = timedelta(days=1)


@pytest.fixture
def door(database_of: Callable[[str], Engine], clock: ManualClock, tmp_path: Path) -> FrontDoor:
    return FrontDoor(database_of("console"), load_ward(bundled_ward()), clock, tmp_path)


async def shows(browser: Browser) -> bool:
    return (await browser.get("/wall")).status_code == 200


# -- how long ----------------------------------------------------------------------------------------


def test_a_screen_that_nobody_touches_stays_signed_in_for_four_weeks(door: FrontDoor) -> None:
    async def story() -> None:
        door.account(LOGIN, screen=True)
        wall = door.browser()
        await wall.signs_in(LOGIN, back="/wall")
        began = door.clock.now()
        told = (await wall.get("/session")).json()["until"]
        assert told == (began + LONGEST_OF_SCREEN).isoformat()
        door.clock.move(max(IDLE, LONGEST) + DAY)
        # Somebody else's coming in sweeps what is over, and nothing else.
        door.account("a.mihon")
        person = door.browser()
        await person.signs_in("a.mihon")
        assert await shows(wall)
        door.clock.move(IDLE)
        assert not await person.is_in()
        door.clock.move(began + LONGEST_OF_SCREEN - DAY - door.clock.now())
        assert await shows(wall)
        door.clock.move(DAY)
        assert not await shows(wall)

    asyncio.run(story())


def test_a_screen_whom_the_provider_knows_stays_as_long(door: FrontDoor) -> None:
    async def story() -> None:
        people = door.people
        people.accounts.new("core", LOGIN, "見本 相談室", "sub-of-a-screen", screen=True)
        found = people.accounts.by_subject("sub-of-a-screen")
        assert found is not None
        came = await people.begin(found, "A" * 43)
        assert came is not None
        assert came.role is Role.SCREEN
        assert came.until == door.clock.now() + LONGEST_OF_SCREEN

    asyncio.run(story())


@pytest.mark.parametrize("how", ["leaves", "sessions ended", "new password"])
def test_a_screens_session_ends_as_everybodys_does(door: FrontDoor, how: str) -> None:
    async def story() -> None:
        account = door.account(LOGIN, screen=True)
        wall = door.browser()
        await wall.signs_in(LOGIN, back="/wall")
        assert await shows(wall)
        accounts = door.people.accounts
        match how:
            case "leaves":
                accounts.leave(account)
            case "sessions ended":
                assert accounts.end_sessions(account) == 1
            case _:
                code = accounts.invite(account)
                fields = {"login": LOGIN, "code": code, "new": OTHER, "again": OTHER}
                await door.browser().post("/welcome", fields, page="/welcome")
        assert not await shows(wall)

    asyncio.run(story())


# -- what it may -------------------------------------------------------------------------------------


def test_its_own_account_tells_which_screen_it_is_and_has_nothing_to_change(
    door: FrontDoor,
) -> None:
    async def story() -> None:
        door.account(LOGIN, name="見本 相談室", screen=True)
        wall = door.browser()
        assert (await wall.signs_in(LOGIN, back="/")).headers["location"] == "/"
        assert (await wall.get("/")).headers["location"] == "/board"
        shown = await wall.get("/account")
        assert "見本 相談室" in shown.text
        assert "サインアウト" in shown.text
        assert 'name="password"' not in shown.text
        csrf = csrf_of(shown)
        typed = {"csrf": csrf, "password": PASSWORD, "new": OTHER, "again": OTHER}
        for deed in ("password", "end", "end-others"):
            assert (await wall.http.post(f"/account/{deed}", data=typed)).status_code == 403
        on = await wall.http.post("/session/continue", data={"csrf": csrf})
        assert on.status_code == 403
        for page in ("/who", "/core-only"):
            assert (await wall.get(page)).status_code == 403

    asyncio.run(story())


@pytest.fixture(scope="module")
def wall(network: RunningNetwork) -> Iterator[SignedIn]:
    register(network, "core", LOGIN, screen=True)
    signed_in = SignedIn(network.console_url, "core", LOGIN)
    yield signed_in
    signed_in.http.close()


def test_the_wall_shows_calls_and_leads_nowhere(network: RunningNetwork, wall: SignedIn) -> None:
    referral, escalation = raised(network)
    page = wall.get("/board").text
    row = row_of(page, escalation)
    for words in ("E10", "応答待ち", "至急"):
        assert words in row
    main = page[page.index("<main") : page.index("</main>")]
    assert "<a " not in main
    assert "<button" not in page
    assert referral not in page
    for personal in ("文京 太郎", "03-0000-0000", "21番3号", "母が急病"):
        assert personal not in page


def test_people_of_the_same_agency_still_have_their_buttons(
    network: RunningNetwork, wall: SignedIn, person: Person
) -> None:
    """Rows are drawn once for all who may do the same."""
    _, escalation = raised(network)
    assert "<button" not in row_of(wall.get("/board").text, escalation)
    assert "<button" in row_of(person("core").get("/board").text, escalation)
    assert "<button" not in row_of(wall.get("/board").text, escalation)


def test_no_other_page_and_no_deed_is_open_to_a_screen(
    network: RunningNetwork, wall: SignedIn
) -> None:
    referral, escalation = raised(network)
    for page in (
        f"/board/{escalation}", "/inbox", "/inbox/stream", "/refer", "/referrals",
        f"/referrals/{referral}", "/ward", "/replay",
    ):  # fmt: skip
        assert wall.get(page).status_code == 403, page
    hidden = hidden_of(wall.get("/account").text)
    for deed in (
        f"/board/{escalation}/acknowledge", f"/board/{escalation}/resolve", f"/board/{escalation}/rule",
        f"/board/{escalation}/offer", f"/referrals/{referral}/open", "/refer", "/session/continue",
    ):  # fmt: skip
        assert wall.http.post(deed, data=hidden).status_code in (403, 404, 405), deed
    assert "応答待ち" in row_of(wall.get("/board").text, escalation)


def test_a_screen_of_another_desk_shows_the_calls_made_to_that_desk_alone(
    network: RunningNetwork,
) -> None:
    register(network, "sample-hospital", "kabe.hospital", screen=True)
    screen = SignedIn(network.console_url, "sample-hospital", "kabe.hospital")
    _, to_core = raised(network)
    _, to_hospital = raised(network, "E02")
    page = screen.get("/board").text
    screen.http.close()
    assert "応答待ち" in row_of(page, to_hospital)
    assert "<button" not in page
    assert row_of(page, to_core) == ""


# -- `tsunagu staff` -----------------------------------------------------------------------------------


def test_a_screen_is_registered_and_listed_as_one(tmp_path: Path) -> None:
    def does(*words: str, fails: bool = False) -> str:
        done = CliRunner().invoke(app, ["staff", *words], env={"TSUNAGU_HOME": str(tmp_path)})
        assert done.exit_code == (1 if fails else 0), done.output
        return done.output

    told = json.loads(does("new", "core", "kabe", "--name", "見本 1階", "--screen", "--json"))
    assert told["screen"] is True
    assert told["code"]
    does("new", "core", "a.mihon", "--name", "見本")
    listed = json.loads(does("list", "--json"))
    assert [(one["login"], one["screen"]) for one in listed] == [("a.mihon", False), ("kabe", True)]
    assert "掲示用の画面" in does("list")
    refused = does("new", "anshin-motofuji", "x.y", "--name", "n", "--screen", fails=True)
    assert "窓口がない" in refused
