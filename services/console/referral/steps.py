"""The deeds of a referral's page (画面での操作): what each asks of the form, what it says at intake's counter,
and what is said when it is done. Pure."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from schemas.base import JsonObject
from schemas.codes import HandoffKind, HandoffState
from schemas.problems import MEANINGS, ProblemCode
from services.console.forms import Form
from services.console.line import Said
from services.console.visit import new_key
from services.console.words import Words

Problems = list[tuple[str, str]]
"""The field's name, empty for the whole, and what is wrong with it in words."""

QUICKER = frozenset(
    {
        ProblemCode.ALREADY_ANSWERED, ProblemCode.NOT_OFFERED, ProblemCode.NOT_CUSTODIAN,
        ProblemCode.ALREADY_CLOSED, ProblemCode.AWAITING_RULING, ProblemCode.ESCALATION_OPEN,
    }
)  # fmt: skip
"""Since the page was shown the case has changed: somebody else was quicker, or another tab."""


@dataclass(frozen=True, slots=True)
class Step:
    """``call``: the contract's operation. ``about``: what it is done to. ``body``: from what was typed.
    ``needs``: fields that must be there, and what is said when they are not."""

    call: str
    about: str
    body: Callable[[Form], JsonObject]
    ja: str
    en: str
    needs: Mapping[str, tuple[str, str]]


def _texted(body: JsonObject, form: Form, name: str = "text") -> JsonObject:
    text = form.text("text")
    return body if text is None else {**body, name: text}


def _offer(form: Form) -> JsonObject:
    to = list(dict.fromkeys(form.all("to")))
    body: JsonObject = {"kind": form.get("kind")}
    if to:
        body["to"] = to
    if form.text("function") is not None:
        body["function"] = form.get("function")
    return _texted(body, form, "note")


_OUTCOME = {"outcome": ("結果を選んでください", "Choose the outcome")}

STEPS: Mapping[str, Step] = {
    "offer": Step(
        "offer_handoff", "referral", _offer, "打診しました。", "Offered.",
        {"kind": ("引き継ぎか依頼かを選んでください", "Choose transfer or request")},
    ),
    "withdraw": Step(
        "withdraw_handoff", "handoff", lambda form: _texted({}, form),
        "打診を取り下げました。", "The offer is withdrawn.", {},
    ),
    "complete": Step(
        "complete_handoff", "handoff",
        lambda form: _texted({"outcome": form.get("outcome")}, form),
        "完了を報告しました。", "Reported as completed.", _OUTCOME,
    ),
    "escalate": Step(
        "raise_escalation", "referral",
        lambda form: _texted({"reason": form.get("reason")}, form),
        "基幹へ上申しました。", "The core centre is called.",
        {"reason": ("理由を選んでください", "Choose a reason")},
    ),
    "note": Step(
        "add_note", "referral", lambda form: _texted({}, form),
        "記録しました。", "The note is on record.",
        {"text": ("記録を書いてください", "Write the note")},
    ),
    "close": Step(
        "close_referral", "referral",
        lambda form: _texted({"outcome": form.get("outcome")}, form),
        "終結しました。", "Closed.", _OUTCOME,
    ),
    "cancel": Step(
        "cancel_referral", "referral", lambda form: _texted({}, form),
        "取り消しました。", "Cancelled.", {},
    ),
    "reopen": Step(
        "reopen_referral", "referral", lambda form: _texted({}, form),
        "再開しました。", "Reopened.", {},
    ),
}  # fmt: skip


def missing(deed: str, form: Form, words: Words) -> Problems:
    """What must be there before anybody is asked."""
    told: Problems = [
        (name, words.t(*said))
        for name, said in STEPS[deed].needs.items()
        if form.text(name) is None
    ]
    if deed == "offer" and form.get("kind") == HandoffKind.TRANSFER and not form.all("to"):
        told.append(("to", words.t("引き継ぐ先を選んでください", "Choose whom to hand it to")))
    return told


def refused(said: Said, words: Words) -> Problems:
    """Why the deciding service, or the counter, did not do it: per field where it says so."""
    body: Mapping[str, Any] = said.body
    fields = [
        (_field(str(error["pointer"])), words.of_two(str(error["detail"])))
        for error in body.get("errors", ())
    ]
    if fields:
        return fields
    try:
        meaning = MEANINGS[ProblemCode(said.code)]
    except ValueError:
        meaning = MEANINGS[ProblemCode.INTERNAL]
    return [("", words.t(meaning.ja, meaning.en))]


def _field(pointer: str) -> str:
    name = pointer.lstrip("/").split("/")[0]
    return "text" if name == "note" else name


def key_of(form: Form, session: str, *what: str) -> str:
    """One for one showing of a form, one deed, and what was typed: however often it arrives. Letters only,
    for digits could look like a number that must not be written anywhere."""
    shown = form.get("key") or new_key()
    typed = sorted(item for item in form.items() if item[0] not in ("csrf", "key"))
    digest = hashlib.sha256(to_json([session, shown, what, typed])).hexdigest()
    return digest.translate(str.maketrans("0123456789abcdef", "abcdefghijklmnop"))


def made_offers(before: set[str], said: Said) -> list[str]:
    """The hand-offs that this deed made, by which it can be taken back."""
    return [
        str(each["id"])
        for each in said.body.get("handoffs", ())
        if each["id"] not in before and each["state"] == HandoffState.OFFERED
    ]
