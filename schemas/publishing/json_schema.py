"""JSON Schema (2020-12) of the pydantic types, worded in Japanese and English."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from schemas.base import JsonObject
from schemas.publishing.field_words import FIELDS
from schemas.publishing.messages import INTERNAL, Message, says
from schemas.publishing.words import TITLES, VALUES

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Published(GenerateJsonSchema):
    """Without the titles that pydantic makes up from field names, and without what nobody may send."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def tagged_union_schema(self, schema: Any) -> Any:
        internal = {says(kind) for kind in INTERNAL}
        choices = {tag: one for tag, one in schema["choices"].items() if tag not in internal}
        without: Any = {**schema, "choices": choices}
        return super().tagged_union_schema(without)


def message_schema(message: Message) -> JsonObject:
    """One message with everything it is made of, so that one file is enough to check by."""
    schema = message.model.model_json_schema(mode="validation", schema_generator=_Published)
    parts: JsonObject = schema.pop("$defs", {})
    document = {"$schema": DIALECT, "$id": message.id, **_worded(message.model.__name__, schema)}
    if parts:
        document["$defs"] = {name: _worded(name, part) for name, part in parts.items()}
    return document


def component_schemas(models: Iterable[type[BaseModel]]) -> JsonObject:
    """The types by name, referring to one another as OpenAPI's components do."""
    _, document = models_json_schema(
        [(model, "validation") for model in models],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Published,
    )
    return {name: untitled(_worded(name, part)) for name, part in document["$defs"].items()}


def untitled(schema: JsonObject) -> JsonObject:
    """With its title as the first paragraph of its description: programs that write clients from
    OpenAPI name a type after its title where it has one, and two of ours are both "Referral"."""
    title = schema.pop("title")
    for part in schema.get("properties", {}).values():
        # Says nothing; programs take a field with a default for one that is always there.
        if "default" in part and part["default"] is None:
            del part["default"]
    return {**schema, "description": "\n\n".join(filter(None, (title, schema.get("description"))))}


def _worded(name: str, schema: JsonObject) -> JsonObject:
    schema = {**schema, "title": TITLES.get(name, name)}
    if "enum" in schema:
        words = VALUES.get(name, {})
        told = " · ".join(f"{value} {words[value]}" for value in schema["enum"] if value in words)
        schema["description"] = "\n\n".join(filter(None, (schema.get("description"), told)))
    properties: JsonObject = schema.get("properties", {})
    for field, part in properties.items():
        words_of_field = FIELDS.get(f"{name}.{field}", FIELDS.get(field))
        if words_of_field is not None:
            part["description"] = words_of_field
        # An OpenAPI word that JSON Schema does not know and AsyncAPI reads otherwise.
        part.pop("discriminator", None)
    # A reader supplies ``type`` and ``v`` when they are missing; whoever writes says them.
    said = [field for field, part in properties.items() if "const" in part]
    required = [*schema.get("required", ()), *said]
    if required:
        schema["required"] = sorted(set(required), key=list(properties).index)
    return schema
