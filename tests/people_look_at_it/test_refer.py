"""A referral by form: what staff without a system type in becomes a referral like any other."""

import re
from html import escape, unescape
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.network import RunningNetwork, eventually
from tests.people_look_at_it.conftest import Person, SignedIn

ADDRESS = "本郷1丁目2番3号"
HIDDEN = re.compile(r'<input type="hidden" name="([a-z]+)" value="([^"]*)">')


def sheet(page: httpx.Response) -> dict[str, str]:
    """The hidden fields of the form."""
    form = page.text[page.text.index('id="refer"') :]
    return {name: unescape(value) for name, value in HIDDEN.findall(form)}


def typed(**more: str) -> dict[str, str]:
    """A sample that would be taken."""
    return {
        "reported_by": "family",
        "function": "consultation",
        "urgency": "routine",
        "name": "見本 花子",
        "address": ADDRESS,
        "summary": "家族から電話。眠れていない。",
        "basis": "C1",
        **more,
    }


def send(
    who: SignedIn, fields: dict[str, str], act: str = "send", at: str = "/refer"
) -> httpx.Response:
    """What stands on the form's page, sent."""
    return who.http.post("/refer", data={**sheet(who.get(at)), **fields, "act": act})


@pytest.fixture
def staff(person: Person) -> SignedIn:
    return person("lien-bunkyo")


def opened(network: RunningNetwork, page: httpx.Response, agency: str = "lien-bunkyo") -> Any:
    """The referral that a sent form became, as its sender's system reads it."""
    assert [answer.status_code for answer in page.history] == [303], page.text
    return network.partner(agency).reads(page.url.path.removeprefix("/referrals/")).body


def test_what_is_typed_in_travels_like_any_other_referral(
    network: RunningNetwork, staff: SignedIn
) -> None:
    given = send(
        staff,
        typed(
            kana="みほん　はなこ", birth_date="昭和55年4月1日", phone="０３－１２３４－５６７８",
            came_by="phone", requested_day="令和80年12月1日", requested_time="１６時５０分",
            topics="housing", support_category="3", services="24", obtained_day="2026.11.1", obtained_time="9時",
            complaint="ねむれない", contact_name="見本 太郎", contact_phone="090-0000-0000",
        ),
    )  # fmt: skip
    referral = opened(network, given)
    assert f"つなぎました。番号は {referral['number']} です。" in given.text
    person = referral["person"]
    assert person["name"] == "見本 花子"
    assert person["kana"] == "ミホン　ハナコ"
    assert person["birth_date"] == "1980-04-01"
    assert person["phone"] == "03-1234-5678"
    assert person["emergency_contacts"] == [{"name": "見本 太郎", "phone": "090-0000-0000"}]
    assert referral["requested_by"].startswith("2098-12-01T16:50")
    assert referral["summary"] == "（受け方: 電話）\n家族から電話。眠れていない。"
    assert referral["topics"] == ["housing"]
    assert referral["needs"]["current_services"] == [{"code": "24"}]
    assert referral["district"]["id"] == "motofuji"


def errors_of(page: httpx.Response) -> dict[str, str]:
    """What is said at each field."""
    found = re.findall(r'<p class="error" id="([a-z_]+)-error">([^<]*)</p>', page.text)
    return {name: unescape(words) for name, words in found}


def test_a_mistake_is_told_at_its_field_and_in_the_summary_and_what_was_typed_stays(
    staff: SignedIn,
) -> None:
    page = send(
        staff,
        typed(basis="E27-1-2", birth_date="昭和64年2月1日", summary="", kana="本郷", urgency=""),
    )
    assert page.status_code == 422
    told = errors_of(page)
    assert {
        "birth_date",
        "summary",
        "kana",
        "urgency",
        "why",
        "danger",
        "decided_by",
    } <= told.keys()
    assert told["birth_date"].endswith("昭和は64年1月7日までです")
    summary = page.text[page.text.index('id="problems"') :]
    for name in told:
        assert f'<a href="#{name}">' in summary
    assert 'value="昭和64年2月1日"' in page.text
    assert 'value="見本 花子"' in page.text
    assert 'aria-describedby="birth_date-hint birth_date-error" aria-invalid="true"' in page.text


