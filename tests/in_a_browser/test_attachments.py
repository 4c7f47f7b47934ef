"""Attachments in a real browser, on a phone and without scripts: one is added by form, and saved as it was."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.in_a_browser.chromium import PHONE
from tests.in_a_browser.looks import looked_at
from tests.network import RunningNetwork
from tests.partners import a_referral
from tests.through_their_own_systems.files import MIB, pdf

ANSHIN = "anshin-motofuji"
NAME = "見本 紹介状「写し」.pdf"


def test_a_scan_is_attached_and_saved_again_without_scripts(
    person: Callable[..., Page], network: RunningNetwork, tmp_path: Path
) -> None:
    case = network.partner(ANSHIN).posts(a_referral())
    page = person(ANSHIN, viewport=PHONE, java_script_enabled=False)
    page.goto(f"/referrals/{case.id}")
    page.locator("summary", has_text="ファイルを添付する").click()
    page.get_by_role("button", name="添付する").click()
    expect(page.get_by_role("alert")).to_contain_text("ファイルを選んでください")
    scan = tmp_path / NAME
    scan.write_bytes(pdf(3 * MIB))
    page.get_by_label("ファイル").set_input_files(scan)
    page.get_by_role("button", name="添付する").click()
    expect(page.get_by_text("添付しました。")).to_be_visible()
    page.locator("summary", has_text="個人情報を開く").click()
    page.get_by_label("開く根拠").select_option("C2")
    page.get_by_role("button", name="開く", exact=True).click()
    with page.expect_download() as saving:
        page.get_by_role("link", name=f"{NAME} を保存").click()
    assert saving.value.suggested_filename == NAME
    assert Path(saving.value.path()).read_bytes() == pdf(3 * MIB)


def test_the_form_for_a_file_and_the_list_of_files_are_for_everyone(
    person: Callable[..., Page], network: RunningNetwork
) -> None:
    case = network.partner(ANSHIN).posts(a_referral())
    page = person(ANSHIN)
    page.goto(f"/referrals/{case.id}")
    page.locator("summary", has_text="ファイルを添付する").click()
    page.get_by_role("button", name="添付する").click()
    looked_at(page, "referral_no_file_chosen")
    file = {"name": NAME, "mimeType": "application/pdf", "buffer": pdf()}
    page.get_by_label("ファイル").set_input_files(file)  # type: ignore[arg-type]
    page.get_by_role("button", name="添付する").click()
    page.locator("summary", has_text="個人情報を開く").click()
    page.get_by_role("button", name="開く", exact=True).click()
    expect(page.get_by_role("link", name=f"{NAME} を保存")).to_be_visible()
    looked_at(page, "referral_with_an_attachment")
