"""What of ``docs/partners.md`` is written from the code: the table of errors, and that of the conformance
checks, each between two comments. The words around them are people's."""

import re
from pathlib import Path

import partners
from partners.conformance.checks import CHECKS
from schemas.problems import MEANINGS

DOCUMENT = Path(partners.__file__).parents[1] / "docs" / "partners.md"
_SAME_KEY = (429, 500, 503)
_LATER = "同じ鍵で / same key"
_MENDED = "直して、新しい鍵で / mended, with a new key"
_NO = "いいえ / no"


def errors_table() -> str:
    lines = [
        "| HTTP | `code` | すること | What to do | 送り直す / repeat |",
        "|---|---|---|---|---|",
    ]
    for code, meaning in sorted(MEANINGS.items(), key=lambda item: (item[1].status, item[0])):
        status = meaning.status
        again = _LATER if status in _SAME_KEY else _MENDED if status in (413, 415, 422) else _NO
        lines.append(f"| {status} | `{code}` | {meaning.ja} | {meaning.en} | {again} |")
    return "\n".join(lines)


def checks_table() -> str:
    lines = ["| | 確かめること | Checked |", "|---|---|---|"]
    lines += [f"| `{check.name}` | {check.ja} | {check.en} |" for check in CHECKS]
    return "\n".join(lines)


def document(text: str) -> str:
    """The document with its tables anew."""
    for name, table in (("errors", errors_table()), ("checks", checks_table())):
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        parts = place.split(text)
        if len(parts) != 4:  # before, both comments, after
            raise ValueError(f"{DOCUMENT.name} has not one place for {name}")
        text = f"{parts[0]}{parts[1]}\n{table}\n\n{parts[2]}{parts[3]}"
    return text
