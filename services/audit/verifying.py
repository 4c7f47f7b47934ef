"""Where the verifier finds a ledger: in the database that the settings name, SQLite or PostgreSQL."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import sqlalchemy as sa

from runtime.database import reading
from runtime.settings import Settings
from schemas.base import JsonObject
from services.audit import ledger
from services.audit.verify import verify
from services.audit.verify_report import Finding, Kind, Report
from services.audit.verify_sqlite import verify_file


def verify_database(settings: Settings, vkey: str, progress: Callable[[int], None]) -> Report:
    """Recompute the ledger from its rows, read-only, trusting only the verifier key. ``progress`` is told
    how many entries were verified so far."""
    url = sa.make_url(settings.database_url("audit"))
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        if not path.exists():
            return unverifiable("台帳がありません / there is no ledger")
        return verify_file(path, vkey, progress)
    engine = sa.create_engine(url)
    try:
        with reading(engine) as connection:
            checkpoints = ledger.stored_checkpoints(connection)
            return verify(ledger.stored_entries(connection), checkpoints, vkey, progress)
    finally:
        engine.dispose()


def unverifiable(detail: str) -> Report:
    return Report(0, 0, 0, (Finding(Kind.UNVERIFIABLE, detail),), 0)


def report_document(report: Report) -> JsonObject:
    """For programs. ``first_wrong_entry``: its index."""
    first = next((f.first for f in report.findings if f.first is not None), None)
    return {
        "whole": report.kind is None,
        "entries": report.entries,
        "signed": report.signed,
        "checkpoints": report.checkpoints,
        "kind": report.kind.value if report.kind else None,
        "first_wrong_entry": first,
        "findings": [asdict(finding) for finding in report.findings],
    }
