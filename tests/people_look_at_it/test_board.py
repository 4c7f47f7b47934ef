"""The board (見張り) by plain requests, as a browser without scripts sends them: what is seen, by whom, and what
becomes of what is done."""

import json
import re
import uuid
from html import unescape
from typing import Any

import httpx
import pytest

from services.console.words import Words
from tests.builders import BUNKYO
from tests.network import RunningNetwork, eventually
from tests.partners import a_referral
from tests.people_look_at_it.conftest import Person, SignedIn, hidden_of

DISPUTED = "本駒込6-1-1"  # komagome or tomisaka: nobody lists it
SENDER = "anshin-motofuji"


def raised(network: RunningNetwork, reason: str = "E10", **fields: Any) -> tuple[str, str]:
    """A new call: the referral's id and the escalation's."""
    sender = network.partner(SENDER)
    posted = sender.posts(a_referral().having(**fields))
    assert posted.status == 201, posted.body
    said = sender.escalates(posted.id, reason)
    assert said.status == 201, said.body
    return posted.id, str(said.body["escalations"][-1]["id"])


def undecided(network: RunningNetwork, address: str = DISPUTED) -> tuple[str, str]:
    """A referral whose district nobody can tell, and the call that asks for a ruling."""
    posted = network.partner(SENDER).posts(a_referral().by_address(address))
    assert posted.status == 201, posted.body
    call = next(x for x in posted.body["escalations"] if x["code"] == "E06")
    return posted.id, str(call["id"])


def row_of(page: str, escalation: str) -> str:
    found = re.search(rf'<tr[^>]* id="call-{escalation}".*?</tr>', page, re.DOTALL)
    return found[0] if found else ""


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def does(who: SignedIn, escalation: str, deed: str, **fields: str | list[str]) -> httpx.Response:
    """One form of the call's page; what came of it, the next page included."""
    back = f"/board/{escalation}"
    return who.post(f"{back}/{deed}", fields, page=back, back=back)


# -- what is seen ------------------------------------------------------------------------------------


def test_a_call_is_on_the_board_with_reason_agency_district_and_time_left(
    network: RunningNetwork, person: Person
) -> None:
    referral, escalation = raised(network)
    row = row_of(person("core").get("/board").text, escalation)
    said = text_of(row)
    for words in ("E10", "本富士", "残り", "応答待ち", "至急", "基幹 相談窓口 1段目"):
        assert words in said
    assert f"/referrals/{referral}" in row


def test_nothing_of_the_person_is_on_the_board_or_the_calls_page(
    network: RunningNetwork, person: Person
) -> None:
    _, escalation = raised(network)
    core = person("core")
    for page in (core.get("/board").text, core.get(f"/board/{escalation}").text):
        for personal in ("文京 太郎", "03-0000-0000", "21番3号", "母が急病"):
            assert personal not in page


def test_whoever_filters_sees_what_fits_and_how_many(
    network: RunningNetwork, person: Person
) -> None:
    _, mine = raised(network, "E10")
    _, other = undecided(network)
    page = person("core").get("/board?code=E06&state=raised").text
    assert row_of(page, other)
    assert not row_of(page, mine)
    assert "絞り込み中" in page
    unreadable = person("core").get("/board?code=E06&district=%3Cscript%3E&page=99999999999")
    assert unreadable.status_code == 200
    assert "読めなかった" in unreadable.text
    assert "<script>" not in unreadable.text.replace("<script type", "")


def test_a_desk_sees_the_calls_to_it_and_an_agency_without_a_desk_sees_none(
    network: RunningNetwork, person: Person
) -> None:
    _, to_hospital = raised(network, "E02")
    _, to_core = raised(network, "E10")
    page = person("sample-hospital").get("/board").text
    assert row_of(page, to_hospital)
    assert not row_of(page, to_core)
    assert person("sample-hospital").get(f"/board/{to_core}").status_code == 404
    assert 'href="/board"' in page
    assert 'href="/board"' not in person("hub-komagome").get("/account").text
    # One that has a part in the case has the call's page, and no way from there to a closed door.
    call = person(SENDER).get(f"/board/{to_core}")
    assert call.status_code == 200
    assert 'href="/board"' not in call.text
    assert person("hub-komagome").get("/board").status_code == 403
    assert person("hub-komagome").get("/board/stream").status_code == 403


