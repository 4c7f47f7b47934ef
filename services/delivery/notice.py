"""The mail that says that an agency's own system could not be reached for too long (不達のお知らせ), to
the agency and to the core centre. Once: after it nothing more is sent there until a test event arrives.

It names agencies, the reason and the agency's own number of the event; nothing of a case, not even its
number.
"""

from collections.abc import Iterator
from email.message import EmailMessage

from schemas.deliveries import DeliveryGivenUp, Undelivered
from services.delivery.letter import Mail, NoAddress, in_japan, posted
from wards.model import Ward

_AGENCY = "@"
"""Before an agency's id, in the place of a desk's: no desk's id begins so."""

REASONS = {
    Undelivered.HANGS: ("10秒以内に応答がない", "no answer within 10 seconds"),
    Undelivered.UNREACHABLE: ("接続できない", "no connection"),
    Undelivered.NOT_CONNECTED: ("NATS に接続していない", "its NATS client is not connected"),
    Undelivered.REFUSED: ("受け取りを断る応答", "it answered that it does not take it"),
    Undelivered.REDIRECTS: (
        "転送の応答（転送には従いません）",
        "it redirects, which is not followed",
    ),
    Undelivered.UNTRUSTED: ("証明書が正しくない", "its certificate is not good"),
    Undelivered.FORBIDDEN_ADDRESS: (
        "公開されていないアドレスに解決される",
        "its name leads to an address that is not public",
    ),
    Undelivered.NO_SECRET: (
        "有効な署名の秘密がない",
        "there is no webhook secret that is good now",
    ),
}


def recipients(given_up: DeliveryGivenUp, ward: Ward) -> Iterator[str]:
    """Whom to tell: the agency, and the core centre or, where it has no address of its own, its first
    desk. As they stand in ``mails.desk``."""
    told = {agency for agency in (given_up.agency, ward.core) if _mail_of(ward, agency)}
    yield from (_AGENCY + agency for agency in sorted(told))
    if ward.core in told:
        return
    desks = (ward.desk(desk) for desk in ward.calls.desks)
    of_the_core = (d.id for d in desks if d and d.agency == ward.core and d.mail)
    yield from list(of_the_core)[:1]


def notice(mail: Mail, given_up: DeliveryGivenUp, ward: Ward, sender: str) -> EmailMessage:
    """The same mail is the same letter, however often it is written. Raises NoAddress."""
    if mail.desk.startswith(_AGENCY):
        to = _mail_of(ward, mail.desk.removeprefix(_AGENCY))
    else:
        desk = ward.desk(mail.desk)
        to = desk.mail if desk else None
    if to is None:
        raise NoAddress("the ward file names no address")
    receiver_ja, receiver_en = _named(ward, given_up.agency)
    from_ja, from_en = _named(ward, given_up.sender)
    ja, en = REASONS[given_up.reason]
    status = f" (HTTP {given_up.status})" if given_up.status else ""
    lines = [
        f"{receiver_ja}のシステムに出来事を届けられませんでした。自動の送信を止めました。",
        f"Events could not be delivered to the system of {receiver_en}. Nothing more is sent to it.",
        "",
        f"送り手 / sender: {from_ja} / {from_en}",
        f"受け手 / receiver: {receiver_ja} / {receiver_en} ({given_up.agency})",
        f"理由 / reason: {ja}{status} / {en}",
        f"受信箱の番号 / number in its inbox: {given_up.inbox_number}",
        f"最初の試み / first try: {in_japan(given_up.since)}",
        f"試みの回数 / tries: {given_up.attempts}",
        "",
        "失われたものはありません。すべて受信箱にあります (GET /v1/inbox)。",
        "Nothing is lost: everything is in the inbox (GET /v1/inbox).",
        "",
        "再開するには: 受け手のシステムを直し、試験の出来事を送ってください (POST /v1/inbox/test)。",
        "届くと、この出来事から始めて、待っていたものが順に送られます。毎日の試験でも再開します。",
        "To go on: mend the receiver's system, then ask for a test event (POST /v1/inbox/test). When it",
        "arrives, this event and what waited behind it are sent in order. The daily test does the same.",
        "",
    ]
    return posted(
        mail, sender, to, f"[つなぐ] 配送停止 / delivery stopped: {given_up.agency}", lines
    )


def _mail_of(ward: Ward, agency_id: str) -> str | None:
    agency = ward.agency(agency_id)
    return agency.mail if agency else None


def _named(ward: Ward, agency_id: str) -> tuple[str, str]:
    agency = ward.agency(agency_id)
    if agency is None:
        return "つなぐ", "Tsunagu"  # the network itself: a clock that ran out
    return agency.name, agency.name_en
