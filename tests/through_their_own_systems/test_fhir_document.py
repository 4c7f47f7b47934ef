"""A hospital's 診療情報提供書 (JP eReferral) is a referral; what it does not say is asked for, not guessed."""

import json
from typing import Any

import pytest

from schemas.my_number import has_my_number
from schemas.partner import ReferralSubmission
from schemas.problems import Refusal
from services.intake.fhir.document import plain
from services.intake.fhir.names import DOCUMENT_TYPES, LOINC, SECTION_SYSTEM
from services.intake.fhir.reading import Came, read_post
from services.intake.fhir.tables import FROM_SECTION, SECTIONS, TO_SECTION
from tests.builders import BUNKYO
from tests.through_their_own_systems.fhir_samples import (
    DOC,
    NOW,
    SECTION,
    Json,
    a_consent,
    a_document,
    a_section,
)

# 診療情報提供書セクション区分コード, http://jpfhir.jp/fhir/eReferral/CodeSystem/document-section
PUBLISHED = {
    "200", "210", "220", "300", "330", "340", "360", "370", "410", "420", "430", "510", "520",
    "530", "550", "610", "620", "640", "720", "730", "740", "810", "830", "910", "920", "950",
}  # fmt: skip
HERE = "Bundle.entry[0].resource"


def read(document: Json, agency: str = "sample-hospital") -> Came | Refusal:
    return read_post(json.dumps(document).encode(), BUNKYO, agency, NOW)


def submitted(document: Json) -> ReferralSubmission:
    came = read(document)
    assert isinstance(came, Came), came
    return ReferralSubmission.model_validate_json(came.slip.raw())


def refused(document: Json, agency: str = "sample-hospital") -> list[str]:
    refusal = read(document, agency)
    assert isinstance(refusal, Refusal), refusal
    return [error.pointer for error in refusal.errors]


def composition(document: Json) -> Json:
    found: Json = document["entry"][0]["resource"]
    return found


def with_sections(*sections: Json) -> Json:
    document = a_document()
    composition(document)["section"] += sections
    return document


def without_extension(name: str) -> Json:
    document = a_document()
    held = composition(document)["extension"]
    composition(document)["extension"] = [e for e in held if not e["url"].endswith(f":{name}")]
    return document


def test_every_published_section_has_its_place() -> None:
    assert PUBLISHED - {"300", FROM_SECTION, TO_SECTION} <= set(SECTIONS)
    assert SECTION_SYSTEM.fullmatch(SECTION)


def test_its_words_go_to_summary_complaint_and_risks() -> None:
    body = submitted(a_document())
    assert body.summary == (
        "【紹介目的】短期入所の\n調整をお願いします。\n【現病歴】先週から眠れていない。"
    )
    assert body.complaint == "不眠、食欲低下"
    assert body.risks == "【アレルギー・不耐性反応】サバ"
    assert body.staff == "見本 医師"
    assert body.to is not None
    assert body.to.agency == "hub-motofuji"
    assert body.consent.basis == "C1"
    assert body.person is not None
    assert (body.person.name, body.person.kana) == ("サンプル 太郎", "サンプル タロウ")
    assert body.sender_reference == "1311234567-2026-0001"


def test_a_document_without_a_receiver_goes_by_the_address() -> None:
    assert submitted(a_document(to=None)).to is None


@pytest.mark.parametrize("code", sorted(PUBLISHED - {"200", "210", "230", "300", "910", "920"}))
def test_nothing_that_a_section_says_is_lost(code: str) -> None:
    body = submitted(with_sections(a_section(code, "題", "この言葉は残る")))
    assert "この言葉は残る" in f"{body.summary}{body.complaint}{body.risks}"


def test_an_unknown_section_goes_to_the_summary_and_a_file_is_told_as_not_taken() -> None:
    body = submitted(with_sections(a_section("999", "新設", "新しい区分の言葉")))
    assert "【新設】新しい区分の言葉" in body.summary
    came = read(with_sections(a_section("210", "添付情報", "添付参照")))
    assert isinstance(came, Came)
    assert f"{HERE}.section[3]" in came.left


