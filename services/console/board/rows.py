"""A row of the board in words (見張りの一行). Pure: a call, the visitor's words and the moment are
arguments. What stands out by its colour stands out by shape and word too.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from schemas.codes import EscalationState, Stage, Urgency
from schemas.outside import JAPAN
from schemas.partner import BurningGiven
from services.console.board.sight import STANDING, is_overdue
from services.console.person import Person, Role
from services.console.words import Words
from wards.escalation import WhenUndecided
from wards.model import Ward

NEAR = timedelta(minutes=5)
_FEW = 3  # districts to choose from in the row itself


@dataclass(frozen=True, slots=True)
class Left:
    """Until somebody must acknowledge, or resolve. ``tone``: over, near, enough, none or done."""

    tone: str
    text: str


@dataclass(frozen=True, slots=True)
class May:
    """What somebody may do with a call from its row: the rest is on its own page."""

    acknowledge: bool = False
    advise: bool = False
    rule: tuple[str, ...] = ()
    decide: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Moments for the browser are in milliseconds since 1970."""

    id: UUID
    referral: UUID
    number: str
    change: int
    code: str
    reason: str
    urgency: Urgency
    state: EscalationState
    custodian: str
    district: str
    desk: str
    in_hand: str
    since: datetime
    age: str
    left: Left
    due_ms: int | None
    since_ms: int
    may: May


def row(call: BurningGiven, words: Words, role: Role, now: datetime) -> Row:
    return Row(
        id=call.id,
        referral=call.referral,
        number=call.number,
        change=call.change,
        code=call.code,
        reason=words.term("escalation_reasons", call.code),
        urgency=call.urgency,
        state=call.state,
        custodian=words.agency(call.custodian),
        district=district(call, words),
        desk=desk(call, words),
        in_hand=in_hand(call, words),
        since=call.raised_at,
        age=words.span(now - call.raised_at),
        left=left(call, words, now),
        due_ms=_ms(call.due_at) if call.due_at and call.state in STANDING else None,
        since_ms=_ms(call.raised_at),
        may=may(call, role, words.ward),
    )


def left(call: BurningGiven, words: Words, now: datetime) -> Left:
    if call.state is EscalationState.RESOLVED:
        return Left("done", words.t("解決", "resolved"))
    if call.due_at is None:
        return Left("none", words.t("期限なし", "no deadline"))
    length = call.due_at - now
    if is_overdue(call, now):
        text = words.span(-length)
        return Left("over", words.t(f"超過 {text}", f"{text} over"))
    if length < NEAR:
        minutes, seconds = divmod(int(length.total_seconds()), 60)
        return Left(
            "near",
            words.t(f"間近 {minutes}分{seconds:02d}秒", f"soon: {minutes} min {seconds:02d} s"),
        )
    text = words.span(length)
    return Left("enough", words.t(f"残り {text}", f"{text} left"))


def district(call: BurningGiven, words: Words) -> str:
    """Its name; or that it is undecided, and between which. Empty where it may not be known."""
    if call.district is not None:
        return words.district(call.district)
    if not call.candidates:
        return words.t("未定", "undecided") if call.stage is Stage.AWAITING_RULING else ""
    if len(call.candidates) == len(words.ward.districts):
        return words.t("未定（全地区）", "undecided (any)")
    names = words.t("・", ", ").join(short_district(c, words) for c in call.candidates)
    return words.t(f"未定（{names}）", f"undecided ({names})")


def short_district(code: str, words: Words) -> str:
    return words.district(code).removesuffix("地区")


def desk(call: BurningGiven, words: Words) -> str:
    level = words.t(f"{call.level}段目", f"level {call.level}")
    return level if call.desk is None else f"{words.desk(call.desk)} {level}"


def in_hand(call: BurningGiven, words: Words) -> str:
    """Who acknowledged; empty while nobody has."""
    if call.acknowledged_by is None:
        return ""
    return words.agency(call.acknowledged_by)


def may(call: BurningGiven, role: Role, ward: Ward) -> May:
    """The deciding service has the last word; this only leaves out what it would refuse."""
    if role in (Role.AUDITOR, Role.SCREEN) or call.state is EscalationState.RESOLVED:
        return May()
    core = role is Role.CORE
    raised = call.state is EscalationState.RAISED
    ended = call.stage in (Stage.CLOSED, Stage.CANCELLED)
    rule = call.candidates if core and is_undecided(call.code, ward) and not ended else ()
    rule = rule if call.stage is Stage.AWAITING_RULING else ()
    return May(
        acknowledge=raised,
        advise=raised and core and not ended and not rule,
        rule=rule if len(rule) <= _FEW else (),
        decide=not raised or len(rule) > _FEW,
    )


def is_undecided(code: str, ward: Ward) -> bool:
    """A call that asks for a ruling: it ends by that."""
    reason = ward.reason(code)
    return reason is not None and any(isinstance(each, WhenUndecided) for each in reason.when)


def said(call: BurningGiven, words: Words, now: datetime) -> str:
    """A call in one sentence, for whoever does not see the row."""
    parts = (
        words.code(call.urgency),
        call.code,
        words.term("escalation_reasons", call.code),
        district(call, words),
        words.agency(call.custodian),
        left(call, words, now).text,
    )
    return words.t("、", ", ").join(part for part in parts if part)


def answered_already(call_by: str, at: datetime | None, person: Person, words: Words) -> str:
    """Somebody else was quicker: who, and when."""
    if call_by == person.agency:
        ja_who, en_who = "同じ機関のほかの人", "a colleague at your agency"
    else:
        ja_who = en_who = words.agency(call_by)
    when = f"{at.astimezone(JAPAN):%H:%M}" if at is not None else ""
    return words.t(
        f"{ja_who}が {when} に応答済みです。" if when else f"{ja_who}が応答済みです。",
        f"Already acknowledged by {en_who}{' at ' + when if when else ''}.",
    )


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
