"""The only place that knows ``fhir.resources``: is it well-formed FHIR?

It has no R4 (4.0.1) but R4B (4.3.0). Of what comes and goes here, R4B changed nothing but version
numbers: Bundle, ServiceRequest, Task, Patient, Consent, Composition, Organization and the data types
are "No Changes" in https://hl7.org/fhir/R4B/diff.html; R4B reworked medicine definitions, evidence and
subscriptions only (https://hl7.org/fhir/R4B/r4b-explanation.html). It checks shapes and formats, not
the codes of required value sets: the mapping does that for the codes it reads.

Imported when the first FHIR call comes, so that intake starts and stays small without any.
"""

from typing import Any, Protocol, cast

from pydantic import ValidationError

from schemas.base import JsonObject
from schemas.problems import FieldProblem, ProblemCode, Refusal, invalid
from services.intake.fhir.bounds import MOST_TOLD, fhirpath, root_name
from services.intake.my_number import child_pointer

_WORDS = {
    "missing": "必須です / is required",
    "extra_forbidden": "FHIR R4 にない要素です / no such element in FHIR R4",
    "string_type": "文字列で書いてください / must be a string",
    "list_type": "配列で書いてください / must be a list",
}


class _Model(Protocol):
    def model_validate(self, value: Any) -> Any: ...


def check(value: JsonObject) -> Refusal | None:
    """Every mistake of a resource as FHIR, with its FHIRPath. Values are never repeated."""
    root = root_name(value)
    try:
        _model(value["resourceType"]).model_validate(value)
    except KeyError:
        # Of an entry whose type there is none of; the library says only its name.
        return invalid(
            _unknown(value, root), "FHIR R4 にないリソースです / no such resource in FHIR R4"
        )
    except ValidationError as error:
        return Refusal(ProblemCode.INVALID_REQUEST, _problems(error, root))
    except (AttributeError, TypeError):
        return invalid(root, "FHIR R4 の形ではありません / not the shape of FHIR R4")
    return None


def _model(name: str) -> _Model:
    """Raises KeyError for what is no resource of R4B."""
    from fhir.resources.R4B import get_fhir_model_class

    return cast(_Model, get_fhir_model_class(name))


def _unknown(value: JsonObject, root: str) -> str:
    for i, entry in enumerate(value.get("entry") or ()):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        for body, path in (
            (resource, f"{root}.entry[{i}].resource"),
            *(
                (inner, f"{root}.entry[{i}].resource.contained[{n}]")
                for n, inner in enumerate((resource or {}).get("contained") or ())
            ),
        ):
            try:
                _model(str((body or {}).get("resourceType")))
            except KeyError:
                return path
    return root


def _problems(error: ValidationError, root: str) -> tuple[FieldProblem, ...]:
    problems = []
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        pointer = ""
        for step in fault["loc"]:
            pointer = child_pointer(pointer, step)
        kind = str(fault["type"])
        detail = _WORDS.get(kind) or f"FHIR R4 の形式ではありません / is not well formed ({kind})"
        problems.append(FieldProblem(fhirpath(root, pointer), detail))
    return tuple(dict.fromkeys(problems))[:MOST_TOLD]
