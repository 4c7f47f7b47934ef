"""A network on which one hub has its events sent to a system of its own, and that system: it verifies by the
Standard Webhooks library, and has one effect for each id."""

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from partners.listener import listening
from partners.receiver import Receiver, Reply
from services.cli import app
from tests.network import RunningNetwork, eventually
from wards.load import bundled_ward

HUB = "hub-otsuka"


class System:
    """The hub's own system. ``refuse``: it answers so instead, when it is set."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._receiver: Receiver | None = None
        self.came: list[tuple[str, dict[str, Any]]] = []
        self.effects: Counter[str] = Counter()
        self.refuse: Callable[[dict[str, Any]], int | None] = lambda _: None

    def knows(self, secret: str) -> None:
        self._receiver = Receiver([secret], self._take, after=0)

    def _take(self, event: Mapping[str, Any]) -> None:
        self.effects[event["id"]] += 1

    def receive(self, headers: Mapping[str, str], body: bytes) -> Reply:
        if self._receiver is None:
            return Reply(503, "no secret yet")
        event = json.loads(body)
        with self._lock:
            status = self.refuse(event)
            if status is not None:
                return Reply(status, "told to")
            reply = self._receiver.receive(headers, body)
            assert reply.status < 300, reply
            named = {name.lower(): value for name, value in headers.items()}
            self.came.append((named["webhook-id"], event))
            return reply

    @property
    def numbers(self) -> list[int]:
        return [event["agencynumber"] for _, event in self.came]


class Otsuka(RunningNetwork):
    """``hub-otsuka`` is sent its events."""

    def __init__(self, home: Path, url: str, **how: Any) -> None:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = bundled_ward().read_text("utf-8")
        line = f'id = "{HUB}"\n'
        assert text.count(line) == 1
        way = f'delivery = {{ way = "webhook", url = "{url}" }}\n'
        self._ward = home / "ward.toml"
        self._ward.write_text(text.replace(line, line + way), "utf-8")
        super().__init__(home, **how)

    def start(self, *, keep_down: tuple[str, ...] = ()) -> None:
        self.settings = replace(self.settings, ward=self._ward)
        super().start(keep_down=keep_down)


@contextlib.contextmanager
def otsuka(home: Path, **how: Any) -> Iterator[tuple[Otsuka, System]]:
    system = System()
    with listening(system.receive) as url:
        network = Otsuka(home, url, **how)
        try:
            made = command(network, "credentials", "new", "webhook_secret", HUB, "--json")
            assert made.exit_code == 0, made.output
            system.knows(_secret(json.loads(made.stdout)))
            yield network, system
        finally:
            network.stop()


def command(network: RunningNetwork, *arguments: str) -> Result:
    """`tsunagu` on this network's home, in this process: a start of its own costs a second or more."""
    return CliRunner().invoke(app, list(arguments), env=network.settings.environment())


def _secret(said: Any) -> str:
    """Wherever it stands in what the command told."""
    if isinstance(said, str) and said.startswith("whsec_"):
        return said
    parts = said.values() if isinstance(said, dict) else said if isinstance(said, list) else ()
    return next((found for part in parts if (found := _secret(part))), "")


def arrived(system: System, count: int, seconds: float = 30) -> None:
    """So many different events have come."""
    eventually(
        lambda: len(system.effects) >= count, seconds, lambda: f"{len(system.effects)} of {count}"
    )
