"""The inbox: an agency without a system sees what waits for its answer, answers, and sees what came."""

import re
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.network import RunningNetwork, eventually
from tests.partners import a_referral
from tests.people_look_at_it.conftest import Person, SignedIn

HUB = "hub-motofuji"
ADDRESS = "本郷1丁目2番3号"


@pytest.fixture
def hub(person: Person) -> SignedIn:
    return person(HUB)


def an_offer(network: RunningNetwork) -> Any:
    """From a home, to the hub of the address's district."""
    return network.partner("lien-bunkyo").posts(a_referral().by_address(ADDRESS))


def answers(
    who: SignedIn, deed: str, handoff: str, back: str = "/inbox", **fields: str
) -> httpx.Response:
    return who.post(f"/handoffs/{handoff}/{deed}", {"back": back, **fields}, page="/inbox")


def part(page: httpx.Response, name: str) -> str:
    """One of the page's sections."""
    return page.text.partition(f'aria-labelledby="{name}-title"')[2].partition("</section>")[0]


def test_an_offer_waits_until_it_is_accepted_and_then_it_is_held(
    network: RunningNetwork, hub: SignedIn
) -> None:
    offer = an_offer(network)
    waiting = part(hub.get("/inbox"), "offers")
    assert offer.number in waiting
    assert "リアン文京" in waiting
    assert "期限" in waiting
    assert "文京 太郎" not in waiting
    done = answers(hub, "accept", offer.handoff())
    assert done.url.path == "/inbox"
    assert "受諾しました。担当は貴機関です。" in done.text
    assert offer.number not in part(done, "offers")
    assert offer.number in part(done, "held")


def test_what_was_declined_by_form_is_declined_with_its_reason(
    network: RunningNetwork, hub: SignedIn
) -> None:
    offer = an_offer(network)
    done = answers(
        hub, "decline", offer.handoff(), said_by="agency", reason="no_capacity", text="満床です"
    )
    assert "辞退しました" in done.text
    told = network.partner("lien-bunkyo").reads(offer.id).body["handoffs"][0]
    assert (told["state"], told["reason"], told["said_by"]) == ("declined", "no_capacity", "agency")


def test_a_decline_without_a_reason_comes_back_with_what_was_typed(
    network: RunningNetwork, hub: SignedIn
) -> None:
    offer = an_offer(network)
    page = answers(hub, "decline", offer.handoff(), text="いまは<b>むずかしい")
    assert page.status_code == 422
    assert "理由を選んでください" in page.text
    assert "いまは&lt;b&gt;むずかしい" in page.text
    page = answers(hub, "decline", offer.handoff(), said_by="agency", reason="other")
    assert "この理由には説明が要ります" in page.text
    page = answers(hub, "decline", offer.handoff(), said_by="agency", reason="person_declined")
    assert "この理由とは合いません" in page.text
    page = answers(
        hub, "decline", offer.handoff(), said_by="agency", reason="other", text="1234 5678 9018"
    )
    assert page.status_code == 422
    assert "個人番号" in page.text
    assert "9018" not in page.text
    assert network.partner(HUB).reads(offer.id).body["handoffs"][0]["state"] == "offered"


def test_whoever_comes_second_is_told_so(network: RunningNetwork, person: Person) -> None:
    offer = an_offer(network)
    first, second = person(HUB), person(HUB, login="second")
    answers(first, "accept", offer.handoff())
    late = answers(second, "decline", offer.handoff(), said_by="agency", reason="no_capacity")
    assert late.url.path == "/inbox"
    assert "もう返事ができません" in late.text


def test_the_same_answer_twice_is_one_answer(network: RunningNetwork, hub: SignedIn) -> None:
    offer = an_offer(network)
    key = f"sample-{uuid4()}"
    one = answers(hub, "accept", offer.handoff(), key=key)
    two = answers(hub, "accept", offer.handoff(), key=key)
    assert "受諾しました" in one.text
    assert "受諾しました" in two.text


def test_another_agency_cannot_answer(network: RunningNetwork, person: Person) -> None:
    offer = an_offer(network)
    stranger = person("hub-komagome")
    page = answers(stranger, "accept", offer.handoff())
    assert page.status_code == 403
    assert network.partner(HUB).reads(offer.id).body["handoffs"][0]["state"] == "offered"
    for forged in (str(uuid4()), "x", "..%2f..%2fetc"):
        assert answers(stranger, "accept", forged).status_code in (403, 404)
    assert person("auditor").get("/inbox").status_code == 403


def test_a_way_back_that_leads_elsewhere_is_not_taken(
    network: RunningNetwork, hub: SignedIn
) -> None:
    offer = an_offer(network)
    done = answers(hub, "accept", offer.handoff(), back="//evil.example/")
    assert done.url.path == "/inbox"
    assert done.url.host == "127.0.0.1"


def test_what_came_is_told_newest_first_and_what_is_new_is_marked(
    network: RunningNetwork, person: Person
) -> None:
    agency = "hub-tomisaka"
    person(agency, login="reader").get("/inbox")
    home = network.partner("lien-bunkyo")
    head = network.partner(agency).inbox(limit=1).body["head"]
    for _ in range(25):
        home.posts(a_referral().to(agency))
    eventually(lambda: network.partner(agency).inbox(limit=1).body["head"] >= head + 25, 20, "told")
    later = person(agency, login="reader", fresh=True)
    page = later.get("/inbox")
    came = part(page, "came")
    numbers = [int(n) for n in re.findall(r'label="受信番号">(\d+)', came)]
    assert len(numbers) == 20
    assert numbers == sorted(numbers, reverse=True)
    assert "を打診" in came or "受け付けを依頼" in came
    assert came.count("新</span>") == 20
    older = later.get(re.search(r'href="(/inbox\?before=\d+)" rel="next"', came)[1])  # type: ignore[index]
    below = [int(n) for n in re.findall(r'label="受信番号">(\d+)', part(older, "came"))]
    assert below[0] == numbers[-1] - 1
    assert "新</span>" in part(later.get("/inbox"), "came")  # within one session they stay marked
    again = person(agency, login="reader", fresh=True)
    assert "新</span>" not in part(again.get("/inbox"), "came")


@pytest.mark.parametrize("before", ["0", "-1", "x", "9" * 30, "1"])
def test_a_forged_page_of_the_inbox_is_a_page(hub: SignedIn, before: str) -> None:
    assert hub.get("/inbox", params={"before": before}).status_code == 200


def test_word_of_what_comes_reaches_an_open_inbox(network: RunningNetwork, hub: SignedIn) -> None:
    eventually(lambda: network.partner(HUB).inbox(limit=1).body["head"], 20, "an inbox")
    head = int(re.search(r'data-after="(\d+)"', hub.get("/inbox").text)[1])  # type: ignore[index]
    with hub.http.stream("GET", f"/inbox/stream?after={head}", timeout=10) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        an_offer(network)
        for line in stream.iter_lines():
            if line.startswith("data:"):
                break
        assert '"new":' in line
        assert "文京 太郎" not in line


def test_without_deliveries_offers_can_be_answered(network: RunningNetwork, hub: SignedIn) -> None:
    """Nothing of this page hangs on the service that carries events."""
    offer = an_offer(network)
    with network.down("delivery"):
        page = hub.get("/inbox")
        assert page.status_code == 200
        assert "いまは出来事を表示できません" in page.text
        assert "受諾しました" in answers(hub, "accept", offer.handoff()).text
    network.await_ready()
