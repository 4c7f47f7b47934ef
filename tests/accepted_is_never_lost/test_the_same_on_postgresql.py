"""One journey with deaths in it on the production database; the rest of the suite is on SQLite."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.databases import PostgresServer
from tests.network import EVERYTHING, SERVICES, RunningNetwork, eventually, running_network
from tests.partners import a_referral
from tests.record import check_everything


@pytest.fixture
def network(postgresql: PostgresServer, tmp_path: Path) -> Iterator[RunningNetwork]:
    url = sa.make_url(postgresql.url())
    database = url.render_as_string().replace(str(url.database), "journey_{service}")
    try:
        with running_network(tmp_path, database=database) as running:
            yield running
    finally:
        for service in (*SERVICES, "keys"):
            postgresql.drop(database.format(service=service))


def test_a_journey_on_postgresql_survives_the_death_of_everybody(network: RunningNetwork) -> None:
    sender, hub = network.partner("anshin-motofuji"), network.partner("hub-motofuji")
    key = str(uuid.uuid4())
    first = sender.posts(a_referral().having(sender_reference="PG-1"), key=key)
    assert first.status == 201
    assert hub.accepts(first.handoff(), text="受けます\u0000").status == 200
    for name in EVERYTHING:
        network.kill(name)
    network.await_ready()
    again = sender.posts(a_referral().having(sender_reference="PG-1"), key=key)
    assert (again.status, again.raw) == (201, first.raw)
    offered = hub.offers(first.id, "sample-home", "sample-hospital")
    assert network.partner("sample-home").accepts(offered.handoff("sample-home")).status == 200
    assert hub.lists(stage="in_care").body["items"][0]["id"] == first.id
    with network.down("referral"):
        pending = sender.posts(a_referral(), prefer="respond-async")
        assert pending.status == 202
    network.await_ready()
    # What the dead writer had asked for comes again after the broker's ack_wait.
    place = pending.headers["location"]
    eventually(lambda: sender.get(place).status == 201, 30, "the accepted command to be decided")
    network.settle()
    got = network.partner("sample-home").reads(first.number).body
    assert (got["custodian"], got["person"]["name"]) == ("sample-home", "文京 太郎")
    figures = check_everything(network)
    assert figures["referrals"] == 2
    done = network.tsunagu("replay", first.number, "--json")
    assert done.returncode == 0
    assert not (network.home / "data" / "referral.db").exists()
