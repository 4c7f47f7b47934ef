"""OpenAPI and its page tell partners all that intake does."""

import re
from html.parser import HTMLParser
from typing import Any
from uuid import uuid4

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from schemas.codes import Scope
from schemas.partner import HandoffOffer, ReferralSubmission
from schemas.problems import MEANINGS, ProblemCode
from schemas.publishing.words import VALUES
from schemas.sealed import Group
from services.intake.api import Api
from services.intake.attachments.api import Attachments
from services.intake.calls import CALLS, Call, build_submission, personal_data
from services.intake.checking import Checking
from services.intake.counter import Counter
from services.intake.docs_page import docs_page
from services.intake.edge import Edge
from services.intake.fhir.handlers import Fhir
from services.intake.metrics import Metrics
from services.intake.openapi import openapi_document

DOCUMENT = openapi_document()
PAGE = docs_page(DOCUMENT)
OPERATIONS: dict[str, dict[str, Any]] = {
    operation["operationId"]: {"path": path, "method": method, **operation}
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
SCHEMAS = DOCUMENT["components"]["schemas"]
NOTHING_HAPPENS = {"check_referral", "check_referrals", "locate_address"}
DONE_AT_ONCE = {"sign_manifest", "test_delivery"}


def references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*(references(value) for value in part.values()))
    if isinstance(part, list):
        return set().union(*(references(value) for value in part))
    return set()


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        _, components, kind, name = reference.split("/")
        assert name in DOCUMENT[components][kind], reference


def test_every_schema_is_one() -> None:
    for schema in SCHEMAS.values():
        Draft202012Validator.check_schema(schema)


def test_every_operation_is_named_once_and_told_in_both_languages() -> None:
    assert len(OPERATIONS) == sum(len(methods) for methods in DOCUMENT["paths"].values())
    for operation in OPERATIONS.values():
        assert all(operation["summary"].split(" / ")), operation["summary"]
        named = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        assert named == {p[1:-1] for p in operation["path"].split("/") if p.startswith("{")}


@pytest.mark.parametrize("call", CALLS, ids=[call.name for call in CALLS])
def test_a_call_is_documented_with_its_body_and_refusals(call: Call) -> None:
    operation = OPERATIONS[call.name]
    assert (operation["path"], operation["method"]) == (call.path.replace(":str", ""), "post")
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": f"#/components/schemas/{call.body.__name__}"}
    assert {"201" if call.created else "200", "202"} <= operation["responses"].keys()
    for code in (*call.refusals, ProblemCode.IDEMPOTENCY_KEY_REUSED, ProblemCode.UNAVAILABLE):
        assert code in codes(operation, MEANINGS[code].status)


def codes(operation: dict[str, Any], status: int) -> list[str]:
    content = operation["responses"][str(status)]["content"]["application/problem+json"]
    assert content["schema"] == {"$ref": "#/components/schemas/ProblemGiven"}
    return list(content["examples"])


def test_a_referral_needs_an_idempotency_key_and_the_other_calls_take_one() -> None:
    for name, operation in OPERATIONS.items():
        if operation["method"] == "post" and name not in NOTHING_HAPPENS:
            key = next(p for p in operation["parameters"] if p["name"] == "Idempotency-Key")
            assert key["required"] is (name in ("submit_referral", "add_attachment"))
            if name not in DONE_AT_ONCE:
                assert {"Location", "Retry-After"} <= operation["responses"]["202"][
                    "headers"
                ].keys()
            assert "Retry-After" in operation["responses"]["503"]["headers"]


def test_what_intake_serves_and_what_is_documented_are_the_same() -> None:
    nothing: Any = None
    edge = Edge(nothing, Metrics())
    counter = Counter(nothing, nothing, nothing, nothing)
    api = Api(edge, counter, nothing, nothing, openapi=b"", docs=b"")
    served = {
        (re.sub(r"{[^}]*}", "{}", path), method.lower())
        for handler in (
            *api.handlers(),
            *Checking(edge, nothing).handlers(),
            *Fhir(edge, nothing, nothing, nothing, nothing).handlers(),
            *Attachments(edge, nothing, nothing).handlers(),
        )
        for path in handler.paths
        for method in handler.http_methods
    }
    documented = {(re.sub(r"{[^}]*}", "{}", o["path"]), o["method"]) for o in OPERATIONS.values()}
    assert served == documented


