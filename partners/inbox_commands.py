"""`tsunagu inbox verify` (抜けがない証拠): fetches an agency's events and the manifest, and compares them by
``partners.manifest``, which knows nothing of the network's code."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

if TYPE_CHECKING:
    import httpx

    from partners.manifest import Event, Report

app = typer.Typer(
    help="受信箱に抜けがないか確かめる / See that no event is missing", no_args_is_help=True
)
out = Console()
err = Console(stderr=True)

_PAGE = 1000
_KINDS = {
    "whole": "抜けも書き換えもありません / nothing is missing or altered",
    "missing": "抜けている番号があります / numbers are missing",
    "duplicated": "一つの番号に二つの出来事があります / two events have one number",
    "altered": "署名されたときと違う出来事があります / an event is not as it was signed",
    "out_of_order": "出来事が入れ替わっています / events have changed places",
    "not_signed": "この鍵で署名された目録ではありません / not a manifest that this key has signed",
    "of_another": "別の機関の目録です / the manifest of another agency",
    "old": "前に確かめた目録より古いものです / older than a manifest that was seen before",
}


@app.callback()
def _together() -> None:
    """受信箱 / The inbox."""


@app.command()
def verify(
    agency: Annotated[str, typer.Option(help="機関の id / the agency's id")],
    url: Annotated[str | None, typer.Option(help="https://…")] = None,
    key_file: Annotated[Path | None, typer.Option(help="機関の鍵 / its API key")] = None,
    vkey: Annotated[
        str | None, typer.Option(help="目録の検証鍵。区から受け取ったもの / the manifest's key")
    ] = None,
    day: Annotated[str | None, typer.Option(help="この日の目録 / of this day, YYYY-MM-DD")] = None,
    events: Annotated[
        Path | None, typer.Option(help="手元の出来事（JSON Lines） / your own events")
    ] = None,
    note: Annotated[Path | None, typer.Option(help="手元の目録 / a manifest in a file")] = None,
    at_least: Annotated[
        int, typer.Option(min=0, help="前に確かめた件数 / size of a manifest seen before")
    ] = 0,
    insecure: Annotated[bool, typer.Option("--insecure", help="http:// へも鍵を送る")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """受信箱を送達目録と照らし合わせる / Compare events with the manifest; exit 0 only if whole."""
    from partners.manifest import verify as compare

    with err.status("照らし合わせています / comparing"), contextlib.ExitStack() as opened:

        def client() -> "httpx.Client":
            return opened.enter_context(_client(agency, url, key_file, insecure=insecure))

        # The note before the events: whatever comes in between is then told as beyond it.
        manifest = {} if note is not None and vkey is not None else _manifest(client(), day)
        said = _read(note) if note is not None else str(manifest["note"])
        key = vkey or str(manifest["key"])
        came = list(_from_file(events) if events is not None else _fetched(client()))
        report = compare(came, said, key, at_least=at_least)
    _tell(report, key if vkey is None else None, as_json=as_json)
    raise typer.Exit(0 if report.whole else 1)


def _tell(report: "Report", trusted: str | None, *, as_json: bool) -> None:
    """``trusted``: the key that came with the manifest, where none was given."""
    if as_json:
        document = {
            "verdict": report.verdict.value,
            "detail": report.detail,
            "size": report.size,
            "beyond": report.beyond,
            "numbers": list(report.numbers),
            "key_from_network": trusted,
        }
        print(json.dumps(document, ensure_ascii=False, indent=2))
        return
    style = "green" if report.whole else "red"
    out.print(_KINDS[report.verdict.value], style=style, markup=False, soft_wrap=True)
    out.print(f"  {report.detail}", markup=False, highlight=False, soft_wrap=True)
    if report.numbers:
        told = ", ".join(map(str, report.numbers[:20])) + (" …" if len(report.numbers) > 20 else "")
        out.print(f"  番号 / numbers: {told}", markup=False, highlight=False, soft_wrap=True)
    if report.beyond:
        out.print(f"  目録の後に届いた / came after it: {report.beyond}", highlight=False)
    if trusted is not None:
        out.print(
            "  検証鍵はネットワークから受け取りました。次からは --vkey で渡してください / the key came from "
            "the network itself; keep it, and give it next time:",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
        out.print(f"  --vkey {trusted}", markup=False, highlight=False, soft_wrap=True)


# -- where it comes from --------------------------------------------------------------------------------


def _client(
    agency: str, url: str | None, key_file: Path | None, *, insecure: bool
) -> "httpx.Client":
    import httpx

    from partners.where import NotFound, key_of, network_url
    from runtime.settings import Settings

    home = Settings.from_environment().home
    try:
        where = network_url(home, url, insecure=insecure)
        key = key_of(key_file or home / "keys.toml", agency)
    except NotFound as problem:
        _stop(str(problem))
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=where, headers=headers, timeout=30, trust_env=False)


def _manifest(client: "httpx.Client", day: str | None) -> dict[str, Any]:
    return _asked(client, "/v1/inbox/manifest", {"day": day} if day else {})


def _fetched(client: "httpx.Client") -> "Iterator[Event]":
    after = 0
    while items := _asked(client, "/v1/inbox", {"after": after, "limit": _PAGE})["items"]:
        yield from _events(items)
        after = items[-1]["number"]


def _asked(client: "httpx.Client", path: str, params: dict[str, Any]) -> dict[str, Any]:
    import httpx

    try:
        answer = client.get(path, params=params)
        body: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        _stop(f"ネットワークが応じません / the network does not answer: {type(error).__name__}")
    if answer.status_code != 200:
        told = [body.get("detail", ""), *(e["detail"] for e in body.get("errors", ()))]
        _stop(f"{answer.status_code}: {' '.join(told)}")
    return body


def _from_file(path: Path) -> "Iterator[Event]":
    try:
        yield from _events(json.loads(line) for line in _read(path).splitlines() if line.strip())
    except ValueError:
        _stop(f"JSON Lines として読めません / not JSON Lines: {path.name}")


def _events(items: Any) -> "Iterator[Event]":
    from partners.manifest import read_event

    for item in items:
        yield read_event(item)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        _stop(f"ファイルが読めません / cannot read {path}")


def _stop(text: str) -> NoReturn:
    err.print(text, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(2)
