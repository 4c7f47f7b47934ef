"""個人番号 (My Number) is refused at the door: the network may not hold one.

A 12-digit run, also full-width, spaced or hyphenated, whose check digit is right (総務省令第85号第5条).
Pure.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

# Separators that people put between groups of digits; anything else ends the run.
_RUN = re.compile(r"(?<!\d)\d(?:[\s\-‐‑‒–—―−ーｰ_.・/]{0,2}\d){11}(?!\d)")
# Idempotency keys and references are UUIDs as a rule; one in 400 of them holds such a run by chance.
_UUID = re.compile(r"\b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b", re.ASCII)
# What ``has_my_number`` could find, and more: \\d knows full-width digits without folding the text.
_MAYBE = re.compile(r"\d(?:(?:[^\w\"]|[_ーｰ]){0,2}\d){11}")
_UNUSUAL = re.compile("[\u00b2\u00b3\u00b9\u2070-\u209f\u2150-\u218b\u2460-\u24ff\u3200-\u33ff]")
_SAFE_KEY = re.compile(r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")


def has_my_number(text: str) -> bool:
    """Does the text contain what must be taken for a 個人番号?"""
    for run in _RUN.finditer(_UUID.sub("#", unicodedata.normalize("NFKC", text))):
        digits = [unicodedata.digit(character) for character in run.group() if character.isdigit()]
        if _check_digit(digits[:11]) == digits[11]:
            return True
    return False


def may_hold_my_number(raw: bytes) -> bool:
    """A quick look at a body's bytes: False only when no string or number in it can hold one. An
    escape (``\\u0031``) or an unusual form (①, ²) may hide a digit."""
    text = raw.decode(errors="replace")
    return b"\\u" in raw or bool(_MAYBE.search(text) or _UNUSUAL.search(text))


def find_my_numbers(value: Any, pointer: str = "") -> Iterator[str]:
    """JSON pointers of all places in a parsed body that hold one. A key that holds one, or that is
    no ordinary name, is pointed at by its parent: pointers must not repeat what was sent."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if has_my_number(key):
                yield pointer
            yield from find_my_numbers(inner, child_pointer(pointer, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from find_my_numbers(inner, f"{pointer}/{index}")
    elif isinstance(value, str):
        if has_my_number(value):
            yield pointer
    elif isinstance(value, int) and not isinstance(value, bool) and has_my_number(str(value)):
        yield pointer


def child_pointer(pointer: str, key: str | int) -> str:
    """The pointer of a member (RFC 6901); an unusual key is not repeated."""
    if isinstance(key, int) or _SAFE_KEY.match(key):
        return f"{pointer}/{key}"
    return pointer


def _check_digit(digits: list[int]) -> int:
    """The twelfth digit for the first eleven: weights 2…7 then 2…6 from the right."""
    total = sum(
        digit * (n + 1 if n <= 6 else n - 5) for n, digit in enumerate(reversed(digits), start=1)
    )
    remainder = total % 11
    return 0 if remainder <= 1 else 11 - remainder
