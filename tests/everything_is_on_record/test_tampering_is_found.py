"""Every way to tamper with a ledger's rows that we could think of, at every place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.canonical import canonical_json, parse_canonical
from runtime.signed_note import Checkpoint, sign_checkpoint
from services.audit.merkle import leaf_hash
from services.audit.verify import (
    EXIT_CODES,
    Finding,
    Kind,
    Report,
    StoredCheckpoint,
    StoredEntry,
    UnreadableError,
    verify,
)
from tests.everything_is_on_record.a_ledger import (
    CHECKPOINTS,
    KEY,
    LAST_SIGNED,
    ORIGIN,
    SIZE,
    VKEY,
    StoredLedger,
    a_checkpoint,
    a_ledger,
    an_id,
)

anywhere = st.integers(0, SIZE - 1)
under_a_checkpoint = st.integers(0, LAST_SIGNED - 1)


def suspects(report: Report) -> range:
    """The entries of which one is the first wrong one."""
    finding = report.findings[0]
    assert finding.first is not None
    assert finding.until is not None
    return range(finding.first, finding.until)


def rewritten(row: StoredEntry, **fields: Any) -> StoredEntry:
    """The row with other bytes, and a leaf and columns that agree with them."""
    body = canonical_json(parse_canonical(row.body) | fields)
    value = parse_canonical(body)
    return StoredEntry(
        row.idx,
        leaf_hash(body),
        body,
        value["id"],
        value["producer"],
        value["number"],
        value["referral"],
    )


def between_checkpoints(at: int) -> range:
    ends = [*CHECKPOINTS, SIZE]
    end = next(size for size in ends if size > at)
    return range(ends[ends.index(end) - 1], end)


def test_a_ledger_left_alone_is_whole() -> None:
    report = a_ledger().verified()
    assert report.kind is None
    assert report.exit_code == 0
    assert (report.entries, report.signed, report.unsigned) == (SIZE, LAST_SIGNED, 3)
    assert report.checkpoints == len(CHECKPOINTS)


@given(anywhere, st.data(), st.integers(1, 255))
def test_any_byte_flipped_in_any_entry_is_found(at: int, data: st.DataObject, mask: int) -> None:
    ledger = a_ledger()
    body = bytearray(ledger.rows[at].body)
    body[data.draw(st.integers(0, len(body) - 1))] ^= mask
    ledger.rows[at] = ledger.rows[at]._replace(body=bytes(body))
    report = ledger.verified()
    assert report.kind is Kind.ALTERED
    assert suspects(report) == range(at, at + 1)
    assert len(report.findings) == 1


@given(st.lists(anywhere, min_size=2, unique=True))
def test_every_flipped_entry_is_named(places: list[int]) -> None:
    ledger = a_ledger()
    for at in places:
        ledger.rows[at] = ledger.rows[at]._replace(body=b"x" + ledger.rows[at].body)
    assert [finding.first for finding in ledger.verified().findings] == sorted(places)


@given(anywhere, st.integers(0, 31), st.integers(1, 255))
def test_any_byte_flipped_in_any_leaf_is_found(at: int, byte: int, mask: int) -> None:
    ledger = a_ledger()
    leaf = bytearray(ledger.rows[at].leaf)
    leaf[byte] ^= mask
    ledger.rows[at] = ledger.rows[at]._replace(leaf=bytes(leaf))
    report = ledger.verified()
    assert report.kind is Kind.ALTERED
    assert suspects(report) == range(at, at + 1)


@given(anywhere)
def test_any_entry_removed_is_found(at: int) -> None:
    ledger = a_ledger()
    del ledger.rows[at]
    report = ledger.verified()
    if at == SIZE - 1:  # nothing here knows of it: it was not yet under a checkpoint
        assert report.kind is None
        return
    assert report.kind is Kind.MISSING
    assert suspects(report) == range(at, at + 1)


@given(under_a_checkpoint)
def test_any_entry_removed_and_the_rest_moved_up_is_found(at: int) -> None:
    ledger = a_ledger()
    removed = ledger.rows.pop(at)
    ledger.renumber()
    report = ledger.verified()
    assert at in suspects(report)
    if any(row.producer == removed.producer for row in ledger.rows[at:]):
        assert any(finding.kind is Kind.MISSING for finding in report.findings)
    else:  # no later number shows the gap: the signed root does
        assert report.kind is Kind.ALTERED


@given(anywhere, anywhere)
def test_any_two_entries_swapped_are_found(one: int, another: int) -> None:
    ledger = a_ledger()
    rows = ledger.rows
    rows[one], rows[another] = rows[another], rows[one]
    ledger.renumber()
    report = ledger.verified()
    first, second = sorted((one, another))
    if first == second:
        assert report.kind is None
    elif second < LAST_SIGNED or rows[one].producer == rows[another].producer:
        assert report.kind is not None
        assert first in suspects(report)
    else:  # beyond the last checkpoint a harmless order is not yet bound
        assert report.kind is None or first in suspects(report)


def test_two_entries_of_one_journal_swapped_are_reordered() -> None:
    ledger = a_ledger()
    ledger.rows[7], ledger.rows[8] = ledger.rows[8], ledger.rows[7]
    ledger.renumber()
    assert ledger.verified().kind is Kind.REORDERED
    assert suspects(ledger.verified()) == range(7, 8)


@given(anywhere, anywhere)
def test_any_entry_repeated_anywhere_is_found(at: int, place: int) -> None:
    ledger = a_ledger()
    ledger.rows.insert(place, ledger.rows[at])
    ledger.renumber()
    report = ledger.verified()
    assert report.kind is not None
    found = {n for f in report.findings for n in range(f.first or 0, f.until or 0)}
    assert found & {place, at + 1 if place <= at else place}


@given(anywhere)
def test_rows_out_of_order_are_found(at: int) -> None:
    ledger = a_ledger()
    ledger.rows.append(ledger.rows[at])
    report = ledger.verified()
    assert report.kind is Kind.REORDERED


@given(under_a_checkpoint)
def test_an_entry_rewritten_with_its_leaf_is_found(at: int) -> None:
    ledger = a_ledger()
    ledger.rows[at] = rewritten(ledger.rows[at], actor="someone-else")
    report = ledger.verified()
    assert report.kind is Kind.ALTERED
    assert at in suspects(report)
    assert set(suspects(report)) <= set(between_checkpoints(at))


@given(under_a_checkpoint)
def test_a_whole_history_rewritten_is_found_by_the_first_checkpoint_after(at: int) -> None:
    """The worst writer: every later hash made to agree. Only what was signed stands against it."""
    ledger = a_ledger()
    ledger.rows[at] = rewritten(ledger.rows[at], actor="someone-else")
    tails: dict[str | None, str] = {}
    for n, row in enumerate(ledger.rows):
        if row.referral is not None:
            prev = tails.get(row.referral)
            ledger.rows[n] = rewritten(row, prev=prev) if n > at else row
            tails[row.referral] = ledger.rows[n].leaf.hex()
    report = ledger.verified()
    span = between_checkpoints(at)
    detail = "the root of the entries is not the signed one"
    assert report.findings == (
        Finding(Kind.ALTERED, detail, span.start, span.stop, checkpoint=span.stop),
    )
    assert (report.exit_code, report.signed) == (1, span.start)


@given(anywhere, st.sampled_from(["event_id", "producer", "number", "referral"]))
def test_any_column_that_does_not_say_what_the_entry_says_is_found(at: int, column: str) -> None:
    ledger = a_ledger()
    wrong: Any = 999 if column == "number" else an_id("other")
    ledger.rows[at] = ledger.rows[at]._replace(**{column: wrong})
    report = ledger.verified()
    assert (report.kind, suspects(report)) == (Kind.ALTERED, range(at, at + 1))
    assert len(report.findings) == 1


@given(anywhere, st.sampled_from(StoredEntry._fields[1:]))
@pytest.mark.parametrize("junk", [None, 1.5, "x", b"", 2**70, b"\xff"])
def test_a_column_of_any_other_type_is_found(junk: Any, at: int, column: str) -> None:
    ledger = a_ledger()
    if getattr(ledger.rows[at], column) == junk:
        return
    ledger.rows[at] = ledger.rows[at]._replace(**{column: junk})
    report = ledger.verified()
    assert (report.kind, suspects(report)) == (Kind.ALTERED, range(at, at + 1))


@given(st.integers(0, LAST_SIGNED - 1))
def test_a_ledger_cut_back_below_a_checkpoint_is_found(size: int) -> None:
    ledger = a_ledger()
    del ledger.rows[size:]
    report = ledger.verified()
    assert (report.kind, suspects(report)) == (Kind.MISSING, range(size, LAST_SIGNED))
    assert report.exit_code == 3


def test_a_ledger_cut_back_with_its_checkpoints_is_found_by_one_that_an_agency_kept() -> None:
    ledger = a_ledger()
    kept = ledger.checkpoints.pop()
    del ledger.rows[CHECKPOINTS[-2] :]
    assert ledger.verified().kind is None
    ledger.checkpoints.append(kept)
    assert ledger.verified().kind is Kind.MISSING


@given(st.sampled_from(range(len(CHECKPOINTS))), st.data())
def test_any_character_changed_in_any_checkpoint_is_found(which: int, data: st.DataObject) -> None:
    ledger = a_ledger()
    size, note = ledger.checkpoints[which]
    at = data.draw(st.integers(0, len(note) - 1))
    other = data.draw(st.characters().filter(lambda character: character != note[at]))
    ledger.checkpoints[which] = StoredCheckpoint(size, note[:at] + other + note[at + 1 :])
    report = ledger.verified()
    assert (report.kind, report.exit_code) == (Kind.UNVERIFIABLE, 5)
    assert report.findings[0].checkpoint == size


def test_a_checkpoint_filed_under_another_size_is_found() -> None:
    ledger = a_ledger()
    ledger.checkpoints[1] = ledger.checkpoints[1]._replace(size=11)
    assert ledger.verified().findings == (Finding(Kind.ALTERED, "is of size 10", checkpoint=11),)


@pytest.mark.parametrize("note", [None, b"x", 7, ""])
def test_a_checkpoint_that_is_no_text_is_found(note: Any) -> None:
    ledger = a_ledger()
    ledger.checkpoints[1] = StoredCheckpoint(10, note)
    assert ledger.verified().kind is Kind.UNVERIFIABLE


def test_two_signed_roots_for_one_size_are_a_fork() -> None:
    ledger = a_ledger()
    other = Checkpoint(ORIGIN, 20, bytes(32))
    ledger.checkpoints.append(StoredCheckpoint(20, sign_checkpoint(other, KEY)))
    report = ledger.verified()
    assert report.findings == (Finding(Kind.FORKED, "2 roots are signed", checkpoint=20),)
    assert report.exit_code == 4


def test_a_fork_outranks_whatever_else_is_wrong() -> None:
    ledger = a_ledger()
    other = Checkpoint(ORIGIN, 20, bytes(32))
    ledger.checkpoints.append(StoredCheckpoint(20, sign_checkpoint(other, KEY)))
    del ledger.rows[3]
    assert ledger.verified().kind is Kind.FORKED


def test_the_same_checkpoint_twice_is_no_fork() -> None:
    ledger = a_ledger()
    ledger.checkpoints.append(ledger.checkpoints[1])
    assert ledger.verified().kind is None


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"v": 2}, id="of a format to come"),
        pytest.param({"surprise": 1}, id="with a foreign field"),
        pytest.param({"event": {}}, id="whose event has no type"),
    ],
)
def test_a_signed_entry_that_cannot_be_read_is_unverifiable(fault: dict[str, Any]) -> None:
    """The log's own key signed it, so it is not altered; but nobody can say what it says."""
    ledger = a_ledger()
    row = ledger.rows[12]
    body = canonical_json(parse_canonical(row.body) | fault)
    ledger.rows[12] = row._replace(body=body, leaf=leaf_hash(body))
    ledger.checkpoints = [a_checkpoint(ledger.rows, LAST_SIGNED)]
    report = ledger.verified()
    assert (report.kind, suspects(report)) == (Kind.UNVERIFIABLE, range(12, 13))


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        pytest.param({"number": 99}, Kind.MISSING, id="numbers left out"),
        pytest.param({"number": 1}, Kind.ALTERED, id="a number used twice"),
        pytest.param({"version": 99}, Kind.MISSING, id="versions left out"),
        pytest.param({"version": 1}, Kind.REORDERED, id="a version used twice"),
        pytest.param({"prev": "ab" * 32}, Kind.ALTERED, id="a prev that is nowhere"),
        pytest.param({"prev": None}, Kind.ALTERED, id="a history begun anew"),
        pytest.param({"ward": "131041"}, Kind.ALTERED, id="another ward"),
        pytest.param({"id": an_id("event 2")}, Kind.ALTERED, id="an event twice"),
    ],
)
def test_a_broken_chain_is_found_even_under_a_good_signature(
    fault: dict[str, Any], kind: Kind
) -> None:
    ledger = a_ledger()
    ledger.rows[11] = rewritten(ledger.rows[11], **fault)
    ledger.rows = ledger.rows[:12]
    ledger.checkpoints = [a_checkpoint(ledger.rows, 12)]
    report = ledger.verified()
    assert report.kind is kind
    assert suspects(report) == range(11, 12)


