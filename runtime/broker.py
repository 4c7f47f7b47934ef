"""The connection to NATS, with the settings that make it safe.

Whatever must not be lost goes by JetStream with an acknowledgement awaited here; questions go by
request-reply. Handlers of questions are FastStream subscribers on ``Bus.broker``.
"""

import asyncio
import contextlib
import functools
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

import nats.errors
import nats.js.errors
from faststream import StreamMessage
from faststream.nats import NatsBroker
from faststream.security import SASLPlaintext
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api
from pydantic import BaseModel, ValidationError

from runtime.observability import log
from runtime.settings import Settings
from schemas import subjects

ACK_TIMEOUT = 5.0
"""Seconds that a JetStream acknowledgement is awaited (the library's own default is 0.5)."""

Reply = TypeVar("Reply", bound=BaseModel)


class NotDurable(RuntimeError):
    """JetStream did not acknowledge: nothing is promised. ``refused`` is True when the server said
    no, or nothing was sent, so that certainly nothing was stored."""

    def __init__(self, reason: str, *, refused: bool) -> None:
        super().__init__(reason)
        self.refused = refused


class NoAnswer(RuntimeError):
    """A question was not answered in time."""


class Bus:
    """One of a process's connections. ``nc``/``js``: the plain NATS client, for loops of our own.
    ``replies``: beneath it, and nowhere else, it may wait for answers."""

    def __init__(self, settings: Settings, login: str) -> None:
        """``login``: by which rights (``schemas.logins``)."""
        security = None
        password = settings.nats_password(login)
        if password is not None:
            security = SASLPlaintext(username=login, password=password)
        self.replies = subjects.replies(login)
        self.broker = NatsBroker(
            settings.nats_url.split(","),
            name=login,
            inbox_prefix=self.replies,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.1,  # type: ignore[arg-type]  # seconds; typed int there
            connect_timeout=2,
            # Nothing is buffered while disconnected: what we refused must not be sent later.
            pending_size=0,
            ping_interval=10,
            max_outstanding_pings=2,
            error_cb=_log_error,
            # Messages are read by our own types, so that a fault is told without its values: the
            # library's own log would print the whole message.
            apply_types=False,
            decoder=_as_it_came,
            logger=None,
            security=security,
        )
        self.nc: Client
        self.js: JetStreamContext
        self._is_up = False  # once it was

    async def connect(self) -> None:
        """Connect; waits for as long as the server is not there."""
        heeded = _cancellations()
        nc: Client | None = None
        while nc is None:
            with contextlib.suppress(TimeoutError, OSError, nats.errors.Error):
                nc = await self.broker.connect()
            if _cancellations() > heeded:  # which the client forgot, see ``_heeding_cancellation``
                if nc is not None:
                    await nc.close()
                raise asyncio.CancelledError
            if nc is None:
                await asyncio.sleep(0.1)
        self.nc = nc
        self.nc.request = _heeding_cancellation(self.nc.request)  # type: ignore[method-assign]
        self.js = self.nc.jetstream(timeout=ACK_TIMEOUT)  # asks by nc.request, too
        self._is_up = True

    async def start(self) -> None:
        """Begin to answer questions: subscribes the handlers registered on ``broker``."""
        await self.broker.start()

    async def close(self) -> None:
        """Not drained, as the library's own ``stop`` does: what matters is committed, and draining
        waits for ever on a broker that is gone, or on a message that nobody takes any more."""
        if self._is_up:
            await self.nc.close()

    async def publish(
        self,
        subject: str,
        body: bytes,
        headers: dict[str, str],
        timeout: float = ACK_TIMEOUT,  # the client's own, told apart below
    ) -> None:
        """Make a message durable. Raises NotDurable."""
        if not self.nc.is_connected:
            raise NotDurable("not connected", refused=True)
        try:
            await self.js.publish(subject, body, timeout=timeout, headers=headers)
        except nats.js.errors.NoStreamResponseError as error:
            raise NotDurable("no stream", refused=True) from error
        except nats.errors.OutboundBufferLimitError as error:
            raise NotDurable("not connected", refused=True) from error
        except nats.js.errors.APIError as error:
            raise NotDurable(f"refused: {error.err_code}", refused=True) from error
        except (TimeoutError, nats.errors.Error, OSError) as error:
            raise NotDurable(type(error).__name__, refused=False) from error

    async def ask(
        self, subject: str, question: BaseModel, reply: type[Reply], timeout: float = 2.0
    ) -> Reply:
        """Ask a question and wait for its answer. Raises NoAnswer."""
        try:
            message = await self.nc.request(
                subject, question.model_dump_json().encode(), timeout=timeout
            )
            return reply.model_validate_json(message.data)
        except (TimeoutError, nats.errors.Error, OSError) as error:
            raise NoAnswer(type(error).__name__) from error
        except ValidationError as error:
            raise NoAnswer("an answer that cannot be read") from error

    def answer(
        self, subject: str, question: type[BaseModel], handler: Callable[[Any], BaseModel]
    ) -> None:
        """Answer questions on ``subject`` with ``handler``, run in a worker thread. What cannot be
        read as ``question`` gets an empty reply and is logged by its fault alone."""

        @self.broker.subscriber(subject, title=subject)
        async def answering(body: bytes) -> bytes:
            try:
                asked = question.model_validate_json(body)
            except ValidationError as error:
                faults = sorted({str(e["type"]) for e in error.errors(include_input=False)})
                log("question_refused", subject=subject, faults=faults)
                return b"{}"
            reply = await asyncio.to_thread(handler, asked)
            return reply.model_dump_json(exclude_none=True).encode()


