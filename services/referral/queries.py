"""What others may ask of the referral service. Each answer says only what the asking agency may
see; what does not exist and what is none of its business look the same."""

import secrets
from uuid import UUID

import sqlalchemy as sa
from pydantic_core import from_json
from sqlalchemy.engine import Connection, Engine

from runtime import journal as journals
from runtime.database import reading
from schemas import queries as q
from schemas.base import JsonObject
from schemas.codes import EscalationState
from schemas.journal import JournalEntry
from schemas.referral import Referral, referral_adapter
from schemas.sealed import Group, SealedRecord
from services.referral import involvement, views
from services.referral import tables as t
from wards.model import Ward

_NOTHING = q.Told(found=False)
_LARGEST_REPLY = 1_000_000  # bytes; the broker carries at most 4 MB in one message


class Questions:
    """Answers from the database, in a worker thread; never touches what the writer is doing."""

    def __init__(self, engine: Engine, ward: Ward) -> None:
        self._engine = engine
        self._ward = ward
        # Nobody puts a database back under a process that has it open.
        self._mark = secrets.token_hex(4)

    def read(self, question: q.ReadReferral) -> q.Told:
        """One referral with what may be opened of it."""
        with reading(self._engine) as connection:
            state = self._find(connection, str(question.ref))
            if state is None or not involvement.may_see(state, question.agency, self._ward):
                return _NOTHING
            body = views.referral_given(state, question.agency, self._ward)
            # The submission's own groups; the words beside later steps belong to the history.
            sealed = self._sealed(connection, state, question.agency, words=False)
        return q.Told(found=True, referral=state.id, body=body, sealed=sealed)

    def history(self, question: q.ReadHistory) -> q.Told:
        """Every event of one referral, in order."""
        with reading(self._engine) as connection:
            state = self._find(connection, str(question.ref))
            if state is None or not involvement.may_see(state, question.agency, self._ward):
                return _NOTHING
            bodies = journals.history(connection, t.journal, str(state.id))
            sealed = self._sealed(connection, state, question.agency, words=True)
        items: list[JsonObject] = []
        told: list[SealedRecord] = []
        size, more = 0, False
        for body in bodies[question.after :]:
            entry = JournalEntry.from_json(body)
            records = [record for record in sealed if record.event == entry.id]
            size += len(body) + sum(len(record.ciphertext) for record in records)
            if items and size > _LARGEST_REPLY:
                more = True
                break
            if views.may_be_told(entry.event, state, question.agency, self._ward):
                items.append(views.event_given(entry, state, question.agency, self._ward))
                told += records
        return q.Told(
            found=True,
            referral=state.id,
            body={"items": items, "more": more},
            sealed=tuple(told),
        )

    def listing(self, question: q.ListReferrals) -> q.Told:
        """The agency's own referrals, newest first."""
        r, w = t.referrals, t.worklist
        query = (
            sa.select(r.c.state, w.c.seq)
            .join_from(w, r, w.c.referral == r.c.id)
            .where(w.c.agency == question.agency)
            .order_by(w.c.seq.desc())
            .limit(question.limit + 1)
        )
        if question.before is not None:
            query = query.where(w.c.seq < question.before)
        for column, value in (
            (r.c.stage, question.stage),
            (r.c.function, question.function),
            (r.c.urgency, question.urgency),
            (r.c.custodian, question.custodian),
        ):
            if value is not None:
                query = query.where(column == str(value))
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        body: JsonObject = {
            "items": [
                views.referral_given(
                    referral_adapter.validate_json(row.state), question.agency, self._ward
                )
                for row in rows[: question.limit]
            ]
        }
        if len(rows) > question.limit:
            body["next"] = str(rows[question.limit - 1].seq)
        return q.Told(found=True, body=body)

    def escalations(self, question: q.ListEscalations) -> q.Told:
        """The calls that this agency may know of: newest change first; or, after a place, what has
        changed since, oldest change first."""
        if not self._watches(question.agency):
            return _NOTHING
        x, r = t.escalations, t.referrals
        query = sa.select(x.c.id, x.c.change, r.c.state).join_from(x, r, x.c.referral == r.c.id)
        for column, value in (
            (x.c.code, question.code),
            (x.c.district, question.district),
            (x.c.custodian, question.custodian),
        ):
            if value is not None:
                query = query.where(column == value)
        if not involvement.sees_all(question.agency, self._ward):
            # A desk sees the calls that were made to it; what it may not see is not counted either.
            query = query.where(x.c.called.contains(f" {question.agency} ", autoescape=True))
        if question.district is not None and question.agency != self._ward.core:
            query = query.where(sa.not_(x.c.protected))
        if question.after is not None:
            query = query.where(x.c.change > question.after).order_by(x.c.change)
        else:
            states = question.states or (EscalationState.RAISED, EscalationState.ACKNOWLEDGED)
            query = query.where(x.c.state.in_(states)).order_by(x.c.change.desc())
            if question.before is not None:
                query = query.where(x.c.change < question.before)
        with reading(self._engine) as connection:
            # The head first: what changes meanwhile comes after it.
            head = connection.execute(sa.select(sa.func.max(x.c.change))).scalar() or 0
            rows = connection.execute(query.limit(question.limit + 1)).all()
        items: list[JsonObject] = []
        for row in rows[: question.limit]:
            state = referral_adapter.validate_json(row.state)
            escalation = state.escalation(UUID(row.id))
            if escalation is not None:
                items.append(
                    views.burning_given(state, escalation, row.change, question.agency, self._ward)
                )
        body: JsonObject = {"items": items, "head": head}
        if len(rows) > question.limit:
            body["next"] = str(rows[question.limit - 1].change)
        return q.Told(found=True, body=body, mark=self._mark)

    def _watches(self, agency_id: str) -> bool:
        return involvement.sees_all(agency_id, self._ward) or any(
            desk.agency == agency_id for desk in self._ward.desks
        )

    def answer(self, question: q.ReadAnswer) -> q.Told:
        """What a command was answered, for the agency that sent it."""
        a = t.answers
        query = sa.select(a.c.status, a.c.body).where(
            a.c.id == str(question.request), a.c.agency == question.agency
        )
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        if row is None:
            return _NOTHING
        return q.Told(found=True, body={"status": row.status, "body": from_json(row.body)})

    def locate(self, question: q.Locate) -> q.Told:
        """Which referral a number, id or hand-off belongs to."""
        with reading(self._engine) as connection:
            ref = str(question.ref) if question.ref is not None else None
            for table, part in (
                (t.handoffs, question.handoff),
                (t.escalations, question.escalation),
            ):
                if part is not None:
                    place = sa.select(table.c.referral).where(table.c.id == str(part))
                    ref = connection.execute(place).scalar()
            state = self._find(connection, ref) if ref is not None else None
        if state is None or not involvement.may_see(state, question.agency, self._ward):
            return _NOTHING
        return q.Told(found=True, referral=state.id)

    def _find(self, connection: Connection, ref: str) -> Referral | None:
        r = t.referrals
        query = sa.select(r.c.state).where(sa.or_(r.c.id == ref, r.c.number == ref))
        body = connection.execute(query).scalar()
        return referral_adapter.validate_json(body) if body is not None else None

    def _sealed(
        self, connection: Connection, state: Referral, agency: str, *, words: bool
    ) -> tuple[SealedRecord, ...]:
        if not involvement.may_open(state, agency, self._ward):
            return ()
        address = involvement.may_open_address(state, agency, self._ward)
        s = t.sealed
        query = sa.select(s).where(s.c.referral == str(state.id))
        if not words:
            query = query.where(s.c.grp != Group.TEXT.value)
        return tuple(
            SealedRecord(
                event=row.event,
                group=row.grp,
                commitment=row.commitment,
                ciphertext=row.ciphertext,
            )
            for row in connection.execute(query)
            # A file may say the address too.
            if address or row.grp not in (Group.ADDRESS, Group.ATTACHMENT)
        )