def test_nothing_signed_is_not_whole() -> None:
    assert StoredLedger(a_ledger().rows, []).verified().kind is Kind.UNVERIFIABLE
    assert StoredLedger([], []).verified().kind is Kind.UNVERIFIABLE


def test_an_empty_ledger_is_whole_when_it_is_signed() -> None:
    assert StoredLedger([], [a_checkpoint([], 0)]).verified().kind is None


@pytest.mark.parametrize("vkey", ["", "x", VKEY + "A", "sum.golang.org+033de0ae+Ac4zctda0e5eza"])
def test_without_the_right_key_nothing_is_verified(vkey: str) -> None:
    ledger = a_ledger()
    report = verify(ledger.rows, ledger.checkpoints, vkey)
    assert (report.kind, report.signed) == (Kind.UNVERIFIABLE, 0)


def test_rows_that_cannot_be_read_on_are_unverifiable_and_not_missing() -> None:
    ledger = a_ledger()

    def rows() -> Any:
        yield from ledger.rows[:15]
        raise UnreadableError("damaged")

    report = verify(rows(), ledger.checkpoints, VKEY)
    assert [finding.kind for finding in report.findings] == [Kind.UNVERIFIABLE]
    assert (report.entries, report.signed, suspects(report)) == (15, 10, range(15, 16))


def test_a_ledger_shuffled_throughout_is_reported_in_bounded_room() -> None:
    ledger = a_ledger()
    row = ledger.rows[0]
    numbers = [n for k in range(1, 5_000) for n in (10_000 - 2 * k, 2 * k)]
    ledger.rows = [
        rewritten(row, number=number, id=an_id(f"{n}"), referral=None, version=None)
        for n, number in enumerate(numbers)
    ]
    ledger.renumber()
    report = ledger.verified()
    assert suspects(report) == range(1)
    assert report.omitted > 0
    assert len(report.findings) < 3_000


def test_progress_is_told() -> None:
    told: list[int] = []
    ledger = a_ledger()
    verify(ledger.rows, ledger.checkpoints, VKEY, told.append)
    assert told == [SIZE]


def test_every_kind_has_an_exit_code_of_its_own() -> None:
    assert set(EXIT_CODES) == {None, *Kind}
    assert len(set(EXIT_CODES.values())) == len(EXIT_CODES)
    assert 2 not in EXIT_CODES.values()
