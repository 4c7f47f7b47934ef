"""The console may be killed, or never started: referrals go on, the ledger stays whole, and what people
had looked at before is on record."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from runtime.clock import SystemClock
from runtime.database import open_database
from runtime.sole_writer import SoleWriter
from schemas.looks import LedgerPart, LookedAt
from services.console import tables as t
from services.console.looks import Looks
from services.console.person import Person, Role
from tests.builders import AUDITOR, BUNKYO, CORE, HUB, an_id
from tests.network import RunningNetwork, eventually, running_network, verified
from tests.partners import a_referral
from tests.record import check_everything

ANSHIN = "anshin-motofuji"
PAGES = 40


def a_person(agency: str) -> Person:
    until = datetime.max.replace(tzinfo=UTC)
    return Person(
        an_id(f"account of {agency}"), "mihon", "見本 花子", agency, Role.CORE, "0", until
    )


@contextlib.contextmanager
def the_looks_of(network: RunningNetwork) -> Iterator[Looks]:
    """As the console's process writes them, in its place and on its database: it is down."""
    engine = open_database(network.settings.database_url("console"))
    sole = SoleWriter(engine, t.writer, f"console-{BUNKYO.code}", wait_seconds=5)
    yield Looks(engine, sole.guard, BUNKYO, SystemClock(), lambda: None)
    sole.release()
    engine.dispose()


def test_looks_written_down_before_the_console_died_are_in_the_ledger_when_it_is_back(
    tmp_path: Path,
) -> None:
    with running_network(tmp_path, console=True) as network:
        sender, hub = network.partner(ANSHIN), network.partner(HUB)
        sent = sender.posts(a_referral())
        referral = UUID(sent.id)
        network.settle()

        async def look(looks: Looks) -> None:
            for _ in range(PAGES):
                await looks.record(a_person(CORE), referral, LookedAt.PAGE)
            await looks.record(a_person(HUB), referral, LookedAt.PERSONAL, "C1")
            await looks.record_of_ledger(a_person(AUDITOR), LedgerPart.VERIFY)

        with network.down("console"):
            assert hub.accepts(sent.handoff()).status == 200
            with the_looks_of(network) as looks:
                asyncio.run(look(looks))
            # Audit knows nothing of them yet, and misses nothing.
            assert network.is_up("audit")
            assert network.is_up("delivery")
            assert not network.is_up("console")
        eventually(lambda: network.is_up("console"), 30, "the console back")
        network.settle()
        told = json.loads(network.tsunagu("looks", sent.number, "--json").stdout)
        assert told["referral"] == sent.id
        assert [found["what"] for found in told["looks"]] == ["page"] * PAGES + ["personal"]
        last = told["looks"][-1]
        assert (last["agency"], last["basis"]) == (HUB, "C1")
        assert last["staff"] == str(an_id(f"account of {HUB}"))
        of_the_ledger = json.loads(network.tsunagu("looks", "--json").stdout)
        assert [found["what"] for found in of_the_ledger["looks"]] == ["verify"]
        assert "見本" not in network.tsunagu("looks", sent.number).stdout + network.logs()
        # It dies again, with everything published: nothing comes twice, nothing is missing.
        network.kill("console")
        network.await_ready()
        check_everything(network)
        assert verified(network)["whole"]
        # No agency is told of them, and no history has them.
        assert not [item for item in hub.whole_inbox() if "looked_at" in item["event"]["type"]]
        assert (
            len(network.rows("delivery", "SELECT id FROM events WHERE body LIKE '%looked_at%'"))
            == 0
        )
        replayed = json.loads(network.tsunagu("replay", sent.number, "--json").stdout)
        assert not [event for event in replayed["events"] if "looked_at" in event["type"]]


def test_whoever_asks_for_looks_at_what_is_not_there_is_told_so(tmp_path: Path) -> None:
    with running_network(tmp_path) as network:
        sent = network.partner(ANSHIN).posts(a_referral())
        network.settle()
        nobody = network.tsunagu("looks", sent.number, "--json")
        assert (nobody.returncode, json.loads(nobody.stdout)["looks"]) == (0, [])
        # As on the pages, a number may be typed without what is the same for all of the year.
        for command in ("looks", "replay"):
            full = network.tsunagu(command, sent.number, "--json").stdout
            for short in (str(int(sent.number[12:])), sent.number[12:], sent.number[7:]):
                assert network.tsunagu(command, short, "--json").stdout == full
        missing = network.tsunagu("looks", "131059-2026-999999")
        assert missing.returncode == 1
        assert "nothing on record" in missing.stderr
        # A network on which no console was ever started is whole.
        assert network.is_up("audit")
        check_everything(network)