def test_an_auditor_looks_and_does_nothing(network: RunningNetwork, person: Person) -> None:
    _, escalation = raised(network)
    auditor = person("auditor")
    row = row_of(auditor.get("/board").text, escalation)
    assert row
    assert "<button" not in row
    assert "いまできることはありません" in auditor.get(f"/board/{escalation}").text
    refused = auditor.post(f"/board/{escalation}/acknowledge", page=f"/board/{escalation}")
    assert refused.status_code == 403
    assert state_of(network, escalation) == "raised"


def state_of(network: RunningNetwork, escalation: str) -> str:
    [row] = network.rows("referral", "SELECT state FROM escalations WHERE id = :id", id=escalation)
    return str(row[0])


def test_a_calls_page_is_put_on_record_before_it_is_shown(
    network: RunningNetwork, person: Person
) -> None:
    referral, escalation = raised(network)
    count = "SELECT count(*) FROM journal WHERE thread = :id"
    assert network.rows("console", count, id=referral)[0][0] == 0
    assert person("core").get(f"/board/{escalation}").status_code == 200
    assert network.rows("console", count, id=referral)[0][0] == 1


@pytest.mark.parametrize(
    "forged", ["1", "3fa85f64-5717-4562-b3fc-2c963f66afa6", "%00", "../login", "あ", "x" * 500]
)
def test_a_forged_call_is_not_found(person: Person, forged: str) -> None:
    core = person("core")
    assert core.get(f"/board/{forged}").status_code in (404, 200)
    assert "いま返事がありません" not in core.get(f"/board/{forged}").text
    for deed in ("acknowledge", "rule", "resolve", "offer", "withdraw"):
        assert core.post(f"/board/{uuid.uuid4()}/{deed}", page="/board").status_code == 404


# -- what is done ------------------------------------------------------------------------------------


def test_acknowledged_from_the_row_the_core_centre_has_the_case_and_may_give_it_back(
    network: RunningNetwork, person: Person
) -> None:
    referral, escalation = raised(network)
    network.partner("hub-motofuji").accepts(network.partner(SENDER).reads(referral).handoff())
    core = person("core")
    page = core.post(f"/board/{escalation}/acknowledge", {"advise_only": ""}, page="/board")
    assert page.url.path == "/board"
    assert "応答し、担当になりました" in page.text
    assert network.partner(SENDER).reads(referral).body["custodian"] == "core"
    undo = re.search(r'<form method="post" action="(/board/[^"]+/resolve)">(.*?)</form>', page.text)
    assert undo
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', undo[2]))
    back = core.http.post(undo[1], data={name: unescape(v) for name, v in fields.items()})
    assert "戻す打診をしました" in back.text
    offered = network.partner(SENDER).reads(referral)
    assert offered.handoff("hub-motofuji")
    assert state_of(network, escalation) == "resolved"


def test_the_core_centre_may_only_advise(network: RunningNetwork, person: Person) -> None:
    referral, escalation = raised(network)
    said = does(person("core"), escalation, "acknowledge", advise_only="yes")
    assert "助言のみで応答しました" in said.text
    assert network.partner(SENDER).reads(referral).body["custodian"] == SENDER
    ended = does(person("core"), escalation, "resolve", disposition="advised", text="助言。")
    assert "助言して解決しました" in ended.text
    assert state_of(network, escalation) == "resolved"


def test_a_district_is_ruled_from_the_row_and_ruled_anew_on_the_calls_page(
    network: RunningNetwork, person: Person
) -> None:
    # Of a block of its own, for the ruling is remembered.
    referral, escalation = undecided(network, "本駒込6-2-1")
    core = person("core")
    assert 'name="district" value="komagome"' in row_of(core.get("/board").text, escalation)
    page = core.post(f"/board/{escalation}/rule", {"district": "komagome"}, page="/board")
    assert page.url.path == f"/board/{escalation}"
    assert "駒込地区と判定しました" in page.text
    again = does(core, escalation, "rule", district="tomisaka", remember="yes")
    assert "富坂地区と判定しました" in again.text
    assert network.partner(SENDER).reads(referral).body["district"]["id"] == "tomisaka"


def test_a_case_is_handed_on_and_the_offer_taken_back(
    network: RunningNetwork, person: Person
) -> None:
    referral, escalation = raised(network)
    core = person("core")
    does(core, escalation, "acknowledge")
    missing = does(core, escalation, "resolve", disposition="reassigned", text="急ぎ")
    assert missing.status_code == 422
    assert "つなぐ先を選んでください" in missing.text
    assert "急ぎ" in missing.text  # what was typed is kept
    on = does(core, escalation, "resolve", disposition="reassigned", to="hub-komagome")
    assert "打診しました" in on.text
    offered = network.partner(SENDER).reads(referral).handoff("hub-komagome")
    taken_back = does(core, escalation, "withdraw", handoffs=offered)
    assert "取り下げました" in taken_back.text
    assert network.partner(SENDER).reads(referral).body["custodian"] == "core"


