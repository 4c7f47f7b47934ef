"""The board's picture and its order, by themselves: a service that answers as the real one does, in memory."""

import asyncio
import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.streams import NotTold
from schemas import queries as q
from schemas.codes import EscalationState, Stage, Urgency
from schemas.partner import BurningGiven
from services.console.board.picture import Picture
from services.console.board.rows import May, left, may, row, said
from services.console.board.sight import (
    ROWS,
    Counts,
    Filters,
    burning_first,
    in_place,
    placed,
    sheet,
)
from services.console.person import Role
from services.console.words import Words
from tests.builders import BUNKYO, FRIDAY_AFTERNOON, an_id

NOW = FRIDAY_AFTERNOON
WORDS = Words(BUNKYO)


def a_call(name: str = "one", change: int = 1, **fields: Any) -> BurningGiven:
    given: dict[str, Any] = {
        "id": an_id(f"call {name}"),
        "code": "E10",
        "state": EscalationState.RAISED,
        "raised_at": NOW,
        "raised_by": "anshin-motofuji",
        "desk": "core-desk",
        "due_at": NOW + timedelta(minutes=15),
        "change": change,
        "referral": an_id(f"referral {name}"),
        "number": "131059-2026-000001",
        "function": "emergency",
        "urgency": Urgency.URGENT,
        "stage": Stage.OFFERED,
        "custodian": "anshin-motofuji",
        "district": "motofuji",
    }
    return BurningGiven.model_construct(**(given | fields))


class Service:
    """What changes calls, and is asked for them: only as much of a page at a time as ``most``."""

    def __init__(self, most: int = 3) -> None:
        self.calls: dict[UUID, BurningGiven] = {}
        self.head = 0
        self.most = most
        self.mark = f"{id(self)}"
        self.between: list[str] = []

    def changes(self, name: str, **fields: Any) -> None:
        self.head += 1
        call = a_call(name, self.head, **fields)
        self.calls[call.id] = call

    async def ask(self, service: str, name: str, question: q.ListEscalations) -> q.Told:
        head = self.head
        if self.between:  # somebody is quicker than the reader
            self.changes(self.between.pop())
        found = sorted(self.calls.values(), key=lambda c: c.change)
        if question.after is not None:
            found = [c for c in found if c.change > question.after]
        else:
            found = [c for c in reversed(found) if c.state is not EscalationState.RESOLVED]
            found = [c for c in found if question.before is None or c.change < question.before]
        await asyncio.sleep(0)
        page = found[: self.most]
        body: dict[str, Any] = {"items": [c.model_dump(mode="json") for c in page], "head": head}
        if len(found) > len(page):
            body["next"] = str(page[-1].change)
        return q.Told(found=True, body=body, mark=self.mark)


def seen(picture: Picture) -> dict[UUID, int]:
    return {each.call.id: each.call.change for each in picture.standing()}


def there(service: Service) -> dict[UUID, int]:
    calls = service.calls.values()
    return {c.id: c.change for c in calls if c.state is not EscalationState.RESOLVED}


@given(st.integers(0, 10_000))
def test_however_it_is_asked_the_picture_is_what_stands(seed: int) -> None:
    chance = random.Random(seed)
    service, picture = Service(), Picture("core", remembered=chance.choice((2, 5, 100)))

    def something_happens() -> None:
        state = chance.choice(list(EscalationState))
        service.changes(f"{chance.randrange(12)}", state=state)

    async def play() -> None:
        for _ in range(8):
            for _ in range(chance.randrange(6)):
                something_happens()
            service.between = [f"{chance.randrange(12)}" for _ in range(chance.randrange(3))]
            before = picture.head or 0
            await asyncio.gather(*(picture.catch_up(service.ask) for _ in range(3)))
            await picture.catch_up(service.ask)
            assert seen(picture) == there(service)
            assert picture.head == service.head
            changed = picture.since(before)
            if changed is not None:
                now = {c.id: c.change for c in service.calls.values() if c.change > before}
                assert {c.id: c.change for c in changed} == now
                assert [c.change for c in changed] == sorted(now.values())

    asyncio.run(play())


def test_where_the_numbers_were_put_back_the_picture_begins_anew() -> None:
    async def play() -> None:
        service, picture = Service(), Picture("core")
        for name in "abcdef":
            service.changes(name)
        await picture.catch_up(service.ask)
        restored = Service()
        restored.changes("a")
        restored.changes("g")
        await picture.catch_up(restored.ask)
        assert seen(picture) == there(restored)
        assert picture.since(6) is None
        assert picture.since(2) == []

    asyncio.run(play())


@pytest.mark.parametrize("so_far", [1, 3, 5])
def test_numbers_that_were_put_back_and_came_as_far_again_leave_no_ghost(so_far: int) -> None:
    async def play() -> None:
        service, picture = Service(), Picture("core")
        for name in "abcdefghij":
            service.changes(name)
        await picture.catch_up(service.ask)
        restored = Service()
        for name in "abcdefg":
            restored.changes(name)
        for number in range(2 + so_far):  # to 10 as before, or beyond
            restored.changes(f"new {number}")
        await picture.catch_up(restored.ask)
        assert seen(picture) == there(restored)
        assert picture.mark == restored.mark
        restored.changes("later")
        await picture.catch_up(restored.ask)
        assert seen(picture) == there(restored)

    asyncio.run(play())


def test_a_call_that_cannot_be_read_takes_no_other_with_it() -> None:
    async def play() -> None:
        service, picture = Service(most=10), Picture("core")
        service.changes("a")
        service.changes("b", state=EscalationState.RAISED)

        async def ask(*asked: Any) -> q.Told:
            told = await service.ask(*asked)
            for item in told.body["items"]:
                if item["change"] == 1:
                    item["state"] = "a state of tomorrow"
            return told

        await picture.catch_up(ask)
        assert list(seen(picture)) == [a_call("b").id]

    asyncio.run(play())


