"""How the ward stands, as everybody may know it: what is open, with whom, where, since when; and of no
case that somebody has no part in, anything that leads to it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from runtime.database import open_database, writing
from runtime.migrations import upgrade
from schemas import commands as c
from schemas import queries as q
from schemas.codes import AddressKind, Urgency
from schemas.outside import local_text
from services.referral.overview import Overview
from tests.builders import (
    ANSHIN,
    AUDITOR,
    BLOCK,
    BUNKYO,
    CORE,
    FRIDAY_AFTERNOON,
    HUB,
    a_command,
    a_submission,
    between,
    settled_in,
)
from tests.databases import Databases, migrations
from tests.desk import Desk

WARD = "ward-office"


@pytest.fixture
def desk(database_of: Callable[[str], Engine], clock: ManualClock) -> Iterator[Desk]:
    with Desk(database_of("referral"), clock) as desk:
        yield desk


def submitted(desk: Desk, by: str = ANSHIN, **fields: object) -> c.SubmitReferral:
    """An hour after the one before."""
    submission = a_submission(**({"function": "consultation", "urgency": Urgency.ROUTINE} | fields))
    (answer,) = desk.tell(a_command(submission, by))
    assert answer.status == 201
    assert isinstance(desk.clock, ManualClock)
    desk.clock.move(timedelta(hours=1))
    return submission


def accepted(desk: Desk, submission: c.SubmitReferral) -> None:
    """By whoever was asked."""
    (handoff, *_) = desk.states()[submission.referral].handoffs
    action = c.AcceptHandoff(referral=submission.referral, handoff=handoff.id)
    (answer,) = desk.tell(a_command(action, handoff.receiver))
    assert answer.status == 200


def told(desk: Desk, agency: str, **asked: object) -> dict[str, Any]:
    question = q.ReadOverview.model_validate({"agency": agency} | asked)
    answer = Overview(desk.engine, BUNKYO).read(question)
    assert answer.found
    return answer.body


def at(hours: int) -> str:
    return local_text(FRIDAY_AFTERNOON + timedelta(hours=hours))


def test_each_agency_has_its_open_cases_by_where_they_stand_and_the_oldest_of_each(
    desk: Desk,
) -> None:
    submitted(desk)
    accepted(desk, submitted(desk))
    submitted(desk)
    assert told(desk, CORE)["agencies"] == [
        {"agency": ANSHIN, "stage": "offered", "n": 2, "oldest": at(0)},
        {"agency": HUB, "stage": "in_care", "n": 1, "oldest": at(1)},
    ]


def test_what_is_closed_counts_nowhere(desk: Desk) -> None:
    submission = submitted(desk)
    accepted(desk, submission)
    close = c.CloseReferral(referral=submission.referral, outcome="got_help")
    (answer,) = desk.tell(a_command(close, HUB))
    assert answer.status == 200
    body = told(desk, CORE)
    assert [body[name] for name in ("agencies", "districts", "waiting", "in_care")] == [[]] * 4


def test_the_oldest_come_first_and_only_so_many_as_were_asked_for(desk: Desk) -> None:
    first, second, third = (
        submitted(desk, finding=between("motofuji", "komagome")),
        submitted(desk),
        submitted(desk),
    )
    waiting = told(desk, AUDITOR)["waiting"]
    assert [item["id"] for item in waiting] == [str(x.referral) for x in (first, second, third)]
    assert waiting[0] == {
        "id": str(first.referral),
        "number": desk.states()[first.referral].number,
        "stage": "awaiting_ruling",
        "custodian": ANSHIN,
        "function": "consultation",
        "urgency": "routine",
        "submitted_at": at(0),
    }
    few = told(desk, AUDITOR, limit=2)["waiting"]
    assert [item["id"] for item in few] == [str(x.referral) for x in (first, second)]


def test_the_ward_office_knows_how_the_ward_stands_but_not_the_cases_of_others(desk: Desk) -> None:
    submitted(desk)
    mine = submitted(desk, by=WARD)
    for_the_ward, for_the_core = told(desk, WARD), told(desk, CORE)
    assert [item.get("id") for item in for_the_ward["waiting"]] == [None, str(mine.referral)]
    assert "number" not in for_the_ward["waiting"][0]
    for name in ("agencies", "districts", "calls", "rulings"):
        assert for_the_ward[name] == for_the_core[name]


def test_staff_are_told_how_many_are_where_and_nothing_else(desk: Desk) -> None:
    submitted(desk)
    assert told(desk, HUB).keys() == {"agencies"}


def test_nobody_from_elsewhere_is_told_anything(desk: Desk) -> None:
    question = q.ReadOverview(agency="somebody-else")
    assert not Overview(desk.engine, BUNKYO).read(question).found


def test_a_protected_address_counts_in_its_district_for_the_core_centre_only(desk: Desk) -> None:
    submitted(desk, address_kind=AddressKind.PROTECTED)
    submitted(desk, finding=settled_in("komagome"))
    here = {"district": "motofuji", "stage": "offered", "n": 1}
    there = {"district": "komagome", "stage": "offered", "n": 1}
    assert told(desk, CORE)["districts"] == [there, here]
    assert told(desk, CORE)["withheld"] == 0
    for agency in (WARD, AUDITOR):
        assert told(desk, agency)["districts"] == [there]
        assert told(desk, agency)["withheld"] == 1


def test_what_awaits_a_ruling_is_told_with_the_districts_it_may_be_in(desk: Desk) -> None:
    submitted(desk, finding=between("motofuji", "komagome", block="a1" * 32))
    submitted(desk, finding=between("komagome", "motofuji", block="a2" * 32))
    submitted(desk, finding=between("otsuka", "tomisaka"))
    hidden = {"address_kind": AddressKind.PROTECTED, "finding": between("otsuka", "komagome")}
    submitted(desk, **hidden)
    rulings = told(desk, WARD)["rulings"]
    assert rulings["between"] == [
        {"candidates": ["komagome", "motofuji"], "n": 2},
        {"candidates": ["otsuka", "tomisaka"], "n": 1},
    ]
    assert (rulings["awaiting"], rulings["withheld"]) == (4, 1)
    assert told(desk, CORE)["rulings"]["withheld"] == 0


def test_a_ruling_that_is_remembered_is_counted_in_its_district(desk: Desk) -> None:
    submission = submitted(desk, finding=between("motofuji", "komagome", block=BLOCK))
    rule = c.RuleDistrict(referral=submission.referral, district="komagome", remember=True)
    (answer,) = desk.tell(a_command(rule, CORE))
    assert answer.status == 200
    rulings = told(desk, WARD)["rulings"]
    assert rulings["remembered"] == [{"district": "komagome", "n": 1}]
    assert rulings["awaiting"] == 0


def test_calls_that_are_not_resolved_are_counted_by_their_reason(desk: Desk) -> None:
    for reasons in (("E02",), ("E02", "E10")):
        submission = submitted(desk)
        for reason in reasons:
            raised = c.RaiseEscalation(referral=submission.referral, reason=reason)
            (answer,) = desk.tell(a_command(raised, ANSHIN))
            assert answer.status == 201
    assert told(desk, WARD)["calls"] == [
        {"code": "E02", "state": "raised", "n": 2},
        {"code": "E10", "state": "raised", "n": 1},
    ]
    assert told(desk, WARD)["called"] == [{"agency": ANSHIN, "n": 2}], "cases, not calls"


def test_what_was_there_before_the_columns_is_counted_in_its_district_too(
    databases: Databases, clock: ManualClock
) -> None:
    url = databases.url()
    engine = open_database(url)
    try:
        upgrade(engine, migrations("referral"))
        with Desk(engine, clock) as desk:
            submitted(desk)
            submitted(desk, address_kind=AddressKind.PROTECTED)
            submitted(desk, finding=between("motofuji", "komagome"))
            before = told(desk, AUDITOR)
        with writing(engine) as connection:
            connection.execute(sa.text("DROP INDEX referrals_open"))
            for column in ("district", "protected"):
                connection.execute(sa.text(f"ALTER TABLE referrals DROP COLUMN {column}"))
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '0002'"))
        upgrade(engine, migrations("referral"))
        with Desk(engine, clock) as desk:
            assert told(desk, AUDITOR) == before
            assert before["withheld"] == 1
    finally:
        engine.dispose()
        databases.drop(url)