def _cancellations() -> int:
    """How often the running task was told to stop."""
    return cast("asyncio.Task[Any]", asyncio.current_task()).cancelling()


def _heeding_cancellation(
    ask: Callable[..., Coroutine[Any, Any, Msg]],
) -> Callable[..., Coroutine[Any, Any, Msg]]:
    """In Python 3.11 the client's ``asyncio.wait_for`` forgets a cancellation that comes in the moment
    of the answer; whoever was told to stop then would go on for ever."""

    @functools.wraps(ask)
    async def asking(*args: Any, **kwargs: Any) -> Msg:
        heeded = _cancellations()
        try:
            return await ask(*args, **kwargs)
        finally:
            if _cancellations() > heeded:
                raise asyncio.CancelledError

    return asking


async def _as_it_came(message: StreamMessage[Any]) -> bytes:
    return message.body


async def _log_error(error: Exception) -> None:
    if not isinstance(error, ConnectionError | nats.errors.UnexpectedEOF):
        log("connection_faltered", error=type(error).__name__)


def commands_stream(name: str, subjects: str, replicas: int) -> api.StreamConfig:
    """A stream of things to do: a message stays until it is acknowledged, however long that takes;
    a full stream refuses new ones rather than forget old ones."""
    return api.StreamConfig(
        name=name,
        subjects=[subjects],
        retention=api.RetentionPolicy.WORK_QUEUE,
        storage=api.StorageType.FILE,
        discard=api.DiscardPolicy.NEW,
        max_bytes=2 * 1024**3,
        duplicate_window=120,
        num_replicas=replicas,
        deny_delete=True,
        deny_purge=True,
        allow_atomic=True,
    )


def journals_stream(name: str, subjects: str, replicas: int) -> api.StreamConfig:
    """A stream of facts that the services' databases hold: old messages make room for new ones,
    because a reader that missed some asks for them again."""
    return api.StreamConfig(
        name=name,
        subjects=[subjects],
        retention=api.RetentionPolicy.LIMITS,
        storage=api.StorageType.FILE,
        discard=api.DiscardPolicy.OLD,
        max_bytes=2 * 1024**3,
        max_age=7 * 86_400,
        duplicate_window=120,
        num_replicas=replicas,
        deny_delete=True,
        deny_purge=True,
        allow_atomic=True,
    )


def objects_stream(name: str, bucket: str, replicas: int) -> api.StreamConfig:
    """The stream that is an object store (ADR-20), as its clients expect it."""
    return api.StreamConfig(
        name=name,
        subjects=[f"$O.{bucket}.C.>", f"$O.{bucket}.M.>"],
        storage=api.StorageType.FILE,
        discard=api.DiscardPolicy.NEW,
        num_replicas=replicas,
        allow_rollup_hdrs=True,
        allow_direct=True,
    )


async def ensure_stream(js: JetStreamContext, config: api.StreamConfig) -> None:
    """Create the stream if it is not there; one that is there is left as it is."""
    try:
        await js.stream_info(config.name or "")
    except nats.js.errors.NotFoundError:
        await js.add_stream(config)
        log("stream_created", stream=config.name)


async def ensure_consumer(
    js: JetStreamContext, stream: str, durable: str, filter_subject: str, *, in_order: bool
) -> None:
    """Create the durable pull consumer if it is not there. ``in_order``: for a reader that takes
    everything in sequence, one acknowledgement stands for all before it (a work queue wants one
    for each message). What a dead process left unacknowledged comes again after five seconds."""
    try:
        await js.consumer_info(stream, durable)
    except nats.js.errors.NotFoundError:
        await js.add_consumer(
            stream,
            api.ConsumerConfig(
                durable_name=durable,
                filter_subject=filter_subject,
                ack_policy=api.AckPolicy.ALL if in_order else api.AckPolicy.EXPLICIT,
                ack_wait=5,
                max_ack_pending=2000,
            ),
        )
