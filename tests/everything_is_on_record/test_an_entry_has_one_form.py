from typing import Any

import pytest

from runtime.canonical import canonical_json, parse_canonical
from services.audit.entry import LARGEST_ENTRY, EntryError, make_entry, read_entry
from services.audit.merkle import leaf_hash
from tests.everything_is_on_record.a_ledger import a_journal_entry, an_entry, an_id

GOOD = an_entry()
PREV = leaf_hash(GOOD).hex()


def altered(**fields: Any) -> bytes:
    return canonical_json(parse_canonical(GOOD) | fields)


def without(name: str) -> bytes:
    value = parse_canonical(GOOD)
    del value[name]
    return canonical_json(value)


BROKEN = {
    "nothing": b"",
    "not an object": b"[]",
    "not UTF-8": GOOD.replace(b"hub-motofuji", b"hub-\xff"),
    "a space": GOOD.replace(b'"v":1', b'"v": 1'),
    "two entries": GOOD + GOOD,
    "a line end": GOOD + b"\n",
    "a duplicate field": GOOD.replace(b'"v":1', b'"v":1,"v":1'),
    "a duplicate field in the event": GOOD.replace(b'"event":{', b'"event":{"sealed":{},'),
    "fields of the event out of order": GOOD.replace(b'"event":{', b'"event":{"zz":1,'),
    "a float in the event": altered().replace(b'"event":{', b'"event":{"a":1.5,'),
    "an event without a type": altered(event={"to": "hub-komagome"}),
    "an event of no type": altered(event={"type": ""}),
    "an event that is a list": altered(event=[]),
    "a foreign field at the front": altered(aaa=1),
    "a foreign field at the end": altered(zzz=1),
    "a missing actor": without("actor"),
    "a missing ward": without("ward"),
    "a missing prev": without("prev"),
    "an empty actor": altered(actor=""),
    "an actor that is null": altered(actor=None),
    "a quote in the actor": altered(actor='hub"'),
    "concerns that are a string": altered(concerns="hub"),
    "a concern that is a number": altered(concerns=[1]),
    "number nought": altered(number=0),
    "a number below nought": altered(number=-1),
    "a number that is text": altered(number="1"),
    "version nought": altered(version=0),
    "an id in capitals": altered(id=an_id("event").upper()),
    "local time": altered(occurred_at="2026-09-01T10:20:30+09:00"),
    "a date for a time": altered(occurred_at="2026-09-01"),
    "a version of the format to come": altered(v=2),
    "a short prev": altered(prev="ab"),
    "a prev without a referral": altered(referral=None, version=None, prev=PREV),
    "a version without a referral": altered(referral=None),
    "too long": altered(event={"type": "x" * LARGEST_ENTRY}),
    "an abyss": GOOD.replace(b'"event":{', b'"event":' + b'{"a":' * 10_000),
}


def test_an_entry_says_what_the_journal_said() -> None:
    entry = read_entry(an_entry(PREV, number=7, version=3, concerns=["hub-motofuji", "病院"]))
    assert entry.event == a_journal_entry()["event"]
    assert (entry.number, entry.version, entry.prev) == (7, 3, PREV)
    assert (entry.id, entry.referral) == (an_id("event"), an_id("referral"))
    assert (entry.concerns, entry.ward) == ('["hub-motofuji","病院"]', "131059")
    assert entry.received_at > entry.occurred_at


def test_an_entry_is_the_canonical_form_of_all_its_fields() -> None:
    added = {"received_at": "2026-09-01T01:20:30.223456Z", "prev": None}
    assert parse_canonical(GOOD) == a_journal_entry() | added


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"referral": None, "version": None}, id="no referral"),
        pytest.param({"version": None}, id="a referral, but no step of it"),
        pytest.param({"concerns": []}, id="no one else concerned"),
        pytest.param({"event": {"type": "note", "text": '空白 "引用" \n'}}, id="text to escape"),
        pytest.param({"event": {"type": "x" * 64_000}}, id="almost too long"),
    ],
)
def test_the_field_has_many_entries(fields: dict[str, Any]) -> None:
    assert read_entry(an_entry(**fields)).event == a_journal_entry(**fields)["event"]


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_broken_entry_is_refused(body: bytes) -> None:
    with pytest.raises(EntryError):
        read_entry(body)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"event": {"type": "x", "score": 0.5}}, id="a float"),
        pytest.param({"event": {"type": "x" * 66_000}}, id="too long"),
        pytest.param({"referral": None}, id="a version without a referral"),
        pytest.param({"surprise": 1}, id="a foreign field"),
    ],
)
def test_what_an_auditor_could_not_read_is_not_made(fields: dict[str, Any]) -> None:
    with pytest.raises(EntryError):
        make_entry(a_journal_entry(**fields), received_at="2026-09-01T01:20:31Z", prev=None)
