"""The ward's pages as they run: who sees what of them, and what they say while something is down."""

import csv
import io
import json
from datetime import datetime

import pytest

from schemas.outside import JAPAN
from tests.network import RunningNetwork, eventually
from tests.partners import Answer, a_referral
from tests.people_look_at_it.conftest import Person

ANSHIN = "anshin-motofuji"


@pytest.fixture(scope="module")
def waiting(network: RunningNetwork) -> Answer:
    sent = network.partner(ANSHIN).posts(a_referral().having(urgency="routine"))
    network.partner(ANSHIN).posts(
        a_referral().having(urgency="routine").by_address("文京区向丘一丁目")
    )
    return sent


@pytest.mark.usefixtures("waiting")
def test_the_core_centre_sees_who_is_open_who_waits_and_where_to_rule(
    person: Person, waiting: Answer
) -> None:
    page = person("core").get("/ward").text
    for words in (
        "本富士地区",
        "待っている",
        "境界が決まっていないところ",
        "基幹 夜間休日当番",
        "24時間",
    ):
        assert words in page
    assert waiting.number in page


@pytest.mark.usefixtures("waiting")
def test_the_ward_office_sees_no_case_and_staff_only_hours_and_counts(
    person: Person, waiting: Answer
) -> None:
    office = person("ward-office").get("/ward").text
    assert "境界が決まっていないところ" in office
    assert waiting.number not in office
    staff = person("hub-komagome").get("/ward").text
    assert "本富士地区" in staff
    assert "機関ごとの件数" in staff
    assert waiting.number not in staff
    assert "境界が決まっていないところ" not in staff
    assert person("hub-komagome").get("/ward/month").status_code == 403


def this_month() -> str:
    today = datetime.now(JAPAN)
    return f"year={today.year}&month={today.month}"


@pytest.mark.usefixtures("waiting")
def test_the_month_is_shown_saved_and_looked_at_on_record(
    network: RunningNetwork, person: Person
) -> None:
    office = person("ward-office")

    def submitted() -> int:
        sheet = office.get(f"/ward/month.csv?{this_month()}")
        lines = csv.reader(io.StringIO(sheet.content.decode("utf-8-sig"), newline=""))
        return next((int(line[7]) for line in lines if line[3] == "submitted"), 0)

    eventually(lambda: submitted() >= 2, 15, "both cases are counted")
    page = office.get(f"/ward/month?{this_month()}")
    assert page.status_code == 200
    for words in ("拠点別・機能別", "途中", "少数を伏せる", "数えていないもの"):
        assert words in page.text
    hidden = office.get(f"/ward/month?{this_month()}&few=hidden").text
    assert "秘匿" in hidden
    rows = network.rows("console", "SELECT body FROM journal WHERE type = 'ledger_looked_at'")
    assert [json.loads(row.body)["event"]["what"] for row in rows].count("month") >= 3


def test_no_month_at_all_is_last_month_and_nonsense_is_told(person: Person) -> None:
    core = person("core")
    plain = core.get("/ward/month")
    assert plain.status_code == 200
    assert "その年月はありません" not in plain.text
    for query in (
        "year=2026&month=13",
        "year=1&month=1",
        "year=２０２６&month=1",
        "month=x",
        "year=99999&month=1",
    ):
        assert "その年月はありません" in core.get(f"/ward/month?{query}").text


def test_while_audit_is_down_people_are_told_and_the_rest_goes_on(
    network: RunningNetwork, person: Person
) -> None:
    core = person("core")
    with network.down("audit"):
        for path in ("/replay/ward", "/replay/verify", f"/ward/month?{this_month()}"):
            page = core.get(path)
            assert page.status_code == 503, path
            assert "ふだんどおり続いて" in page.text
            assert page.headers["retry-after"] == "5"
        assert core.get("/ward").status_code == 200
        assert network.partner(ANSHIN).posts(a_referral()).status == 201
    network.await_ready()


def test_while_the_referral_service_is_down_the_hours_are_shown_all_the_same(
    network: RunningNetwork, person: Person
) -> None:
    core = person("core")
    with network.down("referral"):
        page = core.get("/ward")
        assert page.status_code == 200
        assert "件数はいま確かめられません" in page.text
        assert "本富士地区" in page.text
    network.await_ready()
