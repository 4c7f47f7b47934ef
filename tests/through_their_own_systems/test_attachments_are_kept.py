"""One suite for both stores: a folder, and the object store of a real nats-server."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from nats.js.api import ObjectInfo
from nats.js.errors import NotFoundError
from nats.js.object_store import ObjectStore

from runtime.broker import ensure_stream, objects_stream
from runtime.settings import Settings
from schemas import subjects
from services.intake.attachments.objects import Objects
from services.intake.attachments.spool import Spool
from services.intake.attachments.store import Folder, NotKept, Store, StoreFailed
from tests.nats import a_nats_server, connected

Work = Callable[[Store, Spool], Awaitable[None]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    async def a_bucket(settings: Settings) -> None:
        name, bucket = subjects.ATTACHMENTS_STREAM, subjects.ATTACHMENTS_BUCKET
        async with connected(settings, "referral") as bus:
            await ensure_stream(bus.js, objects_stream(name, bucket, 1))

    with a_nats_server(tmp_path_factory.mktemp("nats")) as settings:
        asyncio.run(a_bucket(settings))
        yield settings


@contextlib.asynccontextmanager
async def a_store(kind: str, server: Settings, home: Path) -> AsyncIterator[tuple[Store, Spool]]:
    spool = Spool(home / "incoming")
    if kind == "folder":
        yield Folder(home / "kept"), spool
        return
    # With intake's own login: it may do this, and need not be anybody greater.
    async with connected(server, "intake") as bus:
        yield Objects(bus, home / "incoming"), spool


@pytest.fixture(params=["folder", "nats"])
def run(request: pytest.FixtureRequest, server: Settings, tmp_path: Path) -> Callable[[Work], None]:
    def run_it(work: Work) -> None:
        async def running() -> None:
            async with a_store(request.param, server, tmp_path) as (store, spool):
                await work(store, spool)

        asyncio.run(running())

    return run_it


async def kept(store: Store, spool: Spool, content: bytes) -> str:
    with spool.part() as part:
        part.write(content)
        name = part.finish()
        await store.keep(name, part.path)
    assert name == hashlib.sha256(content).hexdigest()
    return name


async def read(store: Store, name: str) -> bytes:
    with await store.fetch(name) as file:
        return file.read()


@pytest.mark.parametrize("size", [1, 131_072, 131_073, 20 * 1024 * 1024])
def test_what_is_kept_comes_back_byte_for_byte(run: Callable[[Work], None], size: int) -> None:
    async def work(store: Store, spool: Spool) -> None:
        content = os.urandom(size)
        assert await read(store, await kept(store, spool, content)) == content

    run(work)


def test_the_same_twice_is_kept_once_and_deleting_deletes(run: Callable[[Work], None]) -> None:
    async def work(store: Store, spool: Spool) -> None:
        name = await kept(store, spool, b"the same" * 50_000)
        assert await kept(store, spool, b"the same" * 50_000) == name
        other = await kept(store, spool, b"another")
        await store.delete(name)
        await store.delete(name)
        with pytest.raises(NotKept):
            await store.fetch(name)
        assert await read(store, other) == b"another"
        assert await kept(store, spool, b"the same" * 50_000) == name
        assert await read(store, name) == b"the same" * 50_000

    run(work)


def test_what_was_never_kept_is_not_there(run: Callable[[Work], None]) -> None:
    async def work(store: Store, _: Spool) -> None:
        with pytest.raises(NotKept):
            await store.fetch("0" * 64)
        await store.delete("0" * 64)

    run(work)


def test_many_at_once_do_not_mix(run: Callable[[Work], None]) -> None:
    async def work(store: Store, spool: Spool) -> None:
        contents = [os.urandom(300_000) for _ in range(8)]
        names = await asyncio.gather(*(kept(store, spool, content) for content in contents))
        assert await asyncio.gather(*(read(store, name) for name in names)) == contents

    run(work)


def test_nothing_of_a_file_on_its_way_remains(run: Callable[[Work], None], tmp_path: Path) -> None:
    async def work(store: Store, spool: Spool) -> None:
        await kept(store, spool, b"kept")
        with contextlib.suppress(ConnectionError), spool.part() as part:
            part.write(b"half")
            raise ConnectionError
        assert list((tmp_path / "incoming").iterdir()) == []

    run(work)


def test_a_broker_that_is_not_there_is_told_as_a_store_that_fails(
    server: Settings, tmp_path: Path
) -> None:
    with a_nats_server(tmp_path / "nats") as other:
        settings = replace(other, home=tmp_path)

        async def work() -> None:
            async with connected(settings, "intake") as bus:
                await bus.nc.close()
                store = Objects(bus, tmp_path)
                with pytest.raises(StoreFailed):
                    await store.fetch("0" * 64)
                with pytest.raises(StoreFailed):
                    await store.delete("0" * 64)

        asyncio.run(work())


def test_chunks_that_a_killed_process_left_in_the_broker_go_and_whole_files_stay(
    server: Settings, tmp_path: Path
) -> None:
    async def work() -> None:
        async with a_store("nats", server, tmp_path) as (store, spool):
            assert isinstance(store, Objects)
            whole = await kept(store, spool, b"whole" * 100_000)
            async with connected(server, "intake") as bus:
                for _ in range(3):
                    await bus.js.publish("$O.attachments.C.LEFTBYNOBODY", b"half" * 1000)
                # It may still be on its way, so it is seen twice before it goes.
                assert await store.sweep() == 0
                assert await store.sweep() == 1
                info = await bus.js.stream_info(
                    "OBJ_attachments", subjects_filter="$O.attachments.C.LEFT*"
                )
                assert not info.state.subjects
            assert await store.sweep() == 0
            assert await read(store, whole) == b"whole" * 100_000

    asyncio.run(work())


@pytest.mark.parametrize("hears_of", [0, 1])
def test_no_file_goes_because_the_broker_did_not_tell_of_it(
    server: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hears_of: int
) -> None:
    """The list of what is there comes short, or empty: a consumer that was lost in between."""
    lists = ObjectStore.list

    async def short(bucket: ObjectStore, ignore_deletes: bool = False) -> list[ObjectInfo]:
        if not hears_of:
            raise NotFoundError
        found: list[ObjectInfo] = await lists(bucket, ignore_deletes)
        return found[:hears_of]

    async def work() -> None:
        async with a_store("nats", server, tmp_path) as (store, spool):
            names = [await kept(store, spool, os.urandom(1000)) for _ in range(3)]
            monkeypatch.setattr(ObjectStore, "list", short)
            for _ in range(3):
                with contextlib.suppress(StoreFailed):
                    assert await store.sweep() == 0
            for name in names:
                assert len(await read(store, name)) == 1000

    asyncio.run(work())


def test_chunks_of_a_file_whose_deletion_broke_off_go(server: Settings, tmp_path: Path) -> None:
    async def work() -> None:
        async with a_store("nats", server, tmp_path) as (store, spool):
            name = await kept(store, spool, b"infected")
            async with connected(server, "intake") as bus:
                bucket = await bus.js.object_store("attachments")
                chunks = f"$O.attachments.C.{(await bucket.get_info(name)).nuid}"
                await store.delete(name)
                await bus.js.publish(chunks, b"as if they had stayed")
                assert [await store.sweep() for _ in range(3)] == [0, 1, 0]

    asyncio.run(work())


def test_what_is_known_to_be_whole_is_not_listed_again(
    server: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        async with a_store("nats", server, tmp_path) as (store, spool):
            await kept(store, spool, b"whole")
            await store.sweep()
            monkeypatch.setattr(ObjectStore, "list", None)
            assert await store.sweep() == 0

    asyncio.run(work())


def test_a_file_damaged_in_the_broker_is_not_there(server: Settings, tmp_path: Path) -> None:
    """Whoever can write to the broker adds a chunk to the file."""

    async def work() -> None:
        async with a_store("nats", server, tmp_path) as (store, spool):
            name = await kept(store, spool, b"genuine")
            async with connected(server, "intake") as bus:
                bucket = await bus.js.object_store("attachments")
                info = await bucket.get_info(name)
                await bus.js.publish(f"$O.attachments.C.{info.nuid}", b"more")
            with pytest.raises(NotKept):
                await store.fetch(name)

    asyncio.run(work())
