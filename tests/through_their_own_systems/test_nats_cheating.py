"""What a plain NATS client tries that is up to no good, and what stops each: nats-server's permissions,
the door, or the warden."""

import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import nats
import pytest
from nats.aio.client import Client

from schemas import subjects
from tests.network import RunningNetwork, running_network
from tests.partners import a_referral
from tests.through_their_own_systems.nats_partner import (
    WARD,
    Given,
    NatsPartner,
    a_credential,
    connected_as,
    let_in,
    told,
)

CHEAT, VICTIM = "anshin-komagome", "hub-komagome"

Story = Callable[[NatsPartner], Coroutine[None, None, None]]


@pytest.fixture(scope="module")
def given(network: RunningNetwork) -> Iterator[dict[str, Given]]:
    made = {agency: a_credential(network, agency) for agency in (CHEAT, VICTIM)}
    yield made
    for one in made.values():
        one.revoke()


@pytest.fixture
def play(network: RunningNetwork, given: dict[str, Given]) -> Callable[[Story], None]:
    async def playing(story: Story) -> None:
        async with (
            asyncio.timeout(30),
            connected_as(network, CHEAT, given[CHEAT].password) as cheat,
        ):
            await story(cheat)

    return lambda story: asyncio.run(playing(story))


# -- stopped by nats-server's permissions ---------------------------------------------------------


@pytest.mark.parametrize(
    "subject",
    [
        subjects.door(WARD, VICTIM, "submit_referral"),
        subjects.door(WARD, "*", "submit_referral"),
        subjects.door("131041", CHEAT, "submit_referral"),
        subjects.command(WARD, "submit_referral"),
        subjects.journal(WARD, "referral", "handoff_accepted"),
        subjects.journal(WARD, "delivery", "delivery_tested"),
        subjects.query(WARD, "referral", "read"),
        subjects.grew(WARD, "escalations"),
        subjects.carried(WARD, VICTIM),
        subjects.carried(WARD, CHEAT),
        f"{subjects.agency_replies(VICTIM)}.x",
        f"{subjects.replies('carrier')}.x",
        "$JS.API.STREAM.DELETE.COMMANDS",
        "$SYS.REQ.SERVER.PING.CONNZ",
        "$SYS.REQ.USER.AUTH",
        "$SYS.ACCOUNT.AGENCIES.CONNECT",
        "anything",
    ],
)
def test_nobody_publishes_but_as_itself(play: Callable[..., None], subject: str) -> None:
    async def story(cheat: NatsPartner) -> None:
        said = await cheat.denied(lambda: cheat.client.request(subject, b"{}", timeout=5))
        assert "permissions violation for publish" in said

    play(story)


@pytest.mark.parametrize(
    "subject",
    [
        ">",
        "*",
        "tsunagu.>",
        f"tsunagu.{WARD}.inbox.*",
        f"tsunagu.{WARD}.inbox.>",
        subjects.carried(WARD, VICTIM),
        subjects.door(WARD, CHEAT, ">"),
        subjects.door(WARD, VICTIM, ">"),
        subjects.all_journals(WARD),
        "_INBOX.>",
        f"{subjects.agency_replies(VICTIM)}.>",
        "*.>",
        "$SYS.>",
        "$SYS.REQ.USER.AUTH",
        "$JS.API.>",
        "$JS.EVENT.>",
    ],
)
def test_nobody_listens_but_to_its_own(play: Callable[..., None], subject: str) -> None:
    async def story(cheat: NatsPartner) -> None:
        for queue in ("", "intake"):
            said = await cheat.denied(lambda queue=queue: cheat.client.subscribe(subject, queue))  # type: ignore[misc]
            assert "permissions violation for subscription" in said

    play(story)


