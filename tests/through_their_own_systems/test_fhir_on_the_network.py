"""An agency refers by FHIR, another answers by FHIR, and the plain API tells the same."""

import json
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from services.intake.fhir.names import system
from tests.network import REPOSITORY, RunningNetwork
from tests.partners import Partner, a_referral
from tests.through_their_own_systems.fhir_samples import WARD, Json, a_document, a_parcel

FHIR = "application/fhir+json"
PERSONAL = ("サンプル", "本郷", "1980-04-01", "03-0000", "急病", "見本 医師", "タロウ")


def post(partner: Partner, body: Json, **headers: str) -> httpx.Response:
    return partner.http.post(
        "/fhir", content=json.dumps(body).encode(), headers={"Content-Type": FHIR, **headers}
    )


def put(partner: Partner, task: Json, **headers: str) -> httpx.Response:
    return partner.http.put(
        f"/fhir/Task/{task['id']}",
        content=json.dumps(task),
        headers={"Content-Type": FHIR, **headers},
    )


def a_new_parcel(**request: Any) -> Json:
    parcel = a_parcel(identifier=str(uuid.uuid4()))
    parcel["entry"][0]["resource"].update(request)
    return parcel


def offer_of(network: RunningNetwork, response: httpx.Response, to: str) -> Json:
    """The Task of the offer, as its receiver reads it."""
    place = response.headers["location"].removeprefix("/fhir/")
    found = network.partner(to).http.get("/fhir/Task", params={"based-on": place}).json()
    tasks: list[Json] = [e["resource"] for e in found["entry"]]
    return next(t for t in tasks if t["owner"]["identifier"]["value"] == to and "partOf" in t)


def issue(response: httpx.Response) -> Json:
    assert response.headers["content-type"].startswith(FHIR)
    told = response.json()
    assert told["resourceType"] == "OperationOutcome"
    found: Json = told["issue"][0]
    return found


def code(response: httpx.Response) -> str:
    return str(issue(response)["details"]["coding"][0]["code"])


def test_a_referral_travels_by_fhir(network: RunningNetwork) -> None:
    sender, hub = network.partner("anshin-motofuji"), network.partner("hub-motofuji")
    response = post(sender, a_new_parcel())
    assert response.status_code == 201
    place = response.headers["location"]
    referral = place.rpartition("/")[2]
    types = [e["resource"]["resourceType"] for e in response.json()["entry"]]
    assert types == ["ServiceRequest", "Task", "Task", "OperationOutcome"]

    read = hub.http.get(place).json()
    (patient,) = (c for c in read["contained"] if c["resourceType"] == "Patient")
    assert patient["name"][0]["text"] == "サンプル 太郎"
    assert read["note"] == [{"text": "母が急病で入院。今夜から介護者不在。"}]

    offer = offer_of(network, response, "hub-motofuji")
    answer = put(hub, {**offer, "status": "accepted"})
    assert answer.status_code == 200
    assert answer.json()["status"] == "accepted"
    plain = hub.reads(referral).body
    assert (plain["stage"], plain["custodian"]) == ("in_care", "hub-motofuji")
    whole = sender.http.get(f"/fhir/Task/{referral}").json()
    assert whole["status"] == "in-progress"
    assert whole["owner"]["identifier"]["value"] == "hub-motofuji"

    outcome = {"coding": [{"system": system(WARD, "outcome"), "code": "got_help"}]}
    output = [{"type": {"text": "結果"}, "valueCodeableConcept": outcome}]
    closed = put(hub, {**whole, "status": "completed", "output": output})
    assert closed.json()["status"] == "completed"
    assert sender.http.get(place).json()["status"] == "completed"
    assert sender.reads(referral).body["outcome"] == "got_help"


