"""Intake's way to the other services: commands by JetStream, their answers, and questions.

The JetStream acknowledgement is the durable moment. Only after it may a partner be told 201 or 202.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable

from nats.aio.msg import Msg
from pydantic import BaseModel, ValidationError

from runtime.broker import Bus, NoAnswer, NotDurable
from schemas import queries as q
from schemas import subjects
from schemas.commands import Answer, Command

PATIENCE = 2.0
"""Seconds that a partner waits for a decision before it is told 202."""


class Gateway:
    def __init__(self, bus: Bus, ward: str) -> None:
        self._bus = bus
        self._ward = ward
        self._inbox = f"{bus.replies}.{secrets.token_hex(12)}"
        self._awaited: dict[str, asyncio.Future[Answer]] = {}
        self._count = 0
        self._open = False
        self._heard: Callable[[str], None] = lambda _: None

    def when_heard(self, heard: Callable[[str], None]) -> None:
        """``heard`` is told what grew (``escalations``, ``inbox.<agency>``). To be said before
        ``open``."""
        self._heard = heard

    async def open(self) -> None:
        """Connect; comes back when there is a broker to talk to."""
        await self._bus.connect()
        await self._bus.nc.subscribe(f"{self._inbox}.*", cb=self._receive)
        for what in ("escalations", "inbox.*"):
            await self._bus.nc.subscribe(subjects.grew(self._ward, what), cb=self._hear)
        self._open = True

    async def close(self) -> None:
        if self._open:
            with contextlib.suppress(Exception):  # the broker may be gone before us
                await self._bus.close()

    async def send(self, command: Command, *, wait: bool) -> Answer | None:
        """Make a command durable and wait for its answer; None when it is durable but not answered
        in time (or ``wait`` is false). Raises NotDurable."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._count += 1
        token = str(self._count)
        future: asyncio.Future[Answer] = loop.create_future()
        self._awaited[token] = future
        try:
            await self.publish(command, {subjects.REPLY_TO: f"{self._inbox}.{token}"})
            if not wait:
                return None
            left = PATIENCE - (loop.time() - began)
            async with asyncio.timeout(max(left, 0)):
                return await future
        except TimeoutError:
            return None
        finally:
            del self._awaited[token]

    async def publish(self, command: Command, headers: dict[str, str]) -> None:
        """Make a command durable. Raises NotDurable."""
        if not self._open:
            raise NotDurable("not connected yet", refused=True)
        subject = subjects.command(self._ward, command.action.type)
        await self._bus.publish(subject, command.to_json(), headers, timeout=PATIENCE)

    async def ask(self, service: str, name: str, question: BaseModel) -> q.Told:
        """Ask another service. Raises NoAnswer."""
        if not self._open:
            raise NoAnswer("not connected yet")
        subject = subjects.query(self._ward, service, name)
        return await self._bus.ask(subject, question, q.Told)

    async def status(self, service: str) -> q.ServiceStatus | None:
        """How another service is; None when it does not answer within half a second."""
        if not self._open:
            return None
        subject = subjects.query(self._ward, service, "status")
        with contextlib.suppress(NoAnswer):
            return await self._bus.ask(subject, q.AskStatus(), q.ServiceStatus, timeout=0.5)
        return None

    async def _hear(self, message: Msg) -> None:
        self._heard(message.subject.removeprefix(subjects.grew(self._ward, "")))

    async def _receive(self, message: Msg) -> None:
        future = self._awaited.get(message.subject.rpartition(".")[2])
        if future is None or future.done():
            return
        with contextlib.suppress(ValidationError):
            future.set_result(Answer.from_json(message.data))