def test_what_the_counter_refuses_is_told_at_its_field(staff: SignedIn) -> None:
    page = send(staff, typed(address="新宿区西新宿2丁目8番1号"))
    assert page.status_code == 422
    assert "address" in errors_of(page)
    page = send(staff, typed(to_way="district", to_district="komagome"))
    assert errors_of(page)["to_district"] == "宛先の地区: 住所の地区と違います"
    page = send(staff, typed(basis="N"))
    assert {"name", "address"} <= errors_of(page).keys()


def test_the_same_form_sent_twice_is_one_referral(staff: SignedIn) -> None:
    fields = {**sheet(staff.get("/refer")), **typed(), "act": "send"}
    first = staff.http.post("/refer", data=fields)
    again = staff.http.post("/refer", data=fields)
    assert first.url.path == again.url.path
    assert first.url.path.startswith("/referrals/")


def test_a_form_that_was_sent_and_changed_asks_before_it_becomes_a_second_referral(
    staff: SignedIn,
) -> None:
    fields = {**sheet(staff.get("/refer")), **typed(), "act": "send"}
    staff.http.post("/refer", data=fields)
    page = staff.http.post("/refer", data={**fields, "summary": "書き直した。"})
    assert page.status_code == 422
    assert "別の内容で一度送られています" in page.text
    assert sheet(page)["key"] != fields["key"]
    assert "書き直した。" in page.text
    once_more = staff.http.post("/refer", data={**fields, **sheet(page), "summary": "書き直した。"})
    assert once_more.url.path.startswith("/referrals/")


def test_what_is_not_decided_yet_is_said_to_be_on_its_way_and_is_found_when_it_is(
    network: RunningNetwork, person: Person
) -> None:
    staff = person("sample-home", login="patient")
    fields = {**sheet(staff.get("/refer")), **typed(), "act": "send"}
    with network.frozen("referral"):
        waiting = staff.http.post("/refer", data=fields)
        assert waiting.url.path.startswith("/refer/sent/")
        assert "番号を待っています" in waiting.text
        # Whoever sends it once more sends the same one.
        assert staff.http.post("/refer", data=fields).url == waiting.url
    eventually(
        lambda: staff.get(str(waiting.url)).url.path.startswith("/referrals/"), 20, "a number"
    )
    assert staff.get(f"/refer?draft={fields['draft']}").status_code == 404
    forged = staff.get("/refer/sent/x")
    assert forged.status_code == 422
    assert "つなげませんでした" in forged.text


def test_an_individual_number_is_refused_and_never_shown_or_kept(
    network: RunningNetwork, person: Person
) -> None:
    staff = person("sample-home")
    page = send(
        staff, typed(summary="番号は 1234 5678 9018 です", phone="１２３４５６７８９０１８")
    )
    assert page.status_code == 422
    assert {"summary", "phone"} <= errors_of(page).keys()
    for shape in ("123456789018", "1234 5678 9018", "１２３４５６７８９０１８"):
        assert shape not in page.text
    assert "見本 花子" in page.text
    kept = staff.get(f"/refer?draft={sheet(page)['draft']}")
    assert "見本 花子" in kept.text
    for shown in (page.text, kept.text):
        assert "9018" not in shown
        assert "番号は ［番号を消しました］ です" in shown


