"""What a parcel's resources say of the person's health: why a referral is asked for, and what to mind. Pure.

Of the resources that JP_Composition_eReferral lets the sections 950, 340, 360, 370 and 510 refer to: an
Encounter gives its reasons (950 紹介目的), a Condition and an AllergyIntolerance their code and notes (of
a 現病歴 the note is the history itself).
"""

from services.intake.fhir.parcel import Parcel, Resource, codes, texts
from services.intake.fhir.person import words_of
from services.intake.fhir.slip import Slip
from services.intake.fhir.tables import NOT_SO

_SAYING = {"Encounter": "reasonCode", "Condition": "code", "AllergyIntolerance": "code"}
_NO_ENCOUNTER = ("cancelled", "entered-in-error")


def said(
    slip: Slip,
    parcel: Parcel,
    resource: Resource | None,
    patient: Resource | None,
    *,
    past: bool = False,
) -> str | None:
    """Its words, notes in brackets; None when it says none. ``past``: what is over may stand here."""
    if resource is None or resource.type not in _SAYING:
        return None
    body = parcel.use(resource).body
    _check(slip, parcel, resource, patient, past=past)
    concepts = body.get(_SAYING[resource.type]) or ()
    listed = [concepts] if isinstance(concepts, dict) else concepts
    words = "、".join(filter(None, map(words_of, listed)))
    notes = "\n".join(text for text, _ in texts(body.get("note"), resource.path))
    return f"{words}（{notes}）" if words and notes else words or notes or None


def _check(
    slip: Slip, parcel: Parcel, resource: Resource, patient: Resource | None, *, past: bool
) -> None:
    """It must be this person's, and so."""
    body, path = resource.body, resource.path
    whose = "patient" if resource.type == "AllergyIntolerance" else "subject"
    if not parcel.concerns(body.get(whose), resource, patient):
        slip.wrong(
            f"{path}.{whose}", "本人のことと確かめられません / not known to be of the person"
        )
    untrue = "打ち消されたか、いまはない状態です / it was refuted or is past"
    if resource.type == "Encounter" and body.get("status") in _NO_ENCOUNTER:
        slip.wrong(f"{path}.status", untrue)
    for name, wanted, denied in NOT_SO:
        for code, where in codes(body.get(name), wanted, f"{path}.{name}"):
            if code in denied and not (past and name == "clinicalStatus"):
                slip.wrong(where, untrue)
