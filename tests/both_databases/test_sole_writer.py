"""Only one process writes a ward's record."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from runtime.database import open_database, writing
from runtime.sole_writer import AnotherWriter, SoleWriter
from schemas import commands as c
from services.referral import tables as t
from tests.builders import a_command, a_submission
from tests.desk import Desk, received

NAME = "referral-131059"


@pytest.fixture
def engine(database_of: Callable[[str], Engine]) -> Engine:
    return database_of("referral")


@pytest.fixture
def another(engine: Engine) -> Iterator[Engine]:
    """The same database, opened by another process."""
    other = open_database(engine.url.render_as_string(hide_password=False))
    yield other
    other.dispose()


def test_a_second_writer_cannot_start_before_the_first_has_gone(
    engine: Engine, another: Engine
) -> None:
    first = SoleWriter(engine, t.writer, NAME)
    for _ in range(2):
        with pytest.raises(AnotherWriter):
            SoleWriter(another, t.writer, NAME)
    first.release()
    second = SoleWriter(another, t.writer, NAME)
    assert second.epoch == first.epoch + 1
    second.release()


def test_wards_do_not_stand_in_each_others_way(engine: Engine, another: Engine) -> None:
    bunkyo = SoleWriter(engine, t.writer, NAME)
    itabashi = SoleWriter(another, t.writer, "referral-131199")
    for sole, database in ((bunkyo, engine), (itabashi, another)):
        with writing(database) as connection:
            sole.guard(connection)
        sole.release()


def test_a_writer_that_was_taken_over_without_noticing_cannot_commit(
    engine: Engine, another: Engine, clock: ManualClock
) -> None:
    with Desk(engine, clock) as old:
        old.tell(a_command(a_submission()))
        lose_the_lock(old.sole)
        with Desk(another, clock) as new:
            submission = received(a_command(a_submission()))
            for _ in range(2):
                with pytest.raises(AnotherWriter):
                    old.work(submission)
            assert len(new.states()) == 1
            new.work(submission)
            assert [entry.number for entry in new.journal()] == [1, 2, 3, 4, 5, 6]
            assert new.tell(a_command(c.AddNote(referral="131059-2026-000002")))[0].status == 201


def lose_the_lock(sole: SoleWriter) -> None:
    """As when the network parts the process from its database, or a file lock is not honoured."""
    if sole._session is not None:
        with writing(sole._engine) as connection:
            pid = sa.text("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted")
            (holder,) = connection.execute(pid).scalars()
            connection.execute(sa.select(sa.func.pg_terminate_backend(holder)))
            while connection.execute(pid).scalars().all():
                pass  # until its session is gone
    else:
        sole.release()


HOLDER = """
import sys
from runtime.database import open_database
from runtime.sole_writer import SoleWriter
from services.referral import tables as t
sole = SoleWriter(open_database(sys.argv[1]), t.writer, sys.argv[2])
print(sole.epoch, flush=True)
sys.stdin.read()
"""


def test_the_lock_dies_with_the_process_that_held_it(engine: Engine) -> None:
    url = engine.url.render_as_string(hide_password=False)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, url, NAME],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        epoch = int(holder.stdout.readline())
        with pytest.raises(AnotherWriter):
            SoleWriter(engine, t.writer, NAME)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        after = SoleWriter(engine, t.writer, NAME, wait_seconds=10)
        assert after.epoch == epoch + 1
        after.release()