def test_one_number_does_not_take_the_narrative_with_it(
    network: RunningNetwork, person: Person
) -> None:
    """One receipt number in eleven has the check digit of a 個人番号."""
    staff = person("sample-home", login="receipts")
    words = "三日前から眠れていない。\n受付番号は{}。\n姉が付き添う。"
    first = autosaves(staff, sheet(staff.get("/refer")), summary="三日前から眠れていない。")
    hidden = sheet(staff.get(f"/refer?draft={first['draft']}"))
    told = autosaves(staff, hidden, summary=words.format("123456789018"))
    assert told["left_out"] == ["状況"]
    page = staff.get(f"/refer?draft={told['draft']}")
    assert words.format("［番号を消しました］") in page.text
    # What is left is sent as it stands.
    fields = typed(summary=words.format("［番号を消しました］"))
    sent = send(staff, fields, at=f"/refer?draft={told['draft']}")
    assert sent.url.path.startswith("/referrals/")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (ADDRESS, "地区: 本富士地区"),
        ("本郷2丁目1番1号", "地区"),
        ("新宿区西新宿2丁目8番1号", "地区が分かりません"),
        ("あ", "地区が分かりません"),
    ],
)
def test_the_district_is_told_while_the_address_is_typed_and_by_a_button(
    staff: SignedIn, address: str, words: str
) -> None:
    token = sheet(staff.get("/refer"))["csrf"]
    told = staff.http.post("/refer/district", data={"address": address}, headers={"x-csrf": token})
    assert words in told.json()["text"], told.text
    page = send(staff, typed(address=address), act="district")
    assert page.status_code == 200
    assert words in page.text[page.text.index('id="district"') :]
    assert f'value="{address}"' in page.text


def test_an_address_between_two_districts_says_who_will_decide(staff: SignedIn) -> None:
    token = sheet(staff.get("/refer"))["csrf"]
    told = staff.http.post(
        "/refer/district", data={"address": "春日２丁目８番１号"}, headers={"x-csrf": token}
    ).json()
    assert told["tone"] == "warn"
    between = "大塚地区か富坂地区"
    assert told["text"] == f"地区は未定: {between}。基幹相談支援センターが判定します"


# -- what nobody expects to be typed -------------------------------------------------------------------

SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
TEXTS = [
    "staff", "name", "communication", "contact_name", "contact_relation", "summary", "complaint", "risks",
    "why", "danger", "decided_by", "age_band", "care_level", "doctor", "handbook_kind", "handbook_grade",
]  # fmt: skip


def test_a_script_in_every_field_is_text(network: RunningNetwork, staff: SignedIn) -> None:
    fields = typed(**dict.fromkeys(TEXTS, SCRIPT))
    refused = send(staff, {**fields, "phone": SCRIPT, "kana": SCRIPT, "basis": SCRIPT})
    assert "<img" not in refused.text
    assert "<script>alert" not in refused.text
    assert refused.text.count(
        escape(SCRIPT).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    ) >= len(TEXTS)
    referral = opened(network, send(staff, fields))
    assert referral["person"]["name"] == SCRIPT
    assert referral["summary"] == SCRIPT


@pytest.mark.parametrize(
    "name", ["葛\U000e0100飾 花子", "渡邉\U000e0102 太郎", "𠮷野 花子", "か\u3099 花", "李 שלום"]
)
def test_a_name_arrives_as_it_was_typed(
    network: RunningNetwork, staff: SignedIn, name: str
) -> None:
    shown = send(staff, typed(name=name), act="district")
    assert f'value="{name}"' in shown.text
    assert opened(network, send(staff, typed(name=name)))["person"]["name"] == name


def test_a_name_of_ten_thousand_characters_is_told_its_length_and_stays(staff: SignedIn) -> None:
    page = send(staff, typed(name="あ" * 10_000))
    assert errors_of(page)["name"] == "氏名: 200文字までです（いまは10,000文字）"
    assert "あ" * 10_000 in page.text


