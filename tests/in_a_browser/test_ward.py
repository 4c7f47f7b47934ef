"""The ward's pages in a browser: for everyone, on every screen, and on paper."""

import re
from collections.abc import Callable
from datetime import datetime

import pytest
from playwright.sync_api import Page, expect

from schemas.outside import JAPAN
from tests.in_a_browser.chromium import PHONE
from tests.in_a_browser.looks import for_everyone, looked_at
from tests.network import RunningNetwork, eventually
from tests.partners import a_referral

Opened = Callable[..., Page]
ANSHIN, HUB = "anshin-motofuji", "hub-motofuji"


@pytest.fixture(scope="module")
def busy(network: RunningNetwork) -> None:
    """Some cases that wait, one in care, one closed, one to rule, one call, one declined."""
    anshin, hub = network.partner(ANSHIN), network.partner(HUB)
    routine = a_referral().having(urgency="routine", function="consultation")
    for _ in range(6):
        anshin.posts(routine)
    taken = anshin.posts(routine)
    hub.accepts(taken.handoff(to=HUB))
    closed = anshin.posts(routine)
    hub.accepts(closed.handoff(to=HUB))
    assert hub.closes(closed.number).status == 200
    declined = anshin.posts(routine)
    hub.declines(declined.handoff(to=HUB))
    anshin.posts(routine.by_address("文京区向丘一丁目"))
    assert hub.escalates(taken.number, "E02").status == 201


def this_month(page: Page) -> None:
    """This month's sheet, once audit has counted all of it."""
    today = datetime.now(JAPAN)

    def counted() -> bool:
        page.goto(f"/ward/month?year={today.year}&month={today.month}")
        return page.locator("#s-calls").count() == 1 and page.get_by_text("E02").count() > 0

    eventually(counted, 20, "the month is counted")


@pytest.mark.usefixtures("busy")
def test_the_ward_at_a_glance_is_for_everyone(person: Opened) -> None:
    page = person("core")
    page.goto("/ward")
    expect(page).to_have_title("区のいま | つなぐ")
    expect(page.get_by_role("rowheader", name="本富士地区").first).to_be_visible()
    for_everyone(page, "ward_now")


@pytest.mark.usefixtures("busy")
def test_the_ward_office_and_staff_have_pages_of_their_own(person: Opened) -> None:
    office = person("ward-office", "見本 二郎")
    office.goto("/ward")
    expect(office.get_by_role("link", name="月の実績")).to_be_visible()
    looked_at(office, "ward_now_for_the_ward_office")
    staff = person("hub-komagome", "見本 三郎", viewport=PHONE)
    staff.goto("/ward")
    expect(staff.get_by_role("link", name="月の実績")).to_have_count(0)
    looked_at(staff, "ward_now_for_staff_on_a_phone")


@pytest.mark.usefixtures("busy")
def test_the_month_is_for_everyone(person: Opened) -> None:
    page = person("ward-office", "見本 二郎")
    this_month(page)
    for_everyone(page, "month")
    page.get_by_role("link", name="少数を伏せる").click()
    expect(page.get_by_text("秘匿", exact=True).first).to_be_visible()
    looked_at(page, "month_few_hidden")
    page.get_by_label("年").fill("2026")
    page.get_by_label("月", exact=True).fill("1")
    page.get_by_role("button", name="この月を見る").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2026年1月 の実績")
    looked_at(page, "month_with_nothing")


@pytest.mark.usefixtures("busy")
def test_a_bar_is_as_long_as_its_number_says(person: Opened) -> None:
    page = person("ward-office", "見本 二郎")
    this_month(page)
    rows = page.locator("#s-stage").locator("xpath=..").locator("tbody tr")
    told: list[tuple[int, float]] = []
    for n in range(rows.count()):
        number = int(rows.nth(n).locator("td").first.inner_text())
        bar = rows.nth(n).locator("svg.bar rect")
        box = bar.bounding_box() if bar.count() else None
        told.append((number, box["width"] if box else 0.0))
    most, widest = max(told)
    assert widest > 60
    for number, width in told:
        assert abs(width - widest * number / most) < 2


@pytest.mark.usefixtures("busy")
def test_the_month_is_printed_on_a4_with_what_vouches_for_it(person: Opened) -> None:
    page = person("ward-office", "見本 二郎")
    this_month(page)
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="この月を見る")).to_be_hidden()
    expect(page.get_by_role("link", name="CSV で保存")).to_be_hidden()
    expect(page.get_by_text("作成")).to_be_visible()
    expect(page.get_by_text("台帳の確認用の値")).to_be_visible()
    pdf = page.pdf(format="A4")
    sheets = len(re.findall(rb"/Type\s*/Page\b", pdf))
    assert 2 <= sheets <= 12
    cut = page.evaluate(
        """() => [...document.querySelectorAll('.sheet')]
            .filter(one => getComputedStyle(one).breakInside !== 'avoid').length"""
    )
    assert cut == 0


@pytest.mark.usefixtures("busy")
def test_the_spreadsheet_is_saved(person: Opened) -> None:
    page = person("ward-office", "見本 二郎")
    this_month(page)
    with page.expect_download() as coming:
        page.get_by_role("link", name="CSV で保存").click()
    file = coming.value
    assert re.fullmatch(r"131059-\d{4}-\d{2}\.csv", file.suggested_filename)
    path = file.path()
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
