"""The board (見張り) in a real browser: live, by keyboard, by two at once, cut off and found again, without
scripts, on a phone and on paper."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.in_a_browser.chromium import PHONE, WALL, Watched
from tests.in_a_browser.conftest import signs_in
from tests.in_a_browser.looks import for_everyone, looked_at
from tests.in_a_browser.staff import Staff
from tests.network import RunningNetwork, eventually
from tests.partners import a_referral

Opened = Callable[..., Page]
SENDER = "anshin-motofuji"


def raised(
    network: RunningNetwork, reason: str = "E10", urgency: str = "urgent", **fields: Any
) -> tuple[str, str]:
    """A new call: the referral's id and the escalation's."""
    sender = network.partner(SENDER)
    posted = sender.posts(a_referral().having(urgency=urgency, **fields))
    assert posted.status == 201, posted.body
    said = sender.escalates(posted.id, reason)
    assert said.status == 201, said.body
    call = next(x for x in said.body["escalations"] if x["code"] == reason)
    return posted.id, str(call["id"])


@pytest.fixture(autouse=True)
def only_its_own_calls(network: RunningNetwork) -> None:
    """What an earlier test has left is over."""
    core = network.partner("core")
    for call in core.escalations(limit=100).body["items"]:
        if call["state"] == "raised":
            core.acknowledges(call["id"], advise_only=True)
        if call["custodian"] == "core" or call["stage"] == "awaiting_ruling":
            core.resolves(call["id"], "kept")
        else:
            core.resolves(call["id"], "advised")


def row(page: Page, escalation: str) -> Locator:
    return page.locator(f"#call-{escalation}")


def board(page: Page, path: str = "/board") -> None:
    page.goto(path)
    if page.locator("#live").is_visible():
        expect(page.locator("#line")).to_have_text("● つながっています")


def of_the_core(
    watched: Callable[..., Watched], staff: Staff, name: str = "見本 花子", **how: Any
) -> tuple[Watched, Page]:
    """Somebody signed in, and what one has to know of the browser."""
    browser = watched(**how)
    page = browser.page()
    page.goto("/login")
    signs_in(page, staff.login("core", name))
    return browser, page


def overheard(page: Page, which: str) -> None:
    """Keep what the live regions say, for it is there for a moment only."""
    page.evaluate(
        """which => {
            window.heard ??= {};
            const heard = window.heard[which] = [];
            const region = document.getElementById(which);
            new MutationObserver(() => region.textContent && heard.push(region.textContent))
                .observe(region, {childList: true, characterData: true, subtree: true});
        }""",
        which,
    )


def heard(page: Page, which: str) -> str:
    return " / ".join(page.evaluate("which => window.heard[which]", which))


# -- live ---------------------------------------------------------------------------------------------


def test_a_new_call_appears_by_itself_and_is_announced_politely(
    network: RunningNetwork, person: Opened
) -> None:
    page = person("core")
    board(page)
    overheard(page, "polite")
    overheard(page, "assertive")
    _, escalation = raised(network)
    expect(row(page, escalation)).to_contain_text("E10", timeout=3_000)
    expect(row(page, escalation)).to_contain_text("残り")
    expect(page.locator("#new li").first).to_contain_text("E10")
    eventually(lambda: "新しい上申 至急、E10" in heard(page, "polite"), 3, "announced")
    assert heard(page, "assertive") == ""
    expect(page.locator("[data-count=raised]")).to_have_text("1")
    assert page.title().startswith("(1) 見張り")


def test_an_emergency_is_announced_at_once_and_the_focus_and_its_row_stay(
    network: RunningNetwork, person: Opened
) -> None:
    _, at_work = raised(network)
    page = person("core")
    board(page)
    overheard(page, "assertive")
    button = row(page, at_work).get_by_role("button", name="応答する")
    button.focus()
    before = button.bounding_box()
    _, emergency = raised(network, urgency="emergency")
    strip = page.locator("#new li.emergency")
    expect(strip.first).to_contain_text("緊急、E10", timeout=3_000)
    eventually(lambda: "緊急、E10" in heard(page, "assertive"), 3, "announced")
    expect(button).to_be_focused()
    assert button.bounding_box() == before
    expect(row(page, emergency)).to_have_count(0)
    looked_at(page, "board_new_ones_wait")
    # When the work is over, it is put in, above.
    page.get_by_role("button", name=re.compile("一覧に入れる")).focus()
    expect(row(page, emergency)).to_be_visible()
    first = page.locator("#calls tr[data-call]").first
    expect(first).to_have_attribute("data-urgency", "emergency")
    expect(page.get_by_role("button", name="一覧は最新です")).to_be_focused()


def test_whoever_works_on_a_row_is_told_that_somebody_else_acknowledged(
    network: RunningNetwork, watched: Callable[..., Watched], staff: Staff
) -> None:
    _, escalation = raised(network)
    browser, page = of_the_core(watched, staff)
    board(page)
    overheard(page, "polite")
    button = row(page, escalation).get_by_role("button", name="応答する")
    button.focus()
    network.partner("core").acknowledges(escalation)
    expect(page.locator("tr.told")).to_contain_text("他の人が応答しました", timeout=3_000)
    expect(button).to_be_focused()
    eventually(lambda: "他の人が応答しました" in heard(page, "polite"), 3, "announced")
    looked_at(page, "board_somebody_else_acknowledged")
    with browser.expecting("409"):
        button.press("Enter")
        expect(page.locator("#said")).to_contain_text(re.compile(r"\d\d:\d\d に応答済みです"))
    expect(row(page, escalation)).to_have_attribute("data-state", "acknowledged")
    expect(page.locator("tr.told")).to_have_count(0)


def test_paused_nothing_moves_and_how_many_wait_is_told(
    network: RunningNetwork, person: Opened
) -> None:
    page = person("core")
    board(page)
    overheard(page, "polite")
    pause = page.get_by_role("button", name="一時停止")
    pause.click()
    expect(pause).to_have_attribute("aria-pressed", "true")
    calls = [raised(network)[1] for _ in range(2)]
    expect(page.get_by_role("button", name="一覧に入れる（2件）")).to_be_visible(timeout=3_000)
    for escalation in calls:
        expect(row(page, escalation)).to_have_count(0)
    eventually(lambda: "2件待っています" in heard(page, "polite"), 3, "announced")
    looked_at(page, "board_paused")
    pause.press("Space")
    for escalation in calls:
        expect(row(page, escalation)).to_be_visible()
    expect(pause).to_be_focused()


def test_time_runs_on_in_the_row_without_moving_anything(
    network: RunningNetwork, person: Opened
) -> None:
    _, escalation = raised(network)
    page = person("core")
    board(page)
    left = row(page, escalation).locator(".left")
    before = row(page, escalation).bounding_box()
    page.evaluate(
        """id => { const row = document.getElementById(id);
            const now = Number(document.getElementById("board").dataset.now);
            row.dataset.due = String(now + 3 * 60_000); }""",
        f"call-{escalation}",
    )
    expect(left).to_have_text(re.compile(r"^間近 \d分\d\d秒$"), timeout=3_000)
    shown = left.inner_text()
    expect(left).not_to_have_text(shown, timeout=3_000)
    assert row(page, escalation).bounding_box() == before
    assert page.locator("#calls [aria-live], #calls [role=timer]").count() == 0


def order(page: Page) -> list[str]:
    rows = page.locator("#calls tr[data-call]")
    return [str(call) for call in rows.evaluate_all("rows => rows.map(row => row.dataset.call)")]


def is_due(page: Page, escalation: str, seconds: int) -> None:
    """In so many seconds, as far as this browser knows."""
    page.evaluate(
        """([id, ms]) => { const now = Number(document.getElementById("board").dataset.now);
            document.getElementById(id).dataset.due = String(now + ms); }""",
        [f"call-{escalation}", seconds * 1000],
    )


def test_a_call_that_becomes_overdue_goes_up_when_nobody_works_on_a_row(
    network: RunningNetwork, person: Opened
) -> None:
    top, first, second = (raised(network)[1] for _ in range(3))
    page = person("core")
    board(page)
    assert order(page) == [top, first, second]
    button = row(page, first).get_by_role("button", name="応答する")
    button.focus()
    before = button.bounding_box()
    is_due(page, second, -1)
    expect(row(page, second).locator(".left")).to_contain_text("超過", timeout=3_000)
    assert order(page) == [top, first, second]
    assert button.bounding_box() == before
    expect(button).to_be_focused()
    overheard(page, "polite")
    overheard(page, "assertive")
    page.locator("#pause").focus()
    eventually(lambda: order(page) == [second, top, first], 5, "in order")
    expect(page.locator("#pause")).to_be_focused()
    # And while it is paused, nothing moves.
    page.locator("#pause").press("Space")
    is_due(page, first, -60)
    expect(row(page, first).locator(".left")).to_contain_text("1分", timeout=3_000)
    assert order(page) == [second, top, first]
    page.locator("#pause").press("Space")
    eventually(lambda: order(page) == [first, second, top], 5, "in order")
    assert "上申" not in heard(page, "polite") + heard(page, "assertive")


def test_what_was_on_another_page_and_belongs_here_now_comes_without_a_word(
    network: RunningNetwork, person: Opened
) -> None:
    calls = [raised(network)[1] for _ in range(2)]
    page = person("core")
    page.clock.install()
    board(page)
    overheard(page, "polite")
    # As if there were a second page, with one of them on it.
    page.evaluate(
        """id => { document.getElementById("board").dataset.full = "yes";
            document.getElementById(id).remove(); }""",
        f"call-{calls[0]}",
    )
    button = row(page, calls[1]).get_by_role("button", name="応答する")
    button.focus()
    page.clock.run_for(70_000)
    expect(row(page, calls[0])).to_have_count(0)
    page.locator("#pause").focus()

    def is_there() -> bool:
        page.clock.run_for(1_000)
        return order(page) == calls

    eventually(is_there, 20, "from the other page")
    expect(page.locator("#pause")).to_be_focused()
    expect(page.locator("#new li")).to_have_count(0)
    assert "新しい上申" not in heard(page, "polite")


def test_whoever_is_signed_out_elsewhere_sees_nothing_more_and_the_board_asks_no_more(
    network: RunningNetwork, watched: Callable[..., Watched], staff: Staff
) -> None:
    raised(network)
    browser, page = of_the_core(watched, staff)
    board(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    other = browser.page()
    other.goto("/account")
    page.clock.install()
    other.get_by_role("button", name="サインアウト").first.click()

    def is_told() -> bool:
        page.clock.run_for(1_000)
        return page.locator("#ended").is_visible()

    eventually(is_told, 15, "told")
    expect(page.locator("main h1")).to_be_hidden()
    asked.clear()
    page.clock.run_for(30_000)
    page.evaluate("fetch('/session').then(() => null)")
    assert [url for url in asked if "/board" in url] == []


def test_sound_and_notices_are_off_until_somebody_chooses_them(
    network: RunningNetwork, watched: Callable[..., Watched], staff: Staff
) -> None:
    _, page = of_the_core(watched, staff, permissions=["notifications"])
    page.add_init_script(
        """window.tones = 0; window.shown = [];
        const start = OscillatorNode.prototype.start;
        OscillatorNode.prototype.start = function (at) { window.tones += 1; return start.call(this, at); };
        window.Notification = class { constructor(title, more) { window.shown.push(`${title} ${more.body}`); }
            static permission = "granted"; static requestPermission = async () => "granted"; };
        document.hasFocus = () => false;"""
    )
    board(page)
    raised(network)
    expect(page.locator("#new li")).to_have_count(1, timeout=3_000)
    assert page.evaluate("[tones, shown.length]") == [0, 0]
    page.get_by_label("音で知らせる").check()
    page.get_by_label("デスクトップに通知").check()
    heard_at_choosing = page.evaluate("tones")
    board(page)
    expect(page.get_by_label("音で知らせる")).to_be_checked()
    expect(page.get_by_label("デスクトップに通知")).to_be_checked()
    raised(network)
    expect(page.locator("#new li")).to_have_count(1, timeout=3_000)
    assert heard_at_choosing == 1
    assert page.evaluate("tones") == 1
    assert page.evaluate("shown") == ["新しい上申 至急 E10"]


# -- cut off, and found again ---------------------------------------------------------------------------


def test_a_line_that_is_lost_is_seen_and_told_and_what_was_missed_is_caught_up(
    network: RunningNetwork, watched: Callable[..., Watched], staff: Staff
) -> None:
    browser, page = of_the_core(watched, staff)
    _, known = raised(network)
    board(page)
    overheard(page, "assertive")
    with browser.expecting("ERR_", "Failed to load"):
        with network.frozen("console"):
            lost = page.locator("#lost")
            expect(lost).to_be_visible(timeout=20_000)
            expect(page.locator("#line")).to_have_text("× つながっていません")
            eventually(lambda: "つながりが切れました" in heard(page, "assertive"), 3, "announced")
            looked_at(page, "board_line_lost")
            _, missed = raised(network)
            network.partner("core").acknowledges(known)
            # What is pressed meanwhile is said not to have been sent.
            row(page, known).get_by_role("button", name="応答する").press("Enter")
            expect(page.locator("#said")).to_contain_text("送れませんでした", timeout=20_000)
        expect(lost).to_be_hidden(timeout=20_000)
    page.locator("#put-in").focus()
    expect(row(page, missed)).to_be_visible()
    expect(row(page, known)).to_have_attribute("data-state", "acknowledged")


def test_a_console_that_dies_is_found_again_and_the_page_made_whole(
    network: RunningNetwork, watched: Callable[..., Watched], staff: Staff
) -> None:
    browser, page = of_the_core(watched, staff)
    _, ended = raised(network)
    board(page)
    with browser.expecting("ERR_", "Failed to load"):
        with network.down("console"):
            expect(page.locator("#lost")).to_be_visible(timeout=20_000)
            _, missed = raised(network)
            network.partner("core").acknowledges(ended, advise_only=True)
            network.partner("core").resolves(ended)
        network.await_ready()
        expect(page.locator("#lost")).to_be_hidden(timeout=20_000)
        expect(row(page, missed)).to_be_visible(timeout=10_000)
        # It was resolved while nobody of the console saw it.
        expect(row(page, ended)).to_have_count(0)


# -- what is done ------------------------------------------------------------------------------------------


def test_of_two_who_acknowledge_at_once_one_does_and_the_other_is_told(
    network: RunningNetwork, watched: Callable[..., Watched], staff: Staff
) -> None:
    _, escalation = raised(network)
    one, first = of_the_core(watched, staff)
    other, second = of_the_core(watched, staff, "見本 二郎")
    pages = [first, second]
    for page in pages:
        board(page)
        # Both press before either has heard of the other.
        page.evaluate(
            """id => { const button = document.querySelector(`#${CSS.escape(id)} .do button`);
                window.press = () => button.click(); button.focus(); }""",
            f"call-{escalation}",
        )
    with one.expecting("409"), other.expecting("409"):
        for page in pages:
            page.evaluate("press()")
        for page in pages:
            expect(page.locator("#said .flash")).to_be_visible()
    said = [page.locator("#said").inner_text() for page in pages]
    assert sum("応答し、担当になりました" in words for words in said) == 1, said
    assert sum("同じ機関のほかの人が" in words for words in said) == 1, said
    for page in pages:
        expect(row(page, escalation)).to_have_attribute("data-state", "acknowledged")
    late = pages[0] if "同じ機関" in said[0] else pages[1]
    looked_at(late, "board_somebody_was_quicker")


def test_acknowledged_decided_and_taken_back_by_keyboard_alone(
    network: RunningNetwork, person: Opened
) -> None:
    referral, escalation = raised(network)
    page = person("core")
    board(page)
    row(page, escalation).locator(".what").focus()
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(row(page, escalation).get_by_role("button", name="応答する")).to_be_focused()
    page.keyboard.press("Enter")
    decide = row(page, escalation).get_by_role("link", name="対応を決める")
    expect(decide).to_be_focused()
    expect(page.locator("#said")).to_contain_text("担当になりました")
    looked_at(page, "board_acknowledged_with_undo")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/board/{escalation}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("E10")
    looked_at(page, "call_in_hand")
    page.get_by_role("radio", name="つなぐ").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    expect(page.get_by_label("つなぐ先")).to_be_focused()
    page.keyboard.type("駒込")
    page.get_by_label("つなぐ先").select_option("hub-komagome")
    page.get_by_role("button", name="決める", exact=True).press("Enter")
    undo = page.get_by_role("button", name="元に戻す")
    expect(undo).to_be_visible()
    undo.press("Enter")
    expect(page.locator(".flash")).to_contain_text("取り下げました")
    handoffs = network.partner(SENDER).reads(referral).body["handoffs"]
    assert [h["state"] for h in handoffs if h["to"] == "hub-komagome"] == ["withdrawn"]


def test_a_call_without_words_for_where_it_goes_is_led_to_the_field(
    network: RunningNetwork, person: Opened
) -> None:
    _, escalation = raised(network)
    network.partner("core").acknowledges(escalation)
    page = person("core")
    page.goto(f"/board/{escalation}")
    page.get_by_role("radio", name="つなぐ").check()
    page.get_by_role("button", name="決める", exact=True).click()
    problem = page.get_by_role("alert")
    expect(problem).to_be_focused()
    expect(page.get_by_role("radio", name="つなぐ")).to_be_checked()
    looked_at(page, "call_refused")
    problem.get_by_role("link").click()
    expect(page.get_by_label("つなぐ先")).to_be_focused()


def test_without_scripts_everything_is_there_and_can_be_done(
    network: RunningNetwork, person: Opened
) -> None:
    posted = network.partner(SENDER).posts(a_referral().by_address("本駒込6-3-1"))
    undecided = next(x["id"] for x in posted.body["escalations"] if x["code"] == "E06")
    page = person("core", java_script_enabled=False)
    board(page)
    expect(page.locator("#live")).to_be_hidden()
    expect(row(page, undecided)).to_contain_text("駒込")
    _, later = raised(network)
    expect(row(page, later)).to_have_count(0)
    page.get_by_role("link", name="更新").click()
    expect(row(page, later)).to_be_visible()
    row(page, later).get_by_role("button", name="応答する").click()
    expect(page.locator(".flash")).to_contain_text("担当になりました")
    expect(row(page, later)).to_contain_text("応答あり")
    row(page, undecided).get_by_role("button", name="駒込地区").click()
    expect(page.locator(".flash")).to_contain_text("駒込地区と判定しました")
    assert page.url.endswith(f"/board/{undecided}")
    page.goto("/board")
    page.locator(".filters summary").click()
    page.get_by_label("理由").select_option("E10")
    page.get_by_role("button", name="絞り込む").click()
    expect(row(page, later)).to_be_visible()
    assert "code=E10" in page.url


# -- for everyone ------------------------------------------------------------------------------------------


def test_the_board_is_for_everyone(network: RunningNetwork, person: Opened) -> None:
    page = person("core")
    board(page)
    expect(page.get_by_text("待っている上申はありません。")).to_be_visible()
    looked_at(page, "board_nothing_waits")
    posted = network.partner(SENDER).posts(a_referral().by_address("春日2-8-1"))
    assert posted.status == 201
    raised(network, "E02", urgency="emergency")
    raised(network, "E03")
    _, in_hand = raised(network)
    network.partner("core").acknowledges(in_hand)
    board(page)
    for_everyone(page, "board")
    page.evaluate("scrollTo(0, 0)")
    page.set_viewport_size({"width": WALL["width"], "height": WALL["height"]})
    looked_at(page, "board_on_a_wide_screen")
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    looked_at(page, "board_on_a_smartphone")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Board")
    expect(page.locator("#calls tr").first).to_contain_text("left")
    looked_at(page, "board_in_english")
    page.get_by_role("button", name="日本語").click()


def test_a_calls_page_is_for_everyone(network: RunningNetwork, person: Opened) -> None:
    _, escalation = raised(network)
    page = person("core")
    page.goto(f"/board/{escalation}")
    for_everyone(page, "call")
    posted = network.partner(SENDER).posts(a_referral().by_address("小石川5-1-1"))
    undecided = next(x["id"] for x in posted.body["escalations"] if x["code"] == "E06")
    page.goto(f"/board/{undecided}")
    looked_at(page, "call_asks_for_a_ruling")
    page.get_by_label("大塚地区").check()
    page.get_by_role("button", name="判定する").click()
    expect(page.locator(".flash")).to_contain_text("大塚地区と判定しました")
    looked_at(page, "call_resolved")


def test_another_desk_and_an_auditor_see_what_they_may(
    network: RunningNetwork, person: Opened
) -> None:
    _, escalation = raised(network, "E02")
    desk = person("sample-hospital")
    board(desk)
    expect(row(desk, escalation).get_by_role("button")).to_have_count(1)
    row(desk, escalation).get_by_role("button", name="応答する").click()
    expect(desk.locator("#said")).to_contain_text("応答しました")
    auditor = person("auditor")
    board(auditor)
    expect(row(auditor, escalation)).to_be_visible()
    expect(row(auditor, escalation).get_by_role("button")).to_have_count(0)
    looked_at(auditor, "board_for_an_auditor")


def test_on_paper_are_the_calls_and_nothing_to_press(
    network: RunningNetwork, person: Opened
) -> None:
    _, escalation = raised(network)
    page = person("core")
    board(page)
    page.emulate_media(media="print")
    expect(row(page, escalation).locator(".what")).to_be_visible()
    expect(row(page, escalation).locator(".left")).to_be_visible()
    for pressed in page.locator("main button, main .button, main input").all():
        expect(pressed).to_be_hidden()
