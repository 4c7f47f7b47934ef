"""A key that does not fit its database is refused before anything is lost to it."""

import asyncio
import tomllib
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from runtime.credentials import Credentials, Kind, hashed
from runtime.database import writing
from runtime.keys import KeyFileError
from services.audit.ledger import Ledger
from services.intake import tables as intake
from services.intake.access.first_keys import hand_out
from services.intake.key_store import KeyStore, KeyStoreFailed
from tests.book import Book
from tests.builders import BUNKYO, CORE, HUB, Town, a_referral
from tests.databases import refusing
from wards.model import Ward

RIGHT, WRONG = bytes(range(32)), b"w" * 32
PERSON = uuid.uuid5(uuid.NAMESPACE_OID, "person")


@pytest.fixture
def key_store(database_of: Callable[[str], Engine]) -> Engine:
    """Written with the right key."""
    engine = database_of("intake")
    asyncio.run(KeyStore(engine, RIGHT).key_for(PERSON))
    return engine


def test_a_key_store_starts_with_its_own_key_and_not_with_another(key_store: Engine) -> None:
    KeyStore(key_store, RIGHT).check()
    with pytest.raises(KeyFileError, match=r"key-encryption\.key"):
        KeyStore(key_store, WRONG).check()


def test_a_key_store_without_data_keys_starts_with_any_key(
    database_of: Callable[[str], Engine],
) -> None:
    engine = database_of("intake")
    for key in (RIGHT, WRONG):
        KeyStore(engine, key).check()


def test_a_data_key_that_cannot_be_unwrapped_fails_and_leaves_nobody_waiting(
    key_store: Engine,
) -> None:
    """Not the database fails here, but what is done with its rows."""

    async def story() -> None:
        keys = KeyStore(key_store, WRONG)
        async with asyncio.timeout(10):
            asked = [keys.key_for(PERSON) for _ in range(3)]
            told = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(error) for error in told] == [KeyStoreFailed] * 3
            with pytest.raises(KeyStoreFailed):
                await keys.find(PERSON)
            assert len(await keys.key_for(uuid.uuid4())) == 32  # and its worker goes on

    asyncio.run(story())


def test_a_key_store_that_cannot_be_written_fails_and_leaves_nobody_waiting(
    key_store: Engine,
) -> None:
    async def story() -> None:
        keys = KeyStore(key_store, RIGHT)
        someone = uuid.uuid4()
        async with asyncio.timeout(10):
            with refusing(key_store, intake.data_keys):
                asked = [keys.key_for(someone), keys.key_for(uuid.uuid4())]
                told = await asyncio.gather(*asked, return_exceptions=True)
                assert [type(error) for error in told] == [KeyStoreFailed] * 2
            key = await keys.key_for(someone)
            assert await keys.find(someone) == key

    asyncio.run(story())


def test_a_key_store_that_cannot_be_read_says_so(key_store: Engine) -> None:
    with writing(key_store) as connection:
        connection.execute(sa.DDL("DROP TABLE data_keys"))
    with pytest.raises(KeyStoreFailed):
        asyncio.run(KeyStore(key_store, RIGHT).find(PERSON))


def test_a_ledger_opens_with_the_key_that_signed_it_and_not_with_another(
    database_of: Callable[[str], Engine], clock: ManualClock
) -> None:
    engine = database_of("audit")
    other = Ed25519PrivateKey.from_private_bytes(WRONG)
    Ledger(engine, BUNKYO.code, other, clock)  # nothing is signed yet
    book, town = Book(engine, clock), Town()
    a_referral(town=town).accepted_by(HUB)
    book.append(town.entries)
    book.ledger.sign()
    book.reopen()
    assert book.ledger.signed == len(town.entries)
    with pytest.raises(KeyFileError, match=r"ledger\.key"):
        Ledger(engine, BUNKYO.code, other, clock)
    assert len(book.checkpoints()) == 1
    assert book.verified().kind is None


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644])
def test_agency_keys_that_others_can_read_are_refused(
    database_of: Callable[[str], Engine], clock: ManualClock, tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "keys.toml"
    credentials = Credentials(database_of("intake"), intake.credentials, clock)
    hand_out(path, BUNKYO, credentials)
    told = path.read_bytes()
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=r"keys\.toml.*chmod 600"):
        hand_out(path, BUNKYO, credentials)
    path.chmod(0o600)
    hand_out(path, BUNKYO, credentials)
    assert path.read_bytes() == told


def test_first_keys_are_made_once_and_for_newcomers_and_never_again_for_whoever_had_one(
    database_of: Callable[[str], Engine], clock: ManualClock, tmp_path: Path
) -> None:
    path = tmp_path / "keys.toml"
    credentials = Credentials(database_of("intake"), intake.credentials, clock)
    before = {name: getattr(BUNKYO, name) for name in Ward.model_fields}
    fewer = tuple(agency for agency in BUNKYO.agencies if agency.id != HUB)
    hand_out(path, BUNKYO.model_construct(**{**before, "agencies": fewer}), credentials)
    first = tomllib.loads(path.read_text("utf-8"))
    assert first.keys() == {agency.id for agency in fewer}
    for credential in credentials.all(CORE):
        credentials.revoke(credential.id)
    for _ in range(2):
        hand_out(path, BUNKYO, credentials)
    told = tomllib.loads(path.read_text("utf-8"))
    assert {**told, HUB: None} == {**first, HUB: None}
    kept = {c.agency: c.material for c in credentials.all(kind=Kind.API_KEY)}
    assert kept == {agency: hashed(key) for agency, key in told.items()}
    assert len(credentials.all()) == len(told), "and nobody has two"
    assert [c.revoked_at is None for c in credentials.all(CORE)] == [False]


def test_intakes_that_start_together_agree_on_the_first_keys(
    database_of: Callable[[str], Engine], clock: ManualClock, tmp_path: Path
) -> None:
    path, engine = tmp_path / "keys.toml", database_of("intake")
    with ThreadPoolExecutor(4) as together:
        for done in [
            together.submit(hand_out, path, BUNKYO, Credentials(engine, intake.credentials, clock))
            for _ in range(4)
        ]:
            done.result()
    told = tomllib.loads(path.read_text("utf-8"))
    credentials = Credentials(engine, intake.credentials, clock)
    kept = {c.agency: c.material for c in credentials.all()}
    assert kept == {agency: hashed(key) for agency, key in told.items()}
    assert len(credentials.all()) == len(BUNKYO.agencies)
