"""The inbox in a browser: word of what comes while somebody is at work, and an answer in two steps."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.in_a_browser.chromium import PHONE
from tests.in_a_browser.looks import for_everyone, looked_at
from tests.network import RunningNetwork
from tests.partners import a_referral

Opened = Callable[..., Page]
HUB = "hub-otsuka"


def an_offer(network: RunningNetwork, urgency: str = "urgent") -> str:
    posted = network.partner("sample-hospital").posts(a_referral().to(HUB).having(urgency=urgency))
    return posted.number


def test_an_empty_inbox_says_so(person: Opened) -> None:
    page = person("sample-home")
    page.goto("/inbox")
    expect(page.get_by_text("返事を待っている打診はありません。")).to_be_visible()
    looked_at(page, "inbox_empty")


def test_word_comes_while_an_answer_is_being_written_and_moves_nothing(
    network: RunningNetwork, person: Opened
) -> None:
    number = an_offer(network)
    page = person(HUB)
    page.goto("/inbox")
    offer = page.get_by_role("article").filter(has_text=number)
    offer.get_by_text("辞退する…").click()
    words = offer.get_by_label("説明").nth(0)
    words.fill("まだ考えている")
    before = words.bounding_box()
    an_offer(network, "emergency")
    expect(page.get_by_role("status").filter(has_text="新しい出来事が")).to_be_visible()
    expect(words).to_be_focused()
    expect(words).to_have_value("まだ考えている")
    after = words.bounding_box()
    assert before == after
    for_everyone(page, "inbox")
    page.get_by_role("link", name="表示する").click()
    expect(page.get_by_role("article").filter(has_text="緊急").first).to_be_visible()


def test_an_offer_is_declined_by_keyboard_and_a_missing_reason_is_led_to(
    network: RunningNetwork, person: Opened
) -> None:
    number = an_offer(network)
    page = person(HUB)
    page.goto("/inbox")
    offer = page.get_by_role("article").filter(has_text=number)
    offer.get_by_text("辞退する…").press("Enter")
    offer.get_by_label("説明").fill("満床です")
    offer.get_by_role("button", name="辞退する").press("Enter")
    problems = page.get_by_role("alert")
    expect(problems).to_be_focused()
    looked_at(page, "decline_refused")
    problems.get_by_role("link", name="理由を選んでください").press("Enter")
    expect(page.get_by_label("理由")).to_be_focused()
    page.get_by_label("理由").select_option("no_capacity")
    page.get_by_label("機関", exact=True).check()
    expect(page.get_by_label("説明")).to_have_value("満床です")
    page.get_by_role("button", name="辞退する").press("Enter")
    expect(page.get_by_text("辞退しました")).to_be_visible()
    expect(page.get_by_role("article").filter(has_text=number)).to_have_count(0)


def test_without_scripts_on_a_phone_an_offer_is_accepted(
    network: RunningNetwork, person: Opened
) -> None:
    number = an_offer(network)
    page = person(HUB, java_script_enabled=False, viewport=PHONE)
    page.goto("/inbox")
    offer = page.get_by_role("article").filter(has_text=number)
    offer.get_by_text("受諾する…").click()
    offer.get_by_role("button", name="受諾する").click()
    expect(page.get_by_text("受諾しました。担当は貴機関です。")).to_be_visible()
