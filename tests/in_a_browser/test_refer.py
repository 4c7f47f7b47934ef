"""Staff without a system write a referral down while somebody is on the telephone: in Japanese, with
interruptions, and the hub gets it."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from playwright.sync_api import Page, Request, expect

from tests.in_a_browser.chromium import PHONE, Watched
from tests.in_a_browser.conftest import signs_in
from tests.in_a_browser.looks import for_everyone, looked_at
from tests.in_a_browser.staff import Staff
from tests.network import RunningNetwork

Opened = Callable[..., Page]
HOME = "lien-bunkyo"
SAVED = "下書きを保存しました"


class Ime:
    """A Japanese input method: it composes, and then it commits (CDP, Input domain)."""

    def __init__(self, page: Page) -> None:
        self._cdp = page.context.new_cdp_session(page)

    def composes(self, *steps: str) -> None:
        for text in steps:
            end = len(text)
            given = {"text": text, "selectionStart": end, "selectionEnd": end}
            self._cdp.send("Input.imeSetComposition", given)

    def commits(self, text: str) -> None:
        self._cdp.send("Input.insertText", {"text": text})


def asked_districts(page: Page) -> list[str]:
    """The addresses that the page asks about, as it does."""
    asked: list[str] = []

    def heard(request: Request) -> None:
        if request.url.endswith("/refer/district"):
            asked.extend(parse_qs(request.post_data or "").get("address", [""]))

    page.on("request", heard)
    return asked


def the_rest(page: Page) -> None:
    """What has to be there beside name and address."""
    page.get_by_role("group", name="だれからの相談か").get_by_label("家族").check()
    page.get_by_role("group", name="緊急度").get_by_label("至急").check()
    page.get_by_role("group", name="求める機能").get_by_label("相談", exact=True).check()
    page.get_by_label("状況", exact=False).first.fill("家族から電話。眠れていない。")
    page.get_by_role("group", name="同意・提供の根拠").get_by_label("本人の口頭による同意").check()


def test_a_referral_is_typed_in_japanese_left_found_again_posted_and_accepted(
    network: RunningNetwork, person: Opened, watched: Callable[..., Watched], staff: Staff
) -> None:
    context = watched()
    page = context.page()
    page.goto("/login")
    signs_in(page, staff.login(HOME))
    page.goto("/refer")
    for_everyone(page, "refer")
    ime = Ime(page)
    name = page.locator("#name")
    name.focus()
    ime.composes("み", "みほ", "みほん")
    ime.commits("見本　葛\U000e0100子")
    page.locator("#birth_date").fill("昭和５５年４月１日")
    asked = asked_districts(page)
    page.locator("#address").focus()
    ime.composes("ほ", "ほん", "ほんごう")
    ime.commits("本郷")
    ime.composes("いっちょうめ２ばん３ごう")
    ime.commits("１丁目２番３号")
    expect(page.locator("#district")).to_contain_text("地区: 本富士地区")
    assert asked
    assert not any("ほ" in address or "いっちょう" in address for address in asked), asked
    expect(page.locator("#kept")).to_have_text(SAVED)
    page.wait_for_url("**/refer?draft=*")
    looked_at(page, "refer_saved")
    page.close()

    back = context.page()
    back.goto("/refer")
    draft = back.get_by_role("region", name="書きかけの下書き")
    looked_at(back, "refer_with_drafts")
    draft.get_by_role("link").first.click()
    expect(back.locator("#name")).to_have_value("見本　葛\U000e0100子")
    expect(back.locator("#birth_date")).to_have_value("昭和５５年４月１日")
    back.get_by_role("button", name="つなぐ", exact=True).click()
    problems = back.get_by_role("alert")
    expect(problems).to_be_focused()
    expect(problems).to_contain_text("状況を書いてください")
    looked_at(back, "refer_refused")
    problems.get_by_role("link", name="緊急度を選んでください").click()
    expect(back.locator("#urgency")).to_be_focused()
    expect(back.locator("#name")).to_have_value("見本　葛\U000e0100子")
    the_rest(back)
    back.get_by_role("button", name="つなぐ", exact=True).click()
    back.wait_for_url("**/referrals/*")
    number = network.partner(HOME).reads(back.url.rpartition("/")[2]).number
    expect(back.get_by_role("status").first).to_contain_text(
        f"つなぎました。番号は {number} です。"
    )
    back.goto("/refer")
    expect(back.get_by_role("region", name="書きかけの下書き")).to_have_count(0)

    hub = person("hub-motofuji")
    hub.goto("/inbox")
    offer = hub.get_by_role("article").filter(has_text=number)
    expect(offer).to_contain_text("至急")
    offer.get_by_text("受諾する…").click()
    offer.get_by_role("button", name="受諾する").click()
    expect(hub.get_by_text("受諾しました。担当は貴機関です。")).to_be_visible()
    expect(hub.get_by_role("table").first).to_contain_text(number)


def test_nothing_is_asked_or_kept_in_the_middle_of_a_composition(person: Opened) -> None:
    page = person(HOME, name="見本 途中")
    page.clock.install()
    page.goto("/refer")
    posts: list[str] = []
    page.on("request", lambda r: posts.append(r.url) if r.method == "POST" else None)
    ime = Ime(page)
    page.locator("#address").focus()
    ime.composes("ほ", "ほんごう")
    page.clock.run_for(5_000)
    assert posts == []
    with page.expect_response("**/refer/district"):
        ime.commits("本郷1-2-3")
        page.clock.run_for(700)
    expect(page.locator("#district")).to_contain_text("地区:")


def test_a_window_that_is_closed_at_once_has_kept_its_words(
    watched: Callable[..., Watched], staff: Staff
) -> None:
    context = watched()
    page = context.page()
    page.goto("/login")
    signs_in(page, staff.login(HOME, "見本 急ぐ"))
    page.goto("/refer")
    page.locator("#summary").fill("書きかけで閉じた")
    page.close(run_before_unload=True)
    back = context.page()

    def kept() -> bool:
        back.goto("/refer")
        return back.get_by_role("region", name="書きかけの下書き").count() == 1

    _until(back, kept)
    back.get_by_role("region", name="書きかけの下書き").get_by_role("link").click()
    expect(back.locator("#summary")).to_have_value("書きかけで閉じた")


def test_a_line_that_is_lost_is_told_and_the_draft_is_kept_when_it_is_back(
    watched: Callable[..., Watched], staff: Staff
) -> None:
    context = watched()
    page = context.page()
    page.goto("/login")
    signs_in(page, staff.login(HOME, "見本 途切れ"))
    page.clock.install()
    page.goto("/refer")
    with context.expecting("Failed to load resource", "ERR_INTERNET_DISCONNECTED"):
        context.context.set_offline(True)
        page.locator("#summary").fill("線が切れた")
        page.clock.run_for(1_500)
        expect(page.locator("#kept")).to_contain_text("下書きを保存できません")
        looked_at(page, "refer_not_saved")
        context.context.set_offline(False)
        page.clock.run_for(11_000)
        expect(page.locator("#kept")).to_have_text(SAVED)


def test_what_is_sent_while_nobody_answers_stays_on_the_page_and_goes_when_the_line_is_back(
    network: RunningNetwork, watched: Callable[..., Watched], staff: Staff
) -> None:
    context = watched()
    page = context.page()
    page.goto("/login")
    signs_in(page, staff.login(HOME, "見本 無言"))
    page.goto("/refer")
    page.locator("#address").fill("本郷1丁目2番3号")
    the_rest(page)
    expect(page.locator("#kept")).to_have_text(SAVED)
    with context.expecting("Failed to load resource", "ERR_INTERNET_DISCONNECTED"):
        context.context.set_offline(True)
        page.locator("#complaint").fill("線が切れた")
        expect(page.locator("#kept")).to_contain_text("下書きを保存できません")
        page.get_by_role("button", name="つなぐ", exact=True).click()
        expect(page.locator("#kept")).to_contain_text("まだ送っていません")
        expect(page.locator("#complaint")).to_have_value("線が切れた")
        context.context.set_offline(False)
        page.get_by_role("button", name="つなぐ", exact=True).click()
        page.wait_for_url("**/referrals/*")
    referral = network.partner(HOME).reads(page.url.rpartition("/")[2]).body
    assert referral["complaint"] == "線が切れた"


def test_two_tabs_are_told_and_keep_both(watched: Callable[..., Watched], staff: Staff) -> None:
    context = watched()
    one = context.page()
    one.goto("/login")
    signs_in(one, staff.login(HOME, "見本 二枚"))
    one.goto("/refer")
    one.locator("#summary").fill("はじめ")
    one.wait_for_url("**/refer?draft=*")
    two = context.page()
    two.goto(one.url)
    two.locator("#summary").fill("二枚目")
    expect(two.locator("#kept")).to_have_text(SAVED)
    one.locator("#summary").fill("一枚目")
    expect(one.locator("#kept")).to_contain_text("別の下書きに保存しました")
    assert one.url != two.url
    one.reload()
    expect(one.locator("#summary")).to_have_value("一枚目")
    two.reload()
    expect(two.locator("#summary")).to_have_value("二枚目")


def test_with_scripts_off_everything_is_done_by_buttons(person: Opened) -> None:
    page = person(HOME, name="見本 静か", java_script_enabled=False, viewport=PHONE)
    page.goto("/refer")
    page.locator("#address").fill("本郷1丁目2番3号")
    page.get_by_role("button", name="地区を確かめる").click()
    expect(page.locator("#district")).to_contain_text("地区: 本富士地区")
    the_rest(page)
    page.get_by_role("button", name="下書きを保存").click()
    expect(page.get_by_text(SAVED)).to_be_visible()
    expect(page.locator("#address")).to_have_value("本郷1丁目2番3号")
    page.get_by_role("button", name="つなぐ", exact=True).click()
    page.wait_for_url("**/referrals/*")


def test_the_back_button_after_a_post_does_not_post_again(person: Opened) -> None:
    page = person(HOME, name="見本 戻る")
    page.goto("/refer")
    page.locator("#address").fill("本郷1丁目2番3号")
    the_rest(page)
    expect(page.locator("#kept")).to_have_text(SAVED)
    page.get_by_role("button", name="つなぐ", exact=True).click()
    page.wait_for_url("**/referrals/*")
    page.go_back()
    expect(page.get_by_text("その下書きはもうありません")).to_be_visible()


def _until(page: Page, holds: Callable[[], Any]) -> None:
    for _ in range(100):
        if holds():
            return
        page.wait_for_timeout(50)
    raise AssertionError("not within five seconds")
