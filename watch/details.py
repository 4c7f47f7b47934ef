"""One escalation in full (詳しく): where it stands, who was asked, what follows. Pure, and without
anything personal: a screen is seen by whoever passes."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from schemas.codes import EscalationState, HandoffState
from schemas.outside import JAPAN
from schemas.partner import BurningGiven, HandoffGiven
from watch.board import Names, span, until, word


def details(
    call: BurningGiven, names: Names, now: datetime, handoffs: Sequence[HandoffGiven] | str
) -> list[str]:
    """``handoffs``: as read, or why they are not there (yet)."""
    function = names.functions.get(call.function, call.function)
    lines = [
        f"{call.number}  {call.code} {names.reasons.get(call.code, '')}",
        f"{word(call.state)}  {word(call.urgency)}  {word(call.stage)}  {function}  "
        f"{names.district(call)}",
        f"担当  {names.agency(call.custodian)}",
        f"上申  {_moment(call.raised_at)}（{span(now - call.raised_at)}前）  "
        f"{_whose(call.raised_by, names)}",
        f"窓口  {names.desk(call)}",
    ]
    if call.acknowledged_at is not None:
        lines.append(f"応答  {_moment(call.acknowledged_at)}  {names.agency(call.acknowledged_by)}")
    if isinstance(handoffs, str):
        lines.append(f"打診  {handoffs}")
    else:
        lines += [f"打診  {line}" for line in _handoffs(handoffs, names, now)] or ["打診  なし"]
    lines.append(f"次は  {follows(call, now)}")
    return lines


def follows(call: BurningGiven, now: datetime) -> str:
    """What happens if nobody does anything."""
    due = (
        None if call.due_at is None else f"{_moment(call.due_at)}（{until(call.due_at, now).text}）"
    )
    match call.state:
        case EscalationState.RAISED if due is None:
            return "応答を待っています"
        case EscalationState.RAISED:
            return f"{due}までに応答がなければ、次の窓口（なければ同じ窓口）が呼ばれます"
        case EscalationState.ACKNOWLEDGED if due is None:
            return "解決を待っています"
        case EscalationState.ACKNOWLEDGED:
            return f"{due}までに解決しなければ、次の窓口（なければ同じ窓口）が呼ばれます"
        case EscalationState.RESOLVED:
            return "解決しました"


def _handoffs(handoffs: Sequence[HandoffGiven], names: Names, now: datetime) -> Iterator[str]:
    for handoff in handoffs:
        line = f"{names.agency(handoff.to)}へ{word(handoff.kind)}  {word(handoff.state)}"
        if handoff.state is HandoffState.OFFERED and handoff.due_at is not None:
            line += f"  {_moment(handoff.due_at)}まで（{until(handoff.due_at, now).text}）"
        elif handoff.reason is not None:
            line += f"  {names.decline_reasons.get(handoff.reason, handoff.reason)}"
        yield line


def _whose(agency: str, names: Names) -> str:
    return "期限や条件による自動の上申" if agency == "network" else names.agency(agency)


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(JAPAN):%m/%d %H:%M}"
