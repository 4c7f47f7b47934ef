"""Reading a durable pull consumer: one message as soon as it comes, and with it whatever has
already arrived.

Never waits to fill a batch: lowest latency on a trickle, largest batches under load. The client
library's own ``fetch`` waits for a whole batch or its timeout.
"""

import asyncio
import contextlib
import json
import math
from collections import deque
from collections.abc import Awaitable, Callable

import nats.errors
from nats.aio.msg import Msg

from runtime.broker import Bus
from runtime.observability import log

_EXPIRES = 2.0  # seconds; a request lost in a broker's restart is repeated after this


class Feed:
    """``provision`` is called at the start and whenever stream or consumer are gone (a broker that
    lost its folder): it creates what is missing."""

    def __init__(
        self, bus: Bus, stream: str, durable: str, provision: Callable[[], Awaitable[None]]
    ) -> None:
        self._bus = bus
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._provision = provision
        self._waiting: deque[Msg] = deque()
        self._arrived = asyncio.Event()
        self._requested = 0  # messages that the open pull request may still bring
        self._request = 0  # number of the newest pull request
        self._expired_at = 0.0  # when it certainly brings no more
        self._gone = False
        self._provisioning: asyncio.Task[None] | None = None
        self._inbox = ""

    async def open(self) -> None:
        await self._until_provisioned()
        self._inbox = self._bus.nc.new_inbox()
        await self._bus.nc.subscribe(f"{self._inbox}.*", cb=self._receive)

    async def take(self, most: int, patience: float | None = None) -> list[Msg]:
        """At least one message, at most ``most``; waits for the first only. With ``patience`` (in
        seconds) perhaps none."""
        loop = asyncio.get_running_loop()
        until = math.inf if patience is None else loop.time() + patience
        while not self._waiting:
            self._arrived.clear()
            if self._gone and self._provisioning is None:
                # Beside, not here: a cluster without a leader must not keep whoever has patience.
                self._gone = False
                self._provisioning = asyncio.create_task(self._provision_again())
            lost = self._requested <= 0 or loop.time() >= self._expired_at
            if lost and self._provisioning is None:
                await self._pull(most)
            # Not wait_for: in Python 3.11 a message at the same moment makes it lose a cancellation.
            with contextlib.suppress(TimeoutError):
                expected = math.inf if self._provisioning is not None else self._expired_at
                soonest = min(until, expected)
                async with asyncio.timeout_at(soonest if soonest < math.inf else None):
                    await self._arrived.wait()
            if not self._waiting and loop.time() >= until:
                return []
        taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        if self._requested <= 0:
            # Asked for before the batch is worked on, so that the next one arrives meanwhile.
            await self._pull(most)
        return taken

    async def _pull(self, most: int) -> None:
        self._request += 1
        self._requested = most
        self._expired_at = asyncio.get_running_loop().time() + _EXPIRES + 0.5
        ask = {"batch": most, "expires": int(_EXPIRES * 1e9)}
        with contextlib.suppress(nats.errors.Error):
            await self._bus.nc.publish(
                self._next, json.dumps(ask).encode(), reply=f"{self._inbox}.{self._request}"
            )

    async def _receive(self, message: Msg) -> None:
        if not message.subject.startswith(self._inbox):
            # Messages bear the stream's own subject, so they cannot be told apart by request: one
            # of an earlier request counts as of this one, and the next is made a little sooner.
            self._waiting.append(message)
            self._requested -= 1
        elif message.subject == f"{self._inbox}.{self._request}":
            # The server's word on the request itself. 503: nobody answers for the consumer; 409: it
            # was deleted. 404 and 408: nothing there.
            self._requested = 0
            self._gone = (message.headers or {}).get("Status") in ("503", "409")
        self._arrived.set()

    async def _provision_again(self) -> None:
        try:
            await self._until_provisioned()
        finally:
            self._provisioning = None
            self._requested = 0
            self._arrived.set()

    async def _until_provisioned(self) -> None:
        while True:
            try:
                await self._provision()
                return
            except (TimeoutError, nats.errors.Error, OSError):
                log("provisioning_failed", fault=True)
                await asyncio.sleep(0.5)
