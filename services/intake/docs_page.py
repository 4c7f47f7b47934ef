"""The partner contract as a page for people: drawn from the OpenAPI document alone, no scripts, nothing
fetched from elsewhere. Japanese first; the English beside it says so in its ``lang``.
"""

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from schemas.base import JsonObject

_CSS = Path(__file__).with_name("docs.css")


def docs_page(document: JsonObject) -> str:
    """One self-contained HTML page."""
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    schemas: JsonObject = document["components"]["schemas"]
    problems: JsonObject = document["components"]["examples"]
    parts = [
        '<!doctype html>\n<html lang="ja">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(document['info']['title'])}</title>",
        f"<style>\n{_CSS.read_text(encoding='utf-8')}</style>\n</head>\n<body>",
        '<a class="skip" href="#main">本文へ / Skip to content</a>',
        f"<header><h1>{_both(document['info']['title'])}</h1>",
        f"<p>{_both(document['info']['summary'])}</p></header>",
        _contents(operations),
        '<main id="main">',
        _introduction(document["info"]["description"]),
    ]
    for tag in document["tags"]:
        parts.append(f'<section><h2 id="{tag["name"]}">{_both(tag["description"])}</h2>')
        parts += [
            _operation(path, method, operation, document)
            for path, method, operation in operations
            if tag["name"] in operation["tags"]
        ]
        parts.append("</section>")
    parts.append(f'<section><h2 id="bodies">{_both("本文と項目 / Bodies and fields")}</h2>')
    parts += [_schema(name, part) for name, part in schemas.items() if "properties" in part]
    parts.append(f'</section>\n<section><h2 id="codes">{_both("コード / Codes")}</h2>')
    parts += [
        _codes(name, part)
        for name, part in schemas.items()
        if "enum" in part and name != "ProblemCode"
    ]
    parts.append(f'</section>\n<section><h2 id="errors">{_both("誤り / Errors")}</h2>')
    parts.append(_errors(problems[code]["value"] for code in schemas["ProblemCode"]["enum"]))
    parts.append("</section>\n</main>\n</body>\n</html>\n")
    return "\n".join(parts)


def _contents(operations: Iterable[tuple[str, str, JsonObject]]) -> str:
    calls = "".join(
        f'<li><a href="#{o["operationId"]}">{_both(o["summary"])}</a></li>'
        for _, _, o in operations
    )
    rest = "".join(
        f'<li><a href="#{anchor}">{_both(words)}</a></li>'
        for anchor, words in (
            ("bodies", "本文と項目 / Bodies and fields"),
            ("codes", "コード / Codes"),
            ("errors", "誤り / Errors"),
        )
    )
    return f'<nav aria-label="目次 / Contents"><ul>{calls}{rest}</ul></nav>'


def _introduction(text: str) -> str:
    japanese, _, english = text.partition("\n\n")
    return f'<p>{escape(japanese)}</p>\n<p lang="en">{escape(english)}</p>'


def _operation(path: str, method: str, operation: JsonObject, document: JsonObject) -> str:
    name = operation["operationId"]
    body: JsonObject = operation.get("requestBody", {})
    parts = [
        f'<article aria-labelledby="{name}"><h3 id="{name}">{_both(operation["summary"])}</h3>',
        f'<p><code><span class="method">{method.upper()}</span> {escape(path)}</code></p>',
    ]
    if "description" in operation:
        parts.append(_introduction(operation["description"]))
    if operation.get("parameters"):
        rows = [
            (f"<code>{escape(p['name'])}</code> ({p['in']})", _type(p["schema"]),
             _needed(p.get("required", False)), _both(p["description"]))
            for p in operation["parameters"]
        ]  # fmt: skip
        heads = ("項目 / Field", "型 / Type", "必須 / Required", "意味 / Meaning")
        parts.append(_table("パスとヘッダー / Parameters", heads, rows))
    if body:
        kinds = dict.fromkeys(_type(content["schema"]) for content in body["content"].values())
        parts.append(f"<p>{_both('本文 / Body')}: {', '.join(kinds)}</p>")
    parts.append(_curl(path, method, operation, document))
    answers = [
        (f"<code>{status}</code>", _both(response["description"]), _answer_types(response))
        for status, response in sorted(operation["responses"].items())
    ]
    parts.append(
        _table("答え / Answers", ("状態 / Status", "意味 / Meaning", "本文 / Body"), answers)
    )
    return "\n".join(parts) + "</article>"


