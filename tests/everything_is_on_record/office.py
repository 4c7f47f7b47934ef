"""The audit service without the bus: a ledger, and whoever answers questions about it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from runtime.database import writing
from runtime.settings import Settings
from schemas import queries as q
from schemas.journal import ConsoleEntry
from schemas.looks import LookedAt, ReferralLookedAt
from services.audit import tables as t
from services.audit.following import Following
from services.audit.proving import Prover
from services.audit.queries import Questions
from services.audit.verifying import verify_database
from tests.book import VKEY, Book
from tests.builders import BUNKYO, HUB, Case, Town, a_referral, an_id
from wards import Ward

NOTHING = q.Told(found=False)
MINUTE = timedelta(minutes=1)


class Office:
    def __init__(self, engine: Engine, clock: ManualClock, ward: Ward = BUNKYO) -> None:
        self.town = Town(clock=clock)
        self.book = Book(engine, clock)
        self._bound = 0
        url = engine.url.render_as_string(hide_password=False)
        settings = Settings(database=url)
        self.following = Following(engine, lambda: self.book.ledger.size)
        self.prover = Prover(
            engine, ward, clock, self.following, VKEY,
            lambda progress: verify_database(settings, VKEY, progress),
        )  # fmt: skip
        self.questions = Questions(engine, ward, clock, self.following, self.prover)

    def record(self, *, sign: bool = True) -> None:
        """Bind what has happened in town into the ledger."""
        self.book.append(self.town.entries[self._bound :])
        self._bound = len(self.town.entries)
        if sign:
            self.book.ledger.sign()

    def look(self, case: Case, agency: str, what: LookedAt) -> None:
        """The console tells of a look."""
        looks = sum(row.producer == "console" for row in self.book.entries())
        entry = ConsoleEntry(
            ward=BUNKYO.code, number=looks + 1, id=an_id(f"look {looks}"), actor=agency,
            occurred_at=self.town.clock.now(), command=an_id("a page"),
            event=ReferralLookedAt(
                agency=agency, staff=an_id("account"), referral=case.id, what=what, basis="C2"
            ),
        )  # fmt: skip
        self.book.append([entry])

    def ask(self, question: BaseModel) -> q.Told:
        answers: dict[type[BaseModel], Callable[[Any], q.Told]] = {
            q.ReplayReferral: self.questions.replay,
            q.ReplayWard: self.questions.ward_at,
            q.ReadMonth: self.questions.month,
            q.ReadReceipt: self.prover.receipt,
            q.ReadCheckpoint: self.prover.checkpoint,
            q.VerifyLedger: self.prover.verify,
            q.ExportReferral: self.prover.export_referral,
        }
        told = answers[type(question)](question)
        assert len(told.model_dump_json()) < 2_000_000
        return told

    def body(self, question: BaseModel) -> dict[str, Any]:
        told = self.ask(question)
        assert told.found
        return told.body


def a_day(office: Office, urgency: str = "emergency") -> Case:
    """Offered to the hub, taken after five minutes, closed after an hour."""
    case = a_referral(town=office.town, urgency=urgency)
    office.town.clock.move(5 * MINUTE)
    case.accepted_by(HUB)
    office.town.clock.move(60 * MINUTE)
    case.closed()
    office.record()
    return case


def tampered(office: Office, index: int, body: bytes, leaf: bytes | None = None) -> None:
    """Somebody with the database's own rights rewrites an entry, and its hash where ``leaf`` says so."""
    engine = office.book.engine
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("ALTER TABLE entries DISABLE TRIGGER USER")
        else:
            triggers = connection.exec_driver_sql(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'entries'"
            )
            for (name,) in triggers.all():
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        change = (
            sa.update(t.entries)
            .where(t.entries.c.idx == index)
            .values({"body": body} if leaf is None else {"body": body, "leaf": leaf})
        )
        connection.execute(change)
