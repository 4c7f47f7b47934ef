"""Consent ↔ the legal basis of the disclosure (同意・提供の根拠). Pure.

A FHIR Consent alone says that somebody agreed, not on which of the law's grounds personal data is
handed over; so a code of ours has to stand with it: in ``policyRule``, or as an extension. Of what it
permits we can keep a period and agencies; a consent with any other limit is refused, since nobody here
would hold to it.
"""

from schemas.base import JsonObject
from services.intake.fhir import moments
from services.intake.fhir.names import CONSENT_SCOPE, extension, system
from services.intake.fhir.parcel import Parcel, Resource, codes
from services.intake.fhir.slip import Slip

_WORDS = {
    "consent-why": "why",
    "consent-danger": "danger",
    "consent-decided-by": "decided_by",
    "consent-meeting": "meeting",
}
_KEPT = ("id", "extension", "type", "period", "actor")
"""Of a provision; the rest (nested provisions, purposes, classes of data and so on) limits it."""


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
            f"拡張 {extension('consent-basis')} を足し、valueCode に書いてください（/v1/directory の "
            "consent_bases） / the legal basis is needed: a Consent with a code of that system in "
            "policyRule, or that extension, a code as its valueCode (consent_bases in /v1/directory)",
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
    if not parcel.concerns(
        body.get("patient"), consent, parcel.find(root.body.get("subject"), root)
    ):
        slip.wrong(
            f"{path}.patient",
            "本人の同意と確かめられません / this is not known to be the person's own consent",
        )
    provision: JsonObject = body.get("provision") or {}
    _limits(slip, parcel, provision, f"{path}.provision")
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
        obtained = moments.first_moment(body["dateTime"])
        slip.put("/consent/obtained_at", obtained, f"{path}.dateTime")
    period = provision.get("period") or {}
    if period.get("end"):
        expires = moments.last_moment(period["end"])
        slip.put("/consent/expires_at", expires, f"{path}.provision.period.end")
    for name, field in _WORDS.items():
        found = consent.extension(name)
        if found is not None:
            slip.put(f"/consent/{field}", *found)
    _members(slip, parcel, consent, provision)


def _limits(slip: Slip, parcel: Parcel, provision: JsonObject, where: str) -> None:
    """Refuse what is not permitted now, or not without a limit that we cannot keep."""
    if provision.get("type") == "deny":
        slip.wrong(f"{where}.type", "提供を拒む同意書です / it denies the disclosure")
    if not parcel.in_force(provision):
        slip.wrong(
            f"{where}.period", "いま有効な同意ではありません / the consent is not in force now"
        )
    for name in provision:
        if name not in _KEPT and not name.startswith("_"):
            slip.wrong(
                f"{where}.{name}",
                "この条件は守れないので受け付けられません（期間と機関だけ） / this limit cannot be kept here, "
                "only a period and agencies",
            )


def _members(slip: Slip, parcel: Parcel, consent: Resource, provision: JsonObject) -> None:
    """To whom it may be disclosed: agencies here, every one of them."""
    agencies = []
    for i, actor in enumerate(provision.get("actor") or ()):
        where = f"{consent.path}.provision.actor[{i}]"
        place = parcel.place(actor.get("reference"), consent) or {}
        if "agency" in place:
            agencies.append(place["agency"])
        else:
            slip.wrong(
                where,
                "提供先がこのネットワークの機関として書かれていません / who may have it is not named as an "
                "agency of this network",
            )
    if agencies:
        slip.put("/consent/agencies", agencies, f"{consent.path}.provision.actor")


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
