"""A referral's page: how it stands, what may be done now, what is personal only when it is opened, receipts."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from runtime.clock import utc_text
from services.console.referral.numbers import number_of
from tests.network import RunningNetwork, eventually
from tests.partners import AReferral, a_referral
from tests.people_look_at_it.conftest import Person, SignedIn, hidden_of

ANSHIN, HUB, LIEN, CORE, AUDITOR = (
    "anshin-motofuji",
    "hub-motofuji",
    "lien-bunkyo",
    "core",
    "auditor",
)
STRANGER = "hub-komagome"
NAME = "山田󠄀 太郎𠮷"  # with a variation selector (IVS), and a character outside the BMP
RIGHT_TO_LEFT = "שלום \u202e<script>alert(1)</script>"
LONG = "長" * 10_000


def a_case(**fields: Any) -> AReferral:
    person = {"name": NAME, "kana": "やまだ たろう", "phone": "03-0000-0000"}
    return a_referral().having(
        **(
            {"person": person, "summary": LONG, "risks": RIGHT_TO_LEFT, "urgency": "routine"}
            | fields
        )
    )


def posted(network: RunningNetwork, by: str = ANSHIN, **fields: Any) -> dict[str, Any]:
    answer = network.partner(by).posts(a_case(**fields))
    assert answer.status == 201, answer.body
    body: dict[str, Any] = answer.body
    return body


def taken(network: RunningNetwork, **fields: Any) -> dict[str, Any]:
    """A case that its hub has."""
    case = posted(network, **fields)
    assert network.partner(HUB).accepts(case["handoffs"][0]["id"]).status == 200
    return case


def own(case: dict[str, Any]) -> str:
    return f"/referrals/{case['id']}"


def text_of(page: httpx.Response) -> str:
    words = re.sub(r"<(script|style|title|desc)\b.*?</\1>", " ", page.text, flags=re.S)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", words)))


def does(
    who: SignedIn, case: dict[str, Any], deed: str, **fields: str | list[str]
) -> httpx.Response:
    return who.post(f"{own(case)}/do/{deed}", fields, page=own(case))


def opens(who: SignedIn, case: dict[str, Any], basis: str = "C2") -> httpx.Response:
    return who.post(f"{own(case)}/open", {"basis": basis}, page=own(case))


def state(network: RunningNetwork, case: dict[str, Any], by: str = CORE) -> dict[str, Any]:
    body: dict[str, Any] = network.partner(by).reads(case["id"]).body
    return body


def looks(network: RunningNetwork, case: dict[str, Any]) -> list[dict[str, Any]]:
    rows = network.rows(
        "console", "SELECT body FROM journal WHERE thread = :it ORDER BY number", it=case["id"]
    )
    return [json.loads(row[0])["event"] for row in rows]


# -- how it stands ------------------------------------------------------------------------------------


def test_whoever_has_a_part_in_it_sees_who_is_responsible_and_the_way_it_went(
    network: RunningNetwork, person: Person
) -> None:
    case = taken(network)
    page = person(HUB).get(own(case))
    words = text_of(page)
    assert page.status_code == 200
    assert case["number"] in words
    assert "受諾、担当は" in words
    assert page.text.count('<rect class="band"') == 2
    assert f"<title>{case['number']} | つなぐ</title>" in page.text
    by_number = person(HUB).get(f"/referrals/{case['number']}")
    assert by_number.status_code == 200


def test_whoever_has_no_part_in_it_and_whatever_does_not_exist_look_the_same(
    network: RunningNetwork, person: Person
) -> None:
    case = posted(network)
    stranger = person(STRANGER)
    pages = [stranger.get(own(case)), stranger.get(f"/referrals/{uuid4()}"),
             stranger.get("/referrals/131059-2026-999999"), stranger.get("/referrals/..%2fetc")]  # fmt: skip
    assert {page.status_code for page in pages} == {404}
    deed = stranger.post(f"{own(case)}/do/note", {"text": "?"})
    assert deed.status_code == 404
    assert not looks(network, case)


def test_a_look_is_on_record_before_anything_is_shown(
    network: RunningNetwork, person: Person
) -> None:
    case = posted(network)
    person(ANSHIN).get(own(case))
    (look,) = looks(network, case)
    assert (look["agency"], look["what"]) == (ANSHIN, "page")
    assert "basis" not in look


def test_a_restricted_call_is_told_to_nobody_on_the_page_who_must_not_know(
    network: RunningNetwork, person: Person
) -> None:
    case = taken(network)
    assert network.partner(ANSHIN).escalates(case["id"], "E03").status == 201
    assert "E03" in text_of(person(ANSHIN).get(own(case)))
    # The reason can be chosen, as always; that it was called for is not told.
    hub = person(HUB).get(own(case))
    assert "/board/" not in hub.text
    assert "を上申" not in text_of(hub)


# -- what is personal ---------------------------------------------------------------------------------


def test_nothing_personal_comes_until_it_is_opened_and_then_it_stands_as_it_was_written(
    network: RunningNetwork, person: Person
) -> None:
    case = taken(network)
    hub = person(HUB)
    shut = hub.get(own(case)).text
    for secret in (NAME, "やまだ", "03-0000-0000", "長長", "שלום"):
        assert secret not in shut
    opened = opens(hub, case)
    assert opened.status_code == 200
    assert f'<bdi class="as-typed">{NAME}</bdi>' in opened.text
    assert LONG in opened.text
    assert "שלום \u202e&lt;script&gt;" in opened.text
    assert "<script>alert" not in opened.text
    assert NAME not in opened.text.partition("</head>")[0]
    assert NAME not in str(opened.url)
    told = [(look["what"], look.get("basis")) for look in looks(network, case)]
    assert ("personal", "C2") in told
    assert NAME not in network.logs()


def test_what_was_opened_is_shut_by_hand_and_belongs_to_one_session(
    network: RunningNetwork, person: Person
) -> None:
    case = taken(network)
    hub = person(HUB)
    assert NAME in opens(hub, case).text
    other = person(HUB, login="hub.second")
    assert NAME not in other.get(own(case)).text
    again = hub.post(f"{own(case)}/shut", page=own(case))
    assert NAME not in again.text
    assert "個人情報を閉じました" in text_of(again)


def test_what_was_opened_is_shut_by_time(network: RunningNetwork, person: Person) -> None:
    case = taken(network)
    hub = person(HUB)
    assert NAME in opens(hub, case).text
    ((until,),) = network.rows(
        "console", "SELECT until FROM openings WHERE referral = :it", it=case["id"]
    )
    left = datetime.fromisoformat(until) - datetime.now(UTC)
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    assert until > utc_text(datetime.now(UTC))


def test_words_beside_a_step_are_shown_only_when_open(
    network: RunningNetwork, person: Person
) -> None:
    case = taken(network)
    network.partner(HUB).notes(case["id"], "夜に\u202e電話した。\n二行目")
    hub = person(HUB)
    assert "二行目" not in hub.get(own(case)).text
    assert "夜に\u202e電話した。\n二行目" in opens(hub, case).text


@pytest.mark.parametrize("basis", ["", "N", "X9", "C2\n"])
def test_a_basis_that_discloses_nothing_opens_nothing(
    network: RunningNetwork, person: Person, basis: str
) -> None:
    case = taken(network)
    page = opens(person(HUB), case, basis)
    assert page.status_code == 422
    assert NAME not in page.text
    assert "根拠を選んでください" in text_of(page)


def test_who_may_not_open_it_is_told_why_and_a_forged_form_opens_nothing(
    network: RunningNetwork, person: Person
) -> None:
    case = taken(network)
    assert network.partner(HUB).offers(case["id"], LIEN, kind="request").status == 201
    handoff = state(network, case)["handoffs"][-1]["id"]
    assert network.partner(LIEN).declines(handoff).status == 200
    lien = person(LIEN)
    assert "開けるのは、いまこの件を受け持つ機関だけ" in text_of(lien.get(own(case)))
    forged = opens(lien, case)
    assert NAME not in forged.text
    assert "開けるのは、いまこの件を受け持つ機関だけ" in text_of(forged)
    auditor = person(AUDITOR)
    assert "監査では、個人情報は開けません" in text_of(auditor.get(own(case)))
    assert opens(auditor, case).status_code == 403
    assert "個人情報を開く" not in auditor.get(own(case)).text


def test_who_must_accept_first_is_told_so(network: RunningNetwork, person: Person) -> None:
    case = taken(network)
    assert network.partner(HUB).offers(case["id"], LIEN, STRANGER, kind="request").status == 201
    page = text_of(person(LIEN).get(own(case)))
    assert "氏名などは、受諾したあとに開けます" in page


# -- what may be done ---------------------------------------------------------------------------------


def test_an_offer_is_made_to_several_and_taken_back_by_one_press(
    network: RunningNetwork, person: Person
) -> None:
    case = taken(network)
    hub = person(HUB)
    page = does(hub, case, "offer", kind="request", to=[LIEN, STRANGER], text="空きは？")
    assert "打診しました" in text_of(page)
    standing = [h for h in state(network, case)["handoffs"] if h["state"] == "offered"]
    assert {h["to"] for h in standing} == {LIEN, STRANGER}
    undo = re.search(r'action="([^"]+/do/withdraw)">(.*?)</form>', page.text, re.S)
    assert undo
    handoffs = re.search(r'name="handoff" value="([^"]+)"', undo[2])
    assert handoffs
    back = does(hub, case, "withdraw", handoff=handoffs[1])
    assert "打診を取り下げました" in text_of(back)
    assert not [h for h in state(network, case)["handoffs"] if h["state"] == "offered"]


def test_accepted_and_completed_on_the_page(network: RunningNetwork, person: Person) -> None:
    case = taken(network)
    assert does(person(HUB), case, "offer", kind="request", to=LIEN).status_code == 200
    handoff = state(network, case)["handoffs"][-1]["id"]
    lien = person(LIEN)
    accepted = lien.post(f"/handoffs/{handoff}/accept", {"back": own(case)}, page=own(case))
    assert accepted.url.path == own(case)
    done = does(lien, case, "complete", handoff=handoff, outcome="got_help")
    assert "完了を報告しました" in text_of(done)
    assert state(network, case)["handoffs"][-1]["state"] == "completed"


def test_noted_closed_and_reopened_by_undo(network: RunningNetwork, person: Person) -> None:
    case = taken(network)
    hub = person(HUB)
    assert "記録しました" in text_of(does(hub, case, "note", text=LONG))
    closed = does(hub, case, "close", outcome="got_help")
    assert "終結しました" in text_of(closed)
    assert state(network, case)["stage"] == "closed"
    assert f'action="{own(case)}/do/reopen"' in closed.text
    assert "再開しました" in text_of(does(hub, case, "reopen"))
    assert state(network, case)["stage"] == "in_care"


def test_cancelled_by_its_sender(network: RunningNetwork, person: Person) -> None:
    case = posted(network)
    assert "取り消しました" in text_of(does(person(ANSHIN), case, "cancel"))
    assert state(network, case)["stage"] == "cancelled"


def test_the_core_centre_is_called_with_a_reason_in_words(
    network: RunningNetwork, person: Person
) -> None:
    case = taken(network)
    hub = person(HUB)
    page = does(hub, case, "escalate", reason="E10", text="相談したい")
    assert "基幹へ上申しました" in text_of(page)
    assert re.search(r'href="/board/[0-9a-f-]{36}"', page.text)
    assert 'value="E10"' not in page.text, "it is called for already"


def test_what_is_missing_is_said_at_its_field_and_what_was_typed_stays(
    network: RunningNetwork, person: Person
) -> None:
    case = taken(network)
    page = does(person(HUB), case, "close", outcome="", text="半分書いた")
    assert page.status_code == 422
    assert "半分書いた" in page.text
    assert 'href="#close-outcome"' in page.text
    assert "結果を選んでください" in text_of(page)
    nobody = does(person(HUB), case, "offer", kind="transfer", text="だれかに")
    assert nobody.status_code == 422
    assert "だれかに" in nobody.text
    assert "引き継ぐ先を選んでください" in text_of(nobody)


def test_when_another_tab_was_quicker_it_is_said_and_no_word_is_lost(
    network: RunningNetwork, person: Person
) -> None:
    case = taken(network)
    hub = person(HUB)
    form = hidden_of(hub.get(own(case)).text)
    assert network.partner(HUB).closes(case["id"]).status == 200
    late = hub.http.post(
        f"{own(case)}/do/close", data={**form, "outcome": "got_help", "text": "遅れた言葉"}
    )
    assert late.status_code == 409
    words = text_of(late)
    assert "その間に変わっていました" in words
    assert "遅れた言葉" in words
    assert "終結または取消済み" in words


def test_the_same_form_sent_twice_is_one_deed(network: RunningNetwork, person: Person) -> None:
    case = taken(network)
    hub = person(HUB)
    form = {**hidden_of(hub.get(own(case)).text), "text": "一度だけ"}
    for _ in range(2):
        assert hub.http.post(f"{own(case)}/do/note", data=form).status_code == 200
    history = network.partner(HUB).get(f"/v1/referrals/{case['id']}/history").body["items"]
    assert [e["data"]["type"] for e in history].count("note_added") == 1


def test_an_individual_number_is_refused_and_not_sent_back(
    network: RunningNetwork, person: Person
) -> None:
    case = taken(network)
    page = does(person(HUB), case, "note", text="番号は 123456789018 です")
    assert page.status_code == 422
    assert "123456789018" not in page.text


@pytest.mark.parametrize(
    ("deed", "fields"),
    [
        ("offer", {"kind": "steal", "to": "hub-motofuji"}),
        ("offer", {"kind": "request", "to": "nobody-at-all"}),
        ("escalate", {"reason": "E99"}),
        ("close", {"outcome": "bliss"}),
        ("withdraw", {"handoff": "not-an-id"}),
        ("complete", {"handoff": str(UUID(int=7)), "outcome": "got_help"}),
        ("withdraw", {}),
        ("explode", {}),
        ("note", {"text": "長" * 10_001}),
    ],
)
def test_what_no_form_of_ours_would_send_is_refused_in_words(
    network: RunningNetwork, person: Person, deed: str, fields: dict[str, str]
) -> None:
    case = taken(network)
    before = state(network, case)["version"]
    page = does(person(HUB), case, deed, **fields)
    assert page.status_code in (403, 404, 409, 422), page.status_code
    assert "<h1>" in page.text
    assert state(network, case)["version"] == before


def test_an_auditor_does_nothing(network: RunningNetwork, person: Person) -> None:
    case = taken(network)
    auditor = person(AUDITOR)
    page = auditor.get(own(case))
    assert "監査は読むだけです" in text_of(page)
    assert "/do/" not in page.text
    assert does(auditor, case, "note", text="?").status_code == 403


# -- receipts -----------------------------------------------------------------------------------------


def test_a_receipt_is_one_file_with_proof_entry_and_key(
    network: RunningNetwork, person: Person
) -> None:
    case = posted(network)
    hub = person(HUB)
    links = re.findall(r'href="([^"]+/receipts/[^"]+)"', hub.get(own(case)).text)
    network.settle()
    # What happened before the hub was asked was not told to it, so it has no receipt of that.
    assert "この出来事の受領証はありません" in text_of(hub.get(links[0]))
    got = hub.get(links[-1])
    assert got.headers["content-type"] == "application/zip", text_of(got)
    assert case["number"] in got.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(got.content)) as archive:
        names = set(archive.namelist())
        (proof,) = [name for name in names if name.endswith(".tlog-proof")]
        assert names == {proof, "entry.json", "ledger.vkey", "README.txt"}
        assert archive.read(proof).startswith(b"c2sp.org/tlog-proof@v1")
        assert case["id"] in archive.read("entry.json").decode()
    assert "receipt" in [look["what"] for look in looks(network, case)]


def test_of_an_event_that_is_none_there_is_no_receipt(
    network: RunningNetwork, person: Person
) -> None:
    case = posted(network)
    page = person(HUB).get(f"{own(case)}/receipts/{uuid4()}")
    assert "この出来事の受領証はありません" in text_of(page)
    assert person(HUB).get(f"{own(case)}/receipts/nonsense").status_code == 404


# -- the list -----------------------------------------------------------------------------------------


def test_the_list_has_an_agencys_own_cases_by_stage_urgency_and_page(
    network: RunningNetwork, person: Person
) -> None:
    mine = posted(network, urgency="urgent")
    hub = person(HUB)
    page = hub.get("/referrals")
    assert own(mine) in page.text
    assert own(mine) in hub.get("/referrals?urgency=urgent&stage=offered").text
    assert own(mine) not in hub.get("/referrals?urgency=information").text
    assert own(mine) not in hub.get("/referrals?mine=yes").text
    assert own(mine) in person(ANSHIN).get("/referrals?mine=yes&urgency=urgent").text
    assert own(mine) not in person("hub-otsuka").get("/referrals").text
    assert hub.get("/referrals?stage=nonsense&before=%F0%9D%9F%8F&urgency=").status_code == 200
    assert NAME not in page.text


@pytest.mark.parametrize("typed", [lambda n: n, lambda n: n.replace("-", "－"), lambda n: n[7:]])
def test_a_case_is_found_by_its_number(
    network: RunningNetwork, person: Person, typed: Callable[[str], str]
) -> None:
    case = posted(network)
    found = person(HUB).post("/referrals", {"number": typed(case["number"])}, page="/referrals")
    assert found.url.path == f"/referrals/{case['number']}"
    by_id = person(HUB).post("/referrals", {"number": case["id"].upper()}, page="/referrals")
    assert by_id.url.path == own(case)
    none = person(STRANGER).post("/referrals", {"number": case["number"]}, page="/referrals")
    assert none.status_code == 404
    assert "関わる相談ではありません" in text_of(none)


@pytest.mark.parametrize("typed", [NAME, "https://example.jp/", "1" * 5000, "../account"])
def test_a_name_that_was_typed_as_a_number_stands_in_no_address(person: Person, typed: str) -> None:
    hub = person(HUB)
    form = re.search(r'<form method="(\w+)"[^>]*role="search"', hub.get("/referrals").text)
    assert form is not None
    assert form[1] == "post", "what is sent with GET stands in the address"
    page = hub.post("/referrals", {"number": typed}, page="/referrals")
    assert (page.status_code, page.url.path, page.url.query) == (404, "/referrals", b"")
    assert f'value="{typed[:200]}"' in page.text, "it is there to be corrected"
    assert page.text.count(typed[:200]) == 1, "in its field and nowhere else"


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("17", "131059-2026-000017"),
        ("１７", "131059-2026-000017"),
        ("2025-3", "131059-2025-000003"),
        (" 131059−2026ー000017 ", "131059-2026-000017"),
        ("1-1-1", None), ("", None), ("山田太郎", None), ("٣", None), ("1" * 99, None),
    ],
)  # fmt: skip
def test_numbers_are_taken_as_they_are_typed(typed: str, number: str | None) -> None:
    assert number_of(typed, "131059", 2026) == number


# -- when others are down -----------------------------------------------------------------------------


def test_while_audit_is_down_the_page_goes_on_and_says_so_of_the_receipt(
    network: RunningNetwork, person: Person
) -> None:
    case = posted(network)
    hub = person(HUB)
    with network.down("audit"):
        page = hub.get(own(case))
        assert page.status_code == 200
        link = re.search(r'href="([^"]+/receipts/[^"]+)"', page.text)
        assert link
        told = hub.get(link[1])
        assert "監査がいま答えないため" in text_of(told)
        assert "受領証はあとで保存できます" in text_of(told)
    eventually(lambda: network.is_up("audit"), 30, "audit is back")


def test_while_intake_is_down_what_was_written_stays_and_is_sent_once(
    network: RunningNetwork, person: Person
) -> None:
    case = taken(network)
    hub = person(HUB)
    hidden = hidden_of(hub.get(own(case)).text)
    with network.down("intake"):
        page = hub.http.post(f"{own(case)}/do/note", data={**hidden, "text": "消えない"})
        assert page.status_code == 503
        assert "消えない" in page.text
        assert f'name="key" value="{hidden["key"]}"' in page.text, "the same deed, sent once more"
    network.await_ready()
    assert "記録しました" in text_of(
        hub.http.post(f"{own(case)}/do/note", data={**hidden, "text": "消えない"})
    )


def test_while_intake_is_down_what_was_opened_is_shown_masked_and_a_note_is_not_lost(
    network: RunningNetwork, person: Person
) -> None:
    case = taken(network)
    hub = person(HUB)
    opens(hub, case)
    hidden = hidden_of(hub.get(own(case)).text)
    with network.down("intake"):
        page = hub.get(own(case))
        assert page.status_code == 200
        assert case["number"] in page.text
        assert "いまは個人情報を表示できません" in text_of(page)
        assert NAME not in page.text
        page = hub.http.post(f"{own(case)}/do/note", data={**hidden, "text": "消えない"})
        assert page.status_code == 503
        assert "消えない" in page.text
        assert f'name="key" value="{hidden["key"]}"' in page.text
    network.await_ready()
    assert NAME in hub.get(own(case)).text


def test_while_nobody_says_how_it_stands_what_was_written_stays_and_is_sent_once(
    network: RunningNetwork, person: Person
) -> None:
    case = taken(network)
    hub = person(HUB)
    hidden = hidden_of(hub.get(own(case)).text)
    note = {**hidden, "text": "\n <b>消えない</b>"}
    with network.down("referral"):
        page = hub.http.post(f"{own(case)}/do/note", data=note)
        assert page.status_code == 503
        assert "\n <b>消えない</b></textarea>" in unescape(page.text)
        assert "<b>消えない" not in page.text
        assert f'name="key" value="{hidden["key"]}"' in page.text
        number = hub.http.post(f"{own(case)}/do/note", data={**hidden, "text": "1234 5678 9018"})
        assert "9018" not in number.text
    network.await_ready()
    form = page.text[page.text.index(f'action="{own(case)}/do/note"') :]
    assert "記録しました" in text_of(
        hub.http.post(f"{own(case)}/do/note", data={**note, **hidden_of(form)})
    )
    assert "記録しました" in text_of(hub.http.post(f"{own(case)}/do/note", data=note))
    told = network.partner(HUB).history(case["id"]).body["items"]
    assert sum(each["type"] == "tsunagu.note_added.v1" for each in told) == 1
