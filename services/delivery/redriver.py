"""Re-drive (再配送): events of an agency's inbox are carried to it once more, as an operator asked.

One after the other, by their numbers, so those of a referral stay in order; never faster than was asked;
each under the id that it always had, so a receiver that follows the spec has no second effect. Where one
fails it is tried again, and after a few failures the whole waits for the operator: nothing is passed over
in silence. A client that is not connected is no failure: it is looked for every few seconds, and when it is
back the re-drive goes on.

Every re-drive is a row: it is told what to do there (``services.delivery.redrives``), and whoever dies goes
on after the last number that it had dealt with.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.engine import Connection, Engine

from runtime.clock import Clock, utc_text
from runtime.database import reading
from runtime.observability import log
from schemas.deliveries import (
    DeliveryEvent,
    RedriveEnded,
    RedrivePaused,
    RedriveResumed,
    RedriveStarted,
    Undelivered,
)
from services.delivery import tables as t
from services.delivery.carrier import Failed, Outcome
from services.delivery.manifest import Write
from services.delivery.record import Fact
from services.delivery.redrives import State, selection_of
from services.delivery.schedule import SOON
from services.delivery.selection import how_many, next_numbers
from wards.model import Ward

Again = Callable[[str, int], Awaitable[Outcome | None]]
"""Carry an agency's event once more; none: there is no such event any more."""

PAUSED_AFTER = 5
"""So many failures in a row, and it waits for the operator."""
_LOOK = 0.3  # seconds
_GLANCE = 0.1  # seconds between two looks at the clock
_NOTED = 4  # times a second, at least, is it written how far it has come
_BATCH = 50
_order: TypeAdapter[RedrivePaused | RedriveResumed] = TypeAdapter(RedrivePaused | RedriveResumed)


