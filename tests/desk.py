"""The deciding service's writer on a real database, without the bus."""

from types import TracebackType
from typing import Any, Self
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from runtime.clock import Clock
from runtime.database import reading
from runtime.sole_writer import SoleWriter
from schemas import commands as c
from schemas import subjects
from schemas.journal import JournalEntry
from schemas.referral import Referral, referral_adapter
from services.referral import tables as t
from services.referral.writer import Done, Outcome, Received, Writer
from tests.builders import BUNKYO, HOLIDAYS


def received(command: c.Command, deliveries: int = 1) -> Received:
    subject = subjects.command(command.ward, command.action.type)
    return Received(subject, command.to_json(), deliveries)


class Desk:
    """``tell`` gives a batch of commands to the writer; ``restart`` is a new process."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock
        self._start()

    def _start(self) -> None:
        self.sole = SoleWriter(self.engine, t.writer, f"referral-{BUNKYO.code}")
        self.writer = Writer(self.engine, BUNKYO, HOLIDAYS, self.clock, self.sole)

    def restart(self) -> None:
        self.sole.release()
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.sole.release()

    def work(self, *messages: Received) -> list[Outcome]:
        return self.writer.work(messages)

    def tell(self, *commands: c.Command) -> list[c.Answer]:
        """The answers to one batch."""
        outcomes = self.work(*map(received, commands))
        answers = [outcome.answer for outcome in outcomes if isinstance(outcome, Done)]
        assert len(answers) == len(commands)
        assert None not in answers
        return answers

    def strike(self) -> None:
        """Whatever has run out by now; no command comes."""
        self.work()

    def rows(self, table: sa.Table) -> list[Any]:
        with reading(self.engine) as connection:
            return list(connection.execute(sa.select(table).order_by(*table.primary_key)))

    def journal(self) -> list[JournalEntry]:
        return [JournalEntry.from_json(row.body) for row in self.rows(t.journal.journal)]

    def states(self) -> dict[UUID, Referral]:
        return {
            UUID(row.id): referral_adapter.validate_json(row.state)
            for row in self.rows(t.referrals)
        }

    def dead_letters(self) -> list[tuple[str, bytes]]:
        return [(row.reason, bytes(row.body)) for row in self.rows(t.dead_letters)]
