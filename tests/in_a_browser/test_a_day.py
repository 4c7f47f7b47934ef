"""A few days in the ward, as its people go through them on the console's pages alone: a referral is written down,
taken on, called for at night, ruled on, handed on and given back; the ward office counts; an auditor looks
at how it came to that. The pictures in docs/screenshots are taken on the way.

A network of its own, for its clock is moved through days, and on into the next month.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, Response, expect

from runtime.clock import shift
from schemas.outside import JAPAN
from tests.in_a_browser.chromium import DESK, PHONE, Watched
from tests.in_a_browser.conftest import signs_in
from tests.in_a_browser.looks import looked_at, pictured
from tests.in_a_browser.staff import Staff
from tests.in_a_browser.test_refer import Ime
from tests.network import RunningNetwork, eventually, running_network, verified
from tests.partners import a_referral
from wards.holidays import NationalHolidays

ANSHIN, HUB, KOMAGOME, HOSPITAL = (
    "anshin-motofuji",
    "hub-motofuji",
    "hub-komagome",
    "sample-hospital",
)
NUMBER = re.compile(r"131059-\d{4}-\d{6}")
NAME = "見本　葛\U000e0100子"
TALL, A4 = DESK | {"height": 1600}, {"width": 794, "height": 1123}
REFERRAL_PAGE = re.compile(r"/(referrals|board|replay/of)/([0-9a-f-]{20,36}|131059-[0-9-]+)")


def first_day() -> datetime:
    """Ten o'clock of the next Tuesday of which the two days after it, too, are no holidays of the same month."""
    holidays = NationalHolidays()
    day = datetime.now(JAPAN).date()
    while True:
        day += timedelta(days=1)
        three = [day + timedelta(days=n) for n in range(3)]
        is_plain = not any(each in holidays for each in three) and three[2].month == day.month
        if day.weekday() == 1 and is_plain and (day.month, day.day) < (12, 23):
            return datetime.combine(day, time(10), JAPAN)


def next_month(of: datetime) -> datetime:
    """Half past ten of a plain day early in it."""
    holidays = NationalHolidays()
    day = (of.replace(day=28) + timedelta(days=4)).replace(day=4).date()
    while day.weekday() > 4 or day in holidays:
        day += timedelta(days=1)
    return datetime.combine(day, time(10, 30), JAPAN)


class Calendar:
    """The network's clock, as somebody tells it: "half past ten in the evening of the first day"."""

    def __init__(self, network: RunningNetwork, beginning: datetime, began_at: datetime) -> None:
        self._network = network
        self._beginning = beginning
        self._moved = beginning - began_at

    @property
    def now(self) -> datetime:
        return datetime.now(JAPAN) + self._moved

    def passes(self, minutes: int) -> None:
        self.becomes(self.now + timedelta(minutes=minutes))

    def is_(self, day: int, hour: int, minute: int = 0) -> None:
        """``day``: 0 is the first."""
        wanted = self._beginning + timedelta(days=day)
        self.becomes(wanted.replace(hour=hour, minute=minute))

    def becomes(self, moment: datetime) -> None:
        by = moment - self.now
        assert by > timedelta(0), "time runs on only"
        self._network.move_clock(by)
        self._moved += by


@pytest.fixture(scope="module")
def beginning() -> tuple[datetime, datetime]:
    return first_day(), datetime.now(JAPAN)


@pytest.fixture(scope="module")
def network(
    tmp_path_factory: pytest.TempPathFactory, beginning: tuple[datetime, datetime]
) -> Iterator[RunningNetwork]:
    home = tmp_path_factory.mktemp("days")
    # It is that day for all of its processes from their first moment on.
    shift(home.resolve() / "clock_shift", (beginning[0] - beginning[1]).total_seconds())
    with running_network(home, console=True, clock_shift=True) as running:
        yield running


@pytest.fixture(scope="module")
def calendar(network: RunningNetwork, beginning: tuple[datetime, datetime]) -> Calendar:
    return Calendar(network, *beginning)


@pytest.fixture(scope="module")
def staff(network: RunningNetwork) -> Staff:
    return Staff(network)


@pytest.fixture(scope="module")
def opened() -> set[tuple[str, str, str]]:
    """Which pages about one referral were shown: login, room, the referral as the address has it."""
    return set()


