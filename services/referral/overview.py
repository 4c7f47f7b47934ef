"""The ward at a glance (区のいま): how many referrals wait or are in care, with whom and where, and what
the core centre has to rule. One index answers it (``referrals_open``), however many are closed."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from pydantic_core import from_json
from sqlalchemy.engine import Connection, Engine

from runtime.database import reading
from schemas import queries as q
from schemas.base import JsonObject
from schemas.codes import AddressKind, EscalationState, Stage
from schemas.outside import local_text
from schemas.referral import Referral, referral_adapter
from services.referral import involvement
from services.referral import tables as t
from wards.model import Ward

_WAITING = (Stage.AWAITING_RULING, Stage.OFFERED)
_OPEN = (*_WAITING, Stage.IN_CARE)
_UNRESOLVED = (EscalationState.RAISED.value, EscalationState.ACKNOWLEDGED.value)
_MOST_READ = 2000  # states of referrals that await a ruling; a ward has a handful


class Overview:
    """Answers from the database, in a worker thread."""

    def __init__(self, engine: Engine, ward: Ward) -> None:
        self._engine = engine
        self._ward = ward

    def read(self, question: q.ReadOverview) -> q.Told:
        if self._ward.agency(question.agency) is None:
            return q.Told(found=False)
        with reading(self._engine) as connection:
            body: JsonObject = {"agencies": _by_agency(connection)}
            if involvement.oversees(question.agency, self._ward):
                body |= self._of_the_ward(connection, question)
        return q.Told(found=True, body=body)

    def _of_the_ward(self, connection: Connection, question: q.ReadOverview) -> JsonObject:
        districts, withheld = _by_district(connection, is_core=question.agency == self._ward.core)
        return {
            "districts": districts,
            "withheld": withheld,
            "waiting": self._oldest(connection, _WAITING, question),
            "in_care": self._oldest(connection, (Stage.IN_CARE,), question),
            "calls": _calls(connection),
            "called": _called(connection),
            "rulings": self._rulings(connection, question.agency),
        }

    def _oldest(
        self, connection: Connection, stages: tuple[Stage, ...], question: q.ReadOverview
    ) -> list[JsonObject]:
        r = t.referrals.c
        # Each stage by itself: the index has them in order only within one.
        found: list[Any] = []
        for stage in stages:
            query = sa.select(r.seq, r.state).where(r.stage == stage.value)
            found += connection.execute(query.order_by(r.seq).limit(question.limit))
        found.sort(key=lambda row: row.seq)
        states = [referral_adapter.validate_json(row.state) for row in found[: question.limit]]
        return [self._brief(state, question.agency) for state in states]

    def _brief(self, state: Referral, agency: str) -> JsonObject:
        given: JsonObject = {
            "stage": state.stage.value,
            "custodian": state.custodian,
            "function": state.function,
            "urgency": state.urgency.value,
            "submitted_at": local_text(state.submitted_at),
        }
        # The ward office knows how the ward stands, and no case in which it has no part.
        if involvement.may_see(state, agency, self._ward):
            given |= {"id": str(state.id), "number": state.number}
        return given

    def _rulings(self, connection: Connection, agency: str) -> JsonObject:
        r = t.referrals.c
        query = sa.select(r.state).where(r.stage == Stage.AWAITING_RULING.value)
        counted: Counter[tuple[str, ...]] = Counter()
        withheld = 0
        for row in connection.execute(query.order_by(r.seq).limit(_MOST_READ)):
            state = from_json(row.state)
            if state["address_kind"] == AddressKind.PROTECTED and agency != self._ward.core:
                withheld += 1
            else:
                counted[tuple(sorted(state["district"]["candidates"]))] += 1
        awaiting = sa.select(sa.func.count()).where(r.stage == Stage.AWAITING_RULING.value)
        kept = t.rulings.c.district
        remembered = sa.select(kept, sa.func.count().label("n")).group_by(kept).order_by(kept)
        return {
            "awaiting": connection.execute(awaiting).scalar() or 0,
            "between": [
                {"candidates": list(candidates), "n": n}
                for candidates, n in sorted(counted.items(), key=lambda one: (-one[1], one[0]))
            ],
            "withheld": withheld,
            "remembered": _rows(connection.execute(remembered)),
        }


def _open_ones() -> sa.ColumnElement[bool]:
    return t.referrals.c.stage.in_([stage.value for stage in _OPEN])


def _by_agency(connection: Connection) -> list[JsonObject]:
    """Of each custodian and stage: how many, and since when the oldest."""
    r = t.referrals.c
    query = sa.select(
        r.custodian, r.stage, sa.func.count().label("n"), sa.func.min(r.seq).label("first")
    )
    query = query.where(_open_ones()).group_by(r.custodian, r.stage)
    counted = connection.execute(query.order_by(r.custodian, r.stage)).all()
    firsts = sa.select(r.seq, r.state).where(r.seq.in_([row.first for row in counted]))
    since = {
        row.seq: referral_adapter.validate_json(row.state).submitted_at
        for row in connection.execute(firsts)
    }
    return [
        {
            "agency": row.custodian,
            "stage": row.stage,
            "n": row.n,
            "oldest": local_text(since[row.first]),
        }
        for row in counted
    ]


def _by_district(connection: Connection, *, is_core: bool) -> tuple[list[JsonObject], int]:
    """And how many are counted in no district, for their address is protected (秘匿)."""
    r = t.referrals.c
    query = sa.select(r.district, r.protected, r.stage, sa.func.count().label("n"))
    query = query.where(_open_ones()).group_by(r.district, r.protected, r.stage)
    counted: Counter[tuple[str | None, str]] = Counter()
    withheld = 0
    for row in connection.execute(query):
        if row.protected and not is_core:
            withheld += row.n
        else:
            counted[row.district, row.stage] += row.n
    in_order = sorted(counted.items(), key=lambda one: (one[0][0] or "~", one[0][1]))
    return [
        {"district": district, "stage": stage, "n": n} for (district, stage), n in in_order
    ], withheld


def _calls(connection: Connection) -> list[JsonObject]:
    x = t.escalations.c
    query = sa.select(x.code, x.state, sa.func.count().label("n"))
    query = query.where(x.state.in_(_UNRESOLVED)).group_by(x.code, x.state)
    return _rows(connection.execute(query.order_by(x.code, x.state)))


def _called(connection: Connection) -> list[JsonObject]:
    """Of each custodian, how many of its cases have a call that is not resolved: a case whose offer
    nobody answered is in its care, and in truth waits."""
    x = t.escalations.c
    cases = sa.func.count(x.referral.distinct()).label("n")
    query = sa.select(x.custodian.label("agency"), cases).where(x.state.in_(_UNRESOLVED))
    return _rows(connection.execute(query.group_by(x.custodian).order_by(x.custodian)))


def _rows(found: Iterable[Any]) -> list[JsonObject]:
    return [dict(row._mapping) for row in found]
