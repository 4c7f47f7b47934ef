"""Auditors replay on the network as it runs: what the ledger holds, at any moment, and nothing of what came
after; and that they looked is on record."""

import html
import json
import re

import httpx
import pytest

from tests.network import RunningNetwork, eventually
from tests.partners import Answer, a_referral
from tests.people_look_at_it.conftest import Person, SignedIn, hidden_of

ANSHIN, HUB = "anshin-motofuji", "hub-motofuji"


@pytest.fixture(scope="module")
def case(network: RunningNetwork) -> Answer:
    """Sent by the 高齢者あんしん相談センター, taken on by the hub, called in afterwards."""
    sent = network.partner(ANSHIN).posts(a_referral().having(urgency="routine"))
    network.partner(HUB).accepts(sent.handoff(to=HUB))
    raised = network.partner(HUB).escalates(sent.number, "E02")
    assert raised.status == 201
    return sent


@pytest.fixture(scope="module")
def auditor(person: Person) -> SignedIn:
    return person("auditor")


@pytest.fixture
def settled(network: RunningNetwork, auditor: SignedIn, case: Answer) -> None:
    """Audit has all of it."""
    path = f"/replay/of/{case.number}"
    eventually(lambda: "E02" in auditor.get(path).text, 15, "all of the case in the ledger")


def marks(page: httpx.Response) -> list[str]:
    found = re.search(r'data-marks="([^"]*)"', page.text)
    assert found is not None
    return found[1].split()


def region(page: httpx.Response) -> str:
    return html.unescape(page.text[page.text.index('id="shown"') :])


@pytest.mark.usefixtures("settled")
def test_each_step_shows_what_had_happened_by_then_and_nothing_after(
    auditor: SignedIn, case: Answer
) -> None:
    path = f"/replay/of/{case.number}"
    steps = marks(auditor.get(path))
    assert len(steps) >= 3
    first = region(auditor.get(path, params={"at": steps[0]}))
    assert "E02" not in first
    assert "いまの担当" not in first
    last = region(auditor.get(path))
    assert "E02" in last
    assert "文京 太郎" not in last


@pytest.mark.usefixtures("settled")
def test_the_slider_that_is_sent_as_a_form_and_the_date_that_is_typed_lead_to_the_same(
    auditor: SignedIn, case: Answer
) -> None:
    path = f"/replay/of/{case.number}"
    steps = marks(auditor.get(path))
    by_step = auditor.get(path, params={"step": "0"})
    by_mark = auditor.get(path, params={"at": steps[0]})
    assert (by_step.status_code, by_mark.status_code) == (200, 200)
    shown = re.compile(r'data-at="([^"]+)"')
    assert shown.search(by_step.text) is not None
    assert shown.findall(by_step.text) == shown.findall(by_mark.text) == [steps[0]]
    before = auditor.get(path, params={"at": "2020-01-01T00:00"})
    assert "まだ受け付けていません" in region(before)
    nonsense = auditor.get(path, params={"at": "きのう"})
    assert "読み取れませんでした" in nonsense.text


@pytest.mark.usefixtures("settled")
def test_one_goes_to_the_moment_before_a_call(auditor: SignedIn, case: Answer) -> None:
    path = f"/replay/of/{case.number}"
    page = auditor.get(path)
    found = re.search(r'href="([^"]+)">この直前を見る', page.text)
    assert found is not None
    before = region(auditor.get(html.unescape(found[1])))
    assert "E02" not in before
    assert "受諾" in before


@pytest.mark.usefixtures("settled")
def test_what_had_happened_and_not_reached_the_ledger_was_not_known(
    auditor: SignedIn, case: Answer
) -> None:
    path = f"/replay/of/{case.number}"
    steps = marks(auditor.get(path))
    # An entry reaches the ledger a little after it is decided.
    at_once = auditor.get(path, params={"at": steps[0], "known": "1"})
    assert at_once.status_code == 200
    assert "まだ受け付けていません" in region(at_once)
    later = auditor.get(path, params={"at": "2100-01-01T00:00:00", "known": "1"})
    assert "E02" in region(later)


