"""A Task with a new status (``PUT /fhir/Task/{id}``) → one of our calls and its body. Pure.

Only the status, its reason, notes and the output are read: nothing else of a Task is the sender's to
change.
"""

from dataclasses import dataclass

from schemas.base import JsonObject
from schemas.problems import Refusal, invalid
from services.intake.calls import CALLS, Call
from services.intake.fhir import names
from services.intake.fhir.names import system
from services.intake.fhir.parcel import codes, texts
from services.intake.fhir.slip import Slip
from services.intake.fhir.tables import CALL_OF_HANDOFF_TASK, CALL_OF_REFERRAL_TASK
from wards.model import Ward
from wards.terms import DeclineReason

_CALLS = {call.name: call for call in CALLS}


@dataclass(frozen=True, slots=True)
class Asked:
    call: Call
    slip: Slip


def read_answer(task: JsonObject, task_id: str, ward: Ward, *, handoff: bool) -> Asked | Refusal:
    """``task_id``: in lower case. ``handoff``: the Task is that of a hand-off, not of the referral as a whole."""
    if task["resourceType"] != "Task":
        return invalid(task["resourceType"], "Task を送ってください / send a Task")
    if str(task.get("id")).lower() != task_id:
        return invalid("Task.id", "パスの id と同じにしてください / must be the id in the path")
    table = CALL_OF_HANDOFF_TASK if handoff else CALL_OF_REFERRAL_TASK
    name = table.get(str(task.get("status")))
    if name is None:
        return invalid("Task.status", f"{', '.join(table)} のいずれか / must be one of these")
    slip = Slip("Task")
    reason = task.get("statusReason") or {}
    words = [text for text, _ in texts(task.get("note"), "Task.note")]
    if reason.get("text"):
        words.insert(0, reason["text"])
    if words:
        slip.put("/text", "\n".join(words), "Task.note")
    slip.expect("/text", "Task.note")
    if name == "decline_handoff":
        _read_decline(slip, reason, ward)
    if name in ("complete_handoff", "close_referral"):
        _read_outcome(slip, task, ward)
    return slip.refusal or Asked(_CALLS[name], slip)


def _read_decline(slip: Slip, reason: JsonObject, ward: Ward) -> None:
    wanted = system(ward.code, "decline-reason")
    said = [*codes(reason, wanted, "Task.statusReason")]
    if not said:
        slip.wrong(
            "Task.statusReason",
            f"辞退理由が要ります（system {wanted}、コードは /v1/directory の decline_reasons） / the reason "
            "is needed, as a code of that system",
        )
        return
    slip.put("/reason", *said[0])
    by = [*codes(reason, names.SAID_BY, "Task.statusReason")]
    term = ward.term("decline_reasons", said[0][0])
    only = term.said_by if isinstance(term, DeclineReason) else ()
    if by:
        slip.put("/said_by", *by[0])
    else:
        # The receiver answers; unless only the person can have given this reason.
        slip.put("/said_by", only[0].value if len(only) == 1 else "agency", "Task.statusReason")


def _read_outcome(slip: Slip, task: JsonObject, ward: Ward) -> None:
    wanted = system(ward.code, "outcome")
    for i, output in enumerate(task.get("output") or ()):
        where = f"Task.output[{i}].value"
        for code, _ in codes(output.get("valueCodeableConcept"), wanted, where):
            slip.put("/outcome", code, where)
            return
    slip.wrong(
        "Task.output",
        f"結果が要ります（valueCodeableConcept に system {wanted} のコード、/v1/directory の outcomes） / the "
        "outcome is needed, as a code of that system",
    )
