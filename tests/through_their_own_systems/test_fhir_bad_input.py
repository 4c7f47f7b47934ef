"""Whatever comes as FHIR is read within bounds, and refused where it is, in FHIR's own terms."""

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.problems import ProblemCode, Refusal
from services.intake.fhir import bounds
from services.intake.fhir.names import extension, system
from services.intake.fhir.outcome import outcome
from services.intake.fhir.reading import Came, read_post
from tests.builders import BUNKYO
from tests.through_their_own_systems.fhir_samples import (
    NOW,
    WARD,
    Json,
    a_bundle,
    a_consent,
    a_document,
    a_parcel,
    a_patient,
    a_request,
    a_task,
    an_organisation,
    changed,
    contained_request,
)

AGENCY = "sample-hospital"
ENTRY = "Bundle.entry[{}].resource"
MY_NUMBER = "1234 5678 9018"  # the check digit is right; nobody's


def read(body: Any, agency: str = AGENCY) -> Came | Refusal:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_post(raw, BUNKYO, agency, NOW)


def refused(body: Any, code: ProblemCode = ProblemCode.INVALID_REQUEST) -> list[str]:
    """Where it is refused."""
    refusal = read(body)
    assert isinstance(refusal, Refusal), refusal
    assert refusal.code is code
    told = json.dumps(outcome(refusal), ensure_ascii=False)
    for value in ("サンプル", "本郷", "1980-04-01", "03-0000", "急病", "文京"):
        assert value not in told
    return [error.pointer for error in refusal.errors]


def taken(body: Any) -> Came:
    came = read(body)
    assert isinstance(came, Came), came
    return came


