"""Re-drives as operators order them (再配送の指図): rows in delivery's database. The running service looks at
them several times a second; nothing here needs it to run.
"""

from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from runtime.clock import Clock, utc_text
from runtime.database import reading, writing
from runtime.ids import new_id
from schemas.deliveries import DeliveryHappened, RedrivePaused, RedriveResumed
from services.delivery import tables as t
from services.delivery.selection import Selection


class State(StrEnum):
    """On disk; never renamed."""

    ASKED = "asked"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    ENDED = "ended"
    CANCELLED = "cancelled"


OVER = (State.ENDED, State.CANCELLED)
STATES_JA = {
    State.ASKED: "開始待ち",
    State.RUNNING: "配送中",
    State.PAUSED: "一時停止",
    State.CANCELLING: "中止中",
    State.ENDED: "終了",
    State.CANCELLED: "中止",
}


def selection_of(row: sa.Row[Any]) -> Selection:
    return Selection(row.agency, row.first, row.last, row.referral, row.reason, row.given_up)


class Redrives:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def start(
        self, selection: Selection, count: int, per_second: int, asked_by: str | None = None
    ) -> str:
        """Its id. The service begins within a second, if it runs."""
        now = self._clock.now()
        row = {
            "id": str(new_id(now)),
            "agency": selection.agency,
            "first": selection.first,
            "last": selection.last,
            "referral": selection.referral,
            "reason": selection.reason,
            "given_up": selection.given_up,
            "per_second": per_second,
            "state": State.ASKED.value,
            "asked_at": utc_text(now),
            "total": count,
            "done_to": selection.first - 1,
            "delivered": 0,
            "failed": 0,
            "failing": 0,
            "asked_by": asked_by,
        }
        with writing(self._engine) as connection:
            connection.execute(sa.insert(t.redrives), [row])
        return str(row["id"])

    def all(self) -> list[sa.Row[Any]]:
        """Newest first."""
        with reading(self._engine) as connection:
            query = sa.select(t.redrives).order_by(t.redrives.c.asked_at.desc())
            return list(connection.execute(query))

    def find(self, beginning: str) -> sa.Row[Any] | None:
        """By its id, or enough of its end or beginning that it is the only one."""
        rows = [r for r in self.all() if r.id.startswith(beginning) or r.id.endswith(beginning)]
        return rows[0] if len(rows) == 1 else None

    def pause(self, redrive: str, asked_by: str | None = None) -> bool:
        """False: it is not running."""
        r = t.redrives
        with writing(self._engine) as connection:
            row = connection.execute(sa.select(r).where(r.c.id == redrive)).first()
            before = (State.ASKED, State.RUNNING)
            if row is None or not _changed(connection, redrive, before, state=State.PAUSED.value):
                return False
            paused = RedrivePaused(redrive=redrive, agency=row.agency, asked_by=asked_by)
            self._order(connection, row, paused)
            return True

    def resume(self, redrive: str, *, skip: bool, asked_by: str | None = None) -> bool:
        """``skip``: pass over the one that it stopped at. False: it is not paused."""
        r = t.redrives
        with writing(self._engine) as connection:
            row = connection.execute(sa.select(r).where(r.c.id == redrive)).first()
            if row is None:
                return False
            state = State.ASKED if row.started_at is None else State.RUNNING
            values: dict[str, Any] = {
                "state": state.value,
                "failing": 0,
                "held_at": None,
                "held_because": None,
            }
            skipped = row.held_at if skip else None
            if skipped is not None:
                values |= {"done_to": skipped, "failed": row.failed + 1}
            if not _changed(connection, redrive, (State.PAUSED,), **values):
                return False
            resumed = RedriveResumed(
                redrive=redrive, agency=row.agency, skipped=skipped, asked_by=asked_by
            )
            self._order(connection, row, resumed)
            return True

    def cancel(self, redrive: str, asked_by: str | None = None) -> bool:
        """False: it is over."""
        with writing(self._engine) as connection:
            r = t.redrives
            # What never began needs no end on record.
            begun = connection.scalar(sa.select(r.c.started_at).where(r.c.id == redrive))
            if begun is None:
                ended = {"state": State.CANCELLED.value, "ended_at": utc_text(self._clock.now())}
                waiting = (State.ASKED, State.PAUSED)
                if _changed(connection, redrive, waiting, **ended):
                    return True
            going = (State.RUNNING, State.PAUSED)
            return _changed(
                connection, redrive, going, state=State.CANCELLING.value, asked_by=asked_by
            )

    def _order(self, connection: Connection, row: sa.Row[Any], happened: DeliveryHappened) -> None:
        """For the record, which only the service writes. Of what never began there is none."""
        if row.started_at is not None:
            order = {"id": str(new_id(self._clock.now())), "body": happened.to_json().decode()}
            connection.execute(sa.insert(t.redrive_orders), [order])


def _changed(
    connection: Connection, redrive: str, before: tuple[State, ...], **values: Any
) -> bool:
    r = t.redrives
    update = sa.update(r).where(r.c.id == redrive, r.c.state.in_(before)).values(**values)
    return bool(connection.execute(update).rowcount)


def document(row: sa.Row[Any]) -> dict[str, Any]:
    """For programs."""
    return {name: value for name, value in row._mapping.items() if value is not None}