def test_what_is_posted_by_fhir_is_the_same_referral_as_by_json(network: RunningNetwork) -> None:
    sender, key = network.partner("anshin-motofuji"), str(uuid.uuid4())
    parcel = a_new_parcel()
    first = post(sender, parcel, **{"Idempotency-Key": key})
    referral = first.headers["location"].rpartition("/")[2]
    opened = sender.reads(referral).body
    body = {
        "sender_reference": "OUR-2026-0001", "function": "emergency", "urgency": "urgent",
        "requested_action": "short_stay", "requested_by": "2026-11-21T18:00:00+09:00",
        "topics": ["after_parents"], "person": opened["person"], "complaint": "家にいられない",
        "address": {"text": "文京区本郷二丁目21番3号 見本ビル1階"},
        "summary": "母が急病で入院。今夜から介護者不在。",
        "consent": {"basis": "C2", "obtained_at": "2026-11-20T16:50:00+09:00"},
    }  # fmt: skip
    by_json = sender.post("/v1/referrals", body, key=key)
    assert (by_json.status, by_json.id) == (201, referral)


def test_posting_again_is_the_same_referral(network: RunningNetwork) -> None:
    sender, parcel = network.partner("anshin-motofuji"), a_new_parcel()
    before = network.journal_head()
    answers = [post(sender, parcel) for _ in range(3)]
    assert {(a.status_code, a.headers["location"]) for a in answers} == {
        (201, answers[0].headers["location"])
    }
    events = network.journal_head() - before
    assert events == int(answers[0].json()["entry"][0]["resource"]["meta"]["versionId"])
    parcel["entry"][0]["resource"]["priority"] = "stat"
    changed = post(sender, parcel)
    assert changed.status_code == 409
    assert code(changed) == "idempotency_key_reused"
    nameless = a_parcel()
    del nameless["entry"][0]["resource"]["identifier"]
    assert post(sender, nameless).status_code == 422


def test_answering_again_changes_nothing(network: RunningNetwork) -> None:
    hub = network.partner("hub-motofuji")
    offer = offer_of(network, post(network.partner("anshin-motofuji"), a_new_parcel()), hub.agency)
    first = put(hub, {**offer, "status": "accepted"})
    head = network.journal_head()
    again = put(hub, {**offer, "status": "accepted"})
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert network.journal_head() == head


def test_an_id_in_capitals_is_the_same_id(network: RunningNetwork) -> None:
    hub = network.partner("hub-motofuji")
    response = post(network.partner("anshin-motofuji"), a_new_parcel())
    offer = offer_of(network, response, hub.agency)
    loud = offer["id"].upper()
    assert hub.http.get(f"/fhir/Task/{loud}").json()["id"] == offer["id"]
    for path, told in ((loud, loud), (loud, offer["id"]), (offer["id"], loud)):
        answer = hub.http.put(
            f"/fhir/Task/{path}",
            content=json.dumps({**offer, "id": told, "status": "accepted"}),
            headers={"Content-Type": FHIR},
        )
        assert (answer.status_code, answer.json()["status"]) == (200, "accepted")
        assert answer.json()["id"] == offer["id"]
    place = response.headers["location"].rpartition("/")[2].upper()
    read = hub.http.get(f"/fhir/ServiceRequest/{place}")
    assert (read.status_code, read.json()["id"]) == (200, place.lower())


def test_every_document_that_was_taken_is_told_however_many_come(network: RunningNetwork) -> None:
    sender = network.partner("anshin-motofuji")
    with ThreadPoolExecutor(24) as pool:
        parcels = [a_new_parcel() for _ in range(24)]
        answers = list(pool.map(lambda parcel: post(sender, parcel), parcels))
    assert {answer.status_code for answer in answers} <= {201, 503}
    for parcel, answer in zip(parcels, answers, strict=True):
        before = network.journal_head()
        again = post(sender, parcel)
        assert again.status_code == 201
        # Refused was: nothing had happened yet. Taken was: nothing happens again.
        assert (network.journal_head() == before) == (answer.status_code == 201)


def test_a_receiver_declines_with_a_reason(network: RunningNetwork) -> None:
    hub = network.partner("hub-motofuji")
    response = post(network.partner("anshin-motofuji"), a_new_parcel())
    offer = offer_of(network, response, hub.agency)
    assert put(hub, {**offer, "status": "rejected"}).status_code == 422
    reason = {
        "coding": [{"system": system(WARD, "decline-reason"), "code": "no_capacity"}],
        "text": "満床です",
    }
    declined = put(hub, {**offer, "status": "rejected", "statusReason": reason})
    assert declined.json()["status"] == "rejected"
    referral = response.headers["location"].rpartition("/")[2]
    (told,) = (h for h in hub.reads(referral).body["handoffs"] if h["id"] == offer["id"])
    assert (told["state"], told["reason"], told["said_by"]) == ("declined", "no_capacity", "agency")
    sender = network.partner("anshin-motofuji")
    declines = [i for i in sender.history(referral).body["items"] if "declined" in i["type"]]
    assert declines[0]["data"]["opened"] == {"text": "満床です"}


