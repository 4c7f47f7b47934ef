"""How types and texts of the OpenAPI document are written in Python. Pure."""

import re
from dataclasses import dataclass
from typing import Any

from schemas.base import JsonObject

# fmt: off
KEYWORDS = frozenset({
    "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else",
    "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not",
    "or", "pass", "raise", "return", "try", "while", "with", "yield",
})
# fmt: on
NOT_EDITED = (
    "This file is written by ``python -m services.publish`` from the OpenAPI document; a test "
    "fails while it differs. Change the contract, not this file."
)


@dataclass(frozen=True, slots=True)
class Types:
    """``given``: the types that answers are made of. A closed vocabulary may grow there, so a value
    that this client does not know yet stays text."""

    schemas: JsonObject
    given: frozenset[str]

    def annotation(self, schema: JsonObject, grows: bool) -> str:
        if "$ref" in schema:
            name = name_of(schema)
            return f"Open[{name}]" if grows and "enum" in self.schemas[name] else name
        for key in ("anyOf", "oneOf", "allOf"):
            if key in schema:
                parts = [self.annotation(one, grows) for one in schema[key]]
                return " | ".join(dict.fromkeys(parts))
        if "const" in schema or "enum" in schema:
            values = schema.get("enum") or [schema["const"]]
            literal = f"Literal[{', '.join(quoted(value) for value in values)}]"
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


def name_of(schema: JsonObject) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def docstring(text: str, indent: str = "    ") -> str:
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
