"""The cluster of compose.yaml, for real: three nodes that know one another and keep what they said."""

import asyncio
from pathlib import Path

import pytest

from runtime.broker import Bus, commands_stream, ensure_stream
from runtime.settings import Settings
from tests.production_shape.shape import Cluster, cluster


@pytest.mark.slow
def test_a_command_acknowledged_by_the_cluster_outlives_any_one_node(tmp_path: Path) -> None:
    with cluster(tmp_path) as nodes:
        asyncio.run(_outlives(nodes))


async def _outlives(nodes: Cluster) -> None:
    bus = Bus(
        Settings(
            nats_url=nodes.urls,
            nats_user="tsunagu",
            nats_password_file=nodes.password_file,
            replicas=3,
        ),
        "test",
    )
    await bus.connect()
    try:
        await ensure_stream(bus.js, commands_stream("COMMANDS", "tsunagu.*.command.>", 3))
        await bus.publish("tsunagu.131059.command.before", b"{}", {})
        stream = await bus.js.stream_info("COMMANDS")
        assert stream.config.num_replicas == 3
        assert stream.cluster is not None
        assert stream.cluster.leader is not None
        assert len(stream.cluster.replicas or []) == 2

        nodes.kill(stream.cluster.leader)
        await _published_in_the_end(bus, "tsunagu.131059.command.after")
        stream = await bus.js.stream_info("COMMANDS")
        assert stream.state.messages >= 2
        kept = await bus.js.get_last_msg("COMMANDS", "tsunagu.131059.command.before")
        assert kept.data == b"{}"
    finally:
        await bus.close()


async def _published_in_the_end(bus: Bus, subject: str) -> None:
    """While the others elect a leader there is no acknowledgement, so nobody is told 201."""
    async with asyncio.timeout(30):
        while True:
            try:
                await bus.publish(subject, b"{}", {"Nats-Msg-Id": subject})
                return
            except Exception:
                await asyncio.sleep(0.2)
