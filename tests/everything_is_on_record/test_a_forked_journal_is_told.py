"""What contradicts the record is set aside, counted and told; it never stops what is genuine."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from runtime import dead_letters
from runtime.database import writing
from runtime.settings import Settings
from schemas.journal import JournalEntry
from services.referral import tables as referral
from tests.builders import an_id
from tests.everything_is_on_record.test_journal import (
    OFTEN,
    SUBJECT,
    Auditor,
    Play,
    Producer,
    a_feed,
    a_journal,
    engines,
    nats,
    play,
    put,
)
from tests.nats import connected, meanwhile, until

__all__ = ["engines", "nats", "play"]  # fixtures


def another(entry: JournalEntry, name: str) -> JournalEntry:
    """As a journal that was put back to an older state gives its number out again."""
    return entry.model_copy(update={"id": an_id(name)})


def test_a_number_that_was_taken_in_as_another_entry_is_set_aside_counted_and_told(
    play: Play,
) -> None:
    journal = a_journal(2)
    forked = another(journal[1], "forked")

    async def story(producer: Producer, auditor: Auditor) -> None:
        producer.write(journal)
        async with meanwhile(auditor.reader.run()):
            await put(producer, *journal[:4])
            await until(lambda: auditor.has(journal[:4]))
            assert auditor.reader.whole
            await put(producer, forked, *journal[4:])
            await until(lambda: auditor.has(journal))

    auditor = play(story)
    assert auditor.dead_letters() == [("its number was given to another entry", forked.to_json())]
    assert auditor.reader.contradictions == 1
    assert auditor.reader.whole is False


def test_an_entry_that_comes_again_contradicts_nothing(play: Play) -> None:
    journal = a_journal(1)

    async def story(producer: Producer, auditor: Auditor) -> None:
        await producer.provision()
        producer.write(journal)
        for _ in range(2):
            for entry in journal:
                await producer.bus.js.publish(SUBJECT, entry.to_json())  # no message id
        async with meanwhile(auditor.reader.run()):
            await until(lambda: auditor.has(journal))
            await producer.bus.js.publish(SUBJECT, b"the end")
            await until(lambda: auditor.dead_letters() != [])

    auditor = play(story)
    assert [body for _, body in auditor.dead_letters()] == [b"the end"]
    assert auditor.reader.whole


def test_a_journal_that_grew_shorter_is_told_until_it_is_long_enough_again(play: Play) -> None:
    journal = a_journal(2)
    table = referral.journal.journal

    async def story(producer: Producer, auditor: Auditor) -> None:
        producer.write(journal)
        await put(producer, *journal)
        async with meanwhile(auditor.reader.run()):
            await until(lambda: auditor.has(journal))
            with writing(producer.engine) as connection:
                connection.execute(sa.delete(table).where(table.c.number > 4))
            await until(lambda: auditor.reader.receded == {"referral"})
            assert auditor.reader.whole is False
            producer.write(journal[4:])
            await until(lambda: auditor.reader.whole)

    assert play(story, check_every=OFTEN).dead_letters() == []


def test_the_next_number_with_an_id_that_is_on_record_is_set_aside_and_the_genuine_entry_taken_in(
    play: Play,
) -> None:
    journal = a_journal(2)
    forged = journal[4].model_copy(update={"id": journal[0].id})

    async def story(producer: Producer, auditor: Auditor) -> None:
        producer.write(journal)
        async with meanwhile(auditor.reader.run()):
            await put(producer, *journal[:4])
            await until(lambda: auditor.has(journal[:4]))
            await producer.bus.js.publish(SUBJECT, forged.to_json())
            await put(producer, *journal[4:])
            await until(lambda: auditor.has(journal))

    auditor = play(story)
    assert auditor.dead_letters() == [("contradicts what is on record", forged.to_json())]


def test_what_contradicts_is_counted_once_however_often_its_batch_is_tried(play: Play) -> None:
    journal = a_journal(2)
    forked, forged = (
        another(journal[1], "forked"),
        journal[4].model_copy(update={"id": journal[0].id}),
    )

    async def story(producer: Producer, auditor: Auditor) -> None:
        producer.write(journal)
        async with meanwhile(auditor.reader.run()):
            await put(producer, *journal[:4])
            await until(lambda: auditor.has(journal[:4]))
        # All in one batch, which fails as a whole and is then tried one by one.
        await put(producer, forked)
        await producer.bus.js.publish(SUBJECT, forged.to_json())
        await put(producer, *journal[4:])
        auditor._start()
        async with meanwhile(auditor.reader.run()):
            await until(lambda: auditor.has(journal))

    auditor = play(story)
    assert [body for _, body in auditor.dead_letters()] == [forked.to_json(), forged.to_json()]
    assert auditor.reader.contradictions == 1


def test_a_database_that_fails_while_something_is_set_aside_is_tried_again(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = a_journal(2)
    forged = journal[4].model_copy(update={"id": journal[0].id})
    bury, failed = dead_letters.bury, []

    def failing_once(*what: Any) -> None:
        if not failed:
            failed.append(what)
            raise sa.exc.OperationalError("", {}, Exception("database is locked"))
        bury(*what)

    monkeypatch.setattr(dead_letters, "bury", failing_once)

    async def story(producer: Producer, auditor: Auditor) -> None:
        producer.write(journal)
        async with meanwhile(auditor.reader.run()):
            await put(producer, *journal[:4])
            await until(lambda: auditor.has(journal[:4]))
            await producer.bus.js.publish(SUBJECT, forged.to_json())
            await put(producer, *journal[4:])
            await until(lambda: auditor.has(journal))

    auditor = play(story)
    assert failed
    assert forged.to_json() in [body for _, body in auditor.dead_letters()]


def test_an_empty_message_that_looks_like_the_servers_own_word_is_set_aside_like_any_garbage(
    play: Play,
) -> None:
    journal = a_journal(1)

    async def story(producer: Producer, auditor: Auditor) -> None:
        producer.write(journal)
        await producer.provision()
        for status in ("503", "409", "404"):
            await producer.bus.js.publish(SUBJECT, b"", headers={"Status": status})
        await put(producer, *journal)
        async with meanwhile(auditor.reader.run()):
            await until(lambda: auditor.has(journal))
            await until(lambda: len(auditor.dead_letters()) == 3)

    auditor = play(story)
    assert {body for _, body in auditor.dead_letters()} == {b""}
    assert all(reason.startswith("unreadable: ") for reason, _ in auditor.dead_letters())
    assert auditor.gaps == []


def test_a_feed_gives_an_empty_message_with_a_status_as_it_came(nats: Settings) -> None:
    async def story() -> None:
        async with connected(nats, "tester") as bus, asyncio.timeout(30):
            feed = await a_feed(bus)
            await bus.js.publish(SUBJECT, b"", headers={"Status": "503"})
            (message,) = await feed.take(4)
            assert (message.subject, message.data) == (SUBJECT, b"")
            await message.ack()
            await bus.js.publish(SUBJECT, b"next")
            assert [message.data for message in await feed.take(4)] == [b"next"]

    asyncio.run(story())
