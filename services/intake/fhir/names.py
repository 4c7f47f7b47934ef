"""Names of FHIR's and of ours: code systems, identifier systems, extensions, profiles.

A ward's own tables are named with the ward, since another ward may word its own. Published names and
where they are published:

* FHIR R4 (4.0.1), https://hl7.org/fhir/R4/.
* JP Core: a name is written twice, once in ideographs (IDE) and once by sound (SYL), told apart by the
  extension iso21090-EN-representation (https://jpfhir.jp/fhir/core/).
* 診療情報提供書 HL7 FHIR 記述仕様 1.1.6 (https://jpfhir.jp/fhir/eReferral/igv1/): ``JP_Bundle_eReferral``,
  ``JP_Composition_eReferral``, section codes in ``eReferral/CodeSystem/document-section``.
* 電子カルテ情報共有サービス JP-CLINS 1.10 (https://jpfhir.jp/fhir/clins/igv1/): the same document with
  section codes in ``clins/CodeSystem/document-section``.
* The same codes stand under further names: ``eCS`` (記述仕様 表5-3), ``eDischargeSummary``, and with the
  CodeSystem's id, ``jp-codeSystem-clins-document-section``. Were one not known, a receiver (910) would
  be words like any others.
"""

import re
from typing import Final

REPRESENTATION: Final = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"
LANGUAGE: Final = "http://hl7.org/fhir/StructureDefinition/language"
ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
TASK_CODE: Final = "http://hl7.org/fhir/CodeSystem/task-code"
CONSENT_SCOPE: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
LOINC: Final = "http://loinc.org"
ORGANIZATION_TYPE: Final = "http://terminology.hl7.org/CodeSystem/organization-type"
DOCUMENT_TYPES: Final = "http://jpfhir.jp/fhir/Common/CodeSystem/doc-typecodes"
E_REFERRAL: Final = "57133-1"
"""LOINC "Referral note"; as 診療情報提供書 also in JP's own ``doc-typecodes``."""
SECTION_SYSTEM: Final = re.compile(
    r"http://jpfhir\.jp/fhir/\w+/CodeSystem/(?:[\w-]+-)?document-section", re.ASCII
)

PROBLEM: Final = "urn:tsunagu:problem"
STAGE: Final = "urn:tsunagu:stage"
HANDOFF_STATE: Final = "urn:tsunagu:handoff-state"
HANDOFF_KIND: Final = "urn:tsunagu:handoff-kind"
SAID_BY: Final = "urn:tsunagu:said-by"

WARD_SYSTEMS: Final = {
    "agency": "機関の ID / an agency's id (Organization.identifier)",
    "district": "地区の ID / a district's id (Organization.identifier)",
    "referral-number": "受付番号 / the referral's number (ServiceRequest.identifier)",
    "sender-reference": "依頼元の整理番号 / the sender's own reference (ServiceRequest.identifier)",
    "function": "機能 / function (ServiceRequest.category)",
    "requested-action": "依頼内容 / requested action (ServiceRequest.code)",
    "topic": "相談内容 / topic (ServiceRequest.reasonCode)",
    "consent-basis": "同意・提供の根拠 / legal basis (Consent.policyRule)",
    "decline-reason": "辞退理由 / why an offer was declined (Task.statusReason)",
    "outcome": "結果 / how it went (Task.output)",
}
"""The last part of each system of a ward, and what is in it."""


def system(ward: str, what: str) -> str:
    """``urn:tsunagu:131059:function``."""
    if what not in WARD_SYSTEMS:
        raise KeyError(what)
    return f"urn:tsunagu:{ward}:{what}"


EXTENSIONS: Final = {
    "function": ("Composition", "valueCode", "function"),
    "requested-action": ("Composition", "valueCode", "requested_action"),
    "requested-by": ("Composition", "valueDateTime", "requested_by"),
    "urgency": ("ServiceRequest, Composition", "valueCode", "urgency"),
    "reported-by": ("ServiceRequest, Composition", "valueCode", "reported_by"),
    "risks": ("ServiceRequest, Composition", "valueString", "risks"),
    "consent-basis": ("Consent, ServiceRequest, Composition", "valueCode", "consent.basis"),
    "consent-why": ("Consent", "valueString", "consent.why"),
    "consent-danger": ("Consent", "valueString", "consent.danger"),
    "consent-decided-by": ("Consent", "valueString", "consent.decided_by"),
    "consent-meeting": ("Consent", "valueString", "consent.meeting"),
    "household": ("Patient", "valueCode", "household"),
    "registered": ("Patient", "valueBoolean", "registered"),
    "age-band": ("Patient", "valueString", "person.age_band"),
    "preferred-contact": ("Patient", "valueCode", "person.preferred_contact"),
    "communication": ("Patient", "valueString", "person.communication"),
    "address-kind": ("Address", "valueCode", "address.kind"),
}
"""What FHIR has no place for: name, on which element, the value's type, and our field."""


def extension(name: str) -> str:
    """``urn:tsunagu:fhir:urgency``."""
    if name not in EXTENSIONS:
        raise KeyError(name)
    return f"urn:tsunagu:fhir:{name}"