def test_an_event_is_answered_once_and_only_by_whom_it_was_sent_to(
    network: RunningNetwork, play: Callable[..., None]
) -> None:
    async def story(cheat: NatsPartner) -> None:
        carrier = await nats.connect(**network.nats("carrier"))
        came: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def keep(message: Any) -> None:
            came.set_result(message)

        await cheat.client.subscribe(subjects.carried(WARD, CHEAT), cb=keep)
        await cheat.client.flush()
        asking = asyncio.create_task(
            carrier.request(subjects.carried(WARD, CHEAT), b"{}", timeout=5)
        )
        message = await came
        await message.respond(b"received")
        assert (await asking).data == b"received"
        for reply in (message.reply, message.reply[:-1] + "x"):
            said = await cheat.denied(lambda reply=reply: cheat.client.publish(reply, b"again"))  # type: ignore[misc]
            assert "permissions violation for publish" in said
        await carrier.close()

    play(story)


def test_ten_megabytes_end_the_connection_and_nobody_elses(
    network: RunningNetwork, given: dict[str, Given], play: Callable[..., None]
) -> None:
    async def story(cheat: NatsPartner) -> None:
        async with connected_as(network, VICTIM, given[VICTIM].password) as other:
            cheat.client._max_payload = 100_000_000  # its own library would not send it
            await cheat.client.publish(subjects.door(WARD, CHEAT, "add_note", "x"), b"a" * 10**7)
            await _ended(cheat.client)
            assert (await other.call("read_directory")).status == 200

    play(story)


def test_a_client_for_posting_hears_no_events_and_no_other_clients_answers(
    network: RunningNetwork, given: dict[str, Given]
) -> None:
    """It could read what it may not, and acknowledge events for the client that they are for."""
    narrow = a_credential(network, CHEAT, ("post",))
    own = subjects.agency_replies(CHEAT, narrow.credential.id)

    async def story() -> None:
        async with connected_as(
            network, CHEAT, narrow.password, inbox_prefix=own.encode()
        ) as cheat:
            posted = await cheat.posts()
            assert posted.status == 201
            for subject in (
                subjects.carried(WARD, CHEAT),
                f"{subjects.agency_replies(CHEAT)}.>",
                f"{subjects.agency_replies(CHEAT)}.*",
                f"{subjects.agency_replies(CHEAT, given[CHEAT].credential.id)}.>",
            ):
                said = await cheat.denied(lambda subject=subject: cheat.client.subscribe(subject))  # type: ignore[misc]
                assert "permissions violation for subscription" in said

    asyncio.run(story())
    narrow.revoke()


# -- stopped by the door --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        f"{subjects.agency_replies(VICTIM)}.x",
        f"{subjects.agency_replies(CHEAT)}x.y",
        f"{subjects.agency_replies(CHEAT)}.*",
        f"{subjects.agency_replies(CHEAT)}.>",
        subjects.agency_replies(CHEAT),
        subjects.carried(WARD, VICTIM),
        subjects.door(WARD, VICTIM, "submit_referral"),
        subjects.command(WARD, "submit_referral"),
        f"{subjects.replies('carrier')}.x",
        "$SYS.REQ.USER.AUTH",
        "elsewhere",
    ],
)
def test_the_door_answers_nowhere_but_to_whom_asked(
    network: RunningNetwork,
    given: dict[str, Given],
    play: Callable[..., None],
    reply: str,
) -> None:
    """Whoever could choose where the door answers could have it speak where it may not itself."""

    def answered() -> float:
        page = httpx.get(f"{network.url}/metrics").text
        (line,) = re.findall(r'requests_total{call="read_directory",status="200"} (.*)', page)
        return float(line)

    async def story(cheat: NatsPartner) -> None:
        assert (await cheat.call("read_directory")).status == 200  # the door is at work
        before = answered()
        async with connected_as(network, VICTIM, given[VICTIM].password) as victim:
            heard: list[Any] = []

            async def hear(message: Any) -> None:
                heard.append(message)

            for subject in (subjects.carried(WARD, VICTIM), f"{_replies(VICTIM)}.>"):
                await victim.client.subscribe(subject, cb=hear)
            await victim.client.flush()
            asked = subjects.door(WARD, CHEAT, "read_directory")
            await cheat.client.publish(asked, b"", reply=reply)
            until = time.monotonic() + 5
            while answered() == before:
                assert time.monotonic() < until
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.1)
            assert heard == []

    play(story)


def _replies(agency: str) -> str:
    return subjects.agency_replies(agency)