@pytest.mark.parametrize(
    ("index", "fields", "where"),
    [
        (0, {"status": "draft"}, "status"),
        (0, {"status": "revoked"}, "status"),
        (0, {"intent": "proposal"}, "intent"),
        (0, {"doNotPerform": True}, "doNotPerform"),
        (0, {"priority": "someday"}, "priority"),
        (0, {"subject": None}, "subject"),
        (0, {"subject": {"reference": "Patient/nobody"}}, "subject"),
        (0, {"category": None, "code": None}, "category"),
        (0, {"unheardOf": 1}, "unheardOf"),
        (1, {"active": False}, "active"),
        (1, {"deceasedBoolean": True}, "deceased"),
        (1, {"birthDate": "昭和55年"}, "birthDate"),
        (2, {"status": "rejected"}, "status"),
        (2, {"provision": {"type": "deny"}}, "provision.type"),
        (2, {"policyRule": {"text": "本人の同意"}}, "policyRule"),
        (2, {"policyRule": None}, "policyRule"),
        (3, {"status": "completed"}, "status"),
        (3, {"intent": "plan"}, "intent"),
        (3, {"owner": {"display": "どこかの病院"}}, "owner"),
        (3, {"restriction": {"period": {"end": "あした"}}}, "restriction.period.end"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(index: int, fields: Json, where: str) -> None:
    assert f"{ENTRY.format(index)}.{where}" in refused(changed(index, **fields))


def test_without_a_patient_it_is_told_how_to_send_one() -> None:
    parcel = a_bundle(a_request(), a_consent())
    refusal = read(parcel)
    assert isinstance(refusal, Refusal)
    assert "Patient" in refusal.errors[0].detail
    assert refused(parcel)[0] == f"{ENTRY.format(0)}.subject"


def test_without_a_consent_it_is_told_how_to_say_the_legal_basis() -> None:
    parcel = a_bundle(a_request(), a_patient())
    refusal = read(parcel)
    assert isinstance(refusal, Refusal)
    assert system(WARD, "consent-basis") in refusal.errors[0].detail
    parcel["entry"][0]["resource"]["extension"] = [
        {"url": extension("consent-basis"), "valueCode": "C1"}
    ]
    assert taken(parcel).slip.body["consent"] == {"basis": "C1"}


def test_somebody_elses_consent_is_none() -> None:
    other = {**a_patient(), "id": "p2"}
    consent = {**a_consent(), "patient": {"reference": "Patient/p2"}}
    assert refused(a_bundle(a_request(), a_patient(), consent, other)) == [
        f"{ENTRY.format(2)}.patient"
    ]


def test_a_sender_or_receiver_that_is_not_known_is_never_guessed() -> None:
    performer = {"performer": [{"reference": "Organization/to1"}]}
    stranger = {"resourceType": "Organization", "id": "to1", "name": "本富士生活あんしん拠点"}
    request = {**a_request(), **performer}
    assert refused(a_bundle(request, a_patient(), a_consent(), stranger)) == [
        f"{ENTRY.format(0)}.performer"
    ]
    known = a_bundle(request, a_patient(), a_consent(), an_organisation("hub-motofuji"))
    assert taken(known).slip.body["to"] == {"agency": "hub-motofuji"}
    two = {**request, "performer": [*performer["performer"], _by_identifier("hub-otsuka")]}
    assert refused(a_bundle(two, a_patient(), a_consent(), an_organisation("hub-motofuji")))
    task = {**a_task(), "owner": _by_identifier("hub-otsuka")}
    both = a_bundle(request, a_patient(), a_consent(), task, an_organisation("hub-motofuji"))
    assert refused(both) == [f"{ENTRY.format(3)}.owner"]
    posing = {**a_request(), "requester": _by_identifier("core")}
    assert refused(a_bundle(posing, a_patient(), a_consent())) == [f"{ENTRY.format(0)}.requester"]


def _by_identifier(agency: str) -> Json:
    return {"identifier": {"system": system(WARD, "agency"), "value": agency}}


def test_unknown_extensions_are_passed_over_and_unknown_modifiers_are_not() -> None:
    held = [{"url": "https://vendor.example/colour", "valueString": "赤"}]
    assert taken(changed(0, extension=held)).slip.body == taken(a_parcel()).slip.body
    assert refused(changed(1, modifierExtension=held)) == [ENTRY.format(1)]
    deep = a_parcel()
    deep["entry"][1]["resource"]["name"][0]["modifierExtension"] = held
    assert refused(deep) == [f"{ENTRY.format(1)}.name[0]"]
    assert refused(changed(2, implicitRules="https://vendor.example/rules")) == [ENTRY.format(2)]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"resourceType": "Patient"}, "Patient"),
        ({"resourceType": "Bundle", "type": "searchset"}, "Bundle.type"),
        ({"resourceType": "Bundle", "type": "collection"}, "Bundle.entry"),
        (a_bundle(a_request(), a_request(), a_patient(), a_consent()), ENTRY.format(1)),
        (a_bundle(a_request(), a_patient(), a_consent(), a_consent("C1")), ENTRY.format(3)),
        ({"resourceType": "サンプル 太郎"}, "Resource"),
        (a_bundle({"resourceType": "Medicine"}, a_request()), ENTRY.format(0)),
        ([], ""), (b"", ""), (b"null", ""), (b'{"resourceType": 3}', ""), (b"\xff\xfe{", ""),
        (b'{"resourceType": "Bundle", "total": NaN}', ""),
    ],
)  # fmt: skip
def test_what_is_no_referral_is_told_so(body: Any, where: str) -> None:
    assert where in refused(body)


def test_a_bundle_may_only_make_something() -> None:
    parcel = a_parcel(kind="transaction")
    taken(parcel)
    parcel["entry"][1]["request"]["method"] = "DELETE"
    assert refused(parcel) == ["Bundle.entry[1].request.method"]


# -- bombs -----------------------------------------------------------------------------------------


def sections(depth: int) -> Json:
    innermost: Json = {"title": "底"}
    for _ in range(depth):
        innermost = {"section": [innermost]}
    document = a_document()
    document["entry"][0]["resource"]["section"].append(innermost)
    return document


def a_circle() -> Json:
    """Contained resources that refer to one another."""
    request = contained_request()
    request["contained"] += [
        {
            "resourceType": "PractitionerRole",
            "id": "r",
            "practitioner": {"reference": "#d"},
            "organization": {"reference": "#o"},
        },
        {"resourceType": "Practitioner", "id": "d", "qualification": [
            {"code": {"text": "?"}, "issuer": {"reference": "#o"}}
        ]},
        {"resourceType": "Organization", "id": "o", "partOf": {"reference": "#o"}},
    ]  # fmt: skip
    request["requester"] = {"reference": "#r"}
    return request


