"""Coming in and leaving, as people do it."""

from collections.abc import Callable
from datetime import timedelta

from playwright.sync_api import Page, expect

from services.console.people.people import IDLE
from tests.in_a_browser.conftest import signs_in
from tests.in_a_browser.looks import for_everyone, looked_at
from tests.in_a_browser.staff import PASSWORD, Staff
from tests.network import RunningNetwork

Opened = Callable[..., Page]


def test_the_login_page_is_for_everyone(visitor: Opened) -> None:
    page = visitor()
    expect(page).to_have_title("サインイン | つなぐ")
    for_everyone(page, "login")


def test_a_wrong_password_is_told_in_words_and_the_login_is_kept(
    visitor: Opened, staff: Staff
) -> None:
    page = visitor()
    page.get_by_label("ログイン名").fill(staff.login("core"))
    page.get_by_label("パスワード").fill("これはちがう")
    page.get_by_role("button", name="サインインする").click()
    told = page.get_by_role("alert")
    expect(told).to_contain_text("ログイン名かパスワードが違います")
    expect(told).to_be_focused()
    expect(page.get_by_label("ログイン名")).to_have_value(staff.login("core"))
    expect(page.get_by_label("パスワード")).to_have_value("")
    looked_at(page, "login_wrong_password")


def test_a_field_left_empty_is_led_to(visitor: Opened) -> None:
    page = visitor()
    page.get_by_role("button", name="サインインする").click()
    looked_at(page, "login_nothing_typed")
    page.get_by_role("link", name="パスワードを入力してください").click()
    expect(page.get_by_label("パスワード")).to_be_focused()


def test_everything_can_be_done_by_keyboard(visitor: Opened, staff: Staff) -> None:
    page = visitor()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="本文へ")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("ログイン名")).to_be_focused()
    page.keyboard.type(staff.login("core"))
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="サインアウト")).to_be_visible()


def test_after_signing_out_the_back_button_shows_nothing(visitor: Opened, staff: Staff) -> None:
    page = visitor()
    signs_in(page, staff.login("core"))
    expect(page.get_by_text("見本 花子")).to_be_visible()
    page.get_by_role("button", name="サインアウト").click()
    expect(page.get_by_role("heading", name="サインアウトしました")).to_be_visible()
    looked_at(page, "signed_out")
    page.go_back()
    expect(page.get_by_label("パスワード")).to_be_visible()
    expect(page.get_by_text("見本 花子")).to_have_count(0)


def test_the_page_is_read_in_english_when_somebody_asks(visitor: Opened) -> None:
    page = visitor()
    page.get_by_role("button", name="English").click()
    expect(page).to_have_title("Sign in | Tsunagu")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    looked_at(page, "login_in_english")
    page.get_by_role("button", name="日本語").click()
    expect(page.locator("html")).to_have_attribute("lang", "ja")


def test_without_scripts_one_comes_in_and_leaves_all_the_same(
    visitor: Opened, staff: Staff
) -> None:
    page = visitor(java_script_enabled=False)
    signs_in(page, staff.login("core"))
    expect(page.get_by_text("サインインの期限")).to_be_visible()
    page.get_by_role("button", name="サインアウト").click()
    expect(page.get_by_role("heading", name="サインアウトしました")).to_be_visible()


def test_a_page_for_others_says_so(person: Opened) -> None:
    page = person("auditor")
    page.goto("/refer")
    expect(page.get_by_role("heading", name="このページを開く権限がありません")).to_be_visible()
    for_everyone(page, "not_for_this_agency")


def test_a_page_that_does_not_exist_says_so(person: Opened) -> None:
    page = person("core")
    page.goto("/nowhere")
    expect(page.get_by_role("heading", name="ページが見つかりません")).to_be_visible()
    looked_at(page, "no_such_page")


def test_two_minutes_before_the_end_one_is_asked_and_may_go_on(
    visitor: Opened, staff: Staff, network: RunningNetwork
) -> None:
    page = visitor()
    page.clock.install()
    signs_in(page, staff.login("core", "見本 三郎"))
    asked = page.get_by_role("dialog", name="まもなくサインアウトします")
    passes(page, network, IDLE - timedelta(minutes=3))
    expect(asked).to_have_count(0)
    passes(page, network, timedelta(minutes=1, seconds=10))
    expect(asked).to_be_visible()
    expect(page.get_by_role("button", name="続ける")).to_be_focused()
    looked_at(page, "session_ending")
    page.keyboard.press("Enter")
    expect(asked).to_have_count(0)
    passes(page, network, IDLE - timedelta(minutes=3))
    expect(asked).to_have_count(0)
    page.reload()
    expect(page.get_by_text("見本 三郎")).to_be_visible()


def test_when_the_time_is_over_nothing_stays_on_the_screen(
    visitor: Opened, staff: Staff, network: RunningNetwork
) -> None:
    page = visitor()
    page.clock.install()
    signs_in(page, staff.login("core", "見本 四郎"))
    page.goto("/account")
    expect(page.locator("main h1")).to_be_visible()
    passes(page, network, IDLE + timedelta(minutes=1))
    expect(page.get_by_role("dialog", name="サインアウトしました")).to_be_visible()
    expect(page.locator("main h1")).to_be_hidden()
    expect(page.get_by_text("見本 四郎").filter(visible=True)).to_have_count(0)
    looked_at(page, "session_over")
    page.keyboard.press("Escape")
    expect(page.locator("main h1")).to_be_hidden()
    page.get_by_role("link", name="サインインする").click()
    expect(page.get_by_label("パスワード")).to_be_visible()


def test_signing_out_in_one_tab_empties_the_other(person: Opened) -> None:
    page = person("core", "見本 五郎")
    page.goto("/account")
    other = page.context.new_page()
    other.goto("/account")
    other.get_by_role("button", name="サインアウト").click()
    # Headless pages are never hidden: the other tab comes to the front by what it would hear then.
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_role("dialog", name="サインアウトしました")).to_be_visible()
    expect(page.locator("main h1")).to_be_hidden()


def passes(page: Page, network: RunningNetwork, time: timedelta) -> None:
    """Here and there."""
    network.move_clock(time)
    page.clock.fast_forward(int(time.total_seconds() * 1000))