def test_a_wildcard_in_a_door_subject_is_a_call_that_there_is_not(
    play: Callable[..., None],
) -> None:
    async def story(cheat: NatsPartner) -> None:
        for call in ("*", ">", "submit_referral.*"):
            inbox = cheat.client.new_inbox()
            answers = await cheat.client.subscribe(inbox)
            await cheat.client.publish(subjects.door(WARD, CHEAT, call), b"", reply=inbox)
            assert told(await answers.next_msg(timeout=5)).code == "not_found"

    play(story)


def test_what_is_another_agencys_is_not_read_by_naming_it(
    network: RunningNetwork, play: Callable[..., None]
) -> None:
    theirs = network.partner("anshin-otsuka").posts(a_referral())

    async def story(cheat: NatsPartner) -> None:
        for name in ("read_referral", "read_history"):
            assert (await cheat.call(name, theirs.id)).code == "not_involved"
        body = {"agency": VICTIM, "after": 0}
        answer = await cheat.call("read_inbox", body=body)
        mine = await cheat.call("read_inbox", body={"after": 0})
        assert answer.status == 422 or answer.raw == mine.raw

    play(story)


# -- stopped by the warden ------------------------------------------------------------------------


def test_who_does_not_know_the_password_of_the_agency_is_not_let_in(
    network: RunningNetwork, given: dict[str, Given]
) -> None:
    async def story() -> None:
        servers = network.nats()["servers"]
        for agency in (CHEAT, VICTIM):
            async with connected_as(network, agency, given[agency].password):
                pass  # the network knows the credential
        for user, password in (
            (CHEAT, "wrong"),
            (CHEAT, ""),
            (CHEAT, given[VICTIM].password),
            (VICTIM, given[CHEAT].password),
            ("", given[CHEAT].password),
            ("nobody", given[CHEAT].password),
            ("intake", "wrong"),
            ("warden", given[CHEAT].password),
            (f"{CHEAT}/x", given[CHEAT].password),
        ):
            how = {"servers": servers, "user": user, "password": password}
            assert await let_in(**how, allow_reconnect=False, error_cb=_nothing) is None, user
        assert await let_in(servers=servers, allow_reconnect=False, error_cb=_nothing) is None
        token = {"servers": servers, "token": given[CHEAT].password}
        assert await let_in(**token, allow_reconnect=False, error_cb=_nothing) is None

    asyncio.run(story())


async def _nothing(_: Exception) -> None:
    pass


def test_a_revoked_credentials_connections_end_within_a_second_and_no_others(
    network: RunningNetwork, given: dict[str, Given]
) -> None:
    taken = a_credential(network, CHEAT)

    async def story() -> None:
        async with (
            connected_as(network, CHEAT, taken.password) as one,
            connected_as(network, CHEAT, taken.password) as two,
            connected_as(network, CHEAT, given[CHEAT].password) as by_another,
            connected_as(network, VICTIM, given[VICTIM].password) as other,
        ):
            began = time.monotonic()
            taken.revoke()
            for ended in (one, two):
                await _ended(ended.client)
            assert time.monotonic() - began < 1.0
            for stays in (by_another, other):
                assert (await stays.call("read_directory")).status == 200
            assert await _comes_back(network, taken) is None

    asyncio.run(story())


async def _comes_back(network: RunningNetwork, given: Given) -> Client | None:
    return await let_in(
        servers=network.nats()["servers"],
        user=given.credential.agency,
        password=given.password,
        allow_reconnect=False,
        error_cb=_nothing,
    )


async def _ended(client: Client) -> None:
    until = time.monotonic() + 5
    while client.is_connected:
        assert time.monotonic() < until, "the connection goes on"
        await asyncio.sleep(0.005)


def test_what_was_revoked_while_intake_was_away_ends_when_it_is_back(tmp_path: Path) -> None:
    with running_network(tmp_path) as network:
        given = a_credential(network, CHEAT)

        async def story() -> None:
            async with connected_as(network, CHEAT, given.password) as cheat:
                with network.down("intake"):
                    given.revoke()
                    await asyncio.sleep(0.5)
                    assert cheat.client.is_connected, "nobody could end it yet"
                await asyncio.to_thread(network.await_ready)
                await _ended(cheat.client)

        asyncio.run(story())


