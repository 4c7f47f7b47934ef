"""FHIR as partners send it, made up for the tests: sample persons, published profiles and codes."""

import copy
from datetime import datetime
from typing import Any

from schemas.outside import JAPAN
from services.intake.fhir.names import extension, system

Json = dict[str, Any]
WARD = "131059"
NOW = datetime(2026, 11, 20, 17, 0, tzinfo=JAPAN)

DOC = "urn:uuid:00000000-0000-4000-8000-00000000000"
SECTION = "http://jpfhir.jp/fhir/eReferral/CodeSystem/document-section"
REPRESENTATION = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"


def a_patient() -> Json:
    return {
        "resourceType": "Patient",
        "id": "p1",
        "name": [
            {
                "extension": [{"url": REPRESENTATION, "valueCode": "IDE"}],
                "use": "official",
                "text": "サンプル 太郎",
                "family": "サンプル",
                "given": ["太郎"],
            },
            {
                "extension": [{"url": REPRESENTATION, "valueCode": "SYL"}],
                "use": "official",
                "text": "サンプル タロウ",
            },
        ],
        "telecom": [{"system": "phone", "value": "03-0000-0000", "use": "home"}],
        "gender": "male",
        "birthDate": "1980-04-01",
        "address": [{"text": "文京区本郷二丁目21番3号 見本ビル1階", "use": "home"}],
        "contact": [
            {
                "relationship": [{"text": "母"}],
                "name": {"text": "サンプル 花子"},
                "telecom": [{"system": "phone", "value": "03-0000-0001"}],
            }
        ],
    }


def a_consent(basis: str = "C2") -> Json:
    return {
        "resourceType": "Consent",
        "id": "c1",
        "status": "active",
        "scope": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/consentscope",
                    "code": "patient-privacy",
                }
            ]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": "Patient/p1"},
        "dateTime": "2026-11-20T16:50:00+09:00",
        "policyRule": {"coding": [{"system": system(WARD, "consent-basis"), "code": basis}]},
    }


def an_organisation(agency: str, name: str = "to1") -> Json:
    return {
        "resourceType": "Organization",
        "id": name,
        "identifier": [{"system": system(WARD, "agency"), "value": agency}],
        "name": "見本の機関",
    }


def a_request() -> Json:
    return {
        "resourceType": "ServiceRequest",
        "id": "s1",
        "identifier": [{"system": "urn:oid:2.999.1", "value": "OUR-2026-0001"}],
        "status": "active",
        "intent": "order",
        "priority": "urgent",
        "category": [{"coding": [{"system": system(WARD, "function"), "code": "emergency"}]}],
        "code": {"coding": [{"system": system(WARD, "requested-action"), "code": "short_stay"}]},
        "subject": {"reference": "Patient/p1"},
        "reasonCode": [
            {"coding": [{"system": system(WARD, "topic"), "code": "after_parents"}]},
            {"text": "家にいられない"},
        ],
        "note": [{"text": "母が急病で入院。今夜から介護者不在。"}],
    }


def a_task() -> Json:
    return {
        "resourceType": "Task",
        "id": "t1",
        "status": "requested",
        "intent": "order",
        "focus": {"reference": "ServiceRequest/s1"},
        "restriction": {"period": {"end": "2026-11-21T18:00:00+09:00"}},
    }


def a_bundle(*resources: Json, kind: str = "collection", identifier: str | None = None) -> Json:
    bundle: Json = {"resourceType": "Bundle", "type": kind}
    if identifier is not None:
        bundle["identifier"] = {"system": "urn:oid:2.999.2", "value": identifier}
    entries: list[Json] = [{"resource": copy.deepcopy(r)} for r in resources]
    if kind in ("transaction", "batch"):
        for entry in entries:
            entry["request"] = {"method": "POST", "url": entry["resource"]["resourceType"]}
    return bundle | {"entry": entries}


def a_parcel(**bundle: Any) -> Json:
    return a_bundle(a_request(), a_patient(), a_consent(), a_task(), **bundle)