def test_a_request_is_accepted_and_completed(network: RunningNetwork) -> None:
    sender, lien = network.partner("anshin-motofuji"), network.partner("lien-bunkyo")
    posted = sender.posts(a_referral().to("lien-bunkyo"))
    asked = sender.offers(posted.id, "lien-bunkyo", kind="request", function="emergency")
    task = lien.http.get(f"/fhir/Task/{asked.handoff('lien-bunkyo')}").json()
    assert (task["status"], task["code"]["coding"][1]["code"]) == ("requested", "request")
    task = put(lien, {**task, "status": "accepted"}).json()
    outcome = {"coding": [{"system": system(WARD, "outcome"), "code": "got_help"}]}
    output = [{"type": {"text": "結果"}, "valueCodeableConcept": outcome}]
    assert (
        put(lien, {**task, "status": "completed", "output": output}).json()["status"] == "completed"
    )


def test_an_answer_to_another_version_is_not_taken(network: RunningNetwork) -> None:
    sender, hub = network.partner("anshin-motofuji"), network.partner("hub-motofuji")
    response = post(sender, a_new_parcel())
    offer = offer_of(network, response, hub.agency)
    sender.notes(response.headers["location"].rpartition("/")[2])
    wanted = {**offer, "status": "accepted"}
    stale = put(hub, wanted, **{"If-Match": f'W/"{offer["meta"]["versionId"]}"'})
    assert (stale.status_code, code(stale)) == (412, "version_changed")
    assert issue(stale)["code"] == "conflict"
    now = hub.http.get(f"/fhir/Task/{offer['id']}")
    assert now.json()["status"] == "requested"
    assert put(hub, wanted, **{"If-Match": now.headers["etag"]}).status_code == 200


def test_who_has_no_part_in_it_is_told_nothing(network: RunningNetwork) -> None:
    response = post(network.partner("anshin-motofuji"), a_new_parcel())
    place, stranger = response.headers["location"], network.partner("hub-otsuka")
    nowhere = f"/fhir/ServiceRequest/{uuid.uuid4()}"
    assert stranger.http.get(place).content == stranger.http.get(nowhere).content
    offer = offer_of(network, response, "hub-motofuji")
    for path in (place, f"/fhir/Task/{offer['id']}", "/fhir/Task/nothing"):
        refused = stranger.http.get(path)
        assert (refused.status_code, code(refused)) == (403, "not_involved")
    assert put(stranger, {**offer, "status": "accepted"}).status_code == 403
    found = stranger.http.get("/fhir/Task", params={"based-on": place.removeprefix("/fhir/")})
    assert found.json() == {"resourceType": "Bundle", "type": "searchset", "total": 0}
    assert stranger.http.get("/fhir/Task").status_code == 422


def test_an_auditor_reads_and_is_told_nothing_personal(network: RunningNetwork) -> None:
    response = post(network.partner("anshin-motofuji"), a_new_parcel())
    read = network.partner("auditor").http.get(response.headers["location"])
    assert read.status_code == 200
    assert read.json()["subject"]["extension"][0]["valueCode"] == "masked"
    assert not any(words in read.text for words in PERSONAL)


def test_a_hospitals_document_is_a_referral(network: RunningNetwork) -> None:
    document = a_document()
    document["identifier"]["value"] = str(uuid.uuid4())
    response = post(network.partner("sample-hospital"), document)
    assert response.status_code == 201
    opened = network.partner("hub-motofuji").http.get(response.headers["location"]).json()
    assert opened["requester"]["identifier"]["value"] == "sample-hospital"
    assert "【紹介目的】" in opened["note"][0]["text"]


