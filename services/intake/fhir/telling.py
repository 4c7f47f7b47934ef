"""A referral as this agency may see it → ServiceRequest and Tasks. Pure.

One Task for the referral as a whole, owned by its custodian, and one for each hand-off, owned by the
agency that was asked. Personal data is there only where the plain API opens it (``given["opened"]``).
"""

from schemas.base import JsonObject
from schemas.codes import HandoffState, SaidBy, Stage, Urgency
from services.intake.fhir import names
from services.intake.fhir.consent import tell_consent
from services.intake.fhir.names import extension, system
from services.intake.fhir.person import tell_patient
from services.intake.fhir.tables import (
    PRIORITY_OF_URGENCY,
    REQUEST_STATUS,
    TASK_OF_HANDOFF,
    TASK_OF_STAGE,
)
from wards.model import Vocabulary, Ward

Given = JsonObject


def service_request(given: Given, ward: Ward) -> JsonObject:
    urgency = Urgency(given["urgency"])
    identifiers = [{"system": system(ward.code, "referral-number"), "value": given["number"]}]
    if given.get("sender_reference"):
        own = {"system": system(ward.code, "sender-reference"), "value": given["sender_reference"]}
        identifiers.append(own)
    patient = tell_patient(given)
    reasons = [_concept(ward, "topics", "topic", code) for code in given.get("topics") or ()]
    if given.get("complaint"):
        reasons.append({"text": given["complaint"]})
    told: JsonObject = {
        "resourceType": "ServiceRequest",
        "id": given["id"],
        "meta": _meta(given),
        "contained": [tell_consent(given, ward.code), *([patient] if patient else ())],
        "extension": [
            {"url": extension("urgency"), "valueCode": urgency.value},
            {"url": extension("reported-by"), "valueCode": given["reported_by"]},
            *(
                [{"url": extension("risks"), "valueString": given["risks"]}]
                if given.get("risks")
                else ()
            ),
        ],
        "identifier": identifiers,
        "status": REQUEST_STATUS[Stage(given["stage"])],
        "intent": "order",
        "category": [_concept(ward, "functions", "function", given["function"])],
        "priority": PRIORITY_OF_URGENCY[urgency],
        "subject": {"reference": "#patient"} if patient else _masked(given),
        "authoredOn": given["submitted_at"],
        "requester": _agency(ward, given["sender"]),
        "supportingInfo": [{"reference": "#consent"}],
    }
    if given.get("requested_action"):
        action = given["requested_action"]
        told["code"] = _concept(ward, "requested_actions", "requested-action", action)
    if given.get("requested_by"):
        told["occurrencePeriod"] = {"end": given["requested_by"]}
    receivers = [h["to"] for h in given.get("handoffs") or () if _asked(h)]
    if receivers:
        told["performer"] = [_agency(ward, agency) for agency in dict.fromkeys(receivers)]
    if reasons:
        told["reasonCode"] = reasons
    if given.get("summary"):
        told["note"] = [{"text": given["summary"]}]
    return told


def tasks(given: Given, ward: Ward) -> list[JsonObject]:
    """The whole referral's Task, then those of its hand-offs, oldest first."""
    handoffs = given.get("handoffs") or ()
    return [referral_task(given, ward), *(handoff_task(given, h, ward) for h in handoffs)]


def referral_task(given: Given, ward: Ward) -> JsonObject:
    stage = Stage(given["stage"])
    task = _task(given, given["id"], TASK_OF_STAGE[stage])
    task |= {
        "businessStatus": {"coding": [{"system": names.STAGE, "code": stage.value}]},
        "authoredOn": given["submitted_at"],
        "lastModified": given["updated_at"],
        "requester": _agency(ward, given["sender"]),
        "owner": _agency(ward, given["custodian"]),
    }
    if given.get("outcome"):
        task["output"] = [_outcome(ward, given["outcome"])]
    return task


def handoff_task(given: Given, handoff: JsonObject, ward: Ward) -> JsonObject:
    state = HandoffState(handoff["state"])
    task = _task(given, handoff["id"], TASK_OF_HANDOFF[state])
    kind = {"system": names.HANDOFF_KIND, "code": handoff["kind"]}
    task["code"]["coding"].append(kind)
    task |= {
        "partOf": [{"reference": f"Task/{given['id']}"}],
        "businessStatus": {"coding": [{"system": names.HANDOFF_STATE, "code": state.value}]},
        "authoredOn": handoff["offered_at"],
        "lastModified": handoff.get("answered_at") or handoff["offered_at"],
        "requester": _agency(ward, handoff["from"]),
        "owner": _agency(ward, handoff["to"]),
    }
    if handoff.get("reason"):
        reason = _concept(ward, "decline_reasons", "decline-reason", handoff["reason"])
        if handoff.get("said_by"):
            said_by = SaidBy(handoff["said_by"]).value
            reason["coding"].append({"system": names.SAID_BY, "code": said_by})
        task["statusReason"] = reason
    if handoff.get("due_at"):
        task["restriction"] = {"period": {"end": handoff["due_at"]}}
    if handoff.get("outcome"):
        task["output"] = [_outcome(ward, handoff["outcome"])]
    return task


def bundle(kind: str, resources: list[JsonObject]) -> JsonObject:
    """``collection``, or ``searchset`` with its total."""
    told: JsonObject = {"resourceType": "Bundle", "type": kind}
    if kind == "searchset":
        told["total"] = len(resources)
    if resources:
        match = {"search": {"mode": "match"}} if kind == "searchset" else {}
        told["entry"] = [{"resource": resource, **match} for resource in resources]
    return told


def _task(given: Given, task_id: str, status: str) -> JsonObject:
    reference = {"reference": f"ServiceRequest/{given['id']}"}
    return {
        "resourceType": "Task",
        "id": task_id,
        "meta": _meta(given),
        "basedOn": [reference],
        "status": status,
        "intent": "order",
        "priority": PRIORITY_OF_URGENCY[Urgency(given["urgency"])],
        "code": {"coding": [{"system": names.TASK_CODE, "code": "fulfill"}]},
        "focus": reference,
    }


def _meta(given: Given) -> JsonObject:
    return {"versionId": str(given["version"]), "lastUpdated": given["updated_at"]}


def _asked(handoff: JsonObject) -> bool:
    return handoff["state"] in (HandoffState.OFFERED, HandoffState.ACCEPTED, HandoffState.COMPLETED)


def _masked(given: Given) -> JsonObject:
    """A request is always about somebody; who it is, is not told, or nobody said."""
    reason = "unknown" if given.get("opened") else "masked"
    return {"extension": [{"url": names.ABSENT, "valueCode": reason}]}


def _agency(ward: Ward, agency_id: str) -> JsonObject:
    known = ward.agency(agency_id)
    told: JsonObject = {
        "type": "Organization",
        "identifier": {"system": system(ward.code, "agency"), "value": agency_id},
    }
    return told | ({"display": known.name} if known else {})


def _concept(ward: Ward, vocabulary: Vocabulary, what: str, code: str) -> JsonObject:
    term = ward.term(vocabulary, code)
    coding = {"system": system(ward.code, what), "code": code}
    return {"coding": [coding | ({"display": term.ja} if term else {})]}


def _outcome(ward: Ward, code: str) -> JsonObject:
    return {
        "type": {"text": "結果 / outcome"},
        "valueCodeableConcept": _concept(ward, "outcomes", "outcome", code),
    }
