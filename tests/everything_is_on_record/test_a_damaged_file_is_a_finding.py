import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from services.audit.verify import Kind
from services.audit.verify_sqlite import verify_file
from tests.everything_is_on_record.a_ledger import LAST_SIGNED, SIZE, VKEY, a_ledger

SCHEMA = """
CREATE TABLE entries (idx INTEGER PRIMARY KEY, leaf BLOB, body BLOB, event_id TEXT, producer TEXT,
                      number INTEGER, referral TEXT);
CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note TEXT, signed_at TEXT);
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "台帳 #1?.db"  # a name that a URI must quote
    ledger = a_ledger()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
        connection.executemany("INSERT INTO entries VALUES (?,?,?,?,?,?,?)", ledger.rows)
        connection.executemany("INSERT INTO checkpoints VALUES (?,?,'')", ledger.checkpoints)
        connection.commit()
    return path


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


def test_a_file_left_alone_is_whole(file: Path) -> None:
    report = verify_file(file, VKEY)
    assert (report.kind, report.entries, report.signed) == (None, SIZE, LAST_SIGNED)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("body = NULL", id="no entry"),
        pytest.param("body = CAST(body AS TEXT)", id="an entry that is text"),
        pytest.param("body = CAST(x'ff' AS TEXT)", id="an entry that is no text either"),
        pytest.param("leaf = 7", id="a leaf that is a number"),
        pytest.param("event_id = NULL", id="no event id"),
        pytest.param("event_id = CAST(x'fffe' AS TEXT)", id="an event id that is not UTF-8"),
        pytest.param("producer = x'00'", id="a producer that is bytes"),
        pytest.param("number = 'seven'", id="a number that is text"),
        pytest.param("referral = 1", id="a referral that is a number"),
    ],
)
def test_a_damaged_row_is_named_and_the_rest_is_read(file: Path, fault: str) -> None:
    change(file, f"UPDATE entries SET {fault} WHERE idx = 11")
    report = verify_file(file, VKEY)
    assert report.entries == SIZE
    finding = report.findings[0]
    assert (finding.kind, finding.first, finding.until) == (Kind.ALTERED, 11, 12)


def test_a_deleted_row_is_missing(file: Path) -> None:
    change(file, "DELETE FROM entries WHERE idx = 11")
    finding = verify_file(file, VKEY).findings[0]
    assert (finding.kind, finding.first, finding.until) == (Kind.MISSING, 11, 12)


def test_a_row_below_nought_does_not_belong(file: Path) -> None:
    change(file, "UPDATE entries SET idx = -5 WHERE idx = 0")
    assert verify_file(file, VKEY).kind is not None


@pytest.mark.parametrize("note", ["NULL", "x'00'", "CAST(x'ff' AS TEXT)"])
def test_a_damaged_checkpoint_is_named(file: Path, note: str) -> None:
    change(file, f"UPDATE checkpoints SET note = {note} WHERE size = 10")
    finding = verify_file(file, VKEY).findings[0]
    assert (finding.kind, finding.checkpoint) == (Kind.UNVERIFIABLE, 10)


@pytest.mark.parametrize("table", ["entries", "checkpoints"])
def test_a_table_that_is_not_there_is_unverifiable(file: Path, table: str) -> None:
    change(file, f"DROP TABLE {table}")
    assert verify_file(file, VKEY).kind is Kind.UNVERIFIABLE


def test_a_damaged_page_is_unverifiable(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[8_192:] = b"\xa5" * (len(data) - 8_192)
    file.write_bytes(data)
    assert verify_file(file, VKEY).exit_code != 0


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + b"\xff" * 999])
def test_what_is_no_ledger_at_all_is_unverifiable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    assert verify_file(path, VKEY).kind is Kind.UNVERIFIABLE


def test_a_file_that_is_not_there_is_unverifiable_and_not_made(tmp_path: Path) -> None:
    assert verify_file(tmp_path / "none.db", VKEY).kind is Kind.UNVERIFIABLE
    assert list(tmp_path.iterdir()) == []


def test_verifying_writes_nothing(file: Path) -> None:
    before = file.read_bytes()
    verify_file(file, VKEY)
    assert file.read_bytes() == before
