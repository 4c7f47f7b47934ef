"""Every state has its FHIR, and what went out as FHIR comes back as the same."""

import json
from datetime import date, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codes import (
    AddressKind,
    HandoffKind,
    HandoffState,
    Household,
    ReportedBy,
    Scope,
    Stage,
    Urgency,
)
from schemas.outside import JAPAN
from schemas.partner import HandoffGiven, PreferredContact, ReferralGiven, ReferralSubmission
from schemas.problems import ProblemCode, Refusal
from services.intake.calls import CALLS
from services.intake.fhir import models, tables, telling
from services.intake.fhir.answering import Asked, read_answer
from services.intake.fhir.capability import capability
from services.intake.fhir.names import EXTENSIONS, WARD_SYSTEMS, extension, system
from services.intake.fhir.outcome import not_taken, outcome, pending
from services.intake.fhir.reading import Came, read_post
from tests.builders import BUNKYO
from tests.through_their_own_systems.fhir_samples import WARD, Json

# Published value sets: https://hl7.org/fhir/R4/valueset-task-status.html, …-request-status.html,
# …-request-priority.html, …-issue-type.html.
TASK_STATUSES = {
    "draft", "requested", "received", "accepted", "rejected", "ready", "cancelled", "in-progress",
    "on-hold", "failed", "completed", "entered-in-error",
}  # fmt: skip
REQUEST_STATUSES = {
    "draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown",
}  # fmt: skip
PRIORITIES = {"routine", "urgent", "asap", "stat"}
ISSUES = {
    "invalid", "structure", "required", "value", "invariant", "security", "login", "unknown",
    "expired", "forbidden", "suppressed", "processing", "not-supported", "duplicate",
    "multiple-matches", "not-found", "deleted", "too-long", "code-invalid", "extension",
    "too-costly", "business-rule", "conflict", "transient", "lock-error", "no-store", "exception",
    "timeout", "incomplete", "throttled", "informational",
}  # fmt: skip
ID, HANDOFF = str(uuid4()), str(uuid4())


def a_referral(**more: Any) -> Json:
    given = {
        "id": ID, "number": "131059-2026-000001", "ward": WARD, "version": 3, "stage": "offered",
        "custodian": "anshin-motofuji", "sender": "anshin-motofuji", "function": "emergency",
        "urgency": "urgent", "reported_by": "agency", "household": "unknown",
        "consent_basis": "C2", "submitted_at": "2026-11-20T16:50:00+09:00",
        "updated_at": "2026-11-20T16:50:01+09:00",
    }  # fmt: skip
    return ReferralGiven.model_validate({**given, **more}).model_dump(
        mode="json", exclude_none=True, by_alias=True
    )


def a_handoff(**more: Any) -> Json:
    handoff = {
        "id": HANDOFF, "kind": "transfer", "function": "emergency", "from": "anshin-motofuji",
        "to": "hub-motofuji", "state": "offered", "offered_at": "2026-11-20T16:50:01+09:00",
        "due_at": "2026-11-20T17:05:01+09:00",
    }  # fmt: skip
    return HandoffGiven.model_validate({**handoff, **more}).model_dump(
        mode="json", exclude_none=True, by_alias=True
    )


def test_every_state_has_a_status_that_fhir_knows() -> None:
    assert set(tables.REQUEST_STATUS) == set(tables.TASK_OF_STAGE) == set(Stage)
    assert set(tables.TASK_OF_HANDOFF) == set(HandoffState)
    assert set(tables.PRIORITY_OF_URGENCY) == set(Urgency)
    assert set(tables.URGENCY_OF_PRIORITY) == PRIORITIES
    assert set(tables.PRIORITY_OF_URGENCY.values()) <= PRIORITIES
    assert set(tables.REQUEST_STATUS.values()) <= REQUEST_STATUSES
    assert {*tables.TASK_OF_STAGE.values(), *tables.TASK_OF_HANDOFF.values()} <= TASK_STATUSES


def test_a_status_reads_back_as_the_state_that_it_was_made_of() -> None:
    for stage in Stage:
        task = telling.referral_task(a_referral(stage=stage), BUNKYO)
        assert tables.STAGE_OF_TASK[task["status"]] is stage
        assert task["businessStatus"]["coding"][0]["code"] == stage
        assert models.check(task) is None
        request = telling.service_request(a_referral(stage=stage), BUNKYO)
        assert request["status"] == tables.REQUEST_STATUS[stage]
        assert models.check(request) is None
    for state in HandoffState:
        for kind in HandoffKind:
            handoff = a_handoff(state=state, kind=kind)
            task = telling.handoff_task(a_referral(), handoff, BUNKYO)
            assert tables.HANDOFF_OF_TASK[task["status"]] is state
            assert task["code"]["coding"][1]["code"] == kind
            assert models.check(task) is None


