"""Events are carried again as an operator asks: looked at first, in order, never too fast, stopped and taken up
again, and never a second effect at a receiver that follows the spec."""

import asyncio
import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock, utc_text
from runtime.database import reading, writing
from runtime.reading import Entry
from schemas.deliveries import Undelivered
from services.delivery import tables as t
from services.delivery.carrier import Delivered, Failed, Outcome
from services.delivery.inbox import Inboxes
from services.delivery.manifest import Decide
from services.delivery.operators import COMMANDS
from services.delivery.record import Record
from services.delivery.redrive_plan import Asked, CannotRedrive, plan_of, ranges
from services.delivery.redriver import PAUSED_AFTER, Redriver
from services.delivery.redrives import Redrives, State
from services.delivery.selection import Selection
from tests.book import as_read
from tests.builders import BUNKYO, HUB, Town, a_referral
from tests.network import REPOSITORY
from wards.agencies import Agency
from wards.delivery import ByWebhook

TICK = timedelta(milliseconds=20)
REFUSED = Failed(Undelivered.REFUSED, status=500)
AWAY = Failed(Undelivered.NOT_CONNECTED, soon=True)


class Carriage:
    """Delivery over a real database, with a carrier that notes what it is given. ``fails``: what becomes
    of a number, and how often."""

    def __init__(self, engine: Engine, clock: ManualClock) -> None:
        self.engine = engine
        self.clock = clock
        self.inboxes = Inboxes(engine)
        self.record = Record(BUNKYO, clock, self.inboxes.take_in)
        self.redrives = Redrives(engine, clock)
        self.carried: list[int] = []
        self.at: list[float] = []
        self.fails: Callable[[int], Outcome | None] = lambda _: Delivered()
        self.hears: Callable[[int], object] = lambda _: None

    async def again(self, _: str, number: int) -> Outcome | None:
        self.carried.append(number)
        self.at.append(self.clock.ticks())
        outcome = self.fails(number)
        self.hears(number)
        return outcome

    def write(self, decide: Decide) -> list[Entry]:
        with writing(self.engine) as connection:
            return self.record.write(connection, decide(connection))

    def driver(self) -> Redriver:
        return Redriver(self.engine, BUNKYO, self.clock, self.write, self.again)

    def drive(self, redrive: str) -> State:
        """As the running service does, while time passes as fast as anybody waits for it."""

        async def driven() -> None:
            driving = asyncio.create_task(self.driver().drive(redrive))
            while not driving.done():
                await asyncio.sleep(0)
                self.clock.move(TICK)
                await asyncio.sleep(0.001)
            await driving

        asyncio.run(driven())
        return self.state(redrive)

    def row(self, redrive: str) -> sa.Row[Any]:
        found = self.redrives.find(redrive)
        assert found is not None
        return found

    def state(self, redrive: str) -> State:
        return State(self.row(redrive).state)

    def everything(self, **chosen: Any) -> Selection:
        return Selection(HUB, 1, self.inboxes.head(HUB)[0], **chosen)

    def starts(self, per_second: int = 1000, **chosen: Any) -> str:
        return self.redrives.start(self.everything(**chosen), 0, per_second)

    def journal(self) -> list[str]:
        with reading(self.engine) as connection:
            j = t.journal.journal
            return list(connection.execute(sa.select(j.c.type).order_by(j.c.number)).scalars())

    def facts(self) -> list[dict[str, Any]]:
        """What is on record, as each event says it."""
        with reading(self.engine) as connection:
            j = t.journal.journal
            bodies = connection.execute(sa.select(j.c.body).order_by(j.c.number)).scalars()
            return [json.loads(body)["event"] for body in bodies]

    def mark(self, number: int, **values: Any) -> None:
        d = t.deliveries
        with writing(self.engine) as connection:
            connection.execute(
                sa.update(d).where(d.c.agency == HUB, d.c.number == number).values(**values)
            )


