"""`python -m benchmarks.board`: the board with 5,000 calls that stand, as the server draws it, against one of 50.

The console's real reception, pages and templates, in this process, asked as a browser asks; the calls are
told by a stand-in for the deciding service, 500 at a time, as it tells them. What is measured: how long it
takes to read the whole picture after a start, one page (what burns first, a filter, the last page), and a
change told to 50 open boards. Medians of rounds in turn, so that whatever else the machine does meets all.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid5

import httpx
from litestar import Litestar

from benchmarks.processes import load_average
from runtime.clock import SystemClock
from runtime.settings import Settings
from runtime.streams import Page, Streams
from schemas import queries as q
from schemas.codes import EscalationState, Stage, Urgency
from services.console.board.following import Board as Following
from services.console.board.pages import Board
from services.console.board.picture import Picture
from services.console.board.sight import Filters
from services.console.line import Line
from services.console.looks import Looks
from services.console.metrics import Metrics
from services.console.pages import Pages
from services.console.people.people import People
from services.console.person import Person, Role
from services.console.reception import Reception
from services.console.visit import Flashes, Visit
from services.console.words import Words
from wards import bundled_ward, load_ward

_NAMES = UUID("5f5f5f5f-0000-4000-8000-000000000000")
BOARDS = 50


class Calls:
    """So many calls of all kinds, as the deciding service tells them to the core centre."""

    def __init__(self, count: int, now: datetime, seed: int = 5) -> None:
        ward = load_ward(bundled_ward())
        chance = random.Random(seed)
        agencies = [agency.id for agency in ward.agencies]
        self.items: list[dict[str, Any]] = []
        for number in range(1, count + 1):
            raised_at = now - timedelta(minutes=chance.randrange(5_000))
            item: dict[str, Any] = {
                "id": str(uuid5(_NAMES, f"call {number}")),
                "code": chance.choice(ward.escalation_reasons).code,
                "state": chance.choice((EscalationState.RAISED, EscalationState.ACKNOWLEDGED)),
                "raised_at": raised_at.isoformat(),
                "raised_by": chance.choice(agencies),
                "level": chance.randrange(1, 4),
                "desk": chance.choice(ward.desks).id,
                "due_at": (now + timedelta(minutes=chance.randrange(-60, 5_000))).isoformat(),
                "change": number,
                "referral": str(uuid5(_NAMES, f"referral {number}")),
                "number": f"{ward.code}-2026-{number:06d}",
                "function": chance.choice(ward.functions).code,
                "urgency": chance.choice(list(Urgency)),
                "stage": chance.choice((Stage.OFFERED, Stage.IN_CARE)),
                "custodian": chance.choice(agencies),
                "district": chance.choice(ward.districts).id,
            }
            if item["state"] is EscalationState.ACKNOWLEDGED:
                item |= {"acknowledged_at": now.isoformat(), "acknowledged_by": ward.core}
            self.items.append(item)
        self.head = count

    def changes(self, at: int) -> None:
        self.head += 1
        self.items.append(self.items.pop(at) | {"change": self.head})

    async def ask(self, service: str, name: str, question: Any, timeout: float = 2) -> q.Told:
        if question.after is not None:
            behind = self.items[-min(50, len(self.items)) :]
            items = [item for item in behind if item["change"] > question.after]
            return q.Told(found=True, body={"items": items, "head": self.head})
        below = [i for i in self.items if question.before is None or i["change"] < question.before]
        items = below[-question.limit :][::-1]
        body: dict[str, Any] = {"items": items, "head": self.head}
        if len(below) > len(items):
            body["next"] = str(items[-1]["change"])
        return q.Told(found=True, body=body)


class OneOfTheCore:
    """Somebody is signed in already."""

    person = Person(
        UUID(int=1), "core.mihon", "見本 花子", "core", Role.CORE, "s" * 64,
        datetime.now(UTC) + timedelta(hours=1),
    )  # fmt: skip

    async def who(self, token: str, *, active: bool = True) -> Person:
        return self.person

    async def still(self, person: Person) -> bool:
        return True


class Console:
    """The board's room and nothing else."""

    def __init__(self, calls: Calls, home: Path) -> None:
        ward = load_ward(bundled_ward())
        clock = SystemClock()
        settings = Settings(home=home)
        people = cast(People, OneOfTheCore())
        self.pages = Pages(ward, settings)
        metrics = Metrics()
        at = Reception(settings, ward, clock, people, self.pages, metrics, b"s" * 32)
        line = cast(Line, calls)
        streams = Streams(line, metrics.streams_open)
        # No call's page is opened here, so nothing is put on record.
        looks = cast(Looks, None)
        board = Board(ward, clock, at, self.pages, line, streams, people, looks)
        self.board = board
        self.ward, self.clock = ward, clock
        app: Any = Litestar(
            [*board.handlers(), *self.pages.handlers()], openapi_config=None, logging_config=None
        )
        transport = httpx.ASGITransport(app)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://console.bench")

    async def page(self, path: str) -> tuple[float, float]:
        """Seconds, and seconds of the processor: those do not depend on what else the machine does."""
        began, spent = time.perf_counter(), time.process_time()
        answer = await self.http.get(path)
        took = time.perf_counter() - began, time.process_time() - spent
        assert answer.status_code == 200, answer.status_code
        assert answer.text.count("<tr ") > 40
        return took


