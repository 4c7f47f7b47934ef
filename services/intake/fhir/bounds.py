"""Bounds on what came, before any of it becomes a model: size in every direction, and what FHIR says
must not be read past (https://hl7.org/fhir/R4/extensibility.html#modifierExtension,
https://hl7.org/fhir/R4/resource-definitions.html#Resource.implicitRules). Pure.
"""

from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json

from schemas.base import JsonObject
from schemas.my_number import child_pointer, find_my_numbers, may_hold_my_number
from schemas.problems import FieldProblem, ProblemCode, Refusal, invalid

DEEPEST = 32
"""A section in a section with a coding, within a Bundle, is 12 deep."""
MOST_VALUES = 5_000
"""Read in 0.1 to 0.3 s. A resource is some 35 of them, so this is a document of 140 resources."""
MOST_ENTRIES = 200
MOST_CONTAINED = 50
MOST_TOLD = 50

_TOO_MUCH = "大きすぎるか深すぎます / too large or too deep"


def parse(raw: bytes) -> JsonObject | Refusal:
    """One resource as JSON, within the bounds."""
    try:
        value = from_json(raw, allow_inf_nan=False)
    except ValueError:
        return invalid(
            "", "JSON として読めないか、入れ子が深すぎます / not valid JSON, or nested too deep"
        )
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        return invalid("", "FHIR のリソース（resourceType）が要ります / a FHIR resource is needed")
    root = root_name(value)
    if may_hold_my_number(raw):
        pointers = dict.fromkeys(find_my_numbers(value))
        if pointers:
            detail = "個人番号は扱えません / an Individual Number is not accepted"
            return Refusal(
                ProblemCode.MY_NUMBER_REFUSED,
                tuple(FieldProblem(fhirpath(root, p), detail) for p in [*pointers][:MOST_TOLD]),
            )
    mistakes = []
    for mistake in _beyond(value, root):
        mistakes.append(mistake)
        if len(mistakes) == MOST_TOLD or mistake.detail == _TOO_MUCH:
            break
    return Refusal(ProblemCode.INVALID_REQUEST, tuple(mistakes)) if mistakes else value


def root_name(value: JsonObject) -> str:
    """How expressions begin; what is no plain name is not repeated."""
    name = value["resourceType"]
    return name if name.isascii() and name.isalpha() and len(name) <= 40 else "Resource"


def fhirpath(root: str, pointer: str) -> str:
    """A JSON pointer (RFC 6901) as a FHIRPath: ``Bundle.entry[0].resource``."""
    steps = (f"[{step}]" if step.isdigit() else f".{step}" for step in pointer.split("/")[1:])
    return root + "".join(steps)


def _beyond(value: JsonObject, root: str) -> Iterator[FieldProblem]:
    """Every bound that is passed. A stack of our own: what came may be nested at will."""
    seen = contained = 0
    stack: list[tuple[Any, str, int, bool]] = [(value, "", 1, False)]
    while stack:
        inner, pointer, depth, within = stack.pop()
        seen += 1
        if seen > MOST_VALUES or depth > DEEPEST:
            yield FieldProblem(root, _TOO_MUCH)
            return
        if isinstance(inner, list):
            if pointer == "/entry" and len(inner) > MOST_ENTRIES:
                yield FieldProblem(
                    f"{root}.entry", f"{MOST_ENTRIES} 件までです / at most {MOST_ENTRIES}"
                )
                return
            stack += [(v, f"{pointer}/{i}", depth + 1, within) for i, v in enumerate(inner)]
        elif isinstance(inner, dict):
            for name, detail in _REFUSED.items():
                if inner.get(name):
                    yield FieldProblem(fhirpath(root, pointer), detail)
            held = inner.get("contained")
            if held:
                contained += len(held) if isinstance(held, list) else 1
                if within:
                    detail = (
                        "contained の中に contained は置けません / no contained within contained"
                    )
                    yield FieldProblem(fhirpath(root, pointer), detail)
                if contained > MOST_CONTAINED:
                    detail = f"contained は {MOST_CONTAINED} 件までです / at most {MOST_CONTAINED}"
                    yield FieldProblem(fhirpath(root, pointer), detail)
                    return
            if pointer and inner.get("resourceType") == "Bundle":
                detail = "Bundle の中に Bundle は置けません / no Bundle within a Bundle"
                yield FieldProblem(fhirpath(root, pointer), detail)
            stack += [
                (v, child_pointer(pointer, name), depth + 1, within or name == "contained")
                for name, v in inner.items()
            ]


_REFUSED = {
    "modifierExtension": "知らない modifierExtension は読み飛ばせません / a modifierExtension that is not "
    "known here cannot be passed over",
    "implicitRules": "implicitRules は使えません / implicitRules is not supported",
}