def test_several_are_asked_at_once(network: RunningNetwork, person: Person) -> None:
    referral, escalation = raised(network)
    core = person("core")
    does(core, escalation, "acknowledge")
    none = does(core, escalation, "offer", kind="transfer")
    assert none.status_code == 422
    to = ["hub-komagome", "hub-tomisaka"]
    asked = does(core, escalation, "offer", kind="transfer", offer_to=to, function="consultation")
    assert "打診しました" in asked.text
    standing = network.partner(SENDER).reads(referral)
    assert standing.handoff("hub-komagome") != standing.handoff("hub-tomisaka")


def test_the_core_centre_keeps_a_difficult_case(network: RunningNetwork, person: Person) -> None:
    referral, escalation = raised(network)
    core = person("core")
    does(core, escalation, "acknowledge")
    assert "担当を続ける" in does(core, escalation, "resolve", disposition="kept").text
    assert network.partner(SENDER).reads(referral).body["custodian"] == "core"


def test_another_desk_acknowledges_and_advises_but_never_rules_or_takes_the_case(
    network: RunningNetwork, person: Person
) -> None:
    referral, escalation = raised(network, "E02")
    hospital = person("sample-hospital")
    assert "判定" not in text_of(row_of(hospital.get("/board").text, escalation))
    assert does(hospital, escalation, "rule", district="komagome").status_code == 403
    assert "応答しました" in does(hospital, escalation, "acknowledge").text
    assert network.partner(SENDER).reads(referral).body["custodian"] == SENDER
    assert "解決しました" in does(hospital, escalation, "resolve", disposition="advised").text


# -- two at once, twice the same ---------------------------------------------------------------------


def test_whoever_is_second_is_told_who_was_quicker_and_when(
    network: RunningNetwork, person: Person
) -> None:
    _, escalation = raised(network, "E02")
    colleague = person("core", login="core.second")
    hidden = hidden_of(colleague.get("/board").text)
    assert does(person("sample-hospital"), escalation, "acknowledge").status_code == 200
    late = colleague.http.post(f"/board/{escalation}/acknowledge", data=hidden)
    assert late.status_code == 409
    assert re.search(r"見本病院が \d\d:\d\d に応答済みです", late.text)
    _, other = raised(network)
    does(person("core"), other, "acknowledge")
    late = colleague.http.post(f"/board/{other}/acknowledge", data=hidden)
    assert re.search(r"同じ機関のほかの人が \d\d:\d\d に応答済みです", late.text)


def test_the_same_form_sent_twice_is_one_deed(network: RunningNetwork, person: Person) -> None:
    referral, escalation = raised(network)
    core = person("core")
    hidden = hidden_of(core.get("/board").text)
    for _ in range(2):
        sent = core.http.post(f"/board/{escalation}/acknowledge", data=hidden)
        assert sent.status_code == 200
        assert "応答し" in sent.text
    events = network.partner("core").history(referral).body["items"]
    assert sum("acknowledged" in event["type"] for event in events) == 1


def test_one_page_answers_several_calls(network: RunningNetwork, person: Person) -> None:
    """The page has one form for all its rows, and so one key."""
    calls = [raised(network)[1] for _ in range(2)]
    core = person("core")
    hidden = hidden_of(core.get("/board").text)
    for escalation in calls:
        core.http.post(f"/board/{escalation}/acknowledge", data=hidden)
        assert state_of(network, escalation) == "acknowledged"


def test_a_script_stays_text_and_ten_thousand_characters_are_told_what_is_wrong(
    network: RunningNetwork, person: Person
) -> None:
    _, escalation = raised(network)
    core = person("core")
    script = "<script>alert(1)</script>" * 500
    long = does(core, escalation, "acknowledge", text=script)
    assert long.status_code == 422
    assert "長すぎます" in long.text
    assert "&lt;script&gt;alert(1)" in long.text
    assert "<script>alert" not in long.text
    wrong = does(core, escalation, "resolve", disposition="<b>")
    assert wrong.status_code == 422
    assert "対応を選んでください" in wrong.text
    assert does(core, escalation, "rule", district="nowhere").status_code == 422
    assert does(core, escalation, "withdraw", handoffs="x y").status_code == 409
    assert state_of(network, escalation) == "raised"


