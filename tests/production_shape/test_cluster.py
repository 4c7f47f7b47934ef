"""The cluster of compose.yaml, for real: three nodes that know one another and keep what they said."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import nats.errors
import pytest

from runtime.broker import Bus, NotDurable, commands_stream, ensure_stream
from runtime.settings import Settings
from tests.production_shape.shape import Cluster, cluster

T = TypeVar("T")


@pytest.mark.slow
def test_a_command_acknowledged_by_the_cluster_outlives_any_one_node(tmp_path: Path) -> None:
    with cluster(tmp_path) as nodes:
        asyncio.run(_outlives(nodes))


async def _outlives(nodes: Cluster) -> None:
    settings = Settings(nats_url=nodes.urls, nats_logins=nodes.secrets, replicas=3)
    bus, intake = Bus(settings, "referral"), Bus(settings, "intake")
    await bus.connect()
    await intake.connect()
    commands = commands_stream("COMMANDS", "tsunagu.*.command.>", 3)
    before, after = "tsunagu.131059.command.before", "tsunagu.131059.command.after"
    try:
        await _in_the_end(lambda: ensure_stream(bus.js, commands))
        await _in_the_end(lambda: intake.publish(before, b"{}", {"Nats-Msg-Id": before}))
        stream = await _in_the_end(lambda: bus.js.stream_info("COMMANDS"))
        assert stream.config.num_replicas == 3
        assert stream.cluster is not None
        assert stream.cluster.leader is not None
        assert len(stream.cluster.replicas or []) == 2

        nodes.kill(stream.cluster.leader)
        await _in_the_end(lambda: intake.publish(after, b"{}", {"Nats-Msg-Id": after}))
        stream = await _in_the_end(lambda: bus.js.stream_info("COMMANDS"))
        assert stream.state.messages >= 2
        kept = await _in_the_end(lambda: bus.js.get_last_msg("COMMANDS", before))
        assert kept.data == b"{}"
    finally:
        await bus.close()
        await intake.close()


async def _in_the_end(act: Callable[[], Awaitable[T]]) -> T:
    """While the nodes elect a leader there is no answer, so nobody is told 201; a service goes on
    asking, and so do we."""
    async with asyncio.timeout(90):
        while True:
            try:
                return await act()
            except (nats.errors.Error, NotDurable, OSError):
                await asyncio.sleep(0.2)
