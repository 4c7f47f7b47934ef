"""個人番号 (My Number) is refused wherever it is written, by place, and repeated nowhere."""

import copy
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.network import RunningNetwork
from tests.partners import Partner, a_referral

Agency = Callable[[str], Partner]
NUMBER = "123456789018"  # its check digit is right
SPELLINGS = {
    "plain": NUMBER,
    "in a sentence": f"番号は{NUMBER}です",
    "full-width": "１２３４５６７８９０１８",
    "in groups of four": "1234-5678-9018",
    "full-width in groups": "１２３４－５６７８－９０１８",
    "with spaces": "1234 5678 9018",
    "with long vowel marks": "1234ー5678ー9018",
    "with wide spaces": "1234\u30005678\u30009018",
    "digit by digit": "1 2 3 4 5 6 7 8 9 0 1 8",
    "beside other digits": f"03-3868-3033、{NUMBER}",
}
FULL: dict[str, Any] = {
    **a_referral().body,
    "staff": "山田",
    "complaint": "家にいたい。",
    "risks": "転倒。",
    "sender_reference": "OUR-1",
    "topics": ["housing"],
    "to": {"agency": "hub-motofuji"},
    "person": {
        "name": "文京 太郎", "kana": "ブンキョウ", "age_band": "40代", "phone": "03-0000-0000",
        "communication": "筆談", "birth_date": "1980-04-01", "preferred_contact": "phone",
        "emergency_contacts": [{"name": "花子", "relation": "姉", "phone": "03-1"}],
    },
    "needs": {
        "handbooks": [{"kind": "愛の手帳", "grade": "3度"}], "care_level": "2", "doctor": "東大病院",
        "current_services": [{"code": "24", "provider_number": "1310500000"}],
    },
    "consent": {
        "basis": "SW106-6", "why": "危険", "danger": "生命", "decided_by": "会議", "meeting": "M-1",
        "items": ["住所"],
    },
}  # fmt: skip


def _leaves(value: Any, pointer: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{pointer}/{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{pointer}/{index}")
    else:
        yield pointer


def _with(pointer: str, written: Any) -> Any:
    body = copy.deepcopy(FULL)
    at: Any = body
    *steps, last = pointer[1:].split("/")
    for step in steps:
        at = at[int(step) if isinstance(at, list) else step]
    at[int(last) if isinstance(at, list) else last] = written
    return body


def test_the_body_that_is_tried_in_every_field_is_right_otherwise(partner: Agency) -> None:
    assert partner("anshin-motofuji").post("/v1/referrals", FULL).status == 201


@pytest.mark.parametrize("pointer", list(_leaves(FULL)))
def test_it_is_refused_in_every_field_in_every_spelling(partner: Agency, pointer: str) -> None:
    sender = partner("anshin-motofuji")
    for written in (*SPELLINGS.values(), int(NUMBER)):
        refused = sender.post("/v1/referrals", _with(pointer, written))
        assert (refused.status, refused.code) == (422, "my_number_refused"), written
        assert refused.pointers == [pointer]
        assert NUMBER not in refused.raw.decode()
        if isinstance(written, str):
            assert written not in refused.raw.decode()


def test_it_is_refused_in_fields_and_keys_that_nobody_knows(partner: Agency) -> None:
    sender = partner("anshin-motofuji")
    for more in (
        {"my_number": NUMBER},
        {"x": {"y": [{"z": NUMBER}]}},
        {NUMBER: 1},
        {"x": {SPELLINGS["full-width"]: "y"}},
        {"person": {**FULL["person"], "個人番号": NUMBER}},
    ):
        refused = sender.post("/v1/referrals", {**FULL, **more})
        assert refused.code == "my_number_refused", more
        assert NUMBER not in refused.raw.decode()
        assert SPELLINGS["full-width"] not in refused.raw.decode()


def test_it_is_refused_though_written_with_escapes(partner: Agency) -> None:
    escaped = "".join(f"\\u{ord(character):04x}" for character in NUMBER)
    body = json.dumps(FULL).replace("OUR-1", escaped).encode()
    refused = partner("anshin-motofuji").post_bytes("/v1/referrals", body)
    assert (refused.code, refused.pointers) == ("my_number_refused", ["/sender_reference"])


def test_it_is_refused_beside_every_other_call(partner: Agency) -> None:
    sender, hub = partner("anshin-motofuji"), partner("hub-motofuji")
    sent = sender.posts(a_referral())
    words = SPELLINGS["in groups of four"]
    for refused, pointer in (
        (sender.notes(sent.id, words), "/text"),
        (sender.offers(sent.id, "sample-home", note=words), "/note"),
        (hub.accepts(sent.handoff(), text=words), "/text"),
        (hub.declines(sent.handoff(), text=words), "/text"),
        (sender.withdraws(sent.handoff(), text=words), "/text"),
        (hub.completes(sent.handoff(), text=words), "/text"),
        (partner("core").rules(sent.id, "otsuka", text=words), "/text"),
        (hub.escalates(sent.id, text=words), "/text"),
        (sender.closes(sent.id, text=words), "/text"),
        (sender.cancels(sent.id, text=words), "/text"),
        (sender.reopens(sent.id, text=words), "/text"),
    ):
        assert (refused.code, refused.pointers) == ("my_number_refused", [pointer])
        assert words not in refused.raw.decode()


def test_it_is_refused_as_an_idempotency_key(partner: Agency) -> None:
    refused = partner("anshin-motofuji").posts(a_referral(), key=f"our {NUMBER}")
    assert refused.code == "my_number_refused"
    assert NUMBER not in refused.raw.decode()


def test_numbers_that_are_none_pass(partner: Agency) -> None:
    sender = partner("anshin-motofuji")
    for text in (
        "123456789012",  # the check digit is wrong
        "12345678901",
        "1234567890180",
        "電話 03-3868-3033 FAX 03-3868-3039",
        "131059-2026-000001",
        "00001234-5678-9018-0000-000000000000",  # a UUID
    ):
        assert sender.posts(a_referral().having(summary=text)).status == 201, text
    for _ in range(300):
        # One random UUID in 400 holds such a run of digits by chance.
        key = str(uuid.UUID(int=uuid.uuid4().int & ~(0xFFFF << 80) | 0x9018 << 80))
        assert sender.get("/v1/inbox", limit=1).status == 200
        refused = sender.post_bytes("/v1/referrals", b"[]", key=key)
        assert refused.code == "invalid_request"


def test_no_log_and_no_metric_repeats_it(network: RunningNetwork) -> None:
    page = network.partner("core").get("/metrics").raw.decode()
    for spelling in SPELLINGS.values():
        assert spelling not in network.logs()
        assert spelling not in page
