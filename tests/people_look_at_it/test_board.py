"""The board (見張り) by plain requests: what is seen, by whom, and what becomes of what is done."""

import re
from typing import Any

from tests.network import RunningNetwork
from tests.partners import a_referral
from tests.people_look_at_it.conftest import Person

EMERGENCY = a_referral().having(urgency="emergency")
AMBIGUOUS = a_referral().by_address("文京区本駒込三丁目")


def raised(network: RunningNetwork, reason: str = "E10", **fields: Any) -> tuple[str, str]:
    """A new call: the referral's id and the escalation's."""
    sender = network.partner("anshin-motofuji")
    posted = sender.posts(a_referral().having(**fields))
    assert posted.status == 201, posted.body
    said = sender.escalates(posted.id, reason)
    assert said.status == 201, said.body
    return posted.id, str(said.body["escalations"][-1]["id"])


def row_of(page: str, escalation: str) -> str:
    found = re.search(rf'<tr[^>]* id="call-{escalation}".*?</tr>', page, re.DOTALL)
    return found[0] if found else ""


def test_a_call_is_on_the_board_with_reason_agency_district_and_time_left(
    network: RunningNetwork, person: Person
) -> None:
    referral, escalation = raised(network)
    row = row_of(person("core").get("/board").text, escalation)
    assert "E10" in row
    assert "本富士" in row
    assert "残り" in row
    assert "応答待ち" in row
    assert f"/referrals/{referral}" in row
