"""What was recorded is told in the same words for ever: the heads that agencies keep are hashes of it."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from schemas.deliveries import DELIVERY_EVENT_TYPES
from schemas.events import EVENT_TYPES
from schemas.journal import read_entry
from schemas.outside import cloud_event
from services.delivery.proof import event_hash
from tests.contracts.samples import samples

KEPT = Path(__file__).with_name("stored_events.jsonl")
"""Entries as they lie in journals, each with the hash of what agencies are given of it. Lines are added
for new types and new fields; a line that is here never changes."""
STORED: list[dict[str, Any]] = [json.loads(line) for line in KEPT.read_text("utf-8").splitlines()]
TYPES = {kind.model_fields["type"].default: kind for kind in (*EVENT_TYPES, *DELIVERY_EVENT_TYPES)}


def hash_of(body: str) -> str:
    return event_hash(cloud_event(read_entry(body))).hex()


@pytest.mark.parametrize("one", STORED, ids=lambda one: json.loads(one["body"])["event"]["type"])
def test_an_event_of_any_release_has_the_hash_that_it_always_had(one: dict[str, Any]) -> None:
    assert hash_of(one["body"]) == one["hash"]


def test_there_is_an_event_of_every_type_among_them() -> None:
    missing = set(TYPES) - {json.loads(one["body"])["event"]["type"] for one in STORED}
    lines = [line_of(kind) for kind in sorted(missing)]
    assert not missing, f"add to {KEPT.name}:\n" + "\n".join(lines)


@pytest.mark.parametrize("one", STORED, ids=lambda one: json.loads(one["body"])["event"]["type"])
def test_a_field_that_is_added_later_is_not_said_of_events_before_it(one: dict[str, Any]) -> None:
    stored = json.loads(one["body"])
    event = stored["event"]
    for name, field in TYPES[event["type"]].model_fields.items():
        if not field.is_required() and name != "type":
            event.pop(name, None)
    told = cloud_event(read_entry(json.dumps(stored)))["data"]
    place = {"version": stored["version"]} if stored["version"] is not None else {}
    assert told == {**place, "actor": stored["actor"], **event}


def line_of(kind: str) -> str:
    """From the good example of this type."""
    raw = next(raw for _, message, raw in samples("good") if message.model is TYPES[kind])
    of_a_referral = TYPES[kind] in EVENT_TYPES
    entry = {
        "v": 1,
        "ward": "131059",
        "producer": "referral" if of_a_referral else "delivery",
        "number": 7,
        "id": str(UUID(int=7)),
        "referral": str(UUID(int=8)) if of_a_referral else None,
        "version": 3 if of_a_referral else None,
        "occurred_at": "2026-11-20T07:50:00Z",
        "actor": "hub-motofuji",
        "command": str(UUID(int=9)),
        "concerns": ["core", "hub-motofuji"],
        "event": json.loads(raw),
    }
    body = read_entry(json.dumps(entry)).to_json().decode()
    return json.dumps({"body": body, "hash": hash_of(body)}, ensure_ascii=False)