@pytest.fixture
def carriage(database_of: Callable[[str], Engine], clock: ManualClock) -> Carriage:
    """Three cases, of which the hub has a dozen events; all were delivered."""
    carriage = Carriage(database_of("delivery"), clock)
    town = Town()
    for _ in range(3):
        a_referral(town=town).accepted_by(HUB).closed()
    with writing(carriage.engine) as connection:
        numbered = carriage.inboxes.take_in(connection, [as_read(e) for e in town.entries])
        now = utc_text(clock.now())
        rows = [
            {
                "agency": HUB,
                "number": one.number,
                "event": str(one.entry.id),
                "thread": str(one.entry.referral),
                "test": False,
                "queued_at": now,
                "attempts": 1,
                "first_tried_at": now,
                "delivered_at": now,
            }
            for one in numbered
            if one.agency == HUB
        ]
        connection.execute(sa.insert(t.deliveries), rows)
    return carriage


@pytest.fixture
def all_of(carriage: Carriage) -> list[int]:
    return list(range(1, carriage.inboxes.head(HUB)[0] + 1))


def test_everything_is_carried_again_in_order_and_it_is_on_record(
    carriage: Carriage, all_of: list[int]
) -> None:
    redrive = carriage.starts()
    assert carriage.drive(redrive) is State.ENDED
    assert carriage.carried == all_of
    row = carriage.row(redrive)
    assert (row.total, row.delivered, row.failed, row.done_to) == (
        len(all_of),
        len(all_of),
        0,
        len(all_of),
    )
    assert carriage.journal() == ["redrive_started", "redrive_ended"]


def test_not_faster_than_was_asked(carriage: Carriage) -> None:
    assert carriage.drive(carriage.starts(per_second=4)) is State.ENDED
    gaps = [after - before for before, after in zip(carriage.at, carriage.at[1:], strict=False)]
    assert len(gaps) > 5
    assert min(gaps) > 0.25 - 2 * TICK.total_seconds()


def test_only_what_was_given_up_or_failed_so_or_is_about_a_referral_where_that_is_asked(
    carriage: Carriage, all_of: list[int]
) -> None:
    carriage.mark(3, delivered_at=None, given_up_at="2026-11-20T00:00:00Z", reason="hangs")
    carriage.mark(5, delivered_at=None, given_up_at="2026-11-20T00:00:00Z", reason="refused")
    carriage.mark(6, delivered_at=None, next_at="2026-11-20T00:00:00Z", reason="refused")
    carriage.drive(carriage.starts(given_up=True))
    assert carriage.carried == [3, 5]
    carriage.carried.clear()
    carriage.drive(carriage.starts(reason="refused"))
    assert carriage.carried == [5]  # the queue has the other in hand
    carriage.carried.clear()
    with reading(carriage.engine) as connection:
        d = t.deliveries
        found = connection.execute(sa.select(d.c.number, d.c.thread))
        threads = {row.number: row.thread for row in found}
    carriage.drive(carriage.starts(referral=threads[1]))
    assert carriage.carried == [n for n in all_of if threads[n] == threads[1] and n != 6]


def test_what_the_queue_forgot_long_ago_is_carried_again_from_the_inbox(
    carriage: Carriage, all_of: list[int]
) -> None:
    with reading(carriage.engine) as connection:
        thread = connection.scalar(
            sa.select(t.deliveries.c.thread).where(t.deliveries.c.number == 1)
        )
    with writing(carriage.engine) as connection:
        connection.execute(sa.delete(t.deliveries))
    carriage.drive(carriage.starts())
    assert carriage.carried == all_of
    carriage.carried.clear()
    carriage.drive(carriage.starts(referral=thread))
    assert 0 < len(carriage.carried) < len(all_of)


