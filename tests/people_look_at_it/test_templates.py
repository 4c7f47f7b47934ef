"""What a template may not have in it, for the content security policy would stop it, or worse, would not."""

import re
from pathlib import Path

import pytest

CONSOLE = Path(__file__).resolve().parents[2] / "services" / "console"
TEMPLATES = sorted((CONSOLE / "templates").rglob("*.html"))
STATIC = sorted(path for path in (CONSOLE / "static").iterdir() if path.is_file())

FORBIDDEN = {
    "a style of its own": r"\sstyle\s*=|<style",
    "a script of its own": r"<script(?![^>]*\ssrc=)|\son[a-z]+\s*=\s*[\"']|javascript:",
    "text that is not escaped": r"\|\s*safe\b|autoescape|Markup",
    "another host": r"(?:src|href|action)\s*=\s*[\"'](?:https?:)?//",
    "a form whose words end up in an address": r"<form(?![^>]*method=\"(?:post|get|dialog)\")",
}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_brings_nothing_that_the_policy_stops(path: Path) -> None:
    text = re.sub(r"\{#.*?#\}", "", path.read_text("utf-8"), flags=re.DOTALL)
    found = {what for what, pattern in FORBIDDEN.items() if re.search(pattern, text)}
    assert not found


@pytest.mark.parametrize(
    ("what", "sample"),
    [
        ("a style of its own", '<p style="color: red">'),
        ("a script of its own", "<script>alert(1)</script>"),
        ("a script of its own", '<p onclick="alert(1)">'),
        ("text that is not escaped", "{{ name | safe }}"),
        ("another host", '<img src="https://elsewhere.test/x.png">'),
        ("a form whose words end up in an address", '<form action="/refer">'),
    ],
)
def test_what_is_forbidden_is_found(what: str, sample: str) -> None:
    assert re.search(FORBIDDEN[what], sample)


def test_styles_and_scripts_ask_no_other_host() -> None:
    assert {path.suffix for path in STATIC} <= {".css", ".js", ".svg", ".wav", ".mp3"}
    for path in STATIC:
        if path.suffix in (".css", ".js"):
            text = path.read_text("utf-8")
            assert not re.search(r"url\(|@import|[\"'](?:https?:)?//", text), path.name
            assert not re.search(r"document\.write|\beval\(|new Function", text), path.name


def test_what_every_page_brings_along_is_small() -> None:
    assert (CONSOLE / "static" / "base.css").stat().st_size < 20_000
    assert (CONSOLE / "static" / "base.js").stat().st_size < 8_000
