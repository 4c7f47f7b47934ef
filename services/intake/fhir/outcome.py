"""A refusal → OperationOutcome: our stable code, what to do about it in Japanese and English, and where
(FHIRPath). Never a value. Pure."""

from collections.abc import Callable, Iterable

from schemas.base import JsonObject
from schemas.problems import MEANINGS, FieldProblem, ProblemCode, Refusal
from services.intake.fhir.names import PROBLEM
from services.intake.fhir.tables import ISSUE_OF_PROBLEM


def outcome(refusal: Refusal) -> JsonObject:
    """One issue for each mistake; a problem without a place is one issue."""
    meaning = MEANINGS[refusal.code]
    base: JsonObject = {
        "severity": "fatal" if refusal.code is ProblemCode.INTERNAL else "error",
        "code": ISSUE_OF_PROBLEM.get(refusal.code, "business-rule"),
        "details": {
            "coding": [{"system": PROBLEM, "code": refusal.code.value}],
            "text": f"{meaning.ja} / {meaning.en}",
        },
    }
    issues = [
        {**base, "diagnostics": e.detail, **({"expression": [e.pointer]} if e.pointer else {})}
        for e in refusal.errors
    ]
    return {"resourceType": "OperationOutcome", "issue": issues or [base]}


def not_taken(expressions: Iterable[str]) -> JsonObject | None:
    """What was said and is not kept; None when all of it is."""
    issues = [
        {
            "severity": "information",
            "code": "informational",
            "diagnostics": "取り込んでいません。ファイルは添付で、ほかは note（文書はセクションの text）に書いてくだ"
            "さい / not taken: send files as attachments, anything else in note (in a document: the text "
            "of a section)",
            "expression": [expression],
        }
        for expression in expressions
    ]
    return {"resourceType": "OperationOutcome", "issue": issues} if issues else None


def pending() -> JsonObject:
    """Durable, not decided yet: the answer to 202."""
    text = "受け付けました。答えは Location にあります / Taken; the answer will be at Location"
    issue = {"severity": "information", "code": "informational", "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def in_fhir(document: JsonObject, where: Callable[[str], str]) -> Refusal:
    """A problem document that the deciding service gave, with FHIR's places."""
    errors = tuple(
        FieldProblem(where(e["pointer"]), e["detail"]) for e in document.get("errors", ())
    )
    return Refusal(ProblemCode(document["code"]), errors)
