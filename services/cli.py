"""`tsunagu`: the command line (つなぐ)."""

import asyncio
import gc
import importlib
import json
import logging
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from partners.commands import conformance, partner
from partners.csv_files.commands import app as csv_files
from partners.inbox_commands import app as inbox_app
from runtime.clock import ShiftedClock, clock_of
from runtime.keys import KeyFileError
from runtime.observability import log, start_logging
from runtime.settings import Settings, SettingsError
from services.console.people.commands import app as staff_app
from services.credentials_cli import app as credentials_app
from services.delivery.operators import delivery_app, redrive
from wards.load import WardFileError, bundled_ward, load_ward, ward_in_use
from wards.model import Ward

app = typer.Typer(
    help="つなぐ: 地域生活支援拠点の連携ネットワーク / a ward's inter-agency referral network",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(credentials_app, name="credentials")
app.add_typer(staff_app, name="staff")
out = Console()
err = Console(stderr=True)

WardFile = Annotated[Path | None, typer.Option("--ward", help="区のファイル / the ward's file")]


def _settings(ward: Path | None = None, port: int | None = None) -> Settings:
    settings = Settings.from_environment()
    if ward is not None:
        settings = replace(settings, ward=ward.resolve())
    if port is not None:
        settings = replace(settings, port=port)
    return settings


def _ref(settings: Settings, ward: Ward, typed: str | None) -> str | None:
    """A number as the pages take it (``1``, ``2026-1``), in full; anything else, as an id, as it is."""
    from schemas.outside import JAPAN
    from services.console.referral.numbers import number_of

    if typed is None:
        return None
    year = clock_of(settings).now().astimezone(JAPAN).year
    return number_of(typed, ward.code, year) or typed


def _starting(ward: Path | None, port: int | None = None) -> Settings:
    """For a network that is to be started: not with the ward file of the last time."""
    settings = _settings(ward, port)
    return settings if settings.ward is not None else replace(settings, ward=bundled_ward())


def _ward(settings: Settings) -> Ward:
    path = ward_in_use(settings.ward, settings.home)
    try:
        return load_ward(path)
    except WardFileError as error:
        err.print(f"区のファイルに誤りがあります / mistakes in the ward file {path}:", style="red")
        err.print(str(error), markup=False)
    except OSError as error:
        err.print(f"区のファイルが読めません / cannot read {path}: {error.strerror}", style="red")
    raise typer.Exit(2)


@app.command()
def up(
    ward: WardFile = None,
    port: Annotated[int, typer.Option(help="HTTP port")] = 8700,
    console_port: Annotated[int, typer.Option(help="画面の port / of the pages for people")] = 8710,
) -> None:
    """ネットワークを起動し続ける / Run the whole network in the foreground."""
    from services.supervisor import AlreadyRunning, Network, NotReady

    settings = replace(_starting(ward, port), console_port=console_port)
    _ward(settings)
    network = Network(settings)
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: sys.exit(0))
    try:
        network.start()
        network.wait_until_ready()
        print(f"ready {network.url}", flush=True)
        err.print(f"画面 / pages for people: {network.console_url}", markup=False, highlight=False)
        while True:
            time.sleep(0.2)
            network.tend()
    except (AlreadyRunning, NotReady) as error:
        err.print(str(error), style="red")
        raise typer.Exit(1) from None
    finally:
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_IGN)  # a second Ctrl-C must not leave processes behind
        network.stop()


@app.command(hidden=True)
def serve(service: str) -> None:
    """One service in this process; settings come from TSUNAGU_… variables."""
    start_logging(service)
    settings = _settings()
    ward = _ward(settings)
    module = importlib.import_module(f"services.{service}.app")
    # What was imported stays: the collector need not look at it again and again.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    try:
        clock = clock_of(settings)
        if isinstance(clock, ShiftedClock):
            # Told at every start: in production every deadline would be wrong by this much.
            log("clock_shifted", level=logging.WARNING, seconds=clock.seconds())
        _run(module.run(settings, ward, clock))
    except KeyboardInterrupt:
        pass
    except (KeyFileError, SettingsError) as error:
        log("service_refused_to_start", level=logging.ERROR, reason=str(error))
        raise typer.Exit(1) from None
    except Exception:
        # The traceback's text could repeat values; type and place are in the log line.
        log("service_failed", fault=True)
        raise typer.Exit(1) from None


def _run(coroutine: Coroutine[None, None, None]) -> None:
    """With uvloop where there is one; SIGTERM ends it like Ctrl-C."""
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    if sys.platform != "win32":
        import uvloop

        loop_factory = uvloop.new_event_loop

    async def main() -> None:
        task = asyncio.ensure_future(coroutine)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            log("service_stopped")

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


@app.command()
def demo(ward: WardFile = None) -> None:
    """連携の一昼夜を演じる / Play a day and a night of referrals on a network of its own."""
    from demo.play import play

    settings = _starting(ward)
    raise typer.Exit(play(settings, _ward(settings), out))


@app.command()
def watch(
    url: Annotated[str | None, typer.Option(help="http://127.0.0.1:8700")] = None,
    agency: Annotated[str, typer.Option(help="この機関として / as this agency")] = "core",
    key_file: Annotated[Path | None, typer.Option(help="機関の鍵 / its key")] = None,
    once: Annotated[bool, typer.Option("--once", help="一度だけ / print it once")] = False,
    sound: Annotated[bool, typer.Option("--sound", help="鳴らす / ring for a call")] = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="http:// へも鍵を送る / send the key over http://")
    ] = False,
) -> None:
    """上申を見張る / Watch what burns, live, and answer it."""
    from watch.command import Wanted, watch_board
    from watch.line import WatchError

    wanted = Wanted(agency, url, key_file, once, sound, insecure)
    try:
        watch_board(_settings(), wanted, out)
    except WatchError as error:
        err.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None


