"""What comes beside a request is taken only if it is about this request and this person, and so."""

import json
from typing import Any

import pytest

from schemas.partner import ReferralSubmission
from schemas.problems import Refusal
from services.intake.fhir.names import system
from services.intake.fhir.reading import Came, read_post
from tests.builders import BUNKYO
from tests.through_their_own_systems.fhir_samples import (
    NOW,
    WARD,
    Json,
    a_patient,
    an_organisation,
    changed,
    contained_request,
)

AGENCY = "sample-hospital"
ANOTHER = {**a_patient(), "id": "p2", "name": [{"text": "別の人"}]}


def read(parcel: Json) -> Came | Refusal:
    return read_post(json.dumps(parcel).encode(), BUNKYO, AGENCY, NOW)


def taken(parcel: Json) -> ReferralSubmission:
    came = read(parcel)
    assert isinstance(came, Came), came
    return ReferralSubmission.model_validate_json(came.slip.raw())


def refused(parcel: Json) -> list[str]:
    refusal = read(parcel)
    assert isinstance(refusal, Refusal), refusal
    return [error.pointer.removeprefix("Bundle.entry") for error in refusal.errors]


def with_more(parcel: Json, *resources: Json) -> Json:
    parcel["entry"] += [{"resource": resource} for resource in resources]
    return parcel


# -- the Task --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_says", "task_says", "urgency"),
    [(None, "stat", "emergency"), ("asap", "urgent", "urgent"), ("stat", None, "emergency"),
     (None, None, "routine"), ("routine", "routine", "routine")],
)  # fmt: skip
def test_a_tasks_priority_is_heard(
    request_says: str | None, task_says: str | None, urgency: str
) -> None:
    parcel = changed(3, priority=task_says)
    parcel["entry"][0]["resource"]["priority"] = request_says
    if request_says is None:
        del parcel["entry"][0]["resource"]["priority"]
    assert taken(parcel).urgency == urgency


@pytest.mark.parametrize("task_says", ["stat", "routine", "someday"])
def test_two_priorities_that_differ_are_refused(task_says: str) -> None:
    assert refused(changed(3, priority=task_says)) == ["[3].resource.priority"]


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"focus": {"reference": "ServiceRequest/other"}}, "focus"),
        ({"focus": {"reference": "Patient/p1"}}, "focus"),
        ({"basedOn": [{"reference": "ServiceRequest/s1"}, {"reference": "CarePlan/1"}]}, "basedOn[1]"),
        ({"for": {"reference": "Patient/p2"}}, "for"),
        ({"for": {"reference": "Patient/elsewhere"}}, "for"),
        ({"for": {"display": "別の人"}}, "for"),
        ({"code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "abort"}]}},
         "code.coding[0]"),
    ],
)  # fmt: skip
def test_a_task_of_something_else_is_refused(fields: Json, where: str) -> None:
    assert refused(with_more(changed(3, **fields), ANOTHER)) == [f"[3].resource.{where}"]


def test_a_task_may_name_this_request_and_person_in_every_way() -> None:
    this = {"reference": "ServiceRequest/s1"}
    taken(changed(3, basedOn=[this], **{"for": {"reference": "Patient/p1"}}))
    alone = contained_request()
    task = {"resourceType": "Task", "id": "t", "status": "requested", "intent": "order"}
    task |= {"focus": {"reference": "#"}, "for": {"reference": "#p1"}}
    taken({**alone, "contained": [*alone["contained"], task]})
    other = {**task, "focus": {"reference": "#p1"}}
    assert refused({**alone, "contained": [*alone["contained"], other]}) == [
        "ServiceRequest.contained[2].focus"
    ]


def test_two_times_that_differ_are_refused() -> None:
    end = "2026-11-21T18:00:00+09:00"
    for field in ({"occurrenceDateTime": end}, {"occurrencePeriod": {"end": end}}):
        assert str(taken(changed(0, **field)).requested_by) == "2026-11-21 18:00:00+09:00"
    assert refused(changed(0, occurrenceDateTime="2026-11-25")) == [
        "[3].resource.restriction.period.end"
    ]
    day = changed(0, occurrenceDateTime="2026-11-25")
    del day["entry"][3]["resource"]["restriction"]
    assert str(taken(day).requested_by) == "2026-11-25 23:59:59+09:00"


