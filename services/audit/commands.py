"""What auditors do from the command line: replay and verify, straight from the ledger's database.
The network need not be running."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from runtime.database import open_database, reading
from runtime.settings import Settings
from schemas.base import JsonObject
from schemas.outside import JAPAN, cloud_event, local_text
from schemas.referral import Referral, referral_adapter
from services.audit import ledger
from services.audit.replay import (
    History,
    Names,
    ReplayError,
    fold_ward,
    read_entries,
    replay,
    sentence,
)
from services.audit.verify_report import Report
from services.audit.verifying import unverifiable, verify_database
from wards.model import Ward


@dataclass(frozen=True, slots=True)
class OneReferral:
    """One referral's history, for people and for programs."""

    history: History
    names: Names

    def document(self) -> JsonObject:
        history = self.history
        return {
            "referral": _state(history.state),
            "custody": [
                {
                    "custodian": span.custodian,
                    "from": local_text(span.since),
                    "until": local_text(span.until) if span.until else None,
                }
                for span in history.custody
            ],
            "events": [cloud_event(entry) for entry in history.entries],
        }

    def tell(self, out: Console) -> None:
        state = self.history.state
        out.print(
            f"[bold]{state.number}[/]  {state.stage.value}  "
            f"担当 {self.names.agency(state.custodian)} / custodian {state.custodian}",
            soft_wrap=True,
        )
        out.print("\n担当の移り変わり / who was responsible")
        for span in self.history.custody:
            until = _moment(span.until) if span.until else "現在 / now"
            name = self.names.agency(span.custodian)
            out.print(
                f"  {_moment(span.since)} – {until}  {name} ({span.custodian})", soft_wrap=True
            )
        out.print("\n経過 / history")
        for entry in self.history.entries:
            ja, en = sentence(entry, state, self.names)
            at = _moment(entry.occurred_at)
            out.print(f"  {entry.version:>3}  {at}  {ja}  [dim]{en}[/]", soft_wrap=True)


@dataclass(frozen=True, slots=True)
class WholeWard:
    """Every referral of the ward as it stood at a moment."""

    states: tuple[Referral, ...]
    names: Names

    def document(self) -> JsonObject:
        return {"referrals": [_state(state) for state in self.states]}

    def tell(self, out: Console) -> None:
        table = Table("番号 / number", "段階 / stage", "担当 / custodian", "版", "更新 / updated")
        table.columns[0].no_wrap = True
        for state in self.states:
            table.add_row(
                state.number,
                state.stage.value,
                self.names.agency(state.custodian),
                str(state.version),
                _moment(state.updated_at),
            )
        out.print(table)


def replay_ledger(
    settings: Settings, ward: Ward, ref: str | None, at: datetime | None
) -> OneReferral | WholeWard | None:
    """One referral, or the whole ward when ``ref`` is None, at a moment (None: now). None when the
    ledger has nothing on it."""
    names = replace(Names.of(ward), english=None)  # a terminal's English has ids, to be typed again
    engine = open_ledger(settings)
    if engine is None:
        return None
    with reading(engine) as connection:
        if ref is None:
            states = fold_ward(ledger.bodies(connection), at)
            ordered = tuple(sorted(states.values(), key=lambda state: state.number))
            return WholeWard(ordered, names) if ordered else None
        referral = ledger.find_referral(connection, ref)
        if referral is None:
            return None
        history = replay(read_entries(ledger.bodies(connection, referral)), at)
        if history is not None and ref not in (history.state.number, str(history.state.id)):
            raise ReplayError("the ledger's index leads to another case; run tsunagu verify")
        return OneReferral(history, names) if history is not None else None


def verify_ledger(settings: Settings, progress_on: Console | None) -> Report:
    """Recompute the ledger from its rows; trusts only the verifier key."""
    try:
        vkey = (settings.keys / "ledger.vkey").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return unverifiable("台帳の検証鍵がありません / no verifier key in keys/ledger.vkey")
    if progress_on is None:
        return verify_database(settings, vkey, lambda _: None)
    with Progress(console=progress_on, transient=True) as bar:
        task = bar.add_task("検証中 / verifying", total=None)
        return verify_database(settings, vkey, lambda done: bar.update(task, completed=done))


def tell_report(report: Report, out: Console) -> None:
    if report.kind is None:
        out.print(
            f"[green]台帳は完全です[/] / the ledger is whole: {report.entries} entries, "
            f"{report.signed} under a signed checkpoint, {report.checkpoints} checkpoints"
        )
        return
    out.print(f"[red]台帳に異常があります[/] / the ledger is not whole: {report.kind.value}")
    for finding in report.findings[:20]:
        where = f"entry {finding.first}" if finding.first is not None else "checkpoint"
        if finding.first is not None and finding.until not in (None, finding.first + 1):
            where += f" … {(finding.until or 0) - 1}"
        out.print(f"  {where}: {finding.kind.value}: {finding.detail}", markup=False)
    if len(report.findings) > 20 or report.omitted:
        out.print(f"  … {len(report.findings) - 20 + report.omitted} more")


def open_ledger(settings: Settings) -> sa.Engine | None:
    """Its database; None when there is none yet."""
    url = sa.make_url(settings.database_url("audit"))
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return None
    return open_database(settings.database_url("audit"))


def _moment(moment: datetime) -> str:
    """Japan's time to the millisecond, for people."""
    return moment.astimezone(JAPAN).isoformat(" ", "milliseconds").removesuffix("+09:00")


def _state(state: Referral) -> JsonObject:
    document: JsonObject = referral_adapter.dump_python(state, mode="json", exclude_none=True)
    return document
