"""The examples in the tree, each with the message it is an example of."""

import json
from pathlib import Path
from typing import Any

import schemas
from schemas.publishing.messages import Message
from services.publish import ALL_MESSAGES

EXAMPLES = Path(schemas.__file__).with_name("examples")
BY_NAME: dict[str, Message] = {message.name: message for message in ALL_MESSAGES}

Sample = tuple[str, Message, bytes]


def samples(kind: str) -> list[Sample]:
    """``good`` or ``broken``: the file's stem, its message and its bytes."""
    return [
        (path.stem, BY_NAME[path.stem.partition("__")[0]], path.read_bytes())
        for path in sorted((EXAMPLES / kind).glob("*.json"))
    ]


def names(found: list[Sample]) -> list[str]:
    return [stem for stem, _, _ in found]


def value(raw: bytes) -> Any:
    return json.loads(raw)
