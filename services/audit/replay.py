"""Replay: who was responsible when, and every hand-off, from the ledger alone. Pure.

State at any moment is the fold of what had occurred by then; the fold is the same that the deciding
service uses, so a difference between the two is a difference in the records.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import ValidationError

from schemas import events as e
from schemas.base import NETWORK
from schemas.due import Due
from schemas.journal import JournalEntry, read_entry
from schemas.outside import JAPAN
from schemas.publishing.words import VALUES
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


@dataclass(frozen=True, slots=True)
class Names:
    """What people call agencies and desks, by id."""

    agencies: dict[str, str]
    desks: dict[str, str]

    def agency(self, agency: str) -> str:
        return "つなぐ" if agency == NETWORK else self.agencies.get(agency, agency)

    def desk(self, desk: str) -> str:
        return self.desks.get(desk, desk)


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
        entry = read_entry(body)
        if entry.referral is None or (at is not None and entry.occurred_at > at):
            continue
        key = str(entry.referral)
        try:
            states[key] = evolve(states.get(key), entry)
        except ValueError as error:
            raise ReplayError(str(error)) from error
    return states


def sentence(entry: JournalEntry, state: Referral, names: Names) -> tuple[str, str]:
    """What an entry says, in Japanese and English. ``state``: the referral then or later, which knows
    whom a hand-off asked and why an escalation was raised."""
    who, event = names.agency, entry.event
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
            between = "・".join(event.candidates)
            return f"地区が決まらず判定を依頼（候補: {between}）", f"ruling requested: {between}"
        case e.DistrictRuled() if event.revises is not None:
            return (
                f"{who(event.by)}が判定を{event.district}に変更",
                f"{event.by} changed the ruling to {event.district}",
            )
        case e.DistrictRuled():
            return (
                f"{who(event.by)}が{event.district}と判定",
                f"{event.by} ruled {event.district}",
            )
        case e.HandoffOffered():
            kind = "引き継ぎ" if event.kind.value == "transfer" else "依頼"
            until, due = _until(event.due)
            withheld = ("（氏名等は受諾後）", ", person withheld") if event.withheld else ("", "")
            return (
                f"{who(event.sender)}が{who(event.receiver)}へ{kind}を打診{withheld[0]}{until}",
                f"{event.sender} offered a {event.kind.value} to {event.receiver}{withheld[1]}{due}",
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
            receiver = _receiver(state, event.handoff)
            late_ja, late = _late(event.overdue_since, entry.occurred_at)
            return f"{who(receiver)}が無回答、{late_ja}", f"{receiver} did not answer, {late}"
        case e.HandoffWithdrawn():
            receiver = _receiver(state, event.handoff)
            because = VALUES["WithdrawnBecause"][event.because]
            return (
                f"{who(receiver)}への打診を取り下げ（{because}）",
                f"withdrawn from {receiver} ({event.because.value})",
            )
        case e.HandoffCompleted():
            return (
                f"{who(event.by)}が完了を報告（{event.outcome}）",
                f"{event.by} completed ({event.outcome})",
            )
        case e.EscalationRaised():
            ja, en = f"{who(event.by)}が{event.code}を上申", f"{event.by} escalated {event.code}"
            if event.restricted:
                ja, en = f"{ja}（閲覧制限）", f"{en} (restricted)"
            if event.overdue_since is not None:
                was = _moment(event.overdue_since)
                ja, en = f"{ja}（期限 {was} を超過）", f"{en} (overdue since {was})"
            if event.desk is not None:
                ja, en = f"{ja}、{names.desk(event.desk)}へ", f"{en}, to {event.desk}"
            until, due = _until(event.due)
            return ja + until, en + due
        case e.EscalationPassedOn():
            code = _code(state, event.escalation)
            late_ja, late = _late(event.overdue_since, entry.occurred_at)
            until, due = _until(event.due)
            return (
                f"{code}は{late_ja}、{event.level}番目の{names.desk(event.desk)}へ{until}",
                f"{code}: {late}, passed on to {event.desk} (level {event.level}){due}",
            )
        case e.EscalationAcknowledged():
            code = _code(state, event.escalation)
            until, due = _until(event.due, "解決の期限", "to resolve by")
            advice = ("（助言のみ）", " (advice only)") if event.advise_only else ("", "")
            return (
                f"{who(event.by)}が{code}に応答{advice[0]}、担当は{who(event.custodian)}{until}",
                f"{event.by} acknowledged {code}{advice[1]}; custodian is {event.custodian}{due}",
            )
        case e.CustodyTaken():
            return f"担当は{who(event.custodian)}へ", f"custodian is {event.custodian}"
        case e.EscalationResolved():
            code = _code(state, event.escalation)
            disposition = VALUES["Disposition"][event.disposition]
            return (
                f"{who(event.by)}が{code}を解決（{disposition}）",
                f"{event.by} resolved {code} ({event.disposition.value})",
            )
        case e.NoteAdded():
            return f"{who(event.by)}が記録を追加", f"{event.by} added a note"
        case e.AttachmentAdded():
            size = f"{event.media_type.value}, {event.size:,} B"
            return f"{who(event.by)}が添付を追加（{size}）", f"{event.by} attached a file ({size})"
        case e.ReferralClosed():
            return (
                f"{who(event.by)}が終結（{event.outcome}）",
                f"{event.by} closed ({event.outcome})",
            )
        case e.ReferralCancelled():
            return f"{who(event.by)}が取消", f"{event.by} cancelled"
        case e.ReferralReopened():
            return f"{who(event.by)}が再開", f"{event.by} reopened"


def _until(due: Due | None, ja: str = "期限", en: str = "due") -> tuple[str, str]:
    """``、期限 11/24 11:00 開所時間``; nothing where no clock runs."""
    if due is None:
        return "", ""
    at = _moment(due.at)
    return f"、{ja} {at} {VALUES['ClockKind'][due.clock]}", f", {en} {at} ({due.clock.value})"


def _late(overdue_since: datetime, decided: datetime) -> tuple[str, str]:
    """A clock that ran out: when it was due, and when that was decided."""
    was, now = _moment(overdue_since), _moment(decided)
    return f"期限 {was} を過ぎて {now} に決定", f"due {was}, decided {now}"


def _moment(moment: datetime) -> str:
    """Japan's time; seconds only where there are any. The whole of it is in ``--json``."""
    local = moment.astimezone(JAPAN)
    whole_minute = local.second == local.microsecond == 0
    return f"{local:%m/%d %H:%M}" if whole_minute else f"{local:%m/%d %H:%M:%S}"


def _receiver(state: Referral, handoff_id: UUID) -> str:
    handoff = state.handoff(handoff_id)
    return handoff.receiver if handoff is not None else "?"


def _code(state: Referral, escalation_id: UUID) -> str:
    escalation = state.escalation(escalation_id)
    return escalation.code if escalation is not None else "?"
