"""Bad input gets a stable code, the place of the mistake, and never its own value back."""

import json
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.network import RunningNetwork
from tests.partners import AReferral, Partner, a_referral

Agency = Callable[[str], Partner]
SECRET = "ひみつの値"
ASCII_SECRET = "secret-value-8812"
INVALID = "invalid_request"
LARGEST = 1_048_576


def _person(**fields: object) -> AReferral:
    return a_referral().having(person={**a_referral().body["person"], **fields})


WRONG: dict[str, tuple[AReferral, str, str]] = {
    "no summary": (a_referral().without("summary"), INVALID, "/summary"),
    "an empty summary": (a_referral().having(summary="  "), INVALID, "/summary"),
    "no consent": (a_referral().without("consent"), INVALID, "/consent"),
    "an unknown field": (a_referral().having(adress=SECRET), INVALID, "/adress"),
    "an unknown field inside": (_person(nmae=SECRET), INVALID, "/person/nmae"),
    "a number for a name": (_person(name=881200991), INVALID, "/person/name"),
    "a list for a name": (_person(name=[SECRET]), INVALID, "/person/name"),
    "an object for a summary": (a_referral().having(summary={"a": SECRET}), INVALID, "/summary"),
    "a date that does not exist": (_person(birth_date="1980-02-30"), INVALID, "/person/birth_date"),
    "a text for a date": (_person(birth_date=SECRET), INVALID, "/person/birth_date"),
    "a number for a date": (_person(birth_date=881200991), INVALID, "/person/birth_date"),
    "an unknown urgency": (a_referral().having(urgency=ASCII_SECRET), INVALID, "/urgency"),
    "an unknown function": (a_referral().having(function=ASCII_SECRET), INVALID, "/function"),
    "an unknown action": (a_referral().having(requested_action=ASCII_SECRET), INVALID, "/requested_action"),
    "an unknown topic": (a_referral().having(topics=["housing", ASCII_SECRET]), INVALID, "/topics/1"),
    "a time without offset": (a_referral().having(requested_by="2026-11-22T09:00:00"), INVALID, "/requested_by"),
    "a basis nobody knows": (a_referral().having(consent={"basis": "C9"}), INVALID, "/consent/basis"),
    "a basis without its reasons": (a_referral().having(consent={"basis": "E27-1-2"}), INVALID, "/consent/why"),
    "no personal data, and a person": (a_referral().having(consent={"basis": "N"}), INVALID, "/person"),
    "two receivers": (a_referral().having(to={"agency": "core", "district": "otsuka"}), INVALID, "/to"),
    "no receiver at all": (a_referral().having(to={}), INVALID, "/to"),
    "a district elsewhere": (a_referral().to_district("otsuka"), INVALID, "/to/district"),
    "a district of no ward": (a_referral().without("address").to_district("mars"), INVALID, "/to/district"),
    "no address where one is promised": (a_referral().having(address={"kind": "registered"}), INVALID, "/address"),
    "an address in another ward": (a_referral().by_address("豊島区南大塚二丁目1番1号"), "out_of_ward", "/address/text"),
    "no such chome": (a_referral().by_address("文京区本郷9丁目1番1号"), "address_unreadable", "/address/text"),
    "an address that is none": (a_referral().by_address(SECRET), "address_unreadable", "/address/text"),
    "no such category": (a_referral().having(needs={"support_category": 7}), INVALID, "/needs/support_category"),
    "a very long name": (_person(name="名" * 201), INVALID, "/person/name"),
    "an agency nobody knows": (a_referral().to("hub-" + ASCII_SECRET), "unknown_agency", "/to/agency"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_mistake_is_named_by_code_and_place_and_its_value_is_not_repeated(
    partner: Agency, what: str
) -> None:
    referral, code, pointer = WRONG[what]
    refused = partner("anshin-motofuji").posts(referral)
    assert (refused.status, refused.code) == (422, code)
    assert pointer in refused.pointers
    assert refused.headers["content-type"] == "application/problem+json"
    for value in (SECRET, ASCII_SECRET, "881200991", "豊島区", "9丁目", "1980-02-30"):
        assert value not in refused.raw.decode()
    assert all(error["detail"] for error in refused.body["errors"])


def test_every_mistake_is_told_at_once(partner: Agency) -> None:
    wrong = a_referral().without("summary", "consent").having(urgency=1, extra=2)
    assert {"/summary", "/consent", "/urgency", "/extra"} <= set(
        partner("ward-office").posts(wrong).pointers
    )


BYTES = {
    "nothing": b"",
    "half an object": b'{"function": "emergency",',
    "not JSON": b"function=emergency",
    "not UTF-8": b'{"summary": "\xff\xfe"}',
    "Shift_JIS": '{"summary": "母が入院"}'.encode("shift_jis"),
    "a list": b"[]",
    "a text": b'"referral"',
    "null": b"null",
    "NaN": b'{"summary": NaN}',
    "Infinity": b'{"needs": {"support_category": Infinity}}',
    "1e999": b'{"needs": {"support_category": 1e999}}',
    "a lone surrogate": b'{"summary": "\\ud800"}',
    "a lone surrogate as a key": b'{"\\udfff": 1}',
    "an escaped NUL as a key": b'{"\\u0000": 1}',
    "NUL bytes": b"\x00" * 64,
    "a number of 5,000 digits": b'{"summary": ' + b"7" * 5_000 + b"}",
    "nested lists, 100,000 deep": b"[" * 100_000,
    "nested lists in a field": b'{"summary": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "nested objects": b'{"person": ' * 5_000 + b"1" + b"}" * 5_000,
    "nested under the parser's limit": b'{"summary": ' + b"[" * 150 + b"]" * 150 + b"}",
    "two objects": json.dumps(a_referral().body).encode() * 2,
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(a_referral().body).encode(),
}


@pytest.mark.parametrize("what", BYTES)
def test_bytes_that_are_no_referral_are_refused(partner: Agency, what: str) -> None:
    sender = partner("anshin-motofuji")
    refused = sender.post_bytes("/v1/referrals", BYTES[what])
    assert (refused.status, refused.code) == (422, "invalid_request")
    assert len(refused.raw) < 20_000
    if what != "nothing":
        noted = sender.post_bytes("/v1/referrals/131059-2026-000001/notes", BYTES[what])
        assert (noted.status, noted.code) == (422, "invalid_request")


def test_a_name_with_unusual_characters_is_kept_as_it_is(partner: Agency) -> None:
    sender = partner("anshin-motofuji")
    for name in ("髙橋 𠮷", "渡邉󠄁", "e\u0301", "a\u0000b", "👨‍👩‍👧", "'; DROP TABLE referrals; --"):
        sent = sender.posts(_person(name=name))
        assert sent.status == 201, name
        assert sender.reads(sent.id).body["person"]["name"] == name


def test_a_body_just_small_enough_is_read(partner: Agency) -> None:
    padding = b" " * (LARGEST - len(json.dumps(a_referral().body)))
    body = json.dumps(a_referral().body).encode() + padding
    assert partner("ward-office").post_bytes("/v1/referrals", body).status == 201


def test_a_body_that_is_too_large_is_refused_whether_or_not_it_says_so(
    partner: Agency, network: RunningNetwork
) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(32):
            yield b" " * 65_536

    for content in (b" " * 2 * LARGEST, chunks()):
        with network.new_partner("ward-office").http as http:
            refused = http.post("/v1/referrals", content=content, headers={"Idempotency-Key": "x"})
        assert (refused.status_code, refused.json()["code"]) == (413, "too_large")


def test_a_body_that_claims_to_be_large_is_refused_before_it_is_sent(
    partner: Agency, network: RunningNetwork
) -> None:
    key = partner("ward-office").key
    head = (
        f"POST /v1/referrals HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        f"Idempotency-Key: k\r\nContent-Length: {10**12}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", network.settings.port), timeout=5) as connection:
        connection.sendall(head.encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/", 404, "not_found"),
        ("GET", "/v1/../keys.toml", 404, "not_found"),
        ("PUT", "/v1/referrals", 405, "method_not_allowed"),
        ("DELETE", "/v1/referrals/131059-2026-000001", 405, "method_not_allowed"),
        ("GET", "/v1/requests/xyz", 403, "not_involved"),
        ("GET", "/v1/referrals/%00", 403, "not_involved"),
        ("GET", "/v1/referrals/%ff%fe", 403, "not_involved"),
    ],
)
def test_places_that_do_not_exist_answer_in_the_same_form(
    partner: Agency, method: str, path: str, status: int, code: str
) -> None:
    answer = partner("ward-office").http.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def test_nothing_that_was_refused_left_a_trace_in_the_logs(network: RunningNetwork) -> None:
    logs = network.logs()
    assert "request_failed" not in logs
    assert SECRET not in logs
    assert ASCII_SECRET not in logs