@pytest.fixture
def comes(
    watched: Callable[..., Watched], staff: Staff, opened: set[tuple[str, str, str]]
) -> Callable[..., Page]:
    """``comes("core", "見本 花子")``: signed in; what they are shown is noted down."""

    def come(agency: str, name: str = "見本 花子", **how: Any) -> Page:
        context = watched(**how)
        login = staff.login(agency, name)

        def heard(response: Response) -> None:
            found = REFERRAL_PAGE.fullmatch(urlsplit(response.url).path)
            if found and response.status == 200 and response.request.method == "GET":
                opened.add((login, found[1], found[2]))

        context.context.on("response", heard)
        page = context.page()
        page.goto("/login")
        signs_in(page, login)
        return page

    return come


Comes = Callable[..., Page]


def unfolds(page: Page | Locator, summary: str) -> None:
    page.locator("summary", has_text=summary).first.click()


def resized(page: Page, to: dict[str, int]) -> None:
    page.set_viewport_size({"width": to["width"], "height": to["height"]})


def leaves(page: Page) -> None:
    page.get_by_role("button", name="サインアウト").click()
    expect(page.get_by_role("heading", name="サインアウトしました")).to_be_visible()
    page.context.close()


# -- the form, as everybody fills it in ------------------------------------------------------------------


def chooses(page: Page, urgency: str, function: str, asked_by: str = "家族") -> None:
    page.get_by_role("group", name="だれからの相談か").get_by_label(asked_by, exact=True).check()
    page.get_by_role("group", name="緊急度").get_by_label(urgency, exact=True).check()
    page.get_by_role("group", name="求める機能").get_by_label(function, exact=True).check()
    page.get_by_role("group", name="同意・提供の根拠").get_by_label("本人の口頭による同意").check()


def sends(page: Page) -> tuple[str, str]:
    """The referral's id and its number."""
    page.get_by_role("button", name="つなぐ", exact=True).click()
    page.wait_for_url("**/referrals/*")
    said = page.get_by_role("status").first
    expect(said).to_contain_text("つなぎました")
    number = NUMBER.search(said.inner_text())
    assert number is not None
    return page.url.rpartition("/")[2], number[0]


def types_in(
    page: Page, address: str, urgency: str, function: str, summary: str
) -> tuple[str, str]:
    page.goto("/refer")
    page.locator("#name").fill("見本　次郎")
    page.locator("#address").fill(address)
    page.locator("#summary").fill(summary)
    chooses(page, urgency, function, "機関")
    return sends(page)


def takes_on(page: Page, number: str) -> None:
    """From the inbox, where it stands."""
    offer = page.get_by_role("article").filter(has_text=number)
    unfolds(offer, "受諾する")
    offer.get_by_role("button", name="受諾する").click()
    expect(page.locator(".flash")).to_contain_text("受諾しました。担当は貴機関です。")


def on_the_board(page: Page, number: str) -> Locator:
    return page.locator("#calls tr[data-call]").filter(has_text=number)


def a_ward_at_work(network: RunningNetwork, calendar: Calendar) -> None:
    """What others do in these days, by their own systems: without it no table is like a real one."""
    plain = a_referral().having(person={"name": "見本 三郎"}, summary="見本の相談です。")
    hubs = {"motofuji": 9, "komagome": 4, "tomisaka": 6, "otsuka": 2}
    urgencies = ("routine", "routine", "urgent", "information")
    functions = ("consultation", "experience", "community")
    outcomes = ("got_help", "referred_elsewhere", "no_longer_wanted")
    sent = []
    for district, count in hubs.items():
        for n in range(count):
            case = plain.to_district(district).without("address")
            case = case.having(urgency=urgencies[n % 4], function=functions[n % 3])
            posted = network.partner(f"anshin-{district}").posts(case)
            assert posted.status == 201, posted.body
            sent.append((n, f"hub-{district}", posted))
    # Each third of the answers comes a while after the one before it.
    for turn, minutes in enumerate((7, 18, 15)):
        calendar.passes(minutes)
        for each, (n, hub, posted) in enumerate(sent):
            if each % 3 != turn:
                continue
            if n % 5 == 4:
                reason = ("no_capacity", "out_of_scope")[turn % 2]
                assert network.partner(hub).declines(posted.handoff(to=hub), reason).status == 200
            elif n % 7 != 2:
                assert network.partner(hub).accepts(posted.handoff(to=hub)).status == 200
                if each % 4 == 0:
                    closed = network.partner(hub).closes(posted.number, outcomes[turn])
                    assert closed.status == 200, closed.body


# -- the first day: a telephone call comes in ---------------------------------------------------------------


