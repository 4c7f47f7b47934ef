"""Each agency's inbox: its own events, numbered 1, 2, 3 … without a hole, in the journal's order."""

import json
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from runtime.database import reading, writing
from schemas import queries as q
from schemas.journal import JournalEntry
from services.delivery import tables as t
from services.delivery.inbox import Inboxes, check_entry
from tests.book import as_read
from tests.builders import AUDITOR, HUB, LIEN, STRANGER, Town, a_referral, between
from tests.databases import Databases, opened, refusing
from tests.stories import AGENCIES, Wish, command_of, stories


@pytest.fixture
def engine(database_of: Callable[[str], Engine]) -> Engine:
    return database_of("delivery")


def take_in(engine: Engine, entries: list[JournalEntry]) -> None:
    with writing(engine) as connection:
        Inboxes(engine).take_in(connection, [as_read(entry) for entry in entries])


def inbox(engine: Engine, agency: str) -> list[tuple[int, str]]:
    with reading(engine) as connection:
        query = sa.select(t.inbox).where(t.inbox.c.agency == agency).order_by(t.inbox.c.number)
        return [(row.number, row.event) for row in connection.execute(query)]


def test_after_any_story_each_agency_has_its_own_events_without_a_hole(
    databases: Databases,
) -> None:
    @settings(max_examples=10)
    @given(stories, st.integers(1, 7))
    def holds(story: list[Wish], size: int) -> None:
        town = Town()
        for number, wish in enumerate(story):
            town.ask(command_of(wish, list(town.states.values()), number))
        with opened(databases, "delivery") as engine:
            for start in range(0, len(town.entries), size):
                take_in(engine, town.entries[start : start + size])
            for agency in AGENCIES:
                told = [str(x.id) for x in town.entries if agency in x.concerns]
                assert inbox(engine, agency) == list(enumerate(told, start=1))

    holds()


def test_an_agency_is_told_what_concerns_it_and_nothing_else(engine: Engine) -> None:
    case = a_referral().declined_by(HUB).offered_to(LIEN, "sample-home").accepted_by(LIEN)
    case.requested_from("sample-hospital").closed()
    take_in(engine, case.town.entries)

    def told(agency: str) -> list[str]:
        items = Inboxes(engine).read(q.ReadInbox(agency=agency)).body["items"]
        return [item["event"]["data"]["type"] for item in items]

    assert told(HUB) == ["handoff_offered", "handoff_declined"]
    assert told("sample-home") == ["handoff_offered", "handoff_accepted", "handoff_withdrawn"]
    assert told("sample-hospital") == ["handoff_offered", "handoff_withdrawn"]
    assert told(LIEN)[-3:] == ["handoff_offered", "handoff_withdrawn", "referral_closed"]
    for agency in (STRANGER, AUDITOR, "core"):
        assert told(agency) == []


def test_the_core_centre_is_told_where_it_must_rule(engine: Engine) -> None:
    case = a_referral(finding=between("otsuka", "tomisaka")).ruled("otsuka")
    take_in(engine, case.town.entries)
    items = Inboxes(engine).read(q.ReadInbox(agency="core")).body["items"]
    assert [x["event"]["data"]["type"] for x in items] == [
        "ruling_requested", "escalation_raised", "escalation_acknowledged", "district_ruled",
        "escalation_resolved",
    ]  # fmt: skip


def pages(engine: Engine, agency: str, limit: int) -> Iterator[list[dict]]:
    after = 0
    while True:
        body = Inboxes(engine).read(q.ReadInbox(agency=agency, after=after, limit=limit)).body
        yield body["items"]
        if not body["items"]:
            assert body["head"] == after
            return
        assert body["items"][0]["number"] == after + 1
        after = body["items"][-1]["number"]


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_pages_hold_every_event_once_and_in_order(engine: Engine, limit: int) -> None:
    town = Town()
    for _ in range(3):
        a_referral(town=town).accepted_by(HUB).closed()
    take_in(engine, town.entries)
    read = list(pages(engine, HUB, limit))
    items = [item for page in read for item in page]
    assert all(len(page) == limit for page in read[:-2])
    assert [item["number"] for item in items] == list(range(1, len(items) + 1))
    told = [str(x.id) for x in town.entries if HUB in x.concerns]
    assert [item["event"]["id"] for item in items] == told
    beyond = Inboxes(engine).read(q.ReadInbox(agency=HUB, after=10_000)).body
    assert beyond == {"items": [], "head": len(told)}


def test_a_batch_that_cannot_be_written_takes_no_numbers(engine: Engine) -> None:
    entries = a_referral().accepted_by(HUB).town.entries
    take_in(engine, entries[:2])
    with refusing(engine, t.events), pytest.raises(sa.exc.DBAPIError):
        take_in(engine, entries[2:])
    take_in(engine, entries[2:])
    assert [number for number, _ in inbox(engine, HUB)] == [1, 2]
    assert [number for number, _ in inbox(engine, "anshin-motofuji")] == [1, 2, 3, 4]


def test_an_id_that_its_column_could_not_hold_makes_it_no_entry() -> None:
    entry = a_referral().town.entries[0]
    value = json.loads(entry.to_json())
    check_entry(entry.to_json(), value)
    for other in (f"urn:uuid:{entry.id}", entry.id.hex, str(entry.id).upper()):
        spoiled = value | {"id": other}
        with pytest.raises(ValueError, match="another form"):
            check_entry(json.dumps(spoiled).encode(), spoiled)
