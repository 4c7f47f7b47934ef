"""Chromium (ブラウザ): the one that the machine has, driven by Playwright. What goes wrong in a page while
nobody looks is kept, and fails the test in the end: errors of scripts, what the content security policy
stopped, requests to other hosts."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
MISSING = (
    "no Chromium here: the console is not tried in a real browser "
    "(Debian: apt-get install chromium fonts-noto-cjk)"
)
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
WALL = {"width": 1920, "height": 1080}


def chromium() -> str | None:
    """Its path; None where there is none."""
    found = shutil.which("chromium")
    return found or ("/usr/bin/chromium" if Path("/usr/bin/chromium").exists() else None)


class Watched:
    """A context whose pages are watched. ``faults``: what went wrong, in words."""

    def __init__(self, browser: Browser, url: str = "", **how: Any) -> None:
        """``url``: where the pages are. ``how``: as Playwright's ``new_context``."""
        self.faults: list[str] = []
        self._host = urlsplit(url).netloc
        self._expected: list[str] = []
        given = {"viewport": DESK, "locale": "ja-JP", "timezone_id": "Asia/Tokyo"} | how
        self.context: BrowserContext = browser.new_context(base_url=url or None, **given)
        self.context.set_default_timeout(15_000)
        self.context.on("console", self._said)
        self.context.on("weberror", lambda error: self._fault(f"script: {error.error}"))
        self.context.on("request", self._asked)

    def page(self) -> Page:
        return self.context.new_page()

    @contextlib.contextmanager
    def expecting(self, *words: str) -> Iterator[None]:
        """What has one of these words in it is no fault, in here: a network that is down, say."""
        self._expected.extend(words)
        try:
            yield
        finally:
            for word in words:
                self._expected.remove(word)

    def close(self) -> None:
        """Fails if something went wrong in one of its pages."""
        with contextlib.suppress(Exception):
            self.context.close()
        assert not self.faults, "\n".join(self.faults)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type != "error":
            return
        # A page that was refused is an answer; a file or a fetch that was refused is not.
        where = message.location.get("url", "")
        page = message.page
        is_answer = message.text.startswith("Failed to load resource: the server responded")
        if is_answer and page is not None and where.split("#")[0] == page.url.split("#")[0]:
            return
        self._fault(f"console of {page.url if page else '?'}: {message.text}")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        foreign = parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != self._host
        if self._host and foreign:
            self._fault(f"a request to another host: {parts.netloc}")

    def _fault(self, words: str) -> None:
        if not any(word in words for word in self._expected):
            self.faults.append(words)