def writes_down_a_call(page: Page) -> tuple[str, str]:
    """あんしん相談センター, staff without a system: by a Japanese input method, in 和暦 and half-width kana."""
    page.get_by_role("link", name="相談をつなぐ").first.click()
    pictured(page, "refer")
    ime = Ime(page)
    page.locator("#name").focus()
    ime.composes("み", "みほ", "みほん")
    ime.commits(NAME)
    page.locator("#kana").focus()
    page.keyboard.insert_text("ﾐﾎﾝ ｶｽﾞｺ")
    page.locator("#birth_date").fill("昭和５５年４月１日")
    page.locator("#phone").fill("０３−００００−００００")
    page.locator("#address").focus()
    ime.composes("ほ", "ほん", "ほんごう")
    ime.commits("本郷")
    ime.commits("１丁目２番３号")
    expect(page.locator("#district")).to_contain_text("地区: 本富士地区")
    page.get_by_role("group", name="受け方").get_by_label("電話").check()
    expect(page.locator("#kept")).to_have_text("下書きを保存しました")
    looked_at(page, "days_refer_typed")
    # The telephone rings again; what was typed is found again.
    page.goto("/refer")
    pictured(page, "refer_drafts")
    page.get_by_role("region", name="書きかけの下書き").get_by_role("link").first.click()
    expect(page.locator("#name")).to_have_value(NAME)
    expect(page.locator("#kana")).to_have_value("ﾐﾎﾝ ｶｽﾞｺ")
    chooses(page, "至急", "相談")
    page.locator("#summary").fill("見本の相談です。家族から電話。数日眠れず、食事もとれていない。")
    page.get_by_role("group", name="相談内容").get_by_role("checkbox").nth(0).check()
    sent = sends(page)
    expect(page.get_by_text("本富士地区").first).to_be_visible()
    expect(page.get_by_text(NAME)).to_have_count(0)
    looked_at(page, "days_just_sent")
    return sent


def takes_care(page: Page, calendar: Calendar, number: str) -> None:
    """The hub: opened on a basis, accepted, noted, closed, and reopened for it was closed by mistake."""
    expect(page.get_by_role("status").filter(has_text="新しい出来事が")).to_be_visible()
    page.get_by_role("link", name="表示する").click()
    offer = page.get_by_role("article").filter(has_text=number)
    expect(offer).to_contain_text("至急")
    looked_at(page, "days_inbox_with_an_offer")
    pictured(page, "inbox")
    offer.get_by_role("link", name=number).click()
    unfolds(page, "個人情報を開く")
    page.get_by_label("開く根拠").select_option("C2")
    page.get_by_role("button", name="開く", exact=True).click()
    expect(page.get_by_text(NAME)).to_be_visible()
    expect(page.get_by_text("ミホン　カズコ")).to_be_visible()
    expect(page.get_by_text("1980-04-01")).to_be_visible()
    looked_at(page, "days_opened")
    unfolds(page, "受諾する")
    page.get_by_role("button", name="受諾する").click()
    expect(page.locator(".flash")).to_contain_text("受諾しました。担当は貴機関です。")
    calendar.passes(minutes=20)
    unfolds(page, "記録を加える")
    page.get_by_label(re.compile("^記録")).fill("本人に電話した。\nあす訪ねる。（見本）")
    page.get_by_role("button", name="記録する").click()
    expect(page.locator(".flash")).to_contain_text("記録しました")
    calendar.passes(minutes=5)
    unfolds(page, "終結する")
    page.get_by_label("結果").select_option(index=1)
    page.get_by_role("button", name="終結する").click()
    expect(page.locator(".flash")).to_contain_text("終結しました")
    looked_at(page, "days_closed_with_undo")
    page.get_by_role("button", name="元に戻す").click()
    expect(page.locator(".flash")).to_contain_text("再開しました")


