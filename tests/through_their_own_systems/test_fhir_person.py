"""Of a Patient only what holds now is taken, and where two that differ do, none is picked."""

import json
from typing import Any

import pytest

from schemas.partner import ReferralSubmission
from schemas.problems import Refusal
from services.intake.fhir.reading import Came, read_post
from tests.builders import BUNKYO
from tests.through_their_own_systems.fhir_samples import (
    NOW,
    REPRESENTATION,
    Json,
    a_patient,
    changed,
)

PATIENT = "Bundle.entry[1].resource"
HONGO, OTSUKA = "文京区本郷二丁目21番3号", "文京区大塚五丁目1番1号"
ENDED, TO_COME, HOLDS = (
    {"end": "2020-01-01"},
    {"start": "2027-04"},
    {"start": "2020", "end": "2026"},
)


def read(parcel: Json) -> Came | Refusal:
    return read_post(json.dumps(parcel).encode(), BUNKYO, "sample-hospital", NOW)


def taken(**patient: Any) -> ReferralSubmission:
    came = read(changed(1, **patient))
    assert isinstance(came, Came), came
    return ReferralSubmission.model_validate_json(came.slip.raw())


def refused(**patient: Any) -> list[str]:
    refusal = read(changed(1, **patient))
    assert isinstance(refusal, Refusal), refusal
    return [error.pointer.removeprefix(f"{PATIENT}.") for error in refusal.errors]


def home(**more: Any) -> Json:
    return {"use": "home", "text": HONGO, **more}


@pytest.mark.parametrize(
    "other",
    [
        {"type": "postal", "text": OTSUKA},
        {"use": "home", "period": ENDED, "text": OTSUKA},
        {"use": "home", "period": TO_COME, "text": OTSUKA},
        {"use": "old", "text": OTSUKA},
        {"use": "billing", "text": OTSUKA},
        {"use": "work", "text": OTSUKA},
        {"use": "home", "postalCode": "112-0012"},
        {"type": "physical", "text": HONGO, "period": HOLDS},
    ],
)
def test_the_address_is_the_one_where_the_person_lives_now(other: Json) -> None:
    for addresses in ([other, home()], [home(), other]):
        address = taken(address=addresses).address
        assert address is not None
        assert address.text == HONGO


def test_between_two_addresses_none_is_picked() -> None:
    assert refused(address=[home(), home(text=OTSUKA)]) == ["address[1]"]
    assert refused(address=[home(), {"use": "temp", "text": OTSUKA}]) == ["address[1]"]
    assert refused(address=[home(type="postal"), home(), home(text=OTSUKA)]) == ["address[2]"]
    twice = taken(address=[home(), home()]).address
    assert twice is not None
    stays = taken(address=[home(use="old"), {"use": "temp", "text": OTSUKA}]).address
    assert stays is not None
    assert (stays.text, stays.kind.value) == (OTSUKA, "actual")


@pytest.mark.parametrize(
    "other",
    [
        {"use": "nickname", "text": "たろちゃん"},
        {"use": "usual", "text": "見本 太郎"},
        {"text": "見本 太郎"},
        {"use": "official", "period": ENDED, "text": "旧姓 太郎"},
        {"use": "official", "period": TO_COME, "text": "見本 太郎"},
        {"use": "maiden", "text": "旧姓 太郎"},
    ],
)
def test_the_name_is_the_official_one_that_holds_now(other: Json) -> None:
    official = {"use": "official", "text": "サンプル 太郎"}
    ideographs = [{"url": REPRESENTATION, "valueCode": "IDE"}]
    for first in (other, {**other, "extension": ideographs}):
        for names in ([first, official], [official, first]):
            person = taken(name=names).person
            assert person is not None
            assert person.name == "サンプル 太郎"


def test_the_usual_name_comes_before_a_nickname_and_a_nickname_before_none() -> None:
    nickname, usual = {"use": "nickname", "text": "たろちゃん"}, {"use": "usual", "text": "太郎"}
    for names, name in (([nickname, usual], "太郎"), ([nickname], "たろちゃん")):
        person = taken(name=names).person
        assert person is not None
        assert person.name == name


def test_between_two_names_none_is_picked() -> None:
    names = [{"use": "official", "text": text} for text in ("サンプル 太郎", "見本 太郎")]
    assert refused(name=names) == ["name[1]"]


def test_whom_to_call_is_whoever_it_is_now() -> None:
    (mother,) = a_patient()["contact"]
    gone = {**mother, "name": {"text": "見本 次郎"}, "period": ENDED}
    old = {"system": "phone", "use": "old", "value": "03-0000-0008"}
    ended = {"system": "phone", "period": ENDED, "value": "03-0000-0009"}
    mother = {**mother, "telecom": [old, ended, *mother["telecom"]]}
    own = {"system": "phone", "value": "03-0000-0000", "rank": 2}
    person = taken(contact=[gone, mother], telecom=[{**old, "rank": 1}, ended, own]).person
    assert person is not None
    assert [(c.name, c.phone) for c in person.emergency_contacts] == [
        ("サンプル 花子", "03-0000-0001")
    ]
    assert (person.phone, person.preferred_contact) == ("03-0000-0000", None)
    left = {"resourceType": "RelatedPerson", "id": "r", "patient": {"reference": "Patient/p1"},
            "name": [{"text": "見本 三郎"}], "period": ENDED}  # fmt: skip
    parcel = changed(1)
    parcel["entry"].append({"resource": left})
    came = read(parcel)
    assert isinstance(came, Came)
    assert len(came.slip.body["person"]["emergency_contacts"]) == 1
    assert "Bundle.entry[4].resource" in came.left


def test_a_record_that_another_has_replaced_is_not_taken() -> None:
    other = {"reference": "Patient/9"}
    assert refused(link=[{"other": other, "type": "replaced-by"}]) == ["link[0]"]
    assert taken(link=[{"other": other, "type": "seealso"}]).person is not None
