"""`python -m benchmarks.board_live`: from decided to on the screen, with 50 open boards.

The real network in processes of its own; 48 boards are read as raw streams, two in a real Chromium, whose
scripts say when the row is there (where Chromium is missing, all are raw). An agency escalates once a second.
Late is the reader's clock minus the moment at which the deciding service raised the call, all on one machine.
"""

import argparse
import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Page, async_playwright

from benchmarks.load import percentiles
from benchmarks.processes import load_average, processor_time, resident
from tests.in_a_browser.chromium import FLAGS, chromium
from tests.network import RunningNetwork, running_network
from tests.partners import a_referral
from tests.people_look_at_it.conftest import PASSWORD, hidden_of, register

SENDER = "anshin-motofuji"
_WATCH = """() => {
    window.there = {};
    new MutationObserver(changes => {
        for (const change of changes) for (const row of change.addedNodes)
            if (row.dataset?.call) window.there[row.dataset.call] ??= Date.now() / 1000;
    }).observe(document.getElementById("calls"), {childList: true});
}"""


class Boards:
    """``late``: seconds, of every board and every call."""

    def __init__(self) -> None:
        self.decided: dict[str, float] = {}
        self.seen: list[tuple[str, float]] = []
        self.on_screen: list[tuple[str, float]] = []

    async def read(self, client: httpx.AsyncClient, path: str, opened: asyncio.Event) -> None:
        name = ""
        async with client.stream("GET", path) as response:
            assert response.status_code == 200, response.status_code
            async for line in response.aiter_lines():
                key, _, value = line.partition(": ")
                if key == "event":
                    name = value
                elif key == "data":
                    opened.set()
                    if name == "call":
                        self.seen.append((json.loads(value)["id"], time.time()))

    def late(self, seen: list[tuple[str, float]]) -> list[float]:
        return [at - self.decided[call] for call, at in seen if call in self.decided]


def raise_one(network: RunningNetwork) -> tuple[str, float]:
    """A call, and when it was decided."""
    sender = network.partner(SENDER)
    posted = sender.posts(a_referral())
    assert posted.status == 201, posted.body
    said = sender.escalates(posted.id, "E10")
    call = said.body["escalations"][-1]
    return call["id"], datetime.fromisoformat(call["raised_at"]).timestamp()


async def signed_in(network: RunningNetwork, login: str) -> httpx.AsyncClient:
    client = httpx.AsyncClient(base_url=network.console_url, timeout=None, follow_redirects=True)
    hidden = hidden_of((await client.get("/login")).text)
    fields = {"login": login, "password": PASSWORD, "next": "/account"}
    entered = await client.post("/login", data={**hidden, **fields})
    assert entered.url.path == "/account", entered.status_code
    return client


@contextlib.asynccontextmanager
async def screens(network: RunningNetwork, login: str, count: int) -> AsyncIterator[list[Page]]:
    """Boards in a real browser."""
    if chromium() is None or count == 0:
        yield []
        return
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        pages: list[Page] = []
        for _ in range(count):
            page = await (await browser.new_context(base_url=network.console_url)).new_page()
            await page.goto("/login?next=/board")
            await page.locator("input[name=login]").fill(login)
            await page.locator("input[name=password]").fill(PASSWORD)
            await page.locator("main form button").click()
            await page.locator("#line.good").wait_for()
            await page.evaluate(_WATCH)
            pages.append(page)
        yield pages
        await browser.close()


async def measured(network: RunningNetwork, count: int, seconds: int) -> None:
    logins = ["core.bench1", "core.bench2"]
    for login in logins:
        register(network, "core", login)
    raise_one(network)
    boards = Boards()
    async with screens(network, logins[0], 2) as pages:
        clients = [await signed_in(network, login) for login in logins]
        reading: list[asyncio.Task[None]] = []
        opened = [asyncio.Event() for _ in range(count - len(pages))]
        for n, event in enumerate(opened):
            client = clients[n % len(clients)]
            path = "/board/stream?after=1"
            reading.append(asyncio.create_task(boards.read(client, path, event)))
        await asyncio.gather(*(event.wait() for event in opened))
        print(f"load {load_average()}; {len(opened)} streams and {len(pages)} screens are open")
        pid = network.pid("console")
        spent, began = processor_time(pid), time.monotonic()
        for n in range(seconds):
            await asyncio.sleep(max(0.0, began + n - time.monotonic()))
            call, at = await asyncio.to_thread(raise_one, network)
            boards.decided[call] = at
        await asyncio.sleep(3)
        took = processor_time(pid) - spent
        for page in pages:
            there: dict[str, Any] = await page.evaluate("window.there")
            boards.on_screen += list(there.items())
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        for client in clients:
            await client.aclose()
    told, shown = boards.late(boards.seen), boards.late(boards.on_screen)
    assert len(told) == len(opened) * seconds, f"{len(told)} of {len(opened) * seconds}"
    assert len(shown) <= len(pages) * seconds
    print(
        f"decided to read, {len(told)}: p50/p95/p99 {percentiles(told)} ms, latest {max(told) * 1000:.0f}"
    )
    if shown:
        print(
            f"decided to on the screen, {len(shown)}: p50/p95/p99 {percentiles(shown)} ms, "
            f"latest {max(shown) * 1000:.0f}"
        )
    print(
        f"the console: {took / seconds:.0%} of one processor, {resident(pid):.0f} MB; "
        f"load at the end {load_average()}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=40)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as home,
        running_network(Path(home), console=True) as network,
    ):
        asyncio.run(measured(network, arguments.boards, arguments.seconds))


if __name__ == "__main__":
    main()
