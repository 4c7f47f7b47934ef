"""`tsunagu staff`: who may sign in to the console. It writes to the console's own database; in production it
is run in the console's container."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:  # the services start by the same command line, and need none of it
    from services.console.people.accounts import Account
    from services.console.people.staff import Staff

app = typer.Typer(
    help="画面を使う職員を登録する / people who may sign in to the console", no_args_is_help=True
)
err = Console(stderr=True)

Login = Annotated[str, typer.Argument(help="ログイン名 / login")]
Out = Annotated[
    Path | None, typer.Option("--out", help="コードをこのファイル（0600）へ / write the code there")
]
AsJson = Annotated[bool, typer.Option("--json", help="for programs")]


@app.command("new")
def new_account(
    agency: Annotated[str, typer.Argument(help="機関の id / the agency's id")],
    login: Login,
    name: Annotated[str, typer.Option(help="氏名 / the person's name", metavar="TEXT")],
    subject: Annotated[
        str | None,
        typer.Option(
            help="認証基盤での sub。初回のコードは出ません / who it is at the provider; no code"
        ),
    ] = None,
    screen: Annotated[
        bool,
        typer.Option(
            "--screen",
            help="掲示用の画面: 見張りだけを4週間映し、何もできない / a screen on a wall: shows the "
            "board for four weeks without a touch, does nothing; NAME says where it hangs",
        ),
    ] = False,
    code_file: Out = None,
    as_json: AsJson = False,
) -> None:
    """登録する / Make an account, and a code by which its owner sets a password, once."""
    with _staff() as staff:
        made = staff.accounts.new(agency, login, name, subject, screen=screen)
        code = staff.accounts.invite(made) if subject is None else None
        _tell(staff, "登録しました / made", made, code, code_file, as_json)


@app.command("reset")
def reset(login: Login, code_file: Out = None, as_json: AsJson = False) -> None:
    """新しいコードを出す / A new code to set a password with. The old password stays good until then."""
    with _staff() as staff:
        account = staff.of(login)
        code = staff.accounts.invite(account)
        _tell(staff, "新しいコードです / a new code", account, code, code_file, as_json)


@app.command("list")
def list_accounts(
    agency: Annotated[str | None, typer.Argument(help="この機関だけ / only of this one")] = None,
    as_json: AsJson = False,
) -> None:
    """一覧 / Everybody who is or was registered."""
    with _staff() as staff:
        found = [staff.document(account) for account in staff.accounts.all(agency)]
    if as_json:
        _print_json(found)
        return
    table = Table(
        "機関 / agency",
        "ログイン名 / login",
        "氏名 / name",
        "種類 / kind",
        "状態 / state",
        "入り方 / by",
        "登録 / made",
    )
    table.add_column("id", no_wrap=True)  # whole, to be found by what `tsunagu looks` prints
    for one in found:
        # What looks like markup in a name is part of the name.
        told = (
            one["agency"], one["login"], one["name"],
            "掲示用の画面 / screen" if one["screen"] else "職員 / person", _STATES[one["state"]],
            ", ".join(one["by"]) or "-", one["made_at"][:10], one["id"],
        )  # fmt: skip
        table.add_row(*map(Text, told))
    Console(width=200).print(table)


@app.command("leave")
def leave(login: Login, as_json: AsJson = False) -> None:
    """退職・異動: すぐに入れなくなる / Somebody leaves: out at the next request, for good."""
    with _staff() as staff:
        account = staff.of(login)
        staff.accounts.leave(account)
        _done("もう入れません / is out", account, as_json, state="left")


@app.command("unlock")
def unlock(login: Login, as_json: AsJson = False) -> None:
    """間違いの回数を忘れる / Forget the wrong passwords, so that it may be tried again at once."""
    with _staff() as staff:
        account = staff.of(login)
        was = staff.failures.forget(account.login)
        words = (
            "ロックを解きました / is unlocked" if was else "ロックされていません / was not locked"
        )
        _done(words, account, as_json, unlocked=was)


@app.command("end-sessions")
def end_sessions(login: Login, as_json: AsJson = False) -> None:
    """開いている画面をすべて閉じる / Sign somebody out everywhere."""
    with _staff() as staff:
        account = staff.of(login)
        ended = staff.accounts.end_sessions(account)
        _done(f"終わらせたサインイン / sessions ended: {ended}", account, as_json, ended=ended)


_STATES = {
    "in": "有効 / good",
    "invited": "コード待ち / has a code",
    "waiting": "まだ入れません / no way in yet",
    "locked": "ロック中 / locked",
    "away": "機関が期間外 / agency not now",
    "left": "退いた / left",
}


@contextlib.contextmanager
def _staff() -> Iterator["Staff"]:
    """What cannot be done is said in a sentence, and the command fails."""
    import sqlalchemy as sa

    from runtime.clock import clock_of
    from runtime.settings import Settings, SettingsError
    from services.console.people.accounts import Refused
    from services.console.people.staff import open_staff
    from wards.load import WardFileError, load_ward, ward_in_use

    try:
        settings = Settings.from_environment()
        ward = load_ward(ward_in_use(settings.ward, settings.home))
        with open_staff(settings, ward, clock_of(settings)) as staff:
            yield staff
    except (WardFileError, SettingsError, Refused, FileExistsError) as error:
        err.print(str(error), style="red", markup=False, soft_wrap=True)
    except sa.exc.SQLAlchemyError as error:
        # A driver's text repeats the values that it was given.
        err.print(f"データベース / database: {type(error).__name__}", style="red")
    else:
        return
    raise typer.Exit(1)


def _tell(
    staff: "Staff",
    words: str,
    account: "Account",
    code: str | None,
    file: Path | None,
    as_json: bool,
) -> None:
    if code is not None and file is not None:
        _write(file, code)
    told = code if file is None else None
    if as_json:
        _print_json({**staff.document(staff.of(account.login)), "code": told})
        return
    print(f"{words}: {account.agency} {account.login}")
    if code is None:
        print("認証基盤からサインインします / signs in by the provider")
        return
    print(f"一度だけのコード / one-time code: {told or f'{file} (0600)'}")
    print(f"このページで、3日以内に / at this page, within 3 days: {staff.url}/welcome")
    print(
        "本人だけに、ログイン名とは別に伝えてください / for its owner only, apart from the login",
        flush=True,
    )


def _write(file: Path, code: str) -> None:
    """To a new file that only its owner can read."""
    try:
        made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise FileExistsError(f"{file} はもうあります / is there already") from None
    with open(made, "w", encoding="ascii") as opened:
        opened.write(code + "\n")


def _done(words: str, account: "Account", as_json: bool, **more: Any) -> None:
    if as_json:
        _print_json({"login": account.login, "agency": account.agency, **more})
    else:
        print(f"{account.agency} {account.login}: {words}")


def _print_json(document: object) -> None:
    # Names may hold what a terminal's encoding cannot say.
    json.dump(document, sys.stdout, ensure_ascii=not _says_everything(), indent=2)
    print()


def _says_everything() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
