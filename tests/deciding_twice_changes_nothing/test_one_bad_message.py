"""One message that cannot be understood, or that makes the code fail, harms no neighbour."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.clock import ManualClock
from schemas import commands as c
from schemas.base import NETWORK
from schemas.sealed import Group
from services.referral import tables as t
from services.referral import writer as writing
from services.referral.writer import Done, Received, TryAgain
from tests.builders import FRIDAY_AFTERNOON, HUB, a_command, a_submission, an_id, words
from tests.databases import Databases, opened
from tests.desk import Desk, received


def spoiled(**fields: object) -> bytes:
    said = json.loads(a_command(a_submission()).to_json())
    return json.dumps(said | fields).encode()


def with_action(**fields: object) -> bytes:
    said = json.loads(a_command(a_submission()).to_json())
    said["action"] |= fields
    return json.dumps(said).encode()


def sealed(group: str = "text", ciphertext: str = "AAAA", commitment: str = "ab" * 32) -> dict:
    return {"group": group, "commitment": commitment, "ciphertext": ciphertext}


A_STRIKE = c.StrikeClock(
    referral=an_id("referral"), subject=an_id("handoff"), due_at=FRIDAY_AFTERNOON
)
MALFORMED = {
    "nothing": b"",
    "garbage": b"\xff\x00\xfe garbage",
    "not an object": b"[1, 2, 3]",
    "half a message": a_command(a_submission()).to_json()[:-20],
    "nested too deeply": b"[" * 100_000,
    "a number for an agency": spoiled(agency=5),
    "an action of no kind": with_action(type="launch_rocket"),
    "a moment without its offset": spoiled(issued_at="2026-11-20T16:50:00"),
    "a lone surrogate": spoiled(agency="\ud800"),
    "another version": spoiled(v=2),
    "another ward": a_command(a_submission(), ward="131199").to_json(),
    "one group sealed twice": with_action(sealed=[sealed(), sealed(commitment="cd" * 32)]),
    "one commitment for two groups": with_action(sealed=[sealed(), sealed("consent")]),
    "a clock that an agency would strike": a_command(A_STRIKE, HUB).to_json(),
    "a clock struck in the network's name": a_command(A_STRIKE, NETWORK).to_json(),
    "a ciphertext with a zero byte": with_action(sealed=[sealed(ciphertext="AA\x00A")]),
}  # fmt: skip


REASONS = {
    "another ward": "another ward's command",
    "a clock that an agency would strike": "only the network strikes clocks",
    "a clock struck in the network's name": "only the network strikes clocks",
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_a_malformed_message_is_set_aside_with_its_reason_and_its_neighbours_are_decided(
    desk: Desk, fault: str
) -> None:
    body = MALFORMED[fault]
    one, other = a_command(a_submission()), a_command(a_submission())
    bad = Received("tsunagu.131059.command.submit_referral", body)
    first, nothing, last = desk.work(received(one), bad, received(other))
    assert (first.answer.status, nothing, last.answer.status) == (201, Done(None), 201)
    ((reason, kept),) = desk.dead_letters()
    assert reason.startswith(REASONS.get(fault, "unreadable: "))
    assert kept == body[:65_536]
    assert len(desk.states()) == 2


def test_a_reason_names_the_fault_and_never_the_value(desk: Desk) -> None:
    desk.work(Received("s", spoiled(agency="文京 太郎", fingerprint="03-0000-0000")))
    ((reason, _),) = desk.dead_letters()
    assert reason == "unreadable: string_pattern_mismatch"


def test_any_bytes_at_all_are_answered_or_set_aside(databases: Databases) -> None:
    good = a_command(a_submission()).to_json()

    @settings(max_examples=60)
    @given(
        st.binary(max_size=200)
        | st.builds(
            lambda at, byte: good[:at] + bytes([byte]) + good[at + 1 :],
            st.integers(0, len(good) - 1),
            st.integers(0, 255),
        )
    )
    def holds(body: bytes) -> None:
        before = len(desk.dead_letters())
        (outcome,) = desk.work(Received("subject", body))
        assert isinstance(outcome, Done)
        assert (outcome.answer is None) == (len(desk.dead_letters()) == before + 1)

    with (
        opened(databases, "referral") as engine,
        Desk(engine, ManualClock(FRIDAY_AFTERNOON)) as desk,
    ):
        holds()


def test_a_probe_is_dealt_with_and_leaves_no_trace(desk: Desk) -> None:
    assert desk.work(received(a_command(c.ProbeWriting()))) == [Done(None)]
    assert [desk.rows(table) for table in (t.answers, t.dead_letters, t.journal.journal)] == [
        []
    ] * 3


def test_a_fault_of_the_program_harms_no_neighbour_and_the_message_comes_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    submissions = [a_command(a_submission()) for _ in range(3)]
    unlucky, decide = submissions[1], writing.decide

    def failing(state: object, command: c.Command, context: object) -> object:
        if command.id == unlucky.id:
            raise RuntimeError("a fault of ours")
        return decide(state, command, context)

    monkeypatch.setattr(writing, "decide", failing)
    outcomes = desk.work(*map(received, submissions))
    assert [type(outcome) for outcome in outcomes] == [Done, TryAgain, Done]
    assert sorted(x.number for x in desk.states().values()) == [
        "131059-2026-000001",
        "131059-2026-000002",
    ]
    assert desk.work(received(unlucky, deliveries=4)) == [TryAgain()]
    assert desk.dead_letters() == []

    monkeypatch.undo()
    (outcome,) = desk.work(received(unlucky, deliveries=5))
    assert outcome.answer.status == 201


def test_what_fails_five_times_is_set_aside(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> object:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(writing, "decide", failing)
    command = a_command(a_submission())
    assert desk.work(received(command, deliveries=5)) == [Done(None)]
    assert desk.dead_letters() == [("deciding failed", command.to_json())]


@pytest.mark.parametrize("step", ["referral_given", "concerned", "written_down", "to_json"])
def test_wherever_deciding_fails_nothing_of_that_command_is_written(
    desk: Desk, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> object:
        raise RuntimeError("a fault of ours")

    command = a_command(a_submission())
    monkeypatch.setattr(writing, step, failing)
    assert desk.work(received(command)) == [TryAgain()]
    assert (desk.journal(), desk.states(), desk.rows(t.answers)) == ([], {}, [])
    monkeypatch.undo()
    assert desk.tell(command)[0].status == 201
    assert [entry.number for entry in desk.journal()] == [1, 2, 3]


@pytest.mark.parametrize(
    "moment",
    [
        datetime(9999, 12, 31, 23, 59, tzinfo=UTC),  # the year 10000 in Japan
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=12))),  # the year 0 in UTC
    ],
)
def test_a_moment_at_the_end_of_the_calendar_is_taken_in_like_any_other(
    desk: Desk, moment: datetime
) -> None:
    (answer,) = desk.tell(a_command(a_submission(requested_by=moment, consent_obtained_at=moment)))
    assert answer.status == 201


def test_sealed_words_lie_apart_from_the_record(desk: Desk) -> None:
    identity, situation, text = (
        words("文京 太郎", Group.IDENTITY),
        words("母が急病", Group.SITUATION),
        words("部屋はあります"),
    )
    submission = a_submission(sealed=(identity, situation))
    desk.tell(a_command(submission))
    accept = c.AcceptHandoff(
        handoff=desk.states()[submission.referral].handoffs[0].id, sealed=(text,)
    )
    desk.tell(a_command(accept, HUB))
    kept = {(row.event, row.grp): row for row in desk.rows(t.sealed)}
    entries = {entry.id: entry for entry in desk.journal()}
    expected = {}
    for entry in entries.values():
        for commitment in entry.event.sealed:
            expected[str(entry.id), commitment.group.value] = commitment.commitment
    assert {key: row.commitment for key, row in kept.items()} == expected
    assert {row.referral for row in kept.values()} == {str(submission.referral)}
    assert {row.ciphertext for row in kept.values()} == {
        group.ciphertext for group in (identity, situation, text)
    }
    everything_else = "".join(
        str(value)
        for table in t.metadata.sorted_tables if table is not t.sealed
        for row in desk.rows(table) for value in row
    )  # fmt: skip
    for group in (identity, situation, text):
        assert group.ciphertext not in everything_else
        assert group.commitment in everything_else


def test_a_refused_commands_words_are_not_kept(desk: Desk) -> None:
    note = c.AddNote(referral=an_id("nothing"), sealed=(words("見かけません"),))
    assert desk.tell(a_command(note))[0].status == 403
    assert desk.rows(t.sealed) == []
