"""Before anything is posted, a partner may ask whether it would be taken. Nothing comes of asking."""

import pytest

from tests.network import RunningNetwork
from tests.partners import Answer, AReferral, a_referral

ANSHIN = "anshin-motofuji"
MY_NUMBER = "1234 5678 9018"  # the check digit is right; it is nobody's

REFUSED = {
    "a code that the ward does not have": a_referral().having(function="dancing"),
    "nobody of that name": a_referral().to("hub-of-nowhere"),
    "another ward": a_referral().by_address("東京都新宿区西新宿2丁目8番1号"),
    "no address": a_referral().by_address("どこか"),
    "a district that the address denies": a_referral().to_district("otsuka"),
    "no consent": a_referral().without("consent"),
    "a basis without its reason": a_referral().having(consent={"basis": "E27-1-2"}),
    "my number": a_referral().having(summary=MY_NUMBER),
}


def checked(network: RunningNetwork, referral: AReferral) -> Answer:
    return network.partner(ANSHIN).post("/v1/referrals/check", referral.body, key=None)


def test_what_would_be_taken_is_told_its_district_and_nothing_happens(
    network: RunningNetwork,
) -> None:
    head = network.journal_head()
    keys = network.rows("keys", "SELECT count(*) FROM data_keys")[0][0]
    answer = checked(network, a_referral())
    assert (answer.status, answer.body["district"]["id"]) == (200, "motofuji")
    undecided = checked(network, a_referral().by_address("文京区白山一丁目1番1号"))
    assert (undecided.status, undecided.body["district"]["id"]) == (200, None)
    assert network.journal_head() == head
    assert network.rows("keys", "SELECT count(*) FROM data_keys")[0][0] == keys


@pytest.mark.parametrize("why", REFUSED)
def test_checking_refuses_in_the_very_words_of_posting(network: RunningNetwork, why: str) -> None:
    asked = checked(network, REFUSED[why])
    posted = network.partner(ANSHIN).posts(REFUSED[why])
    assert asked.status == posted.status >= 400
    assert asked.body == posted.body


def test_a_batch_is_told_item_by_item(network: RunningNetwork) -> None:
    head = network.journal_head()
    items = [a_referral().body, *(r.body for r in REFUSED.values()), a_referral().body, "字", 3]
    answer = network.partner(ANSHIN).post("/v1/referrals/check/batch", {"items": items}, key=None)
    told = answer.body["items"]
    assert len(told) == len(items)
    assert told[0]["district"]["id"] == told[len(REFUSED) + 1]["district"]["id"] == "motofuji"
    for item, referral in zip(told[1:], REFUSED.values(), strict=False):
        assert item == {"problem": checked(network, referral).body}
    assert [item["problem"]["code"] for item in told[-2:]] == ["invalid_request"] * 2
    assert network.journal_head() == head


@pytest.mark.parametrize("body", [{}, {"items": []}, {"items": [{}] * 501}, {"items": {}}, []])
def test_a_batch_has_1_to_500_items(network: RunningNetwork, body: object) -> None:
    answer = network.partner(ANSHIN).post("/v1/referrals/check/batch", body, key=None)
    assert (answer.code, answer.pointers) == ("invalid_request", ["/items"])


def test_whoever_may_not_post_may_not_check_either(network: RunningNetwork) -> None:
    answer = network.partner("auditor").post("/v1/referrals/check", a_referral().body, key=None)
    assert (answer.status, answer.code) == (403, "insufficient_scope")
