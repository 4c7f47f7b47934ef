"""The ledger on both databases: bound once, in order, and never changed again."""

import json
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from runtime.database import reading, writing
from runtime.signed_note import VerifierKey, open_checkpoint
from schemas.journal import JournalEntry
from services.audit import tables as t
from services.audit.ledger import check_entry, find_referral
from services.audit.merkle import root_of
from services.audit.verify import Kind
from tests.book import VKEY, Book, as_read
from tests.builders import HUB, LIEN, Town, a_referral
from tests.databases import losing_the_answer_to_commit, refusing


@pytest.fixture
def book(database_of: Callable[[str], Engine], clock: ManualClock) -> Book:
    return Book(database_of("audit"), clock)


@pytest.fixture(scope="module")
def journal() -> list[JournalEntry]:
    """Three cases, told in turn, so that their entries lie between each other's."""
    town = Town()
    cases = [a_referral(town=town) for _ in range(3)]
    for case in cases:
        case.accepted_by(HUB)
    for case in cases:
        case.requested_from(LIEN, "sample-hospital").accepted_by(LIEN)
    for case in cases:
        case.completed_by(LIEN).closed()
    return town.entries


def batches(journal: list[JournalEntry], size: int) -> Iterator[list[JournalEntry]]:
    for start in range(0, len(journal), size):
        yield journal[start : start + size]


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_each_entry_names_the_one_before_it_of_its_case_across_batches_and_restarts(
    book: Book, journal: list[JournalEntry], size: int
) -> None:
    for number, batch in enumerate(batches(journal, size)):
        book.append(batch)
        if number % 2:
            book.reopen()
    newest: dict[str, str] = {}
    for row in book.entries():
        told = json.loads(row.body)
        assert told["prev"] == newest.get(row.referral)
        newest[row.referral] = row.leaf.hex()
    assert [json.loads(row.body)["id"] for row in book.entries()] == [str(x.id) for x in journal]
    assert [row.idx for row in book.entries()] == list(range(len(journal)))
    assert book.ledger.size == len(journal)


def test_what_is_bound_is_whole_and_every_checkpoint_signs_it(
    book: Book, journal: list[JournalEntry]
) -> None:
    for number, batch in enumerate(batches(journal, 5)):
        book.append(batch)
        if number % 2:
            book.ledger.sign()
        if number % 3 == 0:
            book.reopen()
    book.ledger.sign()
    book.ledger.sign()  # nothing new: nothing to sign
    report = book.verified()
    assert (report.kind, report.entries, report.unsigned) == (None, len(journal), 0)
    sizes = [checkpoint.size for checkpoint in book.checkpoints()]
    assert sizes == sorted(set(sizes))
    assert report.checkpoints == len(sizes) > 1


def test_a_checkpoint_signs_what_was_committed_and_nothing_that_is_still_being_written(
    book: Book, journal: list[JournalEntry]
) -> None:
    book.append(journal[:4])
    with writing(book.engine) as connection:
        book.ledger.append(connection, [as_read(entry) for entry in journal[4:7]])
        assert book.ledger.size == 4
    book.ledger.sign()  # committed, but nobody has said so yet
    book.ledger.settle()
    ((size, note),) = book.checkpoints()
    checkpoint = open_checkpoint(note, VerifierKey.decode(VKEY))
    assert (size, checkpoint.size) == (4, 4)
    assert checkpoint.root == root_of([row.leaf for row in book.entries()[:4]])
    book.ledger.sign()
    assert [size for size, _ in book.checkpoints()] == [4, 7]
    assert book.verified().kind is None


def test_a_transaction_that_is_undone_leaves_nothing_pending(
    book: Book, journal: list[JournalEntry]
) -> None:
    book.append(journal[:4])
    with pytest.raises(RuntimeError), writing(book.engine) as connection:  # noqa: PT012
        book.ledger.append(connection, [as_read(entry) for entry in journal[4:9]])
        raise RuntimeError("something else in the transaction failed")
    with refusing(book.engine, t.entries), pytest.raises(sa.exc.DBAPIError):
        book.append(journal[4:6])
    book.append([])
    assert book.ledger.size == len(book.entries()) == 4
    book.append(journal[4:])
    book.ledger.sign()
    report = book.verified()
    assert (report.kind, report.entries, report.unsigned) == (None, len(journal), 0)


def test_a_commit_whose_answer_was_lost_is_found_done(
    book: Book, journal: list[JournalEntry]
) -> None:
    book.append(journal[:4])
    with losing_the_answer_to_commit(book.engine), pytest.raises(sa.exc.DBAPIError):
        book.append(journal[4:7])
    assert len(book.entries()) == 7
    book.append(journal[7:])  # the reader has looked where it stands, and goes on from there
    book.ledger.sign()
    with losing_the_answer_to_commit(book.engine):
        book.ledger.sign()
    report = book.verified()
    assert (report.kind, report.entries, report.unsigned) == (None, len(journal), 0)