def test_one_that_fails_is_tried_again_before_any_later_one(
    carriage: Carriage, all_of: list[int]
) -> None:
    left = [3]

    def fails(number: int) -> Outcome:
        if number == 4 and left[0]:
            left[0] -= 1
            return REFUSED
        return Delivered()

    carriage.fails = fails
    assert carriage.drive(carriage.starts()) is State.ENDED
    assert carriage.carried == [1, 2, 3, 4, 4, 4, *all_of[3:]]
    tries = [at for number, at in zip(carriage.carried, carriage.at, strict=True) if number == 4]
    waits = [after - before for before, after in itertools.pairwise(tries)]
    assert [wait >= wanted for wait, wanted in zip(waits, (1, 2, 4), strict=True)] == [True] * 3


def test_a_failing_endpoint_is_not_hammered_and_an_operator_takes_it_up_again(
    carriage: Carriage, all_of: list[int]
) -> None:
    carriage.fails = lambda number: REFUSED if number == 4 else Delivered()
    redrive = carriage.starts()
    assert carriage.drive(redrive) is State.PAUSED
    assert carriage.carried == [1, 2, 3, *[4] * PAUSED_AFTER]
    row = carriage.row(redrive)
    assert (row.held_at, row.held_because, row.done_to, row.failed) == (4, "refused", 3, 0)
    assert carriage.redrives.resume(redrive, skip=False)
    assert carriage.drive(redrive) is State.PAUSED  # it still refuses
    assert carriage.redrives.resume(redrive, skip=True, asked_by="desk-2")
    carriage.carried.clear()
    assert carriage.drive(redrive) is State.ENDED
    assert carriage.carried == all_of[4:]
    row = carriage.row(redrive)
    assert (row.delivered, row.failed) == (len(all_of) - 1, 1)
    of_it = {"redrive": redrive, "agency": HUB}
    stopped = {"type": "redrive_paused", **of_it, "inbox_number": 4, "reason": "refused"}
    assert carriage.facts()[1:-1] == [
        stopped,
        {"type": "redrive_resumed", **of_it},
        stopped,
        {"type": "redrive_resumed", **of_it, "skipped": 4, "asked_by": "desk-2"},
    ]


def test_an_agency_that_is_not_connected_is_looked_for_until_it_is_back_and_nobody_has_to_act(
    carriage: Carriage, all_of: list[int]
) -> None:
    looks = 4 * PAUSED_AFTER
    left = [looks]

    def fails(number: int) -> Outcome:
        if number == 4 and left[0]:
            left[0] -= 1
            row = carriage.row(redrive)
            held = [None] if left[0] == looks - 1 else ["not_connected"]
            assert [row.held_because] == held
            return AWAY
        return Delivered()

    carriage.fails = fails
    redrive = carriage.starts()
    assert carriage.drive(redrive) is State.ENDED
    assert carriage.carried == [1, 2, 3, *[4] * looks, *all_of[3:]]
    tries = [at for number, at in zip(carriage.carried, carriage.at, strict=True) if number == 4]
    assert all(after - before >= 5 for before, after in itertools.pairwise(tries))
    assert carriage.journal() == ["redrive_started", "redrive_ended"]
    row = carriage.row(redrive)
    assert (row.delivered, row.failed, row.held_at) == (len(all_of), 0, None)


def test_failures_around_a_lost_connection_still_add_up(carriage: Carriage) -> None:
    """Whoever refuses, goes away and refuses again has not been any better in between."""
    outcomes = itertools.cycle([REFUSED, AWAY])
    carriage.fails = lambda number: next(outcomes) if number == 4 else Delivered()
    assert carriage.drive(carriage.starts()) is State.PAUSED
    assert carriage.carried == [1, 2, 3, *[4] * (2 * PAUSED_AFTER - 1)]


