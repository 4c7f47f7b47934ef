"""Rows drawn (行の描画), and kept for as long as their words are right: a second, for time runs on."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from markupsafe import Markup

from schemas.partner import BurningGiven
from services.console.board.rows import row, said
from services.console.pages import Pages
from services.console.person import Role
from services.console.visit import Visit

_KEPT_FOR = timedelta(seconds=1)
_MOST_KEPT = 5_000

Key = tuple[UUID, int, str, str, Role]


class Drawing:
    """The same row for all who read the same language and may do the same."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._kept: dict[Key, tuple[datetime, Markup]] = {}
        self._said: dict[Key, tuple[datetime, str]] = {}

    def rows(self, visit: Visit, calls: Sequence[BurningGiven], now: datetime) -> list[Markup]:
        role = visit.person.role
        keys = [self._key(visit, call) for call in calls]
        if len(self._kept) > _MOST_KEPT:
            self._kept.clear()
        for key, call in zip(keys, calls, strict=True):
            drawn_at, _ = self._kept.get(key, (None, None))
            if drawn_at is None or abs(now - drawn_at) >= _KEPT_FOR:
                drawn = row(call, visit.words, role, now)
                template = "board/wall_rows.html" if role is Role.SCREEN else "board/rows.html"
                html = self._pages.html(visit, template, rows=[drawn])
                self._kept[key] = (now, Markup(html))  # noqa: S704  # the template escapes
        return [self._kept[key][1] for key in keys]

    def said(self, visit: Visit, call: BurningGiven, now: datetime) -> str:
        """The call in one sentence."""
        key = self._key(visit, call)
        kept = self._said.get(key)
        if kept is None or abs(now - kept[0]) >= _KEPT_FOR:
            if len(self._said) > _MOST_KEPT:
                self._said.clear()
            kept = self._said[key] = (now, said(call, visit.words, now))
        return kept[1]

    def _key(self, visit: Visit, call: BurningGiven) -> Key:
        person = visit.person
        return (call.id, call.change, visit.words.language, person.agency, person.role)
