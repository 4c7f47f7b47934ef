"""Which connections may stay, by what nats-server lists; and that a part which starts again leaves
nothing of before."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import nats
from sqlalchemy import Engine

from runtime.clock import SystemClock
from runtime.nats_issuer import KEY_FILE, Issuer
from schemas import subjects
from schemas.logins import CONNECTIONS, SYSTEM
from services.intake.access.nats_clients import NatsClients
from services.intake.access.nats_connections import MOST, RENEWED, Connections, Listed
from services.intake.access.parts import open_door
from services.intake.metrics import Metrics
from services.intake.warden import Warden
from tests.builders import BUNKYO
from tests.nats import a_nats_server

LIMITS = BUNKYO.limits
HUB = "hub-komagome"


def listed(number: int, seconds: float = 1, sent: float = 0) -> Listed:
    return Listed(number, HUB, "credential", seconds, sent)


def test_an_agency_has_as_many_as_were_let_in_and_are_not_gone() -> None:
    connections = Connections(LIMITS)
    for number in range(MOST):
        assert connections.has_room(HUB, "credential", 0)
        connections.let_in("one", number, HUB, 0)
    assert not connections.has_room(HUB, "credential", 0)
    assert connections.has_room("hub-otsuka", "another", 0)
    connections.left("one", 3)
    assert connections.has_room(HUB, "credential", 0)
    # On several servers, together; who was let in a moment ago need not be listed yet.
    assert connections.listed("two", [listed(number) for number in range(MOST)], 1) == []
    assert not connections.has_room(HUB, "credential", 1)
    connections.listed("two", [], 2)
    connections.listed("one", [], 2)
    assert connections.has_room(HUB, "credential", 2)
    connections.listed("one", [], 60)
    for number in range(MOST):
        assert connections.has_room(HUB, "credential", 60)
        connections.let_in("one", number, HUB, 60)


def test_a_flood_is_ended_and_its_credential_kept_out_for_a_while() -> None:
    connections = Connections(LIMITS)
    rate = LIMITS.requests_per_second * 50
    # Seen for the first time: how long it took to send that much is not known.
    assert connections.listed("one", [listed(1, sent=9 * rate)], 0) == []
    assert connections.listed("one", [listed(1, sent=10 * rate)], 1) == []
    assert connections.listed("one", [listed(1, sent=10 * rate + rate - 1)], 1.01) == []
    flooding = listed(1, sent=13 * rate)
    assert connections.listed("one", [flooding], 2) == [(flooding, "flood")]
    assert not connections.has_room(HUB, "credential", 30)
    assert connections.has_room(HUB, "another of the same agency", 30)
    assert connections.has_room(HUB, "credential", 63)


def test_who_was_let_in_long_ago_connects_anew_before_nats_server_ends_it() -> None:
    connections = Connections(LIMITS)
    old, young = listed(1, RENEWED + 1), listed(2, RENEWED - 1)
    assert connections.listed("one", [old, young], 0) == [(old, "renewed")]
    assert connections.has_room(HUB, "credential", 1)


def test_a_warden_that_starts_again_connects_anew_and_leaves_nothing_behind(
    tmp_path: Path, database_of: Callable[[str], Engine]
) -> None:
    with a_nats_server(tmp_path) as settings:
        clock = SystemClock()
        access = open_door(settings, BUNKYO, clock, database_of("intake"), Metrics())
        clients = NatsClients(BUNKYO, access.watched, access.callers, (), clock)
        warden = Warden(settings, Issuer(settings.keys / KEY_FILE), clients, LIMITS)

        async def there() -> list[int]:
            """Of each connection of the warden, how much it listens to."""
            asking = await nats.connect(
                settings.nats_url,
                user="warden",
                password=settings.nats_password("warden"),
                inbox_prefix=subjects.replies("warden").encode(),
                name="a test",
            )
            wanted = json.dumps({"acc": SYSTEM, "auth": True}).encode()
            told = json.loads((await asking.request(CONNECTIONS, wanted)).data)["data"]
            await asking.close()
            return [c["subscriptions"] for c in told["connections"] if c.get("name") == "warden"]

        async def story() -> None:
            listens: list[list[int]] = []
            for _ in range(3):
                running = asyncio.create_task(warden.run())
                await asyncio.sleep(0.5)
                listens.append(await there())
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running
            assert len(listens[0]) == 1
            assert listens[0] == listens[1] == listens[2]

        asyncio.run(story())
