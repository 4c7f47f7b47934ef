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
from services.intake.fhir.names import ABSENT, system
from services.intake.fhir.parcel import Parcel, Resource, codes, texts
from services.intake.fhir.person import first_name, read_person
from services.intake.fhir.slip import Slip
from services.intake.fhir.tables import PRIORITY_OF_URGENCY, URGENCY_OF_PRIORITY
from wards.model import Ward
from wards.terms import RequestedAction

_INTENTS = ("order", "original-order", "directive")
_TASK_STATUSES = ("requested", "ready")
_NEIGHBOUR = "NBOR"
_REFERENCE: TypeAdapter[str] = TypeAdapter(Reference)


def read_request(slip: Slip, parcel: Parcel, request: Resource, ward: Ward, agency: str) -> None:
    body, path = request.body, request.path
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
    _read_urgency(slip, request)
    _read_what(slip, body, path, ward)
    _read_words(slip, parcel, request)
    _read_when(slip, body, path)
    _read_patient(slip, parcel, request)
    read_consent(slip, parcel, request)
    _read_requester(slip, parcel, request, agency)
    read_receiver(
        slip, parcel, [(p, request) for p in body.get("performer") or ()], f"{path}.performer"
    )
    _read_task(slip, parcel, agency)
    for name, pointer in (("risks", "/risks"), ("reported-by", "/reported_by")):
        found = request.extension(name)
        if found is not None:
            slip.put(pointer, *found)


def read_receiver(
    slip: Slip, parcel: Parcel, references: list[tuple[Any, Resource]], where: str
) -> None:
    """Write ``to``. Whoever names a receiver that is not known here is told, not routed by address:
    the sender meant somebody."""
    places = [parcel.place(reference, holder) for reference, holder in references]
    known = [place for place in places if place is not None]
    slip.expect("/to", where)
    if references and not known:
        slip.wrong(
            where,
            f"宛先がこのネットワークの機関として書かれていません。Organization.identifier に system "
            f"{system(parcel.ward, 'agency')} の機関 ID を書くか、宛先を省いてください（住所から決まります） / the "
            "receiver is not named as an agency of this network: give its id in that system, or leave "
            "the receiver out",
        )
    elif any(place != known[0] for place in known[1:]):
        slip.wrong(where, "宛先は一つにしてください / one receiver only")
    elif known and slip.body.get("to", known[0]) != known[0]:
        slip.wrong(where, "宛先が二通りあります / it names two different receivers")
    elif known:
        slip.put("/to", known[0], where)


def read_sender(
    slip: Slip, parcel: Parcel, reference: Any, holder: Resource, where: str, agency: str
) -> None:
    """Whoever is named as the sender must be the one who sends; the key says who that is."""
    place = parcel.place(reference, holder)
    if place is not None and place != {"agency": agency}:
        slip.wrong(
            where, "依頼元が、この鍵の機関と違います / the sender is not the agency of this key"
        )


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


def _read_urgency(slip: Slip, request: Resource) -> None:
    priority = request.body.get("priority", "routine")
    where = f"{request.path}.priority"
    if priority not in URGENCY_OF_PRIORITY:
        slip.wrong(where, f"{', '.join(URGENCY_OF_PRIORITY)} のいずれか / must be one of these")
        return
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


def _read_words(slip: Slip, parcel: Parcel, request: Resource) -> None:
    body, path = request.body, request.path
    notes = [*texts(body.get("note"), f"{path}.note")]
    reasons = [*texts(body.get("reasonCode"), f"{path}.reasonCode")]
    for i, reference in enumerate(body.get("reasonReference") or ()):
        condition = parcel.find(reference, request)
        concept = (
            condition.body.get("code") if condition and condition.type == "Condition" else None
        )
        words = concept.get("text") if isinstance(concept, dict) else None
        if isinstance(words, str) and words.strip():
            reasons.append((words.strip(), f"{path}.reasonReference[{i}]"))
    slip.expect("/summary", f"{path}.note")
    if notes:
        slip.put("/summary", "\n".join(text for text, _ in notes), f"{path}.note")
    if reasons:
        slip.put("/complaint", "\n".join(text for text, _ in reasons), reasons[0][1])


def _read_when(slip: Slip, body: JsonObject, path: str) -> None:
    if body.get("occurrenceDateTime"):
        wanted = moments.last_moment(body["occurrenceDateTime"])
        slip.put("/requested_by", wanted, f"{path}.occurrence")
    elif (body.get("occurrencePeriod") or {}).get("end"):
        wanted = moments.last_moment(body["occurrencePeriod"]["end"])
        slip.put("/requested_by", wanted, f"{path}.occurrence.end")


def _read_patient(slip: Slip, parcel: Parcel, request: Resource) -> None:
    subject = request.body.get("subject") or {}
    patient = parcel.find(subject, request)
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


def _read_requester(slip: Slip, parcel: Parcel, request: Resource, agency: str) -> None:
    reference = request.body.get("requester")
    where = f"{request.path}.requester"
    read_sender(slip, parcel, reference, request, where, agency)
    requester = parcel.find(reference, request)
    if requester is None:
        return
    if requester.type == "Patient":
        slip.put("/reported_by", "self", where)
    elif requester.type == "RelatedPerson":
        concepts = requester.body.get("relationship") or ()
        said = {c.get("code") for concept in concepts for c in concept.get("coding") or ()}
        slip.put("/reported_by", "neighbour" if _NEIGHBOUR in said else "family", where)
    staff = requester
    if requester.type == "PractitionerRole":
        staff = parcel.find(requester.body.get("practitioner"), requester) or requester
    if staff.type == "Practitioner":
        name = first_name(parcel, staff.body.get("name"))
        if name is not None:
            slip.put("/staff", name, f"{staff.path}.name")


def _read_task(slip: Slip, parcel: Parcel, agency: str) -> None:
    """A Task that comes with a new referral can only ask for it to be done."""
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
        read_sender(slip, parcel, body.get("requester"), task, f"{task.path}.requester", agency)
        if body.get("owner"):
            read_receiver(slip, parcel, [(body["owner"], task)], f"{task.path}.owner")
        end = ((body.get("restriction") or {}).get("period") or {}).get("end")
        if end and not slip.has("/requested_by"):
            slip.put("/requested_by", end, f"{task.path}.restriction.period.end")
