"""`tsunagu csv`: the command line for CSV files."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer
from rich.console import Console

from partners.csv_files.faults import FileFault, Stopped

if TYPE_CHECKING:
    from rich.progress import TaskID

    from partners.csv_files.decoding import Encoding
    from partners.csv_files.posting import Progress

T = TypeVar("T")
app = typer.Typer(
    help="CSV で送る・受け取る / Post and get referrals as CSV files",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console()
err = Console(stderr=True)

Agency = Annotated[str, typer.Option(help="この機関として / as this agency")]
Url = Annotated[str | None, typer.Option(help="http://127.0.0.1:8700")]
KeyFile = Annotated[Path | None, typer.Option(help="機関の鍵 / its key")]
Insecure = Annotated[bool, typer.Option("--insecure", help="http:// へも送る / also to http://")]
Parallel = Annotated[int, typer.Option(min=1, max=32, help="同時に送る数 / at the same time")]
Resume = Annotated[bool, typer.Option("--resume", help="途中から続ける / go on where it stopped")]
Out = Annotated[Path, typer.Option("--out", help="書き出すファイル / the file to write")]
Encodings = Annotated[str, typer.Option("--encoding", help="utf-8-sig, utf-8, cp932")]


@app.command()
def post(
    file: Annotated[Path, typer.Argument(help="CSV (UTF-8, CP932)")],
    agency: Agency,
    url: Url = None,
    key_file: KeyFile = None,
    partial: Annotated[
        bool,
        typer.Option(
            "--partial/--all-or-nothing",
            help="正しい行だけ送る／一行でも誤りなら送らない / post the right rows / all or nothing",
        ),
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="結果の一覧（FILE.report.csv） / the report")
    ] = None,
    resume: Resume = False,
    encoding: Annotated[str, typer.Option(help="見分けられないとき / if it cannot be told")] = "",
    ignore_unknown: Annotated[
        bool, typer.Option("--ignore-unknown", help="知らない列を読み飛ばす / pass them over")
    ] = False,
    parallel: Parallel = 8,
    insecure: Insecure = False,
) -> None:
    """各行を依頼として送る / Post each row as a referral, surely and once."""
    from partners.csv_files.getting import terms_of
    from partners.csv_files.line import Line
    from partners.csv_files.posting import Done, Memory, Posting
    from partners.csv_files.reading import read
    from partners.csv_files.report import Report

    where = _url(url, insecure=insecure)
    told = report or file.with_name(f"{file.name}.report.csv")

    async def run() -> Done:
        memory = Memory(told.with_name(f"{told.name}.state"), agency, where)
        if len(memory) and not resume:
            _stop(
                f"{told} は途中か済んだものです。--resume で続けるか、別の --report にしてください"
                f" / {told} was begun before: go on with --resume, or name another --report"
            )
        key = _key(key_file, agency)
        async with Line(where, key, parallel=parallel) as line:
            terms = terms_of(await line.directory())
            raw = file.read_bytes()
            sheet = read(raw, terms, encoding=encoding, ignore_unknown=ignore_unknown)
            memory.refuse_another(sheet)
            with Report(told) as reporting, _progress() as progress:
                try:
                    posting = Posting(
                        line, sheet, memory, reporting, progress,
                        partial=partial, parallel=parallel,
                    )  # fmt: skip
                    return await posting.run()
                finally:
                    memory.close()

    done = _run(run, file)
    out.print(
        f"受付 {done.accepted} · 誤り {done.refused} · 決定待ち {done.pending} · 送らず {done.not_sent}"
        f" / accepted {done.accepted}, refused {done.refused}, pending {done.pending},"
        f" not sent {done.not_sent}\n{told}",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    raise typer.Exit(0 if done.whole else 1)


@app.command()
def get(
    agency: Agency,
    file: Out,
    url: Url = None,
    key_file: KeyFile = None,
    stage: Annotated[str | None, typer.Option(help="段階 / stage")] = None,
    function: Annotated[str | None, typer.Option(help="機能 / function")] = None,
    urgency: Annotated[str | None, typer.Option(help="緊急度 / urgency")] = None,
    custodian: Annotated[str | None, typer.Option(help="担当機関 / custodian")] = None,
    encoding: Encodings = "utf-8-sig",
    with_persons: Annotated[
        bool,
        typer.Option("--with-persons", help="開ける個人情報も / personal data it may open, too"),
    ] = False,
    resume: Resume = False,
    parallel: Parallel = 8,
    insecure: Insecure = False,
) -> None:
    """関わる依頼を一件一行で書き出す / Write every referral that you may see, one row each."""
    from partners.csv_files import getting
    from partners.csv_files.line import Line

    where = _url(url, insecure=insecure)
    given = {"stage": stage, "function": function, "urgency": urgency, "custodian": custodian}
    asked = {name: value for name, value in given.items() if value is not None}

    async def run() -> tuple[int, Path | None]:
        key = _key(key_file, agency)
        async with Line(where, key, parallel=parallel) as line:
            terms = getting.terms_of(await line.directory())
            columns = (*getting.REFERRAL, *(getting.PERSONAL if with_persons else ()))
            whose = {**asked, "agency": agency, "url": where, "persons": str(with_persons)}
            growing = getting.Growing(
                file, [c.ja for c in columns], _encoding(encoding), whose, resume=resume
            )
            with _progress() as progress:
                await getting.get_referrals(
                    line, growing, terms, asked, persons=with_persons, parallel=parallel,
                    told=lambda rows: progress("got", rows, 0),
                )  # fmt: skip
                return growing.begun.rows, growing.finish()

    rows, unwritable = _run(run, file)
    _tell_got(rows, unwritable, file)


@app.command()
def events(
    agency: Agency,
    file: Out,
    url: Url = None,
    key_file: KeyFile = None,
    encoding: Encodings = "utf-8-sig",
    resume: Resume = False,
    insecure: Insecure = False,
) -> None:
    """受信箱の出来事を書き出す。--resume で続きを足す / Write the inbox's events; --resume adds what is
    new."""
    from partners.csv_files import getting
    from partners.csv_files.line import Line

    where = _url(url, insecure=insecure)

    async def run() -> tuple[int, Path | None]:
        key = _key(key_file, agency)
        async with Line(where, key) as line:
            whose = {"agency": agency, "url": where, "events": "inbox"}
            growing = getting.Growing(
                file, getting.EVENT_HEADER, _encoding(encoding), whose, resume=resume
            )
            with _progress() as progress:
                await getting.get_events(line, growing, told=lambda rows: progress("got", rows, 0))
                return growing.begun.rows, growing.finish(keep_place=True)

    rows, unwritable = _run(run, file)
    _tell_got(rows, unwritable, file)


@app.command()
def template(file: Out, encoding: Encodings = "utf-8-sig") -> None:
    """すべての列と見本一行のひな形を書く / Write a sheet with every column and one sample row."""
    from partners.csv_files import template as templates

    try:
        text = templates.template().encode(_encoding(encoding))
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as made:
            made.write(text)
    except FileExistsError:
        _stop(f"{file} がすでにあります / {file} is there")
    except Stopped as stopped:
        _stop(str(stopped))
    except OSError as error:
        _stop(f"{file} に書けません / cannot write it: {error.strerror}")
    out.print(str(file), markup=False, highlight=False, soft_wrap=True)


# ------------------------------------------------------------------------------------------------


def _run(work: Callable[[], Coroutine[None, None, T]], file: Path) -> T:
    try:
        return asyncio.run(work())
    except FileFault as fault:
        _stop(f"{file}: {fault}", 2)
    except Stopped as stopped:
        _stop(str(stopped), 3)
    except OSError as error:
        _stop(f"{error.filename}: {error.strerror}", 2)
    except KeyboardInterrupt:
        _stop("止めました。--resume で続けます / stopped: go on with --resume", 130)


def _stop(text: str, status: int = 2) -> NoReturn:
    err.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(status)


def _tell_got(rows: int, unwritable: Path | None, file: Path) -> None:
    out.print(f"{rows} 件 / rows: {file}", markup=False, highlight=False, soft_wrap=True)
    if unwritable is not None:
        err.print(
            f"この文字コードにない文字を 〓 にしました / characters that it does not have: {unwritable}",
            style="yellow", markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip


def _encoding(named: str) -> "Encoding":
    from partners.csv_files.decoding import NAMES

    encoding = NAMES.get(named.lower())
    if encoding is None or encoding == "utf-16":
        raise Stopped("--encoding は utf-8-sig、utf-8、cp932 です / utf-8-sig, utf-8 or cp932")
    return encoding


def _url(url: str | None, *, insecure: bool) -> str:
    from runtime.network_url import UrlError, network_url

    try:
        return network_url(_home(), url, insecure=insecure)
    except UrlError as error:
        _stop(str(error), 3)


def _key(file: Path | None, agency: str) -> str:
    from partners.csv_files.faults import Stopped
    from runtime.keys import KeyFileError, agency_key

    try:
        return agency_key(file or _home() / "keys.toml", agency)
    except KeyFileError as error:
        raise Stopped(str(error)) from None


def _home() -> Path:
    from runtime.settings import Settings, SettingsError

    try:
        return Settings.from_environment().home
    except SettingsError as error:
        _stop(f"設定に誤りがあります / a mistake in the settings: {error}")


_DOING = {"checked": "下見 / checking", "posted": "送信 / posting", "got": "受け取り / getting"}


@contextmanager
def _progress() -> "Iterator[Progress]":
    """Bars on the terminal, one for each thing that is done."""
    from rich import progress as p

    bars = p.Progress(
        p.TextColumn("{task.description}"), p.BarColumn(), p.MofNCompleteColumn(),
        p.TimeRemainingColumn(),
        console=err, transient=not err.is_terminal, disable=not err.is_terminal,
    )  # fmt: skip
    tasks: dict[str, TaskID] = {}

    def tell(what: str, done: int, of: int) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(_DOING[what], total=of or None)
        bars.update(tasks[what], completed=done)

    with bars:
        yield tell