def test_a_redrive_that_is_held_is_paused_and_cancelled_as_any_other(carriage: Carriage) -> None:
    carriage.fails = lambda number: AWAY if number == 4 else Delivered()
    redrive = carriage.starts()
    carriage.hears = lambda number: (
        carriage.carried.count(4) == 3 and carriage.redrives.pause(redrive)
    )
    assert carriage.drive(redrive) is State.PAUSED
    assert carriage.redrives.resume(redrive, skip=False)
    carriage.hears = lambda number: (
        carriage.carried.count(4) == 6 and carriage.redrives.cancel(redrive)
    )
    assert carriage.drive(redrive) is State.CANCELLED
    assert carriage.carried == [1, 2, 3, *[4] * 6]


def test_it_is_paused_taken_up_and_cancelled(carriage: Carriage, all_of: list[int]) -> None:
    redrive = carriage.starts(per_second=4)  # so one is taken at a time
    carriage.hears = lambda number: number == 3 and carriage.redrives.pause(redrive, "desk-2")
    assert carriage.drive(redrive) is State.PAUSED
    assert carriage.carried == [1, 2, 3]
    assert not carriage.redrives.pause(redrive)
    assert carriage.drive(redrive) is State.PAUSED
    assert carriage.carried == [1, 2, 3]
    assert carriage.redrives.resume(redrive, skip=False)
    assert not carriage.redrives.resume(redrive, skip=False)
    carriage.hears = lambda number: number == 5 and carriage.redrives.cancel(redrive, "desk-3")
    assert carriage.drive(redrive) is State.CANCELLED
    assert carriage.carried == [1, 2, 3, 4, 5]
    assert [(fact["type"], fact.get("asked_by")) for fact in carriage.facts()] == [
        ("redrive_started", None),
        ("redrive_paused", "desk-2"),
        ("redrive_resumed", None),
        ("redrive_ended", "desk-3"),
    ]
    assert not carriage.redrives.cancel(redrive)
    assert not carriage.redrives.resume(redrive, skip=False)


def test_by_what_the_events_were_chosen_and_who_asked_is_on_record(carriage: Carriage) -> None:
    carriage.mark(3, delivered_at=None, given_up_at="2026-11-20T00:00:00Z", reason="hangs")
    redrive = carriage.redrives.start(carriage.everything(given_up=True), 0, 10, "TICKET-17")
    carriage.drive(redrive)
    started = carriage.facts()[0]
    assert (started["count"], started["given_up"], started["asked_by"]) == (1, True, "TICKET-17")
    carriage.drive(carriage.starts())
    assert "given_up" not in carriage.facts()[2]


def test_what_an_operator_did_while_the_service_was_away_is_on_record_once_it_is_back(
    carriage: Carriage,
) -> None:
    redrive = carriage.starts(per_second=4)
    carriage.hears = lambda number: number == 3 and carriage.redrives.pause(redrive)
    carriage.drive(redrive)
    assert carriage.journal() == ["redrive_started"]
    driver = carriage.driver()
    driver.put_orders_on_record()
    driver.put_orders_on_record()
    assert carriage.journal() == ["redrive_started", "redrive_paused"]


def test_what_never_began_is_cancelled_without_a_trace_in_the_record(carriage: Carriage) -> None:
    redrive = carriage.starts()
    assert carriage.redrives.pause(redrive)
    assert carriage.redrives.cancel(redrive)
    assert carriage.state(redrive) is State.CANCELLED
    assert carriage.drive(redrive) is State.CANCELLED
    assert carriage.journal() == []
    assert carriage.carried == []


def test_whoever_takes_over_goes_on_after_the_last_one_that_was_noted(
    carriage: Carriage, all_of: list[int]
) -> None:
    class Died(BaseException):
        pass

    def dies(number: int) -> None:
        if number == 6:
            raise Died

    redrive = carriage.starts(per_second=4)
    carriage.hears = dies
    with pytest.raises(Died):
        carriage.drive(redrive)
    carriage.hears = lambda _: None
    assert carriage.drive(redrive) is State.ENDED
    assert carriage.carried == [*all_of[:6], *all_of[5:]]  # the one that nobody noted comes again
    assert carriage.journal() == ["redrive_started", "redrive_ended"]