def _curl(path: str, method: str, operation: JsonObject, document: JsonObject) -> str:
    filled = path.replace("{ref}", "$REF").replace("{id}", "$ID")
    lines = [f'curl -X {method.upper()} "$TSUNAGU{filled}"']
    if operation.get("security") != []:
        lines.append('-H "Authorization: Bearer $KEY"')
    if "requestBody" in operation:
        kind, content = next(iter(operation["requestBody"]["content"].items()))
        lines += ['-H "Idempotency-Key: $(uuidgen)"', f'-H "Content-Type: {kind}"']
        if "examples" not in content:
            lines.append('--data-binary "@$FILE"')
        for name in list(content.get("examples", ()))[:1]:
            example = document["components"]["examples"][name]["value"]
            lines.append(f"-d '{json.dumps(example, ensure_ascii=False, indent=2)}'")
    text = escape(" \\\n  ".join(lines), quote=False)
    return f'<pre tabindex="0" aria-label="curl の例 / curl example"><code>{text}</code></pre>'


def _answer_types(response: JsonObject) -> str:
    schemas = [content.get("schema", {}) for content in response.get("content", {}).values()]
    return ", ".join(dict.fromkeys(_type(schema) for schema in schemas if schema))


def _schema(name: str, part: JsonObject) -> str:
    required = part.get("required", ())
    rows = [
        (f"<code>{escape(field)}</code>", _type(of), _needed(field in required),
         _both(of.get("description", "")))
        for field, of in part["properties"].items()
    ]  # fmt: skip
    heads = ("項目 / Field", "型 / Type", "必須 / Required", "意味 / Meaning")
    table = _table(f"{name} の項目 / Fields of {name}", heads, rows) if rows else ""
    title = _both(_title(part))
    return f'<h3 id="{name}">{title} <code>{name}</code></h3>{_told(part)}{table}'


def _codes(name: str, part: JsonObject) -> str:
    values = ", ".join(f"<code>{escape(value)}</code>" for value in part["enum"])
    return f'<h3 id="{name}">{_both(_title(part))}</h3><p>{values}</p>{_told(part)}'


def _title(part: JsonObject) -> str:
    """The first paragraph of what is told of a type (``json_schema.untitled``)."""
    return str(part["description"].partition("\n\n")[0])


def _told(part: JsonObject) -> str:
    text = escape(part["description"].partition("\n\n")[2]).replace("``", "")
    paragraphs = text.split("\n\n") if text else []
    # A docstring is English; the last paragraph of a list of codes is Japanese.
    return "".join(f"<p>{p}</p>" if " · " in p else f'<p lang="en">{p}</p>' for p in paragraphs)


def _errors(problems: Iterable[JsonObject]) -> str:
    rows = [
        (f"<code>{escape(p['code'])}</code>", str(p["status"]), _both(p["detail"]))
        for p in problems
    ]  # fmt: skip
    return _table(
        "誤りのコード / Problem codes", ("コード / Code", "HTTP", "対応 / What to do"), rows
    )


def _type(schema: JsonObject) -> str:
    """A schema in a few characters; a type of its own is a link."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{name}">{name}</a>'
    for key in ("anyOf", "allOf"):
        if key in schema:
            named = [
                s for s in schema[key] if s.keys() & {"$ref", "type"} and s.get("type") != "null"
            ]
            return " | ".join(_type(s) for s in named)
    if schema.get("type") == "array":
        return f"[{_type(schema['items'])}, …]"
    limits = [_limit(key, schema[key]) for key in _LIMITS if key in schema]
    return escape(" ".join([schema.get("format") or schema.get("type", "any"), *limits]))


_LIMITS = {
    "const": "=",
    "minLength": "≥",
    "maxLength": "≤",
    "minimum": "≥",
    "maximum": "≤",
    "pattern": "",
}


def _limit(key: str, value: Any) -> str:
    return f"{_LIMITS[key]}{value}"


def _needed(required: bool) -> str:
    return _both("必須 / yes" if required else "任意 / no")


def _both(text: str) -> str:
    """``日本語 / English`` with the English marked as such."""
    japanese, slash, english = text.partition(" / ")
    if not slash:
        return escape(text)
    return f'{escape(japanese)} <span lang="en">{escape(english)}</span>'


def _table(caption: str, heads: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f'<th scope="col">{_both(h)}</th>' for h in heads)
    body = "\n".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    label = escape(caption, quote=True)
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{label}"><table>'
        f"<caption>{_both(caption)}</caption><thead><tr>{head}</tr></thead>\n"
        f"<tbody>{body}</tbody></table></div>"
    )
