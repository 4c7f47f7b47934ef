"""Lists newest first with a cursor; each agency's inbox numbered without a hole."""

from collections.abc import Callable

import pytest

from tests.network import RunningNetwork
from tests.partners import Partner, a_referral

Agency = Callable[[str], Partner]


@pytest.fixture(scope="module")
def sent(network: RunningNetwork) -> list[str]:
    """Seven referrals of ward-office to sample-home, oldest first: the third is urgent, the fifth
    accepted, the last for a trial stay."""
    sender, home = network.partner("ward-office"), network.partner("sample-home")
    referral = a_referral().having(urgency="routine").to("sample-home")
    answers = [sender.posts(referral) for _ in range(2)]
    answers.append(sender.posts(referral.having(urgency="urgent")))
    answers += [sender.posts(referral) for _ in range(3)]
    home.accepts(answers[4].handoff())
    answers.append(sender.posts(referral.having(function="experience")))
    return [answer.id for answer in answers]


def test_an_agency_lists_its_own_referrals_newest_first(partner: Agency, sent: list[str]) -> None:
    for agency in ("ward-office", "sample-home"):
        listed = [item["id"] for item in partner(agency).lists(limit=200).body["items"]]
        assert [id_ for id_ in listed if id_ in sent] == sent[::-1]
    assert partner("lien-bunkyo").lists(custodian="ward-office").body["items"] == []


def test_a_list_tells_no_personal_data(partner: Agency, sent: list[str]) -> None:
    assert "文京 太郎" not in partner("ward-office").lists(limit=200).raw.decode()


@pytest.mark.parametrize(
    ("filters", "which"),
    [
        ({"urgency": "urgent"}, [2]),
        ({"stage": "in_care"}, [4]),
        ({"custodian": "sample-home"}, [4]),
        ({"function": "experience"}, [6]),
        ({"stage": "offered", "urgency": "routine", "function": "emergency"}, [5, 3, 1, 0]),
        ({"stage": "closed"}, []),
    ],
)
def test_a_list_is_narrowed_by_what_is_asked(
    partner: Agency, sent: list[str], filters: dict[str, str], which: list[int]
) -> None:
    items = partner("sample-home").lists(limit=200, **filters).body["items"]
    assert [i["id"] for i in items if i["id"] in sent] == [sent[n] for n in which]


def test_pages_of_a_list_follow_one_another_without_gap_or_repetition(
    partner: Agency, sent: list[str]
) -> None:
    home = partner("sample-home")
    whole = [item["id"] for item in home.lists(limit=200).body["items"]]
    paged: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = home.lists(limit=2, **cursor).body
        assert len(page["items"]) <= 2
        paged += [item["id"] for item in page["items"]]
        if "next" not in page:
            break
        cursor = {"after": page["next"]}
    assert paged == whole
    assert len(whole) >= len(sent)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=201", "limit=x", "after=x", "after=1.5", "stage=gone", "urgency=now",
        "function=%00", "custodian=Robert'); --", "after=", "limit=-1",
        "after=99999999999999999999999", "after=-99999999999999999999999",
    ],
)  # fmt: skip
def test_a_list_that_is_asked_for_wrongly_is_refused(partner: Agency, query: str) -> None:
    refused = partner("ward-office").get(f"/v1/referrals?{query}")
    assert (refused.status, refused.code) == (422, "invalid_request"), refused


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=1001", "after="])
def test_an_inbox_that_is_asked_for_wrongly_is_refused_or_empty(
    partner: Agency, query: str
) -> None:
    answer = partner("ward-office").get(f"/v1/inbox?{query}")
    assert answer.status == 422


def test_an_inbox_number_beyond_all_numbers_is_no_fault(partner: Agency) -> None:
    for after in (10**6, 2**63 - 1, 2**63, 10**30):
        answer = partner("ward-office").inbox(after=after)
        assert answer.status in (200, 422), after


def test_an_inbox_is_numbered_without_a_hole_and_read_page_by_page(
    partner: Agency, network: RunningNetwork, sent: list[str]
) -> None:
    network.settle()
    home = partner("sample-home")
    items = home.whole_inbox()
    assert [item["number"] for item in items] == list(range(1, len(items) + 1))
    assert home.inbox().body["head"] == len(items)
    paged = []
    while page := home.inbox(after=len(paged), limit=3).body["items"]:
        assert len(page) <= 3
        paged += page
    assert paged == items
    assert home.inbox(after=len(items)).body == {"items": [], "head": len(items)}


def test_an_inbox_tells_what_concerns_the_agency_and_nothing_personal(
    partner: Agency, network: RunningNetwork, sent: list[str]
) -> None:
    network.settle()
    home, stranger = partner("sample-home"), partner("anshin-komagome")
    mine = [item["event"] for item in home.whole_inbox() if item["event"]["subject"] == sent[4]]
    assert [event["type"] for event in mine] == [
        "tsunagu.handoff_offered.v1", "tsunagu.handoff_accepted.v1",
    ]  # fmt: skip
    assert not any(item["event"]["subject"] in sent for item in stranger.whole_inbox())
    assert "文京" not in home.inbox(limit=1000).raw.decode()
