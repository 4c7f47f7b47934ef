"""Drafts are kept for their writer alone, for seven days, and open nowhere else; on both databases."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from runtime.database import reading, writing
from services.console import tables as t
from services.console.refer.drafts import KEPT, MOST, Drafts, Full, Saved

KEY = b"k" * 32
FIELDS = {"name": ["見本 秘密子"], "topics": ["housing", "loneliness"]}


@pytest.fixture
def engine(database_of: Callable[[str], Engine]) -> Engine:
    return database_of("console")


@pytest.fixture
def drafts(engine: Engine, clock: ManualClock) -> Drafts:
    return Drafts(engine, clock, KEY)


def saved(drafts: Drafts, account: UUID, draft: UUID, **how: Any) -> Saved:
    given = {"page": "one", "version": 0, "written": 1} | how
    done = asyncio.run(drafts.save(account, draft, given.pop("fields", FIELDS), **given))
    assert isinstance(done, Saved)
    return done


def found(drafts: Drafts, account: UUID, draft: UUID) -> Any:
    draft_ = asyncio.run(drafts.find(account, draft))
    return draft_.content.fields if draft_ is not None else None


def test_what_is_kept_comes_back_as_it_was(drafts: Drafts) -> None:
    me, draft = uuid4(), uuid4()
    assert saved(drafts, me, draft) == Saved(draft, 1, moved=False)
    assert found(drafts, me, draft) == FIELDS
    assert [one.id for one in asyncio.run(drafts.of(me))] == [draft]
    asyncio.run(drafts.drop(me, draft))
    assert found(drafts, me, draft) is None


def test_on_disk_it_is_sealed(drafts: Drafts, engine: Engine) -> None:
    saved(drafts, uuid4(), uuid4())
    with reading(engine) as connection:
        (row,) = connection.execute(sa.select(t.drafts)).all()
    assert "秘密子".encode() not in bytes(row.sealed)
    assert b"housing" not in bytes(row.sealed)


def test_a_row_that_is_given_to_somebody_else_or_another_id_does_not_open(
    drafts: Drafts, engine: Engine
) -> None:
    me, thief, draft = uuid4(), uuid4(), uuid4()
    saved(drafts, me, draft)
    with writing(engine) as connection:
        connection.execute(sa.update(t.drafts).values(account=str(thief)))
    assert found(drafts, thief, draft) is None
    other = uuid4()
    with writing(engine) as connection:
        connection.execute(sa.update(t.drafts).values(account=str(me), id=str(other)))
    assert found(drafts, me, other) is None
    assert asyncio.run(drafts.of(me)) == []


def test_with_another_key_it_does_not_open(
    drafts: Drafts, engine: Engine, clock: ManualClock
) -> None:
    me, draft = uuid4(), uuid4()
    saved(drafts, me, draft)
    assert found(Drafts(engine, clock, b"x" * 32), me, draft) is None


def test_after_seven_days_it_is_gone(drafts: Drafts, engine: Engine, clock: ManualClock) -> None:
    me, old, young = uuid4(), uuid4(), uuid4()
    saved(drafts, me, old)
    clock.move(timedelta(days=1))
    saved(drafts, me, young)
    clock.move(KEPT - timedelta(days=1) - timedelta(seconds=1))
    assert found(drafts, me, old) == FIELDS
    clock.move(timedelta(seconds=1))
    assert found(drafts, me, old) is None
    assert [one.id for one in asyncio.run(drafts.of(me))] == [young]
    saved(drafts, uuid4(), uuid4())  # whoever writes next sweeps
    with reading(engine) as connection:
        ids = set(connection.execute(sa.select(t.drafts.c.id)).scalars())
    assert str(old) not in ids


def test_what_overtakes_on_the_way_is_not_put_back(drafts: Drafts) -> None:
    me, draft = uuid4(), uuid4()
    saved(drafts, me, draft, written=2, fields={"name": ["later"]})
    late = saved(drafts, me, draft, written=1, fields={"name": ["earlier"]})
    assert not late.moved
    assert found(drafts, me, draft) == {"name": ["later"]}


def test_a_page_that_knows_an_older_text_gets_a_draft_of_its_own(drafts: Drafts) -> None:
    me, draft = uuid4(), uuid4()
    saved(drafts, me, draft, fields={"name": ["first"]})
    taken_over = saved(drafts, me, draft, page="two", version=1, fields={"name": ["two"]})
    assert taken_over == Saved(draft, 2, moved=False)
    apart = saved(drafts, me, draft, written=2, version=1, fields={"name": ["one"]})
    assert apart.moved
    assert found(drafts, me, draft) == {"name": ["two"]}
    assert found(drafts, me, apart.id) == {"name": ["one"]}


def test_an_id_of_somebody_else_s_draft_writes_to_another(drafts: Drafts) -> None:
    me, thief, draft = uuid4(), uuid4(), uuid4()
    saved(drafts, me, draft)
    told = saved(drafts, thief, draft, version=1, fields={"name": ["over"]})
    assert told.moved
    assert told.id != draft
    asyncio.run(drafts.drop(thief, draft))
    assert found(drafts, me, draft) == FIELDS


def test_there_are_so_many_drafts_at_most_and_none_is_pushed_out(drafts: Drafts) -> None:
    me, first = uuid4(), uuid4()
    saved(drafts, me, first)
    for _ in range(MOST - 1):
        saved(drafts, me, uuid4())
    more = asyncio.run(drafts.save(me, uuid4(), FIELDS, page="p", version=0, written=1))
    assert isinstance(more, Full)
    assert found(drafts, me, first) == FIELDS
    assert saved(drafts, me, first, written=2).version == 2