BOMBS: dict[str, Any] = {
    "sections in sections": sections(60),
    "brackets": b'{"resourceType":"Bundle","entry":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
    "open brackets": b'{"resourceType":' + b"[" * 1_000_000,
    "empty lists": b'{"resourceType":"Bundle","entry":[' + b"[]," * 340_000 + b"[]]}",
    "many entries": a_bundle(*[{"resourceType": "Patient"}] * 1_000),
    "many contained": {**contained_request(), "contained": [{"resourceType": "Patient"}] * 500},
    "contained in contained": {
        **a_request(),
        "contained": [{**a_patient(), "contained": [a_patient()]}],
    },
    "bundle in bundle": a_bundle(a_request(), a_parcel()),
    "many fields": {**a_request(), **{f"f{i}": 1 for i in range(50_000)}},
    "many mistakes": a_bundle(a_request(), *[{"resourceType": "Patient", "x": 1}] * 150),
    "one name for two": a_bundle(a_request(), a_patient(), a_patient(), a_consent()),
    "large numbers": b'{"resourceType":"Bundle","total":' + b"9" * 1_000_000 + b"}",
}


@pytest.mark.parametrize("what", BOMBS)
def test_a_bomb_is_refused_at_once(what: str) -> None:
    read(a_parcel())  # the library is there
    bomb = BOMBS[what]
    raw = bomb if isinstance(bomb, bytes) else json.dumps(bomb).encode()
    began = time.process_time()
    where = refused(raw)
    assert time.process_time() - began < 10.0
    assert len(where) <= bounds.MOST_TOLD


def test_what_refers_in_a_circle_is_read_once() -> None:
    assert taken(a_circle()).slip.body["person"]["name"] == "サンプル 太郎"


def test_the_largest_parcel_that_is_taken_is_read_in_time() -> None:
    patients = [{**a_patient(), "id": f"x{i}"} for i in range(bounds.MOST_VALUES // 45 - 3)]
    parcel = a_bundle(a_request(), a_patient(), a_consent(), *patients)
    read(a_parcel())
    began = time.process_time()
    taken(parcel)
    assert time.process_time() - began < 10.0


# -- 個人番号 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "field"),
    [
        ("note", [{"text": f"番号は {MY_NUMBER}"}]),
        ("patientInstruction", MY_NUMBER),  # not even taken
        ("text", {"status": "generated", "div": f"<div>{MY_NUMBER}</div>"}),
        ("identifier", [{"value": MY_NUMBER.replace(" ", "")}]),
        ("extension", [{"url": "https://vendor.example/x", "valueString": MY_NUMBER}]),
    ],
)
def test_an_individual_number_is_refused_wherever_it_stands(where: str, field: Any) -> None:
    told = refused(changed(0, **{where: field}), ProblemCode.MY_NUMBER_REFUSED)
    assert told[0].startswith(f"{ENTRY.format(0)}.{where}")


def test_a_body_of_nothing_but_digits_is_read_in_time() -> None:
    read(a_parcel())
    for text in ("1-" * 450_000, "1-2 " * 220_000, "1234-" * 180_000):
        began = time.process_time()
        taken(changed(0, note=[{"text": text}]))
        assert time.process_time() - began < 30.0


# -- anything at all -------------------------------------------------------------------------------

JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=8), st.just([]), st.just({}),
    st.just([None]), st.just([{}]), st.just({"reference": "#p1"}), st.just([[{}]]),
    st.just({"coding": [None]}), st.just([{"coding": [{"code": "C2"}]}]), st.just("2026-11"),
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = (
        value.items() if isinstance(value, dict)
        else enumerate(value) if isinstance(value, list) else ()
    )  # fmt: skip
    return [p for key, v in inner for p in ((*path, key), *places(v, (*path, key)))]


SAMPLES = [a_parcel(), contained_request(), a_document(), a_circle()]
PLACES = [(i, place) for i, sample in enumerate(SAMPLES) for place in places(sample)]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(PLACES), JUNK), min_size=1, max_size=3))
def test_whatever_comes_is_read_or_refused_and_never_a_fault(
    mutations: list[tuple[tuple[int, tuple[Any, ...]], Any]],
) -> None:
    sample = copy.deepcopy(SAMPLES[mutations[0][0][0]])
    for (_, place), junk in mutations:
        _put(sample, place, copy.deepcopy(junk))
    came = read(sample)
    if isinstance(came, Came):
        json.loads(came.slip.raw())
    else:
        assert came.errors


def _put(value: Any, place: tuple[Any, ...], junk: Any) -> None:
    *parents, last = place
    for step in parents:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(value, dict) or (isinstance(value, list) and last in range(len(value))):
        value[last] = junk
