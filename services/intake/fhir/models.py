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
from schemas.my_number import child_pointer
from schemas.problems import FieldProblem, ProblemCode, Refusal, invalid
from services.intake.fhir.bounds import MOST_TOLD, fhirpath, root_name
from services.intake.fhir.parcel import resources

_WORDS = {
    "missing": "必須です / is required",
    "extra_forbidden": "FHIR R4 にない要素です / no such element in FHIR R4",
    "string_type": "文字列で書いてください / must be a string",
    "list_type": "配列で書いてください / must be a list",
}


class _Model(Protocol):
    @classmethod
    def model_validate(cls, value: Any) -> Any: ...


def check(value: JsonObject) -> Refusal | None:
    """Every mistake of a resource as FHIR, with its FHIRPath. Values are never repeated."""
    root = root_name(value)
    unknown = [r.path for r in resources(value) if not _is_resource(r.body.get("resourceType"))]
    if unknown:
        told = "FHIR R4 にないリソースです / no such resource in FHIR R4"
        return invalid(root if unknown[0] == value["resourceType"] else unknown[0], told)
    try:
        _model(value["resourceType"]).model_validate(value)
    except ValidationError as error:
        return Refusal(ProblemCode.INVALID_REQUEST, _problems(error, root))
    except (AttributeError, KeyError, TypeError):
        # Where something else than a resource stands for one, the library stumbles over it.
        return invalid(root, "FHIR R4 の形ではありません / not the shape of FHIR R4")
    return None


def _model(name: str) -> type[_Model]:
    """Raises ValueError, KeyError or AttributeError for what there is none of."""
    from fhir.resources.R4B import get_fhir_model_class

    return cast(type[_Model], get_fhir_model_class(name))


def _is_resource(name: Any) -> bool:
    from fhir.resources.R4B.resource import Resource

    if not isinstance(name, str) or not name.isascii() or not name.isalpha():
        return False
    try:
        return issubclass(_model(name), Resource)
    except (AttributeError, KeyError, TypeError, ValueError):
        return False


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