def changed(index: int, **fields: Any) -> Json:
    """The usual parcel (0 request, 1 patient, 2 consent, 3 task) with something changed."""
    parcel = a_parcel()
    resource = parcel["entry"][index]["resource"]
    for name, value in fields.items():
        if value is None:
            resource.pop(name, None)
        else:
            resource[name] = value
    return parcel


def contained_request() -> Json:
    """A ServiceRequest on its own, with everything within it."""
    return {
        **a_request(),
        "subject": {"reference": "#p1"},
        "contained": [a_patient(), {**a_consent(), "patient": {"reference": "#p1"}}],
        "supportingInfo": [{"reference": "#c1"}],
    }


def a_section(code: str, title: str, words: str | None = None, *entries: str) -> Json:
    section: Json = {"title": title, "code": {"coding": [{"system": SECTION, "code": code}]}}
    if words is not None:
        div = f'<div xmlns="http://www.w3.org/1999/xhtml">{words}</div>'
        section["text"] = {"status": "additional", "div": div}
    if entries:
        section["entry"] = [{"reference": entry} for entry in entries]
    return section


def a_document(to: str | None = "hub-motofuji") -> Json:
    """A 診療情報提供書: the structure of JP_Bundle_eReferral, the words ours."""
    parts = {
        **a_section("300", "構造情報"),
        "section": [
            a_section("950", "紹介目的", "短期入所の<br/>調整をお願いします。"),
            a_section("340", "傷病名・主訴", "不眠、食欲低下", f"{DOC}5"),
            a_section("360", "現病歴", "先週から眠れていない。"),
            a_section("510", "アレルギー・不耐性反応", "サバ"),
        ],
    }
    composition: Json = {
        "resourceType": "Composition",
        "meta": {
            "profile": [
                "http://jpfhir.jp/fhir/eReferral/StructureDefinition/JP_Composition_eReferral"
            ]
        },
        "extension": [
            {"url": extension("function"), "valueCode": "emergency"},
            {"url": extension("requested-action"), "valueCode": "short_stay"},
            {"url": extension("consent-basis"), "valueCode": "C1"},
        ],
        "identifier": {
            "system": "http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier",
            "value": "1311234567-2026-0001",
        },
        "status": "final",
        "type": {
            "coding": [
                {
                    "system": "http://jpfhir.jp/fhir/Common/CodeSystem/doc-typecodes",
                    "code": "57133-1",
                    "display": "診療情報提供書",
                }
            ]
        },
        "subject": {"reference": f"{DOC}1", "type": "Patient"},
        "date": "2026-11-20T12:12:20+09:00",
        "author": [{"reference": f"{DOC}2"}, {"reference": f"{DOC}3"}],
        "title": "診療情報提供書",
        "section": [
            a_section("920", "紹介元情報", "見本病院", f"{DOC}3"),
            *([a_section("910", "紹介先情報", "見本の拠点", f"{DOC}4")] if to else ()),
            parts,
        ],
    }
    doctor = {
        "resourceType": "Practitioner",
        "name": [{"text": "見本 医師", "family": "見本", "given": ["医師"]}],
    }
    condition = {
        "resourceType": "Condition",
        "code": {"text": "不眠"},
        "subject": {"reference": f"{DOC}1"},
    }
    resources = [
        composition, a_patient(), doctor, an_organisation("sample-hospital", "from1"),
        an_organisation(to or "core"), condition,
    ]  # fmt: skip
    return {
        "resourceType": "Bundle",
        "meta": {
            "profile": ["http://jpfhir.jp/fhir/eReferral/StructureDefinition/JP_Bundle_eReferral"]
        },
        "identifier": {
            "system": "http://jpfhir.jp/fhir/core/IdSystem/documentInstance-identifier",
            "value": "SAMPLE-2026-0001",
        },
        "type": "document",
        "timestamp": "2026-11-20T12:12:20+09:00",
        "entry": [{"fullUrl": f"{DOC}{i}", "resource": r} for i, r in enumerate(resources)],
    }