def test_what_is_not_read_of_a_task_is_told() -> None:
    came = read(changed(3, authoredOn="2026-11-20", description="至急"))
    assert isinstance(came, Came)
    assert {f"Bundle.entry[3].resource.{name}" for name in ("authoredOn", "description")} <= set(
        came.left
    )


# -- the reasons -----------------------------------------------------------------------------------


def a_condition(**more: Any) -> Json:
    return {
        "resourceType": "Condition",
        "id": "k",
        "code": {"coding": [{"display": "不眠症"}]},
        "subject": {"reference": "Patient/p1"},
        **more,
    }


def because_of(condition: Json) -> Json:
    parcel = changed(0, reasonReference=[{"reference": "Condition/k"}], reasonCode=None)
    return with_more(parcel, condition, ANOTHER)


def status(name: str, code: str) -> Json:
    wanted = f"http://terminology.hl7.org/CodeSystem/condition-{name}"
    return {"coding": [{"system": wanted, "code": code}]}


def test_a_condition_of_the_person_is_a_reason() -> None:
    assert taken(because_of(a_condition())).complaint == "不眠症"
    confirmed = a_condition(verificationStatus=status("ver-status", "confirmed"))
    assert taken(because_of(confirmed)).complaint == "不眠症"


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"subject": {"reference": "Patient/p2"}}, "subject"),
        ({"subject": {"reference": "Patient/elsewhere"}}, "subject"),
        ({"verificationStatus": status("ver-status", "refuted")}, "verificationStatus.coding[0]"),
        ({"verificationStatus": status("ver-status", "entered-in-error")},
         "verificationStatus.coding[0]"),
        ({"clinicalStatus": status("clinical", "resolved")}, "clinicalStatus.coding[0]"),
    ],
)  # fmt: skip
def test_a_condition_of_another_or_one_that_is_not_so_is_refused(fields: Json, where: str) -> None:
    assert refused(because_of(a_condition(**fields))) == [f"[4].resource.{where}"]


def test_a_reason_that_is_not_here_is_told_as_not_taken() -> None:
    came = read(changed(0, reasonReference=[{"reference": "Condition/elsewhere"}]))
    assert isinstance(came, Came)
    assert "Bundle.entry[0].resource.reasonReference[0]" in came.left


# -- who asks, and who is asked --------------------------------------------------------------------


def test_whoever_asks_is_the_person_or_of_the_persons_family() -> None:
    sister = {"resourceType": "RelatedPerson", "id": "r", "patient": {"reference": "Patient/p2"}}
    for requester in ("Patient/p2", "RelatedPerson/r"):
        parcel = changed(0, requester={"reference": requester})
        assert refused(with_more(parcel, ANOTHER, sister)) == ["[0].resource.requester"]
    hers = {**sister, "patient": {"reference": "Patient/p1"}}
    for requester, reported_by in (("Patient/p1", "self"), ("RelatedPerson/r", "family")):
        parcel = with_more(changed(0, requester={"reference": requester}), hers)
        assert taken(parcel).reported_by == reported_by


def test_an_unknown_receiver_beside_a_known_one_is_told() -> None:
    known = {"identifier": {"system": system(WARD, "agency"), "value": "hub-motofuji"}}
    elsewhere = {"identifier": {"system": "urn:tsunagu:131016:agency", "value": "x"}}
    for other in ({"display": "別の病院"}, elsewhere):
        for performers in ([known, other], [other, known], [other]):
            assert refused(changed(0, performer=performers)) == ["[0].resource.performer"]


def test_a_department_is_part_of_its_agency() -> None:
    department = {"resourceType": "Organization", "id": "d", "name": "相談室",
                  "partOf": {"reference": "Organization/to1"}}  # fmt: skip
    role = {"resourceType": "PractitionerRole", "id": "w",
            "organization": {"reference": "Organization/d"}}  # fmt: skip
    performer = [{"reference": "Organization/d"}, {"reference": "PractitionerRole/w"}]
    parcel = changed(0, performer=performer)
    to = taken(with_more(parcel, department, role, an_organisation("hub-motofuji"))).to
    assert to is not None
    assert to.agency == "hub-motofuji"
