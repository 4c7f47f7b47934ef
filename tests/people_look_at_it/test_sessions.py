"""A session begins at the right password, lasts a working day at most, and ends when it should."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from tests.people_look_at_it.front_door import FrontDoor
from wards.load import bundled_ward, load_ward


@pytest.fixture
def door(database_of: Callable[[str], Engine], clock: ManualClock, tmp_path: Path) -> FrontDoor:
    return FrontDoor(database_of("console"), load_ward(bundled_ward()), clock, tmp_path)


def test_who_types_the_right_password_is_in(door: FrontDoor) -> None:
    async def play() -> None:
        door.account("a.mihon")
        browser = door.browser()
        before = await browser.get("/who")
        assert (before.status_code, before.headers["location"]) == (303, "/login?next=/who")
        cookie = browser.http.cookies[door.cookie]
        done = await browser.signs_in("a.mihon")
        assert (done.status_code, done.headers["location"]) == (303, "/who")
        assert (await browser.get("/who")).text == "a.mihon"
        assert browser.http.cookies[door.cookie] != cookie
        home = await browser.get("/")
        assert home.headers["location"] == "/board"

    asyncio.run(play())
