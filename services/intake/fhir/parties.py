"""Who asks and who is asked (依頼元・宛先). Pure."""

from typing import Any

from services.intake.fhir.names import system
from services.intake.fhir.parcel import Parcel, Resource
from services.intake.fhir.person import first_name
from services.intake.fhir.slip import Slip

_NEIGHBOUR = "NBOR"


def read_receiver(
    slip: Slip, parcel: Parcel, references: list[tuple[Any, Resource]], where: str
) -> None:
    """Write ``to``. Whoever names a receiver that is not known here, even beside one that is, is told,
    not routed by address: the sender meant somebody."""
    places = [parcel.place(reference, holder) for reference, holder in references]
    known = [place for place in places if place is not None]
    slip.expect("/to", where)
    if len(known) < len(places):
        slip.wrong(
            where,
            f"宛先がこのネットワークの機関として書かれていません。Organization.identifier に system "
            f"{system(parcel.ward, 'agency')} の機関 ID（/v1/directory の agencies）を書き足すか、宛先（文書では "
            "910 のセクション）を省いてください（住所から決まります） / the receiver is not named as an agency of this "
            "network: add its id in that system (agencies in /v1/directory), or leave the receiver (of "
            "a document the section 910) out",
        )
    elif any(place != known[0] for place in known[1:]):
        slip.wrong(where, "宛先は一つにしてください / one receiver only")
    elif known and slip.body.get("to", known[0]) != known[0]:
        slip.wrong(where, "宛先が二通りあります / it names two different receivers")
    elif known:
        slip.put("/to", known[0], where)


def read_sender(
    slip: Slip, parcel: Parcel, reference: Any, holder: Resource, where: str, agency: str
) -> None:
    """Whoever is named as the sender must be the one who sends; the key says who that is."""
    place = parcel.place(reference, holder)
    if place is not None and place != {"agency": agency}:
        slip.wrong(
            where, "依頼元が、この鍵の機関と違います / the sender is not the agency of this key"
        )


def read_requester(
    slip: Slip, parcel: Parcel, request: Resource, patient: Resource | None, agency: str
) -> None:
    reference = request.body.get("requester")
    where = f"{request.path}.requester"
    read_sender(slip, parcel, reference, request, where, agency)
    requester = parcel.find(reference, request)
    if requester is None:
        return
    of = {"Patient": reference, "RelatedPerson": requester.body.get("patient")}
    holder = request if requester.type == "Patient" else requester
    if not parcel.concerns(of.get(requester.type), holder, patient):
        slip.wrong(
            where, "別の人か、別の人の家族です / it is somebody else, or somebody else's family"
        )
    elif requester.type == "Patient":
        slip.put("/reported_by", "self", where)
    elif requester.type == "RelatedPerson":
        concepts = requester.body.get("relationship") or ()
        said = {c.get("code") for concept in concepts for c in concept.get("coding") or ()}
        slip.put("/reported_by", "neighbour" if _NEIGHBOUR in said else "family", where)
    staff = requester
    if requester.type == "PractitionerRole":
        staff = parcel.find(requester.body.get("practitioner"), requester) or requester
    if staff.type == "Practitioner":
        name = first_name(parcel, staff.body.get("name"))
        if name is not None:
            slip.put("/staff", name, f"{staff.path}.name")
