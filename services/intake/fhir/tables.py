"""What maps to what, as data. ``docs/partners.md`` shows these tables; a test holds them equal.

Statuses map one to one, so a status reads back as exactly the state that it was made of.
"""

from typing import Final

from schemas.codes import HandoffState, Stage, Urgency
from schemas.problems import ProblemCode

URGENCY_OF_PRIORITY: Final = {
    "stat": Urgency.EMERGENCY,
    "asap": Urgency.URGENT,
    "urgent": Urgency.URGENT,
    "routine": Urgency.ROUTINE,
}
"""``ServiceRequest.priority`` as it comes; absent it is routine (FHIR R4, ServiceRequest.priority:
"If missing, this task should be performed with normal priority")."""

PRIORITY_OF_URGENCY: Final = {
    Urgency.EMERGENCY: "stat",
    Urgency.URGENT: "urgent",
    Urgency.ROUTINE: "routine",
    Urgency.INFORMATION: "routine",
}
"""FHIR knows no "for information": the extension ``urgency`` says it, beside priority routine."""

REQUEST_STATUS: Final = {
    Stage.AWAITING_RULING: "active",
    Stage.OFFERED: "active",
    Stage.IN_CARE: "active",
    Stage.CLOSED: "completed",
    Stage.CANCELLED: "revoked",
}
"""``ServiceRequest.status``."""

TASK_OF_STAGE: Final = {
    Stage.AWAITING_RULING: "received",
    Stage.OFFERED: "requested",
    Stage.IN_CARE: "in-progress",
    Stage.CLOSED: "completed",
    Stage.CANCELLED: "cancelled",
}
"""``Task.status`` of the referral as a whole; its ``owner`` is the custodian."""

TASK_OF_HANDOFF: Final = {
    HandoffState.OFFERED: "requested",
    HandoffState.ACCEPTED: "accepted",
    HandoffState.DECLINED: "rejected",
    HandoffState.EXPIRED: "failed",
    HandoffState.WITHDRAWN: "cancelled",
    HandoffState.COMPLETED: "completed",
}
"""``Task.status`` of one hand-off; its ``owner`` is the agency that was asked."""

STAGE_OF_TASK: Final = {status: stage for stage, status in TASK_OF_STAGE.items()}
HANDOFF_OF_TASK: Final = {status: state for state, status in TASK_OF_HANDOFF.items()}

CALL_OF_HANDOFF_TASK: Final = {
    "accepted": "accept_handoff",
    "rejected": "decline_handoff",
    "completed": "complete_handoff",
    "cancelled": "withdraw_handoff",
}
CALL_OF_REFERRAL_TASK: Final = {
    "completed": "close_referral",
    "cancelled": "cancel_referral",
    "in-progress": "reopen_referral",
}
"""What ``PUT /fhir/Task/{id}`` with a status asks for. Every other status is one that the network
itself comes to, or keeps no record of."""

ISSUE_OF_PROBLEM: Final = {
    ProblemCode.INVALID_REQUEST: "invalid",
    ProblemCode.UNAUTHENTICATED: "login",
    ProblemCode.INSUFFICIENT_SCOPE: "forbidden",
    ProblemCode.NOT_INVOLVED: "forbidden",
    ProblemCode.NOT_FOUND: "not-found",
    ProblemCode.METHOD_NOT_ALLOWED: "not-supported",
    ProblemCode.UNKNOWN_AGENCY: "code-invalid",
    ProblemCode.MY_NUMBER_REFUSED: "business-rule",
    ProblemCode.IDEMPOTENCY_KEY_REUSED: "duplicate",
    ProblemCode.NOT_ACCEPTABLE: "not-supported",
    ProblemCode.UNSUPPORTED_FORMAT: "not-supported",
    ProblemCode.VERSION_CHANGED: "conflict",
    ProblemCode.TOO_LARGE: "too-long",
    ProblemCode.RATE_LIMITED: "throttled",
    ProblemCode.UNAVAILABLE: "transient",
    ProblemCode.INTERNAL: "exception",
}
"""``OperationOutcome.issue.code`` (http://hl7.org/fhir/issue-type); any other problem is one of the
ward's rules, ``business-rule``."""

