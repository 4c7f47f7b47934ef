"""ServiceRequest → our submission (つなぎの依頼). Pure.

Modifier elements are read before anything else: a draft, a withdrawn or a "do not perform" request is
no referral (https://hl7.org/fhir/R4/servicerequest.html).
"""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from schemas.base import JsonObject
from schemas.partner import Reference
from services.intake.fhir import moments
from services.intake.fhir.consent import read_consent
from services.intake.fhir.names import ABSENT, TASK_CODE, system
from services.intake.fhir.parcel import Parcel, Resource, codes, texts
from services.intake.fhir.parties import read_receiver, read_requester, read_sender
from services.intake.fhir.person import read_person
from services.intake.fhir.reasons import said
from services.intake.fhir.slip import Slip
from services.intake.fhir.tables import PRIORITY_OF_URGENCY, URGENCY_OF_PRIORITY
from wards.model import Ward
from wards.terms import RequestedAction

_INTENTS = ("order", "original-order", "directive")
_TASK_STATUSES = ("requested", "ready")
_REFERENCE: TypeAdapter[str] = TypeAdapter(Reference)


def read_request(
    slip: Slip, parcel: Parcel, request: Resource, ward: Ward, agency: str
) -> list[str]:
    """Write everything; gives where the reasons stand that were not taken."""
    body, path = request.body, request.path
    patient = parcel.find(body.get("subject"), request)
    if body.get("status") != "active":
        slip.wrong(
            f"{path}.status", "active の依頼だけを受け付けます / only an active request is taken"
        )
    if body.get("intent") not in _INTENTS:
        slip.wrong(f"{path}.intent", f"{', '.join(_INTENTS)} のいずれか / must be one of these")
    if body.get("doNotPerform"):
        slip.wrong(
            f"{path}.doNotPerform", "「しない」依頼は出せません / a request not to act is none"
        )
    _read_reference(slip, parcel, body, path)
    _read_urgency(slip, request, parcel.of("Task")[:1])
    _read_what(slip, body, path, ward)
    left = _read_words(slip, parcel, request, patient)
    _read_when(slip, body, path)
    _read_patient(slip, parcel, request, patient)
    read_consent(slip, parcel, request)
    read_requester(slip, parcel, request, patient, agency)
    read_receiver(
        slip, parcel, [(p, request) for p in body.get("performer") or ()], f"{path}.performer"
    )
    _read_task(slip, parcel, request, patient, agency)
    for name, pointer in (("risks", "/risks"), ("reported-by", "/reported_by")):
        found = request.extension(name)
        if found is not None:
            slip.put(pointer, *found)
    return left


def read_reference(slip: Slip, value: Any, where: str) -> None:
    """Their identifier as the sender's reference, where it can be one: it need not have our form."""
    try:
        slip.put("/sender_reference", _REFERENCE.validate_python(value), where)
    except ValidationError:
        return


def _read_reference(slip: Slip, parcel: Parcel, body: JsonObject, path: str) -> None:
    ours = system(parcel.ward, "sender-reference")
    number = system(parcel.ward, "referral-number")
    said = [
        (i, identifier)
        for i, identifier in enumerate(body.get("identifier") or ())
        if identifier.get("value") and identifier.get("use") != "old"
        if identifier.get("system") != number
    ]
    said.sort(key=lambda found: found[1].get("system") != ours)
    for i, identifier in said[:1]:
        read_reference(slip, identifier["value"], f"{path}.identifier[{i}].value")


def _read_urgency(slip: Slip, request: Resource, tasks: list[Resource]) -> None:
    """The priority of the request, or else of its Task; of two that differ, none."""
    said = [
        (r.body["priority"], f"{r.path}.priority")
        for r in (request, *tasks)
        if r.body.get("priority")
    ]
    for priority, where in said:
        if priority not in URGENCY_OF_PRIORITY:
            slip.wrong(where, f"{', '.join(URGENCY_OF_PRIORITY)} のいずれか / must be one of these")
            return
    if len({URGENCY_OF_PRIORITY[priority] for priority, _ in said}) > 1:
        slip.wrong(
            said[1][1], "依頼の priority と食い違います / it contradicts that of the request"
        )
    priority, where = said[0] if said else ("routine", f"{request.path}.priority")
    slip.put("/urgency", URGENCY_OF_PRIORITY[priority].value, where)
    found = request.extension("urgency")
    if found is None:
        return
    said, stands = found
    if (
        said in list(PRIORITY_OF_URGENCY)
        and URGENCY_OF_PRIORITY[priority] is not (URGENCY_OF_PRIORITY[PRIORITY_OF_URGENCY[said]])
    ):
        slip.wrong(stands, "priority と食い違います / it contradicts priority")
    slip.put("/urgency", said, stands)


