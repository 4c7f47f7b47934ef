"""What a replay asks audit for, with audit's own answers: a tampered referral is found by every spelling of
its number, and nothing is exported twice."""

import asyncio
from collections import Counter
from collections.abc import Callable
from uuid import UUID

import pytest
from pydantic import BaseModel
from sqlalchemy.engine import Engine

from runtime.broker import Bus
from runtime.clock import ManualClock
from runtime.settings import Settings
from schemas import queries as q
from services.console.line import Line
from services.console.replay.asking import Asking, NoSuchReferral
from tests.builders import AUDITOR, BUNKYO, a_referral
from tests.everything_is_on_record.office import Office, a_day, tampered


@pytest.fixture
def office(database_of: Callable[[str], Engine], clock: ManualClock) -> Office:
    return Office(database_of("audit"), clock)


class Straight(Line):
    """To the office itself, without the bus between; it counts what is asked."""

    def __init__(self, office: Office) -> None:
        super().__init__(Bus(Settings(), "console"), BUNKYO.code)
        self._office = office
        self.asked: Counter[str] = Counter()

    async def ask(
        self, service: str, name: str, question: BaseModel, timeout: float = 2.0
    ) -> q.Told:
        self.asked[name] += 1
        return self._office.ask(question)


def test_a_referral_that_was_tampered_with_is_found_by_every_spelling(office: Office) -> None:
    case = a_day(office)
    number = case.state.number
    tampered(office, 1, b"{}")
    for ref in (number, str(case.id), str(case.id).upper()):
        asking = Asking(Straight(office))
        assert asyncio.run(asking.id_of(AUDITOR, ref)) == case.id
        at = office.town.clock.now()
        for as_known in (False, True):
            body = asyncio.run(asking.referral(AUDITOR, ref, at, as_known=as_known))
            assert body["problem"] == "cannot_be_replayed"
    with pytest.raises(NoSuchReferral):
        asyncio.run(Asking(Straight(office)).id_of(AUDITOR, "131059-2020-999999"))
    with pytest.raises(NoSuchReferral):
        asyncio.run(Asking(Straight(office)).id_of(AUDITOR, str(UUID(int=7))))


def test_a_referral_of_which_some_is_withheld_is_exported_once(office: Office) -> None:
    case = a_referral(town=office.town, address_kind="protected")
    office.record()
    line = Straight(office)
    asking = Asking(line)
    body = asyncio.run(asking.referral(AUDITOR, str(case.id), None))
    for _ in range(3):
        heard = asyncio.run(asking.heard(AUDITOR, case.id, body["entries"]))
        assert 0 < len(heard) < len(body["entries"])
    assert line.asked["export_referral"] == 1