def test_an_event_that_is_not_there_any_more_is_counted_and_holds_up_nothing(
    carriage: Carriage, all_of: list[int]
) -> None:
    carriage.fails = lambda number: None if number == 2 else Delivered()
    redrive = carriage.starts()
    assert carriage.drive(redrive) is State.ENDED
    row = carriage.row(redrive)
    assert (row.delivered, row.failed) == (len(all_of) - 1, 1)


def test_operators_find_every_command_in_their_document() -> None:
    told = (REPOSITORY / "docs" / "delivery.md").read_text("utf-8")
    words = [f"tsunagu redrive {command}" for command in (HUB, *COMMANDS)]
    assert [w for w in (*words, f"tsunagu delivery test {HUB}") if w not in told] == []


# -- looking first ----------------------------------------------------------------------------------------


def hub(way: Any = None) -> Agency:
    agency = BUNKYO.agency(HUB)
    assert agency is not None
    way = way or ByWebhook(way="webhook", url="https://hub.example.jp/in")
    return agency.model_copy(update={"delivery": way})


def everything_in(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    with reading(engine) as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(sa.select(table))), key=repr)
            for table in t.metadata.sorted_tables
        }


def test_looking_tells_what_would_happen_and_changes_nothing(
    carriage: Carriage, all_of: list[int]
) -> None:
    carriage.mark(3, delivered_at=None, given_up_at="2026-11-20T00:00:00Z", reason="hangs")
    carriage.mark(4, delivered_at=None, next_at="2026-11-20T00:00:00Z")
    before = everything_in(carriage.engine)
    plan = plan_of(carriage.engine, Asked(hub(), last=99, per_second=4))
    assert everything_in(carriage.engine) == before
    told = plan.document(None)
    size = len(all_of)
    assert (told["count"], told["numbers"]) == (size - 1, f"1-3, 5-{size}")
    assert (told["delivered_before"], told["given_up"], told["reasons"]) == (
        size - 2,
        1,
        {"hangs": 1},
    )
    assert (told["still_on_their_way"], told["beyond"]) == (1, 99 - size)
    assert (told["way"], told["where"], told["referrals"]) == ("webhook", "hub.example.jp", 3)
    assert told["seconds"] == -(-(size - 1) // 4)
    assert (
        told["types"]["handoff_offered"] == 2
    )  # that of the second case is the one still on its way


def test_numbers_that_the_inbox_has_not_come_to_and_events_that_are_gone_are_told(
    carriage: Carriage, all_of: list[int]
) -> None:
    with writing(carriage.engine) as connection:
        gone = sa.select(t.inbox.c.event).where(t.inbox.c.agency == HUB, t.inbox.c.number == 2)
        connection.execute(sa.delete(t.events).where(t.events.c.id.in_(gone)))
    plan = plan_of(carriage.engine, Asked(hub(), first=2, last=all_of[-1] + 7))
    assert (plan.beyond, plan.unknown, plan.numbers) == (7, 1, f"2-{all_of[-1]}")


def test_an_agency_that_fetches_its_events_is_told_to_read_them_again(carriage: Carriage) -> None:
    with pytest.raises(CannotRedrive, match="/v1/inbox"):
        plan_of(carriage.engine, Asked(BUNKYO.agency(HUB) or hub()))


def test_a_referral_that_nobody_knows_is_told(carriage: Carriage) -> None:
    with pytest.raises(CannotRedrive, match="no such referral"):
        plan_of(carriage.engine, Asked(hub(), referral="131059-2026-999999"))


def test_numbers_are_told_as_ranges() -> None:
    assert ranges([]) == ""
    assert ranges([1, 2, 3, 7, 9, 10]) == "1-3, 7, 9-10"
    assert "…" in ranges(list(range(0, 200, 2)))
