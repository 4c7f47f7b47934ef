"""One line for each thing that happens: what was said, what came. Codes and ids, never a person."""

import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape

from schemas.outside import JAPAN
from schemas.publishing.words import TITLES

_DETAILS = ("function", "kind", "custodian", "reason", "code", "state", "outcome")


class Telling:
    def __init__(self, out: Console) -> None:
        self._out = out
        self._lock = threading.Lock()
        self.counts = dict.fromkeys(("posted", "refused", "came", "again", "forged", "answered"), 0)

    def posted(self, referral: object, number: str, stage: str) -> None:
        self._count("posted")
        self._line("[cyan]→[/]", "依頼を出した", "posted", f"{_short(referral)} {number} {stage}")

    def answered(self, what: tuple[str, str], referral: object, stage: str) -> None:
        self._count("answered")
        self._line("[green]→[/]", *what, f"{_short(referral)} {stage}")

    def refused(self, what: tuple[str, str], said: str) -> None:
        self._count("refused")
        self._line("[yellow]×[/]", *what, said)

    def came(self, event: Mapping[str, Any], number: int | None) -> None:
        self._count("came")
        name = str(event.get("type", "")).removeprefix("tsunagu.").removesuffix(".v1")
        title = TITLES.get("".join(part.title() for part in name.split("_")), f"{name} / {name}")
        japanese, _, english = title.partition(" / ")
        data = event.get("data") or {}
        said = [str(data[field]) for field in _DETAILS if isinstance(data.get(field), str)]
        parties = [str(data[field]) for field in ("sender", "receiver") if data.get(field)]
        self._line(
            "[magenta]←[/]",
            f"{number if number is not None else '-':>5} {japanese}",
            english,
            " ".join([_short(event.get("subject")), " → ".join(parties), *said]),
        )

    def came_again(self) -> None:
        self._count("again")
        self._line("[dim]←[/]", "二度目なので何もしない", "known already", "")

    def forged(self) -> None:
        self._count("forged")
        self._line(
            "[red]←[/]", "署名が合わないので断った", "not signed by the network, refused", ""
        )

    def missing(self, numbers: list[int]) -> None:
        listed = ", ".join(map(str, numbers[:10])) + (" …" if len(numbers) > 10 else "")
        self._line("[yellow]?[/]", "まだ届いていない番号", "numbers still missing", listed)

    def say(self, japanese: str, english: str, more: str = "") -> None:
        self._line(" ", japanese, english, more)

    def _count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def _line(self, mark: str, japanese: str, english: str, more: str) -> None:
        now = datetime.now(JAPAN)
        self._out.print(
            f"[dim]{now:%H:%M:%S}[/] {mark} {escape(japanese)}  [dim]{escape(english)}[/]  "
            f"{escape(more)}",
            soft_wrap=True,
        )


def _short(referral: object) -> str:
    """Enough of an id to follow one case with the eyes."""
    return str(referral)[-6:]
