"""The words of `tsunagu credentials`: what it takes and what it prints."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from runtime.credentials import Credential, Kind

if TYPE_CHECKING:  # the services start by the same command line, and need none of it
    from services.credentials import Administration, Made

app = typer.Typer(
    help="資格情報を作る・見る・替える・失効させる / make, list, rotate and revoke credentials",
    no_args_is_help=True,
)
out = Console()
err = Console(stderr=True)

KindGiven = Annotated[Kind, typer.Argument(help="種類 / kind")]
AgencyGiven = Annotated[str, typer.Argument(help="機関の id / the agency's id")]
Label = Annotated[str, typer.Option(help="覚え書き / a note for people", metavar="TEXT")]
PublicFile = Annotated[
    Path | None,
    typer.Option("--file", help="公開鍵（JWK・PEM）か証明書（PEM）/ public key or certificate"),
]
Out = Annotated[
    Path | None, typer.Option("--out", help="秘密をこのファイル（0600）へ / write the secret there")
]
AsJson = Annotated[bool, typer.Option("--json", help="for programs")]


@app.command("list")
def list_credentials(
    agency: Annotated[str | None, typer.Argument(help="この機関だけ / only of this one")] = None,
    as_json: AsJson = False,
) -> None:
    """一覧 / All credentials, without what is secret."""
    with _administering() as administration:
        found = [administration.document(c) for c in administration.everything(agency)]
        _tell_unreached(administration)
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return
    table = Table(
        "機関 / agency", "種類 / kind", "id", "状態 / state", "権限 / scopes", "覚え / label"
    )
    for one in found:
        scopes = "*" if one["scopes"] is None else " ".join(one["scopes"])
        table.add_row(one["agency"], one["kind"], one["id"], _state(one), scopes, one["label"])
    Console(width=max(out.width, 140)).print(table)


@app.command("new")
def new_credential(
    kind: KindGiven,
    agency: AgencyGiven,
    label: Label = "",
    scopes: Annotated[
        str, typer.Option(help="read,post …; 省けば機関の全権限 / all if absent")
    ] = "",
    valid_days: Annotated[int | None, typer.Option(min=1, max=3660, help="有効日数 / days")] = None,
    file: PublicFile = None,
    secret_file: Out = None,
    as_json: AsJson = False,
) -> None:
    """新しく作る / Make one. What is secret is told once, now."""
    from services.credentials import Wanted

    with _administering() as administration:
        wanted = Wanted(kind, agency, label[:128], scopes, valid_days, file, secret_file)
        made = administration.new(wanted)
    _tell(administration, made, secret_file, as_json)


@app.command("rotate")
def rotate_credential(
    kind: KindGiven,
    agency: AgencyGiven,
    overlap: Annotated[
        str, typer.Option(help="古いものも使える期間 / how long both are good")
    ] = "7d",
    follows: Annotated[
        str | None, typer.Option("--id", help="いくつもあるとき、どれを / of several, which one")
    ] = None,
    label: Label = "",
    file: PublicFile = None,
    secret_file: Out = None,
    as_json: AsJson = False,
) -> None:
    """新しいものに替える / Make a new one; the old one stays good for the overlap."""
    from services.credentials import Wanted, overlap_of

    with _administering() as administration:
        wanted = Wanted(kind, agency, label[:128], file=file, out=secret_file, follows=follows)
        made = administration.rotate(wanted, overlap_of(overlap))
    _tell(administration, made, secret_file, as_json)


@app.command("revoke")
def revoke_credential(
    credential: Annotated[str, typer.Argument(help="list の id / an id of list")],
    as_json: AsJson = False,
) -> None:
    """失効させる / Revoke one, for good; it acts within a second."""
    with _administering() as administration:
        revoked = administration.revoke(credential)
    if as_json:
        print(json.dumps({"revoked": revoked.id, "agency": revoked.agency, "kind": revoked.kind}))
    else:
        print(f"失効 / revoked: {_named(revoked)}")


@app.command("manifest-key")
def manifest_key(
    rotate: Annotated[bool, typer.Option("--rotate", help="新しい鍵に替える / a new one")] = False,
    overlap: Annotated[
        str, typer.Option(help="古いものも署名する期間 / how long both sign")
    ] = "7d",
    as_json: AsJson = False,
) -> None:
    """送達目録の署名鍵 / What signs the manifests; where delivery keeps its keys."""
    from services.credentials import overlap_of

    with _administering() as administration:
        keys = administration.manifest_keys(overlap_of(overlap) if rotate else None)
    if as_json:
        print(json.dumps(keys, indent=2))
        return
    table = Table("id", "署名中 / signs", "から / since", "まで / until")
    for key in keys:
        signs = "はい / yes" if key["signs"] else "いいえ / no"
        table.add_row(key["id"], signs, key["since"], key["until"] or "")
    Console(width=max(out.width, 110)).print(table)
    print("公開側は keys/manifest.vkeys に / the public halves are in keys/manifest.vkeys")


@contextlib.contextmanager
def _administering() -> Iterator["Administration"]:
    """What cannot be done is said in a sentence, and the command fails."""
    import sqlalchemy as sa

    from runtime.keys import KeyFileError
    from runtime.settings import Settings, SettingsError
    from services.credentials import Administration, Refused
    from wards.load import WardFileError, load_ward, ward_in_use

    try:
        settings = Settings.from_environment()
        yield Administration(settings, load_ward(ward_in_use(settings.ward, settings.home)))
    except (WardFileError, SettingsError, Refused, KeyFileError) as error:
        err.print(str(error), style="red", markup=False, soft_wrap=True)
    except sa.exc.SQLAlchemyError as error:
        # A driver's text repeats the values that it was given.
        err.print(f"データベース / database: {type(error).__name__}", style="red")
    else:
        return
    raise typer.Exit(1)


def _tell_unreached(administration: "Administration") -> None:
    for service in administration.unreached:
        err.print(f"{service} のデータベースに届きません / its database cannot be reached here")


def _tell(
    administration: "Administration", made: "Made", secret_file: Path | None, as_json: bool
) -> None:
    if as_json:
        document = administration.document(made.credential)
        told = {**document, **made.secret, "still_good": made.until}
        print(json.dumps(told, ensure_ascii=False, indent=2))
        return
    print(f"作成 / made: {_named(made.credential)}")
    for name, secret in made.secret.items():
        print(f"{name}: {secret}")
    if made.secret:
        print("この秘密は二度と表示されません / this secret is not shown again", flush=True)
    if secret_file is not None:
        print(f"{secret_file} に書きました / written there (0600)")
    for old, until in made.until.items():
        print(f"{old} は {until} まで使えます / stays good until then")


def _named(credential: Credential) -> str:
    return f"{credential.kind} {credential.agency} {credential.id}"


def _state(document: dict[str, object]) -> str:
    if document["revoked_at"]:
        return "失効 / revoked"
    if document["live"]:
        ends = f" 〜{document['valid_to']}" if document["valid_to"] else ""
        return f"有効 / live{ends}"
    return "期限外 / not now"
