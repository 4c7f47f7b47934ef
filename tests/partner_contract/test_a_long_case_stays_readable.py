"""Years of notes in one case: more than one message inside can carry, and every word is still read."""

from collections.abc import Callable

import pytest

from tests.network import RunningNetwork
from tests.partners import Answer, Partner, a_referral

NOTES = 130  # sealed, more than the 4 MB that the broker carries in one message
LONG = 10_000  # characters


def text(note: int) -> str:
    return f"{note:03d}".ljust(LONG, "訪")


@pytest.fixture(scope="module")
def long_case(network: RunningNetwork) -> Answer:
    sender: Partner = network.partner("anshin-motofuji")
    sent = sender.posts(a_referral())
    assert [sender.notes(sent.id, text(n)).status for n in range(NOTES)] == [201] * NOTES
    return sent


@pytest.mark.parametrize("agency", ["anshin-motofuji", "hub-motofuji", "core"])
def test_a_case_with_many_long_notes_is_read_as_quickly_as_any(
    partner: Callable[[str], Partner], long_case: Answer, agency: str
) -> None:
    got = partner(agency).reads(long_case.id)
    assert (got.status, got.body["opened"]) == (200, True)
    assert got.body["person"]["name"] == "文京 太郎"
    assert len(got.raw) < LONG  # the words of the notes are the history's


@pytest.mark.parametrize("agency", ["anshin-motofuji", "hub-motofuji", "core"])
def test_the_history_of_a_case_with_many_long_notes_is_whole_and_every_note_is_opened(
    partner: Callable[[str], Partner], long_case: Answer, agency: str
) -> None:
    got = partner(agency).history(long_case.id)
    assert got.status == 200
    items = got.body["items"]
    last = partner(agency).reads(long_case.id).body["version"]
    assert [item["data"]["version"] for item in items] == list(range(1, last + 1))
    notes = [item for item in items if item["type"] == "tsunagu.note_added.v1"]
    assert [item["data"]["opened"]["text"] for item in notes] == [text(n) for n in range(NOTES)]


def test_an_auditor_reads_the_whole_history_without_a_word_of_it(
    partner: Callable[[str], Partner], long_case: Answer
) -> None:
    got = partner("auditor").history(long_case.id)
    items = got.body["items"]
    assert [item["data"]["version"] for item in items] == list(range(1, len(items) + 1))
    assert len(items) > NOTES
    assert "訪" not in got.raw.decode()