def test_a_situation_has_room_for_how_it_came(network: RunningNetwork, staff: SignedIn) -> None:
    most = 10_000 - len("（受け方: 電話）\n")
    page = send(staff, typed(came_by="phone", summary="長" * (most + 1)))
    assert page.status_code == 422
    assert errors_of(page)["summary"] == f"状況: {most:,}文字までです（いまは{most + 1:,}文字）"
    told = opened(network, send(staff, typed(came_by="phone", summary="長" * most)))
    assert len(told["summary"]) == 10_000
    assert opened(network, send(staff, typed(summary="長" * 10_000)))["summary"] == "長" * 10_000


@pytest.mark.parametrize("sign", ["\x00", "\x1b", "\x85", "\x7f"])
def test_control_characters_are_refused_in_words(staff: SignedIn, sign: str) -> None:
    page = send(staff, typed(name=f"見本{sign}花子"))
    assert page.status_code == 422
    assert "制御文字" in errors_of(page)["name"]


def test_bytes_that_are_no_text_are_refused_in_words(staff: SignedIn) -> None:
    """A surrogate alone cannot be UTF-8: what a program sends as one arrives as U+FFFD."""
    fields = {**sheet(staff.get("/refer")), **typed(), "act": "send"}
    fields.pop("name")
    raw = httpx.QueryParams(fields).__str__() + "&name=%ED%A0%80%ED%B0%80"
    page = staff.http.post(
        "/refer", content=raw, headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert page.status_code == 422
    assert "読み取れない文字" in errors_of(page)["name"]


def test_text_that_runs_from_right_to_left_is_shown_by_itself(staff: SignedIn) -> None:
    page = send(staff, typed(name="\u202eעברית"), act="district")
    assert re.search('<input id="name"[^>]* dir="auto"', page.text)
    assert 'value="\u202eעברית"' in page.text


def test_codes_that_are_forged_are_refused(staff: SignedIn) -> None:
    page = send(staff, typed(function="forged", urgency="forged", topics="forged"))
    assert page.status_code == 422
    assert {"function", "urgency"} & errors_of(page).keys()


def test_no_time_is_put_on_record_that_nobody_wrote(
    network: RunningNetwork, staff: SignedIn
) -> None:
    page = send(staff, typed(obtained_day="2026-01-05"))
    assert page.status_code == 422
    assert errors_of(page) == {
        "obtained_time": "同意を得た時刻: 時刻も書いてください。およそで構いません"
    }
    taken = opened(network, send(staff, typed(obtained_day="2026-01-05", obtained_time="午後4時")))
    assert taken["consent"]["obtained_at"] == "2026-01-05T16:00:00+09:00"


def test_a_consent_to_come_and_a_day_that_is_over_are_refused_in_words(staff: SignedIn) -> None:
    page = send(
        staff,
        typed(obtained_day="2099-01-05", obtained_time="9:00", requested_day="令和2年1月5日"),
    )
    assert page.status_code == 422
    told = errors_of(page)
    assert told.keys() == {"obtained_day", "requested_day"}
    assert "まだ来ていない日時です" in told["obtained_day"]
    assert "もう過ぎています" in told["requested_day"]
    assert 'value="2099-01-05"' in page.text


def test_what_need_not_be_chosen_can_be_unchosen(network: RunningNetwork, staff: SignedIn) -> None:
    page = staff.get("/refer").text
    for name in ("came_by", "handbook_held", "registered"):
        assert re.search(f'name="{name}" value="" checked>', page)
    for name in ("urgency", "function", "basis"):
        assert not re.search(f'type="radio"[^>]* name="{name}" value=""', page)
    taken = opened(network, send(staff, typed(came_by="")))
    assert taken["summary"] == typed()["summary"]


# -- drafts --------------------------------------------------------------------------------------------


def autosaves(who: SignedIn, hidden: dict[str, str], **fields: str) -> Any:
    answer = who.http.post("/refer/draft", data={**hidden, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_draft_is_there_again_and_goes_with_the_post(
    network: RunningNetwork, person: Person
) -> None:
    staff = person("sample-home", login="writer")
    hidden = sheet(staff.get("/refer"))
    told = autosaves(staff, hidden, name="見本 途中子", urgency="urgent", function="emergency")
    page = staff.get("/refer")
    assert "至急" in page.text
    assert "途中子" not in page.text  # the list is of codes
    again = staff.get(f"/refer?draft={told['draft']}")
    assert 'value="見本 途中子"' in again.text
    assert sheet(again)["key"] == hidden["key"]
    (row,) = network.rows("console", "SELECT sealed FROM drafts WHERE id = :id", id=told["draft"])
    assert "途中子".encode() not in bytes(row.sealed)
    sent = send(staff, typed(), at=f"/refer?draft={told['draft']}")
    assert sent.url.path.startswith("/referrals/")
    late = autosaves(staff, hidden, name="見本 途中子")
    assert late == {"posted": True}
    gone = staff.get(f"/refer?draft={told['draft']}")
    assert gone.status_code == 404
    assert "その下書きはもうありません" in gone.text


def test_a_draft_opens_to_its_writer_alone(person: Person) -> None:
    writer, colleague = person("sample-home", login="writer"), person("sample-home", login="other")
    draft = autosaves(writer, sheet(writer.get("/refer")), name="見本 秘密子")["draft"]
    page = colleague.get(f"/refer?draft={draft}")
    assert page.status_code == 404
    assert "秘密子" not in page.text
    hidden = sheet(colleague.get("/refer")) | {"draft": draft, "version": "1"}
    told = autosaves(colleague, hidden, name="上書き")
    assert told["moved"]
    assert told["draft"] != draft
    colleague.post("/refer/draft/delete", {"draft": draft}, page="/refer")
    assert 'value="見本 秘密子"' in writer.get(f"/refer?draft={draft}").text
    writer.post("/refer/draft/delete", {"draft": draft}, page="/refer")
    assert writer.get(f"/refer?draft={draft}").status_code == 404
    for forged in ("x", str(uuid4()), "../../etc", "' OR 1=1"):
        assert writer.http.get("/refer", params={"draft": forged}).status_code == 404


def test_two_tabs_lose_neither_text(person: Person) -> None:
    staff = person("sample-home", login="tabs")
    draft = autosaves(staff, sheet(staff.get("/refer")), name="はじめ")["draft"]
    one, two = (sheet(staff.get(f"/refer?draft={draft}")) for _ in range(2))
    first = autosaves(staff, one | {"written": "1"}, name="左の画面")
    second = autosaves(staff, two | {"written": "1"}, name="右の画面")
    assert not first["moved"]
    assert second["moved"]
    assert 'value="左の画面"' in staff.get(f"/refer?draft={first['draft']}").text
    assert 'value="右の画面"' in staff.get(f"/refer?draft={second['draft']}").text
    # Each goes on with its own.
    more = autosaves(
        staff,
        two | {"draft": second["draft"], "version": str(second["version"]), "written": "2"},
        name="右の続き",
    )
    assert not more["moved"]


def test_without_scripts_a_button_keeps_the_draft(person: Person) -> None:
    staff = person("sample-home", login="buttons")
    page = send(staff, typed(name="見本 保存子"), act="save")
    assert [answer.status_code for answer in page.history] == [303]
    assert page.url.params["draft"] == sheet(page)["draft"]
    assert "<p>下書きを保存しました。</p>" in page.text
    assert 'value="見本 保存子"' in page.text


def test_auditors_and_strangers_post_nothing(person: Person, network: RunningNetwork) -> None:
    with httpx.Client(base_url=network.console_url) as stranger:
        assert stranger.get("/refer").headers["location"] == "/login?next=/refer"
    assert person("auditor").get("/refer").status_code == 403
    staff = person("lien-bunkyo")
    no_token = staff.http.post("/refer", data=typed(act="send"))
    assert no_token.status_code == 403
