"""What the board is told: of the calls that were made to it everything, of the others not even that
they are there."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from schemas import commands as c
from schemas import queries as q
from schemas.codes import AddressKind
from services.referral.queries import Questions
from tests.builders import ANSHIN, AUDITOR, BUNKYO, CORE, HUB, LIEN, a_command, a_submission
from tests.desk import Desk

HOSPITAL = "sample-hospital"
WARD = "ward-office"
AT_THE_HOSPITAL, AT_THE_CORE_CENTRE, AT_THE_ABUSE_CENTRE = "E02", "E01", "E03"


@pytest.fixture
def desk(database_of: Callable[[str], Engine], clock: ManualClock) -> Iterator[Desk]:
    with Desk(database_of("referral"), clock) as desk:
        yield desk


def called(desk: Desk, reason: str, **fields: object) -> UUID:
    """A case in Motofuji about which its sender calls; gives the call."""
    submission = a_submission(**fields)
    raised = c.RaiseEscalation(referral=submission.referral, reason=reason)
    answers = desk.tell(a_command(submission), a_command(raised, ANSHIN))
    assert {answer.status for answer in answers} == {201}
    return desk.states()[submission.referral].escalations[-1].id


def told(desk: Desk, agency: str, **asked: object) -> q.Told:
    question = q.ListEscalations.model_validate({"agency": agency} | asked)
    return Questions(desk.engine, BUNKYO).escalations(question)


def seen(desk: Desk, agency: str, **asked: object) -> list[UUID]:
    """The calls on the board, as they come."""
    return [UUID(item["id"]) for item in told(desk, agency, **asked).body["items"]]


# -- by district -----------------------------------------------------------------------------------


def test_the_board_of_a_district_has_no_protected_case_but_for_the_core_centre(desk: Desk) -> None:
    open_ = called(desk, AT_THE_HOSPITAL)
    hidden = called(desk, AT_THE_HOSPITAL, address_kind=AddressKind.PROTECTED)
    for district in ("motofuji", "komagome", "tomisaka", "otsuka"):
        here = district == "motofuji"
        assert seen(desk, HOSPITAL, district=district) == ([open_] if here else [])
        assert seen(desk, AUDITOR, district=district) == ([open_] if here else [])
        assert seen(desk, CORE, district=district) == ([hidden, open_] if here else [])
    # Without its district it is called like any other.
    assert seen(desk, HOSPITAL) == seen(desk, CORE) == [hidden, open_]


def test_what_changed_in_a_district_has_no_protected_case_either(desk: Desk) -> None:
    called(desk, AT_THE_HOSPITAL, address_kind=AddressKind.PROTECTED)
    assert seen(desk, HOSPITAL, district="motofuji", after=0) == []
    assert len(seen(desk, HOSPITAL, after=0)) == 1
    assert len(seen(desk, CORE, district="motofuji", after=0)) == 1


def test_a_protected_case_on_the_board_says_nothing_of_its_district(desk: Desk) -> None:
    called(desk, AT_THE_HOSPITAL, address_kind=AddressKind.PROTECTED)
    (item,) = told(desk, HOSPITAL).body["items"]
    assert item.keys() & {"district", "candidates"} == set()
    (item,) = told(desk, CORE).body["items"]
    assert item["district"] == "motofuji"


# -- page by page ------------------------------------------------------------------------------------


def test_a_desk_sees_the_calls_that_were_made_to_it_and_its_pages_count_no_other(
    desk: Desk,
) -> None:
    others = [called(desk, AT_THE_CORE_CENTRE) for _ in range(2)]
    own = called(desk, AT_THE_HOSPITAL)
    others += [called(desk, reason) for reason in (AT_THE_ABUSE_CENTRE, AT_THE_CORE_CENTRE)]
    for cursor in ({}, {"after": 0}):
        page = told(desk, HOSPITAL, limit=1, **cursor).body
        assert [UUID(item["id"]) for item in page["items"]] == [own]
        # There is nothing further, nor that anything is left out.
        assert "next" not in page
    assert told(desk, LIEN).found is False
    everything = [*others[:2], own, *others[2:]]
    assert seen(desk, CORE, after=0) == seen(desk, AUDITOR, after=0) == everything
    assert seen(desk, CORE) == everything[::-1]


def test_the_pages_of_a_desk_are_its_own_calls_whatever_lies_between(desk: Desk) -> None:
    own = []
    for _ in range(3):
        called(desk, AT_THE_CORE_CENTRE)
        own.append(called(desk, AT_THE_HOSPITAL))
        called(desk, AT_THE_ABUSE_CENTRE)
    found: list[UUID] = []
    asked: dict[str, object] = {}
    pages = 0
    while True:
        body = told(desk, HOSPITAL, limit=1, **asked).body
        found += [UUID(item["id"]) for item in body["items"]]
        pages += 1
        if "next" not in body:
            break
        assert len(body["items"]) == 1
        asked = {"before": int(body["next"])}
    assert (found, pages) == (own[::-1], 3)


def test_whom_a_call_was_passed_on_to_has_it_on_its_board(desk: Desk, clock: ManualClock) -> None:
    call = called(desk, AT_THE_CORE_CENTRE)
    for _ in range(2):
        assert seen(desk, WARD, code=AT_THE_CORE_CENTRE) == []
        clock.move(timedelta(hours=1))
        desk.strike()
    assert seen(desk, WARD, code=AT_THE_CORE_CENTRE) == [call]
    assert seen(desk, HOSPITAL) == []


def test_who_answers_at_no_desk_has_no_board(desk: Desk) -> None:
    called(desk, AT_THE_HOSPITAL)
    for agency in (ANSHIN, HUB, LIEN, "nobody-at-all"):
        assert told(desk, agency).found is False