def test_the_owner_is_the_custodian_and_of_an_offer_whoever_was_asked() -> None:
    given = a_referral(custodian="core", handoffs=[a_handoff()])
    whole, offer = telling.tasks(given, BUNKYO)
    assert whole["owner"]["identifier"]["value"] == "core"
    assert offer["owner"]["identifier"]["value"] == "hub-motofuji"
    assert offer["requester"]["identifier"]["value"] == "anshin-motofuji"
    assert offer["partOf"] == [{"reference": f"Task/{ID}"}]
    assert offer["restriction"]["period"]["end"] == "2026-11-20T17:05:01+09:00"


def test_every_answer_that_a_task_can_give_is_one_of_our_calls() -> None:
    scopes = {call.name: call.scope for call in CALLS}
    for table in (tables.CALL_OF_HANDOFF_TASK, tables.CALL_OF_REFERRAL_TASK):
        assert set(table) <= TASK_STATUSES
        assert set(table.values()) <= set(scopes)
    for status in ("accepted", "rejected", "completed"):
        assert scopes[tables.CALL_OF_HANDOFF_TASK[status]] is Scope.ANSWER


@pytest.mark.parametrize(
    ("handoff", "fields", "body"),
    [
        (True, {"status": "accepted"}, {}),
        (True, {"status": "accepted", "note": [{"text": "18時に来てください"}]},
         {"text": "18時に来てください"}),
        (True, {"status": "rejected", "statusReason": {
            "coding": [{"system": system(WARD, "decline-reason"), "code": "no_capacity"}],
            "text": "満床です"}},
         {"said_by": "agency", "reason": "no_capacity", "text": "満床です"}),
        (True, {"status": "rejected", "statusReason": {
            "coding": [{"system": system(WARD, "decline-reason"), "code": "person_declined"}]}},
         {"said_by": "person", "reason": "person_declined"}),
        (True, {"status": "completed", "output": [{"type": {"text": "結果"}, "valueCodeableConcept": {
            "coding": [{"system": system(WARD, "outcome"), "code": "got_help"}]}}]},
         {"outcome": "got_help"}),
        (True, {"status": "cancelled"}, {}),
        (False, {"status": "completed", "output": [{"type": {"text": "結果"}, "valueCodeableConcept": {
            "coding": [{"system": system(WARD, "outcome"), "code": "got_help"}]}}]},
         {"outcome": "got_help"}),
        (False, {"status": "in-progress"}, {}),
    ],
)  # fmt: skip
def test_an_answer_becomes_the_body_of_our_call(handoff: bool, fields: Json, body: Json) -> None:
    task = {"resourceType": "Task", "id": HANDOFF, "intent": "order", **fields}
    assert models.check(task) is None
    asked = read_answer(task, HANDOFF, BUNKYO, handoff=handoff)
    assert isinstance(asked, Asked)
    assert asked.slip.body == body
    asked.call.body.model_validate(body)


@pytest.mark.parametrize(
    ("handoff", "fields", "where"),
    [
        (True, {"status": "received"}, "Task.status"),
        (True, {"status": "in-progress"}, "Task.status"),
        (True, {"status": "rejected"}, "Task.statusReason"),
        (True, {"status": "completed"}, "Task.output"),
        (False, {"status": "accepted"}, "Task.status"),
        (True, {"status": "accepted", "id": "other"}, "Task.id"),
    ],
)
def test_an_answer_that_cannot_be_one_is_told_where(
    handoff: bool, fields: Json, where: str
) -> None:
    task = {"resourceType": "Task", "id": HANDOFF, "intent": "order", **fields}
    refusal = read_answer(task, HANDOFF, BUNKYO, handoff=handoff)
    assert isinstance(refusal, Refusal)
    assert [error.pointer for error in refusal.errors] == [where]


def test_every_problem_has_an_issue_that_fhir_knows() -> None:
    for code in ProblemCode:
        told = outcome(Refusal(code))
        assert told["issue"][0]["code"] in ISSUES
        assert told["issue"][0]["details"]["coding"][0]["code"] == code
        assert models.check(told) is None
    for other in (not_taken(["Bundle.entry[1].resource"]), pending(), capability("文京区")):
        assert other is not None
        assert models.check(other) is None


