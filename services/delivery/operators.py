"""The words of `tsunagu redrive` and `tsunagu delivery` (配送の運用): what they take and what they print.

Straight to delivery's database, like `tsunagu verify` to the ledger's: no bus is needed, and the running
service acts within a second. In production they run in delivery's container.
"""

import contextlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:  # the services start by the same command line, and need none of it
    from sqlalchemy.engine import Engine

    from runtime.clock import Clock
    from services.delivery.redrives import Redrives
    from wards.agencies import Agency
    from wards.model import Ward

delivery_app = typer.Typer(
    help="配送を確かめる / Look after the carrying of events", no_args_is_help=True
)
out = Console()
err = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="for programs")]
_PATIENCE = 15.0  # seconds that a test may take
_LABEL = re.compile("[A-Za-z][A-Za-z0-9_.-]{0,62}")  # schemas.base.Code
COMMANDS = ("list", "pause", "resume", "cancel", "show")


def redrive(
    what: Annotated[str, typer.Argument(metavar="AGENCY|list|show|pause|resume|cancel")],
    redrive_id: Annotated[str | None, typer.Argument(metavar="[ID]")] = None,
    first: Annotated[int | None, typer.Option("--from", min=1, help="この番号から")] = None,
    last: Annotated[int | None, typer.Option("--to", min=1, help="この番号まで")] = None,
    referral: Annotated[str | None, typer.Option(help="案件の番号か ID / number or id")] = None,
    reason: Annotated[str | None, typer.Option(help="不達の理由 / hangs, refused, …")] = None,
    given_up: Annotated[bool, typer.Option("--given-up", help="不達のものだけ")] = False,
    rate: Annotated[int, typer.Option(min=1, max=1000, help="毎秒の件数 / a second")] = 10,
    go: Annotated[bool, typer.Option("--go", help="始める。なければ下見 / start it")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="終わりまで見る / until it ends")
    ] = False,
    skip: Annotated[
        bool, typer.Option("--skip", help="止まった一件を飛ばす / pass it over")
    ] = False,
    by: Annotated[
        str | None,
        typer.Option(
            "--by", help="窓口や受付番号。人の名前は書かない / a desk or a ticket, no person"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """届け直す / Carry events to an agency again: a dry run first, --go starts it."""
    if by is not None and not _LABEL.fullmatch(by):
        _stop("--by は英数字と _ . - で、英字から / letters, digits, _ . and -, a letter first", 2)
    if what in COMMANDS:
        _manage(what, redrive_id, by, follow=follow, skip=skip, as_json=as_json)
        return
    from schemas.deliveries import Undelivered
    from services.delivery.redrive_plan import Asked, CannotRedrive, plan_of
    from services.delivery.redrives import Redrives

    if reason is not None and reason not in list(Undelivered):
        _stop(f"--reason は次のどれかです / one of: {', '.join(Undelivered)}", 2)
    with _database() as (engine, ward, clock):
        asked = Asked(_agency(ward, what), first, last, referral, reason, given_up, rate)
        try:
            with err.status("調べています / looking"):
                plan = plan_of(engine, asked)
        except CannotRedrive as refusal:
            _stop(str(refusal), 2)
        started = None
        if go and plan.disabled_since:
            _stop(
                f"{what} への配送は止まっています。先に tsunagu delivery test {what} で確かめてください / "
                f"nothing is sent to {what} now: first see that a test arrives"
            )
        if go and plan.count:
            started = Redrives(engine, clock).start(plan.selection, plan.count, rate, by)
        if as_json:
            print(json.dumps(plan.document(started), ensure_ascii=False, indent=2))
            return
        plan.tell(out)
        if started is not None:
            _say(f"始めます / starting: {started}")
            _say(f"tsunagu redrive show {started} --follow")
        elif plan.count:
            _say(
                "何も始めていません。--go を付けると始めます / nothing was started; --go starts it"
            )
        if started is not None and follow:
            _follow(Redrives(engine, clock), started)


def _manage(
    what: str, redrive: str | None, by: str | None, *, follow: bool, skip: bool, as_json: bool
) -> None:
    from services.delivery.redrives import Redrives, document

    with _database() as (engine, _, clock):
        redrives = Redrives(engine, clock)
        if what == "list":
            rows = redrives.all()
            if as_json:
                print(json.dumps([document(row) for row in rows], ensure_ascii=False, indent=2))
            else:
                _tell(rows)
            return
        row = redrives.find(redrive or "")
        if row is None:
            _stop("その再配送はありません / no such re-drive (tsunagu redrive list)")
        done = True
        if what == "pause":
            done = redrives.pause(row.id, by)
        elif what == "resume":
            done = redrives.resume(row.id, skip=skip, asked_by=by)
        elif what == "cancel":
            done = redrives.cancel(row.id, by)
        elif follow:
            _follow(redrives, row.id)
        row = redrives.find(row.id) or row
        if as_json:
            print(json.dumps(document(row), ensure_ascii=False, indent=2))
        else:
            _tell([row])
        if not done:
            _stop("いまの状態ではできません / not as it stands now")


def _tell(rows: list[Any]) -> None:
    from services.delivery.redrives import STATES_JA, State

    table = Table("id", "機関 / agency", "状態 / state", "番号 / numbers", "届いた / delivered",
                  "止まった所 / stopped at")  # fmt: skip
    for row in rows:
        held = f"{row.held_at} {row.held_because}" if row.held_at else ""
        table.add_row(
            row.id, row.agency, f"{STATES_JA[State(row.state)]} / {row.state}",
            f"{row.first}-{row.last}", f"{row.delivered} / {row.total}", held,
        )  # fmt: skip
    Console(width=max(out.width, 150)).print(table)


def _follow(redrives: "Redrives", redrive: str) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from services.delivery.redrives import OVER, State

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err) as bar, contextlib.suppress(KeyboardInterrupt):
        task = bar.add_task("", total=None)
        while (row := redrives.find(redrive)) is not None:
            done = row.delivered + row.failed
            bar.update(
                task, description=f"{row.agency} {row.state}", total=row.total, completed=done
            )
            if State(row.state) in (*OVER, State.PAUSED):
                return
            time.sleep(0.2)


@delivery_app.command("test")
def send_test(
    agency: Annotated[str, typer.Argument(help="機関の id / the agency's id")],
    as_json: AsJson = False,
) -> None:
    """通信試験を送る / Send a test event; exit 0 only if it arrives."""
    from schemas import queries as q
    from services.delivery.inbox import Inboxes
    from services.delivery.peacetime import Peacetime, ask_for_test

    with _database() as (engine, ward, clock):
        _agency(ward, agency)
        test = ask_for_test(engine, agency, clock)
        peacetime = Peacetime(engine, Inboxes(engine), ward, clock)
        with err.status("届くのを待っています / waiting for it to arrive"):
            told = _outcome(lambda: peacetime.read(q.ReadTest(agency=agency, test=test)).body)
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=2))
    elif "number" not in told:
        _say(
            "配送のサービスが動いていません。動けば送ります / delivery is not running; sent when it does"
        )
    elif told["state"] == "in_inbox":
        _say(f"受信箱の {told['number']} 番に入れました / in its inbox, number {told['number']}")
    elif told["delivered"]:
        _say(f"届きました（{told['took_ms']} ms） / it arrived")
    else:
        why = f"{told.get('reason', '')} {told.get('status', '')}".strip()
        _say(f"届いていません / it has not arrived: {told['state']} {why}".rstrip())
    raise typer.Exit(0 if told["state"] in ("in_inbox", "delivered") else 1)


