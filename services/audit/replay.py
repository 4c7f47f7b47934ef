"""Replay: who was responsible when, and every hand-off, from the ledger alone. Pure.

State at any moment is the fold of what had occurred by then; the fold is the same that the deciding
service uses, so a difference between the two is a difference in the records.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from schemas import events as e
from schemas.journal import JournalEntry
from schemas.referral import Referral, evolve


class ReplayError(ValueError):
    """The entries cannot be replayed; run ``tsunagu verify``."""


@dataclass(frozen=True, slots=True)
class Custody:
    """``custodian`` was responsible from ``since`` until ``until`` (None: still)."""

    custodian: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class History:
    """One referral's way: its entries, who held it when, and the state they lead to."""

    entries: tuple[JournalEntry, ...]
    custody: tuple[Custody, ...]
    state: Referral


def read_entries(bodies: Iterable[bytes]) -> list[JournalEntry]:
    try:
        return [JournalEntry.from_json(body) for body in bodies]
    except ValidationError as error:
        raise ReplayError("an entry cannot be read") from error


def replay(entries: Iterable[JournalEntry], at: datetime | None = None) -> History | None:
    """One referral's history up to and including ``at`` (None: to the end). None when there was
    nothing yet. Raises ReplayError when entries are missing or out of order."""
    told: list[JournalEntry] = []
    spans: list[Custody] = []
    state: Referral | None = None
    for entry in entries:
        if at is not None and entry.occurred_at > at:
            break
        try:
            state = evolve(state, entry)
        except ValueError as error:
            raise ReplayError(str(error)) from error
        told.append(entry)
        if not spans or spans[-1].custodian != state.custodian:
            if spans:
                spans[-1] = Custody(spans[-1].custodian, spans[-1].since, entry.occurred_at)
            spans.append(Custody(state.custodian, entry.occurred_at, None))
    if state is None:
        return None
    if state.ended:
        spans[-1] = Custody(spans[-1].custodian, spans[-1].since, state.updated_at)
    return History(tuple(told), tuple(spans), state)


def fold_ward(bodies: Iterable[bytes], at: datetime | None = None) -> dict[str, Referral]:
    """The state of every referral of the ward at a moment, by id."""
    states: dict[str, Referral] = {}
    for body in bodies:
        entry = JournalEntry.from_json(body)
        if at is not None and entry.occurred_at > at:
            continue
        key = str(entry.referral)
        try:
            states[key] = evolve(states.get(key), entry)
        except ValueError as error:
            raise ReplayError(str(error)) from error
    return states


def sentence(entry: JournalEntry, name: dict[str, str]) -> tuple[str, str]:
    """What an entry says, in Japanese and English. ``name``: agencies' names by id."""

    def who(agency: str) -> str:
        return name.get(agency, agency)

    event = entry.event
    match event:
        case e.ReferralSubmitted():
            return (
                f"{who(event.sender)}が受け付けを依頼（{event.number}）",
                f"{event.sender} submitted {event.number}",
            )
        case e.DistrictFound():
            return (
                f"地区は{event.district}（根拠: {event.basis.value}）",
                f"district {event.district} ({event.basis.value})",
            )
        case e.RulingRequested():
            names = "・".join(event.candidates)
            return f"地区が決まらず判定を依頼（候補: {names}）", f"ruling requested: {names}"
        case e.DistrictRuled():
            return (
                f"{who(event.by)}が{event.district}と判定",
                f"{event.by} ruled {event.district}",
            )
        case e.HandoffOffered():
            kind = "引き継ぎ" if event.kind.value == "transfer" else "依頼"
            return (
                f"{who(event.sender)}が{who(event.receiver)}へ{kind}を打診",
                f"{event.sender} offered a {event.kind.value} to {event.receiver}",
            )
        case e.HandoffAccepted():
            return (
                f"{who(event.by)}が受諾、担当は{who(event.custodian)}",
                f"{event.by} accepted; custodian is {event.custodian}",
            )
        case e.HandoffDeclined():
            return (
                f"{who(event.by)}が辞退（{event.reason}）",
                f"{event.by} declined ({event.reason}, said by {event.said_by.value})",
            )
        case e.HandoffExpired():
            return "回答のないまま期限切れ", "expired without an answer"
        case e.HandoffWithdrawn():
            return (
                f"打診を取り下げ（{event.because.value}）",
                f"withdrawn ({event.because.value})",
            )
        case e.HandoffCompleted():
            return (
                f"{who(event.by)}が完了を報告（{event.outcome}）",
                f"{event.by} completed ({event.outcome})",
            )
        case e.EscalationRaised():
            return f"{who(event.by)}が{event.code}を上申", f"{event.by} escalated {event.code}"
        case e.EscalationAcknowledged():
            return f"{who(event.by)}が上申を受領", f"{event.by} acknowledged the escalation"
        case e.EscalationResolved():
            return (
                f"{who(event.by)}が上申を解決（{event.disposition.value}）",
                f"{event.by} resolved the escalation ({event.disposition.value})",
            )
        case e.NoteAdded():
            return f"{who(event.by)}が記録を追加", f"{event.by} added a note"
        case e.ReferralClosed():
            return (
                f"{who(event.by)}が終結（{event.outcome}）",
                f"{event.by} closed ({event.outcome})",
            )
        case e.ReferralCancelled():
            return f"{who(event.by)}が取消", f"{event.by} cancelled"
        case e.ReferralReopened():
            return f"{who(event.by)}が再開", f"{event.by} reopened"
