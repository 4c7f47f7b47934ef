"""A consent counts only for the person it is of, while it is in force, and without a limit that is not
kept here."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from schemas.outside import JAPAN
from schemas.partner import ReferralSubmission
from schemas.problems import Refusal
from services.intake.fhir import moments
from services.intake.fhir.names import system
from services.intake.fhir.reading import Came, read_post
from tests.builders import BUNKYO
from tests.through_their_own_systems.fhir_samples import NOW, WARD, Json, changed

CONSENT = "Bundle.entry[2].resource"
OUR_AGENCY = {"identifier": {"system": system(WARD, "agency"), "value": "hub-motofuji"}}


def read(consent: Json, now: datetime = NOW) -> Came | Refusal:
    return read_post(json.dumps(changed(2, **consent)).encode(), BUNKYO, "sample-hospital", now)


def taken(consent: Json, now: datetime = NOW) -> Json:
    came = read(consent, now)
    assert isinstance(came, Came), came
    ReferralSubmission.model_validate_json(came.slip.raw())
    told: Json = came.slip.body["consent"]
    return told


def refused(consent: Json, now: datetime = NOW) -> list[str]:
    refusal = read(consent, now)
    assert isinstance(refusal, Refusal), refusal
    return [error.pointer.removeprefix(f"{CONSENT}.") for error in refusal.errors]


def to(*references: Json) -> Json:
    role = {"coding": [{"code": "IRCP"}]}
    return {"provision": {"actor": [{"role": role, "reference": r} for r in references]}}


@pytest.mark.parametrize(
    "patient",
    [
        {"reference": "Patient/999"},
        {"reference": "#p1"},
        {"identifier": {"system": "urn:oid:2.999.3", "value": "OTHER"}},
        {"display": "別の人"},
    ],
)
def test_a_consent_of_whoever_cannot_be_found_is_none(patient: Json) -> None:
    assert refused({"patient": patient}) == ["patient"]


def test_a_consent_may_name_the_person_by_an_identifier_or_not_at_all() -> None:
    own = {"system": "urn:oid:2.999.3", "value": "OWN"}
    parcel = changed(2, patient={"identifier": own})
    parcel["entry"][1]["resource"]["identifier"] = [own]
    raw = json.dumps(parcel).encode()
    assert isinstance(read_post(raw, BUNKYO, "sample-hospital", NOW), Came)
    assert taken({"patient": None})["basis"] == "C2"


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("provision", [{"type": "deny"}]),
        ("provision", [{"type": "permit", "period": {"end": "2027-01-01"}}]),
        ("purpose", [{"code": "TREAT"}]),
        ("class", [{"code": "DiagnosticReport"}]),
        ("dataPeriod", {"end": "2020-01-01"}),
        ("data", [{"meaning": "instance", "reference": {"reference": "Condition/k"}}]),
    ],
)
def test_a_limit_that_is_not_kept_here_is_refused(name: str, limit: Any) -> None:
    assert refused({"provision": {"type": "permit", name: limit}}) == [f"provision.{name}"]


@pytest.mark.parametrize(
    "period",
    [
        {"start": "2026-11-21"}, {"start": "2030"}, {"start": "2026-12", "end": "2027"},
        {"end": "2026-11-19"}, {"end": "2026-10"}, {"end": "2025"},
        {"end": "2026-11-20T16:59:59+09:00"}, {"end": "2026-11-20T07:59:59Z"}, {"end": 0},
    ],
)  # fmt: skip
def test_a_consent_that_is_not_in_force_is_none(period: Json) -> None:
    assert refused({"provision": {"type": "permit", "period": period}}) == ["provision.period"]


def test_a_consent_lasts_until_the_end_of_its_last_day_in_japan() -> None:
    last_day = {"provision": {"period": {"start": "2026-11-20", "end": "2026-11-20"}}}
    assert taken(last_day)["expires_at"] == "2026-11-20T23:59:59+09:00"
    midnight = datetime(2026, 11, 21, tzinfo=JAPAN)
    assert taken(last_day, midnight - timedelta(seconds=1))
    assert refused(last_day, midnight) == ["provision.period"]


def test_a_day_is_a_day_in_japan() -> None:
    assert taken({"dateTime": "2026-11-20"})["obtained_at"] == "2026-11-20T00:00:00+09:00"
    assert moments.last_moment("2026-11-20") == "2026-11-20T23:59:59+09:00"
    for other in ("2026-11", "2026", "2026-11-20T16:50:00+09:00", "2026-02-30", 20261120, None):
        assert moments.first_moment(other) == moments.last_moment(other) == other


@pytest.mark.parametrize(
    ("end", "holds"),
    [("2026", True), ("2026-11", True), ("9999-12-31", True), ("2026-11-20T08:00:00Z", True),
     ("2026-11-20T07:59:60Z", False), ("2026-13", False), ("2026-11-20T18:00:00", False)],
)  # fmt: skip
def test_a_period_holds_through_its_end(end: str, holds: bool) -> None:
    assert moments.in_force({"end": end}, NOW) is holds


@pytest.mark.parametrize(
    "references",
    [[{"display": "別の病院"}], [OUR_AGENCY, {"display": "別の病院"}], [{"reference": "Organization/x"}]],
)  # fmt: skip
def test_a_consent_to_tell_somebody_unknown_is_refused(references: list[Json]) -> None:
    assert refused(to(*references)) == [f"provision.actor[{len(references) - 1}]"]


def test_a_consent_to_tell_agencies_here_names_them() -> None:
    assert taken(to(OUR_AGENCY))["agencies"] == ["hub-motofuji"]
