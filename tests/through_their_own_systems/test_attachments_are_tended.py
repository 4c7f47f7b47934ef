"""What is left of files that nobody put on record goes, and nothing else does: the sweep by itself, with
a clock that is moved. Only the referral service's word is the test's own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from pydantic import BaseModel
from pydantic_core import to_json
from sqlalchemy.engine import Engine

from runtime.broker import NoAnswer
from runtime.clock import ManualClock
from schemas import commands as c
from schemas import queries as q
from schemas.base import json_object
from schemas.codes import MediaType, ScanState
from schemas.problems import Refusal
from services.intake.attachments.keeper import Keeper, Upload
from services.intake.attachments.reader import Reader
from services.intake.attachments.records import (
    ASKED,
    DISCARDING,
    GONE,
    KEPT,
    SETTLED,
    Records,
)
from services.intake.attachments.scanner import Clamd
from services.intake.attachments.spool import Spool
from services.intake.attachments.store import Folder, StoreFailed
from services.intake.attachments.tending import Tending
from services.intake.desk import UNAVAILABLE
from services.intake.gateway import Gateway
from services.intake.identity import Names
from services.intake.key_store import KeyStore
from services.intake.tables import attachments
from tests.through_their_own_systems.files import pdf

AGENCY = "anshin-motofuji"
ON_RECORD, ANOTHER, REFUSED, NOTHING = "on record", "another file", "refused", "nothing yet"


class Referral(Gateway):
    """The referral service, as intake hears it."""

    def __init__(self) -> None:
        self.says: dict[UUID, c.Answer] = {}
        self.sent: list[c.Command] = []
        self.silent_on: UUID | None = None
        self.when_asked: Callable[[UUID], None] = lambda _: None

    async def ask(self, service: str, name: str, question: BaseModel) -> q.Told:
        if isinstance(question, q.Locate):
            return q.Told(found=True, referral=UUID(str(question.ref)))
        assert isinstance(question, q.ReadAnswer)
        self.when_asked(question.request)
        if question.request == self.silent_on:
            raise NoAnswer("nobody")
        answer = self.says.get(question.request)
        if answer is None:
            return q.Told(found=False)
        return q.Told(
            found=True,
            body={"status": answer.status, "body": json_object.validate_json(answer.body)},
        )

    async def send(self, command: c.Command, *, wait: bool) -> c.Answer | None:
        self.sent.append(command)
        action = command.action
        assert isinstance(action, c.AddAttachment)
        return on_record(action.attachment, action.ciphertext_sha256)


def on_record(attachment: UUID, hashed: str) -> c.Answer:
    item = {"id": str(attachment), "ciphertext_sha256": hashed}
    return c.Answer(status=201, body=to_json({"attachments": [item]}).decode())


@dataclass
class AFolder(Folder):
    """A real one, in which things happen."""

    folder: Path
    fails_on: str = ""
    before_kept: Callable[[], Awaitable[None]] | None = None
    when_kept: Callable[[], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        super().__init__(self.folder)

    async def keep(self, name: str, sealed: Path) -> None:
        if self.before_kept is not None:
            await self.before_kept()
        await super().keep(name, sealed)
        if self.when_kept is not None:
            await self.when_kept()

    async def delete(self, name: str) -> None:
        if name == self.fails_on:
            raise StoreFailed("this one never")
        await super().delete(name)

    def names(self) -> set[str]:
        return {path.name for path in self.folder.rglob("*") if path.is_file()}


@dataclass
class Room:
    engine: Engine
    home: Path
    clock: ManualClock
    scanner: Clamd | None = None
    referral: Referral = field(default_factory=Referral)

    def __post_init__(self) -> None:
        self.records = Records(self.engine)
        self.store = AFolder(self.home / "kept")
        self.keys = KeyStore(self.engine, bytes(32))
        self.keeper = Keeper(
            "131059", Names(bytes(32)), self.keys, self.referral, self.records,
            Spool(self.home / "incoming"), self.store, self.clock,
        )  # fmt: skip
        reader = Reader(
            self.keys, self.referral, self.records, self.store, scans=self.scanner is not None
        )
        self.tending = Tending(self.keeper, reader, self.referral, self.clock, self.scanner)

    def left(self, state: str, answer: str = NOTHING) -> str:
        """The hash of a file stored just now, whose command was answered so."""
        hashed, attachment, request = uuid4().hex * 2, uuid4(), uuid4()
        self.records.add(hashed, attachment, uuid4(), AGENCY, request, self.clock.now())
        if state != KEPT:
            self.records.move(hashed, KEPT, state)
        path = self.home / "kept" / hashed[:2] / hashed
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"sealed")
        if answer == REFUSED:
            self.referral.says[request] = c.Answer(status=422, body="{}")
        elif answer != NOTHING:
            given = hashed if answer == ON_RECORD else "0" * 64
            self.referral.says[request] = on_record(attachment, given)
        return hashed

    def noted(self) -> dict[str, sa.Row[tuple[object, ...]]]:
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(attachments)).all()
        return {row.ciphertext_sha256: row for row in rows}

    async def uploads(self) -> c.Answer | Refusal | object:
        referral = uuid4()
        await self.keys.key_for(referral)

        async def chunks() -> AsyncIterator[bytes]:
            yield pdf()

        return await self.keeper.add(
            Upload(AGENCY, "key", str(referral), MediaType.PDF, "a.pdf", True, chunks())
        )

    async def sweeps(self, later: timedelta) -> None:
        self.clock.move(later)
        await self.tending.sweep()


@pytest.fixture
def room(database_of: Callable[[str], Engine], tmp_path: Path, clock: ManualClock) -> Room:
    return Room(database_of("intake"), tmp_path, clock)


SOON, LATER, LONG_AFTER = timedelta(seconds=9), timedelta(seconds=11), timedelta(minutes=11)


def fate(state: str, answer: str, age: timedelta) -> str | None:
    """The state a file is in after the sweep; None: it is gone."""
    if state in (SETTLED, GONE) or age == SOON:
        return state
    if state == DISCARDING:
        return None
    if answer == NOTHING:
        return None if state == KEPT and age == LONG_AFTER else state
    return SETTLED if answer == ON_RECORD else None


def test_only_what_nobody_put_on_record_goes_and_only_when_that_is_known(room: Room) -> None:
    """Every state, every answer, every age. Of one that was asked for and not answered the bytes
    stay, however old: its command may still be on its way."""
    for age in (SOON, LATER, LONG_AFTER):
        states, answers = (
            (KEPT, ASKED, DISCARDING, SETTLED, GONE),
            (ON_RECORD, ANOTHER, REFUSED, NOTHING),
        )
        fates = {room.left(s, a): fate(s, a, age) for s in states for a in answers}
        asyncio.run(room.sweeps(age))
        for hashed, state in fates.items():
            noted = room.noted().get(hashed)
            assert (noted.state if noted else None) == state
            assert (hashed in room.store.names()) == (state is not None)
        for hashed in fates:
            room.records.forget(hashed)


@pytest.mark.parametrize("where", ["before_kept", "when_kept"])
def test_an_upload_that_slept_for_so_long_that_its_bytes_were_swept_is_not_taken(
    room: Room, where: str
) -> None:
    """The host was suspended, or its clock set forward, between noting and asking."""
    setattr(room.store, where, lambda: room.sweeps(LONG_AFTER))
    assert asyncio.run(room.uploads()) is UNAVAILABLE
    assert not room.referral.sent
    assert not room.store.names()
    assert not room.noted()


def test_the_sweep_lets_go_of_what_was_asked_for_while_it_looked(room: Room) -> None:
    hashed = room.left(KEPT)
    room.referral.when_asked = lambda _: room.records.move(hashed, KEPT, ASKED) and None
    asyncio.run(room.sweeps(LONG_AFTER))
    assert room.noted()[hashed].state == ASKED
    assert hashed in room.store.names()


def test_what_is_taken_while_the_sweep_looks_is_there(room: Room) -> None:
    answer = asyncio.run(room.uploads())
    assert isinstance(answer, c.Answer)
    assert answer.status == 201
    asyncio.run(room.sweeps(LONG_AFTER))
    (kept,) = room.noted().values()
    assert kept.state == SETTLED
    assert room.store.names() == {kept.ciphertext_sha256}


def test_one_that_cannot_be_deleted_or_asked_about_holds_up_no_other(room: Room) -> None:
    """And it is not forgotten: the next sweep tries again."""
    stuck, silent = room.left(KEPT), room.left(ASKED, REFUSED)
    room.store.fails_on = stuck
    room.referral.silent_on = UUID(room.noted()[silent].request)
    younger = room.left(KEPT, REFUSED)
    with pytest.raises((StoreFailed, NoAnswer)):
        asyncio.run(room.sweeps(LONG_AFTER))
    assert set(room.noted()) == room.store.names() == {stuck, silent}
    assert younger not in room.noted()
    room.store.fails_on, room.referral.silent_on = "", None
    asyncio.run(room.sweeps(timedelta(0)))
    assert not room.noted()
    assert not room.store.names()


def test_one_infected_file_that_cannot_be_deleted_holds_up_no_other(room: Room) -> None:
    stuck, other = room.left(SETTLED), room.left(SETTLED)
    for hashed in (stuck, other):
        room.records.scanned(hashed, ScanState.INFECTED)
    room.store.fails_on = stuck
    with pytest.raises(StoreFailed):
        asyncio.run(room.tending.scan())
    assert room.store.names() == {stuck}
    assert {hashed: kept.state for hashed, kept in room.noted().items()} == {
        stuck: SETTLED, other: GONE,
    }  # fmt: skip


# -- what no scanner can look at --------------------------------------------------------------------


@contextlib.asynccontextmanager
async def a_scanner(says: bytes) -> AsyncIterator[tuple[Clamd, list[str]]]:
    """A scanner that says this of everything, and what it was shown."""
    shown: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        shown.append("a file")
        with contextlib.suppress(ConnectionError):
            writer.write(says)
            await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield Clamd(f"127.0.0.1:{server.sockets[0].getsockname()[1]}"), shown
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("erased", [True, False], ids=["its key is destroyed", "too large for it"])
def test_what_a_scanner_cannot_look_at_is_said_once_and_no_longer_waited_for(
    room: Room, erased: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work() -> None:
        async with a_scanner(b"INSTREAM size limit exceeded. ERROR\0") as (scanner, shown):
            scanning = Room(room.engine, room.home, room.clock, scanner)
            if erased:
                hashed = scanning.left(SETTLED)  # there never was a key
            else:
                await scanning.uploads()
                (hashed,) = scanning.noted()
            waiting: list[int] = []
            scanning.tending.when_looked = waiting.append
            for _ in range(3):
                await scanning.tending.scan()
                room.clock.move(timedelta(minutes=11))
            assert waiting == [1, 0, 0]
            assert len(shown) == 1
            assert scanning.noted()[hashed].scan == ScanState.UNSCANNABLE
            # Another start may be with another scanner, or wider limits.
            again = Room(room.engine, room.home, room.clock, scanner)
            async with again.tending.going_on():
                async with asyncio.timeout(5):
                    while len(shown) == 1:  # noqa: ASYNC110  # somebody else is asked
                        await asyncio.sleep(0.01)
            assert again.store.names() == {hashed}

    asyncio.run(work())
    assert capsys.readouterr().err.count("attachment_not_scanned") <= 2


def test_of_what_a_scanner_says_nothing_clear_it_is_asked_again_a_while_later(room: Room) -> None:
    async def work() -> None:
        async with a_scanner(b"Too many connections. ERROR\0") as (scanner, shown):
            scanning = Room(room.engine, room.home, room.clock, scanner)
            await scanning.uploads()
            for minutes in (0, 1, 10):
                room.clock.move(timedelta(minutes=minutes))
                await scanning.tending.scan()
            assert len(shown) == 2
            (kept,) = scanning.noted().values()
            assert kept.scan == ScanState.UNSCANNED

    asyncio.run(work())