def test_only_names_that_are_in_the_tables_are_used() -> None:
    for name in EXTENSIONS:
        assert extension(name).startswith("urn:tsunagu:fhir:")
    for what in WARD_SYSTEMS:
        assert system(WARD, what) == f"urn:tsunagu:131059:{what}"
    with pytest.raises(KeyError):
        extension("consent-bases")
    with pytest.raises(KeyError):
        system(WARD, "functions")


# -- there and back --------------------------------------------------------------------------------

WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20
)
MOMENTS = st.integers(1_600_000_000, 2_000_000_000).map(
    lambda seconds: datetime.fromtimestamp(seconds, JAPAN).isoformat()
)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({}, optional=fields)


PERSONS = st.builds(
    lambda name, more: {"name": name, **more},
    WORDS,
    some(
        kana=WORDS, phone=WORDS, communication=WORDS,
        birth_date=st.dates(min_value=date(1900, 1, 1)).map(str),
        preferred_contact=st.sampled_from([c.value for c in PreferredContact]),
        emergency_contacts=st.lists(
            st.builds(lambda n, r, p: {"name": n, "relation": r, "phone": p}, WORDS, WORDS, WORDS),
            min_size=1, max_size=3,
        ),
    ),
)  # fmt: skip
ADDRESSES = st.builds(
    lambda text, kind: {"text": text, "kind": kind.value},
    WORDS,
    st.sampled_from([kind for kind in AddressKind if kind is not AddressKind.NONE]),
)
CONSENTS = st.builds(
    lambda basis, more: {"basis": basis, **more},
    st.sampled_from([term.code for term in BUNKYO.consent_bases]),
    some(
        why=WORDS, danger=WORDS, decided_by=WORDS, obtained_at=MOMENTS, expires_at=MOMENTS,
        agencies=st.just(["hub-motofuji"]),
    ),
)  # fmt: skip
SUBMISSIONS = st.builds(
    lambda person, address, consent, urgency, reported, household, summary, more: {
        "function": "emergency", "person": person, "address": address, "consent": consent,
        "urgency": urgency.value, "reported_by": reported.value, "household": household.value,
        "summary": summary, **more,
    },
    PERSONS, ADDRESSES, CONSENTS, st.sampled_from(Urgency), st.sampled_from(ReportedBy),
    st.sampled_from(Household), WORDS,
    some(
        complaint=WORDS, risks=WORDS, registered=st.booleans(), requested_by=MOMENTS,
        requested_action=st.just("short_stay"), topics=st.just(["housing", "loneliness"]),
        sender_reference=st.just("OUR-1"), to=st.just({"agency": "hub-motofuji"}),
    ),
)  # fmt: skip


LONG_AGO = datetime(2020, 1, 1, tzinfo=JAPAN)
"""Before any consent of these ends."""


@settings(max_examples=150, deadline=None)
@given(SUBMISSIONS)
def test_a_referral_told_as_fhir_comes_back_as_the_same_submission(body: Json) -> None:
    submission = ReferralSubmission.model_validate(body)
    clear = {key: body[key] for key in body if key not in ("consent", "to")}
    offered = [a_handoff(to=body["to"]["agency"])] if "to" in body else []
    given = a_referral(
        **clear, opened=True, consent=body["consent"], consent_basis=body["consent"]["basis"],
        handoffs=offered,
    )  # fmt: skip
    told = telling.service_request(given, BUNKYO)
    assert models.check(told) is None
    came = read_post(json.dumps(told).encode(), BUNKYO, "anshin-motofuji", LONG_AGO)
    assert isinstance(came, Came), came
    back = ReferralSubmission.model_validate_json(came.slip.raw())
    assert back == submission


@settings(max_examples=50, deadline=None)
@given(SUBMISSIONS)
def test_whoever_may_not_open_it_is_told_nothing_of_the_person(body: Json) -> None:
    given = a_referral(urgency=body["urgency"], consent_basis=body["consent"]["basis"])
    told = telling.service_request(given, BUNKYO)
    assert "note" not in told
    assert [inner["resourceType"] for inner in told["contained"]] == ["Consent"]
    assert told["subject"]["extension"][0]["valueCode"] == "masked"
    assert "dateTime" not in told["contained"][0]
