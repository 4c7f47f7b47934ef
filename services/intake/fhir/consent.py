"""Consent ↔ the legal basis of the disclosure (同意・提供の根拠). Pure.

A FHIR Consent alone says that somebody agreed, not on which of the law's grounds personal data is
handed over; so a code of ours has to stand with it: in ``policyRule``, or as an extension.
"""

from schemas.base import JsonObject
from services.intake.fhir.names import CONSENT_SCOPE, extension, system
from services.intake.fhir.parcel import Parcel, Resource, codes
from services.intake.fhir.slip import Slip

_WORDS = {
    "consent-why": "why",
    "consent-danger": "danger",
    "consent-decided-by": "decided_by",
    "consent-meeting": "meeting",
}


def read_consent(slip: Slip, parcel: Parcel, root: Resource) -> None:
    """Write ``consent``. Exactly one basis; a consent that is not in force counts for nothing."""
    wanted = system(parcel.ward, "consent-basis")
    consents = parcel.of("Consent")
    on_root = root.extension("consent-basis")
    if len(consents) > 1:
        slip.wrong(consents[1].path, "Consent は一つだけにしてください / one Consent only")
        return
    if not consents:
        if on_root is not None:
            slip.put("/consent/basis", *on_root)
            return
        slip.wrong(
            f"{root.path}.extension",
            f"同意・提供の根拠が要ります。Consent を添え、policyRule に system {wanted} のコードを書くか、"
            f"拡張 {extension('consent-basis')} を付けてください / the legal basis is needed: a Consent with "
            "a code of that system in policyRule, or that extension",
        )
        return
    consent = parcel.use(consents[0])
    body, path = consent.body, consent.path
    slip.expect("/consent", path)
    for field in _WORDS.values():
        slip.expect(f"/consent/{field}", f"{path}.extension")
    if body.get("status") != "active":
        slip.wrong(
            f"{path}.status", "有効（active）な同意ではありません / the consent is not active"
        )
    subject, patient = (
        parcel.find(root.body.get("subject"), root), parcel.find(body.get("patient"), consent)
    )  # fmt: skip
    if subject is not None and patient is not None and subject is not patient:
        slip.wrong(f"{path}.patient", "別の人の同意です / it is somebody else's consent")
    provision: JsonObject = body.get("provision") or {}
    if provision.get("type") == "deny":
        slip.wrong(f"{path}.provision.type", "提供を拒む同意書です / it denies the disclosure")
    named = [
        *codes(body.get("policyRule"), wanted, f"{path}.policyRule"),
        *([found] if (found := consent.extension("consent-basis")) is not None else ()),
        *([on_root] if on_root is not None else ()),
    ]
    if not named:
        slip.wrong(
            f"{path}.policyRule",
            f"根拠のコードが要ります（system {wanted}、または拡張 {extension('consent-basis')}）。コードは "
            "/v1/directory の consent_bases / the code of the legal basis is needed; see consent_bases "
            "in /v1/directory",
        )
    elif len({code for code, _ in named}) > 1:
        slip.wrong(f"{path}.policyRule", "根拠が二通りあります / it names two different bases")
    else:
        slip.put("/consent/basis", *named[0])
    if body.get("dateTime"):
        slip.put("/consent/obtained_at", body["dateTime"], f"{path}.dateTime")
    period = provision.get("period") or {}
    if period.get("end"):
        slip.put("/consent/expires_at", period["end"], f"{path}.provision.period.end")
    for name, field in _WORDS.items():
        found = consent.extension(name)
        if found is not None:
            slip.put(f"/consent/{field}", *found)
    _members(slip, parcel, consent, provision)


def _members(slip: Slip, parcel: Parcel, consent: Resource, provision: JsonObject) -> None:
    """To whom it may be disclosed: those of the actors that are agencies here."""
    agencies = []
    for actor in provision.get("actor") or ():
        place = parcel.place(actor.get("reference"), consent) or {}
        if "agency" in place:
            agencies.append(place["agency"])
    if agencies:
        where = f"{consent.path}.provision.actor"
        slip.put("/consent/agencies", agencies, where)


def tell_consent(given: JsonObject, ward: str) -> JsonObject:
    """The Consent within a ServiceRequest. The basis is in the clear; who decided, and why, only
    where this agency may open it."""
    opened: JsonObject = given.get("consent") or {}
    consent: JsonObject = {
        "resourceType": "Consent",
        "id": "consent",
        "status": "active",
        "scope": {"coding": [{"system": CONSENT_SCOPE, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "policyRule": {
            "coding": [{"system": system(ward, "consent-basis"), "code": given["consent_basis"]}]
        },
    }
    extensions = [
        {"url": extension(name), "valueString": opened[field]}
        for name, field in _WORDS.items()
        if opened.get(field)
    ]
    if extensions:
        consent["extension"] = extensions
    if opened.get("obtained_at"):
        consent["dateTime"] = opened["obtained_at"]
    provision: JsonObject = {}
    if opened.get("expires_at"):
        provision["period"] = {"end": opened["expires_at"]}
    if opened.get("agencies"):
        role = {"coding": [{"system": _ROLES, "code": "IRCP"}]}
        identifier = system(ward, "agency")
        provision["actor"] = [
            {"role": role, "reference": {"identifier": {"system": identifier, "value": agency}}}
            for agency in opened["agencies"]
        ]
    if provision:
        consent["provision"] = provision
    return consent


_ROLES = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