def test_a_deed_leads_nowhere_but_to_the_board(network: RunningNetwork, person: Person) -> None:
    for back in ("https://example.com/", "//example.com", "/login", "", "/board/../login"):
        _, escalation = raised(network)
        core = person("core")
        fields = {"back": back}
        went = core.post(f"/board/{escalation}/acknowledge", fields, page="/board")
        assert went.url.host == httpx.URL(network.console_url).host
        assert went.url.path in ("/board", "/login")
        assert went.url.path == "/board" or back == "/board/../login"


# -- where nobody answers ----------------------------------------------------------------------------


def sends_it_again(who: SignedIn, page: httpx.Response) -> httpx.Response:
    """The one form of the page that came, as it is."""
    forms = re.findall(
        r'<form method="post" action="(/board/[^"]+)">(.*?)</form>', page.text, re.DOTALL
    )
    [(path, inside)] = forms
    fields = re.findall(r'name="(\w+)" value="([^"]*)"', inside)
    written = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", inside, re.DOTALL)
    sent: dict[str, str | list[str]] = {}
    for name in dict.fromkeys(name for name, _ in fields):
        sent[name] = [unescape(value) for each, value in fields if each == name]
    if written:
        sent["text"] = unescape(written[1])
    return who.http.post(path, data=sent)


def test_what_was_asked_while_nobody_took_it_is_kept_and_asked_once(
    network: RunningNetwork, person: Person
) -> None:
    referral, escalation = raised(network)
    core = person("core")
    does(core, escalation, "acknowledge")
    hidden = hidden_of(core.get(f"/board/{escalation}").text)
    to = ["hub-komagome", "hub-tomisaka"]
    asked = {**hidden, "kind": "transfer", "offer_to": to, "text": "夜間も<つながる>窓口へ\n急ぎ"}
    with network.frozen("intake"):
        unanswered = core.http.post(f"/board/{escalation}/offer", data=asked)
    assert unanswered.status_code == 503
    assert "二重にはなりません" in unanswered.text
    assert "夜間も&lt;つながる&gt;窓口へ\n急ぎ</textarea>" in unanswered.text
    for words in (
        Words(BUNKYO).agency(to[0]),
        Words(BUNKYO).agency(to[1]),
        f'name="key" value="{hidden["key"]}"',
    ):
        assert words in unanswered.text
    assert "打診しました" in sends_it_again(core, unanswered).text
    network.settle()
    handoffs = network.partner(SENDER).reads(referral).body["handoffs"]
    assert sorted(h["to"] for h in handoffs if h["from"] == "core") == sorted(to)


def test_words_beside_a_decision_are_kept_while_the_deciding_service_is_away(
    network: RunningNetwork, person: Person
) -> None:
    _, escalation = raised(network)
    core = person("core")
    does(core, escalation, "acknowledge", advise_only="yes")
    hidden = hidden_of(core.get(f"/board/{escalation}").text)
    decided = {**hidden, "disposition": "advised", "text": "家族に電話で助言した。"}
    path = f"/board/{escalation}/resolve"
    with network.frozen("referral"):
        unanswered = core.http.post(path, data=decided)
        script = core.http.post(path, data=decided, headers={"accept": "application/json"})
    assert unanswered.status_code == script.status_code == 503
    assert "家族に電話で助言した。" in unanswered.text
    assert script.json()["alert"]
    assert "二重にはなりません" in script.json()["said"]
    network.await_ready()
    assert "解決しました" in sends_it_again(core, unanswered).text
    assert state_of(network, escalation) == "resolved"


# -- live --------------------------------------------------------------------------------------------


class Reader:
    """A board that is open: the events as they come."""

    def __init__(self, response: httpx.Response) -> None:
        self.lines = response.iter_lines()
        self.calls: list[tuple[str, int]] = []

    def until(self, name: str, call: str = "") -> dict[str, Any]:
        fields: dict[str, str] = {}
        for line in self.lines:
            key, _, value = line.partition(": ")
            if line:
                fields[key] = value
            elif "data" in fields:
                data: dict[str, Any] = json.loads(fields["data"])
                found = fields["event"] == name and call in ("", data.get("id"))
                data["_id"] = int(fields["id"])
                if fields["event"] == "call":
                    self.calls.append((data["id"], data["change"]))
                fields = {}
                if found:
                    return data
        raise AssertionError("the stream ended")


def position_of(page: str) -> int:
    found = re.search(r'data-after="(\d+)"', page)
    assert found
    return int(found[1])


