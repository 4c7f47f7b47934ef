"""Idempotency: the same key and body give the same answer for ever."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.network import RunningNetwork
from tests.partners import Answer, Partner, a_referral

Agency = Callable[[str], Partner]


def test_the_same_key_and_body_give_the_same_bytes_though_the_case_moved_on(
    partner: Agency,
) -> None:
    sender, key = partner("anshin-motofuji"), str(uuid.uuid4())
    first = sender.posts(a_referral(), key=key)
    partner("hub-motofuji").accepts(first.handoff())
    again = sender.posts(a_referral(), key=key)
    assert (again.status, again.raw) == (201, first.raw)


def test_a_body_that_means_the_same_is_the_same_body(partner: Agency) -> None:
    sender, key = partner("anshin-motofuji"), str(uuid.uuid4())
    first = sender.posts(a_referral(), key=key)
    body = a_referral().body
    turned = dict(reversed(body.items())) | {"topics": [], "summary": f"  {body['summary']} "}
    assert sender.post("/v1/referrals", turned, key=key).raw == first.raw


def test_the_same_key_with_another_body_is_refused(partner: Agency) -> None:
    sender, key = partner("anshin-motofuji"), str(uuid.uuid4())
    first = sender.posts(a_referral(), key=key)
    other = sender.posts(a_referral().having(summary="別の人。"), key=key)
    assert (other.status, other.code) == (409, "idempotency_key_reused")
    assert sender.notes(first.id, key=key).code == "idempotency_key_reused"
    assert sender.posts(a_referral(), key=key).raw == first.raw


def test_two_agencies_may_use_the_same_key(partner: Agency) -> None:
    key = str(uuid.uuid4())
    answers = [partner(a).posts(a_referral(), key=key) for a in ("ward-office", "anshin-otsuka")]
    assert [answer.status for answer in answers] == [201, 201]
    assert answers[0].id != answers[1].id


def test_a_refusal_is_given_for_ever_too(partner: Agency) -> None:
    sender, key = partner("anshin-motofuji"), str(uuid.uuid4())
    sent = sender.posts(a_referral())
    hub = partner("hub-motofuji")
    refused = hub.closes(sent.id, key=key)
    assert refused.code == "not_custodian"
    hub.accepts(sent.handoff())
    assert hub.closes(sent.id, key=key).raw == refused.raw
    assert hub.closes(sent.id).status == 200


def test_a_repeated_acceptance_is_the_same_acceptance(partner: Agency) -> None:
    hub, key = partner("hub-motofuji"), str(uuid.uuid4())
    sent = partner("anshin-motofuji").posts(a_referral())
    first = hub.accepts(sent.handoff(), key=key, text="はい")
    assert hub.accepts(sent.handoff(), key=key, text="はい").raw == first.raw
    assert len(hub.history(sent.id).body["items"]) == 4


def test_the_same_key_on_eight_connections_at_once_is_one_referral(
    network: RunningNetwork,
) -> None:
    partners = [network.new_partner("anshin-tomisaka") for _ in range(8)]

    def post(partner: Partner) -> Answer:
        return partner.posts(a_referral(), key=key)

    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            key = str(uuid.uuid4())
            answers = list(pool.map(post, partners))
            assert {answer.status for answer in answers} == {201}
            assert len({answer.raw for answer in answers}) == 1
            rows = network.rows(
                "referral", "SELECT 1 FROM referrals WHERE id=:id", id=answers[0].id
            )
            assert len(rows) == 1
    for partner in partners:
        partner.close()


def test_a_referral_needs_a_key_and_other_calls_do_not(partner: Agency) -> None:
    sender = partner("anshin-motofuji")
    refused = sender.posts(a_referral(), key=None)
    assert (refused.status, refused.code) == (422, "invalid_request")
    sent = sender.posts(a_referral())
    assert sender.notes(sent.id, key=None).status == 201


def test_a_key_is_printable_and_of_sensible_length(partner: Agency) -> None:
    sender = partner("anshin-motofuji")
    assert sender.posts(a_referral(), key="~" * 120 + str(uuid.uuid4())[:8]).status == 201
    for key in ("", "x" * 129, "a\tb", "caf\u00e9"):
        refused = sender.http.post(
            "/v1/referrals",
            json=a_referral().body,
            headers={b"Idempotency-Key": key.encode("latin-1")},
        )
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request"), key