def test_each_call_names_the_scope_that_it_needs() -> None:
    nothing: Any = None
    edge = Edge(nothing, Metrics())
    counter = Counter(nothing, nothing, nothing, nothing)
    Api(edge, counter, nothing, nothing, openapi=b"", docs=b"").handlers()
    Checking(edge, nothing).handlers()
    Attachments(edge, nothing, nothing).handlers()
    told = {}
    for name, operation in OPERATIONS.items():
        if operation.get("security") == []:
            continue
        by_key, by_token, by_certificate = operation["security"]
        assert (by_key, by_certificate) == ({"agencyKey": []}, {"certificate": []})
        (told[name],) = by_token["oauth2"]
        refused = operation["responses"]["403"]
        assert "insufficient_scope" in refused["description"], name
        assert f"scope {told[name]}," in refused["description"], name
    of_fhir = {name: scope for name, scope in told.items() if name.startswith("fhir_")}
    assert {n: s for n, s in told.items() if n not in of_fhir} == edge.scopes
    assert {s: n for n, s in of_fhir.items() if s != "read"} == {
        "post": "fhir_submit", "answer": "fhir_update_task",
    }  # fmt: skip
    flow = DOCUMENT["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert flow["tokenUrl"] == "/oauth2/token"
    assert list(flow["scopes"]) == [scope.value for scope in Scope]


def test_only_what_tells_how_it_runs_is_open() -> None:
    opened = {name for name, operation in OPERATIONS.items() if operation.get("security") == []}
    assert opened == {"healthz", "readyz", "metrics", "openapi", "docs", "fhir_metadata"}


def test_every_problem_code_has_a_meaning_and_is_in_the_docs() -> None:
    assert set(MEANINGS) == set(ProblemCode)
    assert SCHEMAS["ProblemCode"]["enum"] == [code.value for code in ProblemCode]
    for code, meaning in MEANINGS.items():
        assert meaning.ja
        assert meaning.en
        assert f"<code>{code}</code>" in PAGE


def test_every_field_and_every_value_that_partners_meet_is_in_japanese_too() -> None:
    for name, schema in SCHEMAS.items():
        for field, part in schema.get("properties", {}).items():
            assert " / " in part.get("description", ""), f"{name}.{field}"
        if "enum" in schema and name != "ProblemCode":
            assert schema["enum"] == list(VALUES[name]), name
        # No title: programs that write clients would name the type after it.
        assert "title" not in schema, name
        assert " / " in schema["description"].partition("\n\n")[0], name


class _Outline(HTMLParser):
    """What the page is made of; fails on a tag that is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag != "meta":
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "action"):
                self.links.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()


def test_the_page_stands_alone_and_every_link_leads_somewhere() -> None:
    page = _Outline()
    page.feed(PAGE)
    assert page.open == []
    assert not page.tags & {"script", "img", "link", "iframe", "form"}
    assert "@import" not in PAGE
    assert "url(" not in PAGE
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert all(link.startswith("#") for link in page.links)


def test_the_page_is_japanese_first_and_shows_every_call() -> None:
    assert '<html lang="ja">' in PAGE
    for name, operation in OPERATIONS.items():
        assert f'<h3 id="{name}">' in PAGE
        assert f"</span> {operation['path']}</code>" in PAGE


def test_what_the_document_says_cannot_become_markup() -> None:
    document = openapi_document()
    document["info"]["title"] = "<script>alert(1)</script>"
    assert "<script" not in docs_page(document)


def test_what_is_streamed_is_documented_with_the_place_to_go_on_from() -> None:
    streamed = {
        name
        for name, operation in OPERATIONS.items()
        if "text/event-stream" in operation["responses"].get("200", {}).get("content", {})
    }
    assert streamed == {"list_escalations", "read_inbox"}
    for name in streamed:
        operation = OPERATIONS[name]
        content = operation["responses"]["200"]["content"]
        assert "$ref" in content["application/json"]["schema"]
        assert content["text/event-stream"]["examples"]["stream"]["value"].startswith("retry: ")
        named = {(p["name"], p["in"]) for p in operation["parameters"]}
        assert {("Last-Event-ID", "header"), ("after", "query")} <= named
        japanese, _, english = operation["description"].partition("\n\n")
        for told in (japanese, english):
            assert "text/event-stream" in told
            assert "32" in told
            assert told in PAGE.replace("&quot;", '"')
        for code in (ProblemCode.INVALID_REQUEST, ProblemCode.RATE_LIMITED):
            assert code in codes(operation, MEANINGS[code].status)
    states = next(p for p in OPERATIONS["list_escalations"]["parameters"] if p["name"] == "state")
    assert states["schema"]["enum"] == ["open", "raised", "acknowledged", "resolved", "all"]


@pytest.mark.parametrize(
    ("registered", "held", "unregistered"),
    [
        (None, None, False), (True, None, False), (True, True, False), (None, True, False),
        (False, None, True), (None, False, True), (True, False, True), (False, True, True),
    ],
)  # fmt: skip
def test_of_registration_and_handbook_only_what_is_missing_is_in_the_clear(
    registered: bool | None, held: bool | None, unregistered: bool
) -> None:
    body = a_submission(registered, held)
    command = build_submission(uuid4(), body, None, ())
    assert command.unregistered is unregistered
    clear = command.model_dump()
    assert "registered" not in clear
    assert "needs" not in clear
    sealed = personal_data(body)[Group.SITUATION]
    assert sealed.get("registered") is registered
    assert (sealed.get("needs") or {}).get("handbook_held") is held


def a_submission(registered: bool | None, held: bool | None) -> ReferralSubmission:
    return ReferralSubmission.model_validate(
        {
            "function": "emergency",
            "urgency": "urgent",
            "summary": "今夜から介護者不在。",
            "consent": {"basis": "C2"},
            "registered": registered,
            "needs": None if held is None else {"handbook_held": held},
        }
    )


def test_an_offer_to_nobody_asks_the_deciding_service_for_candidates() -> None:
    offer = next(call for call in CALLS if call.name == "offer_handoff")
    body = HandoffOffer.model_validate({"kind": "request", "function": "emergency"})
    assert offer.build("131059-2026-000001", body, ()).to == ()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "body", "asked"),
    [
        ("acknowledge_escalation", {"advise_only": True}, {"advise_only": True}),
        (
            "resolve_escalation",
            {"disposition": "reassigned", "to": "hub-otsuka"},
            {"disposition": "reassigned", "to": "hub-otsuka"},
        ),
    ],
)
def test_a_call_about_an_escalation_asks_what_its_body_says(
    name: str, body: dict[str, Any], asked: dict[str, Any]
) -> None:
    call = next(call for call in CALLS if call.name == name)
    escalation = uuid4()
    command = call.build(str(escalation), call.body.model_validate(body), ())
    said = command.model_dump(mode="json")
    assert said["type"] == name
    assert said["escalation"] == str(escalation)
    assert {field: said[field] for field in asked} == asked
    parameter = OPERATIONS[name]["parameters"][0]
    assert "上申" in parameter["description"]
