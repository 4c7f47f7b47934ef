"""What stands with an agency: the offer that is due first stands first, however many newer ones there are;
what is held, oldest first; and of both how many."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from schemas import commands as c
from schemas import queries as q
from schemas.codes import Urgency
from services.referral.standing import Standing
from tests.builders import ANSHIN, BUNKYO, HUB, LIEN, a_command, a_submission
from tests.desk import Desk


@pytest.fixture
def desk(database_of: Callable[[str], Engine], clock: ManualClock) -> Iterator[Desk]:
    with Desk(database_of("referral"), clock) as desk:
        yield desk


def offered(desk: Desk, by: str = ANSHIN, **fields: object) -> c.SubmitReferral:
    """To the hub, a minute after the one before."""
    submission = a_submission(**({"function": "consultation", "urgency": Urgency.ROUTINE} | fields))
    (answer,) = desk.tell(a_command(submission, by))
    assert answer.status == 201
    assert isinstance(desk.clock, ManualClock)
    desk.clock.move(timedelta(minutes=1))
    return submission


def answers(desk: Desk, submission: c.SubmitReferral, accepts: bool = True) -> None:
    (handoff, *_) = desk.states()[submission.referral].handoffs
    shape: Any = c.AcceptHandoff if accepts else c.DeclineHandoff
    said = {} if accepts else {"said_by": "agency", "reason": "no_capacity"}
    action = shape(referral=submission.referral, handoff=handoff.id, **said)
    (answer,) = desk.tell(a_command(action, handoff.receiver))
    assert answer.status == 200


def told(desk: Desk, agency: str = HUB, **asked: object) -> dict[str, Any]:
    question = q.ListStanding.model_validate({"agency": agency} | asked)
    return Standing(desk.engine, BUNKYO).read(question).body


def ids(items: list[dict[str, Any]]) -> list[UUID]:
    return [UUID(item["id"]) for item in items]


def test_the_oldest_offer_stands_first_however_many_newer_ones_there_are(desk: Desk) -> None:
    cases = [offered(desk).referral for _ in range(5)]
    urgent = offered(desk, urgency=Urgency.EMERGENCY).referral
    some = told(desk, limit=2)
    assert ids(some["offers"]) == [urgent, cases[0]], "whatever is due first"
    assert some["waiting"] == 6
    assert ids(told(desk)["offers"]) == [urgent, *cases]


def test_what_was_answered_waits_no_more_and_what_was_accepted_is_held_oldest_first(
    desk: Desk,
) -> None:
    first, second, declined, waits = (offered(desk) for _ in range(4))
    answers(desk, second)
    answers(desk, first)
    answers(desk, declined, accepts=False)
    now = told(desk)
    assert (ids(now["offers"]), now["waiting"]) == ([waits.referral], 1)
    assert (ids(now["held"]), now["holds"]) == ([first.referral, second.referral], 2)
    least = told(desk, limit=1)
    assert (ids(least["held"]), least["holds"]) == ([first.referral], 2)
    (closed,) = desk.tell(
        a_command(c.CloseReferral(referral=first.referral, outcome="got_help"), HUB)
    )
    assert closed.status == 200, closed
    assert ids(told(desk)["held"]) == [second.referral]


def test_an_offer_to_somebody_else_is_nobody_elses(desk: Desk) -> None:
    case = offered(desk)
    assert told(desk, ANSHIN)["waiting"] == told(desk, LIEN)["waiting"] == 0
    assert ids(told(desk, ANSHIN)["offers"]) == ids(told(desk, LIEN)["held"]) == []
    assert ids(told(desk, HUB)["offers"]) == [case.referral]
    assert told(desk, "nobody-at-all") == {"offers": [], "waiting": 0, "held": [], "holds": 0}
