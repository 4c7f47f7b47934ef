"""The audit service without the bus: a ledger, and whoever answers questions about it."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from runtime.database import writing
from runtime.reading import Entry
from runtime.settings import Settings
from schemas import queries as q
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

    def look(self, case: Case, agency: str, what: str) -> None:
        """The console tells of a look, as its journal does."""
        number = 1 + sum(row.producer == "console" for row in self.book.entries())
        value = {
            "v": 1, "ward": BUNKYO.code, "producer": "console", "number": number,
            "id": str(an_id(f"look {number}")), "referral": None, "version": None,
            "occurred_at": "2026-11-20T08:00:00.000000Z", "actor": agency,
            "command": str(an_id("command")), "concerns": [],
            "event": {
                "type": "referral_looked_at", "referral": str(case.id), "what": what,
                "agency": agency, "basis": "C2",
            },
        }  # fmt: skip
        body = json.dumps(value).encode()
        with writing(self.book.engine) as connection:
            self.book.ledger.append(connection, [Entry("console", number, value, body)])
        self.book.ledger.settle()

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
