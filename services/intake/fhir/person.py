"""Patient ↔ the person concerned (本人) and the address. Pure.

A Japanese name comes twice (JP Core): IDE in ideographs, SYL by sound. ``old`` names, numbers and
addresses are left alone; a partial birth date becomes an age band, since it is no date.
"""

from typing import Any

from schemas.base import JsonObject
from services.intake.fhir.names import LANGUAGE, REPRESENTATION, extension
from services.intake.fhir.parcel import Parcel, Resource, extension_of
from services.intake.fhir.slip import Slip

_CONTACT_OF_SYSTEM = {"phone": "phone", "sms": "phone", "fax": "fax", "email": "mail"}
_PAST = ("old", "maiden", "anonymous")


def read_person(slip: Slip, parcel: Parcel, patient: Resource) -> None:
    """Write ``person``, ``address``, ``household`` and ``registered``."""
    body, path = patient.body, patient.path
    if body.get("active") is False:
        slip.wrong(
            f"{path}.active", "無効（active false）の患者記録です / the record is not in use"
        )
    if body.get("deceasedBoolean") or body.get("deceasedDateTime"):
        slip.wrong(f"{path}.deceased", "亡くなった人の依頼は出せません / the person has died")
    slip.expect("/person", path)
    slip.expect("/address", f"{path}.address")
    _names(slip, body, path)
    _telecoms(slip, body, path)
    birth = body.get("birthDate")
    if isinstance(birth, str):
        if len(birth) == 10:
            slip.put("/person/birth_date", birth, f"{path}.birthDate")
        else:
            year, _, month = birth.partition("-")
            band = f"{year}年{int(month)}月生まれ" if month else f"{year}年生まれ"
            slip.put("/person/age_band", band, f"{path}.birthDate")
    for name, pointer in (
        ("age-band", "/person/age_band"), ("communication", "/person/communication"),
        ("preferred-contact", "/person/preferred_contact"),
        ("household", "/household"), ("registered", "/registered"),
    ):  # fmt: skip
        found = patient.extension(name)
        if found is not None:
            slip.put(pointer, *found)
    _contacts(slip, parcel, patient)
    _address(slip, body, path)


def name_text(name: JsonObject) -> str | None:
    """A HumanName as one writes it: never put in another order than it was said."""
    if isinstance(name.get("text"), str) and name["text"].strip():
        return str(name["text"]).strip()
    parts = [name.get("family"), *(name.get("given") or ())]
    return " ".join(str(part).strip() for part in parts if part) or None


def first_name(names: Any) -> str | None:
    for name in [names] if isinstance(names, dict) else names or ():
        if name.get("use") not in _PAST and _representation(name) in (None, "IDE"):
            return name_text(name)
    return None


def _representation(name: JsonObject) -> str | None:
    """IDE, SYL or ABC; a name whose language is ja-Kana is one by sound."""
    for held in name.get("extension") or ():
        if held.get("url") == REPRESENTATION:
            return str(held.get("valueCode"))
        if held.get("url") == LANGUAGE:
            said = str(held.get("valueCode", ""))
            return "SYL" if said.startswith(("ja-Kana", "ja-Hira", "ja-Hrkt")) else None
    return None


def _names(slip: Slip, body: JsonObject, path: str) -> None:
    by_kind: dict[str | None, tuple[str, str]] = {}
    for i, name in enumerate(body.get("name") or ()):
        text = name_text(name)
        if text is not None and name.get("use") not in _PAST:
            by_kind.setdefault(_representation(name), (text, f"{path}.name[{i}]"))
    written = by_kind.get("IDE") or by_kind.get(None) or by_kind.get("ABC")
    if written is not None:
        slip.put("/person/name", *written)
    if "SYL" in by_kind:
        slip.put("/person/kana", *by_kind["SYL"])


def _telecoms(slip: Slip, body: JsonObject, path: str) -> None:
    points = [
        (point, f"{path}.telecom[{i}]")
        for i, point in enumerate(body.get("telecom") or ())
        if point.get("use") != "old"
    ]
    points.sort(key=lambda found: found[0].get("rank") or 1_000)
    for point, where in points:
        if point.get("system") in ("phone", "sms") and point.get("value"):
            slip.put("/person/phone", point["value"], where)
            break
    if points and points[0][0].get("rank") == 1:
        preferred = _CONTACT_OF_SYSTEM.get(str(points[0][0].get("system")))
        if preferred is not None:
            slip.put("/person/preferred_contact", preferred, points[0][1])


