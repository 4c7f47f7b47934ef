"""診療情報提供書 (JP eReferral document) → our submission. Pure.

A Bundle of type ``document`` whose Composition comes first and has the type 57133-1 (LOINC "Referral
note", or the same code of JP's own ``doc-typecodes``). Its sections, by the published codes: 920 紹介元,
910 紹介先, and within 300 構造情報 the rest, of which 950 紹介目的, 340 傷病名・主訴 and 360 現病歴 must be
there (診療情報提供書 HL7 FHIR 記述仕様 1.1.6, JP_Composition_eReferral,
https://jpfhir.jp/fhir/eReferral/igv1/StructureDefinition-JP-Composition-eReferral.html). What goes
where is in ``tables.SECTIONS``; each part of the summary begins with its section's title. A section's
narrative says all that its entries say (記述仕様 表5-3); the profile lets it be left out, and then the
entries are read (``reasons``).

The document knows neither our functions nor a legal basis: the extensions ``function`` and
``consent-basis`` of the Composition say them (a Consent among the entries does, too). Nothing is guessed.
"""

import html
import re
from collections.abc import Iterator
from typing import Any

from schemas.base import JsonObject
from services.intake.fhir import moments
from services.intake.fhir.consent import read_consent
from services.intake.fhir.names import (
    DOCUMENT_TYPES,
    E_REFERRAL,
    LOINC,
    ORGANIZATION_TYPE,
    SECTION_SYSTEM,
    extension,
)
from services.intake.fhir.parcel import Parcel, Resource, codes
from services.intake.fhir.parties import read_receiver, read_sender
from services.intake.fhir.person import first_name, read_person
from services.intake.fhir.reasons import said
from services.intake.fhir.request import read_reference
from services.intake.fhir.slip import Slip
from services.intake.fhir.tables import FROM_SECTION, PAST_SECTION, SECTIONS, TO_SECTION
from wards.model import Ward
from wards.terms import RequestedAction

