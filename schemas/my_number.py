"""個人番号 (My Number) is refused at every door: the network may not hold one, not even half written.

A 12-digit run, also full-width, spaced or hyphenated, whose check digit is right (総務省令第85号第5条).
Pure.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

# Digits with what people put between groups of them; anything else ends the run.
_DIGITS = re.compile(r"\d+(?:[\s\-‐‑‒–—―−ーｰ_.・/]{1,2}\d+)*")
# References are UUIDs as a rule; some hold such a run by chance.
_UUID = re.compile(r"\b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b", re.ASCII)
# What ``has_my_number`` could find, and more: \\d knows full-width digits without folding the text.
_MAYBE = re.compile(r"\d(?:(?:[^\w\"]|[_ーｰ]){0,2}\d){11}")
_UNUSUAL = re.compile(
    "[\u00ad\u00b2\u00b3\u00b9\u200b-\u200f\u2060\u2070-\u209f\u2150-\u218b\u2460-\u24ff\u3200-\u33ff\ufeff]"
)
_INVISIBLE = dict.fromkeys([0xAD, *range(0x200B, 0x2010), 0x2060, 0xFEFF])
MASK = "［番号を消しました］"
"""Stands where a number was; shorter than one, so that nothing becomes too long by it."""
_SAFE_KEY = re.compile(r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")


def has_my_number(text: str) -> bool:
    """Does the text contain what must be taken for a 個人番号?"""
    folded = unicodedata.normalize("NFKC", text.translate(_INVISIBLE))
    return next(_found(folded), None) is not None


def masked(text: str) -> str:
    """The text with ``MASK`` instead of every 個人番号 in it, and not a sign changed beside them."""
    while has_my_number(text):
        # Sign by sign, so that it is known where each folded one stood.
        folded = [unicodedata.normalize("NFKC", sign.translate(_INVISIBLE)) for sign in text]
        at = [place for place, signs in enumerate(folded) for _ in signs]
        hidden = {
            place
            for start, end in _found("".join(folded))
            for place in range(at[start], at[end - 1] + 1)
        }
        if not hidden:
            # Found only in the text as a whole: rather too much goes than a number stays.
            hidden = {place for place, signs in enumerate(folded) if re.search(r"\d", signs)}
        text = "".join(
            sign if place not in hidden else MASK if place - 1 not in hidden else ""
            for place, sign in enumerate(text)
        )
    return text


def _found(folded: str) -> Iterator[tuple[int, int]]:
    """From where to where the numbers in a folded text reach."""
    plain = _UUID.sub(lambda reference: "#" * len(reference.group()), folded)
    for run in _DIGITS.finditer(plain):
        for start, end in _candidates(run.group()):
            if _is_my_number("".join(filter(str.isdecimal, run.group()[start:end]))):
                yield run.start() + start, run.start() + end


def names_my_number(key: str) -> bool:
    """Does a technical key hold one as a word of its own? A random token holds such digits between
    its letters by chance."""
    words = re.split(r"[^0-9A-Za-z-]+", key)
    return any(word.strip("-0123456789") == "" and has_my_number(word) for word in words)


def _candidates(run: str) -> Iterator[tuple[int, int]]:
    """From where to where twelve digits reach that someone may have meant as one number: unbroken, four
    by four, or with one and the same separator throughout. A telephone number beside a time is not one."""
    groups = list(re.finditer(r"\d+", run))
    separators = re.split(r"\d+", run)[1:]
    lengths = [len(group.group()) for group in groups]
    alike = _reach(separators)
    before = None
    for start, separator in enumerate(separators):
        if separator != before:
            yield groups[start].start(), groups[alike[start]].end()
        before = separator
        if lengths[start] == 12:
            yield groups[start].span()
        if lengths[max(start - 1, 0) : start + 4].count(4) == 3:
            yield groups[start].start(), groups[min(start + 2, len(groups) - 1)].end()


def _reach(separators: list[str]) -> list[int]:
    """How far each group reaches with one and the same separator. From the end, so that a body of
    nothing but digits and hyphens is read once, not once for each of them."""
    last = len(separators) - 1  # behind the last group there is none
    reach = [last] * len(separators)
    for start in range(last - 2, -1, -1):
        alike = separators[start] == separators[start + 1]
        reach[start] = reach[start + 1] if alike else start + 1
    return reach


def _is_my_number(digits: str) -> bool:
    if len(digits) != 12:
        return False
    values = [unicodedata.digit(digit) for digit in digits]
    return _check_digit(values[:11]) == values[11]


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
