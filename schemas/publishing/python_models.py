"""``partners/client/models.py``: a type for each body of the contract. Pure."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from schemas.base import JsonObject
from schemas.publishing.python_writing import (
    KEYWORDS,
    NOT_EDITED,
    Types,
    docstring,
    name_of,
    quoted,
)


def models(document: JsonObject) -> str:
    schemas: JsonObject = document["components"]["schemas"]
    types = Types(schemas, frozenset(_reached(schemas, _answers(document))))
    enums = [name for name, schema in schemas.items() if "enum" in schema]
    bodies = [name for name in schemas if name not in enums]
    events = {
        schemas[name]["properties"]["type"]["const"]: name
        for name in bodies
        if "const" in schemas[name].get("properties", {}).get("type", {})
    }
    lines = [
        docstring(f"What partners send and get: the bodies of the contract.\n\n{NOT_EDITED}", ""),
        "from datetime import date",
        "from enum import StrEnum",
        "from typing import Annotated, Any, Literal, TypeVar",
        "from uuid import UUID",
        "",
        "from pydantic import AwareDatetime, BaseModel, ConfigDict, Field",
        "",
        'Known = TypeVar("Known", bound=StrEnum)',
        'Open = Annotated[Known | str, Field(union_mode="left_to_right")]',
        docstring("A code of an answer: one of those known here, or the text of one that came "
                   "later.", ""),
        "",
        "",
        "class Body(BaseModel):",
        docstring("Frozen. A misspelt field is refused when it is made; an unknown one in an answer "
                   "is passed over by ``Client``."),
        "    model_config = ConfigDict(",
        '        frozen=True, extra="forbid", hide_input_in_errors=True,',
        "        validate_by_name=True, validate_by_alias=True,",
        "    )",
        "",
    ]  # fmt: skip
    for name in enums:
        lines += _enum(name, schemas[name])
    for name in _parts_first(schemas, bodies):
        lines += _body(name, schemas[name], types)
    lines += ["", "EVENTS: dict[str, type[Body]] = {"]
    lines += [f"    {quoted(said)}: {name}," for said, name in events.items()]
    lines += [
        "}",
        '"""The types of ``CloudEvent.data``, by what is between ``tsunagu.`` and ``.v1``."""',
    ]
    return "\n".join(lines) + "\n"


def _enum(name: str, schema: JsonObject) -> Iterator[str]:
    yield f"\n\nclass {name}(StrEnum):"
    yield docstring(schema["description"])
    for value in schema["enum"]:
        yield f"    {re.sub('[^A-Z0-9]', '_', value.upper())} = {quoted(value)}"


def _body(name: str, schema: JsonObject, types: Types) -> Iterator[str]:
    yield f"\n\nclass {name}(Body):"
    yield docstring(schema["description"])
    required = schema.get("required", ())
    # What must be given comes first, as in a signature.
    fields = sorted(schema.get("properties", {}).items(), key=lambda f: f[0] not in required)
    for field, part in fields:
        annotation = types.annotation(part, name in types.given)
        default = "" if field in required else f" = {_default(part, types.schemas)}"
        if "const" in part:
            default = f" = {quoted(part['const'])}"
        elif default == " = None" and "None" not in annotation.split(" | "):
            annotation += " | None"
        known_as = field
        if field in KEYWORDS:
            known_as = f"{field}_"
            value = default.removeprefix(" = ")
            default = f" = Field({value + ', ' if value else ''}alias={quoted(field)})"
        yield f"    {known_as}: {annotation}{default}"
        if part.get("description"):
            yield docstring(part["description"])


def _default(part: JsonObject, schemas: JsonObject) -> str:
    value = part.get("default")
    if isinstance(value, list):
        return "()"
    if isinstance(value, str) and "$ref" in part:
        return f"{name_of(part)}.{value.upper()}"
    return quoted(value)


def _parts_first(schemas: JsonObject, names: Iterable[str]) -> list[str]:
    """A type after those it is made of, so that the file reads from the top."""
    placed: dict[str, None] = {}

    def place(name: str) -> None:
        if name not in placed and "enum" not in schemas[name]:
            for part in sorted(named_in(schemas[name]) - {name}):
                place(part)
            placed.setdefault(name)

    for name in names:
        place(name)
    return list(placed)


def _reached(schemas: JsonObject, names: Iterable[str]) -> set[str]:
    reached: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += named_in(schemas[name])
    # Events come in answers too, as the data of a CloudEvent.
    return reached | {
        name for name, s in schemas.items() if "const" in s.get("properties", {}).get("type", {})
    }


def _answers(document: JsonObject) -> set[str]:
    operations = [o for methods in document["paths"].values() for o in methods.values()]
    return set().union(*(named_in(operation["responses"]) for operation in operations))


def named_in(part: Any) -> set[str]:
    """The types that a part of the document refers to."""
    if isinstance(part, dict):
        reference = str(part.get("$ref", ""))
        own = {name_of(part)} if reference.startswith("#/components/schemas/") else set()
        return own.union(*(named_in(value) for key, value in part.items() if key != "examples"))
    if isinstance(part, list):
        return set().union(*(named_in(value) for value in part))
    return set()