@pytest.mark.usefixtures("settled")
def test_many_moments_of_one_case_are_one_look_on_record(
    network: RunningNetwork, person: Person, case: Answer
) -> None:
    looker = person("auditor", login="looker.mihon", fresh=True)

    def looks() -> int:
        return looks_on_record(network).count(("replay", case.id))

    before = looks()
    path = f"/replay/of/{case.number}"
    for mark in marks(looker.get(path)):
        assert looker.get(path, params={"at": mark, "part": "1"}).status_code == 200
    assert looks() == before + 1


def looks_on_record(network: RunningNetwork) -> list[tuple[str, str]]:
    """At what, and of which referral."""
    rows = network.rows("console", "SELECT body FROM journal ORDER BY number")
    events = [json.loads(row.body)["event"] for row in rows]
    return [(event["what"], event.get("referral", "")) for event in events]


@pytest.mark.usefixtures("settled")
def test_a_case_is_chosen_by_its_number_however_it_is_typed(
    auditor: SignedIn, case: Answer
) -> None:
    wide = case.number.translate({ord(half): chr(ord(half) + 0xFEE0) for half in "0123456789-"})
    page = auditor.post("/replay", {"ref": f"　{wide} "}, page="/replay")
    assert page.url.path == f"/replay/of/{case.number}"
    wrong = auditor.post("/replay", {"ref": "文京 太郎"}, page="/replay")
    assert wrong.status_code == 404
    assert "文京" not in str(wrong.url)
    assert "台帳にありません" in wrong.text
    for ref in ("131059-2020-999999", case.id[:-1] + "0", "x" * 300, "%00"):
        assert auditor.get(f"/replay/of/{ref}").status_code == 404


@pytest.mark.usefixtures("settled")
def test_the_whole_ward_is_replayed_and_leads_to_each_case(auditor: SignedIn, case: Answer) -> None:
    page = auditor.get("/replay/ward")
    assert case.number in region(page)
    first = marks(page)[0]
    then = auditor.get("/replay/ward", params={"at": "2020-01-01T00:00"})
    assert "まだ相談がありません" in region(then)
    assert auditor.get("/replay/ward", params={"step": "0"}).text.count(f'data-at="{first}"') == 1


@pytest.mark.usefixtures("settled")
def test_the_ledger_is_verified_from_the_page(auditor: SignedIn) -> None:
    page = auditor.post("/replay/verify", page="/replay/verify")
    assert page.url.path == "/replay/verify"
    eventually(
        lambda: "台帳は完全です" in auditor.get("/replay/verify").text, 15, "the report is there"
    )
    assert "終了コード" in auditor.get("/replay/verify").text


@pytest.mark.usefixtures("settled")
def test_one_case_is_taken_away_with_its_proofs_and_that_is_on_record(
    network: RunningNetwork, auditor: SignedIn, case: Answer
) -> None:
    file = auditor.post(f"/replay/of/{case.number}/export", page=f"/replay/of/{case.number}")
    assert file.headers["content-disposition"] == f'attachment; filename="{case.number}.json"'
    told = file.json()
    assert told["number"] == case.number
    assert len(told["receipts"]) >= 3
    assert "文京" not in file.text
    assert ("export", case.id) in looks_on_record(network)


@pytest.mark.usefixtures("settled")
def test_the_signed_head_is_saved_as_it_was_signed(auditor: SignedIn) -> None:
    eventually(
        lambda: auditor.get("/replay/checkpoint.txt").status_code == 200, 15, "a signed head"
    )
    note = auditor.get("/replay/checkpoint.txt")
    assert note.headers["content-disposition"].startswith('attachment; filename="checkpoint-')
    assert "\n\n— " in note.text


@pytest.mark.parametrize("agency", ["hub-motofuji", "ward-office"])
def test_whoever_sees_not_every_case_replays_none(
    person: Person, case: Answer, agency: str
) -> None:
    somebody = person(agency)
    for path in ("/replay", f"/replay/of/{case.number}", "/replay/ward", "/replay/verify"):
        assert somebody.get(path).status_code == 403
    fields = hidden_of(somebody.get("/account").text)
    assert somebody.http.post(f"/replay/of/{case.number}/export", data=fields).status_code == 403