def answers_at_night(page: Page, number: str) -> None:
    """The core centre's on-call desk, by keyboard alone: it is there by itself, and is taken in hand."""
    row = on_the_board(page, number)
    expect(row).to_contain_text("E07", timeout=10_000)
    expect(row).to_contain_text("緊急")
    looked_at(page, "days_board_at_night")
    pictured(page, "board")
    resized(page, PHONE)
    pictured(page, "board_on_a_phone", whole=True)
    resized(page, DESK)
    what = row.locator(".what")
    what.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("E07")
    looked_at(page, "days_call_at_night")
    pictured(page, "call", whole=True)
    page.get_by_role("navigation", name="現在の位置").get_by_role("link").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/board")
    expect(page.locator("#line")).to_have_text("● つながっています")
    row.locator(".what").focus()
    button = row.get_by_role("button", name="応答する")
    for _ in range(4):
        page.keyboard.press("Tab")
        if button.evaluate("one => one === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text("担当になりました")
    expect(row).to_have_attribute("data-state", "acknowledged")
    looked_at(page, "days_board_in_hand")


def hands_on(page: Page, number: str, to: str) -> None:
    page.goto("/board")
    on_the_board(page, number).get_by_role("link", name="対応を決める").click()
    page.get_by_role("radio", name="つなぐ").check()
    page.get_by_label("つなぐ先").select_option(to)
    page.get_by_role("button", name="決める", exact=True).click()
    expect(page.locator(".flash")).to_contain_text("に打診しました。受諾までは担当のままです。")


def rules(page: Page, number: str) -> None:
    """An address that lies in three districts, as far as anybody can say."""
    page.goto("/board")
    row = on_the_board(page, number)
    expect(row).to_contain_text("E06")
    looked_at(page, "days_board_asks_for_a_ruling")
    row.get_by_role("button", name="駒込地区").click()
    expect(
        page.locator("#said, .flash").filter(has_text="駒込地区と判定しました").first
    ).to_be_visible()


def calls(page: Page, ref: str, code: str) -> None:
    page.goto(f"/referrals/{ref}")
    unfolds(page, "基幹へ上申する")
    page.get_by_label("理由").select_option(code)
    page.get_by_role("button", name="上申する").click()
    expect(page.locator(".flash")).to_contain_text("基幹へ上申しました")


def gives_back(page: Page, number: str) -> None:
    row = on_the_board(page, number)
    expect(row).to_contain_text("E10", timeout=10_000)
    row.get_by_role("button", name="応答する").click()
    expect(page.locator("#said")).to_contain_text("担当になりました")
    row.get_by_role("link", name="対応を決める").click()
    page.get_by_role("radio", name="戻す").check()
    unfolds(
        page.locator("section").filter(has=page.get_by_role("radio", name="戻す")),
        "コメントを添える",
    )
    page.locator("#resolve-text").fill("訪問は二人で。（見本）")
    page.get_by_role("button", name="決める", exact=True).click()
    expect(page.locator(".flash")).to_contain_text("戻す打診をしました")


# -- afterwards -------------------------------------------------------------------------------------------


def goes_through_it_again(page: Page, number: str) -> dict[str, Any]:
    """The auditor: by the slider and the keyboard, the ward, verified, taken away. Gives the export."""

    def is_there() -> bool:
        page.goto(f"/replay/of/{number}")
        return page.locator("#then").get_by_text("E10").count() > 0

    eventually(is_there, 20, "all of it is in the ledger")
    resized(page, TALL)
    pictured(page, "replay")
    resized(page, DESK)
    slider, then = page.get_by_label("時点", exact=True), page.locator("#then")
    last = int(slider.get_attribute("max") or 0)
    assert last >= 8
    slider.focus()
    page.keyboard.press("Home")
    expect(page.locator("#shown")).to_have_attribute("data-index", "0")
    expect(then).to_contain_text("高齢者あんしん相談センター本富士")
    expect(then).not_to_contain_text("E10")
    custodians = [then.locator(".facts dd").first.inner_text()]
    for step in range(1, last + 1):
        page.keyboard.press("ArrowRight")
        expect(page.locator("#shown")).to_have_attribute("data-index", str(step))
        expect(slider).to_be_focused()
        custodians.append(then.locator(".facts dd").first.inner_text())
    held = [one for n, one in enumerate(custodians) if n == 0 or custodians[n - 1] != one]
    assert held == [
        "高齢者あんしん相談センター本富士", "サポートセンターいちょう",
        "障害者基幹相談支援センター", "サポートセンターいちょう",
    ]  # fmt: skip
    looked_at(page, "days_replayed")
    with page.expect_download() as coming:
        page.get_by_role("button", name="この相談を書き出す").click()
    exported: dict[str, Any] = json.loads(coming.value.path().read_text("utf-8"))
    page.goto("/replay/ward")
    page.get_by_label("時点", exact=True).focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("heading", name="機関ごとの件数")).to_be_visible()
    looked_at(page, "days_ward_while_the_next_moment_comes")
    expect(then).not_to_have_attribute("aria-busy", "true")
    looked_at(page, "days_ward_replayed")
    pictured(page, "replay_ward")
    page.goto("/replay/verify")
    page.get_by_role("button", name="検証する").click()
    expect(page.get_by_text("台帳は完全です")).to_be_visible()
    looked_at(page, "days_verified")
    pictured(page, "replay_verified")
    return exported