_EXTENSIONS = {
    "function": "/function",
    "requested-action": "/requested_action",
    "requested-by": "/requested_by",
    "urgency": "/urgency",
    "reported-by": "/reported_by",
    "risks": "/risks",
}
# In well-formed XHTML a bare "<" is always a tag. Linear in the text, whatever it holds.
_BREAK = re.compile(
    r"</?(?:br|hr|p|div|li|ul|ol|dl|dt|dd|h[1-6]|tr|table|caption|thead|tbody|tfoot|pre|blockquote)"
    r"\b[^<>]*>",
    re.IGNORECASE,
)
_CELL = re.compile(r"</?t[dh]\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_SPACE = re.compile(r"[^\S\n]+")


def read_document(
    slip: Slip, parcel: Parcel, composition: Resource, ward: Ward, agency: str
) -> list[str]:
    """Write everything; gives where the sections stand that were not taken."""
    body, path = composition.body, composition.path
    if parcel.resources[0] is not composition:
        slip.wrong("Bundle.entry[0]", "文書の最初は Composition です / a document begins with it")
    if body.get("status") not in ("final", "amended"):
        slip.wrong(
            f"{path}.status", "確定した（final, amended）文書だけです / only a final document"
        )
    if not _is_referral(body):
        slip.wrong(
            f"{path}.type",
            f"診療情報提供書（{LOINC} または {DOCUMENT_TYPES} の {E_REFERRAL}）だけを受け付けます / only a "
            "referral note is taken",
        )
    identifier = body.get("identifier") or parcel.root.get("identifier") or {}
    if identifier.get("value"):
        read_reference(slip, identifier["value"], f"{path}.identifier.value")
    slip.put("/urgency", "routine", f"{path}.extension")
    for name, pointer in _EXTENSIONS.items():
        found = composition.extension(name)
        if found is not None:
            value, stands = found
            if name == "requested-by":
                value = moments.last_moment(value)
            slip.put(pointer, value, stands)
    term = ward.term("requested_actions", str(slip.body.get("requested_action")))
    if not slip.has("/function") and isinstance(term, RequestedAction):
        slip.put("/function", term.function, f"{path}.extension")
    if not slip.has("/function"):
        slip.wrong(
            f"{path}.extension",
            f"機能が要ります。Composition に拡張 {extension('function')} を足し、valueCode にコードを書いてください"
            "（/v1/directory の functions） / the function is needed: add that extension to the "
            "Composition, a code as its valueCode (functions in /v1/directory)",
        )
    read_consent(slip, parcel, composition)
    patient = parcel.find(body.get("subject"), composition)
    if patient is not None and patient.type == "Patient":
        read_person(slip, parcel, patient)
    else:
        slip.wrong(f"{path}.subject", "本人（Patient）がありません / the Patient is missing")
    for i, author in enumerate(body.get("author") or ()):
        read_sender(slip, parcel, author, composition, f"{path}.author[{i}]", agency)
        _read_staff(slip, parcel, author, composition)
    return _read_sections(slip, parcel, composition, patient, agency)


def is_document(body: JsonObject) -> bool:
    return body.get("resourceType") == "Bundle" and body.get("type") == "document"


def plain(div: str) -> str:
    """The words of a narrative (XHTML), a line for each block, a space between cells."""
    words = html.unescape(_TAG.sub("", _CELL.sub(" ", _BREAK.sub("\n", div))))
    lines = (_SPACE.sub(" ", line).strip() for line in words.splitlines())
    return "\n".join(line for line in lines if line)


def _is_referral(body: JsonObject) -> bool:
    codings = (body.get("type") or {}).get("coding") or ()
    return any(
        c.get("system") in (LOINC, DOCUMENT_TYPES) and c.get("code") == E_REFERRAL for c in codings
    )


def _read_staff(slip: Slip, parcel: Parcel, author: Any, composition: Resource) -> None:
    person = parcel.find(author, composition)
    if person is not None and person.type == "PractitionerRole":
        person = parcel.find(person.body.get("practitioner"), person)
    if person is not None and person.type == "Practitioner" and not slip.has("/staff"):
        name = first_name(parcel, person.body.get("name"))
        if name is not None:
            slip.put("/staff", name, f"{person.path}.name")


def _sections(sections: Any, path: str) -> Iterator[tuple[JsonObject, str]]:
    """Every section, outer before inner; the depth is bounded before."""
    for i, section in enumerate(sections or ()):
        where = f"{path}.section[{i}]"
        yield section, where
        yield from _sections(section.get("section"), where)


def _code(section: JsonObject) -> str | None:
    codings = (section.get("code") or {}).get("coding") or ()
    return next(
        (c.get("code") for c in codings if SECTION_SYSTEM.fullmatch(str(c.get("system")))), None
    )


def _read_sections(
    slip: Slip, parcel: Parcel, composition: Resource, patient: Resource | None, agency: str
) -> list[str]:
    words: dict[str, list[str]] = {"summary": [], "complaint": [], "risks": []}
    where: dict[str, str] = {}
    left: list[str] = []
    for section, path in _sections(composition.body.get("section"), composition.path):
        code = _code(section)
        if not parcel.concerns(section.get("focus"), composition, patient):
            slip.wrong(
                f"{path}.focus", "本人以外のことは受け付けません / it is about somebody else"
            )
        entries = [(entry, composition) for entry in section.get("entry") or ()]
        text = plain(str((section.get("text") or {}).get("div") or ""))
        if code in (TO_SECTION, FROM_SECTION) and text:
            left.append(f"{path}.text")
        if code == TO_SECTION:
            named = [e for e in entries if _may_receive(parcel, e[0], composition)]
            # Words alone name somebody too: told as not understood, not routed by address.
            read_receiver(slip, parcel, named or [({}, composition)], path)
            continue
        if code == FROM_SECTION:
            for entry, _ in entries:
                read_sender(slip, parcel, entry, composition, path, agency)
            continue
        field = SECTIONS.get(code or "", "summary")
        if field is None:
            left.append(path)
            continue
        if not text:
            past = code == PAST_SECTION
            told = [said(slip, parcel, parcel.look(*e), patient, past=past) for e in entries]
            left += [f"{path}.entry[{i}]" for i, each in enumerate(told) if each is None]
            text = "\n".join(filter(None, told))
        if text:
            title = str(section.get("title") or "").strip()
            words[field].append(f"【{title}】{text}" if title and field != "complaint" else text)
            where.setdefault(field, path)
    slip.expect("/summary", f"{composition.path}.section")
    if slip.has("/risks"):
        words["summary"] += words.pop("risks")
    for field, parts in words.items():
        if parts:
            slip.put(f"/{field}", "\n".join(parts), where.get(field, composition.path))
    return left


def _may_receive(parcel: Parcel, reference: Any, composition: Resource) -> bool:
    """Of the receiver, section 910 names the organisation, and maybe its department and a doctor. A
    doctor alone says nothing of an agency, nor does a department (診療科) that does not say of whom: in a
    published example each is part of itself."""
    named = parcel.look(reference, composition)
    if named is None:
        return True
    body = named.body
    if named.type in ("Practitioner", "PractitionerRole"):
        return "organization" in body
    kinds = [code for code, _ in codes(body.get("type"), ORGANIZATION_TYPE, named.path)]
    if "dept" not in kinds or "identifier" in body:
        return True
    return "partOf" in body and parcel.look(body["partOf"], named) is not named
