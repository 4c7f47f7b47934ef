"""Good examples are read, broken ones are refused, by the types and by the published JSON Schema alike."""

import json
from datetime import datetime
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]
from pydantic import ValidationError

from schemas.base import Said
from schemas.commands import Command
from schemas.journal import JournalEntry
from schemas.publishing.json_schema import message_schema
from schemas.publishing.messages import SENT, Message, reader
from services.publish import ALL_MESSAGES
from tests.contracts.samples import Sample, names, samples, value

GOOD, BROKEN = samples("good"), samples("broken")

# Rules between fields, and blanks that are stripped first: JSON Schema as pydantic writes it has
# no words for them.
NOT_IN_JSON_SCHEMA = {
    "referral_submission__address_none_with_text",
    "referral_submission__address_text_missing",
    "referral_submission__summary_blank",
    "referral_submission__to_both",
    "referral_submission__to_nobody",
}
# Writers always say the version; a reader supplies one that is missing.
READ_LENIENTLY = {
    "command__no_version",
    "journal_entry__no_version",
}

formats = FormatChecker()


@formats.checks("date-time", raises=ValueError)  # type: ignore[untyped-decorator]
def _has_its_offset(text: object) -> bool:
    return not isinstance(text, str) or datetime.fromisoformat(text).tzinfo is not None


@cache
def validator(message: Message) -> Draft202012Validator:
    schema = message_schema(message)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=formats)


def reads(message: Message, raw: bytes) -> bool:
    try:
        reader(message).validate_json(raw)
    except ValidationError:
        return False
    return True


def valid(message: Message, raw: bytes) -> bool:
    return bool(validator(message).is_valid(value(raw)))


@pytest.mark.parametrize("sample", GOOD, ids=names(GOOD))
def test_a_good_example_is_read_and_valid(sample: Sample) -> None:
    _, message, raw = sample
    reader(message).validate_json(raw)
    validator(message).validate(value(raw))


@pytest.mark.parametrize("sample", BROKEN, ids=names(BROKEN))
def test_a_broken_example_is_refused(sample: Sample) -> None:
    name, message, raw = sample
    assert reads(message, raw) is (name in READ_LENIENTLY)
    assert valid(message, raw) is (name in NOT_IN_JSON_SCHEMA)


def test_every_exception_is_a_broken_example() -> None:
    assert set(names(BROKEN)) >= NOT_IN_JSON_SCHEMA | READ_LENIENTLY


def test_every_message_has_a_good_example() -> None:
    shown = {message.name for _, message, _ in GOOD}
    assert {message.name for message in ALL_MESSAGES} == shown


def test_every_body_that_can_be_wrong_has_a_broken_example() -> None:
    shown = {message.name for _, message, _ in BROKEN}
    assert {Message(model).name for model in SENT} <= shown
    assert {Message(Command).name, Message(JournalEntry).name} <= shown


def test_what_is_written_is_valid_for_whoever_reads() -> None:
    for name, message, raw in GOOD:
        if issubclass(message.model, Said):
            written = message.model.from_json(raw).to_json()
            assert valid(message, written), name


def test_what_may_be_null_may_be_left_out() -> None:
    # ``to_json`` leaves nulls out; a field that may be null and must be there could not be read back.
    for message in (m for m in ALL_MESSAGES if issubclass(m.model, Said)):
        schema = message_schema(message)
        parts = {message.name: schema, **schema.get("$defs", {})}
        for name, part in parts.items():
            for field in part.get("required", ()):
                assert "null" not in str(part["properties"][field].get("anyOf")), f"{name}.{field}"


@pytest.mark.parametrize("sample", GOOD, ids=names(GOOD))
def test_an_unknown_field_is_ignored_on_the_bus_and_refused_at_the_door(sample: Sample) -> None:
    _, message, raw = sample
    more: dict[str, Any] = {**value(raw), "said_by_a_newer_version": {"a": [1]}}
    if message.model in SENT:
        with pytest.raises(ValidationError, match="said_by_a_newer_version"):
            reader(message).validate_python(more)
        assert not validator(message).is_valid(more)
    else:
        assert reader(message).validate_json(json.dumps(more)) == reader(message).validate_json(raw)
        validator(message).validate(more)


def test_persons_in_examples_are_plainly_samples() -> None:
    for kind in (GOOD, BROKEN):
        for name, message, raw in kind:
            if message.name in ("referral_submission", "referral_given"):
                person = value(raw).get("person", {})
                assert "見本" in person.get("name", "見本"), name
