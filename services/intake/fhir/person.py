"""Patient ↔ the person concerned (本人) and the address. Pure.

A Japanese name comes twice (JP Core): IDE in ideographs, SYL by sound. Names, numbers, addresses and
contacts that are ``old`` or whose period does not hold now are left alone; where two that differ are
left, none is picked. A partial birth date becomes an age band, since it is no date.
"""

from typing import Any

from schemas.base import JsonObject
from services.intake.fhir.names import LANGUAGE, REPRESENTATION, extension
from services.intake.fhir.parcel import Parcel, Resource, extension_of
from services.intake.fhir.slip import Slip

_CONTACT_OF_SYSTEM = {"phone": "phone", "sms": "phone", "fax": "fax", "email": "mail"}
_PAST = ("old", "maiden", "anonymous")
_NAME_USES = {"official": 0, "usual": 1, None: 2}
_NO_DWELLING = ("billing", "work")

Placed = tuple[JsonObject, str]
"""An element and where it stands."""


def read_person(slip: Slip, parcel: Parcel, patient: Resource) -> None:
    """Write ``person``, ``address``, ``household`` and ``registered``."""
    body, path = patient.body, patient.path
    if body.get("active") is False:
        slip.wrong(
            f"{path}.active", "無効（active false）の患者記録です / the record is not in use"
        )
    if body.get("deceasedBoolean") or body.get("deceasedDateTime"):
        slip.wrong(f"{path}.deceased", "亡くなった人の依頼は出せません / the person has died")
    for i, link in enumerate(body.get("link") or ()):
        if link.get("type") == "replaced-by":
            slip.wrong(
                f"{path}.link[{i}]",
                "別の記録に置き換えられた患者記録です / the record was replaced by another",
            )
    slip.expect("/person", path)
    slip.expect("/address", f"{path}.address")
    _names(slip, _current(parcel, body.get("name"), f"{path}.name"))
    _telecoms(slip, _current(parcel, body.get("telecom"), f"{path}.telecom"))
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
    _address(slip, _current(parcel, body.get("address"), f"{path}.address"))


def name_text(name: JsonObject) -> str | None:
    """A HumanName as one writes it: never put in another order than it was said."""
    if isinstance(name.get("text"), str) and name["text"].strip():
        return str(name["text"]).strip()
    parts = [name.get("family"), *(name.get("given") or ())]
    return " ".join(str(part).strip() for part in parts if part) or None


def first_name(parcel: Parcel, names: Any) -> str | None:
    """The name of a contact or of staff, one HumanName or a list of them."""
    listed = [names] if isinstance(names, dict) else names
    return next((text for text, _ in _best(_current(parcel, listed, ""), "IDE", None)), None)


def words_of(concept: JsonObject) -> str | None:
    """What a CodeableConcept says to a reader."""
    said = [concept.get("text"), *(c.get("display") for c in concept.get("coding") or ())]
    return next((str(words).strip() for words in said if words and str(words).strip()), None)


def _current(parcel: Parcel, items: Any, path: str) -> list[Placed]:
    """The names, numbers or addresses of a list that are in use now."""
    return [
        (item, f"{path}[{i}]")
        for i, item in enumerate(items or ())
        if item.get("use") not in _PAST and parcel.in_force(item)
    ]


def _best(names: list[Placed], *kinds: str | None) -> list[tuple[str, str]]:
    """The names of the best use (official, then usual), and of the first of these kinds that there
    is."""
    found: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for name, where in names:
        text, kind = name_text(name), _representation(name)
        if text is not None and kind in kinds:
            rank = (_NAME_USES.get(name.get("use"), 3), kinds.index(kind))
            found.setdefault(rank, []).append((text, where))
    return found[min(found)] if found else []


def _representation(name: JsonObject) -> str | None:
    """IDE, SYL or ABC; a name whose language is ja-Kana is one by sound."""
    for held in name.get("extension") or ():
        if held.get("url") == REPRESENTATION:
            return str(held.get("valueCode"))
        if held.get("url") == LANGUAGE:
            said = str(held.get("valueCode", ""))
            return "SYL" if said.startswith(("ja-Kana", "ja-Hira", "ja-Hrkt")) else None
    return None


def _names(slip: Slip, names: list[Placed]) -> None:
    written = _best(names, "IDE", None) or _best(names, "ABC")
    for pointer, found in (("/person/name", written), ("/person/kana", _best(names, "SYL"))):
        if len({text for text, _ in found}) > 1:
            slip.wrong(
                found[1][1],
                "氏名が二通りあります。使わないほうに use か period を付けてください / two different names: mark "
                "the one not in use with use or period",
            )
        elif found:
            slip.put(pointer, *found[0])


def _telecoms(slip: Slip, points: list[Placed]) -> None:
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
        (c, f"{patient.path}.contact[{i}]")
        for i, c in enumerate(patient.body.get("contact") or ())
        if parcel.in_force(c)
    ]
    for related in parcel.of("RelatedPerson"):
        body = related.body
        current = body.get("active") is not False and parcel.in_force(body)
        if current and parcel.find(body.get("patient"), related) is patient:
            found.append((parcel.use(related).body, related.path))
    for body, _ in found:
        points = _current(parcel, body.get("telecom"), "")
        phones = (p.get("value") for p, _ in points if p.get("system") == "phone")
        relations = (words_of(concept) for concept in body.get("relationship") or ())
        contact = {
            "name": first_name(parcel, body.get("name")),
            "relation": next((words for words in relations if words), None),
            "phone": next((phone for phone in phones if phone), None),
        }
        if any(contact.values()):
            contacts.append({key: value for key, value in contact.items() if value})
    if contacts:
        slip.put("/person/emergency_contacts", contacts, found[0][1])


def _address(slip: Slip, addresses: list[Placed]) -> None:
    """Where the person lives or stays; it decides who is asked. A postal address is neither."""
    found: dict[tuple[Any, Any], tuple[str, str]] = {}
    for address, where in addresses:
        if address.get("use") in _NO_DWELLING or address.get("type") == "postal":
            continue
        parts = (address.get("state"), address.get("city"), *(address.get("line") or ()))
        text = address.get("text") or "".join(str(part) for part in parts if part)
        told = "actual" if address.get("use") == "temp" else None
        kind, stands = extension_of(address, where, "address-kind") or (told, f"{where}.use")
        if text or kind:
            found.setdefault((text, kind), (where, stands))
    if len(found) > 1:
        slip.wrong(
            [*found.values()][1][0],
            "住所が二通りあります。地区を決める住所を一つにしてください（ほかは use や period で区別） / two different "
            "addresses: leave one, or mark the others with use or period",
        )
        return
    for (text, kind), (where, stands) in found.items():
        if text:
            slip.put("/address/text", text, where)
        if kind:
            slip.put("/address/kind", kind, stands)


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
