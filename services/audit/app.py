"""The audit service: what it is made of, and how it runs."""

import asyncio
from pathlib import Path

import sqlalchemy as sa

from runtime import dead_letters
from runtime.clock import Clock, utc_text
from runtime.database import upsert, writing
from runtime.keys import signing_key
from runtime.observability import log
from runtime.reading import JournalReader, Missing
from runtime.service import running
from runtime.settings import Settings
from runtime.signed_note import verifier_key
from schemas import queries as q
from schemas import subjects
from services.audit import tables as t
from services.audit.following import Following
from services.audit.ledger import Ledger, check_entry, known_events, origin
from services.audit.proving import Prover
from services.audit.queries import Questions
from services.audit.replay import ReplayError
from services.audit.verifying import verify_database
from wards.model import Ward

SERVICE = "audit"
MIGRATIONS = Path(__file__).with_name("migrations")
_SIGN_EVERY = 0.2  # seconds between checkpoints while entries keep coming
_LOOK_EVERY = 0.5  # seconds


async def run(settings: Settings, ward: Ward, clock: Clock) -> None:
    """Serve until cancelled."""
    key = signing_key(settings.keys / "ledger.key")
    async with running(settings, SERVICE, ward.code, MIGRATIONS, t.journals.writer) as service:
        engine = service.engine
        ledger = Ledger(service.engine, ward.code, key, clock)
        vkey = verifier_key(origin(ward.code), key).encode()
        (settings.keys / "ledger.vkey").write_text(vkey + "\n", encoding="ascii")
        reader = JournalReader(
            service,
            t.journals,
            clock,
            name=SERVICE,
            ward=ward.code,
            replicas=settings.replicas,
            producers=subjects.PRODUCERS,
            check=check_entry,
            knows=known_events,
            take_in=ledger.append,
            settled=ledger.settle,
            gap_changed=lambda gap, healed: _record_gap(engine, gap, healed, clock),
        )

        def status(_: q.AskStatus) -> q.ServiceStatus:
            figures = {
                "ledger_entries": ledger.size,
                "ledger_signed": ledger.signed,
                "contradictions": reader.contradictions + len(reader.receded),
                "dead_letters": dead_letters.count(engine, t.journals.dead_letters),
            }
            gaps = tuple(
                q.Gap.model_validate(gap, from_attributes=True) for gap in reader.missing.values()
            )
            return q.ServiceStatus(service=SERVICE, ready=reader.whole, figures=figures, gaps=gaps)

        following = Following(engine, lambda: ledger.size)
        prover = Prover(
            engine,
            ward,
            clock,
            following,
            vkey,
            lambda progress: verify_database(settings, vkey, progress),
        )
        questions = Questions(engine, ward, clock, following, prover)
        for name, question, handler in (
            ("status", q.AskStatus, status),
            ("replay", q.ReplayReferral, questions.replay),
            ("ward_at", q.ReplayWard, questions.ward_at),
            ("month", q.ReadMonth, questions.month),
            ("receipt", q.ReadReceipt, prover.receipt),
            ("checkpoint", q.ReadCheckpoint, prover.checkpoint),
            ("verify", q.VerifyLedger, prover.verify),
            ("export_referral", q.ExportReferral, prover.export_referral),
        ):
            service.bus.answer(subjects.query(ward.code, SERVICE, name), question, handler)
        await service.bus.start()
        log("service_started", ward=ward.code)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(reader.run())
            tasks.create_task(_sign(ledger))
            tasks.create_task(_follow(following))


async def _sign(ledger: Ledger) -> None:
    while True:
        await asyncio.sleep(_SIGN_EVERY)
        try:
            await asyncio.to_thread(ledger.sign)
        except sa.exc.DBAPIError:
            log("signing_failed", fault=True)


async def _follow(following: Following) -> None:
    """Keep what people look at near the ledger's end, so that whoever asks need not wait for it."""
    while True:
        try:
            whole = await asyncio.to_thread(following.step)
        except (sa.exc.DBAPIError, ReplayError):
            log("following_failed", fault=True)
            whole = True
        # Between two steps whoever appends has its turn.
        await asyncio.sleep(_LOOK_EVERY if whole else 0.002)


def _record_gap(engine: sa.Engine, gap: Missing, healed: bool, clock: Clock) -> None:
    row = {
        "producer": gap.producer,
        "first": gap.first,
        "last": gap.last,
        "since": utc_text(gap.since),
        "healed_at": utc_text(clock.now()) if healed else None,
    }
    try:
        with writing(engine) as connection:
            upsert(connection, t.gaps, [row])
    except sa.exc.DBAPIError:
        log("gap_not_recorded", fault=True, producer=gap.producer)
