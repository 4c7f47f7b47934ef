"""One batch of decisions before it is committed: what it knows so far, and what it will write.

Later commands of a batch see what earlier ones led to; nothing is in the database before ``write``.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from runtime.clock import utc_text
from runtime.database import insert_new, upsert
from schemas import events as e
from schemas.codes import AddressKind
from schemas.commands import Answer, Command
from schemas.journal import JournalEntry
from schemas.outside import JAPAN
from schemas.referral import Referral, referral_adapter
from services.referral import tables as t
from services.referral.involvement import ever_involved
from services.referral.policy import Remembered

Rows = list[dict[str, Any]]


@dataclass(slots=True)
class Batch:
    """``places``: the referral of a hand-off, escalation or number; ``seqs``: the order in which referrals came;
    ``touched``: the states to be written; ``head``: the journal's newest number;
    ``change``: the newest change of an escalation; ``escalations``: the row of each that changed;
    ``clocks``: when each clock that was touched is due, None where it was stopped; ``buried``:
    subject, body and reason of what could not be decided."""

    head: int
    change: int
    rulings: dict[str, Remembered]
    last_number: dict[int, int]
    states: dict[str, Referral] = field(default_factory=dict)
    seqs: dict[str, int] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    answers: dict[str, tuple[str, Answer]] = field(default_factory=dict)
    touched: dict[str, Referral] = field(default_factory=dict)
    journal_rows: Rows = field(default_factory=list)
    answer_rows: Rows = field(default_factory=list)
    sealed_rows: Rows = field(default_factory=list)
    handoff_rows: Rows = field(default_factory=list)
    worklist_rows: Rows = field(default_factory=list)
    ruling_rows: Rows = field(default_factory=list)
    escalations: dict[str, dict[str, Any]] = field(default_factory=dict)
    clocks: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    buried: list[tuple[str, bytes, str]] = field(default_factory=list)

    def record_answer(self, command: Command, answer: Answer) -> None:
        self.answers[str(command.id)] = (command.fingerprint, answer)
        self.answer_rows.append(
            {
                "id": str(command.id),
                "agency": command.agency,
                "fingerprint": command.fingerprint,
                "status": answer.status,
                "body": answer.body,
            }
        )

    def take_in(
        self,
        command: Command,
        entries: list[JournalEntry],
        before: Referral | None,
        after: Referral,
    ) -> None:
        """The entries that a command led to, and the state after them. What can fail is computed
        before anything of the batch is touched."""
        bodies = [entry.model_dump_json(exclude_none=True) for entry in entries]
        key = str(after.id)
        if before is None:
            self.seqs[key] = self.head + 1
            self.places[after.number] = key
            year = after.submitted_at.astimezone(JAPAN).year
            self.last_number[year] = self.last_number.get(year, 0) + 1
        self.head += len(entries)
        self.states[key] = self.touched[key] = after
        self._set_clocks(key, before, after)
        self._take_in_escalations(key, before, after)
        known = ever_involved(before) if before is not None else frozenset()
        for agency in ever_involved(after) - known:
            self.worklist_rows.append({"agency": agency, "seq": self.seqs[key], "referral": key})
        for entry, body in zip(entries, bodies, strict=True):
            self._take_in_entry(key, entry, body)
        self._keep_sealed(command, key, entries)

    def _take_in_entry(self, key: str, entry: JournalEntry, body: str) -> None:
        event = entry.event
        self.journal_rows.append(
            {
                "number": entry.number,
                "id": str(entry.id),
                "thread": key,
                "type": event.type,
                "body": body,
            }
        )
        if isinstance(event, e.HandoffOffered):
            self.places[str(event.handoff)] = key
            self.handoff_rows.append({"id": str(event.handoff), "referral": key})
        elif isinstance(event, e.DistrictRuled) and event.remember and event.block_key:
            self.rulings[event.block_key] = Remembered(event.district, entry.id)
            self.ruling_rows.append(
                {
                    "block_key": event.block_key,
                    "district": event.district,
                    "ruling": str(entry.id),
                }
            )

    def _set_clocks(self, key: str, before: Referral | None, after: Referral) -> None:
        was = set(before.clocks) if before is not None else set()
        runs = set(after.clocks)
        for stopped in was - runs:
            self.clocks[str(stopped.subject)] = None
        for clock in runs - was:
            due_at = utc_text(clock.due_at)
            self.clocks[str(clock.subject)] = {
                "subject": str(clock.subject),
                "referral": key,
                "due_at": due_at,
                "strike_at": due_at,
            }

    def postpone(self, row: Any, until: datetime) -> None:
        """Look at a clock again later: deciding it has failed."""
        self.clocks[row.subject] = {**row._mapping, "strike_at": utc_text(until)}

    def _take_in_escalations(self, key: str, before: Referral | None, after: Referral) -> None:
        """Whatever changes in a case changes what the board shows of its open escalations."""
        was_open = {x.id for x in before.escalations if x.open} if before is not None else set()
        for escalation in after.escalations:
            if escalation.open or escalation.id in was_open:
                self.change += 1
                self.places[str(escalation.id)] = key
                self.escalations[str(escalation.id)] = {
                    "id": str(escalation.id),
                    "referral": key,
                    "change": self.change,
                    "state": escalation.state.value,
                    "code": escalation.code,
                    "district": after.district.id if after.district is not None else None,
                    "protected": after.address_kind is AddressKind.PROTECTED,
                    "custodian": after.custodian,
                    "called": f" {' '.join(escalation.called)} ",
                }

    def _keep_sealed(self, command: Command, key: str, entries: list[JournalEntry]) -> None:
        """The ciphertext belongs to the event that carries its commitment."""
        groups = {group.commitment: group for group in command.action.sealed}
        for entry in entries:
            for commitment in entry.event.sealed:
                group = groups[commitment.commitment]
                self.sealed_rows.append(
                    {
                        "event": str(entry.id),
                        "grp": group.group.value,
                        "referral": key,
                        "commitment": group.commitment,
                        "ciphertext": group.ciphertext,
                    }
                )

    def write(self, connection: Connection) -> None:
        """Everything, in the caller's transaction."""
        _insert(connection, t.journal.journal, self.journal_rows)
        _insert(connection, t.answers, self.answer_rows)
        _insert(connection, t.sealed, self.sealed_rows)
        _insert(connection, t.handoffs, self.handoff_rows)
        insert_new(connection, t.worklist, self.worklist_rows)
        upsert(connection, t.rulings, self.ruling_rows)
        upsert(connection, t.escalations, list(self.escalations.values()))
        stopped = [subject for subject, row in self.clocks.items() if row is None]
        if stopped:
            connection.execute(sa.delete(t.clocks).where(t.clocks.c.subject.in_(stopped)))
        upsert(connection, t.clocks, [row for row in self.clocks.values() if row is not None])
        upsert(connection, t.referrals, [self._state_row(key) for key in self.touched])

    def _state_row(self, key: str) -> dict[str, Any]:
        state = self.touched[key]
        return {
            "id": key,
            "number": state.number,
            "seq": self.seqs[key],
            "year": state.submitted_at.astimezone(JAPAN).year,
            "stage": state.stage.value,
            "function": state.function,
            "urgency": state.urgency.value,
            "custodian": state.custodian,
            "version": state.version,
            "state": referral_adapter.dump_json(state).decode(),
            "district": state.district.id if state.district is not None else None,
            "protected": state.address_kind is AddressKind.PROTECTED,
        }


def _insert(connection: Connection, table: sa.Table, rows: Rows) -> None:
    if rows:
        connection.execute(sa.insert(table), rows)