@app.command("replay")
def replay_history(
    referral: Annotated[str | None, typer.Argument(help="131059-2026-000001 or an id")] = None,
    at: Annotated[str | None, typer.Option(help="RFC 3339: as it stood at that moment")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """誰がいつ担当だったか / Replay hand-off history from the ledger."""
    from services.audit import commands
    from services.audit.replay import ReplayError

    settings = _settings()
    moment: datetime | None = None
    if at is not None:
        try:
            moment = datetime.fromisoformat(at)
        except ValueError:
            err.print("--at は RFC 3339 の日時です / --at takes an RFC 3339 time", style="red")
            raise typer.Exit(2) from None
        if moment.tzinfo is None:
            err.print("--at に時差を付けてください / --at needs an offset (+09:00)", style="red")
            raise typer.Exit(2)
        moment = moment.astimezone(UTC)
    try:
        ward = _ward(settings)
        ref = _ref(settings, ward, referral)
        found = commands.replay_ledger(settings, ward, ref, moment)
    except ReplayError as error:
        err.print(f"記録がつながりません / cannot be replayed: {error}", style="red")
        raise typer.Exit(1) from None
    if found is None:
        err.print("その時点の記録はありません / nothing on record for that", style="red")
        raise typer.Exit(1)
    if as_json:
        print(json.dumps(found.document(), ensure_ascii=False, indent=2))
    else:
        found.tell(out)


@app.command()
def looks(
    referral: Annotated[str | None, typer.Argument(help="131059-2026-000001 or an id")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """誰がいつ閲覧したか / Who read a case, and when; without one: who read the ledger itself."""
    from services.audit.replay import ReplayError
    from services.audit.who_looked import who_looked

    settings = _settings()
    try:
        ward = _ward(settings)
        found = who_looked(settings, ward, _ref(settings, ward, referral))
    except ReplayError as error:
        err.print(f"記録が読めません / cannot be read: {error}", style="red")
        raise typer.Exit(1) from None
    if found is None:
        err.print("記録がありません / nothing on record for that", style="red")
        raise typer.Exit(1)
    if as_json:
        print(json.dumps(found.document(), ensure_ascii=False, indent=2))
    else:
        found.tell(out)


@app.command()
def verify(
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """台帳を検証する / Recompute the ledger; exit 0 only if it is whole."""
    from services.audit import commands, verifying

    report = commands.verify_ledger(_settings(), err if sys.stderr.isatty() else None)
    if as_json:
        print(json.dumps(verifying.report_document(report), ensure_ascii=False, indent=2))
    else:
        commands.tell_report(report, out)
    raise typer.Exit(report.exit_code)


@app.command("receipt")
def check_a_receipt(
    file: Annotated[Path, typer.Argument(help="受領証の ZIP / a receipt", metavar="FILE.zip")],
    key: Annotated[
        str | None,
        typer.Option(help="別の道で受け取った検証鍵 / the verifier key as it came another way"),
    ] = None,
) -> None:
    """受領証を確かめる / Check a receipt without the network; exit 0 only if it is good."""
    from services.audit.check_receipt import BadReceiptError, check_receipt

    try:
        good = check_receipt(file, key)
    except BadReceiptError as error:
        err.print("受領証は正しくありません / the receipt is not good:", style="red")
        err.print(str(error), markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    what = (
        "この一件のハッシュ / the hash of this entry" if good.withheld else "この一件 / this entry"
    )
    told = [
        f"{what}: 台帳の {good.index} 番（0 から）。署名済み {good.checkpoint.size} 件に含まれます / "
        f"is number {good.index} (from 0) of the {good.checkpoint.size} entries signed",
        f"葉 / leaf: {good.leaf.hex()}",
        f"鍵 / key: {good.vkey}",
    ]
    if good.withheld:
        told.append(
            "entry.json は渡されていません。確かめたのはハッシュだけで、中身ではありません / "
            "the entry is withheld: only its hash was checked, not what it says"
        )
    told.append(
        "鍵は、示された鍵と同じです / the key is the one that you gave"
        if good.compared
        else "この鍵は ZIP に入っていたものです。別の道で受け取った鍵と同じか、必ず比べてください（--key） / "
        "this key came in the ZIP: compare it with one that you got another way (--key)"
    )
    for line in told:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="空のフォルダ / an empty folder", metavar="DIR")],
) -> None:
    """台帳を書き出す / Write the ledger as plain files that other tools can check."""
    from rich.progress import Progress

    from services.audit.export import ExportError, export_ledger

    try:
        with Progress(console=err, transient=True, disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task("書き出し中 / exporting", total=None)
            done = export_ledger(
                _settings(), folder, lambda n, of: bar.update(task, completed=n, total=of)
            )
    except ExportError as error:
        err.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    out.print(
        f"{done.size:,} 件を書き出しました。確かめ方は README.md に / "
        f"wrote {done.size:,} entries to {done.folder}; README.md tells how to check them",
        markup=False,
        soft_wrap=True,
    )
    if done.unsigned:
        out.print(
            f"署名前の {done.unsigned:,} 件は含みません / without {done.unsigned:,} not signed yet",
            soft_wrap=True,
        )


app.add_typer(csv_files, name="csv")
app.command("redrive")(redrive)
app.add_typer(delivery_app, name="delivery")
app.add_typer(inbox_app, name="inbox")


app.command()(partner)
app.command()(conformance)


if __name__ == "__main__":
    app()
