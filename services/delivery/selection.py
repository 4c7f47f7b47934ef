"""Which events a re-drive is about (再配送の対象): numbers of one agency's inbox, narrowed by a referral, by
why they had failed, or to what was given up.

Test events are not carried again: what they proved, they proved then. What is still on its way is left to
the queue.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from services.delivery import tables as t


@dataclass(frozen=True, slots=True)
class Selection:
    """``referral``: its id. ``reason``: one of ``schemas.deliveries.Undelivered``; of what has arrived
    since nothing is known of it any more."""

    agency: str
    first: int
    last: int
    referral: str | None = None
    reason: str | None = None
    given_up: bool = False


def next_numbers(connection: Connection, selection: Selection, after: int, most: int) -> list[int]:
    """The next ones after a number, in order."""
    query = _selected(selection, t.inbox.c.number).where(t.inbox.c.number > after)
    rows = connection.execute(query.order_by(t.inbox.c.number).limit(most))
    return list(rows.scalars())


def how_many(connection: Connection, selection: Selection) -> int:
    selected = _selected(selection, t.inbox.c.number).subquery()
    return connection.scalar(sa.select(sa.func.count()).select_from(selected)) or 0


def selected_rows(connection: Connection, selection: Selection) -> list[sa.Row[Any]]:
    """For people: each with its event and what became of it; ``body`` is none where it is not known."""
    i, d, e = t.inbox, t.deliveries, t.events
    query = _selected(
        selection, i.c.number, e.c.body, d.c.delivered_at, d.c.given_up_at, d.c.reason
    )
    return list(connection.execute(query.order_by(i.c.number)))


def on_their_way(connection: Connection, selection: Selection) -> int:
    """How many of these numbers the queue is still carrying."""
    d = t.deliveries
    query = sa.select(sa.func.count()).where(
        d.c.agency == selection.agency,
        d.c.number.between(selection.first, selection.last),
        d.c.next_at.is_not(None),
    )
    if selection.referral is not None:
        query = query.where(d.c.thread == selection.referral)
    return connection.scalar(query) or 0


def _selected(selection: Selection, *columns: Any) -> sa.Select[Any]:
    i, d, e = t.inbox, t.deliveries, t.events
    same = sa.and_(d.c.agency == i.c.agency, d.c.number == i.c.number)
    tests = sa.select(t.tests.c.number).where(
        t.tests.c.agency == selection.agency, t.tests.c.number.is_not(None)
    )
    query = (
        sa.select(*columns)
        .select_from(i.join(d, same, isouter=True).join(e, i.c.event == e.c.id, isouter=True))
        .where(
            i.c.agency == selection.agency,
            i.c.number.between(selection.first, selection.last),
            d.c.next_at.is_(None),
            i.c.number.not_in(tests),
        )
    )
    if selection.referral is not None:
        # Of what was delivered long ago, or never sent, only the event itself says what it is about.
        said = e.c.body.like(f'%"referral":"{selection.referral}"%')
        query = query.where(sa.or_(d.c.thread == selection.referral, d.c.thread.is_(None) & said))
    if selection.reason is not None:
        query = query.where(d.c.reason == selection.reason)
    if selection.given_up:
        query = query.where(d.c.given_up_at.is_not(None))
    return query
