"""A referral's page, as people of a hub use it: opened on a basis, offered on, closed and reopened; by keyboard,
on a phone, without scripts, in English."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.in_a_browser.chromium import PHONE
from tests.in_a_browser.looks import for_everyone, looked_at
from tests.network import RunningNetwork
from tests.partners import Answer, a_referral

Opened = Callable[..., Page]
ANSHIN, HUB, LIEN = "anshin-motofuji", "hub-motofuji", "lien-bunkyo"
NAME = "見本󠄀 太郎𠮷"


def told(network: RunningNetwork) -> Answer:
    """A case with a way behind it: taken, asked for elsewhere and declined, called for."""
    anshin, hub = network.partner(ANSHIN), network.partner(HUB)
    sent = anshin.posts(
        a_referral().having(urgency="urgent", person={"name": NAME, "kana": "みほん たろう"})
    )
    network.move_clock(timedelta(minutes=5))
    hub.accepts(sent.handoff(to=HUB))
    asked = hub.offers(sent.id, LIEN, kind="request")
    network.move_clock(timedelta(minutes=20))
    network.partner(LIEN).declines(asked.handoff(to=LIEN))
    hub.notes(sent.id, "夜に電話した。\n明日また訪ねる。")
    network.move_clock(timedelta(minutes=90))
    assert hub.escalates(sent.id, "E10").status == 201
    assert hub.offers(sent.id, "hub-komagome").status == 201
    return sent


@pytest.fixture(scope="module")
def case(network: RunningNetwork) -> Answer:
    return told(network)


def act(page: Page, summary: str) -> None:
    page.locator("summary", has_text=summary).first.click()


def test_the_page_is_for_everyone_in_every_state(person: Opened, case: Answer) -> None:
    page = person(HUB)
    page.goto(f"/referrals/{case.id}")
    for_everyone(page, "referral")
    expect(page.get_by_role("img", name="経過の図")).to_be_visible()
    for one in page.locator("main details > summary").all():
        one.click()
    looked_at(page, "referral_every_form_open")
    page.get_by_role("button", name="記録する").click()
    expect(page.locator("#problems")).to_be_focused()
    looked_at(page, "referral_a_field_is_missing")


def test_what_is_personal_is_opened_on_a_basis_and_masked_again(
    person: Opened, case: Answer
) -> None:
    page = person(HUB)
    page.goto(f"/referrals/{case.id}")
    expect(page.get_by_text(NAME)).to_have_count(0)
    act(page, "個人情報を開く")
    page.get_by_role("button", name="開く", exact=True).click()
    expect(page.get_by_text(NAME)).to_be_visible()
    expect(page.get_by_text("明日また訪ねる")).to_be_visible()
    for_everyone(page, "referral_opened")
    assert NAME not in page.title()
    page.get_by_role("button", name="閉じる", exact=True).click()
    expect(page.get_by_text(NAME)).to_have_count(0)


def test_what_was_opened_is_masked_again_when_its_time_is_over(
    person: Opened, network: RunningNetwork, case: Answer
) -> None:
    page = person(HUB)
    page.goto(f"/referrals/{case.id}")
    act(page, "個人情報を開く")
    page.get_by_role("button", name="開く", exact=True).click()
    network.move_clock(timedelta(minutes=14))
    page.reload()
    expect(page.get_by_text(NAME)).to_be_visible()
    network.move_clock(timedelta(minutes=2))
    page.reload()
    expect(page.get_by_role("heading", name="個人情報")).to_be_visible()
    expect(page.get_by_text(NAME)).to_have_count(0)


def test_what_was_opened_leaves_the_screen_by_itself_and_what_is_half_written_stays(
    person: Opened, case: Answer
) -> None:
    page = person(HUB)
    page.clock.install()
    page.goto(f"/referrals/{case.id}")
    act(page, "個人情報を開く")
    page.get_by_role("button", name="開く", exact=True).click()
    expect(page.get_by_text(NAME)).to_be_visible()
    act(page, "記録を加える")
    page.get_by_label(re.compile("^記録")).fill("書きかけ")
    page.clock.fast_forward("14:00")
    expect(page.get_by_text(NAME)).to_be_visible()
    page.clock.fast_forward("01:30")
    expect(page.get_by_text("時間が過ぎたので閉じました")).to_be_visible()
    expect(page.get_by_text(NAME)).to_have_count(0)
    expect(page.get_by_text("明日また訪ねる")).to_have_count(0)
    expect(page.get_by_label(re.compile("^記録"))).to_have_value("書きかけ")


def test_a_case_is_offered_and_the_offer_taken_back_by_keyboard_alone(
    person: Opened, network: RunningNetwork
) -> None:
    case = told(network)
    page = person(HUB)
    page.goto(f"/referrals/{case.id}")
    page.locator("summary", has_text="他機関へ打診する").focus()
    page.keyboard.press("Enter")
    page.get_by_label("依頼", exact=False).locator("visible=true").first.focus()
    page.keyboard.press("Space")
    page.get_by_role("checkbox", name="基幹", exact=False).first.focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="打診する", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator(".flash")).to_contain_text("打診しました")
    page.get_by_role("button", name="元に戻す").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".flash")).to_contain_text("取り下げました")


def test_everything_is_done_without_scripts_and_on_a_phone(
    person: Opened, network: RunningNetwork
) -> None:
    case = told(network)
    page = person(HUB, viewport=PHONE, java_script_enabled=False)
    page.goto(f"/referrals/{case.id}")
    act(page, "記録を加える")
    page.get_by_label(re.compile("^記録")).fill("電話で確かめた。")
    page.get_by_role("button", name="記録する").click()
    expect(page.locator(".flash")).to_contain_text("記録しました")
    with page.expect_download() as download:
        page.get_by_role("link", name="受領証を保存").last.click()
    assert download.value.suggested_filename.startswith("receipt-131059-")


def test_the_list_is_for_everyone_and_finds_a_number(person: Opened, case: Answer) -> None:
    page = person(HUB)
    page.goto("/referrals")
    for_everyone(page, "referrals")
    page.locator("input[name=number]").fill("999999")
    page.get_by_role("button", name="さがす").click()
    looked_at(page, "referrals_no_such_number")
    page.locator("input[name=number]").fill(case.number.replace("-", "－"))
    page.get_by_role("button", name="さがす").click()
    page.wait_for_url("**/referrals/131059-*")


def test_an_auditor_reads_in_english(person: Opened, case: Answer) -> None:
    page = person("auditor")
    page.goto(f"/referrals/{case.id}")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="The way it went")).to_be_visible()
    expect(page.get_by_text("Auditors only read.")).to_be_visible()
    looked_at(page, "referral_for_an_auditor_in_english")
    words = page.locator(".picture").text_content() or ""
    assert not re.search("[ぁ-んァ-ン]", words), "names in English, too"