def test_an_agency_that_has_left_the_ward_is_put_out_and_not_let_in(tmp_path: Path) -> None:
    ward = tmp_path / "ward.toml"
    text = Path("wards/bunkyo.toml").read_text("utf-8")
    at = text.index(f'id = "{CHEAT}"')
    begins = text.index("valid_from", at)
    line = text[begins : text.index("\n", begins)]
    ward.write_text(
        text[:begins] + line + "\nvalid_to = 2030-03-31" + text[begins + len(line) :], "utf-8"
    )
    with running_network(tmp_path / "home", ward=ward, clock_shift=True) as network:
        given = a_credential(network, CHEAT)

        async def story() -> None:
            async with connected_as(network, CHEAT, given.password) as cheat:
                network.move_clock(timedelta(days=365 * 4))
                until = time.monotonic() + 15  # it is looked for every few seconds
                while cheat.client.is_connected:
                    assert time.monotonic() < until
                    await asyncio.sleep(0.05)
                assert await _comes_back(network, given) is None

        asyncio.run(story())


# -- one of our own that was taken over -------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "subject"),
    [
        ("delivery", subjects.command(WARD, "submit_referral")),
        ("delivery", subjects.journal(WARD, "referral", "handoff_accepted")),
        ("delivery", subjects.query(WARD, "referral", "read")),
        ("delivery", "$JS.API.STREAM.DELETE.COMMANDS"),
        ("audit", subjects.command(WARD, "submit_referral")),
        ("audit", subjects.journal(WARD, "delivery", "delivery_tested")),
        ("audit", subjects.query(WARD, "referral", "read")),
        ("intake", subjects.journal(WARD, "referral", "handoff_accepted")),
        ("intake", "$JS.API.STREAM.DELETE.JOURNALS"),
        ("intake", "$JS.API.CONSUMER.DELETE.JOURNALS.audit-131059"),
        # A stream over the questions would answer them all; one that sources another reads it.
        ("intake", "$JS.API.STREAM.CREATE.OBJ_over_questions"),
        ("intake", "$JS.API.STREAM.CREATE.OBJ_attachments"),
        ("intake", "$JS.API.STREAM.UPDATE.OBJ_attachments"),
        ("delivery", "$JS.API.STREAM.CREATE.OBJ_over_questions"),
        ("audit", "$JS.API.STREAM.CREATE.OBJ_over_questions"),
        ("referral", subjects.command(WARD, "submit_referral")),
        ("referral", subjects.journal(WARD, "delivery", "delivery_tested")),
        ("door", subjects.carried(WARD, VICTIM)),
        ("carrier", subjects.door(WARD, VICTIM, "submit_referral")),
        ("warden", subjects.command(WARD, "submit_referral")),
    ],
)
def test_no_service_speaks_as_another(network: RunningNetwork, login: str, subject: str) -> None:
    async def story() -> None:
        said: list[str] = []

        async def note(error: Exception) -> None:
            said.append(str(error))

        client = await nats.connect(**network.nats(login), error_cb=note)
        await client.publish(subject, b"{}")
        await client.flush()
        await asyncio.sleep(0.05)
        await client.close()
        assert any("permissions violation for publish" in one for one in said), said

    asyncio.run(story())


@pytest.mark.parametrize("login", ["intake", "delivery", "audit", "door", "carrier", "warden"])
def test_no_service_hears_the_answers_meant_for_another(
    network: RunningNetwork, login: str
) -> None:
    async def story() -> None:
        said: list[str] = []

        async def note(error: Exception) -> None:
            said.append(str(error))

        client = await nats.connect(**network.nats(login), error_cb=note)
        wanted = ("_INBOX.>", ">", "tsunagu.>", f"{subjects.replies('referral')}.>")
        for subject in wanted:
            await client.subscribe(subject)
        await client.flush()
        await asyncio.sleep(0.05)
        await client.close()
        assert sum("permissions violation for subscription" in s for s in said) == len(wanted)

    asyncio.run(story())
