"""Admission: from a body's bytes to what may enter, or a refusal that says where and why. Pure.

Only shape, personal numbers and the address are judged here; who may do what, and which codes the
ward knows, is decided by the one service that decides.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from schemas.codes import AddressKind
from schemas.my_number import (
    child_pointer,
    find_my_numbers,
    may_hold_my_number,
    names_my_number,
)
from schemas.partner import ReferralSubmission, Sent
from schemas.problems import FieldProblem, ProblemCode, Refusal
from services.intake.addressing import AddressProblem, Located, locate
from wards.model import Ward
from wards.terms import ConsentBasis

Body = TypeVar("Body", bound=Sent)

_MOST_ERRORS = 50
_WORDS = {
    "missing": "必須です / is required",
    "extra_forbidden": "知らない項目です / no such field",
    "string_too_short": "空にはできません / must not be empty",
    "string_too_long": "長すぎます / is too long",
    "too_long": "数が多すぎます / too many",
    "too_short": "少なくとも一つ要ります / at least one is needed",
    "timezone_aware": "時差（+09:00 など）を付けてください / needs an offset such as +09:00",
    "string_type": "文字列で書いてください / must be a string",
    "json_invalid": "JSON として読めません / not valid JSON",
    "model_type": "JSON のオブジェクトで書いてください / must be a JSON object",
    "value_error": "",
}


def read_body(shape: type[Body], raw: bytes) -> Body | Refusal:
    """The body as ``shape``, or every mistake with its JSON pointer. Values are never repeated."""
    raw = raw or b"{}"
    if may_hold_my_number(raw):
        refusal = _refuse_my_numbers(raw)
        if refusal is not None:
            return refusal
    try:
        return shape.model_validate_json(raw)
    except ValidationError as error:
        return Refusal(ProblemCode.INVALID_REQUEST, _field_problems(error))


@dataclass(frozen=True, slots=True)
class Admitted:
    """A referral that may enter, and where its address lies (None without an address)."""

    body: ReferralSubmission
    place: Located | None


def admit(raw: bytes, ward: Ward) -> Admitted | Refusal:
    """Everything that is judged of a referral before it is decided. There is no other way in."""
    body = read_body(ReferralSubmission, raw)
    if isinstance(body, Refusal):
        return body
    refusal = check_consent(body, ward)
    if refusal is not None:
        return refusal
    place = find_place(body, ward)
    return place if isinstance(place, Refusal) else Admitted(body, place)


def _refuse_my_numbers(raw: bytes) -> Refusal | None:
    try:
        value = from_json(raw)
    except ValueError:
        return None  # not JSON: refused as such
    pointers = tuple(dict.fromkeys(find_my_numbers(value)))
    if not pointers:
        return None
    detail = "個人番号は扱えません / an Individual Number is not accepted"
    errors = tuple(FieldProblem(pointer, detail) for pointer in pointers[:_MOST_ERRORS])
    return Refusal(ProblemCode.MY_NUMBER_REFUSED, errors)


def refuse_header(value: str) -> Refusal | None:
    """An idempotency key is printable ASCII, 1-128 characters, and holds no 個人番号."""
    if not 1 <= len(value) <= 128 or any(not " " <= character <= "~" for character in value):
        detail = "Idempotency-Key は印字可能な 1〜128 文字です / 1-128 printable characters"
        return Refusal(ProblemCode.INVALID_REQUEST, (FieldProblem("", detail),))
    if names_my_number(value):
        detail = "Idempotency-Key に個人番号は書けません / no Individual Number in Idempotency-Key"
        return Refusal(ProblemCode.MY_NUMBER_REFUSED, (FieldProblem("", detail),))
    return None


def check_consent(body: ReferralSubmission, ward: Ward) -> Refusal | None:
    """What the basis of a disclosure demands beside itself (個人情報の保護に関する法律 第27条, 第69条;
    社会福祉法 第106条の6)."""
    basis = ward.term("consent_bases", body.consent.basis)
    if not isinstance(basis, ConsentBasis):
        return _at("/consent/basis", "この区にない根拠です / no such basis in this ward")
    consent = body.consent
    errors: list[FieldProblem] = []
    needed = "この根拠には必要です / is needed with this basis"
    if basis.needs_reason and consent.why is None:
        errors.append(FieldProblem("/consent/why", needed))
    if basis.needs_reason and basis.needs_decider and consent.danger is None:
        errors.append(FieldProblem("/consent/danger", needed))
    if basis.needs_decider and consent.decided_by is None:
        errors.append(FieldProblem("/consent/decided_by", needed))
    if basis.needs_meeting and consent.meeting is None:
        errors.append(FieldProblem("/consent/meeting", needed))
    if not basis.discloses:
        forbidden = "個人情報なし（N）では書けません / not with basis N (no personal data)"
        if body.person is not None:
            errors.append(FieldProblem("/person", forbidden))
        if body.address is not None and body.address.text is not None:
            errors.append(FieldProblem("/address", forbidden))
    return Refusal(ProblemCode.INVALID_REQUEST, tuple(errors)) if errors else None


def find_place(body: ReferralSubmission, ward: Ward) -> Located | Refusal | None:
    """Where the address lies; None without an address. An address that cannot be read, or lies
    outside the ward, is refused, except for a facility or a protected place when the receiver is
    named: then nothing hangs on it."""
    address = body.address
    if address is None or address.text is None:
        return None
    place = place_of(address.text, ward, "/address/text")
    if isinstance(place, Located):
        return place
    if body.to is not None and address.kind in (AddressKind.FACILITY, AddressKind.PROTECTED):
        return None
    return place


def place_of(text: str, ward: Ward, pointer: str) -> Located | Refusal:
    """Where an address lies; refused when it cannot be read, or lies outside the ward. ``pointer``: its
    place in the body."""
    place = locate(text, ward)
    if not isinstance(place, AddressProblem):
        return place
    outside = place.code == "out_of_ward"
    code = ProblemCode.OUT_OF_WARD if outside else ProblemCode.ADDRESS_UNREADABLE
    return Refusal(code, (FieldProblem(pointer, f"{place.ja} / {place.en}"),))


def _at(pointer: str, detail: str) -> Refusal:
    return Refusal(ProblemCode.INVALID_REQUEST, (FieldProblem(pointer, detail),))


def _field_problems(error: ValidationError) -> tuple[FieldProblem, ...]:
    problems = []
    for fault in error.errors(include_input=False, include_url=False)[:_MOST_ERRORS]:
        pointer = ""
        for step in fault["loc"]:
            pointer = child_pointer(pointer, step)
        problems.append(FieldProblem(pointer, _detail(fault)))
    return tuple(problems)


def _detail(fault: Any) -> str:
    kind = str(fault["type"])
    if kind == "value_error":
        # Raised by our own validators, whose texts name no value.
        return str(fault["ctx"]["error"])
    if kind in ("enum", "literal_error"):
        return f"使える値は {fault['ctx']['expected']} です / must be one of these"
    return _WORDS.get(kind) or f"形式が正しくありません / is not well formed ({kind})"