def test_a_checkpoint_whose_commit_was_lost_is_not_signed_a_second_time(
    book: Book, journal: list[JournalEntry]
) -> None:
    book.append(journal[:4])
    with losing_the_answer_to_commit(book.engine), pytest.raises(sa.exc.DBAPIError):
        book.ledger.sign()
    book.ledger.sign()
    assert (book.ledger.signed, len(book.checkpoints())) == (4, 1)


CHANGES = {
    "altered": "UPDATE {table} SET {column} = {column}",
    "removed": "DELETE FROM {table}",
    "removed when nothing is there": "DELETE FROM {table} WHERE {column} = -1",
    "emptied": "TRUNCATE {table}",
    "replaced": "REPLACE INTO {table} SELECT * FROM {table}",
    "overwritten": (
        "INSERT INTO {table} SELECT * FROM {table} WHERE true "
        "ON CONFLICT ({column}) DO UPDATE SET {column} = excluded.{column}"
    ),
}
ONLY = {"emptied": "postgresql", "replaced": "sqlite"}


@pytest.mark.parametrize("table", [t.entries, t.checkpoints], ids=lambda table: table.name)
@pytest.mark.parametrize("change", CHANGES)
def test_the_database_itself_refuses_to_change_what_is_recorded(
    book: Book, journal: list[JournalEntry], table: sa.Table, change: str
) -> None:
    if ONLY.get(change, book.engine.dialect.name) != book.engine.dialect.name:
        return  # the other database has no such statement
    book.append(journal)
    book.ledger.sign()
    before = (book.entries(), book.checkpoints())
    (column,) = table.primary_key
    statement = CHANGES[change].format(table=table.name, column=column.name)

    def try_it() -> None:
        with writing(book.engine) as connection:
            connection.exec_driver_sql(statement)

    if change == "removed when nothing is there":
        try_it()  # nothing is changed, so nothing is refused
    else:
        with pytest.raises(sa.exc.DBAPIError, match="append-only"):
            try_it()
    assert (book.entries(), book.checkpoints()) == before


def test_what_a_stronger_hand_has_changed_is_found(book: Book, journal: list[JournalEntry]) -> None:
    book.append(journal)
    book.ledger.sign()
    with writing(book.engine) as connection:
        if book.engine.dialect.name == "postgresql":
            connection.exec_driver_sql("ALTER TABLE entries DISABLE TRIGGER ALL")
        else:
            connection.exec_driver_sql("DROP TRIGGER entries_refuse_update")
        altered = sa.update(t.entries).where(t.entries.c.idx == 5).values(number=999)
        connection.execute(altered)
    report = book.verified()
    assert report.kind is Kind.ALTERED
    assert (report.findings[0].first, report.findings[0].until) == (5, 6)


def test_an_event_is_not_bound_twice(book: Book, journal: list[JournalEntry]) -> None:
    book.append(journal[:4])
    with pytest.raises(sa.exc.IntegrityError):
        book.append(journal[3:5])
    book.append(journal[4:])
    book.ledger.sign()
    assert book.verified().kind is None


def test_a_case_is_found_by_its_id_and_by_the_number_that_people_say(
    book: Book, journal: list[JournalEntry]
) -> None:
    book.append(journal)
    with reading(book.engine) as connection:
        for number in (1, 2, 3):
            entry = [x for x in journal if x.event.type == "referral_submitted"][number - 1]
            for ref in (f"131059-2026-00000{number}", str(entry.referral)):
                assert find_referral(connection, ref) == str(entry.referral)
        assert find_referral(connection, "131059-2026-000009") is None


def spoil(value: dict, path: str, to: object) -> dict:
    told = json.loads(json.dumps(value))
    *way, last = path.split(".")
    place = told
    for step in way:
        place = place[step]
    place[last] = to
    return told


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("number", "1"),
        ("number", 1.0),
        ("version", "1"),
        ("version", True),
        ("occurred_at", 1_795_000_000),
        ("id", "not an id"),
        ("event.weight", 0.5),
        ("event.weight", 2**60),
        ("event.sender_reference", "x" * 70_000),
        ("event.重さ", 1),
        ("event.type", "weather_changed"),
        ("more", 1),
    ],
)
def test_what_the_ledger_could_not_hold_is_no_entry(
    journal: list[JournalEntry], path: str, to: object
) -> None:
    value = json.loads(journal[0].to_json())
    check_entry(json.dumps(value).encode(), value)
    spoiled = spoil(value, path, to)
    with pytest.raises(ValueError):  # noqa: PT011  # any: the reader sets it aside
        check_entry(json.dumps(spoiled).encode(), spoiled)
