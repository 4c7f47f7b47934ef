"""What stands with one agency (いまの仕事): offers that wait for its answer, the first due first, and what
it holds, oldest first. Of both so many, and how many there are."""

import heapq
from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa
from pydantic_core import from_json
from sqlalchemy.engine import Connection, Engine

from runtime.database import reading
from schemas import queries as q
from schemas.base import JsonObject
from schemas.codes import HandoffState, Stage, Urgency
from schemas.referral import referral_adapter
from services.referral import tables as t
from services.referral import views
from wards.model import Ward

_OPEN = (Stage.OFFERED.value, Stage.IN_CARE.value, Stage.AWAITING_RULING.value)
_ORDER = {urgency.value: place for place, urgency in enumerate(Urgency)}
_AT_ONCE = 500

_Place = tuple[bool, datetime, int, datetime]


class Standing:
    """Answers from the database, in a worker thread."""

    def __init__(self, engine: Engine, ward: Ward) -> None:
        self._engine = engine
        self._ward = ward

    def read(self, question: q.ListStanding) -> q.Told:
        agency = question.agency
        with reading(self._engine) as connection:
            # Every one is looked at, for the first due may be the newest; few are kept.
            waiting = 0

            def counted() -> Iterator[tuple[_Place, str]]:
                nonlocal waiting
                for one in _offers(connection, agency):
                    waiting += 1
                    yield one

            first = heapq.nsmallest(question.limit, counted(), key=lambda one: one[0])
            oldest, holds = _held(connection, agency, question.limit)
        # Of one referral an agency may have been offered two parts.
        offered = dict.fromkeys(state for _, state in first)
        body: JsonObject = {
            "offers": [self._given(state, agency) for state in offered],
            "waiting": waiting,
            "held": [self._given(state, agency) for state in oldest],
            "holds": holds,
        }
        return q.Told(found=True, body=body)

    def _given(self, state: str, agency: str) -> JsonObject:
        return views.referral_given(referral_adapter.validate_json(state), agency, self._ward)


def _offers(connection: Connection, agency: str) -> Iterator[tuple[_Place, str]]:
    """Each offer that waits for this agency: its place among them, and its referral."""
    r, w = t.referrals.c, t.worklist.c
    has_a_part = sa.exists().where(w.agency == agency, w.seq == r.seq)
    query = (
        sa.select(r.state)
        .where(r.stage.in_(_OPEN), has_a_part)
        # Most have no offer that stands; which of them are to this agency is read from the state.
        .where(r.state.contains(f'"{HandoffState.OFFERED.value}"', autoescape=True))
        .execution_options(yield_per=_AT_ONCE)
    )
    for row in connection.execute(query):
        state = from_json(row.state)
        for handoff in state["handoffs"]:
            if handoff["receiver"] == agency and handoff["state"] == HandoffState.OFFERED:
                yield _place(state, handoff), row.state


def _place(state: JsonObject, handoff: JsonObject) -> _Place:
    """By due time, then urgency, then age."""
    due, offered = handoff.get("due_at"), datetime.fromisoformat(handoff["offered_at"])
    return (
        due is None,
        datetime.fromisoformat(due) if due is not None else offered,
        _ORDER[state["urgency"]],
        offered,
    )


def _held(connection: Connection, agency: str, limit: int) -> tuple[list[str], int]:
    """The oldest, and how many."""
    r = t.referrals.c
    found: list[tuple[int, str]] = []
    # Each stage by itself: the index has them in order only within one.
    for stage in _OPEN:
        query = sa.select(r.seq, r.state).where(r.stage == stage, r.custodian == agency)
        rows = connection.execute(query.order_by(r.seq).limit(limit))
        found += [(row.seq, row.state) for row in rows]
    count = sa.select(sa.func.count()).where(r.stage.in_(_OPEN), r.custodian == agency)
    holds = connection.execute(count).scalar() or 0
    return [state for _, state in sorted(found)[:limit]], holds
