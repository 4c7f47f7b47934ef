"""What an event says, as a sentence for people (文): in Japanese and in English, the same wherever a
history is told: in a replay, on a page, in the demonstration. Pure.

Whoever tells a history may not have all of it: of an event only its fact and its moment are needed, of the
rest only whom a hand-off asked and why a call was made.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from schemas import events as e
from schemas.base import NETWORK
from schemas.due import Due
from schemas.outside import JAPAN
from schemas.publishing.words import VALUES


class Fact(Protocol):
    """An event with its moment: a journal's entry, or what an agency was told of one."""

    @property
    def event(self) -> e.Event: ...

    @property
    def occurred_at(self) -> datetime: ...


class Asked(Protocol):
    @property
    def receiver(self) -> str: ...


class Called(Protocol):
    @property
    def code(self) -> str: ...


class Known(Protocol):
    """What is known of a referral, by then or later: whom a hand-off asked, why a call was made. None
    where the reader is not told."""

    def handoff(self, handoff_id: UUID, /) -> Asked | None: ...

    def escalation(self, escalation_id: UUID, /) -> Called | None: ...


class _Named(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def name_en(self) -> str: ...


class _Coded(Protocol):
    @property
    def code(self) -> str: ...

    @property
    def ja(self) -> str: ...

    @property
    def en(self) -> str: ...


class _Place(Protocol):
    """A ward, as far as it gives names."""

    @property
    def agencies(self) -> Iterable[_Named]: ...

    @property
    def desks(self) -> Iterable[_Named]: ...

    @property
    def districts(self) -> Iterable[_Named]: ...

    @property
    def outcomes(self) -> Iterable[_Coded]: ...

    @property
    def decline_reasons(self) -> Iterable[_Coded]: ...


@dataclass(frozen=True, slots=True)
class Names:
    """What people call agencies, desks, districts, and the ward's outcomes and reasons, by id; what has no
    name here stands for itself. ``english``: the names for the English sentence; None: ids and codes, as on
    the command line."""

    agencies: Mapping[str, str]
    desks: Mapping[str, str]
    districts: Mapping[str, str] = field(default_factory=dict)
    terms: Mapping[str, str] = field(default_factory=dict)
    network: str = "つなぐ"
    english: "Names | None" = None

    @classmethod
    def of(cls, ward: _Place) -> "Names":
        """The ward's names in both languages."""
        terms = (*ward.outcomes, *ward.decline_reasons)
        return cls(
            {a.id: a.name for a in ward.agencies},
            {d.id: d.name for d in ward.desks},
            {d.id: d.name for d in ward.districts},
            {t.code: t.ja for t in terms},
            english=cls(
                {a.id: a.name_en for a in ward.agencies},
                {d.id: d.name_en for d in ward.desks},
                {d.id: d.name_en for d in ward.districts},
                {t.code: t.en for t in terms},
                "Tsunagu",
            ),
        )

    def agency(self, agency: str) -> str:
        return self.network if agency == NETWORK else self.agencies.get(agency, agency)

    def desk(self, desk: str) -> str:
        return self.desks.get(desk, desk)

    def district(self, district: str) -> str:
        return self.districts.get(district, district)

    def term(self, code: str) -> str:
        return self.terms.get(code, code)

    def value(self, value: StrEnum) -> str:
        """A code of the network's own, in English."""
        return value.value.replace("_", " ")


class _Ids(Names):
    """Ids and codes, as they are."""

    __slots__ = ()

    def agency(self, agency: str) -> str:
        return agency

    def value(self, value: StrEnum) -> str:
        return value.value


_IDS = _Ids({}, {})


def sentence(entry: Fact, state: Known, names: Names) -> tuple[str, str]:
    """What an event says, in Japanese and English."""
    event, en = entry.event, names.english or _IDS
    who, called = names.agency, en.agency
    match event:
        case e.ReferralSubmitted():
            return (
                f"{who(event.sender)}が受け付けを依頼（{event.number}）",
                f"{called(event.sender)} submitted {event.number}",
            )
        case e.DistrictFound():
            basis = VALUES["Basis"][event.basis]
            return (
                f"地区は{names.district(event.district)}（根拠: {basis}）",
                f"district {en.district(event.district)} ({en.value(event.basis)})",
            )
        case e.RulingRequested():
            between = "・".join(map(names.district, event.candidates))
            among = "・".join(event.candidates)
            if names.english is not None:
                among = ", ".join(map(en.district, event.candidates))
            return f"地区が決まらず判定を依頼（候補: {between}）", f"ruling requested: {among}"
        case e.DistrictRuled() if event.revises is not None:
            return (
                f"{who(event.by)}が判定を{names.district(event.district)}に変更",
                f"{called(event.by)} changed the ruling to {en.district(event.district)}",
            )
        case e.DistrictRuled():
            return (
                f"{who(event.by)}が{names.district(event.district)}と判定",
                f"{called(event.by)} ruled {en.district(event.district)}",
            )
        case e.HandoffOffered():
            kind = "引き継ぎ" if event.kind.value == "transfer" else "依頼"
            until, due = _until(event.due)
            withheld = ("（氏名等は受諾後）", ", person withheld") if event.withheld else ("", "")
            return (
                f"{who(event.sender)}が{who(event.receiver)}へ{kind}を打診{withheld[0]}{until}",
                f"{called(event.sender)} offered a {event.kind.value} to "
                f"{called(event.receiver)}{withheld[1]}{due}",
            )
        case e.HandoffAccepted():
            return (
                f"{who(event.by)}が受諾、担当は{who(event.custodian)}",
                f"{called(event.by)} accepted; custodian is {called(event.custodian)}",
            )
        case e.HandoffDeclined():
            return (
                f"{who(event.by)}が辞退（{names.term(event.reason)}）",
                f"{called(event.by)} declined "
                f"({en.term(event.reason)}, said by {event.said_by.value})",
            )
        case e.HandoffExpired():
            asked = state.handoff(event.handoff)
            late_ja, late = _late(event.overdue_since, entry.occurred_at)
            return (
                f"{_asked(asked, names)}が無回答、{late_ja}",
                f"{_asked(asked, en)} did not answer, {late}",
            )
        case e.HandoffWithdrawn():
            asked = state.handoff(event.handoff)
            because = VALUES["WithdrawnBecause"][event.because]
            return (
                f"{_asked(asked, names)}への打診を取り下げ（{because}）",
                f"withdrawn from {_asked(asked, en)} ({en.value(event.because)})",
            )
        case e.HandoffCompleted():
            return (
                f"{who(event.by)}が完了を報告（{names.term(event.outcome)}）",
                f"{called(event.by)} completed ({en.term(event.outcome)})",
            )
        case e.EscalationRaised():
            ja = f"{who(event.by)}が{event.code}を上申"
            told = f"{called(event.by)} escalated {event.code}"
            if event.restricted:
                ja, told = f"{ja}（閲覧制限）", f"{told} (restricted)"
            if event.overdue_since is not None:
                was = _moment(event.overdue_since)
                ja, told = f"{ja}（期限 {was} を超過）", f"{told} (overdue since {was})"
            if event.desk is not None:
                ja, told = f"{ja}、{names.desk(event.desk)}へ", f"{told}, to {en.desk(event.desk)}"
            until, due = _until(event.due)
            return ja + until, told + due
        case e.EscalationPassedOn():
            code = _code(state, event.escalation)
            late_ja, late = _late(event.overdue_since, entry.occurred_at)
            until, due = _until(event.due)
            return (
                f"{code}は{late_ja}、{event.level}番目の{names.desk(event.desk)}へ{until}",
                f"{code}: {late}, passed on to {en.desk(event.desk)} (level {event.level}){due}",
            )
        case e.EscalationAcknowledged():
            code = _code(state, event.escalation)
            until, due = _until(event.due, "解決の期限", "to resolve by")
            advice = ("（助言のみ）", " (advice only)") if event.advise_only else ("", "")
            return (
                f"{who(event.by)}が{code}に応答{advice[0]}、担当は{who(event.custodian)}{until}",
                f"{called(event.by)} acknowledged {code}{advice[1]}; "
                f"custodian is {called(event.custodian)}{due}",
            )
        case e.CustodyTaken():
            return f"担当は{who(event.custodian)}へ", f"custodian is {called(event.custodian)}"
        case e.EscalationResolved():
            code = _code(state, event.escalation)
            disposition = VALUES["Disposition"][event.disposition]
            return (
                f"{who(event.by)}が{code}を解決（{disposition}）",
                f"{called(event.by)} resolved {code} ({en.value(event.disposition)})",
            )
        case e.NoteAdded():
            return f"{who(event.by)}が記録を追加", f"{called(event.by)} added a note"
        case e.AttachmentAdded():
            size = f"{event.media_type.value}, {event.size:,} B"
            return (
                f"{who(event.by)}が添付を追加（{size}）",
                f"{called(event.by)} attached a file ({size})",
            )
        case e.ReferralClosed():
            return (
                f"{who(event.by)}が終結（{names.term(event.outcome)}）",
                f"{called(event.by)} closed ({en.term(event.outcome)})",
            )
        case e.ReferralCancelled():
            return f"{who(event.by)}が取消", f"{called(event.by)} cancelled"
        case e.ReferralReopened():
            return f"{who(event.by)}が再開", f"{called(event.by)} reopened"


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


def _asked(handoff: Asked | None, names: Names) -> str:
    return names.agency(handoff.receiver) if handoff is not None else "?"


def _code(state: Known, escalation_id: UUID) -> str:
    escalation = state.escalation(escalation_id)
    return escalation.code if escalation is not None else "?"
