"""A rehearsal (下見): what a submission would come to, decided as it would be decided and then
forgotten. Nothing is written, no number is given, nobody is asked.

What it says holds for the moment: a ruling or another edition of the ward's file may change it.
"""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from runtime.clock import Clock
from runtime.database import reading
from runtime.ids import new_id
from schemas import commands as c
from schemas import queries as q
from schemas.base import JsonObject
from schemas.codes import Basis
from schemas.events import RulingRequested
from schemas.problems import Refusal
from services.referral import policy, views
from services.referral import tables as t
from services.referral.deciding import Context, written_down
from services.referral.lifecycle import decide
from services.referral.policy import Remembered
from wards.holidays import Calendar
from wards.model import Ward


class Rehearsal:
    def __init__(self, engine: Engine, ward: Ward, holidays: Calendar, clock: Clock) -> None:
        self._engine = engine
        self._ward = ward
        self._holidays = holidays
        self._clock = clock

    def rehearse(self, question: q.RehearseSubmissions) -> q.Told:
        """For each submission, in order: the district, or the problem that it would be refused
        with."""
        findings = [action.finding for action in question.actions if action.finding is not None]
        rulings = self._rulings(findings)
        context = Context(self._clock.now(), self._ward, self._holidays, rulings, {})
        items = [self._would_be(question.agency, action, context) for action in question.actions]
        return q.Told(found=True, body={"items": items})

    def settle(self, question: q.SettleDistrict) -> q.Told:
        """The district that an address would come to; ``district`` is left out where the core centre would
        be asked."""
        settled = policy.settle(question.finding, self._rulings([question.finding]))
        if isinstance(settled, RulingRequested):
            body: JsonObject = {"basis": Basis.AMBIGUOUS.value}
        else:
            body = {"district": settled.district, "basis": settled.basis.value}
        return q.Told(found=True, body={**body, "candidates": list(settled.candidates)})

    def _would_be(self, agency: str, action: c.SubmitReferral, context: Context) -> JsonObject:
        command = c.Command(
            id=new_id(context.now),
            ward=self._ward.code,
            agency=agency,
            issued_at=context.now,
            fingerprint="0" * 64,
            action=action,
        )
        decision = decide(None, command, context)
        if isinstance(decision, Refusal):
            return {"problem": decision.document()}
        _, after = written_down(None, command, decision, context.now)[-1]
        given = views.referral_given(after, agency, self._ward)
        return {"district": given["district"]} if "district" in given else {}

    def _rulings(self, findings: Sequence[c.Finding]) -> dict[str, Remembered]:
        """Those that the addresses' blocks may be settled by."""
        blocks = {finding.block_key for finding in findings} - {None}
        if not blocks:
            return {}
        r = t.rulings
        with reading(self._engine) as connection:
            rows = connection.execute(sa.select(r).where(r.c.block_key.in_(blocks))).all()
        return {row.block_key: Remembered(row.district, UUID(row.ruling)) for row in rows}