def _read_what(slip: Slip, body: JsonObject, path: str, ward: Ward) -> None:
    """Function, requested action and topics. The action alone tells the function."""
    actions = [*codes(body.get("code"), system(ward.code, "requested-action"), f"{path}.code")]
    functions = [*codes(body.get("category"), system(ward.code, "function"), f"{path}.category")]
    if actions:
        slip.put("/requested_action", *actions[0])
        term = ward.term("requested_actions", actions[0][0])
        if not functions and isinstance(term, RequestedAction):
            functions = [(term.function, actions[0][1])]
    if len({code for code, _ in functions}) > 1:
        slip.wrong(f"{path}.category", "機能は一つにしてください / one function only")
    elif functions:
        slip.put("/function", *functions[0])
    else:
        slip.wrong(
            f"{path}.category",
            f"機能が要ります。category に system {system(ward.code, 'function')} のコードを書いてください"
            "（/v1/directory の functions） / the function is needed, as a code of that system",
        )
    topics = [*codes(body.get("reasonCode"), system(ward.code, "topic"), f"{path}.reasonCode")]
    if topics:
        slip.put("/topics", [code for code, _ in topics], f"{path}.reasonCode")


def _read_words(
    slip: Slip, parcel: Parcel, request: Resource, patient: Resource | None
) -> list[str]:
    body, path, left = request.body, request.path, []
    notes = [*texts(body.get("note"), f"{path}.note")]
    reasons = [*texts(body.get("reasonCode"), f"{path}.reasonCode")]
    for i, reference in enumerate(body.get("reasonReference") or ()):
        where = f"{path}.reasonReference[{i}]"
        condition = parcel.look(reference, request)
        named = condition is not None and condition.type == "Condition"
        words = said(slip, parcel, condition, patient) if named else None
        if words is not None:
            reasons.append((words, where))
        else:
            left.append(where)
    slip.expect("/summary", f"{path}.note")
    if notes:
        slip.put("/summary", "\n".join(text for text, _ in notes), f"{path}.note")
    if reasons:
        slip.put("/complaint", "\n".join(text for text, _ in reasons), reasons[0][1])
    return left


def _read_when(slip: Slip, body: JsonObject, path: str) -> None:
    if body.get("occurrenceDateTime"):
        wanted = moments.last_moment(body["occurrenceDateTime"])
        slip.put("/requested_by", wanted, f"{path}.occurrence")
    elif (body.get("occurrencePeriod") or {}).get("end"):
        wanted = moments.last_moment(body["occurrencePeriod"]["end"])
        slip.put("/requested_by", wanted, f"{path}.occurrence.end")


def _read_patient(slip: Slip, parcel: Parcel, request: Resource, patient: Resource | None) -> None:
    subject = request.body.get("subject") or {}
    if patient is not None and patient.type == "Patient":
        read_person(slip, parcel, patient)
        return
    masked = any(held.get("url") == ABSENT for held in subject.get("extension") or ())
    if not masked:
        slip.wrong(
            f"{request.path}.subject",
            "本人（Patient）がありません。Bundle か contained に Patient を入れ、subject から参照してください。"
            "個人情報なし（根拠 N）のときは subject に data-absent-reason を付けます / the Patient is missing: put it "
            "into the Bundle or into contained; with basis N say data-absent-reason",
        )


def _read_task(
    slip: Slip, parcel: Parcel, request: Resource, patient: Resource | None, agency: str
) -> None:
    """A Task that comes with a new referral can only ask for this one to be done."""
    tasks = parcel.of("Task")
    for task in tasks[1:]:
        slip.wrong(task.path, "Task は一つだけにしてください / one Task only")
    for task in tasks[:1]:
        body = parcel.use(task).body
        if body.get("status") not in _TASK_STATUSES:
            slip.wrong(
                f"{task.path}.status", "新しい依頼の Task は requested です / it must be requested"
            )
        if body.get("intent") not in _INTENTS:
            slip.wrong(
                f"{task.path}.intent", f"{', '.join(_INTENTS)} のいずれか / must be one of these"
            )
        about = [("focus", body.get("focus"), request), ("for", body.get("for"), patient)]
        about += [
            (f"basedOn[{i}]", reference, request)
            for i, reference in enumerate(body.get("basedOn") or ())
        ]
        for name, reference, wanted in about:
            if not parcel.concerns(reference, task, wanted):
                slip.wrong(
                    f"{task.path}.{name}", "この依頼のものではありません / it is of something else"
                )
        for code, where in codes(body.get("code"), TASK_CODE, f"{task.path}.code"):
            if code != "fulfill":
                slip.wrong(where, "fulfill だけを受け付けます / only fulfill is taken")
        read_sender(slip, parcel, body.get("requester"), task, f"{task.path}.requester", agency)
        if body.get("owner"):
            read_receiver(slip, parcel, [(body["owner"], task)], f"{task.path}.owner")
        end = ((body.get("restriction") or {}).get("period") or {}).get("end")
        wanted_by, where = moments.last_moment(end), f"{task.path}.restriction.period.end"
        if wanted_by and slip.body.get("requested_by", wanted_by) != wanted_by:
            slip.wrong(where, "期限が二通りあります / it names two different times")
        elif wanted_by:
            slip.put("/requested_by", wanted_by, where)
