"""Which district would it be? Told before a referral is written, exactly as the referral would find it."""

import json
from collections.abc import Callable, Iterator

import pytest

from partners.client import Client
from partners.client.models import AddressToLocate
from tests.network import RunningNetwork, running_network
from tests.partners import Partner, a_referral

ANSHIN, CORE = "anshin-motofuji", "core"
SHARED = "文京区白山1-1-5"  # two districts share what of 白山一丁目 the table does not list
WHERE = "/v1/addresses/locate"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    with running_network(tmp_path_factory.mktemp("network")) as running:
        yield running


@pytest.fixture
def partner(network: RunningNetwork) -> Callable[[str], Partner]:
    return network.partner


@pytest.mark.parametrize(
    "text",
    [
        "文京区本郷2-21-3",
        "本郷２丁目２１番３号　青木ビル１階",
        "東京都文京区本郷二丁目二十一番三号",
    ],
)
def test_an_address_is_read_however_it_is_written(
    partner: Callable[[str], Partner], text: str
) -> None:
    told = partner(ANSHIN).post(WHERE, {"text": text}, key=None)
    assert told.status == 200
    assert told.body == {
        "district": "motofuji", "basis": "whole", "candidates": ["motofuji"], "warnings": [],
        "address": {"town": "本郷", "chome": 2, "ban": 21, "go": 3},
    }  # fmt: skip


def test_what_is_told_is_what_a_referral_would_find_and_a_remembered_ruling_counts(
    partner: Callable[[str], Partner],
) -> None:
    def located() -> dict[str, object]:
        told = partner(ANSHIN).post(WHERE, {"text": SHARED}, key=None)
        assert told.status == 200
        return dict(told.body)

    before = located()
    assert "district" not in before
    assert before["basis"] == "ambiguous"
    referral = partner(ANSHIN).posts(a_referral().by_address(SHARED)).body
    assert referral["district"]["candidates"] == before["candidates"]
    ruled = before["candidates"][0]  # type: ignore[index]
    assert partner(CORE).rules(referral["number"], ruled, remember=True).status == 200
    after = located()
    next_one = partner(ANSHIN).posts(a_referral().by_address(SHARED)).body["district"]
    assert (
        (after["district"], after["basis"])
        == (ruled, "ruled")
        == (next_one["id"], next_one["basis"])
    )
    assert after["candidates"] == next_one["candidates"]


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"text": "新宿区西新宿2-8-1"}, "out_of_ward", "/text"),
        ({"text": "あいうえお"}, "address_unreadable", "/text"),
        ({"text": " "}, "invalid_request", "/text"),
        ({"text": "本郷2-21-3", "kind": "actual"}, "invalid_request", "/kind"),
        ({"text": "x" * 201}, "invalid_request", "/text"),
        ({}, "invalid_request", "/text"),
        ({"text": "本郷2-21-3 123456789018"}, "my_number_refused", "/text"),
    ],
)  # fmt: skip
def test_what_cannot_be_located_is_refused_as_it_would_be_in_a_referral(
    partner: Callable[[str], Partner], body: dict[str, str], code: str, pointer: str
) -> None:
    told = partner(ANSHIN).post(WHERE, body, key=None)
    assert (told.code, told.pointers) == (code, [pointer])
    assert not body.get("text", "").strip() or body["text"] not in json.dumps(
        told.body, ensure_ascii=False
    )


def test_what_is_missing_is_told(partner: Callable[[str], Partner]) -> None:
    told = partner(ANSHIN).post(WHERE, {"text": "白山1丁目"}, key=None).body
    assert "ban_missing" in told["warnings"]
    assert told["address"] == {"town": "白山", "chome": 1}


def test_an_address_that_is_asked_for_is_kept_nowhere(
    partner: Callable[[str], Partner], network: RunningNetwork
) -> None:
    before = network.journal_head()
    text = "文京区本郷2-21-97"
    assert partner(ANSHIN).post(WHERE, {"text": text}, key=None).status == 200
    assert network.journal_head() == before
    assert "21-97" not in network.logs()
    assert "本郷" not in network.logs()
    assert "本郷" not in partner(CORE).http.get("/metrics").text


def test_the_written_client_locates_an_address(
    network: RunningNetwork, partner: Callable[[str], Partner]
) -> None:
    with Client(network.url, partner(ANSHIN).key) as client:
        located = client.locate_address(AddressToLocate(text="本郷2-21-3"))
    assert located.district == "motofuji"
    assert located.address.town == "本郷"