def test_what_the_network_refuses_is_told_in_fhirs_places(network: RunningNetwork) -> None:
    sender = network.partner("anshin-motofuji")
    outside = a_new_parcel()
    outside["entry"][1]["resource"]["address"][0]["text"] = "豊島区東池袋一丁目1番1号"
    refused = post(sender, outside)
    assert (refused.status_code, code(refused)) == (422, "out_of_ward")
    assert issue(refused)["expression"] == ["Bundle.entry[1].resource.address[0]"]
    basis = a_new_parcel()
    basis["entry"][2]["resource"]["policyRule"]["coding"][0]["code"] = "E27-1-2"
    told = post(sender, basis).json()["issue"]
    assert {e for i in told for e in i["expression"]} == {"Bundle.entry[2].resource.extension"}
    assert post(sender, a_new_parcel(note=[{"text": "長" * 10_001}])).json()["issue"][0][
        "expression"
    ] == ["Bundle.entry[0].resource.note"]
    undated = a_new_parcel(occurrenceDateTime="2026-11")
    del undated["entry"][3]  # the Task says another time
    assert issue(post(sender, undated))["expression"] == ["Bundle.entry[0].resource.occurrence"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/fhir+xml"}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": f"{FHIR}; fhirVersion=5.0"}, 415),
        ({"Content-Type": f"{FHIR}; fhirVersion=4.0"}, 201),
        ({"Content-Type": "application/json"}, 201),
        ({"Accept": "application/fhir+xml"}, 406),
        ({"Accept": "application/fhir+json;q=0.9, application/fhir+xml"}, 201),
    ],
)
def test_only_json_is_spoken(network: RunningNetwork, headers: Json, status: int) -> None:
    response = post(network.partner("anshin-motofuji"), a_new_parcel(), **headers)
    assert response.status_code == status
    if status != 201:
        assert issue(response)["code"] == "not-supported"
        assert code(response) == {415: "unsupported_format", 406: "not_acceptable"}[status]
        assert "ファイル" not in response.text


def test_every_refusal_is_an_operation_outcome(network: RunningNetwork) -> None:
    sender = network.partner("anshin-motofuji")
    assert code(httpx.post(f"{network.url}/fhir", json={})) == "unauthenticated"
    assert code(post(network.partner("auditor"), a_new_parcel())) == "insufficient_scope"
    large = sender.http.post("/fhir", content=b" " * 1_100_000, headers={"Content-Type": FHIR})
    assert (large.status_code, code(large)) == (413, "too_large")
    numbered = post(sender, a_new_parcel(patientInstruction="1234 5678 9018"))
    assert code(numbered) == "my_number_refused"
    key = post(sender, a_new_parcel(), **{"Idempotency-Key": "x" * 200})
    assert code(key) == "invalid_request"


def test_an_answer_that_takes_longer_is_pending(network: RunningNetwork) -> None:
    sender = network.partner("anshin-motofuji")
    taken = post(sender, a_new_parcel(), Prefer="respond-async")
    assert taken.status_code == 202
    assert taken.json()["issue"][0]["severity"] == "information"
    assert taken.headers["location"].startswith("/v1/requests/")


def test_what_is_offered_is_told_to_anyone(network: RunningNetwork) -> None:
    told = httpx.get(f"{network.url}/fhir/metadata").json()
    assert (told["resourceType"], told["fhirVersion"]) == ("CapabilityStatement", "4.0.1")


def test_nothing_personal_is_in_a_refusal_or_in_the_logs(network: RunningNetwork) -> None:
    sender = network.partner("anshin-motofuji")
    for change in ({"status": "サンプル 太郎"}, {"intent": "急病"}, {"サンプル 太郎": "本郷"},
                   {"note": "急病"}, {"subject": {"reference": "サンプル 太郎"}},
                   {"resourceType": "サンプル"}, {"occurrenceDateTime": "1980-04"}):  # fmt: skip
        response = post(sender, a_new_parcel(**change))
        assert response.status_code == 422
        assert not any(words in response.text for words in PERSONAL)
    post(sender, a_new_parcel())
    logs = network.logs()
    assert not any(words in logs for words in PERSONAL)
    assert "request_failed" not in logs


def test_intake_starts_without_the_fhir_library() -> None:
    program = (
        "import sys, services.intake.app; "
        "sys.exit(any(name.partition('.')[0] in ('fhir', 'fhir_core') for name in sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=False).returncode == 0
    )
