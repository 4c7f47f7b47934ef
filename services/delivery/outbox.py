"""The mails that wait, in the database (送信待ち): one for each change of a call and desk.

A mail is noted in the transaction that takes the event in, and noted as sent only after the mail
server's 250. Whoever dies between the two sends it again, under the same Message-ID. What is noted is
sent, or superseded (it asked for an answer, and the call is resolved), or after three days, or where
the server knows no such mailbox, a dead letter. Mails about one call come to a desk in the order of
what happened.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from runtime import dead_letters
from runtime.clock import Clock, utc_text
from runtime.database import insert_new, reading, writing
from runtime.reading import Entry
from schemas import events as e
from schemas.deliveries import DeliveryGivenUp
from schemas.journal import AnyEntry, DeliveryEntry, JournalEntry
from services.delivery import tables as t
from services.delivery.letter import DEMANDS, HAPPENED, SETTLED, Mail
from services.delivery.notice import recipients
from wards.model import Ward

RETRY_AFTER = (
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(hours=1),
)
"""After the first failure, the second, …; the last one again and again."""
GIVE_UP_AFTER = timedelta(days=3)
_GIVEN_UP = "delivery_given_up"
KEEP = timedelta(days=30)
"""How long what is done is kept, to be counted."""


class Outbox:
    """The mails in the database. Without a mail server (``sends`` is False) it only remembers what a
    later call has to name."""

    def __init__(
        self,
        engine: Engine,
        guard: Callable[[Connection], None],
        ward: Ward,
        clock: Clock,
        *,
        sends: bool,
    ) -> None:
        self._engine = engine
        self._guard = guard
        self._ward = ward
        self._clock = clock
        self._sends = sends

    def take_in(self, connection: Connection, entries: list[Entry]) -> None:
        """Note a mail to every desk concerned, in the transaction that takes the events in."""
        told = [
            JournalEntry.from_json(entry.body)
            for entry in entries
            if entry.value["event"]["type"] in HAPPENED
            or entry.value["event"]["type"] == "referral_submitted"
        ]
        referrals = [
            {
                "id": str(entry.referral),
                "number": entry.event.number,
                "urgency": entry.event.urgency.value,
            }
            for entry in told
            if isinstance(entry.event, e.ReferralSubmitted)
        ]
        insert_new(connection, t.referrals, referrals)
        self._take_in_given_up(connection, entries)
        for entry in told:
            match entry.event:
                case e.EscalationRaised() | e.EscalationPassedOn() as called:
                    self._called(connection, entry, called)
                case e.EscalationAcknowledged() as answered:
                    due = answered.due.at if answered.due else None
                    desks = self._desks_called(connection, str(answered.escalation))
                    self._note(connection, entry, str(answered.escalation), desks, due)
                case e.EscalationResolved() as resolved:
                    desks = self._desks_called(connection, str(resolved.escalation))
                    self._note(connection, entry, str(resolved.escalation), desks, None)

    def _take_in_given_up(self, connection: Connection, entries: list[Entry]) -> None:
        """An agency that could not be reached, and the core centre, are told so once."""
        for entry in entries:
            if entry.value["event"]["type"] == _GIVEN_UP:
                told = DeliveryEntry.from_json(entry.body)
                if isinstance(told.event, DeliveryGivenUp):
                    to = list(recipients(told.event, self._ward))
                    self._note(connection, told, str(told.id), to, None)

    def _called(
        self,
        connection: Connection,
        entry: JournalEntry,
        call: e.EscalationRaised | e.EscalationPassedOn,
    ) -> None:
        escalation = str(call.escalation)
        if isinstance(call, e.EscalationRaised):
            reason = self._ward.reason(call.code)
            restricted = call.restricted or (reason is not None and reason.restricted)
            row = {
                "escalation": escalation,
                "referral": str(entry.referral),
                "code": call.code,
                "restricted": restricted,
            }
            insert_new(connection, t.calls, [row])
        if call.desk is None:
            return
        insert_new(connection, t.desks_called, [{"escalation": escalation, "desk": call.desk}])
        due = call.due.at if call.due else None
        self._note(connection, entry, escalation, self._with_mail([call.desk]), due)

    def _desks_called(self, connection: Connection, escalation: str) -> list[str]:
        d = t.desks_called
        query = sa.select(d.c.desk).where(d.c.escalation == escalation).order_by(d.c.desk)
        return self._with_mail(connection.execute(query).scalars())

    def _with_mail(self, desks: Iterable[str]) -> list[str]:
        found = ((desk_id, self._ward.desk(desk_id)) for desk_id in desks)
        return [desk_id for desk_id, desk in found if desk is not None and desk.mail is not None]

    def _note(
        self,
        connection: Connection,
        entry: AnyEntry,
        escalation: str,
        desks: Iterable[str],
        due: datetime | None,
    ) -> None:
        now = self._clock.now()
        if not self._sends:
            return
        if now - entry.occurred_at > GIVE_UP_AFTER:
            # A journal that is read anew after long must not ring every desk with what is over; a
            # call that is still open is passed on again and again.
            for desk_id in desks:
                self._bury(connection, str(entry.id), desk_id, "too late when it was read", now)
            return
        rows: list[dict[str, Any]] = [
            {
                "event": str(entry.id),
                "desk": desk_id,
                "escalation": escalation,
                "happened": entry.event.type,
                "occurred_at": utc_text(entry.occurred_at),
                "due_at": utc_text(due) if due else None,
                "queued_at": utc_text(now),
                "attempts": 0,
                "next_at": utc_text(now),
                "sent_at": None,
                "number": entry.number,
            }
            for desk_id in desks
        ]
        insert_new(connection, t.mails, rows)

    def due(self, most: int, besides: set[tuple[str, str]]) -> list[Mail]:
        """What is to be tried now, and what is pointless by now; of each call and desk only the
        first that waits. Those first that were tried least, so that what fails again and again keeps
        nothing new waiting."""
        m, c, r = t.mails, t.calls, t.referrals
        now = self._clock.now()
        other = m.alias()
        earlier = sa.exists().where(
            other.c.escalation == m.c.escalation,
            other.c.desk == m.c.desk,
            other.c.next_at.is_not(None),
            other.c.number < m.c.number,
        )
        settled = sa.exists().where(
            other.c.escalation == m.c.escalation, other.c.happened == SETTLED
        )
        pointless = m.c.happened.in_(DEMANDS) & settled
        query = (
            sa.select(
                m, c.c.code, c.c.restricted, c.c.referral, r.c.number.label("name"), r.c.urgency,
                pointless.label("pointless"), t.events.c.body,
            )
            .outerjoin_from(m, c, m.c.escalation == c.c.escalation)
            .outerjoin(r, c.c.referral == r.c.id)
            .outerjoin(t.events, (m.c.happened == _GIVEN_UP) & (m.c.event == t.events.c.id))
            .where(
                m.c.next_at.is_not(None),
                (m.c.next_at <= utc_text(now))
                # Further ahead than the longest step: the clock was set back meanwhile.
                | (m.c.next_at > utc_text(now + RETRY_AFTER[-1]))
                | pointless,
                ~earlier,
            )
            .order_by(m.c.attempts, m.c.number, m.c.desk)
            .limit(most + len(besides))
        )  # fmt: skip
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        mails = [
            Mail(
                event=row.event,
                desk=row.desk,
                happened=row.happened,
                code=row.code or "",
                restricted=bool(row.restricted),
                number=row.name or row.referral or "",
                urgency=row.urgency,
                occurred_at=datetime.fromisoformat(row.occurred_at),
                due_at=datetime.fromisoformat(row.due_at) if row.due_at else None,
                queued_at=datetime.fromisoformat(row.queued_at),
                attempts=row.attempts,
                pointless=row.pointless,
                given_up=_given_up(row.body),
            )
            for row in rows
        ]
        return [mail for mail in mails if mail.key not in besides][:most]

    def sent(self, mail: Mail) -> None:
        """The server has it."""
        with writing(self._engine) as connection:
            self._guard(connection)
            self._finish(connection, mail, sent_at=utc_text(self._clock.now()))

    def supersede(self, mail: Mail) -> None:
        """What it asks for is over."""
        with writing(self._engine) as connection:
            self._guard(connection)
            self._finish(connection, mail, superseded=True)

    def hurry(self) -> None:
        """What waits for a server that is back is tried now."""
        now = utc_text(self._clock.now())
        with writing(self._engine) as connection:
            self._guard(connection)
            update = sa.update(t.mails).where(t.mails.c.next_at > now)
            connection.execute(update.values(next_at=now))

    def clean_up(self) -> None:
        """What has been done for long is no longer kept. An event comes once, so nothing of it is
        noted again."""
        m = t.mails
        long_ago = utc_text(self._clock.now() - KEEP)
        with writing(self._engine) as connection:
            self._guard(connection)
            connection.execute(sa.delete(m).where(m.c.next_at.is_(None), m.c.queued_at < long_ago))

    def put_off(self, mail: Mail, reason: str) -> None:
        """Try again later, or give up after ``GIVE_UP_AFTER``."""
        now = self._clock.now()
        if now - mail.queued_at >= GIVE_UP_AFTER:
            self.give_up(mail, f"given up after {GIVE_UP_AFTER.days} days: {reason}")
            return
        step = RETRY_AFTER[min(mail.attempts, len(RETRY_AFTER) - 1)]
        with writing(self._engine) as connection:
            self._guard(connection)
            connection.execute(
                sa.update(t.mails)
                .where(self._waiting(mail))
                .values(attempts=mail.attempts + 1, next_at=utc_text(now + step))
            )

    def give_up(self, mail: Mail, reason: str) -> None:
        """Kept as a dead letter: which event, to which desk; neither address nor text."""
        with writing(self._engine) as connection:
            self._guard(connection)
            if self._finish(connection, mail):
                self._bury(connection, mail.event, mail.desk, reason, self._clock.now())

    @staticmethod
    def _bury(connection: Connection, event: str, desk: str, reason: str, now: datetime) -> None:
        table = t.journals.dead_letters
        dead_letters.bury(connection, table, f"mail to {desk}", event.encode(), reason, now)

    @staticmethod
    def _waiting(mail: Mail) -> sa.ColumnElement[bool]:
        m = t.mails
        return (m.c.event == mail.event) & (m.c.desk == mail.desk) & m.c.next_at.is_not(None)

    def _finish(self, connection: Connection, mail: Mail, **how: Any) -> bool:
        """Whether it was still waiting: noted once, however often it is tried."""
        update = sa.update(t.mails).where(self._waiting(mail))
        tried = mail.attempts + (0 if mail.pointless else 1)
        done = connection.execute(update.values(attempts=tried, next_at=None, **how))
        return bool(done.rowcount)

    def figures(self) -> dict[str, float]:
        """Of those that wait, and of those that were done in the last ``KEEP`` days."""
        m = t.mails
        superseded = sa.func.count().filter(m.c.superseded)
        query = sa.select(
            sa.func.count(), sa.func.count(m.c.next_at), sa.func.count(m.c.sent_at), superseded
        ).select_from(m)
        with reading(self._engine) as connection:
            every, waiting, sent, over = connection.execute(query).one()
        return {
            "mails_waiting": waiting,
            "mails_sent": sent,
            "mails_superseded": over,
            "mails_given_up": every - waiting - sent - over,
        }


def _given_up(body: str | None) -> DeliveryGivenUp | None:
    if body is None:
        return None
    event = DeliveryEntry.from_json(body).event
    return event if isinstance(event, DeliveryGivenUp) else None