class _Pace:
    """Not more than so many a second, evenly, by a clock that nobody sets."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next = clock.ticks()

    async def turn(self, per_second: int) -> None:
        await self.until(self._next)
        self._next = self._clock.ticks() + 1 / per_second

    async def until(self, ticks: float) -> None:
        # Asked again and again, never slept through: the clock may be moved.
        while (left := ticks - self._clock.ticks()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left, _GLANCE))


@dataclass(slots=True)
class _Came:
    """How far a few of them have come."""

    done_to: int
    delivered: int = 0
    gone: int = 0
    held_at: int | None = None
    held_because: Undelivered | None = None
    soon: bool = False  # it is held by nobody's fault: ``carrier.Failed``


class Redriver:
    def __init__(
        self,
        engine: Engine,
        ward: Ward,
        clock: Clock,
        write: Write,
        again: Again,
    ) -> None:
        self._engine = engine
        self._ward = ward
        self._clock = clock
        self._write = write
        self._again = again
        self._busy: set[str] = set()

    async def run(self) -> None:
        """Of each agency one at a time; agencies beside one another."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    await asyncio.to_thread(self.put_orders_on_record)
                    waiting = await asyncio.to_thread(self._waiting)
                except sa.exc.SQLAlchemyError as error:
                    log("redrives_not_read", level=logging.ERROR, error=type(error).__name__)
                    waiting = []
                for redrive, agency in waiting:
                    if agency not in self._busy:
                        self._busy.add(agency)
                        tasks.create_task(self._drive(redrive, agency))
                await asyncio.sleep(_LOOK)

    async def _drive(self, redrive: str, agency: str) -> None:
        try:
            await self.drive(redrive)
        except sa.exc.SQLAlchemyError as error:
            # Found again at the next look.
            log("redrive_faltered", level=logging.ERROR, id=redrive, error=type(error).__name__)
        finally:
            self._busy.discard(agency)

    async def drive(self, redrive: str) -> None:
        """Until it has ended, or somebody stops it."""
        pace = _Pace(self._clock)
        not_before = self._clock.ticks()
        while True:
            row = await asyncio.to_thread(self._read, redrive)
            match row.state:
                case State.ASKED:
                    await asyncio.to_thread(self._start, row)
                case State.RUNNING if self._clock.ticks() < not_before:
                    await asyncio.sleep(_GLANCE)
                case State.RUNNING:
                    numbers = await asyncio.to_thread(self._next, row)
                    if not numbers:
                        await asyncio.to_thread(self._end, row, State.ENDED)
                        return
                    came = await self._carry(row, numbers, pace)
                    failing = await asyncio.to_thread(self._note, row, came)
                    not_before = self._clock.ticks() + _wait(came, failing)
                case State.CANCELLING:
                    await asyncio.to_thread(self._end, row, State.CANCELLED)
                    return
                case _:
                    return

    async def _carry(self, row: sa.Row[Any], numbers: list[int], pace: _Pace) -> _Came:
        """In order, up to the first that fails."""
        came = _Came(row.done_to)
        for number in numbers:
            await pace.turn(row.per_second)
            outcome = await self._again(row.agency, number)
            if isinstance(outcome, Failed):
                came.held_at, came.held_because = number, outcome.reason
                came.soon = outcome.soon
                break
            if outcome is None:
                came.gone += 1
                log("redrive_found_no_event", id=row.id, agency=row.agency, number=number)
            else:
                came.delivered += 1
            came.done_to = number
        return came

    # -- its row ---------------------------------------------------------------------------------

    def _waiting(self) -> list[tuple[str, str]]:
        r = t.redrives
        query = (
            sa.select(r.c.id, r.c.agency)
            .where(r.c.state.in_((State.ASKED, State.RUNNING, State.CANCELLING)))
            .order_by(r.c.asked_at, r.c.id)
        )
        with reading(self._engine) as connection:
            return [(row.id, row.agency) for row in connection.execute(query)]

    def _read(self, redrive: str) -> sa.Row[Any]:
        with reading(self._engine) as connection:
            query = sa.select(t.redrives).where(t.redrives.c.id == redrive)
            return connection.execute(query).one()

    def _next(self, row: sa.Row[Any]) -> list[int]:
        most = min(_BATCH, max(1, row.per_second // _NOTED))
        with reading(self._engine) as connection:
            return next_numbers(connection, selection_of(row), row.done_to, most)

    def _start(self, row: sa.Row[Any]) -> None:
        def decide(connection: Connection) -> list[Fact]:
            selection = selection_of(row)
            count = how_many(connection, selection)
            values = {"started_at": utc_text(self._clock.now()), "total": count}
            if not self._becomes(connection, row.id, (State.ASKED,), State.RUNNING, **values):
                return []
            started = RedriveStarted(
                redrive=row.id,
                agency=row.agency,
                count=count,
                first=selection.first,
                last=selection.last,
                referral=None if row.referral is None else UUID(row.referral),
                reason=row.reason,
                given_up=row.given_up or None,
                per_second=row.per_second,
                asked_by=row.asked_by,
            )
            return [self._fact(started)]

        self._write(decide)
        log("redrive_started", id=row.id, agency=row.agency)

    def _note(self, row: sa.Row[Any], came: _Came) -> int:
        """How far it has come. Gives how often the next one has failed in a row."""
        r = t.redrives
        failing = 0
        if came.held_at is not None:
            before = 0 if came.delivered or came.gone else row.failing
            failing = before + (not came.soon)

        def decide(connection: Connection) -> list[Fact]:
            connection.execute(
                sa.update(r)
                .where(r.c.id == row.id)
                .values(
                    done_to=came.done_to,
                    delivered=r.c.delivered + came.delivered,
                    failed=r.c.failed + came.gone,
                    failing=failing,
                    held_at=came.held_at,
                    held_because=came.held_because,
                )
            )
            if failing < PAUSED_AFTER or not self._becomes(
                connection, row.id, (State.RUNNING,), State.PAUSED
            ):
                return []
            paused = RedrivePaused(
                redrive=row.id, agency=row.agency, inbox_number=came.held_at,
                reason=came.held_because,
            )  # fmt: skip
            return [*self._orders(connection), self._fact(paused)]

        if self._write(decide):
            log(
                "redrive_paused", level=logging.WARNING, id=row.id, agency=row.agency,
                number=came.held_at, reason=came.held_because,
            )  # fmt: skip
        return failing

    def _end(self, row: sa.Row[Any], state: State) -> None:
        def decide(connection: Connection) -> list[Fact]:
            values = {"ended_at": utc_text(self._clock.now())}
            before = (State.RUNNING, State.CANCELLING)
            if not self._becomes(connection, row.id, before, state, **values):
                return []
            ended = RedriveEnded(
                redrive=row.id,
                agency=row.agency,
                delivered=row.delivered,
                failed=row.failed,
                cancelled=state is State.CANCELLED,
                asked_by=row.asked_by if state is State.CANCELLED else None,
            )
            return [*self._orders(connection), self._fact(ended)]

        self._write(decide)
        log("redrive_ended", id=row.id, agency=row.agency, state=state.value)

    def _becomes(
        self,
        connection: Connection,
        redrive: str,
        before: tuple[State, ...],
        after: State,
        **values: Any,
    ) -> bool:
        """False: somebody has changed it meanwhile, and that counts."""
        r = t.redrives
        update = sa.update(r).where(r.c.id == redrive, r.c.state.in_(before))
        return bool(connection.execute(update.values(state=after, **values)).rowcount)

    def put_orders_on_record(self) -> None:
        """What operators did since the last look."""
        with reading(self._engine) as connection:
            if connection.execute(sa.select(t.redrive_orders.c.id).limit(1)).first() is None:
                return
        self._write(self._orders)

    def _orders(self, connection: Connection) -> list[Fact]:
        o = t.redrive_orders
        orders = connection.execute(sa.select(o).order_by(o.c.id)).all()
        connection.execute(sa.delete(o).where(o.c.id.in_([order.id for order in orders])))
        return [self._fact(_order.validate_json(order.body)) for order in orders]

    def _fact(self, event: DeliveryEvent) -> Fact:
        return Fact(event, tuple({event.agency, self._ward.core}))


def _wait(came: _Came, failing: int) -> float:
    """Seconds until the next one is carried: twice as long after each failure."""
    if came.soon:
        return SOON.total_seconds()
    return float(2 ** (failing - 1)) if failing else 0.0