def _outcome(look: Any) -> dict[str, Any]:
    until = time.monotonic() + _PATIENCE
    while True:
        told: dict[str, Any] = look()
        failed = told.get("attempts", 0) and told["state"] == "pending"
        if told["state"] != "pending" or failed or time.monotonic() > until:
            return told
        time.sleep(0.1)


# -- what they stand on ---------------------------------------------------------------------------------


@contextlib.contextmanager
def _database() -> "Iterator[tuple[Engine, Ward, Clock]]":
    import sqlalchemy as sa

    from runtime.clock import clock_of
    from runtime.database import open_database
    from runtime.settings import Settings, SettingsError
    from wards.load import WardFileError, load_ward, ward_in_use

    try:
        settings = Settings.from_environment()
        ward = load_ward(ward_in_use(settings.ward, settings.home))
        clock = clock_of(settings)
    except (SettingsError, WardFileError, OSError) as error:
        _stop(
            f"設定または区のファイルに誤りがあります / a mistake in settings or ward file: {error}",
            2,
        )
    url = settings.database_url("delivery")
    file = sa.make_url(url)
    if file.get_backend_name() == "sqlite" and not Path(file.database or "").exists():
        _stop(f"{settings.home} に配送の記録がありません / no delivery database in {settings.home}")
    try:
        engine = open_database(url)
        try:
            yield engine, ward, clock
        finally:
            engine.dispose()
    except sa.exc.DBAPIError as error:
        _stop(f"配送の記録が読めません / cannot use delivery's database: {type(error).__name__}")


def _agency(ward: "Ward", agency: str) -> "Agency":
    found = ward.agency(agency)
    if found is None:
        _stop(f"この区にその機関はありません / no such agency in this ward: {agency}", 2)
    return found


def _say(text: str) -> None:
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def _stop(text: str, code: int = 1) -> NoReturn:
    err.print(text, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(code)
