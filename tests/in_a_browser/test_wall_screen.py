"""A screen on the wall (掲示用の画面): nobody touches it, all night, and an emergency is seen all the same."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from runtime.clock import SystemClock, utc_text
from runtime.database import open_database, writing
from services.console import tables as t
from services.console.people.passwords import Passwords
from services.console.people.people import IDLE, LONGEST
from services.console.people.staff import Staff, open_staff
from tests.in_a_browser.chromium import WALL, Watched
from tests.in_a_browser.conftest import signs_in
from tests.in_a_browser.looks import looked_at, pictured
from tests.in_a_browser.staff import PASSWORD
from tests.in_a_browser.test_board import only_its_own_calls, raised
from tests.in_a_browser.test_signing_in import passes
from tests.network import RunningNetwork
from wards.load import load_ward, ward_in_use

__all__ = ["only_its_own_calls"]

LOGIN = "kabe.core"


@pytest.fixture(scope="module")
def console(network: RunningNetwork) -> Iterator[Staff]:
    """Whoever administers accounts; there is one for a screen of the core centre's."""
    ward = load_ward(ward_in_use(network.settings.ward, network.home))
    with open_staff(network.settings, ward, SystemClock()) as staff:
        made = staff.accounts.new("core", LOGIN, "見本 相談室の画面", screen=True)
        staff.accounts.set_password(made, Passwords().kept_now(PASSWORD))
        yield staff


@pytest.fixture
def browser_there(watched: Callable[..., Watched]) -> Watched:
    return watched(viewport=WALL)


@pytest.fixture
def wall(browser_there: Watched, console: Staff) -> Page:
    page = browser_there.page()
    page.goto("/login")
    signs_in(page, LOGIN)
    expect(page).to_have_url(re.compile("/board$"))
    return page


def test_there_is_nothing_to_press_and_everybody_can_read_it(
    network: RunningNetwork, wall: Page
) -> None:
    for reason in ("E10", "E09"):
        raised(network, reason)
    _, emergency = raised(network, urgency="emergency")
    expect(wall.locator(f"#call-{emergency}")).to_be_visible(timeout=5_000)
    assert wall.locator("button, input:not([type=hidden]), form").count() == 0
    assert wall.locator("main a").count() == 0
    menu = wall.get_by_role("navigation", name="主なページ").get_by_role("link")
    expect(menu).to_have_text(["見張り"])
    size = wall.evaluate("parseFloat(getComputedStyle(document.querySelector('.what')).fontSize)")
    assert size >= 24
    looked_at(wall, "wall_screen")
    pictured(wall, "wall-screen")
    wall.emulate_media(forced_colors="active")
    looked_at(wall, "wall_screen_in_forced_colours")
    wall.emulate_media(forced_colors="none")


def test_an_emergency_appears_by_itself_on_a_screen_that_nobody_touched_all_night(
    network: RunningNetwork, wall: Page
) -> None:
    expect(wall.locator("[data-count=emergencies]")).to_have_text("0")
    wall.clock.install()
    wall.reload()
    night = max(IDLE, LONGEST) + timedelta(hours=1)
    passes(wall, network, night)
    try:
        _, emergency = raised(network, urgency="emergency")
        row = wall.locator(f"#call-{emergency}")
        expect(row).to_contain_text("緊急", timeout=5_000)
        expect(row).to_be_in_viewport()
        expect(wall.locator("[data-count=emergencies]")).not_to_have_text("0")
        expect(wall.locator("#lost")).to_be_hidden()
        assert wall.locator("dialog[open]").count() == 0
        # Whoever looks at it anew is still in.
        wall.reload()
        expect(wall.get_by_role("heading", level=1)).to_have_text("見張り")
    finally:
        network.move_clock(-night)


def test_what_the_wall_has_no_room_for_is_counted(network: RunningNetwork, wall: Page) -> None:
    for _ in range(14):
        raised(network)
    expect(wall.locator("[data-count=raised]")).to_have_text("14", timeout=8_000)
    shown = wall.locator("#calls tr:visible").count()
    assert 5 <= shown < 14
    expect(wall.locator("#more")).to_have_text(f"ほかに {14 - shown}件")
    assert wall.evaluate("document.documentElement.scrollHeight <= innerHeight")


def test_a_lost_line_is_seen_from_across_the_room_and_found_again(
    network: RunningNetwork, wall: Page, browser_there: Watched
) -> None:
    with browser_there.expecting("ERR_", "Failed to load"):
        with network.down("console"):
            expect(wall.locator("#lost")).to_be_visible(timeout=20_000)
            looked_at(wall, "wall_screen_line_lost")
            _, missed = raised(network)
        network.await_ready()
        expect(wall.locator("#lost")).to_be_hidden(timeout=20_000)
        expect(wall.locator(f"#call-{missed}")).to_be_visible(timeout=5_000)


def test_a_day_before_its_sign_in_ends_the_screen_says_so(
    network: RunningNetwork, wall: Page, console: Staff
) -> None:
    notice = wall.locator("#board .notice")
    expect(notice).to_have_count(0)
    engine = open_database(network.settings.database_url("console"))
    with writing(engine) as connection:
        account = str(console.of(LOGIN).id)
        ends_at = utc_text(SystemClock().now() + timedelta(hours=20))
        connection.execute(
            t.sessions.update().where(t.sessions.c.account == account).values(ends_at=ends_at)
        )
    engine.dispose()
    expect(notice).to_contain_text("サインインし直してください", timeout=8_000)
    looked_at(wall, "wall_screen_before_its_end")


def test_a_screen_that_is_signed_out_from_afar_shows_nothing_any_more(
    network: RunningNetwork, wall: Page, console: Staff
) -> None:
    _, call = raised(network)
    expect(wall.locator(f"#call-{call}")).to_be_visible(timeout=5_000)
    console.accounts.end_sessions(console.of(LOGIN))
    expect(wall.get_by_label("パスワード")).to_be_visible(timeout=5_000)
    assert wall.locator("#calls").count() == 0
