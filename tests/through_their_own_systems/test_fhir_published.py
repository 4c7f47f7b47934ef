"""A 診療情報提供書 as it is published (JP eReferral, JP-CLINS) needs our two extensions, and nothing else.

The samples are ours; what they share with the published examples is their shape. Where each fact of it
comes from stands at the sample and at the tests. The published examples themselves, and what becomes of
them, are told in docs/partners.md, 8.2.
"""

import json
import uuid

import pytest

from schemas.partner import ReferralSubmission
from schemas.problems import FieldProblem, Refusal
from services.intake.fhir.names import extension, system
from services.intake.fhir.reading import Came, read_post
from tests.builders import BUNKYO
from tests.network import RunningNetwork
from tests.through_their_own_systems.fhir_samples import (
    DOC,
    JP,
    NOW,
    SECTION,
    WARD,
    Json,
    a_published_document,
    with_ours,
)

HERE = "Bundle.entry[0].resource"
FHIR = {"Content-Type": "application/fhir+json"}
XHTML = "http://www.w3.org/1999/xhtml"
TERMS = "http://terminology.hl7.org/CodeSystem"


def came(document: Json) -> Came:
    read = read_post(json.dumps(document).encode(), BUNKYO, "sample-hospital", NOW)
    assert isinstance(read, Came), read
    return read


def submitted(document: Json) -> ReferralSubmission:
    return ReferralSubmission.model_validate_json(came(document).slip.raw())


def refused(document: Json) -> tuple[FieldProblem, ...]:
    refusal = read_post(json.dumps(document).encode(), BUNKYO, "sample-hospital", NOW)
    assert isinstance(refusal, Refusal), refusal
    return refusal.errors


def places(document: Json) -> list[str]:
    return [error.pointer for error in refused(document)]


def a_status(element: str, kind: str, code: str) -> Json:
    return {element: {"coding": [{"system": f"{TERMS}/{kind}", "code": code}]}}


def sections(document: Json) -> list[Json]:
    found: list[Json] = document["entry"][0]["resource"]["section"]
    return found


def resource(document: Json, n: str) -> Json:
    found: Json = next(e["resource"] for e in document["entry"] if e["fullUrl"] == f"{DOC}{n}")
    return found


def with_department(document: Json, **elements: object) -> Json:
    """The department as an Organization of its own, as forPackage/example/
    Bundle-bundleReferralExample01.json has it (https://github.com/jami-fhir-jp-wg/eReferral, commit
    b5b1cabc): there it is part of itself."""
    department = {
        "resourceType": "Organization",
        "type": [{"coding": [{"system": f"{TERMS}/organization-type", "code": "dept"}]}],
        "name": "見本科",
        **elements,
    }
    document["entry"].append({"fullUrl": f"{DOC}c", "resource": department})
    sections(document)[1]["entry"].insert(1, {"reference": f"{DOC}c", "type": "Organization"})
    return document


def test_as_it_is_it_is_told_everything_that_is_missing_at_once() -> None:
    function, basis, receiver = refused(a_published_document(to=None))
    assert (function.pointer, basis.pointer) == (f"{HERE}.extension",) * 2
    assert receiver.pointer == f"{HERE}.section[1]"
    for words in (extension("function"), "valueCode", "/v1/directory の functions"):
        assert words in function.detail
    for words in (extension("consent-basis"), "valueCode", "/v1/directory の consent_bases"):
        assert words in basis.detail
    for words in (system(WARD, "agency"), "/v1/directory の agencies", "910 のセクション"):
        assert words in receiver.detail
    assert "見本" not in function.detail + basis.detail + receiver.detail


