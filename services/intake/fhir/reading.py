"""What came as FHIR → one of our submissions, or a refusal in FHIR's terms. Pure but for ``models``.

1. Bounds, before anything is made of it (``bounds``).
2. Is it FHIR at all? (``models``)
3. One parcel: which resources there are, and which of them is the request: exactly one
   ServiceRequest, or the Composition of a 診療情報提供書.
4. Written onto a slip in our words; every mistake is told at once.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from schemas.base import JsonObject
from schemas.problems import Refusal, invalid
from services.intake.fhir import bounds, models
from services.intake.fhir.document import is_document, read_document
from services.intake.fhir.names import system
from services.intake.fhir.parcel import Parcel, Resource
from services.intake.fhir.request import read_request
from services.intake.fhir.slip import Slip
from services.intake.fhir.tables import TAKEN
from wards.model import Ward

BUNDLES = ("transaction", "batch", "collection", "message", "document")
_ALWAYS_TAKEN = frozenset({"resourceType", "id", "meta", "language", "text", "contained"})


@dataclass(frozen=True, slots=True)
class Came:
    """``key``: the idempotency key that its identifier stands for; None without one. ``left``: where
    that stands which was not taken."""

    slip: Slip
    key: str | None
    left: tuple[str, ...]


def read_post(raw: bytes, ward: Ward, agency: str, now: datetime) -> Came | Refusal:
    """``now``: what is no longer or not yet in force then is not taken."""
    value = read_resource(raw)
    if isinstance(value, Refusal):
        return value
    kind = value["resourceType"]
    if kind not in ("Bundle", "ServiceRequest"):
        return invalid(
            bounds.root_name(value), "Bundle か ServiceRequest を送ってください / send one of these"
        )
    if kind == "Bundle" and value.get("type") not in BUNDLES:
        return invalid("Bundle.type", f"{', '.join(BUNDLES)} のいずれか / must be one of these")
    parcel = Parcel(value, ward.code, now)
    twice = parcel.twice()
    if twice:
        return invalid(
            twice[0], "同じ名前のリソースが二つあります / two resources have the same name"
        )
    wanted = "Composition" if is_document(value) else "ServiceRequest"
    found = [r for r in parcel.of(wanted) if not r.owner]
    if len(found) != 1:
        detail = f"{wanted} がちょうど一つ要ります / exactly one {wanted} is needed"
        return invalid("Bundle.entry" if kind == "Bundle" else kind, detail)
    request = parcel.use(found[0])
    slip = Slip(request.path)
    if kind == "Bundle":
        _check_entries(slip, value)
    if wanted == "Composition":
        left = read_document(slip, parcel, request, ward, agency)
    else:
        left = read_request(slip, parcel, request, ward, agency)
    if slip.refusal is not None:
        return slip.refusal
    left += _not_taken(parcel)
    return Came(slip, _key(value, request, ward.code), tuple(left[: bounds.MOST_TOLD]))


def read_resource(raw: bytes) -> JsonObject | Refusal:
    """One resource, within the bounds, and FHIR."""
    value = bounds.parse(raw)
    return value if isinstance(value, Refusal) else models.check(value) or value


def _check_entries(slip: Slip, bundle: JsonObject) -> None:
    """A referral is made, not read or deleted."""
    for i, entry in enumerate(bundle.get("entry") or ()):
        method = (entry.get("request") or {}).get("method")
        if method not in (None, "POST", "PUT"):
            where = f"Bundle.entry[{i}].request.method"
            slip.wrong(where, "POST か PUT だけです / only POST or PUT")


def _key(root: JsonObject, request: Resource, ward: str) -> str | None:
    """The Bundle's identifier, or else the request's first that is not ours: hashed, since anything
    may stand in it."""
    of_root = root.get("identifier") if root["resourceType"] == "Bundle" else None
    of_request = request.body.get("identifier")
    if isinstance(of_request, list):
        number = system(ward, "referral-number")
        of_request = next(
            (i for i in of_request if i.get("use") != "old" and i.get("system") != number), None
        )
    for identifier in (of_root, of_request):
        if isinstance(identifier, dict) and identifier.get("value"):
            said = f"{identifier.get('system', '')}\x1f{identifier['value']}"
            return "fhir:" + hashlib.sha256(said.encode()).hexdigest()
    return None


def _not_taken(parcel: Parcel) -> list[str]:
    left = [resource.path for resource in parcel.unused]
    for resource in parcel.used:
        taken = TAKEN.get(resource.type, frozenset()) | _ALWAYS_TAKEN
        left += [
            f"{resource.path}.{name}"
            for name in resource.body
            if name not in taken and name != "extension" and not name.startswith("_")
        ]
    return left
