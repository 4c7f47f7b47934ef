"""The counter by the inside door: the console asks for people of an agency whom it has signed in."""

import asyncio
import json
import uuid
from collections.abc import Callable

import nats
import pytest

from schemas import queries as q
from schemas import subjects
from tests.network import RunningNetwork, eventually
from tests.partners import Answer, Partner, a_referral

WARD = "131059"
SUBJECT = subjects.query(WARD, "intake", "call")
HUB, ANSHIN, CORE, AUDITOR = "hub-motofuji", "anshin-motofuji", "core", "auditor"

Call = Callable[..., q.CounterSaid]


async def said(network: RunningNetwork, *asked: bytes) -> list[q.CounterSaid]:
    """What was answered to each, all asked at once."""
    client = await nats.connect(**network.nats())
    try:
        replies = await asyncio.gather(*(client.request(SUBJECT, a, timeout=20) for a in asked))
        return [q.CounterSaid.from_json(reply.data) for reply in replies]
    finally:
        await client.close()


@pytest.fixture
def call(network: RunningNetwork) -> Call:
    def of(agency: str, name: str, **more: object) -> q.CounterSaid:
        asked = q.CallCounter.model_validate({"agency": agency, "call": name, **more})
        (answer,) = asyncio.run(said(network, asked.to_json()))
        return answer

    return of


def code(answer: q.CounterSaid) -> str:
    assert answer.status >= 400
    assert answer.media_type == "application/problem+json"
    return str(json.loads(answer.body)["code"])


def test_a_referral_posted_and_accepted_inside_is_what_partners_read(
    call: Call, partner: Callable[[str], Partner]
) -> None:
    body = json.dumps(a_referral().body)
    posted = call(ANSHIN, "submit_referral", body=body, key=str(uuid.uuid4()))
    assert posted.status == 201
    referral = json.loads(posted.body)
    (handoff,) = (h["id"] for h in referral["handoffs"])
    accepted = call(HUB, "accept_handoff", ref=handoff, body="{}", key=str(uuid.uuid4()))
    assert accepted.status == 200
    assert partner(ANSHIN).reads(referral["number"]).body["custodian"] == HUB
    opened = call(HUB, "read_referral", ref=referral["number"])
    assert json.loads(opened.body) == partner(HUB).reads(referral["number"]).body
    assert json.loads(opened.body)["opened"] is True
    listed = call(HUB, "list_referrals", query={"limit": "1"})
    assert json.loads(listed.body)["items"][0]["number"] == referral["number"]


def test_the_same_key_by_http_and_inside_is_one_request(
    call: Call, partner: Callable[[str], Partner]
) -> None:
    referral, key = a_referral(), str(uuid.uuid4())
    by_http: Answer = partner(ANSHIN).posts(referral, key=key)
    inside = call(ANSHIN, "submit_referral", body=json.dumps(referral.body), key=key)
    assert (inside.status, json.loads(inside.body)) == (201, by_http.body)


def test_what_need_not_be_awaited_says_where_its_answer_will_be(call: Call) -> None:
    body = json.dumps(a_referral().body)
    pending = call(ANSHIN, "submit_referral", body=body, key=str(uuid.uuid4()), wait=False)
    assert pending.status == 202
    request = json.loads(pending.body)["request"]
    assert pending.location == f"/v1/requests/{request}"
    eventually(lambda: call(ANSHIN, "read_request", ref=request).status == 201, 20, "decided")


def test_a_referral_can_be_checked_from_inside_and_nothing_happens(
    call: Call, network: RunningNetwork
) -> None:
    before = network.journal_head()
    checked = call(ANSHIN, "check_referral", body=json.dumps(a_referral().body))
    assert checked.status == 200
    assert json.loads(checked.body)["district"]["id"] == "motofuji"
    assert network.journal_head() == before


def test_people_may_do_what_their_agency_may_and_no_more(
    call: Call, partner: Callable[[str], Partner]
) -> None:
    number = partner(ANSHIN).posts(a_referral()).number
    ruling = {"ref": number, "body": '{"district":"motofuji"}'}
    assert code(call(HUB, "rule_district", **ruling)) == "insufficient_scope"
    assert code(call(AUDITOR, "submit_referral", body="{}")) == "insufficient_scope"
    assert code(call(CORE, "rule_district", **ruling)) == "not_awaiting_ruling"
    assert code(call("nobody-we-know", "read_inbox")) == "unauthenticated"
    assert code(call("sample-hospital", "read_referral", ref=number)) == "not_involved"


def test_what_is_not_a_call_gets_a_problem_and_repeats_nothing(
    call: Call, network: RunningNetwork
) -> None:
    assert code(call(HUB, "delete_everything")) == "not_found"
    assert code(call(HUB, "read_referral")) == "not_found"
    assert code(call(HUB, "read_inbox", ref="x")) == "not_found"
    assert code(call(HUB, "submit_referral", body="{", key="k")) == "invalid_request"
    assert code(call(HUB, "submit_referral", body="{}")) == "invalid_request"
    secret = "見本太郎の住所"
    large = call(
        HUB, "add_note", ref="x", body=json.dumps({"text": secret * 60_000}, ensure_ascii=False)
    )
    assert code(large) == "too_large"
    for garbage in (
        b"",
        b"{}",
        b"\xff",
        b'{"agency":"HUB"}',
        json.dumps({"agency": secret}).encode(),
    ):
        (answer,) = asyncio.run(said(network, garbage))
        assert code(answer) == "invalid_request"
        assert secret not in answer.body
    assert secret not in network.logs()


def test_many_people_at_once_are_all_answered(network: RunningNetwork) -> None:
    asked = q.CallCounter(agency=HUB, call="read_directory").to_json()
    answers = asyncio.run(said(network, *[asked] * 60))
    assert {answer.status for answer in answers} == {200}


def test_calls_from_inside_are_counted_with_all_others(call: Call, network: RunningNetwork) -> None:
    def counted() -> float:
        page = network.partner(CORE).http.get("/metrics").text
        line = 'tsunagu_requests_total{call="read_test",status="403"}'
        return sum(float(row.split()[-1]) for row in page.splitlines() if row.startswith(line))

    before = counted()
    call(HUB, "read_test", ref=str(uuid.uuid4()))
    assert counted() == before + 1


def test_no_other_service_may_ask_in_an_agencys_name(network: RunningNetwork) -> None:
    async def asks(login: str) -> None:
        asked = q.CallCounter(agency=CORE, call="read_inbox").to_json()
        client = await nats.connect(**network.nats(login), error_cb=_nothing)
        try:
            await client.request(SUBJECT, asked, timeout=1)
        finally:
            await client.close()

    async def _nothing(_: Exception) -> None:
        return

    for login in ("intake", "referral", "delivery", "audit"):
        with pytest.raises(TimeoutError):
            asyncio.run(asks(login))