def test_who_may_not_know_is_told_nothing() -> None:
    async def ask(*_: Any) -> q.Told:
        return q.Told(found=False)

    with pytest.raises(NotTold):
        asyncio.run(Picture("hub-komagome").catch_up(ask))


# -- what burns first -----------------------------------------------------------------------------------


def minutes(number: float) -> datetime:
    return NOW + timedelta(minutes=number)


def test_overdue_ones_come_first_then_emergencies_then_what_is_due_soonest() -> None:
    in_hand = EscalationState.ACKNOWLEDGED
    right = [
        a_call("overdue emergency", due_at=minutes(-1), urgency=Urgency.EMERGENCY),
        a_call("long overdue", due_at=minutes(-60)),
        a_call("overdue", due_at=minutes(0)),
        a_call("emergency", due_at=minutes(14), urgency=Urgency.EMERGENCY),
        a_call("soon", due_at=minutes(3)),
        a_call("soon and in hand", due_at=minutes(3), state=in_hand),
        a_call("later", due_at=minutes(300)),
        a_call("never", due_at=None),
    ]
    mixed = list(right)
    random.Random(3).shuffle(mixed)
    assert [c.id for c in burning_first(in_place(map(placed, mixed)), NOW)] == [c.id for c in right]


def test_pages_are_whole_and_a_page_that_is_not_there_is_the_last() -> None:
    calls = [a_call(str(n), n, due_at=minutes(n)) for n in range(ROWS * 2 + 1)]
    standing = in_place(map(placed, calls))
    pages = [sheet(standing, Filters(), str(n), NOW) for n in (1, 2, 3)]
    assert [c.id for page in pages for c in page.calls] == [c.id for c in calls]
    for wrong in ("9", "0", "-1", "x", "", "٣", "9" * 50):
        assert sheet(standing, Filters(), wrong, NOW).here in (1, 3)
    assert sheet([], Filters(), "1", NOW).count == 1


def test_counts_say_how_many_wait_are_overdue_and_are_emergencies() -> None:
    calls = [
        a_call("a", due_at=minutes(-1)),
        a_call("b", state=EscalationState.ACKNOWLEDGED),
        a_call("c", urgency=Urgency.EMERGENCY),
    ]
    assert Counts.of(map(placed, calls), NOW) == Counts(
        raised=2, acknowledged=1, overdue=1, emergencies=1
    )


# -- in words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("due", "tone", "text", "english"),
    [
        (-61, "over", "超過 1時間01分", "1 h 01 min over"),
        (0, "over", "超過 0秒", "0 s over"),
        (2.5, "near", "間近 2分30秒", "soon: 2 min 30 s"),
        (5, "enough", "残り 5分", "5 min left"),
        (60 * 50, "enough", "残り 2日2時間", "2 d 2 h left"),
        (None, "none", "期限なし", "no deadline"),
    ],
)
def test_the_time_that_is_left_is_said_in_words(
    due: float | None, tone: str, text: str, english: str
) -> None:
    call = a_call(due_at=minutes(due) if due is not None else None)
    assert (left(call, WORDS, NOW).tone, left(call, WORDS, NOW).text) == (tone, text)
    assert left(call, Words(BUNKYO, "en"), NOW).text == english


def test_a_row_says_between_which_districts_and_a_protected_one_says_none() -> None:
    waits = Stage.AWAITING_RULING
    between = a_call(district=None, candidates=("komagome", "tomisaka"), stage=waits, code="E06")
    assert row(between, WORDS, Role.CORE, NOW).district == "未定（駒込・富坂）"
    anywhere = a_call(
        district=None, candidates=tuple(d.id for d in BUNKYO.districts), stage=waits, code="E06"
    )
    assert row(anywhere, WORDS, Role.CORE, NOW).district == "未定（全地区）"
    masked = a_call(district=None, candidates=(), stage=Stage.OFFERED)
    assert row(masked, WORDS, Role.STAFF, NOW).district == ""
    assert said(masked, WORDS, NOW).count("、") == 4


def test_what_may_be_done_from_a_row_follows_from_role_and_state() -> None:
    waits = Stage.AWAITING_RULING
    between = a_call(district=None, candidates=("komagome", "tomisaka"), stage=waits, code="E06")
    assert may(between, Role.CORE, BUNKYO).rule == ("komagome", "tomisaka")
    assert may(between, Role.STAFF, BUNKYO).rule == ()
    for state in EscalationState:
        assert may(a_call(state=state), Role.AUDITOR, BUNKYO) == May()
    assert may(a_call(), Role.CORE, BUNKYO).advise
    assert not may(a_call(), Role.STAFF, BUNKYO).advise
    assert not may(a_call(stage=Stage.CLOSED), Role.CORE, BUNKYO).advise
    assert may(a_call(state=EscalationState.ACKNOWLEDGED), Role.CORE, BUNKYO).decide


def test_a_filter_that_is_none_of_the_wards_words_is_said_to_be_none() -> None:
    asked = {"district": "motofuji", "code": "E10", "urgency": "", "desk": "<b>"}
    filters, understood = Filters.read(asked, BUNKYO)
    assert filters == Filters(district="motofuji", code="E10")
    assert not understood
    assert Filters.read({"district": "undecided"}, BUNKYO)[0].fit(a_call(district=None))
    assert filters.query(page="2") == "code=E10&district=motofuji&page=2"