def test_with_our_two_extensions_it_is_a_referral() -> None:
    body = submitted(with_ours(a_published_document()))
    assert (body.function, body.consent.basis, body.urgency) == ("emergency", "C1", "routine")
    assert body.to is not None
    assert body.to.agency == "hub-motofuji"
    assert body.summary == (
        "【紹介目的】短期入所の調整\n【現病歴】先週から眠れていない。\n【既往歴】骨折 2019年"
    )
    assert (body.complaint, body.risks) == ("不眠", "【アレルギー・不耐性反応】サバ")
    assert body.staff == "サンプル 太郎"
    assert body.person is not None
    assert (body.person.name, body.person.kana) == ("サンプル 太郎", "サンプル タロウ")


def test_without_the_receivers_section_it_goes_by_the_address() -> None:
    document = with_ours(a_published_document(to=None))
    del sections(document)[1]
    assert submitted(document).to is None


@pytest.mark.parametrize(
    "name",
    [
        f"{JP}/clins/CodeSystem/document-section",  # JP-CLINS 1.3.0, CodeSystem.url
        f"{JP}/clins/CodeSystem/jp-codeSystem-clins-document-section",  # its id, as some write it
        f"{JP}/eCS/CodeSystem/document-section",  # 記述仕様 表5-3
        f"{JP}/eDischargeSummary/CodeSystem/document-section",  # サマリー情報用セクション区分コード
    ],
)
def test_a_receiver_is_one_under_every_published_name_of_the_sections(name: str) -> None:
    """Or else the words of 910 would be words like any others, and the address would decide."""
    told = json.dumps(with_ours(a_published_document())).replace(SECTION, name)
    assert submitted(json.loads(told)) == submitted(with_ours(a_published_document()))
    unknown = json.dumps(with_ours(a_published_document(to=None))).replace(SECTION, name)
    assert places(json.loads(unknown)) == [f"{HERE}.section[1]"]


def test_the_document_of_the_sharing_service_is_the_same_referral() -> None:
    """As ExampleJson/Bundle-Bundle-CLINS-Referral-Example-01.json has it (JP-CLINS,
    https://github.com/jami-fhir-jp-wg/clinical-core, commit 32f5b295): a profile with its version, a
    language, a category of its own, names without use, resolved conditions, a contact that is a number."""
    document = with_ours(a_published_document())
    document["meta"]["profile"] = [f"{JP}/clins/StructureDefinition/JP_Bundle_eReferral|1"]
    document["language"] = "ja"
    document["identifier"] = {
        "system": f"{JP}/clins/bundle-identifier",
        "value": "1310000001^2026^1",
    }
    kind = {"system": f"{JP}/Common/CodeSystem/doc-subtypecodes", "code": "OUTPATIENT"}
    document["entry"][0]["resource"]["category"] = [{"coding": [kind]}]
    patient = resource(document, "1")
    for name in patient["name"]:
        del name["use"]
    patient["contact"] = [{"telecom": [{"system": "phone", "value": "03-0000-0000   999"}]}]
    sections(document).append(
        {
            "title": "備考・連絡情報",
            "code": {"coding": [{"system": SECTION, "code": "220"}]},
            "text": {"status": "additional", "div": f'<div xmlns="{XHTML}">よろしく</div>'},
        }
    )
    body = submitted(document)
    assert body.summary.endswith("【備考・連絡情報】よろしく")
    assert body.person is not None
    assert (body.person.name, body.person.kana) == ("サンプル 太郎", "サンプル タロウ")


# -- the receiver's department and doctor ----------------------------------------------------------


def test_a_department_that_does_not_say_of_whom_does_not_hide_the_receiver() -> None:
    for above in ({"partOf": {"reference": f"{DOC}c"}}, {"partOf": {"reference": f"{DOC}6"}}, {}):
        to = submitted(with_department(with_ours(a_published_document()), **above)).to
        assert to is not None
        assert to.agency == "hub-motofuji"


def test_a_department_of_somebody_else_or_alone_is_no_receiver() -> None:
    theirs = {"partOf": {"reference": f"{DOC}5"}}
    of_another = with_department(with_ours(a_published_document()), **theirs)
    assert places(of_another) == [f"{HERE}.section[1]"]
    alone = with_department(with_ours(a_published_document()))
    sections(alone)[1]["entry"] = [{"reference": f"{DOC}c"}]
    assert places(alone) == [f"{HERE}.section[1]"]