SECTIONS: Final = {
    "200": None,
    "210": None,
    "220": "summary",
    "230": None,
    "330": "summary",
    "340": "complaint",
    "360": "summary",
    "370": "summary",
    "410": "summary",
    "420": "summary",
    "430": "summary",
    "510": "risks",
    "520": "risks",
    "530": "summary",
    "550": "summary",
    "610": "summary",
    "620": "summary",
    "640": "summary",
    "720": "summary",
    "730": "summary",
    "740": "summary",
    "810": "risks",
    "830": "summary",
    "950": "summary",
}
"""Sections of a 診療情報提供書 and the field of ours that their narrative goes to; None: a file or a
reference to one, which is not taken here (send it as an attachment). 300 holds the others; 910 and 920
name the receiver and the sender. Any section unknown here goes to the summary: nothing said is lost."""

TO_SECTION: Final = "910"
FROM_SECTION: Final = "920"

PAST_SECTION: Final = "370"

_TERMS: Final = "http://terminology.hl7.org/CodeSystem"
_UNTRUE: Final = frozenset({"refuted", "entered-in-error"})
_OVER: Final = frozenset({"inactive", "remission", "resolved"})
NOT_SO: Final = (
    ("verificationStatus", f"{_TERMS}/condition-ver-status", _UNTRUE),
    ("verificationStatus", f"{_TERMS}/allergyintolerance-verification", _UNTRUE),
    ("clinicalStatus", f"{_TERMS}/condition-clinical", _OVER),
    ("clinicalStatus", f"{_TERMS}/allergyintolerance-clinical", _OVER),
)
"""A Condition or an AllergyIntolerance with one of these statuses is none that anybody has
(https://hl7.org/fhir/R4/condition.html, https://hl7.org/fhir/R4/allergyintolerance.html)."""

TAKEN: Final = {
    "ServiceRequest": frozenset(
        {
            "identifier", "status", "intent", "priority", "doNotPerform", "category", "code",
            "subject", "occurrenceDateTime", "occurrencePeriod", "requester", "performer",
            "reasonCode", "reasonReference", "note", "authoredOn", "supportingInfo",
        }
    ),
    "Composition": frozenset(
        {
            "identifier", "status", "type", "category", "subject", "date", "author", "title",
            "custodian", "section", "event",
        }
    ),
    "Patient": frozenset(
        {"identifier", "active", "name", "telecom", "birthDate", "address", "contact", "deceasedBoolean"}
    ),
    "RelatedPerson": frozenset({"identifier", "patient", "relationship", "name", "telecom", "active"}),
    "Consent": frozenset(
        {"identifier", "status", "scope", "category", "patient", "dateTime", "policyRule", "provision"}
    ),
    "Task": frozenset(
        {
            "basedOn", "focus", "status", "intent", "priority", "code", "for", "requester", "owner",
            "restriction",
        }
    ),
    "Condition": frozenset({"code", "subject", "clinicalStatus", "verificationStatus", "note"}),
    "AllergyIntolerance": frozenset(
        {"code", "patient", "clinicalStatus", "verificationStatus", "note"}
    ),
    "Encounter": frozenset({"status", "class", "subject", "reasonCode"}),
    "Organization": frozenset({"identifier", "name", "active"}),
    "Practitioner": frozenset({"identifier", "name", "active"}),
    "PractitionerRole": frozenset({"identifier", "organization", "practitioner", "active"}),
    "MessageHeader": frozenset({"eventCoding", "eventUri", "source", "focus", "destination"}),
}  # fmt: skip
"""The elements that are looked at, by type. What else is said is named in the answer as not taken, so
that a sender learns of it."""
