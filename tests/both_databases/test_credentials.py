"""Credentials are issued, rotated and taken away the same on both databases."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from runtime import watched_credentials
from runtime.clock import ManualClock
from runtime.credentials import Credential, CredentialRefused, Credentials, Kind, hashed, new_secret
from runtime.database import open_database, reading
from runtime.watched_credentials import WatchedCredentials
from services.intake import tables as t
from tests.builders import ANSHIN, FRIDAY_AFTERNOON, HUB

HOUR = timedelta(hours=1)
KEY, NEXT = "their-key", "their-next-key"


@pytest.fixture
def engine(database_of: Callable[[str], Engine]) -> Engine:
    return database_of("intake")


@pytest.fixture
def credentials(engine: Engine, clock: ManualClock) -> Credentials:
    return Credentials(engine, t.credentials, clock)


@pytest.fixture
def watched(credentials: Credentials) -> WatchedCredentials:
    """Of another process: it learns by looking only."""
    return WatchedCredentials(credentials)


def test_a_credential_is_good_from_its_first_moment_until_its_last(
    credentials: Credentials, watched: WatchedCredentials, clock: ManualClock
) -> None:
    now = clock.now()
    made = credentials.issue(
        HUB, Kind.API_KEY, hashed(KEY), scopes=("read", "post"), label="試験",
        valid_from=now + HOUR, valid_to=now + 2 * HOUR,
    )  # fmt: skip
    watched.refresh()
    good = []
    for _ in range(3):
        good.append(watched.by_secret(Kind.API_KEY, KEY))
        clock.move(HOUR)
    assert [c and c.id for c in good] == [None, made.id, None]
    (kept,) = credentials.all(HUB)
    assert kept == made
    assert kept.scopes == ("read", "post")


def test_what_is_kept_of_a_key_is_not_the_key(credentials: Credentials, engine: Engine) -> None:
    secret = new_secret("tsunagu_")
    credentials.issue(HUB, Kind.API_KEY, hashed(secret))
    with reading(engine) as connection:
        rows = connection.execute(sa.select(t.credentials.credentials)).all()
    assert len(rows) == 1
    assert secret not in str(rows)
    assert secret.removeprefix("tsunagu_").encode() not in bytes(rows[0].material)


def test_after_a_rotation_both_are_good_until_the_overlap_is_over(
    credentials: Credentials, watched: WatchedCredentials, clock: ManualClock
) -> None:
    credentials.issue(HUB, Kind.API_KEY, hashed(KEY), scopes=("read",), label="表計算")
    clock.move(HOUR)
    made = credentials.rotate(HUB, Kind.API_KEY, hashed(NEXT), timedelta(days=7))
    assert (made.scopes, made.label) == (("read",), "表計算")
    watched.refresh()
    assert watched.materials(HUB, Kind.API_KEY) == [hashed(NEXT), hashed(KEY)]
    clock.move(timedelta(days=7) - timedelta(microseconds=1))
    assert watched.by_secret(Kind.API_KEY, KEY) is not None
    clock.move(timedelta(microseconds=1))
    assert watched.by_secret(Kind.API_KEY, KEY) is None
    assert watched.materials(HUB, Kind.API_KEY) == [hashed(NEXT)]


def test_a_rotation_prolongs_nothing_and_touches_no_other_agency_and_no_other_kind(
    credentials: Credentials, clock: ManualClock
) -> None:
    soon = clock.now() + HOUR
    credentials.issue(HUB, Kind.API_KEY, hashed(KEY), valid_to=soon)
    credentials.issue(HUB, Kind.NATS, hashed("password"))
    credentials.issue(ANSHIN, Kind.API_KEY, hashed("another"))
    credentials.rotate(HUB, Kind.API_KEY, hashed(NEXT), timedelta(days=7))
    ends = {(c.agency, c.kind, c.material): c.valid_to for c in credentials.all()}
    assert ends == {
        (HUB, "api_key", hashed(KEY)): soon,
        (HUB, "nats", hashed("password")): None,
        (ANSHIN, "api_key", hashed("another")): None,
        (HUB, "api_key", hashed(NEXT)): soon,
    }


def test_of_several_one_is_rotated_and_the_others_stay_as_they_were(
    credentials: Credentials, clock: ManualClock
) -> None:
    main = credentials.issue(HUB, Kind.API_KEY, hashed(KEY), label="予約")
    month = clock.now() + timedelta(days=30)
    reader = credentials.issue(
        HUB, Kind.API_KEY, b"reader", scopes=("read",), label="月報", valid_to=month
    )
    before = credentials.all()
    with pytest.raises(CredentialRefused) as refused:
        credentials.rotate(HUB, Kind.API_KEY, hashed(NEXT), HOUR)
    assert all(told in str(refused.value) for told in (main.id, reader.id, "予約", "月報"))
    with pytest.raises(CredentialRefused):
        credentials.rotate(HUB, Kind.API_KEY, hashed(NEXT), HOUR, follows="another")
    assert credentials.all() == before
    clock.move(timedelta(days=20))
    made = credentials.rotate(HUB, Kind.API_KEY, hashed(NEXT), HOUR, follows=reader.id)
    assert (made.scopes, made.label) == (("read",), "月報")
    assert made.valid_to == clock.now() + timedelta(days=30), "as long as the one before it"
    ends = {c.id: c.valid_to for c in credentials.all()}
    assert ends[main.id] is None
    assert ends[reader.id] == clock.now() + HOUR


def test_where_nothing_stands_there_is_nothing_to_rotate(credentials: Credentials) -> None:
    gone = credentials.issue(HUB, Kind.API_KEY, hashed(KEY))
    credentials.revoke(gone.id)
    with pytest.raises(CredentialRefused):
        credentials.rotate(HUB, Kind.API_KEY, hashed(NEXT), HOUR)
    assert len(credentials.all()) == 1


def test_what_is_revoked_is_gone_at_the_next_look_and_for_good(
    credentials: Credentials, watched: WatchedCredentials, clock: ManualClock
) -> None:
    made = credentials.issue(HUB, Kind.API_KEY, hashed(KEY))
    watched.refresh()
    assert watched.find(made.id) == made
    assert credentials.revoke(made.id)
    watched.refresh()
    assert watched.find(made.id) is None
    assert watched.by_secret(Kind.API_KEY, KEY) is None
    assert not credentials.revoke(made.id)
    assert not credentials.revoke("no-such-credential")
    clock.set_back(timedelta(days=1))  # whatever the clock says
    watched.refresh()
    assert watched.live(HUB, Kind.API_KEY) == []


def test_the_same_material_is_nobody_elses_while_it_stands(credentials: Credentials) -> None:
    """One certificate for two agencies would make one of them the other."""
    first = credentials.issue(HUB, Kind.CERTIFICATE, b"thumbprint")
    for agency in (ANSHIN, HUB):
        with pytest.raises(CredentialRefused) as refused:
            credentials.issue(agency, Kind.CERTIFICATE, b"thumbprint")
        assert "thumbprint" not in str(refused.value)
    credentials.revoke(first.id)
    assert credentials.issue(ANSHIN, Kind.CERTIFICATE, b"thumbprint").agency == ANSHIN


def test_a_credential_that_would_end_before_it_begins_is_refused_and_changes_nothing(
    credentials: Credentials, clock: ManualClock
) -> None:
    before = credentials.changed_since(None)
    with pytest.raises(CredentialRefused):
        credentials.issue(HUB, Kind.API_KEY, hashed(KEY), valid_to=clock.now())
    assert credentials.changed_since(None) == before


def test_a_look_reads_the_rows_only_when_something_changed(credentials: Credentials) -> None:
    credentials.issue(HUB, Kind.API_KEY, hashed(KEY))
    changed = credentials.changed_since(None)
    assert changed is not None
    revision, rows = changed
    assert len(rows) == 1
    assert credentials.changed_since(revision) is None
    credentials.used({rows[0].id: FRIDAY_AFTERNOON})
    assert credentials.changed_since(revision) is None, "to be used is no change"
    assert credentials.all()[0].last_used_at == FRIDAY_AFTERNOON
    credentials.revoke(rows[0].id)
    assert credentials.changed_since(revision) is not None


def test_whoever_watches_is_told_of_what_is_revoked_and_of_what_has_run_out(
    credentials: Credentials, clock: ManualClock
) -> None:
    async def story() -> None:
        watched, told = WatchedCredentials(credentials, look=0.01), asyncio.Event()
        watched.when_changed(told.set)

        async def hears() -> None:
            async with asyncio.timeout(5):
                await told.wait()
            told.clear()

        async with watched.watching():
            ends = clock.now() + HOUR
            made = await asyncio.to_thread(credentials.issue, HUB, Kind.API_KEY, hashed(KEY))
            await hears()
            assert watched.find(made.id)
            await asyncio.to_thread(credentials.revoke, made.id)
            await hears()
            assert watched.find(made.id) is None
            await asyncio.to_thread(
                lambda: credentials.issue(HUB, Kind.API_KEY, hashed(NEXT), valid_to=ends)
            )
            await hears()
            assert watched.by_secret(Kind.API_KEY, NEXT)
            clock.move(HOUR)
            await hears()
            assert watched.live(HUB, Kind.API_KEY) == []

    asyncio.run(story())


def test_the_use_of_a_credential_is_written_down_and_not_at_every_time(
    credentials: Credentials, clock: ManualClock
) -> None:
    async def story() -> None:
        made = credentials.issue(HUB, Kind.API_KEY, hashed(KEY))
        watched = WatchedCredentials(credentials, look=0.01)
        watched.refresh()

        async def written() -> None:
            async with asyncio.timeout(5):
                while credentials.all()[0].last_used_at != clock.now():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

        async with watched.watching():
            first = clock.now()
            watched.used(made)
            await written()
            clock.move(timedelta(seconds=59))
            watched.used(made)
            await asyncio.sleep(0.1)
            assert credentials.all()[0].last_used_at == first
            clock.move(timedelta(seconds=1))
            watched.used(made)
            await written()

    asyncio.run(story())


def test_while_the_database_cannot_be_read_what_was_known_goes_on(
    tmp_path_factory: pytest.TempPathFactory, clock: ManualClock
) -> None:
    path = tmp_path_factory.mktemp("credentials") / "keys.db"
    engine = open_database(f"sqlite:///{path}")
    t.metadata.create_all(engine)
    credentials = Credentials(engine, t.credentials, clock)
    made = credentials.issue(HUB, Kind.API_KEY, hashed(KEY))

    async def until(stale: bool, watched: WatchedCredentials) -> None:
        async with asyncio.timeout(5):
            while watched.stale is not stale:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def story() -> None:
        watched = WatchedCredentials(credentials, look=0.01)
        watched.refresh()
        async with watched.watching():
            outside = sqlite3.connect(path)
            outside.execute("ALTER TABLE credentials_revision RENAME TO elsewhere")
            await until(True, watched)
            assert watched.find(made.id)
            outside.execute("ALTER TABLE elsewhere RENAME TO credentials_revision")
            outside.close()
            await until(False, watched)

    asyncio.run(story())
    engine.dispose()


class Hanging(Credentials):
    """A database that takes a question and does not answer, until it is let go; or one of which a
    lock is held; or code that is wrong."""

    def __init__(self, engine: Engine, clock: ManualClock) -> None:
        super().__init__(engine, t.credentials, clock)
        self.reads, self.writes, self.right = (threading.Event() for _ in range(3))
        for event in (self.reads, self.writes, self.right):
            event.set()

    def changed_since(self, revision: int | None) -> tuple[int, list[Credential]] | None:
        self.reads.wait(10)
        if not self.right.is_set():
            raise KeyError("a fault of ours")
        return super().changed_since(revision)

    def used(self, at: dict[str, datetime]) -> None:
        self.writes.wait(10)
        super().used(at)


async def comes(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_a_database_that_does_not_answer_is_told_and_what_runs_out_runs_out(
    engine: Engine, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched_credentials, "LATE", 0.1)

    async def story() -> None:
        credentials = Hanging(engine, clock)
        made = credentials.issue(HUB, Kind.API_KEY, hashed(KEY), valid_to=clock.now() + HOUR)
        watched, told = WatchedCredentials(credentials, look=0.01), asyncio.Event()
        watched.when_changed(told.set)
        async with watched.watching():
            await comes(lambda: watched.find(made.id) is not None and watched.age() < 0.1)
            credentials.reads.clear()
            await comes(lambda: watched.stale)
            assert watched.age() > 0.1
            assert watched.find(made.id), "what was known goes on"
            told.clear()
            clock.move(HOUR)
            await comes(told.is_set)
            credentials.reads.set()
            await comes(lambda: not watched.stale and watched.age() < 0.1)

    asyncio.run(story())


def test_a_fault_of_ours_ends_no_watch(engine: Engine, clock: ManualClock) -> None:
    async def story() -> None:
        credentials = Hanging(engine, clock)
        watched = WatchedCredentials(credentials, look=0.01)
        watched.when_changed(lambda: {}["a fault of ours"])
        async with watched.watching():
            credentials.right.clear()
            await comes(lambda: watched.stale)
            credentials.right.set()
            await comes(lambda: not watched.stale)
            made = await asyncio.to_thread(credentials.issue, HUB, Kind.API_KEY, hashed(KEY))
            await comes(lambda: watched.find(made.id) is not None)
            await asyncio.to_thread(credentials.revoke, made.id)
            await comes(lambda: watched.find(made.id) is None)

    asyncio.run(story())


def test_whoever_holds_up_the_writing_down_of_uses_holds_up_no_look(
    engine: Engine, clock: ManualClock
) -> None:
    async def story() -> None:
        credentials = Hanging(engine, clock)
        made = credentials.issue(HUB, Kind.API_KEY, hashed(KEY))
        watched = WatchedCredentials(credentials, look=0.01)
        async with watched.watching():
            await comes(lambda: watched.find(made.id) is not None)
            credentials.writes.clear()
            watched.used(made)
            await asyncio.sleep(0.1)
            await asyncio.to_thread(credentials.revoke, made.id)
            await comes(lambda: watched.find(made.id) is None)
            credentials.writes.set()
            await comes(lambda: credentials.all()[0].last_used_at == clock.now())

    asyncio.run(story())


def test_two_that_write_down_uses_never_wait_for_each_other(
    engine: Engine, clock: ManualClock
) -> None:
    credentials = Credentials(engine, t.credentials, clock)
    made = [credentials.issue(HUB, Kind.API_KEY, bytes([n])).id for n in range(40)]
    now = clock.now()

    def note(ids: list[str]) -> None:
        for _ in range(20):
            credentials.used(dict.fromkeys(ids, now))

    with ThreadPoolExecutor() as pool:
        done = [pool.submit(note, made), pool.submit(note, made[::-1])]
        assert [one.result() for one in done] == [None, None]


@given(st.integers(-3, 3), st.integers(1, 3), st.one_of(st.none(), st.integers(0, 6)))
def test_live_and_ended_never_hold_together(begins: int, lasts: int, revoked: int | None) -> None:
    start = FRIDAY_AFTERNOON + begins * HOUR
    credential = Credential(
        "id", HUB, "api_key", b"", None, start, start, start + lasts * HOUR,
        None if revoked is None else start + revoked * HOUR, "", None,
    )  # fmt: skip
    moments = [start + n * HOUR / 2 for n in range(-8, 16)]
    assert not any(credential.live(m) and credential.ended(m) for m in moments)
    live = [m for m in moments if credential.live(m)]
    assert live == ([] if revoked is not None else [start + n * HOUR / 2 for n in range(2 * lasts)])
