"""What a replay asks audit for, and in which order."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from schemas import queries as q
from schemas.base import JsonObject
from schemas.journal import JournalEntry
from services.console.line import Line
from services.console.picture.heard import Heard, heard_in

_MOST_IDS = 5_000
_MOST_KEPT = 100
_MOST_PAGES = 100
_PATIENCE = 5.0
"""Seconds: a long history is read and proved on a busy machine, and whoever waits sees that it works."""


class NoSuchReferral(LookupError):
    """Not in the ledger, or not for this agency."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """``asked``: the entries that were in the export, among them those whose bytes the agency may not
    have, which come by no other export either."""

    asked: frozenset[UUID]
    heard: tuple[Heard, ...]


class Asking:
    """Raises NoAnswer while audit is down."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._ids: OrderedDict[str, UUID] = OrderedDict()
        self._heard: OrderedDict[tuple[str, UUID], _Kept] = OrderedDict()

    async def id_of(self, agency: str, ref: str) -> UUID:
        """Which referral a number is, even where its entries cannot be replayed any more. It stays the
        same for ever, so it is asked once."""
        if ref not in self._ids:
            told = await self._told(agency, ref)
            if told.referral is None:
                raise NoSuchReferral
            self._ids[ref] = told.referral
            while len(self._ids) > _MOST_IDS:
                self._ids.popitem(last=False)
        return self._ids[ref]

    async def referral(
        self, agency: str, ref: str, at: datetime | None, *, as_known: bool = False
    ) -> JsonObject:
        """As it was at a moment. ``as_known``: of what was in the ledger by then, and no more."""
        size = None
        if as_known and at is not None:
            all_of_it = await self._replay(agency, ref)
            if "problem" in all_of_it:
                return all_of_it
            size = known_by(all_of_it["entries"], at)
        return await self._replay(agency, ref, at, size)

    async def _replay(
        self, agency: str, ref: str, at: datetime | None = None, size: int | None = None
    ) -> JsonObject:
        return (await self._told(agency, ref, at, size)).body

    async def _told(
        self, agency: str, ref: str, at: datetime | None = None, size: int | None = None
    ) -> q.Told:
        try:
            question = q.ReplayReferral.model_validate(
                {"agency": agency, "ref": ref, "at": at, "size": size}
            )
        except ValidationError:
            raise NoSuchReferral from None
        told = await self._line.ask("audit", "replay", question, _PATIENCE)
        if not told.found:
            raise NoSuchReferral
        return told

    async def heard(
        self, agency: str, referral: UUID, entries: list[JsonObject]
    ) -> tuple[Heard, ...]:
        """The events themselves, from the ledger's own bytes; of ``entries``, no others. An event that
        the agency may not be told is left out."""
        kept = self._heard.get((agency, referral))
        wanted = frozenset(UUID(entry["id"]) for entry in entries)
        if kept is None or not wanted <= kept.asked:
            exported = await self.export(agency, referral)
            texts = [one["entry"] for one in exported["receipts"] if "entry" in one]
            asked = frozenset(UUID(one["event"]) for one in exported["receipts"])
            kept = _Kept(asked, heard_in(JournalEntry.from_json(text) for text in texts))
            self._heard[agency, referral] = kept
            self._heard.move_to_end((agency, referral))
            while len(self._heard) > _MOST_KEPT:
                self._heard.popitem(last=False)
        return tuple(each for each in kept.heard if each.id in wanted)

    async def export(self, agency: str, referral: UUID) -> JsonObject:
        """One referral's entries with their receipts, all of them."""
        whole: JsonObject = {}
        start: int | None = 0
        for _ in range(_MOST_PAGES):
            question = q.ExportReferral(agency=agency, ref=referral, start=start or 0)
            told = await self._line.ask("audit", "export_referral", question, timeout=_PATIENCE)
            if not told.found:
                raise NoSuchReferral
            body = told.body
            receipts = [*whole.get("receipts", []), *body["receipts"]]
            whole = {**body, "receipts": receipts}
            start = whole.pop("next", None)
            if start is None:
                break
        return whole

    async def ward(self, agency: str, at: datetime | None) -> JsonObject:
        question = q.ReplayWard(agency=agency, at=at)
        told = await self._line.ask("audit", "ward_at", question, _PATIENCE)
        return told.body

    async def verify(self, agency: str, *, start: bool) -> JsonObject:
        question = q.VerifyLedger(agency=agency, start=start)
        told = await self._line.ask("audit", "verify", question, _PATIENCE)
        return told.body

    async def checkpoint(self, agency: str) -> JsonObject:
        return (await self._line.ask("audit", "checkpoint", q.ReadCheckpoint(agency=agency))).body


def known_by(entries: list[Mapping[str, Any]] | list[JsonObject], at: datetime) -> int:
    """How large the ledger was, as far as these entries tell, when the last of them that had come by then
    was in it. Entries are bound in the order in which they come."""
    came = [e["index"] for e in entries if datetime.fromisoformat(e["received_at"]) <= at]
    return max(came, default=-1) + 1