def test_what_happens_after_the_page_was_read_comes_by_itself(
    network: RunningNetwork, person: Person
) -> None:
    core = person("core")
    after = position_of(core.get("/board").text)
    with core.http.stream("GET", f"/board/stream?code=E10&after={after}") as response:
        reader = Reader(response)
        assert reader.until("counts")["raised"] >= 0
        _, escalation = raised(network)
        told = reader.until("call", escalation)
        assert told["fits"]
        assert "E10" in told["said"]
        assert row_of(told["html"], escalation)
        assert "文京 太郎" not in json.dumps(told, ensure_ascii=False)
        _, other = undecided(network)
        assert not reader.until("call", other)["fits"]
        does(core, escalation, "acknowledge")
        assert reader.until("call", escalation)["state"] == "acknowledged"
        assert len(reader.calls) == len(set(reader.calls)), "a change is told once"
    # Whoever was away goes on after what it knew.
    last = {"Last-Event-ID": str(told["_id"])}
    with core.http.stream("GET", "/board/stream?after=0", headers=last) as response:
        assert Reader(response).until("call", escalation)["state"] == "acknowledged"


@pytest.mark.parametrize("after", ["0", "999999999", "x", "-1", "9" * 30])
def test_whoever_comes_with_a_number_that_never_was_reads_the_page_anew(
    network: RunningNetwork, person: Person, after: str
) -> None:
    raised(network)
    person("core").get("/board")
    with person("core").http.stream("GET", f"/board/stream?after={after}") as response:
        assert Reader(response).until("again") is not None


def test_a_number_of_before_the_service_that_gives_them_was_started_anew_is_none(
    network: RunningNetwork, person: Person
) -> None:
    """Its database may be another one than before: the same number may stand for something else."""

    def stream_of(page: str) -> str:
        found = re.search(r'data-stream="([^"]+)"', page)
        assert found
        return f"{unescape(found[1])}&after={position_of(page)}"

    raised(network)
    core = person("core")
    before = stream_of(core.get("/board").text)
    with core.http.stream("GET", before) as response:
        reader = Reader(response)
        reader.until("counts")
        network.kill_and_await_restart("referral")
        reader.until("again")
    with core.http.stream("GET", before) as response:
        Reader(response).until("again")
    with core.http.stream("GET", stream_of(core.get("/board").text)) as response:
        reader = Reader(response)
        reader.until("counts")
        _, escalation = raised(network)
        reader.until("call", escalation)


def test_a_script_that_sends_a_deed_is_told_the_row_and_the_way_back(
    network: RunningNetwork, person: Person
) -> None:
    _, escalation = raised(network)
    core = person("core")
    hidden = hidden_of(core.get("/board").text)
    json_please = {"accept": "application/json"}
    path = f"/board/{escalation}/acknowledge"
    told = core.http.post(path, data=hidden, headers=json_please).json()
    assert not told["alert"]
    assert "応答し、担当になりました" in told["said"]
    assert "元に戻す" in told["note"]
    assert 'data-state="acknowledged"' in told["html"]
    late = core.http.post(path, data={**hidden, "key": "another"}, headers=json_please)
    assert late.status_code == 409
    assert late.json()["alert"]
    assert "応答済みです" in late.json()["said"]


def test_where_nobody_answers_the_last_picture_is_shown_and_said_to_be_old(
    network: RunningNetwork, person: Person
) -> None:
    _, escalation = raised(network)
    core = person("core")
    assert row_of(core.get("/board").text, escalation)
    with network.frozen("referral"):
        page = core.get("/board")
        assert page.status_code == 200
        assert row_of(page.text, escalation)
        assert re.search(r'id="stale" class="notice warn">', page.text)
        assert core.get(f"/board/{escalation}").status_code == 503
    network.await_ready()
    eventually(
        lambda: 'id="stale" class="notice warn" hidden' in core.get("/board").text, 10, "fresh"
    )


def test_a_personal_number_typed_beside_a_call_is_never_sent_back_and_the_other_words_are(
    network: RunningNetwork, person: Person
) -> None:
    _, escalation = raised(network)
    core = person("core")
    number, page = "123456789018", f"/board/{escalation}"
    fields = {"advise_only": "no", "text": f"折り返します {number}"}
    refused = core.post(f"{page}/acknowledge", fields, page=page)
    assert refused.status_code == 422
    with network.frozen("intake"):
        unanswered = core.post(f"{page}/acknowledge", fields, page=page)
    assert unanswered.status_code == 503
    for told in (refused, unanswered):
        assert number not in told.text
        assert "折り返します" in told.text