def test_the_code_of_the_sharing_service_and_the_loinc_code_are_the_same_document() -> None:
    document = a_document()
    composition(document)["type"]["coding"][0] = {"system": LOINC, "code": "57133-1"}
    told = json.dumps(document).replace(
        "eReferral/CodeSystem/document-section", "clins/CodeSystem/document-section"
    )
    assert submitted(json.loads(told)) == submitted(a_document())


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"status": "preliminary"}, f"{HERE}.status"),
        ({"type": {"coding": [{"system": DOCUMENT_TYPES, "code": "18842-5"}]}}, f"{HERE}.type"),
        ({"subject": {"reference": f"{DOC}2"}}, f"{HERE}.subject"),
    ],
)
def test_another_document_is_no_referral(change: Json, where: str) -> None:
    document = a_document()
    composition(document).update(change)
    assert where in refused(document)


@pytest.mark.parametrize("name", ["function", "consent-basis"])
def test_what_the_document_does_not_say_is_asked_for(name: str) -> None:
    document = without_extension(name)
    if name == "function":  # the requested action tells it
        assert submitted(document).function == "emergency"
        held = composition(document)["extension"]
        composition(document)["extension"] = [e for e in held if "requested" not in e["url"]]
    assert refused(document) == [f"{HERE}.extension"]


def test_a_consent_among_the_entries_says_the_basis_too() -> None:
    document = without_extension("consent-basis")
    consent = {**a_consent("C2"), "patient": {"reference": f"{DOC}1"}}
    document["entry"].append({"fullUrl": f"{DOC}9", "resource": consent})
    assert submitted(document).consent.basis == "C2"


def test_a_receiver_in_words_alone_is_not_guessed() -> None:
    document = a_document()
    composition(document)["section"][1] = a_section("910", "紹介先情報", "本富士生活あんしん拠点")
    assert refused(document) == [f"{HERE}.section[1]"]


def test_it_is_sent_by_the_agency_that_it_names() -> None:
    assert f"{HERE}.section[0]" in refused(a_document(), agency="lien-bunkyo")


def test_the_composition_comes_first() -> None:
    document = a_document()
    document["entry"].reverse()
    assert refused(document) == ["Bundle.entry[0]"]


@pytest.mark.parametrize(
    ("div", "words"),
    [
        ("<div>一行目<br/>二行目</div>", "一行目\n二行目"),
        ("<div><p>一</p><p>二</p></div>", "一\n二"),
        ("<div>3 &lt; 5 &amp; 7 &#x3042;</div>", "3 < 5 & 7 あ"),
        (
            "<div>内服<table><tr><td>ワルファリン</td><td>5</td><td>0.5mg</td></tr>"
            "<tr><th>血圧</th><TH>14</TH><td>90</td></tr></table>次回</div>",
            "内服\nワルファリン 5 0.5mg\n血圧 14 90\n次回",
        ),
        (
            "<div><h3>見出し</h3>本文<ul><li>一</li><li>二</li></ul>後</div>",
            "見出し\n本文\n一\n二\n後",
        ),
        ("<dl><dt>体温</dt><dd>36.5</dd><dt>脈拍</dt><dd>60</dd></dl>", "体温\n36.5\n脈拍\n60"),
        ("<div>前<p>中</p>後<hr/>末</div>", "前\n中\n後\n末"),
        ("<div><script>alert(1)</script></div>", "alert(1)"),
        ("<" * 100_000, "<" * 100_000),
        ("<td" * 100_000, "<td" * 100_000),
    ],
)
def test_a_narrative_is_read_as_words(div: str, words: str) -> None:
    assert plain(div) == words


def test_digits_that_a_tag_keeps_apart_are_still_an_individual_number() -> None:
    document = with_sections(a_section("999", "題", "1234<b></b>5678<b></b>9018"))
    came = read(document)
    assert isinstance(came, Came)
    assert "123456789018" in came.slip.body["summary"]  # and the desk looks at our body again


def test_an_individual_number_over_the_cells_of_a_table_is_found() -> None:
    cells = "<table><tr><td>1234</td><td>5678</td><td>9018</td></tr></table>"
    came = read(with_sections(a_section("999", "題", cells)))
    assert isinstance(came, Came)
    assert has_my_number(came.slip.body["summary"])


def test_sections_say_their_title_once() -> None:
    body: Any = submitted(a_document())
    assert body.summary.count("【紹介目的】") == 1


def test_a_section_about_somebody_else_is_not_taken() -> None:
    about = {**a_section("330", "家族", "母は入院中。"), "focus": {"reference": f"{DOC}2"}}
    assert refused(with_sections(about)) == [f"{HERE}.section[3].focus"]
    about["focus"] = {"reference": f"{DOC}1"}
    assert "母は入院中。" in submitted(with_sections(about)).summary
