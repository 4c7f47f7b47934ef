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
JP = "http://jpfhir.jp/fhir"
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


def a_published_document(to: str | None = "hub-motofuji", *, by_text: bool = True) -> Json:
    """A 診療情報提供書 of the shape that the published example has, the words ours.

    Shape: profiles, order of sections (920 before 910) and their codes, entries with ``type`` and
    ``display``, a Practitioner shown as a PractitionerRole, an ``event`` of a day, names in IDE and SYL,
    organisations with the number of a health-insurance institution. From the example that HL7 Japan and
    JAMI publish with their implementation guide 診療情報提供書 HL7 FHIR 記述仕様 (IG eReferral, FHIR
    4.0.1): ExampleJson/Bundle-BundleReferralExample01.json,
    https://github.com/jami-fhir-jp-wg/eReferral (commit 0821f245). ``by_text=False`` leaves the
    narratives of 300 out, as the profile allows. It has neither our function nor a legal basis, and
    without ``to`` no id of an agency of ours.
    """

    def entry(n: str, kind: str, display: str) -> Json:
        return {"reference": f"{DOC}{n}", "type": kind, "display": display}

    def section(code: str, title: str, words: str | None, *entries: Json) -> Json:
        made = a_section(code, title, words)
        made["code"]["coding"][0]["display"] = f"{title}セクション"
        return made | ({"entry": [*entries]} if entries else {})

    def resource(kind: str, **elements: Any) -> Json:
        profile = f"http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_{kind}_eCS"
        meta = {"lastUpdated": "2026-11-20T10:00:00+09:00", "profile": [profile]}
        number = [{"system": f"{JP}/core/IdSystem/resourceInstance-identifier", "value": "1"}]
        return {"resourceType": kind, "meta": meta, "identifier": number, **elements}

    def status(kind: str, code: str) -> Json:
        return {
            "coding": [{"system": f"http://terminology.hl7.org/CodeSystem/{kind}", "code": code}]
        }

    def condition(words: str, state: str = "active", **more: Any) -> Json:
        return resource(
            "Condition",
            clinicalStatus=status("condition-clinical", state),
            verificationStatus=status("condition-ver-status", "confirmed"),
            category=[status("condition-category", "problem-list-item")],
            code={"text": words},
            subject={"reference": f"{DOC}1"},
            **more,
        )

    def organisation(name: str, number: str) -> Json:
        numbers = [
            {"system": f"{JP}/core/IdSystem/insurance-medical-institution-no", "value": number}
        ]
        category = (
            f"{JP}/core/Extension/StructureDefinition/JP_Organization_InsuranceOrganizationCategory"
        )
        coding = {"system": "urn:oid:1.2.392.100495.20.3.22", "code": "1"}
        return resource("Organization", name=name) | {
            "identifier": numbers,
            "type": [status("organization-type", "prov")],
            "extension": [{"url": category, "valueCoding": coding}],
        }

    visit = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
    doctor = a_patient()["name"]
    receiver = organisation("見本の宛先", "1310000002")
    if to is not None:
        receiver["identifier"].append({"system": system(WARD, "agency"), "value": to})
    resources = [
        a_patient(),
        resource("Encounter", status="finished", **{"class": visit}),
        resource("Practitioner", name=doctor),
        resource("Practitioner", name=[{"text": "見本 宛先医"}]),
        organisation("見本病院", "1310000001"),
        receiver,
        resource("Encounter", status="finished", reasonCode=[{"text": "短期入所の調整"}], **{"class": visit}),
        condition("不眠", onsetDateTime="2026-11"),
        condition("不眠", note=[{"text": "先週から眠れていない。"}]),
        condition("骨折", "resolved", onsetDateTime="2019"),
        resource(
            "AllergyIntolerance",
            clinicalStatus=status("allergyintolerance-clinical", "active"),
            code={"text": "サバ"},
            patient={"reference": f"{DOC}1"},
            onsetAge={"system": "http://unitsofmeasure.org", "value": 30, "code": "a"},
            note=[{"text": "食後に発疹"}],
        ),
    ]  # fmt: skip
    parts = [
        ("950", "紹介目的", "短期入所の調整", entry("7", "Encounter", "紹介目的")),
        ("340", "傷病名・主訴", "不眠", entry("8", "Condition", "傷病名・主訴")),
        ("360", "現病歴", "先週から眠れていない。", entry("9", "Condition", "現病歴")),
        ("370", "既往歴", "骨折　2019年", entry("a", "Condition", "既往歴")),
        ("510", "アレルギー・不耐性反応", "サバ", entry("b", "AllergyIntolerance", "アレルギー")),
    ]
    described = [section(c, title, words if by_text else None, e) for c, title, words, e in parts]
    document = a_document()
    document["timestamp"] = "2026-11-20T10:00:00+09:00"
    composition: Json = document["entry"][0]["resource"]
    composition["extension"] = [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/composition-clinicaldocument-versionNumber",
            "valueString": "1.0",
        }
    ]
    composition |= {
        "category": [composition["type"]],
        "event": [{"code": [{"text": "診療情報提供書発行"}], "period": {"start": "2026-11-20"}}],
        "encounter": entry("2", "Encounter", "受診"),
        "author": [
            entry("3", "Practitioner", "作成者PractitionerRoleリソース"),
            entry("5", "Organization", "作成機関Organizationリソース"),
        ],
        "custodian": entry("5", "Organization", "交付責任機関Organizationリソース"),
        "section": [
            section("920", "紹介元情報", "見本病院", entry("5", "Organization", "紹介元医療機関"),
                    entry("3", "Practitioner", "紹介元医師")),
            section("910", "紹介先情報", "見本の宛先", entry("6", "Organization", "紹介先医療機関"),
                    entry("4", "Practitioner", "紹介先医師")),
            section("300", "構造情報", None) | {"section": described},
        ],
    }  # fmt: skip
    numbered = zip("123456789ab", resources, strict=True)
    entries = [{"fullUrl": f"{DOC}{n}", "resource": held} for n, held in numbered]
    return document | {"entry": [document["entry"][0], *entries]}


def with_ours(document: Json) -> Json:
    """With the two extensions that a referral needs of ours, and nothing else."""
    document["entry"][0]["resource"]["extension"] += [
        {"url": extension("function"), "valueCode": "emergency"},
        {"url": extension("consent-basis"), "valueCode": "C1"},
    ]
    return document
