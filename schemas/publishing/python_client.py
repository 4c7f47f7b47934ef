"""The typed Python client for partners, written from the OpenAPI document. Pure: a document in, the
text of two modules out; ``services.publish`` formats and writes them to ``partners/client``.

Only what the document says is used, so the client is held to the same contract as any that an outside
tool makes.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from schemas.base import JsonObject

_KEYWORDS = {"from", "class", "import", "global", "in", "is", "not", "or", "and", "if", "pass"}
_JSON = "application/json"
_STREAM = "text/event-stream"
_BY_THE_LINE = {"Idempotency-Key", "Prefer", "Last-Event-ID"}
"""Headers that the client itself sees to."""
_NOT_EDITED = (
    "This file is written by ``python -m services.publish`` from the OpenAPI document; a test "
    "fails while it differs. Change the contract, not this file."
)


def python_client(document: JsonObject) -> dict[str, str]:
    """``models.py`` and ``calls.py``, not yet formatted."""
    return {"models.py": _models(document), "calls.py": _calls(document)}


# -- types --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Types:
    """``given``: the types that answers are made of. A closed vocabulary may grow there, so a value
    that this client does not know yet stays text."""

    schemas: JsonObject
    given: frozenset[str]

    def annotation(self, schema: JsonObject, grows: bool) -> str:
        if "$ref" in schema:
            name = _name(schema)
            return f"Open[{name}]" if grows and "enum" in self.schemas[name] else name
        for key in ("anyOf", "oneOf", "allOf"):
            if key in schema:
                parts = [self.annotation(one, grows) for one in schema[key]]
                return " | ".join(dict.fromkeys(parts))
        if "const" in schema or "enum" in schema:
            values = schema.get("enum") or [schema["const"]]
            literal = f"Literal[{', '.join(_quoted(value) for value in values)}]"
            return f"{literal} | str" if grows and "enum" in schema else literal
        if schema.get("type") == "array":
            return f"tuple[{self.annotation(schema.get('items', {}), grows)}, ...]"
        return _SIMPLE.get((schema.get("type"), schema.get("format"))) or _SIMPLE.get(
            (schema.get("type"), None), "Any"
        )


_SIMPLE: dict[tuple[Any, Any], str] = {
    ("string", None): "str",
    ("string", "uuid"): "UUID",
    ("string", "date-time"): "AwareDatetime",
    ("string", "date"): "date",
    ("integer", None): "int",
    ("number", None): "float",
    ("boolean", None): "bool",
    ("null", None): "None",
    ("object", None): "dict[str, Any]",
}


def _models(document: JsonObject) -> str:
    schemas: JsonObject = document["components"]["schemas"]
    types = _Types(schemas, frozenset(_reached(schemas, _answers(document))))
    enums = [name for name, schema in schemas.items() if "enum" in schema]
    bodies = [name for name in schemas if name not in enums]
    events = {
        schemas[name]["properties"]["type"]["const"]: name
        for name in bodies
        if "const" in schemas[name].get("properties", {}).get("type", {})
    }
    lines = [
        _docstring(f"What partners send and get: the bodies of the contract.\n\n{_NOT_EDITED}", ""),
        "from datetime import date",
        "from enum import StrEnum",
        "from typing import Annotated, Any, Literal, TypeVar",
        "from uuid import UUID",
        "",
        "from pydantic import AwareDatetime, BaseModel, ConfigDict, Field",
        "",
        'Known = TypeVar("Known", bound=StrEnum)',
        'Open = Annotated[Known | str, Field(union_mode="left_to_right")]',
        _docstring("A code of an answer: one of those known here, or the text of one that came "
                   "later.", ""),
        "",
        "",
        "class Body(BaseModel):",
        _docstring("Frozen. A misspelt field is refused when it is made; an unknown one in an answer "
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
    lines += [f"    {_quoted(said)}: {name}," for said, name in events.items()]
    lines += [
        "}",
        '"""The types of ``CloudEvent.data``, by what is between ``tsunagu.`` and ``.v1``."""',
    ]
    return "\n".join(lines) + "\n"


def _enum(name: str, schema: JsonObject) -> Iterator[str]:
    yield f"\n\nclass {name}(StrEnum):"
    yield _docstring(schema["description"])
    for value in schema["enum"]:
        yield f"    {re.sub('[^A-Z0-9]', '_', value.upper())} = {_quoted(value)}"


def _body(name: str, schema: JsonObject, types: _Types) -> Iterator[str]:
    yield f"\n\nclass {name}(Body):"
    yield _docstring(schema["description"])
    required = schema.get("required", ())
    # What must be given comes first, as in a signature.
    fields = sorted(schema.get("properties", {}).items(), key=lambda f: f[0] not in required)
    for field, part in fields:
        annotation = types.annotation(part, name in types.given)
        default = "" if field in required else f" = {_default(part, types.schemas)}"
        if "const" in part:
            default = f" = {_quoted(part['const'])}"
        elif default == " = None" and "None" not in annotation.split(" | "):
            annotation += " | None"
        known_as = field
        if field in _KEYWORDS:
            known_as = f"{field}_"
            value = default.removeprefix(" = ")
            default = f" = Field({value + ', ' if value else ''}alias={_quoted(field)})"
        yield f"    {known_as}: {annotation}{default}"
        if part.get("description"):
            yield _docstring(part["description"])


def _default(part: JsonObject, schemas: JsonObject) -> str:
    value = part.get("default")
    if isinstance(value, list):
        return "()"
    if isinstance(value, str) and "$ref" in part:
        return f"{_name(part)}.{value.upper()}"
    return _quoted(value)


def _parts_first(schemas: JsonObject, names: Iterable[str]) -> list[str]:
    """A type after those it is made of, so that the file reads from the top."""
    placed: dict[str, None] = {}

    def place(name: str) -> None:
        if name not in placed and "enum" not in schemas[name]:
            for part in sorted(_named_in(schemas[name]) - {name}):
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
            waiting += _named_in(schemas[name])
    # Events come in answers too, as the data of a CloudEvent.
    return reached | {
        name for name, s in schemas.items() if "const" in s.get("properties", {}).get("type", {})
    }


def _answers(document: JsonObject) -> set[str]:
    operations = [o for methods in document["paths"].values() for o in methods.values()]
    return set().union(*(_named_in(operation["responses"]) for operation in operations))


def _named_in(part: Any) -> set[str]:
    """The types that a part of the document refers to."""
    if isinstance(part, dict):
        reference = str(part.get("$ref", ""))
        own = {_name(part)} if reference.startswith("#/components/schemas/") else set()
        return own.union(*(_named_in(value) for key, value in part.items() if key != "examples"))
    if isinstance(part, list):
        return set().union(*(_named_in(value) for value in part))
    return set()


# -- calls --------------------------------------------------------------------------------------------


def _calls(document: JsonObject) -> str:
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    types = _Types(document["components"]["schemas"], frozenset())
    methods = [line for one in operations for line in _method(*one, types)]
    text = "\n".join(methods)
    used = sorted(n for n in types.schemas if re.search(rf"\b{n}\b", _without_texts(text)))
    return "\n".join(
        [
            _docstring(f"A method for every call of the contract.\n\n{_NOT_EDITED}", ""),
            *_imports(text, **{"collections.abc": ("Iterable", "Iterator")}),
            *_imports(text, typing=("Any", "Literal"), uuid=("UUID",)),
            "",
            "from .line import Line, path",
            f"from .models import {', '.join(used)}",
            "from .streams import StreamEvent",
            "",
            "",
            "class Calls:",
            _docstring(
                "Each is named after its ``operationId``. A call that changes something gets an "
                "idempotency key of its own, which its repetitions keep; give one to keep it for "
                "longer. What was answered 202 is waited for. A refusal raises ``Problem``."
            ),
            "    line: Line",
            text,
        ]
    )


def _imports(text: str, **modules: tuple[str, ...]) -> Iterator[str]:
    """Of the names, those that the text uses."""
    for module, names in modules.items():
        used = [name for name in names if re.search(rf"\b{name}\b", _without_texts(text))]
        if used:
            yield f"from {module} import {', '.join(used)}"


def _without_texts(text: str) -> str:
    return re.sub(r'"""[\s\S]*?"""|"[^"\n]*"', "", text)


def _method(path: str, method: str, operation: JsonObject, types: _Types) -> Iterator[str]:
    parameters = operation.get("parameters", ())
    placed = [p["name"] for p in parameters if p["in"] == "path"]
    queried = [p for p in parameters if p["in"] == "query"]
    keyed = any(p["name"] == "Idempotency-Key" for p in parameters)
    headed = [p for p in parameters if p["in"] == "header" and p["name"] not in _BY_THE_LINE]
    content = operation.get("requestBody", {}).get("content", {})
    success = [
        r for status, r in operation["responses"].items() if status[0] == "2" and status != "202"
    ]
    given = success[0].get("content", {}) if success else {}

    takes = [f"{name}: UUID | str" for name in placed]
    optional = []
    sends = []
    if _JSON in content and "$ref" in content[_JSON]["schema"]:
        body = _name(content[_JSON]["schema"])
        whole = operation["requestBody"].get("required", False)
        takes.append(f"body: {body}" if whole else f"body: {body} | None = None")
        sends.append("body=body" if whole else f"body=body or {body}()")
    elif content:
        takes += ["content: bytes | Iterable[bytes]", "content_type: str"]
        sends.append("content=content, content_type=content_type")
    for parameter in queried:
        kind = types.annotation(parameter["schema"], grows=False).removesuffix(" | None")
        kind += " | str" if "$ref" in parameter["schema"] else ""
        optional.append(f"{_python(parameter['name'])}: {kind} | None = None")
    if queried:
        pairs = ", ".join(f"{_quoted(p['name'])}: {_python(p['name'])}" for p in queried)
        sends.append(f"query={{{pairs}}}")
    for parameter in headed:
        whole = "str" if parameter.get("required") else "str | None = None"
        optional.append(f"{_python(parameter['name'])}: {whole}")
    if headed:
        pairs = ", ".join(f"{_quoted(p['name'])}: {_python(p['name'])}" for p in headed)
        sends.append(f"headed={{{pairs}}}")
    where = _place(path, placed)
    said = f"{operation['summary']}\n\n``{method.upper()} {path}``"
    if _STREAM in given:
        after = [*takes, "*", *(o for o in optional if not o.startswith(("after", "limit")))]
        after.append("last_event_id: int | None = None")
        kept = [p for p in queried if p["name"] not in ("after", "limit")]
        pairs = ", ".join(f"{_quoted(p['name'])}: {_python(p['name'])}" for p in kept)
        yield f"\n    def stream_{operation['operationId']}("
        yield f"        self, {', '.join(after)}"
        yield "    ) -> Iterator[StreamEvent]:"
        yield _docstring(f"{said} (``{_STREAM}``)", "        ")
        yield f"        return self.line.stream({where}, {{{pairs}}}, last_event_id)"
    if keyed:
        optional.append("idempotency_key: str | None = None")
        sends.append("key=idempotency_key, keyed=True")
    if operation.get("security") == []:
        sends.append("open_to_all=True")
    star = ["*", *optional] if optional else []
    gives, ask = _given(given)
    yield f"\n    def {operation['operationId']}({', '.join(['self', *takes, *star])}) -> {gives}:"
    yield _docstring(said, "        ")
    asked = ", ".join([_quoted(method.upper()), where, *ask, *sends])
    yield f"        return self.line.{'asked' if ask else _UNTYPED[gives]}({asked})"


_UNTYPED = {"dict[str, Any]": "asked_for_json", "str": "asked_for_text", "bytes": "asked_for_bytes"}


def _given(content: JsonObject) -> tuple[str, list[str]]:
    """What a call gives, and the argument that says so."""
    for media_type, one in content.items():
        if media_type == _JSON and "$ref" in one.get("schema", {}):
            name = _name(one["schema"])
            return name, [name]
        if media_type.endswith("json"):
            return "dict[str, Any]", []
        if media_type.startswith("text/"):
            return "str", []
    return "bytes", []


def _place(path: str, placed: list[str]) -> str:
    if not placed:
        return _quoted(path)
    return f"path({_quoted(path)}, {', '.join(f'{name}={name}' for name in placed)})"


def _python(name: str) -> str:
    return f"{name}_" if name in _KEYWORDS else re.sub(r"\W", "_", name).lower()


def _name(schema: JsonObject) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _docstring(text: str, indent: str = "    ") -> str:
    """Lines of at most a hundred columns; a full-width character is two of them."""
    lines: list[str] = []
    # A line that does not begin a paragraph or a list's item goes on from the one before.
    for paragraph in re.sub(r"(?<!\n)\n(?!\n|- )", " ", text).split("\n"):
        lines += _wrapped(paragraph.strip(), 96 - len(indent)) if paragraph.strip() else [""]
    quotes = '"""'
    if len(lines) == 1:
        return f"{indent}{quotes}{lines[0]}{quotes}"
    rest = [f"{indent}{line}" if line else "" for line in lines[1:]]
    return "\n".join([f"{indent}{quotes}{lines[0]}", *rest]) + quotes


def _wrapped(text: str, columns: int) -> list[str]:
    """Broken after spaces and after full-width characters."""
    lines, line, width = [], "", 0
    for piece in re.findall(r"[^\s\u2e80-\uffff]+\s?|[\u2e80-\uffff]\s?|\s", text):
        wide = sum(2 if character >= "\u2e80" else 1 for character in piece)
        if line and width + wide > columns and piece[0] not in "、。）」":
            lines.append(line.rstrip())
            line, width = "", 0
        line, width = line + piece, width + wide
    return [*lines, line.rstrip()] if line else lines
