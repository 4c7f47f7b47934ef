"""What is published is what the code says."""

import json
from pathlib import Path
from typing import Any

import pytest
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema

from schemas import subjects
from schemas.commands import ACTION_TYPES
from schemas.events import EVENT_TYPES
from schemas.publishing.messages import ACTIONS, INTERNAL, reader, says
from services import publish
from tests.contracts.samples import BY_NAME

PUBLISHED = publish.files()


def published(name: str) -> Any:
    return json.loads(PUBLISHED[name])


def test_the_published_files_are_current() -> None:
    assert publish.differences() == [], "run: python -m services.publish"


def test_a_changed_a_missing_and_a_leftover_file_are_noticed(tmp_path: Path) -> None:
    publish.write(tmp_path)
    assert publish.differences(tmp_path) == []
    (tmp_path / "command.v1.json").write_text("{}")
    (tmp_path / "told.v1.json").unlink()
    (tmp_path / "command.v0.json").write_text("{}")
    expected = ["command.v0.json", "command.v1.json", "told.v1.json"]
    assert publish.differences(tmp_path) == expected
    publish.write(tmp_path)
    assert publish.differences(tmp_path) == []


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_message_says_what_it_is(name: str) -> None:
    message = BY_NAME[name]
    schema = published(message.file)
    assert schema["$id"] == f"urn:tsunagu:schema:{name}:v1"
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    japanese, _, english = schema["title"].partition(" / ")
    assert japanese
    assert english
    if message.model.__module__.startswith("schemas."):
        assert schema["description"]


def test_every_action_and_event_is_published_and_read_by_its_type() -> None:
    for kind in (*ACTIONS, *EVENT_TYPES):
        schema = published(f"{says(kind)}.v1.json")
        assert schema["properties"]["type"]["const"] == says(kind)
        assert "type" in schema["required"]
    # The tables and the unions that readers use hold the same types.
    actions, events = reader(BY_NAME["add_note"]), reader(BY_NAME["note_added"])
    assert _types(actions) == {says(kind) for kind in ACTION_TYPES}
    assert _types(events) == {says(kind) for kind in EVENT_TYPES}


def test_what_the_deciding_service_asks_of_itself_is_published_nowhere() -> None:
    assert set(ACTION_TYPES) == {*ACTIONS, *INTERNAL}
    assert [says(kind) for kind in INTERNAL] == ["strike_clock"]
    for kind in INTERNAL:
        assert f"{says(kind)}.v1.json" not in PUBLISHED
        for name, text in PUBLISHED.items():
            assert says(kind).encode() not in text, name
            assert kind.__name__.encode() not in text, name
    # All others are still what a command may hold.
    actions = published("command.v1.json")["properties"]["action"]["oneOf"]
    assert {one["$ref"].split("/")[-1] for one in actions} == {k.__name__ for k in ACTIONS}


def _types(adapter: Any) -> set[str]:
    return set(adapter.json_schema()["discriminator"]["mapping"])


def test_the_asyncapi_document_is_one() -> None:
    document = published("asyncapi.json")
    ApplicationSchema.model_validate(document)
    channels, operations = document["channels"], document["operations"]
    for operation in operations.values():
        for part in filter(None, (operation, operation.get("reply"))):
            at = part["channel"]["$ref"]
            for reference in part["messages"]:
                channel, message = at.split("/")[2], reference["$ref"].split("/")[-1]
                assert reference["$ref"] == f"{at}/messages/{message}"
                assert message in channels[channel]["messages"]
    for name, message in document["components"]["messages"].items():
        if name == "Grew":
            assert message["payload"]["maxLength"] == 0
        elif name in ("DoorRequest", "DoorAnswer", "Receipt"):
            assert message["description"]  # their bodies are those of HTTP, or none
        else:
            assert message["payload"]["$ref"].removeprefix("./").partition("#")[0] in PUBLISHED
    for channel in channels.values():
        named = set(channel.get("parameters", {}))
        assert named == {
            part[1:-1] for part in (channel["address"] or "").split(".") if "{" in part
        }


def test_the_bus_is_documented_with_its_streams_and_headers() -> None:
    document = published("asyncapi.json")
    channels, messages = document["channels"], document["components"]["messages"]
    assert channels["commands"]["address"] == subjects.command("{ward}", "{action}")
    assert channels["commands"]["x-jetstream"]["stream"] == subjects.COMMANDS_STREAM
    assert channels["journals"]["x-jetstream"]["stream"] == subjects.JOURNALS_STREAM
    assert subjects.REPLY_TO in messages["Command"]["headers"]["properties"]
    assert "Nats-Msg-Id" in messages["JournalEntry"]["headers"]["properties"]
    asked = {address["address"] for address in channels.values()}
    assert subjects.journal_again("{ward}", "referral") in asked
    assert subjects.query("{ward}", "delivery", "inbox") in asked
    assert subjects.query("{ward}", "referral", "escalations") in asked
    assert subjects.grew("{ward}", "escalations") in asked
    assert subjects.grew("{ward}", "inbox.{agency}") in asked
    assert subjects.door("{ward}", "{agency}", "{call}") in asked
    assert subjects.carried("{ward}", "{agency}") in asked
    assert subjects.STATUS in messages["DoorAnswer"]["headers"]["properties"]
    actions = channels["commands"]["parameters"]["action"]["enum"]
    assert {"acknowledge_escalation", "resolve_escalation"} <= set(actions)