def counts(page: Page, month: datetime) -> list[dict[str, str]]:
    """The ward office: how it stands, the month that is over, what may be published of it, the CSV."""
    page.goto("/ward")
    expect(page.get_by_role("rowheader", name="本富士地区").first).to_be_visible()
    looked_at(page, "days_ward_now")
    pictured(page, "ward_now", whole=True)

    def is_counted() -> bool:
        page.goto("/ward")
        page.get_by_role("link", name="月の実績").click()
        return page.locator("#s-calls").count() == 1

    eventually(is_counted, 30, "the month is counted")
    expect(page.get_by_role("heading", level=1)).to_have_text(
        f"{month.year}年{month.month}月 の実績"
    )
    looked_at(page, "days_month")
    pictured(page, "month", whole=True)
    page.get_by_role("link", name="少数を伏せる").click()
    expect(page.get_by_text("秘匿", exact=True).first).to_be_visible()
    looked_at(page, "days_month_few_hidden")
    page.emulate_media(media="print")
    resized(page, A4)
    page.evaluate(
        """() => {
            const paper = new CSSStyleSheet();
            paper.replaceSync("body { margin: 15mm 14mm; }");
            document.adoptedStyleSheets = [paper];
        }"""
    )
    pictured(page, "month_printed")
    resized(page, DESK)
    page.emulate_media(media="screen")
    with page.expect_download() as coming:
        page.get_by_role("link", name="CSV で保存").click()
    text = coming.value.path().read_text("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


# -- as it happened ----------------------------------------------------------------------------------------


def test_a_referral_goes_through_the_days_of_all_who_work_with_it(
    network: RunningNetwork,
    calendar: Calendar,
    watched: Callable[..., Watched],
    comes: Comes,
    staff: Staff,
) -> None:
    a_ward_at_work(network, calendar)
    stranger = watched().page()
    stranger.goto("/login")
    pictured(stranger, "login")
    stranger.goto("/welcome")
    pictured(stranger, "welcome")
    stranger.context.close()
    sender, hub = comes(ANSHIN), comes(HUB, "見本 二郎")
    hub.goto("/inbox")
    case, number = writes_down_a_call(sender)
    takes_care(hub, calendar, number)
    sender.reload()
    expect(sender.get_by_text("サポートセンターいちょう").first).to_be_visible()
    leaves(sender)
    leaves(hub)

    calendar.is_(day=0, hour=22, minute=30)
    on_call, hospital = comes("core", "見本 当番"), comes(HOSPITAL, "見本 夜勤")
    on_call.goto("/board")
    expect(on_call.locator("#line")).to_have_text("● つながっています")
    emergency = types_in(
        hospital, "本郷2-21-3", "緊急", "緊急時の受け入れ・対応", "見本の相談です。介護者が入院。"
    )
    answers_at_night(on_call, emergency[1])
    leaves(on_call)
    leaves(hospital)

    calendar.is_(day=1, hour=10, minute=5)
    core, hub, sender = comes("core"), comes(HUB, "見本 二郎"), comes(ANSHIN)
    hub.goto("/inbox")
    hands_on(core, emergency[1], HUB)
    expect(hub.get_by_role("link", name="表示する")).to_be_visible()
    hub.get_by_role("link", name="表示する").click()
    takes_on(hub, emergency[1])
    between = types_in(sender, "白山1-1-5", "至急", "相談", "見本の相談です。")
    rules(core, between[1])
    calendar.passes(minutes=15)
    core.goto("/board")
    calls(hub, case, "E10")
    gives_back(core, number)
    calendar.passes(minutes=10)
    hub.goto("/inbox")
    takes_on(hub, number)
    for page in (core, sender, hub):
        leaves(page)

    calendar.is_(day=2, hour=11)
    hub = comes(HUB, "見本 二郎")
    hub.goto("/referrals")
    pictured(hub, "referrals")
    hub.goto(f"/referrals/{case}")
    looked_at(hub, "days_referral")
    pictured(hub, "referral", whole=True)
    unfolds(hub, "個人情報を開く")
    hub.get_by_role("button", name="開く", exact=True).click()
    expect(hub.get_by_text("訪問は二人で。")).to_be_visible()
    pictured(hub, "referral_opened", whole=True)
    hub.goto("/account")
    pictured(hub, "account")
    hub.goto("/nowhere")
    expect(hub.get_by_role("heading", level=1)).to_have_text("ページが見つかりません")
    pictured(hub, "error")
    leaves(hub)
    exported = goes_through_it_again(comes("auditor", "見本 監査"), number)
    assert exported["number"] == number
    looks = {(look["agency"], look["what"], look.get("basis")) for look in exported["looks"]}
    assert looks >= {
        (ANSHIN, "page", None), (HUB, "page", None), (HUB, "personal", "C2"),
        ("core", "page", None), ("auditor", "replay", None),
    }  # fmt: skip
    assert NAME not in json.dumps(exported, ensure_ascii=False)
    whose = {row.login: row.id for row in network.rows("console", "SELECT id, login FROM accounts")}
    assert whose[staff.login(HUB, "見本 二郎")] in {
        look["staff"] for look in exported["looks"] if look["what"] == "personal"
    }

    of = calendar.now
    calendar.becomes(next_month(of))
    lines = counts(comes("ward-office", "見本 区役所"), of)
    assert lines[0]["年月"] == f"{of.year}-{of.month:02d}"
    assert any(line["秘匿"] == "1" and line["値"] == "" for line in lines)
    told = [int(line["値"]) for line in lines if line["単位"] == "件" and line["値"]]
    assert told
    assert not any(0 < number < 5 for number in told)


def test_with_scripts_off_the_same_is_done_by_buttons_and_links(comes: Comes) -> None:
    plain: dict[str, Any] = {"java_script_enabled": False}
    sender = comes(ANSHIN, "見本 静か", **plain)
    case, number = types_in(
        sender, "本郷1丁目2番3号", "緊急", "緊急時の受け入れ・対応", "見本の相談です。"
    )
    hub = comes(HUB, "見本 静か", viewport=PHONE, **plain)
    hub.goto("/inbox")
    hub.get_by_role("article").filter(has_text=number).get_by_role("link", name=number).click()
    unfolds(hub, "個人情報を開く")
    hub.get_by_label("開く根拠").select_option("C2")
    hub.get_by_role("button", name="開く", exact=True).click()
    expect(hub.get_by_text("見本　次郎")).to_be_visible()
    unfolds(hub, "受諾する")
    hub.get_by_role("button", name="受諾する").click()
    expect(hub.locator(".flash")).to_contain_text("担当は貴機関です")
    core = comes("core", "見本 静か", **plain)
    core.goto("/board")
    expect(on_the_board(core, number)).to_have_count(0)
    calls(hub, case, "E01")
    core.get_by_role("link", name="更新").click()
    on_the_board(core, number).get_by_role("button", name="応答する").click()
    expect(core.locator(".flash")).to_contain_text("担当になりました")
    on_the_board(core, number).get_by_role("link", name="対応を決める").click()
    core.get_by_role("radio", name="戻す").check()
    core.get_by_role("button", name="決める", exact=True).click()
    expect(core.locator(".flash")).to_contain_text("戻す打診をしました")
    hub.goto("/inbox")
    takes_on(hub, number)


def test_in_the_end_the_ledger_is_whole_and_every_page_that_was_shown_is_on_record(
    network: RunningNetwork, staff: Staff, opened: set[tuple[str, str, str]]
) -> None:
    if not opened:
        pytest.skip("nobody was shown anything: it belongs to the days above")
    network.settle()
    assert verified(network)["entries"] > 0
    numbers = {
        row.number: row.id for row in network.rows("referral", "SELECT id, number FROM referrals")
    }
    of_call = {
        row.id: row.referral
        for row in network.rows("referral", "SELECT id, referral FROM escalations")
    }
    logins = {
        row.id: row.login for row in network.rows("console", "SELECT id, login FROM accounts")
    }
    bodies = [json.loads(row.body) for row in network.rows("console", "SELECT body FROM journal")]
    events = [body["event"] for body in bodies]
    looks = {
        (logins[event["staff"]], event["what"], event["referral"])
        for event in events
        if event["type"] == "referral_looked_at"
    }
    assert {event["type"] for event in events} == {"referral_looked_at", "ledger_looked_at"}
    assert {(event["agency"], event["what"]) for event in events} >= {
        ("auditor", "export"), ("auditor", "verify"), ("auditor", "ward_replay"),
        ("ward-office", "month"),
    }  # fmt: skip
    what = {"referrals": "page", "board": "page", "replay/of": "replay"}
    shown = {
        (login, what[room], numbers.get(ref, of_call.get(ref, ref))) for login, room, ref in opened
    }
    assert shown <= looks, shown - looks