async def measured(count: int, rounds: int) -> None:
    now = datetime.now(UTC)
    print(f"load {load_average()}; {count} calls, medians of {rounds} rounds", flush=True)
    with tempfile.TemporaryDirectory() as home:
        calls, few = Calls(count, now), Calls(50, now)
        many, little = Console(calls, Path(home)), Console(few, Path(home))
        began = time.perf_counter()
        picture = Picture("core")
        await picture.catch_up(calls.ask)
        print(f"the whole picture read: {(time.perf_counter() - began) * 1000:.0f} ms")
        await many.page("/board")
        await little.page("/board")
        paths = {
            "what burns first": "/board",
            "one urgency": "/board?urgency=routine",
            "the last page": "/board?page=99999",
        }
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in (*paths, "of 50")}
        for _ in range(rounds):
            for name, path in paths.items():
                await asyncio.sleep(1.01)  # rows are kept for a second: all are drawn anew
                took[name].append(await many.page(path))
            await asyncio.sleep(1.01)
            took["of 50"].append(await little.page("/board"))
        for name, times in took.items():
            median, spent = (statistics.median(each) * 1000 for each in zip(*times, strict=True))
            slowest = max(times)[0] * 1000
            print(f"{name}: {median:.1f} ms (slowest {slowest:.1f}), {spent:.1f} of the processor")
        many_of, few_of = (
            statistics.median(spent for _, spent in took[name])
            for name in ("what burns first", "of 50")
        )
        print(f"{count} calls / 50 calls: x{many_of / few_of:.2f} of the processor")
        await told_to_many(many, calls, picture, rounds * 3)


async def told_to_many(console: Console, calls: Calls, picture: Picture, rounds: int) -> None:
    """One change, drawn for so many boards: they read the same, and it is drawn once."""
    visit = Visit(
        request=cast(Any, None), words=Words(console.ward), token="", now=console.clock.now(),
        csrf="", flashes=Flashes(), signed_in=OneOfTheCore.person,
    )  # fmt: skip
    visit.request = cast(Any, httpx.Request("GET", "http://console.bench/board/stream"))

    async def still() -> bool:
        return True

    boards = [
        Following(
            picture,
            Filters(),
            visit,
            console.board.drawing,
            console.clock,
            picture.head or 0,
            picture.mark,
            still,
        )
        for _ in range(BOARDS)
    ]
    times: list[float] = []
    for n in range(rounds):
        calls.changes(n)
        began = time.process_time()
        pages: list[Page] = [await board.more(calls.ask) for board in boards]
        times.append(time.process_time() - began)
        assert all(b"event: call" in b"".join(page.events) for page in pages)
    print(
        f"a change for {BOARDS} boards: {statistics.median(times) * 1000:.1f} ms of the processor, "
        f"slowest {max(times) * 1000:.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    asyncio.run(measured(arguments.calls, arguments.rounds))


if __name__ == "__main__":
    main()