def test_what_is_not_kept_of_sender_and_receiver_is_told() -> None:
    left = came(with_ours(a_published_document())).left
    assert {f"{HERE}.section[0].text", f"{HERE}.section[1].text"} <= set(left)
    assert "Bundle.entry[4].resource" in left  # the doctor it is addressed to


# -- without narratives ----------------------------------------------------------------------------


def test_where_a_section_has_no_text_its_entries_are_read() -> None:
    """JP_Composition_eReferral lets section.text be left out; 360: "Condition.code.text および
    Condition.note"; 950: Encounter.reasonCode."""
    body = submitted(with_ours(a_published_document(by_text=False)))
    assert body.summary == (
        "【紹介目的】短期入所の調整\n【現病歴】不眠（先週から眠れていない。）\n【既往歴】骨折"
    )
    assert body.complaint == "不眠"
    assert body.risks == "【アレルギー・不耐性反応】サバ（食後に発疹）"


def test_an_entry_that_says_nothing_here_is_told_as_not_taken() -> None:
    document = with_ours(a_published_document(by_text=False))
    finding = {"resourceType": "Observation", "status": "final", "code": {"text": "所見"}}
    document["entry"].append({"fullUrl": f"{DOC}c", "resource": finding})
    sections(document)[2]["section"][4]["entry"] = [
        {"reference": f"{DOC}c"},
        {"reference": f"{DOC}d"},
    ]
    left = came(document).left
    where = f"{HERE}.section[2].section[4]"
    assert {f"{where}.entry[0]", f"{where}.entry[1]", "Bundle.entry[12].resource"} <= set(left)


@pytest.mark.parametrize(
    ("n", "change", "where"),
    [
        ("8", {"subject": {"reference": f"{DOC}3"}}, "entry[8].resource.subject"),
        ("b", {"patient": {"reference": f"{DOC}3"}}, "entry[11].resource.patient"),
        ("7", {"status": "entered-in-error"}, "entry[7].resource.status"),
        ("8", a_status("clinicalStatus", "condition-clinical", "resolved"),
         "entry[8].resource.clinicalStatus.coding[0]"),
        ("a", a_status("verificationStatus", "condition-ver-status", "refuted"),
         "entry[10].resource.verificationStatus.coding[0]"),
        ("b", a_status("verificationStatus", "allergyintolerance-verification", "refuted"),
         "entry[11].resource.verificationStatus.coding[0]"),
    ],
)  # fmt: skip
def test_an_entry_of_somebody_else_or_one_that_is_not_so_is_refused(
    n: str, change: Json, where: str
) -> None:
    document = with_ours(a_published_document(by_text=False))
    resource(document, n).update(change)
    assert places(document) == [f"Bundle.{where}"]


# -- on the network --------------------------------------------------------------------------------


def test_it_travels_once_our_extensions_are_there(network: RunningNetwork) -> None:
    hospital, hub = network.partner("sample-hospital"), network.partner("hub-motofuji")
    document = a_published_document()
    document["identifier"]["value"] = str(uuid.uuid4())
    as_it_is = hospital.http.post("/fhir", content=json.dumps(document), headers=FHIR)
    assert as_it_is.status_code == 422
    assert [i["expression"] for i in as_it_is.json()["issue"]] == [[f"{HERE}.extension"]] * 2
    taken = hospital.http.post("/fhir", content=json.dumps(with_ours(document)), headers=FHIR)
    assert taken.status_code == 201, taken.text
    opened = hub.http.get(taken.headers["location"]).json()
    assert "【紹介目的】短期入所の調整" in opened["note"][0]["text"]
    assert opened["performer"][0]["identifier"]["value"] == "hub-motofuji"
