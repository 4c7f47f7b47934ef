"""The typed Python client for partners, written from the OpenAPI document. Pure: a document in, the
text of two modules out; ``services.publish`` formats and writes them to ``partners/client``.

Only what the document says is used, so the client is held to the same contract as any that an outside
tool makes.
"""

import re
from collections.abc import Iterator

from schemas.base import JsonObject
from schemas.publishing.python_models import models
from schemas.publishing.python_writing import (
    KEYWORDS,
    NOT_EDITED,
    Types,
    docstring,
    name_of,
    quoted,
)

_JSON = "application/json"
_STREAM = "text/event-stream"
_BY_THE_LINE = {"Idempotency-Key", "Prefer", "Last-Event-ID"}
"""Headers that the client itself sees to."""


def python_client(document: JsonObject) -> dict[str, str]:
    """``models.py`` and ``calls.py``, not yet formatted."""
    return {"models.py": models(document), "calls.py": calls(document)}


def calls(document: JsonObject) -> str:
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    types = Types(document["components"]["schemas"], frozenset())
    methods = [line for one in operations for line in _method(*one, types)]
    text = "\n".join(methods)
    used = sorted(n for n in types.schemas if re.search(rf"\b{n}\b", _without_texts(text)))
    return "\n".join(
        [
            docstring(f"A method for every call of the contract.\n\n{NOT_EDITED}", ""),
            *_imports(text, **{"collections.abc": ("Iterable", "Iterator")}),
            *_imports(text, typing=("Any", "Literal"), uuid=("UUID",)),
            "",
            "from .line import Line, path",
            f"from .models import {', '.join(used)}",
            "from .streams import StreamEvent",
            "",
            "",
            "class Calls:",
            docstring(
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


def _method(path: str, method: str, operation: JsonObject, types: Types) -> Iterator[str]:
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
        body = name_of(content[_JSON]["schema"])
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
        pairs = ", ".join(f"{quoted(p['name'])}: {_python(p['name'])}" for p in queried)
        sends.append(f"query={{{pairs}}}")
    for parameter in headed:
        whole = "str" if parameter.get("required") else "str | None = None"
        optional.append(f"{_python(parameter['name'])}: {whole}")
    if headed:
        pairs = ", ".join(f"{quoted(p['name'])}: {_python(p['name'])}" for p in headed)
        sends.append(f"headed={{{pairs}}}")
    where = _place(path, placed)
    said = f"{operation['summary']}\n\n``{method.upper()} {path}``"
    if _STREAM in given:
        after = [*takes, "*", *(o for o in optional if not o.startswith(("after", "limit")))]
        after.append("last_event_id: int | None = None")
        kept = [p for p in queried if p["name"] not in ("after", "limit")]
        pairs = ", ".join(f"{quoted(p['name'])}: {_python(p['name'])}" for p in kept)
        yield f"\n    def stream_{operation['operationId']}("
        yield f"        self, {', '.join(after)}"
        yield "    ) -> Iterator[StreamEvent]:"
        yield docstring(f"{said} (``{_STREAM}``)", "        ")
        yield f"        return self.line.stream({where}, {{{pairs}}}, last_event_id)"
    if keyed:
        optional.append("idempotency_key: str | None = None")
        sends.append("key=idempotency_key, keyed=True")
    if operation.get("security") == []:
        sends.append("open_to_all=True")
    star = ["*", *optional] if optional else []
    gives, ask = _given(given)
    yield f"\n    def {operation['operationId']}({', '.join(['self', *takes, *star])}) -> {gives}:"
    yield docstring(said, "        ")
    asked = ", ".join([quoted(method.upper()), where, *ask, *sends])
    yield f"        return self.line.{'asked' if ask else _UNTYPED[gives]}({asked})"


_UNTYPED = {"dict[str, Any]": "asked_for_json", "str": "asked_for_text", "bytes": "asked_for_bytes"}


def _given(content: JsonObject) -> tuple[str, list[str]]:
    """What a call gives, and the argument that says so."""
    for media_type, one in content.items():
        if media_type == _JSON and "$ref" in one.get("schema", {}):
            name = name_of(one["schema"])
            return name, [name]
        if media_type.endswith("json"):
            return "dict[str, Any]", []
        if media_type.startswith("text/"):
            return "str", []
    return "bytes", []


def _place(path: str, placed: list[str]) -> str:
    if not placed:
        return quoted(path)
    return f"path({quoted(path)}, {', '.join(f'{name}={name}' for name in placed)})"


def _python(name: str) -> str:
    return f"{name}_" if name in KEYWORDS else re.sub(r"\W", "_", name).lower()
