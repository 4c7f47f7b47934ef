"""Auditors move through time: by slider, by steps, by date, with and without scripts."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.in_a_browser.chromium import PHONE, Watched
from tests.in_a_browser.conftest import signs_in
from tests.in_a_browser.looks import for_everyone, looked_at
from tests.in_a_browser.staff import Staff
from tests.network import RunningNetwork, eventually
from tests.partners import Answer, a_referral

Opened = Callable[..., Page]
ANSHIN, HUB = "anshin-motofuji", "hub-motofuji"


@pytest.fixture(scope="module")
def case(network: RunningNetwork) -> Answer:
    """Sent, declined, ruled … at least: sent, taken on, called in."""
    anshin, hub = network.partner(ANSHIN), network.partner(HUB)
    sent = anshin.posts(a_referral().having(urgency="routine"))
    hub.accepts(sent.handoff(to=HUB))
    assert hub.escalates(sent.number, "E02").status == 201
    return sent


@pytest.fixture
def shown(person: Opened, case: Answer) -> Page:
    page = person("auditor", "見本 監査")
    replays(page, case)
    return page


def replays(page: Page, case: Answer) -> None:
    def is_there() -> bool:
        page.goto(f"/replay/of/{case.number}")
        return page.locator("#then").get_by_text("E02").count() > 0

    eventually(is_there, 20, "all of the case is in the ledger")


def test_the_page_of_one_case_is_for_everyone(shown: Page, case: Answer) -> None:
    for_everyone(shown, "replay_referral")
    shown.get_by_text("署名された先頭の全文").click()
    looked_at(shown, "replay_referral_with_the_signed_head")
    shown.get_by_role("link", name="最初").click()
    expect(shown.locator("#then")).not_to_contain_text("E02")
    looked_at(shown, "replay_referral_at_the_first_step")
    shown.goto(f"/replay/of/{case.number}?at=2020-01-01T00:00")
    expect(shown.get_by_text("まだ受け付けていません")).to_be_visible()
    looked_at(shown, "replay_referral_before_it_began")


def test_the_slider_moves_by_keyboard_and_the_focus_stays(shown: Page) -> None:
    slider = shown.get_by_label("時点", exact=True)
    slider.focus()
    shown.keyboard.press("Home")
    then = shown.locator("#then")
    expect(then).not_to_contain_text("E02")
    expect(slider).to_be_focused()
    told = shown.locator("#said")
    expect(told).to_contain_text("担当")
    first = shown.url
    assert "at=" in first
    shown.keyboard.press("ArrowRight")
    expect(shown.locator("#shown")).to_have_attribute("data-index", "1")
    expect(slider).to_be_focused()
    assert shown.url != first
    shown.keyboard.press("End")
    expect(then).to_contain_text("E02")
    expect(slider).to_be_focused()
    text = slider.get_attribute("aria-valuetext") or ""
    assert "年" in text
    # The address alone brings another person to the same moment.
    shown.goto(first)
    expect(then).not_to_contain_text("E02")
    expect(slider).to_have_value("0")


def test_steps_lead_back_and_on_and_end_where_it_ends(shown: Page) -> None:
    back, on = shown.get_by_role("link", name="前へ"), shown.get_by_role("link", name="次へ")
    last = int(shown.locator("#slider").get_attribute("max") or 0)
    assert last >= 2
    expect(on).to_have_attribute("aria-disabled", "true")
    back.focus()
    for index in range(last - 1, -1, -1):
        shown.keyboard.press("Enter")
        expect(shown.locator("#shown")).to_have_attribute("data-index", str(index))
        expect(back).to_be_focused()
    expect(back).to_have_attribute("aria-disabled", "true")
    looked_at(shown, "replay_at_the_end_of_the_steps")
    shown.get_by_role("link", name="いま", exact=True).click()
    expect(shown.locator("#then")).to_contain_text("E02")
    assert "at=" not in shown.url


def test_many_movements_ask_little_and_the_last_one_stands(shown: Page) -> None:
    asked: list[str] = []
    shown.on("request", lambda request: asked.append(request.url))
    slider = shown.get_by_label("時点", exact=True)
    slider.focus()
    for _ in range(10):
        shown.keyboard.press("Home")
        shown.keyboard.press("End")
    shown.keyboard.press("Home")
    expect(shown.locator("#shown")).to_have_attribute("data-index", "0")
    expect(slider).to_have_value("0")
    assert len(asked) < 10


def test_the_moment_before_a_call(shown: Page) -> None:
    shown.get_by_role("link", name="この直前を見る").first.click()
    then = shown.locator("#then")
    expect(then.get_by_text("動いていた期限はありません")).to_be_visible()
    expect(then).not_to_contain_text("E02")
    shown.get_by_role("link", name="この時点までに台帳に届いていた記録だけで見る").click()
    expect(shown.locator("#then .badge.key")).to_contain_text("台帳に届いていた記録だけ")
    looked_at(shown, "replay_as_it_was_known")


def test_without_scripts_slider_steps_and_date_do_the_same(person: Opened, case: Answer) -> None:
    page = person("auditor", "見本 監査", java_script_enabled=False)
    replays(page, case)
    page.get_by_role("link", name="最初").click()
    expect(page.locator("#then")).not_to_contain_text("E02")
    page.get_by_role("link", name="次へ").click()
    expect(page.locator("#shown")).to_have_attribute("data-index", "1")
    page.locator("#slider").focus()
    page.keyboard.press("Home")
    page.get_by_role("button", name="つまみの時点を見る").click()
    expect(page.locator("#shown")).to_have_attribute("data-index", "0")
    page.get_by_label("日時で選ぶ").fill("2020年1月1日")
    page.get_by_role("button", name="この時点を見る").click()
    expect(page.get_by_text("まだ受け付けていません")).to_be_visible()


def test_the_whole_ward_is_for_everyone(person: Opened, case: Answer) -> None:
    page = person("auditor", "見本 監査")
    replays(page, case)
    page.goto("/replay/ward")
    expect(page.get_by_role("heading", name="機関ごとの件数")).to_be_visible()
    for_everyone(page, "replay_ward")
    page.get_by_label("時点", exact=True).focus()
    page.keyboard.press("Home")
    expect(page.locator("#shown")).to_have_attribute("data-index", "0")
    looked_at(page, "replay_ward_at_the_first_step")


def test_one_chooses_a_case_and_a_wrong_number_is_told(person: Opened, case: Answer) -> None:
    page = person("auditor", "見本 監査", viewport=PHONE)
    page.goto("/replay")
    for_everyone(page, "replay_start")
    page.get_by_label("相談の番号").fill("131059-1999-000001")
    page.get_by_role("button", name="経過を見る").click()
    expect(page.get_by_role("alert")).to_contain_text("台帳にありません")
    looked_at(page, "replay_wrong_number")
    page.get_by_label("相談の番号").fill(case.number)
    page.get_by_role("button", name="経過を見る").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(case.number)


def test_the_ledger_is_verified_and_one_is_told_when_it_is_done(
    person: Opened, case: Answer
) -> None:
    page = person("auditor", "見本 監査")
    replays(page, case)
    page.goto("/replay/verify")
    looked_at(page, "replay_verify_before")
    page.get_by_role("button", name="検証する").click()
    expect(page.get_by_text("台帳は完全です")).to_be_visible()
    for_everyone(page, "replay_verified")


def test_one_case_is_taken_away_as_a_file(shown: Page, case: Answer) -> None:
    with shown.expect_download() as coming:
        shown.get_by_role("button", name="この相談を書き出す").click()
    assert coming.value.suggested_filename == f"{case.number}.json"


def test_while_audit_is_down_the_slider_says_so_and_the_page_too(
    network: RunningNetwork, staff: Staff, watched: Callable[..., Watched], case: Answer
) -> None:
    watch = watched()
    page = watch.page()
    page.goto("/login")
    signs_in(page, staff.login("auditor", "見本 監査"))
    replays(page, case)
    with network.down("audit"), watch.expecting("503"):
        page.get_by_label("時点", exact=True).focus()
        page.keyboard.press("Home")
        expect(page.locator("#said")).to_contain_text("返事がありません", timeout=20_000)
        page.goto(f"/replay/of/{case.number}")
        expect(page.get_by_text("ふだんどおり続いています")).to_be_visible(timeout=20_000)
        looked_at(page, "replay_while_audit_is_down")
    network.await_ready()
    replays(page, case)
