"""`tsunagu conformance` and `tsunagu partner`: the command line for a partner's own systems."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from partners.where import NotFound, secret_text

out = Console(highlight=False)
err = Console(stderr=True)

SecretFile = Annotated[
    Path, typer.Option("--secret-file", help="whsec_… のファイル（0600） / file with the secret")
]


def conformance(
    url: Annotated[str, typer.Argument(help="貴機関の Webhook の受け口 / your webhook endpoint")],
    secret_file: SecretFile,
    agency: Annotated[str, typer.Option(help="この機関として / as this agency")] = "sample-home",
    after: Annotated[
        int, typer.Option(min=0, help="この番号の次から送る / numbers begin after this one")
    ] = 0,
    limit: Annotated[
        float, typer.Option(min=0.1, help="答えを待つ秒数 / seconds to answer")
    ] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Webhook の受け口を試験する / Test your own webhook endpoint; exit 0 only if it conforms."""
    from partners.conformance.report import document, examine, tell, whole
    from partners.conformance.sending import Endpoint
    from runtime.webhook import SecretError, secret_key

    try:
        endpoint = Endpoint(url, secret_key(secret_text(secret_file)), agency, after, limit)
    except (NotFound, SecretError) as error:
        err.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    try:
        with err.status("試験しています / testing …"):
            findings = examine(endpoint)
    finally:
        endpoint.close()
    if as_json:
        print(json.dumps(document(findings, endpoint.slowest), ensure_ascii=False, indent=2))
    else:
        wide = out if out.is_terminal else Console(width=140, highlight=False, color_system=None)
        tell(findings, endpoint.slowest, wide)
    raise typer.Exit(0 if whole(findings) else 1)
