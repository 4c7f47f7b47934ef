"""The client itself: every call of the contract (``Calls``), and the inbox read so that nothing is
missed."""

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import httpx

from .access import BearerKey
from .calls import Calls
from .line import AGAIN, Line
from .models import EVENTS, Body, CloudEvent, InboxItem
from .problem import Problem, Unreachable
from .streams import Gap

_PAGE = 500


class Client(Calls):
    """One agency's line. ``key``: its API key; ``auth`` instead: another way to say who it is, such
    as ``PrivateKeyJwt``. Close it, or use it in a ``with``."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        auth: httpx.Auth | None = None,
        timeout: float = 20.0,
        patience: float = 60.0,
    ) -> None:
        if (key is None) == (auth is None):
            raise ValueError("either key or auth")
        self._http = httpx.Client(
            base_url=url, auth=auth or BearerKey(key or ""), timeout=timeout, follow_redirects=False
        )
        self.line = Line(self._http, patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # -- the inbox -------------------------------------------------------------------------------

    def inbox(self, after: int = 0) -> Iterator[InboxItem]:
        """Everything after a number, to the newest; raises ``Gap`` if one is missing. Keep the last
        number that you have dealt with, and give it the next time."""
        while page := self.read_inbox(after=after, limit=_PAGE).items:
            for item in page:
                after = _next(after, item)
                yield item

    def follow_inbox(self, after: int = 0) -> Iterator[InboxItem]:
        """The same, and then each new one as it comes. A line that breaks is opened again where it
        ended, for as long as ``patience`` lasts without a word."""
        there = time.monotonic()
        while True:
            try:
                for event in self.stream_read_inbox(last_event_id=after):
                    item = InboxItem.model_validate(event.data, extra="ignore")
                    after = _next(after, item)
                    yield item
                there = time.monotonic()
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if time.monotonic() - there > self.line.patience:
                    raise Unreachable(type(error).__name__, None) from None
            except httpx.TransportError:
                there = time.monotonic()  # it was open until now
            except Problem as problem:
                if problem.status not in AGAIN or time.monotonic() - there > self.line.patience:
                    raise
            time.sleep(1)


def what_happened(event: CloudEvent) -> Body | None:
    """The event within a CloudEvent by its own type; None for a type that this client does not know:
    more may come, and are to be passed over."""
    kind = EVENTS.get(event.type.removeprefix("tsunagu.").removesuffix(".v1"))
    return None if kind is None else kind.model_validate(event.data, extra="ignore")


def _next(after: int, item: InboxItem) -> int:
    if item.number != after + 1:
        raise Gap(after + 1, item.number)
    return item.number
