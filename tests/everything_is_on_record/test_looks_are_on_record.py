"""Whoever is shown something of a referral is written down first: what is not on record is not shown."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from runtime.database import reading
from runtime.sole_writer import SoleWriter
from schemas.journal import AnyEntry, ConsoleEntry, read_entry
from schemas.looks import LOOK_EVENT_TYPES, LedgerPart, LookedAt
from services.audit.ledger import check_entry
from services.audit.replay import fold_ward
from services.console import tables as t
from services.console.looks import Looks, LooksNotRecorded
from services.console.person import Person, Role
from tests.book import Book
from tests.builders import AUDITOR, BUNKYO, CORE, FRIDAY_AFTERNOON, HUB, a_referral, an_id

CASE, ANOTHER = an_id("referral"), an_id("another referral")
WHO = an_id("account")


def a_person(agency: str = CORE) -> Person:
    until = FRIDAY_AFTERNOON + timedelta(hours=8)
    return Person(WHO, "mihon", "見本 花子", agency, Role.CORE, "0" * 64, until)


class Record:
    """The looks of a console on a real database, and how often its publisher was told."""

    def __init__(self, engine: Engine, clock: ManualClock) -> None:
        self.engine = engine
        self.sole = SoleWriter(engine, t.writer, f"console-{BUNKYO.code}")
        self.nudged = 0
        self.looks = Looks(engine, self.sole.guard, BUNKYO, clock, self._nudge)

    def _nudge(self) -> None:
        self.nudged += 1

    def bodies(self) -> list[str]:
        journal = t.journal.journal
        with reading(self.engine) as connection:
            query = sa.select(journal.c.body).order_by(journal.c.number)
            return list(connection.execute(query).scalars())

    def entries(self) -> list[ConsoleEntry]:
        return [ConsoleEntry.from_json(body) for body in self.bodies()]


@pytest.fixture
def record(database_of: Callable[[str], Engine], clock: ManualClock) -> Iterator[Record]:
    record = Record(database_of("console"), clock)
    yield record
    record.sole.release()


def test_a_look_is_on_disk_before_anything_is_shown(record: Record) -> None:
    async def look() -> None:
        await record.looks.record(a_person(HUB), CASE, LookedAt.PERSONAL, "C1")
        assert len(record.bodies()) == 1  # already, and not at some time

    asyncio.run(look())
    (entry,) = record.entries()
    assert (entry.number, entry.actor, entry.occurred_at) == (1, HUB, FRIDAY_AFTERNOON)
    assert entry.event.model_dump(mode="json") == {
        "type": "referral_looked_at", "agency": HUB, "staff": str(WHO), "referral": str(CASE),
        "what": "personal", "basis": "C1",
    }  # fmt: skip
    assert record.nudged == 1


def test_a_look_names_nobody(record: Record) -> None:
    asyncio.run(record.looks.record(a_person(), CASE, LookedAt.PAGE))
    (body,) = record.bodies()
    for personal in ("見本", "花子", "mihon"):
        assert personal not in body


def test_looking_at_the_ledger_is_itself_on_record(record: Record) -> None:
    async def look() -> None:
        for part in LedgerPart:
            await record.looks.record_of_ledger(a_person(AUDITOR), part)

    asyncio.run(look())
    found = [(e.event.type, e.event.what, e.event.agency) for e in record.entries()]
    assert found == [("ledger_looked_at", part, AUDITOR) for part in LedgerPart]


def test_many_who_look_at_once_have_a_number_each_and_share_transactions(record: Record) -> None:
    async def everybody() -> None:
        await asyncio.gather(
            *(record.looks.record(a_person(), an_id(f"{n}"), LookedAt.PAGE) for n in range(200))
        )

    asyncio.run(everybody())
    entries = record.entries()
    assert [entry.number for entry in entries] == list(range(1, 201))
    assert {entry.event.referral for entry in entries} == {an_id(f"{n}") for n in range(200)}  # type: ignore[union-attr]
    assert record.nudged < 20


def test_a_record_that_cannot_be_written_shows_nothing_and_numbers_go_on_after_it(
    record: Record,
) -> None:
    async def look() -> None:
        await record.looks.record(a_person(), CASE, LookedAt.PAGE)

    asyncio.run(look())
    with record.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE journal RENAME TO gone"))
    with pytest.raises(LooksNotRecorded):
        asyncio.run(look())
    assert record.nudged == 1
    with record.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE gone RENAME TO journal"))
    asyncio.run(look())
    assert [entry.number for entry in record.entries()] == [1, 2]


def test_a_console_that_another_has_taken_over_from_records_nothing(record: Record) -> None:
    with record.engine.begin() as connection:
        connection.execute(sa.update(t.writer).values(epoch=t.writer.c.epoch + 1))
    with pytest.raises(LooksNotRecorded):
        asyncio.run(record.looks.record(a_person(), CASE, LookedAt.PAGE))
    assert record.bodies() == []


def test_a_basis_that_is_no_code_is_refused_before_anything_is_written(record: Record) -> None:
    with pytest.raises(ValueError, match="basis"):
        asyncio.run(record.looks.record(a_person(), CASE, LookedAt.PERSONAL, "本人の同意"))
    assert record.bodies() == []


# -- in the ledger ---------------------------------------------------------------------------------


def looks_of(clock: ManualClock, engine: Engine) -> list[AnyEntry]:
    record = Record(engine, clock)

    async def look() -> None:
        for what in LookedAt:
            await record.looks.record(a_person(HUB), CASE, what)
        for part in LedgerPart:
            await record.looks.record_of_ledger(a_person(AUDITOR), part)

    asyncio.run(look())
    record.sole.release()
    return [read_entry(body) for body in record.bodies()]


def test_a_ledger_with_looks_between_cases_is_whole_and_replays_the_same(
    database_of: Callable[[str], Engine], clock: ManualClock
) -> None:
    looks = looks_of(clock, database_of("console"))
    assert {type(entry.event) for entry in looks} == set(LOOK_EVENT_TYPES)
    for entry in looks:
        assert isinstance(entry, ConsoleEntry)
        check_entry(entry.to_json(), json.loads(entry.to_json()))
    book = Book(database_of("audit"), clock)
    case = a_referral().accepted_by(HUB).closed()
    cases = list(case.town.entries)
    for at, entry in enumerate(cases):
        book.append([entry, *looks[at : at + 1]])
    book.append(looks[len(cases) :])
    book.ledger.sign()
    report = book.verified()
    assert (report.kind, report.entries) == (None, len(cases) + len(looks))
    assert fold_ward(book.bodies()) == {str(k): state for k, state in case.town.states.items()}


@pytest.mark.parametrize(
    "spoiled",
    [
        {"referral": str(CASE)},
        {"version": 3},
        {"concerns": [CORE]},
        {"event": {"type": "note_added"}},
    ],
)
def test_a_look_that_claims_to_be_part_of_a_case_or_to_concern_an_agency_is_refused(
    record: Record, spoiled: dict[str, object]
) -> None:
    asyncio.run(record.looks.record(a_person(), CASE, LookedAt.PAGE))
    value = json.loads(record.bodies()[0])
    check_entry(json.dumps(value).encode(), value)
    with pytest.raises(ValueError):  # noqa: PT011
        check_entry(json.dumps(value | spoiled).encode(), value | spoiled)
    assert UUID(value["id"])
