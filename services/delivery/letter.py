"""What a mail to a desk says: that a call changed, by code and number, and until when.

Mail leaves the network, so it says nothing of the person and nothing of where: no district, and of
the agencies only the desk that is called, for a sender or a hub tells the district. The person's
words are not known here at all. Of a restricted call the code and the number are told, what happened
to it, when, and until when; not the reason's words, the urgency or the desk.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from schemas.deliveries import DeliveryGivenUp
from schemas.outside import JAPAN
from schemas.publishing.words import VALUES
from wards.model import Ward

_HAPPENED = {
    "escalation_raised": (
        "上申",
        "上申がありました。応答してください",
        "A call: please acknowledge it",
    ),
    "escalation_passed_on": (
        "上申(次の窓口へ)",
        "期限までに応答または解決がなく、この窓口に回りました。応答してください",
        "Not acknowledged or not resolved in time, now called here: please acknowledge it",
    ),
    "escalation_acknowledged": (
        "上申・応答済み",
        "上申に応答がありました",
        "The call was acknowledged",
    ),
    "escalation_resolved": (
        "上申・解決",
        "上申は解決しました",
        "The call was resolved",
    ),
}

HAPPENED = frozenset(_HAPPENED)
"""The types of events that desks are told of."""
DEMANDS = frozenset({"escalation_raised", "escalation_passed_on"})
"""Those that ask for an answer, which nobody needs any more when the call has been resolved."""
SETTLED = "escalation_resolved"

_TO_RESOLVE = "escalation_acknowledged"
_WEEKDAYS = "月火水木金土日"


class NoAddress(ValueError):
    """There is nobody to write to, or what is written there is no mail address."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail: which event it tells to which desk. ``pointless``: it asks for what is over.
    ``given_up``: it is about no call but about the carrying of events (``notice``)."""

    event: str
    desk: str
    happened: str
    code: str
    restricted: bool
    number: str
    urgency: str | None
    occurred_at: datetime
    due_at: datetime | None
    queued_at: datetime
    attempts: int
    pointless: bool
    given_up: DeliveryGivenUp | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.event, self.desk


def checked_address(text: str) -> str:
    """A mail address that any mail server can carry. Raises NoAddress."""
    try:
        address = Address(addr_spec=text)
    except (MessageError, ValueError, IndexError, AttributeError):
        raise NoAddress("not a mail address") from None
    if not address.domain or not text.isascii() or not text.isprintable():
        raise NoAddress("not a mail address")
    return address.addr_spec


def letter(mail: Mail, ward: Ward, sender: str) -> EmailMessage:
    """The same mail is the same letter, however often it is written. Raises NoAddress."""
    desk = ward.desk(mail.desk)
    if desk is None or desk.mail is None:
        raise NoAddress("the ward file names no address of this desk")
    short, ja, en = _HAPPENED[mail.happened]
    reason = ward.reason(mail.code)
    # The ward file too: of a call from before there were restricted ones its event does not say so.
    restricted = mail.restricted or (reason is not None and reason.restricted)
    urgency = None if restricted else mail.urgency
    urgency_ja = VALUES["Urgency"].get(urgency or "")

    lines = [f"{ja}。", f"{en}.", ""]
    if reason is not None and not restricted:
        lines += [f"{mail.code} {reason.ja}", f"{mail.code} {reason.en}"]
    else:
        lines += [f"{mail.code} 上申 / call"]
    lines += ["", f"番号 / number: {mail.number}"]
    if urgency_ja is not None:
        lines += [f"緊急度 / urgency: {urgency_ja} / {urgency}"]
    if not restricted:
        lines += [f"窓口 / desk: {desk.name} / {desk.name_en}"]
    lines += [f"日時 / at: {in_japan(mail.occurred_at)}"]
    if mail.due_at is not None:
        until = "解決期限 / resolve by" if mail.happened == _TO_RESOLVE else "応答期限 / answer by"
        lines += [f"{until}: {in_japan(mail.due_at)}"]
    lines += [
        "",
        "案件の内容はメールに書きません。つなぐで確認してください。",
        "Nothing of the case itself is sent by mail: look it up in Tsunagu.",
        "",
    ]

    subject = f"[つなぐ] {mail.code} {short} {mail.number}"
    subject = f"{subject} ({urgency_ja})" if urgency_ja else subject
    return posted(mail, sender, desk.mail, subject, lines)


def posted(mail: Mail, sender: str, to: str, subject: str, lines: list[str]) -> EmailMessage:
    """Put it in an envelope. Raises NoAddress."""
    written = EmailMessage(policy=SMTP)
    written["From"] = sender
    written["To"] = checked_address(to)
    written["Subject"] = subject
    written["Date"] = mail.occurred_at
    # Made from what is told, so that the same mail sent twice (we died before noting the server's
    # answer) can be recognised; and hashed, for a desk's id may say what it is for.
    told = hashlib.sha256(f"{mail.event} {mail.desk}".encode()).hexdigest()[:32]
    written["Message-ID"] = f"<{told}@{sender.rpartition('@')[2]}>"
    written["Auto-Submitted"] = "auto-generated"
    written.set_content("\n".join(lines), charset="utf-8", cte="base64")
    return written


def in_japan(moment: datetime) -> str:
    there = moment.astimezone(JAPAN)
    return f"{there:%Y-%m-%d}({_WEEKDAYS[there.weekday()]}) {there:%H:%M} 日本時間 / JST"