def _contacts(slip: Slip, parcel: Parcel, patient: Resource) -> None:
    """Whom to call: the patient's contacts, and the RelatedPersons that came along."""
    contacts = []
    found = [
        (c, f"{patient.path}.contact[{i}]") for i, c in enumerate(patient.body.get("contact") or ())
    ]
    for related in parcel.of("RelatedPerson"):
        of = related.body.get("patient")
        if parcel.find(of, related) is patient and related.body.get("active") is not False:
            found.append((parcel.use(related).body, related.path))
    for body, _ in found:
        phones = [p.get("value") for p in body.get("telecom") or () if p.get("system") == "phone"]
        relations = body.get("relationship") or ()
        contact = {
            "name": first_name(body.get("name")),
            "relation": next((_words(concept) for concept in relations if _words(concept)), None),
            "phone": next((phone for phone in phones if phone), None),
        }
        if any(contact.values()):
            contacts.append({key: value for key, value in contact.items() if value})
    if contacts:
        slip.put("/person/emergency_contacts", contacts, found[0][1])


def _words(concept: JsonObject) -> str | None:
    said = [concept.get("text"), *(c.get("display") for c in concept.get("coding") or ())]
    return next((str(words) for words in said if words), None)


def _address(slip: Slip, body: JsonObject, path: str) -> None:
    for i, address in enumerate(body.get("address") or ()):
        if address.get("use") in ("old", "billing", "work"):
            continue
        where = f"{path}.address[{i}]"
        parts = (address.get("state"), address.get("city"), *(address.get("line") or ()))
        text = address.get("text") or "".join(str(part) for part in parts if part)
        kind = extension_of(address, where, "address-kind")
        if text:
            slip.put("/address/text", text, where)
        if kind is not None:
            slip.put("/address/kind", *kind)
        elif address.get("use") == "temp":
            slip.put("/address/kind", "actual", f"{where}.use")
        return


def tell_patient(given: JsonObject) -> JsonObject | None:
    """The Patient within a ServiceRequest: only what this agency may open; None when nothing."""
    person: JsonObject = given.get("person") or {}
    address: JsonObject = given.get("address") or {}
    if not person and not address:
        return None
    patient: JsonObject = {"resourceType": "Patient", "id": "patient"}
    extensions = [
        {"url": extension(name), key: value}
        for name, key, value in (
            ("household", "valueCode", given.get("household")),
            ("registered", "valueBoolean", given.get("registered")),
            ("age-band", "valueString", person.get("age_band")),
            ("preferred-contact", "valueCode", person.get("preferred_contact")),
            ("communication", "valueString", person.get("communication")),
        )
        if value is not None
    ]
    if extensions:
        patient["extension"] = extensions
    names = [
        {"extension": [{"url": REPRESENTATION, "valueCode": code}], "use": "official", "text": text}
        for code, text in (("IDE", person.get("name")), ("SYL", person.get("kana")))
        if text
    ]
    if names:
        patient["name"] = names
    if person.get("phone"):
        patient["telecom"] = [{"system": "phone", "value": person["phone"]}]
    if person.get("birth_date"):
        patient["birthDate"] = str(person["birth_date"])
    if address:
        kind = {"url": extension("address-kind"), "valueCode": address.get("kind", "registered")}
        text = {"text": address["text"]} if address.get("text") else {}
        patient["address"] = [{"extension": [kind], **text}]
    contacts = [_tell_contact(contact) for contact in person.get("emergency_contacts") or ()]
    if contacts:
        patient["contact"] = contacts
    return patient


def _tell_contact(contact: JsonObject) -> JsonObject:
    told: JsonObject = {}
    if contact.get("relation"):
        told["relationship"] = [{"text": contact["relation"]}]
    if contact.get("name"):
        told["name"] = {"text": contact["name"]}
    if contact.get("phone"):
        told["telecom"] = [{"system": "phone", "value": contact["phone"]}]
    return told
