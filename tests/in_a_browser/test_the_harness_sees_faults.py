"""Each broken page has one fault, which its name tells; the check that is for it finds it."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.in_a_browser import looks, pictures
from tests.in_a_browser.chromium import Watched

BROKEN = Path(__file__).parent / "broken"
URL = "http://console.test"


@pytest.fixture
def shown(browser: Browser) -> Iterator[Callable[[str], Page]]:
    context = Watched(browser, URL)
    page = context.page()

    def show(html: str) -> Page:
        page.route(
            f"{URL}/",
            lambda route: route.fulfill(body=html, content_type="text/html; charset=utf-8"),
        )
        page.route(f"{URL}/favicon.ico", lambda route: route.fulfill(body=""))
        page.goto(f"{URL}/")
        return page

    yield show
    context.context.close()


def sample(name: str) -> str:
    return (BROKEN / f"{name}.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "check", "told"),
    [
        ("a_button_without_a_name", lambda page: looks.looked_at(page, "broken"), "button-name"),
        ("too_wide_for_a_phone", looks.fits_a_phone, "at 320 px the page is"),
        ("text_cut_off_when_spaced", looks.bears_wider_spacing, "cut off with wider spacing"),
        ("no_edge_in_forced_colours", looks.shows_in_forced_colours, "no edge in forced colours"),
        ("a_focus_that_nobody_sees", looks.shows_where_the_focus_is, "no visible focus"),
        ("a_focus_under_a_bar", looks.shows_where_the_focus_is, "something covers"),
        ("a_trap_for_the_keyboard", looks.shows_where_the_focus_is, "the focus is stuck"),
        ("a_target_too_small", looks.shows_where_the_focus_is, "under 24 px"),
        ("it_moves_all_the_time", looks.keeps_still, "moves though"),
    ],
)
def test_a_broken_page_is_found(
    shown: Callable[[str], Page],
    name: str,
    check: Callable[[Page], None],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(looks, "REPORTS", tmp_path)
    with pytest.raises(AssertionError, match=told):
        check(shown(sample(name)))


def test_a_page_on_which_nothing_is_wrong_passes_every_check(
    shown: Callable[[str], Page], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "REPORTS", tmp_path)
    looks.for_everyone(shown(sample("nothing_is_wrong")), "good")
    assert (tmp_path / "good_on_a_phone.json").exists()


def test_a_page_that_is_too_heavy_is_found(shown: Callable[[str], Page]) -> None:
    with pytest.raises(AssertionError, match="bytes"):
        looks.weighs_little(shown(sample("nothing_is_wrong") + "重い" * 30_000))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("it_asks_another_host", "another host: elsewhere.test"),
        ("a_script_that_fails", "nothing is not defined"),
    ],
)
def test_what_goes_wrong_while_nobody_looks_fails_in_the_end(
    browser: Browser, name: str, told: str
) -> None:
    context = Watched(browser, URL)
    page = context.page()
    page.route(f"{URL}/", lambda route: route.fulfill(body=sample(name), content_type="text/html"))
    page.route("http://elsewhere.test/*", lambda route: route.fulfill(body=b""))
    page.goto(f"{URL}/")
    page.wait_for_load_state("networkidle")
    with pytest.raises(AssertionError, match=told):
        context.close()


def test_a_picture_is_kept_small_and_whole(shown: Callable[[str], Page]) -> None:
    page = shown(sample("nothing_is_wrong"))
    whole = page.screenshot()
    small = pictures.kept(page, whole)
    assert struct.unpack(">II", small[16:24]) == (1280, 900)
    assert len(small) < len(whole)
    again = page.context.new_page()
    again.set_content('<img alt="">')
    width = again.evaluate(
        """async bytes => (await createImageBitmap(new Blob([Uint8Array.from(bytes)]))).width""",
        list(small),
    )
    assert width == 1280


def test_all_pictures_together_are_small() -> None:
    assert sum(path.stat().st_size for path in looks.PICTURES.glob("*.png")) < 1_500_000
